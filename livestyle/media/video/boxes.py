"""Boxes of MP4 and MOV (ISO/IEC 14496-12) that PyAV does not tell of: mirroring, and metadata of 360-degree video."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from livestyle.files import open_regular

_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_SPHERICAL = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
"""Of the box uuid of the spherical video RFC, version 1."""
_LARGEST = 1 << 20
"""Bytes of such a box, at most."""
_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


class _Box(NamedTuple):
    """A box: its kind, and the offsets of its header, its content and its end."""

    kind: bytes
    begin: int
    content: int
    end: int


def is_mirrored(path: Path) -> bool:
    """Whether the display matrix of the first video track of an MP4 or MOV mirrors it; False for all other files."""
    try:
        with open_regular(path) as file:
            track = _video_track(file)
            if track is None:
                return False
            a, b, c, d = _matrix(file, track)
            return a * d - b * c < 0
    except (OSError, struct.error):
        return False


def spherical_box(path: Path) -> bytes | None:
    """The box, with its header, that calls the first video track of an MP4 or MOV a 360-degree video; else None."""
    try:
        with open_regular(path) as file:
            track = _video_track(file)
            for box in _boxes(file, track.content, track.end) if track else ():
                if box.kind == b"uuid" and box.end - box.begin < _LARGEST:
                    file.seek(box.begin)
                    data = file.read(box.end - box.begin)
                    if data[box.content - box.begin :].startswith(_SPHERICAL):
                        return data
    except (OSError, struct.error):
        pass
    return None


def add_to_track(path: Path, box: bytes) -> None:
    """Add a box to the first video track of an MP4 or MOV, whose index is small beside its data.

    Raises:
        OSError: the file cannot be written, or has no such track.
    """
    try:
        with path.open("r+b") as file:
            track = _video_track(file)
            moov = next(b for b in _boxes(file, 0, _size(file)) if b.kind == b"moov")
            if track is None:
                raise OSError(f"there is no video track in {path}")
            file.seek(moov.begin)
            index = bytearray(file.read(moov.end - moov.begin))
            for table in _offset_tables(file, moov):
                _move_offsets(index, table, moov, len(box))
            for at in (moov.begin, track.begin):
                (size,) = struct.unpack_from(">I", index, at - moov.begin)
                struct.pack_into(">I", index, at - moov.begin, size + len(box))
            index[track.end - moov.begin : track.end - moov.begin] = box
            _make_room(file, moov.end, len(box))
            file.seek(moov.begin)
            file.write(index)
    except (StopIteration, struct.error) as error:
        raise OSError(f"there is no video track in {path}") from error


def _make_room(file: BinaryIO, at: int, room: int) -> None:
    """Move what lies behind an offset, from its end on, so that nothing is overwritten before it is read."""
    block, end = 1 << 24, _size(file)
    while end > at:
        begin = max(at, end - block)
        file.seek(begin)
        data = file.read(end - begin)
        file.seek(begin + room)
        file.write(data)
        end = begin


def _move_offsets(index: bytearray, table: _Box, moov: _Box, by: int) -> None:
    """Add to all offsets of chunks, in a table of the index, that lie behind it."""
    form, size = (">I", 4) if table.kind == b"stco" else (">Q", 8)
    at = table.content - moov.begin + 4
    (count,) = struct.unpack_from(">I", index, at)
    for number in range(count):
        place = at + 4 + number * size
        (offset,) = struct.unpack_from(form, index, place)
        struct.pack_into(form, index, place, offset + by if offset >= moov.end else offset)


def _offset_tables(file: BinaryIO, parent: _Box) -> Iterator[_Box]:
    for box in _boxes(file, parent.content, parent.end):
        if box.kind in (b"stco", b"co64"):
            yield box
        elif box.kind in _PARENTS:
            yield from _offset_tables(file, box)


def _video_track(file: BinaryIO) -> _Box | None:
    """The first track with a size."""
    file.seek(0)
    if file.read(8)[4:] not in _FIRST:
        return None
    for moov in _boxes(file, 0, _size(file)):
        for track in _boxes(file, moov.content, moov.end) if moov.kind == b"moov" else ():
            if track.kind == b"trak" and any(_matrix(file, track)):
                return track
    return None


def _matrix(file: BinaryIO, track: _Box) -> tuple[int, int, int, int]:
    """The linear part of the display matrix of a track, as 16.16 fixed point; zeros where it has no size."""
    for box in _boxes(file, track.content, track.end):
        if box.kind == b"tkhd":
            file.seek(box.content)
            is_long = file.read(1) == b"\1"
            file.seek(box.content + (52 if is_long else 40))
            a, b, _, c, d, _, _, _, _, width, height = struct.unpack(">9i2I", file.read(44))
            if width and height:
                return a, b, c, d
    return 0, 0, 0, 0


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[_Box]:
    """The boxes in a part of a file."""
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
        yield _Box(kind, begin, content, stop)
        begin = stop


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)
