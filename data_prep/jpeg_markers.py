"""Detect truncated JPEGs by their markers (ITU-T T.81, annex B)."""

import re

START = b"\xff\xd8"

_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
# A marker and the length of its segment. In the data of a scan, 0xFF is followed by a zero or is a restart marker;
# any number of 0xFF may stand before a marker.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])(..)?", re.DOTALL)
# What may follow the data of a scan, besides the end: tables, the number of lines, another scan, comments.
_BETWEEN_SCANS = frozenset({0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})


def jpeg_cut_off(data: bytes) -> bool:
    """Return whether a JPEG is cut off before the end of its (first) image.

    OpenCV before 4.11 fills the rest of such a file with grey and reports nothing. Segments are skipped by their
    lengths, so a thumbnail in one of them does not count; nor does what follows the image, such as the film of a
    motion photo or the second image of an MPO. Other damage is left to the decoder.
    """
    place, scanning = len(START), False
    while found := _MARKER.search(data, place):
        kind, length = found[1][0], found[2]
        if kind == _END_OF_IMAGE:
            return False
        if kind == _START_OF_IMAGE:
            return scanning  # another file begins here
        end = found.end(1) + int.from_bytes(length or b"", "big")
        if not scanning and (length is None or end > len(data)):
            return True
        damage = scanning and (kind not in _BETWEEN_SCANS or not _marker_at(data, end, kind))
        place = found.end(1) if damage else end
        scanning = scanning or kind == _START_OF_SCAN
    return True


def _marker_at(data: bytes, place: int, kind: int) -> bool:
    """Return whether a segment can end here: a scan's header before data, any other before a marker."""
    return place < len(data) and (kind == _START_OF_SCAN or data[place] == 0xFF)
