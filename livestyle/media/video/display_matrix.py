"""Mirroring in the display matrix of MP4 and MOV, which PyAV's rotation of a frame does not tell."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def is_mirrored(path: Path) -> bool:
    """Whether the display matrix of the first video track of an MP4 or MOV mirrors it; False for all other files."""
    try:
        with path.open("rb") as file:
            if file.read(12)[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return False
            for track in _tracks(file):
                a, b, c, d = track
                if a * d - b * c:
                    return a * d - b * c < 0
    except (OSError, struct.error):
        pass
    return False


def _tracks(file: BinaryIO) -> Iterator[tuple[int, int, int, int]]:
    """The linear part of the display matrix of each track with a size, as 16.16 fixed point."""
    file.seek(0, 2)
    for kind, begin, end in list(_boxes(file, 0, file.tell())):
        if kind != b"moov":
            continue
        for inner, first, last in list(_boxes(file, begin, end)):
            if inner != b"trak":
                continue
            for name, at, _ in list(_boxes(file, first, last)):
                if name == b"tkhd":
                    file.seek(at)
                    long = file.read(1) == b"\1"
                    file.seek(at + (52 if long else 40))
                    matrix = struct.unpack(">9i", file.read(36))
                    width, height = struct.unpack(">2I", file.read(8))
                    if width and height:
                        yield matrix[0], matrix[1], matrix[3], matrix[4]


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes (ISO/IEC 14496-12) in a part of a file: kind, and where its content begins and ends."""
    while begin + 8 <= end:
        file.seek(begin)
        size, kind = struct.unpack(">I4s", file.read(8))
        content = begin + 8
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
            content += 8
        stop = end if size == 0 else begin + size
        if stop < content or stop > end:
            return
        yield kind, content, stop
        begin = stop
