import hashlib
import io
import os
import resource
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from emotiw.data_prep import image_list
from emotiw.data_prep.archives.tree import Folder
from emotiw.data_prep.face_detection import crop_face, find_faces
from emotiw.data_prep.images import UnreadableImageError, decode, read_image
from emotiw.data_prep.transform import Settings, represent


def ramp(height=20, width=33) -> np.ndarray:
    """Return an image with three channels that differ everywhere: red increases to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 7, y * 12, 255 - x * 3 - y * 4], axis=2).astype(np.uint8)


def encoded(ending: str, rgb: np.ndarray) -> bytes:
    return cv2.imencode(ending, rgb[..., ::-1])[1].tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("ending", [".png", ".bmp", ".ppm", ".tiff"])
def test_red_comes_first(ending):
    np.testing.assert_array_equal(decode(encoded(ending, ramp())), ramp())


def test_a_picture_of_absurdly_many_pixels_is_not_decoded(tmp_path):
    """A PNG of 4 kB would decode to 100 MB. OpenCV reads its limit when it is imported, hence the separate process."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header, rows = struct.pack(">IIBBBBB", 5793, 5793, 1, 0, 0, 0, 0), zlib.compress(bytes(5793 * (1 + 725)), 9)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert 5793**2 > 1 << 25 > 5792**2
    assert len(png) < 5000
    (tmp_path / "a.png").write_bytes(png)
    code = "import sys; from pathlib import Path; from emotiw.data_prep.images import read_image\n"
    code += "read_image(Path(sys.argv[1]))"
    errors = [
        subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], env=env, capture_output=True, text=True).stderr
        for env in (None, {**os.environ, "OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 26)})
    ]
    reason = ": more than 33554432 pixels: 5793 x 5793 (shrink it, or set $OPENCV_IO_MAX_IMAGE_PIXELS)"
    assert errors[0].splitlines()[-1].endswith(reason)
    assert errors[1] == ""


def test_the_sha256_is_that_of_the_file(tmp_path):
    data = encoded(".png", ramp())
    (tmp_path / "a.png").write_bytes(data)
    rgb = read_image(tmp_path / "a.png")
    assert (rgb.shape, rgb.dtype, rgb.flags.c_contiguous) == ((20, 33, 3), np.uint8, True)
    settings = Settings("emotions", ("rgb",), size=16)
    outcome, _ = represent(Folder(tmp_path), settings, image_list.Image("a.png", "Sad", 5))
    assert outcome.sha256 == hashlib.sha256(data).hexdigest()


def test_grey_becomes_three_equal_channels():
    grey = ramp()[..., 0]
    for mode in ("L", "1"):
        picture = Image.fromarray(grey).convert(mode)
        expected = np.asarray(picture.convert("L"))
        np.testing.assert_array_equal(decode(saved(picture, "PNG")), np.stack([expected] * 3, axis=2))


def test_alpha_is_dropped():
    transparent = np.dstack([ramp(), np.zeros((20, 33), np.uint8)])
    np.testing.assert_array_equal(decode(saved(Image.fromarray(transparent), "PNG")), ramp())


def test_sixteen_bits_become_eight():
    deep = (ramp().astype(np.uint16) << 8) + 255
    np.testing.assert_array_equal(decode(cv2.imencode(".png", deep[..., ::-1])[1].tobytes()), ramp())


def test_cmyk_becomes_rgb():
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    found = decode(saved(Image.fromarray(flat).convert("CMYK"), "JPEG", quality=100))
    assert np.abs(found.astype(int) - flat).max() <= 4


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_photo_is_rotated_by_its_exif_orientation(orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = cv2.resize(ramp(), (64, 40))
    found = decode(saved(Image.fromarray(smooth), "JPEG", quality=100, subsampling=0, exif=exif))
    assert np.abs(found.astype(int) - np.rot90(smooth, turn)).max() <= 4


def test_only_the_first_picture_of_an_animation_is_read():
    first, second = Image.new("RGB", (9, 8), (255, 0, 0)), Image.new("RGB", (9, 8), (0, 0, 255))
    data = saved(first, "GIF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decode(data), np.full((8, 9, 3), (255, 0, 0)))


def reason(data: bytes) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(data)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_not_an_image(share):
    for ending in (".jpg", ".png"):
        data = encoded(ending, ramp(90, 70))
        assert reason(data[: int(share * len(data))]) == "cut off before its end"
    data = saved(Image.fromarray(ramp(90, 70)), "JPEG", progressive=True)
    assert reason(data[: int(share * len(data))]) == "cut off before its end"
    for ending in (".bmp", ".webp", ".gif", ".tiff"):
        data = encoded(ending, ramp(90, 70))
        assert reason(data[: int(share * len(data))]) == "not an image that OpenCV reads"


def test_a_truncated_photo_with_a_thumbnail_is_refused():
    photo, thumbnail = (saved(Image.fromarray(ramp(*size)), "JPEG") for size in ((90, 70), (9, 7)))
    note = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = photo[:2] + note + photo[2:]
    np.testing.assert_array_equal(decode(whole), decode(photo))
    assert reason(whole[:-200]) == "cut off before its end"


def test_a_chunk_that_claims_a_huge_size_takes_no_memory():
    """OpenCV would ask for 4 GB first."""
    png = bytearray(encoded(".png", ramp()))
    png[33:37] = b"\xff\xff\xff\xf0"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(bytes(png)) == "cut off before its end"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_data_after_a_complete_file_is_ignored():
    for ending in (".jpg", ".png"):
        data = encoded(ending, ramp())
        np.testing.assert_array_equal(decode(data + b"\0" * 500), decode(data))


def test_the_error_says_why_a_file_is_not_an_image(capfd):
    assert reason(b"") == "empty file"
    assert reason(b"\x89PNG is what its name says") == "cut off before its end"
    assert reason(b"text named .png") == "not an image that OpenCV reads"
    png = bytearray(encoded(".png", ramp()))
    png[len(png) // 2] ^= 0xFF
    assert reason(bytes(png)) == "not an image that OpenCV reads"
    assert "OpenCV" not in capfd.readouterr().err  # OpenCV's own message is not shown


def test_the_error_says_why_a_file_cannot_be_read(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UnreadableImageError, match=r"^No such file or directory$"):
        read_image(tmp_path / "gone.png")


def test_no_face_is_found_in_noise():
    noise = np.random.default_rng(0).integers(0, 256, (120, 100, 3), np.uint8)
    assert find_faces(noise) == []
    assert crop_face(noise) is None


def test_the_largest_face_is_cropped(monkeypatch):
    """Of two boxes the larger is cropped; x is to the right, y downwards."""
    from emotiw.data_prep import face_detection

    class Two:
        def detectMultiScale(self, grey, **settings):  # noqa: N802
            assert grey.shape == (20, 33)
            return np.array([[0, 0, 4, 4], [5, 2, 10, 11]])

    monkeypatch.setattr(face_detection, "_cascade", lambda thread: Two())
    np.testing.assert_array_equal(crop_face(ramp()), ramp()[2:13, 5:15])
