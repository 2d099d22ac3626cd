"""The width and height in an image file's header, for the formats that OpenCV decodes.

Pillow reads headers too, but it has its own, process-wide limit on pixels, emits warnings that threads cannot suppress,
knows neither HDR nor PAM, and its import would add a sixth to the time of `emotiw map`.
"""

import re
import struct
from collections.abc import Callable

Size = tuple[int, int]

# Width and height in a WebP's first chunk: offset, bits of each, distance between the two in bits, what to add.
_WEBP = {b"VP8 ": (26, 14, 16, 0), b"VP8L": (21, 14, 14, 1), b"VP8X": (24, 24, 24, 1)}

# A JPEG's next marker segment and its length; the excluded markers have no length.
_SEGMENT = re.compile(rb"\xff([^\0\1\xd0-\xd9\xff])(..)", re.DOTALL)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_TIFF_SIDES = (256, 257)  # tags ImageWidth, ImageLength
_TIFF_TILE = (322, 323)  # tags TileWidth, TileLength
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q"}  # those that libtiff accepts here

_CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000: start of codestream, image and tile size
_GAP = rb"(?:\s|#[^\n]*\n)++"  # between the words of a PNM
_TEXT = 4096  # a text header must end within so many bytes; searching all of a large file may take forever


def header_size(data: bytes) -> Size | None:
    """Return (width, height) from a file's header, or a TIFF's tile size if its tiles are larger.

    Returns
    -------
    tuple or None
        None for another format or a header that is cut off.
    """
    for start, read in _READERS.items():
        if re.match(start, data, re.DOTALL):
            try:
                return read(data)
            except (struct.error, LookupError, ValueError, OverflowError):
                return None
    return None


def _fields(layout: str, offset: int) -> Callable[[bytes], Size]:
    def read(data: bytes) -> Size:
        width, height = struct.unpack_from(layout, data, offset)
        return abs(width), abs(height)  # the height of a BMP stored from top to bottom is negative

    return read


def _words(pattern: bytes) -> Callable[[bytes], Size | None]:
    def read(data: bytes) -> Size | None:
        found = re.match(pattern, data[:_TEXT], re.DOTALL)
        return (int(found["width"]), int(found["height"])) if found else None

    return read


def _jpeg(data: bytes) -> Size | None:
    place = 0
    while found := _SEGMENT.search(data, place):
        if found[1][0] in _FRAMES:
            height, width = struct.unpack_from(">HH", data, found.end() + 1)
            return width, height
        place = found.end() - 2 + max(2, int.from_bytes(found[2], "big"))
    return None


def _webp(data: bytes) -> Size:
    offset, bits, distance, more = _WEBP[data[12:16]]
    packed, side = int.from_bytes(data[offset : offset + 6], "little"), (1 << bits) - 1
    return (packed & side) + more, (packed >> distance & side) + more


def _tiff(data: bytes) -> Size:
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    big = b"+" in data[2:4]  # BigTIFF
    (directory,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    count, entry = ("Q", "HHQ") if big else ("H", "HHI")
    (entries,) = struct.unpack_from(order + count, data, directory)
    place = directory + struct.calcsize(order + count)
    found: dict[int, int] = {}
    for _ in range(entries):
        tag, kind, _ = struct.unpack_from(order + entry, data, place)
        if tag in _TIFF_SIDES + _TIFF_TILE:
            (value,) = struct.unpack_from(order + _TIFF_TYPES[kind], data, place + struct.calcsize(order + entry))
            found[tag] = max(value, found.get(tag, 0))  # a tag may occur twice
        place += 20 if big else 12
    width, height = (found[tag] for tag in _TIFF_SIDES)
    tile_width, tile_height = (found.get(tag, 0) for tag in _TIFF_TILE)
    if tile_width * tile_height > width * height:
        return tile_width, tile_height
    return width, height


def _jpeg_2000(data: bytes) -> Size:
    right, bottom, left, top = struct.unpack_from(">4I", data, data.index(_CODESTREAM) + 8)
    return right - left, bottom - top


_WIDTH, _HEIGHT = rb"(?P<width>[0-9]{1,20})", rb"(?P<height>[0-9]{1,20})"

_READERS: dict[bytes, Callable[[bytes], Size | None]] = {
    rb"\x89PNG": _fields(">II", 16),
    rb"\xff\xd8": _jpeg,
    rb"GIF8": _fields("<HH", 6),
    rb"BM.{12}\x0c\0\0\0": _fields("<HH", 18),  # OS/2
    rb"BM": _fields("<ii", 18),
    rb"RIFF.{4}WEBP": _webp,
    rb"II[*+]\0|MM\0[*+]": _tiff,
    rb"\xff\x4f\xff\x51|.{4}jP  ": _jpeg_2000,
    rb"P[1-6Ff]": _words(rb"P." + _GAP + _WIDTH + _GAP + _HEIGHT),
    rb"P7": _words(rb"P7.*?WIDTH\s+" + _WIDTH + rb".*?HEIGHT\s+" + _HEIGHT),
    rb"#\?R": _words(rb"#\?R.*?\n[-+]Y " + _HEIGHT + rb" [-+]X " + _WIDTH),
    rb"\x59\xa6\x6a\x95": _fields(">II", 4),  # Sun raster
}
