"""The size in a header is that of the picture that OpenCV decodes, and a wrong header does no harm."""

import io
import random
import re
import struct
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from emotiw.prototxt.formats.image_headers import header_size

WIDTH, HEIGHT = 61, 34
NOISE = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), (WIDTH, HEIGHT))


def by_opencv(ending: str, picture: np.ndarray = NOISE, *settings: int) -> bytes:
    return cv2.imencode(ending, picture, settings)[1].tobytes()


def by_pillow(kind: str, **settings: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, kind, **settings)
    return file.getvalue()


def tiff(order: str, big: bool) -> bytes:
    """A grey TIFF with one strip, by hand."""
    data = NOISE[..., 0].tobytes()
    entry, start = (order + "HHQQ", 16) if big else (order + "HHII", 8)
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    count = struct.pack(order + ("Q" if big else "H"), 8)
    offset = start + len(count) + 8 * struct.calcsize(entry) + (8 if big else 4)
    values = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 1, 273: offset, 278: HEIGHT, 279: len(data)}
    kind = 16 if big else 4
    entries = b"".join(struct.pack(entry, tag, kind, 1, value) for tag, value in values.items())
    return head + count + entries + bytes(8 if big else 4) + data


FILES = {
    **{ending: by_opencv(ending) for ending in (".png", ".jpg", ".bmp", ".tiff", ".ppm", ".ras", ".jp2")},
    **{ending: by_opencv(ending) for ending in (".pam", ".gif")},
    **{ending: by_opencv(ending, NOISE[..., 0]) for ending in (".pgm", ".pbm")},
    ".hdr": by_opencv(".hdr", NOISE.astype(np.float32)),
    ".pfm": by_opencv(".pfm", NOISE.astype(np.float32)),
    "lossy WebP": by_opencv(".webp", NOISE, cv2.IMWRITE_WEBP_QUALITY, 50),
    "loss-free WebP": by_opencv(".webp", NOISE, cv2.IMWRITE_WEBP_QUALITY, 101),
    "WebP with EXIF": by_pillow("WEBP", exif=Image.Exif()),
    "WebP that moves": by_pillow("WEBP", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))]),
    "PNG that moves": by_pillow("PNG", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))]),
    "GIF that moves": by_pillow("GIF", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))]),
    "progressive JPEG": by_pillow("JPEG", progressive=True, exif=Image.Exif(), comment=b"\xff\xc0\0\x0b"),
    "JPEG of restarts": by_pillow("JPEG", restart_marker_blocks=1),
    "JPEG 2000 without a box": by_pillow("JPEG2000", no_jp2=True),
    "BMP from top to bottom": by_opencv(".bmp")[:22] + struct.pack("<i", -HEIGHT) + by_opencv(".bmp")[26:],
    "PPM with comments": b"P6 # a\n# b\n%d #c\n %d\n255\n" % (WIDTH, HEIGHT) + NOISE.tobytes(),
    "TIFF, small end first": tiff("<", False),
    "TIFF, big end first": tiff(">", False),
    "BigTIFF, small end first": tiff("<", True),
    "BigTIFF, big end first": tiff(">", True),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_size_is_what_opencv_decodes(kind):
    decoded = cv2.imdecode(np.frombuffer(FILES[kind], np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[:2] == (HEIGHT, WIDTH)
    assert header_size(FILES[kind]) == (WIDTH, HEIGHT)


def test_a_bmp_of_os_2_has_its_sides_in_16_bits():
    old = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    assert header_size(old) == (WIDTH, HEIGHT)


def test_a_jpegs_thumbnail_is_not_the_photo():
    thumbnail = by_opencv(".jpg", NOISE[:9, :9])
    note = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    photo = by_opencv(".jpg")
    assert header_size(photo[:2] + note + photo[2:]) == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x89PNG", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8?", b"MM\0*", b"P6 61"]
)
def test_a_header_without_a_size_gives_none(data):
    assert header_size(data) is None


def test_an_offset_beyond_memory_gives_no_size():
    assert header_size(b"II+\0\x08\0\0\0" + b"\xff" * 8) is None


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_header_gives_a_size_or_none(kind):
    draw = random.Random(kind)
    for _ in range(2000):
        data = bytearray(FILES[kind][: draw.randrange(1, 400)])
        for _ in range(draw.randrange(8)):
            data[draw.randrange(len(data))] = draw.choice([0, 1, 127, 255, draw.randrange(256)])
        size = header_size(bytes(data))
        assert size is None or re.fullmatch(r"\(-?\d+, -?\d+\)", str(size))


SIZE = 10_000_000
ENDLESS = {
    "PAM": b"P7" + b"WIDTH 1 " * (SIZE // 8),
    "spaces": b"P5" + b" " * SIZE,
    "comments": b"P5" + b"#\n" * (SIZE // 2),
    "one comment": b"P5#" + b" " * SIZE,
    "HDR": b"#?R" + b"\n+Y 1 +X" * (SIZE // 8),
    "JPEG": b"\xff\xd8" + b"\xff\xe0\0\2" * (SIZE // 4),
    "JPEG without segments": b"\xff\xd8" + b"\xff" * SIZE,
    "TIFF": b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(SIZE),
    "BigTIFF": b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 60) + bytes(SIZE),
    "JPEG 2000": bytes(4) + b"jP  " + b"\xff\x4f\xff" * (SIZE // 3),
}


def test_a_header_without_end_takes_neither_time_nor_memory(tmp_path, measured):
    for kind, data in ENDLESS.items():
        (tmp_path / kind).write_bytes(data)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from emotiw.prototxt.formats.image_headers import header_size\n"
        "for path in Path(sys.argv[1]).iterdir(): print(path.name, header_size(path.read_bytes()), flush=True)\n"
    )
    done, peak = measured([sys.executable, "-c", code, tmp_path], 60)
    assert done.returncode == 0, done.stdout
    assert sorted(done.stdout.splitlines()[:-1]) == sorted(f"{kind} None" for kind in ENDLESS)
    assert peak < 300 << 20


def test_the_size_of_a_tile_counts_if_it_is_larger():
    for kind in (1, 3, 4, 6, 8, 9):  # the types that libtiff accepts
        values = {256: (4, 16), 257: (4, 16), 322: (kind, 112), 323: (kind, 96)}
        entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in values.items())
        assert header_size(b"II*\0" + struct.pack("<IH", 8, 4) + entries) == (112, 96)
