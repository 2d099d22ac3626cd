"""The end of a JPEG is found, and truncated ones are detected."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from emotiw.data_prep.images import UnreadableImageError, decode
from emotiw.data_prep.jpeg_markers import jpeg_cut_off

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_blocks": 1},
    "no subsampling": {"subsampling": 0, "quality": 100},
    "optimised": {"optimize": True, "quality": 20},
    "with a comment": {"comment": b"\xff\xd9 \xff\xda \xff\xd9"},
}


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def jpeg(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def with_thumbnail(photo: bytes, thumbnail: bytes) -> bytes:
    note = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    return photo[:2] + note + photo[2:]


def mp4() -> bytes:
    """Return the boxes of a film; its data contain bytes that look like markers."""
    data = b"\xff\xda\0\x0c" + np.random.default_rng(1).bytes(30_000) + b"\xff\xd9" + b"\xff\xd8\xff\xc4\0\x04"
    boxes = ((b"ftyp", b"mp42\0\0\0\0mp42isom"), (b"mdat", data))
    return b"".join((len(body) + 8).to_bytes(4, "big") + kind + body for kind, body in boxes)


TRAILERS = {
    "nothing": b"",
    "zeros": bytes(500),
    "a scan and an end": b"\xff\xda\xff\xd9",
    "a scan without an end": b"motion \xff\xda\0\x0c" + bytes(100),
    "an end, then a scan": b"\xff\xd9 \xff\xda",
    "a film": mp4(),
    "a film that was cut off": mp4()[:20_000],
    "a second JPEG": jpeg(noise(50, 40, 2)),
    "a second JPEG that was cut off": jpeg(noise(50, 40, 2))[:-300],
    "fill bytes": b"\xff" * 300,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trailer", TRAILERS)
def test_data_after_the_first_image_is_ignored(kind, trailer):
    photo = jpeg(noise(90, 70), **KINDS[kind])
    for whole in (photo, with_thumbnail(photo, jpeg(noise(9, 7)))):
        assert not jpeg_cut_off(whole + TRAILERS[trailer])
        np.testing.assert_array_equal(decode(whole + TRAILERS[trailer]), decode(photo))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_at_any_byte_is_found(kind):
    photo = jpeg(noise(40, 30), **KINDS[kind])
    for whole in (photo, with_thumbnail(photo, jpeg(noise(9, 7)))):
        missed = [end for end in range(2, len(whole)) if not jpeg_cut_off(whole[:end])]
        assert missed == []
        assert not jpeg_cut_off(whole)


def test_a_truncated_photo_with_another_after_it_is_refused():
    photo = jpeg(noise(90, 70))
    for share in (0.3, 0.6, 0.99):
        with pytest.raises(UnreadableImageError, match=r"^cut off before its end$"):
            decode(photo[: int(share * len(photo))] + jpeg(noise(50, 40, 2)))


def test_corrupt_bytes_in_a_scan_are_left_to_the_decoder():
    photo = bytearray(jpeg(noise(90, 70)))
    for kind in (0x02, 0x37, 0xC0, 0xC4, 0xDA, 0xE1, 0xF7, 0xFE):
        for place in range(len(photo) - 1000, len(photo) - 900, 7):
            bent = photo[:place] + bytes((0xFF, kind)) + photo[place + 2 :]
            assert not jpeg_cut_off(bytes(bent)), (kind, place)


@pytest.mark.parametrize("start", [b"", b"\xff", b"\xff\xc0", b"\xff\xe0\0\x10", b"\xff\xda\0\x0c", b"\xff\xd8" * 9])
def test_hostile_files_are_checked_quickly(start):
    for body in (b"\xff" * 10**6, b"\xff\x00" * 500_000, b"\xff\xda\0\x02" * 250_000, b"\xff\xe0\0\0" * 250_000):
        begun = time.process_time()
        jpeg_cut_off(b"\xff\xd8" + start + body)
        assert time.process_time() - begun < 2


def test_the_check_takes_a_tenth_of_decoding_at_most():
    """At most a tenth of decoding a picture of CASIA-WebFace's size, each the best of several runs."""
    photo = jpeg(noise(250, 250), quality=75)

    def best(function):
        times = []
        for _ in range(15):
            begun = time.process_time()
            function(photo)
            times.append(time.process_time() - begun)
        return min(times)

    assert best(jpeg_cut_off) < 0.1 * best(decode)
