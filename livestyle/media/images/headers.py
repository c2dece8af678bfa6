"""Sizes of images by their first bytes alone, before a decoder allocates what they say (decompression bombs)."""

from __future__ import annotations

import re
import struct
from io import BytesIO

from . import exr
from .deep import EXR
from .metadata import quiet

Size = tuple[int, int]
"""Width and height in pixels."""

_JPEG, _PNG, _JXL = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\xff\x0a"
_JXL_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUN = b"\x59\xa6\x6a\x95"
_FRAME = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
"""Markers of a JPEG's frame header (SOF)."""
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height of JPEG XL, by its code less 1."""
_JXL_SIZE_BYTES = 9
"""Of the longest SizeHeader: 1 bit, twice 2 and 30, and 3."""
_HEAD_BYTES = 4096
"""Within which the size of a text header stands."""


def stated_size(data: bytes) -> Size | None:
    """Width and height that an image file states; None where they are not found, or it is of another format.

    Args:
        data: the file: JPEG, PNG, WebP, JPEG XL, TIFF, Radiance HDR, OpenEXR, Sun raster, PNM, PAM or PFM.
    """
    try:
        if data.startswith(_JPEG):
            return _of_jpeg(data)
        if data.startswith(_PNG):
            return _pair(">II", data, 16)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _of_webp(data)
        if data.startswith((_JXL, _JXL_CONTAINER)):
            return _of_jpeg_xl(data)
        if data[:4] in _TIFF:
            return _of_tiff(data)
        if data.startswith(EXR):
            return exr.size_of(data)
        if data.startswith(_SUN):
            return _pair(">II", data, 4)
        return _of_text(data[:_HEAD_BYTES])
    except (struct.error, IndexError):
        return None


def _pair(form: str, data: bytes, at: int) -> Size:
    width, height = struct.unpack_from(form, data, at)
    return width, height


def _of_jpeg(data: bytes) -> Size | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:
            at += 1
        elif marker == 1 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
    return None


def _of_webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if len(data) < 30:
        return None
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else None


def _of_jpeg_xl(data: bytes) -> Size | None:
    """The codestream's SizeHeader (ISO/IEC 18181-1), whose bits begin at the least significant one."""
    start = 0 if data.startswith(_JXL) else _codestream_of(data)
    if start is None or data[start : start + 2] != _JXL or len(data) < start + 2 + _JXL_SIZE_BYTES:
        return None
    bits = int.from_bytes(data[start + 2 : start + 18], "little")

    def take(number: int) -> int:
        nonlocal bits
        value = bits & ((1 << number) - 1)
        bits >>= number
        return value

    is_small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if is_small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _codestream_of(data: bytes) -> int | None:
    """Offset of the codestream, or of its first part, in a container of JPEG XL."""
    at = 0
    while at + 16 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        if kind in (b"jxlc", b"jxlp"):
            return at + head + 4 * (kind == b"jxlp")
        if size < head:
            return None
        at += size
    return None


def _of_tiff(data: bytes) -> Size | None:
    from PIL import TiffImagePlugin

    with quiet():
        try:
            # The file's header, of which BigTIFF has the longer one.
            directory = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if b"+" in data[:4] else 8])
            file = BytesIO(data)
            file.seek(directory.next)
            directory.load(file)
            width, height = directory[0x0100], directory[0x0101]
            return int(width), int(height)
        except Exception:
            # Whatever Pillow raises for damaged directories: then there is no size.
            return None


def _of_text(head: bytes) -> Size | None:
    """Sizes that stand as digits: PNM and PFM, PAM, and Radiance HDR."""
    if found := re.match(rb"P[1-6Ff]\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s", head):
        return int(found[1]), int(found[2])
    if head.startswith(b"P7\n"):
        sides = [re.search(rb"^" + name + rb" (\d{1,9})\s*$", head, re.MULTILINE) for name in (b"WIDTH", b"HEIGHT")]
        return (int(sides[0][1]), int(sides[1][1])) if sides[0] and sides[1] else None
    if head.startswith(b"#?") and (
        found := re.search(rb"^[-+]([YX]) (\d{1,9}) [-+][XY] (\d{1,9})$", head, re.MULTILINE)
    ):
        first, second = int(found[2]), int(found[3])
        return (second, first) if found[1] == b"Y" else (first, second)
    return None
