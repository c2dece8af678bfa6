"""Peculiarities of GIF, animated WebP and APNG: loop counts, palettes, and the duration of the last frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.filter

from livestyle.errors import InputError
from livestyle.files import in_bytes, open_regular, read_regular

UNITS = {"gif": Fraction(1, 100), "webp": Fraction(1, 1000)}
"""Time base of each container, in seconds."""
SHORTEST = Fraction(1, 50)
"""Seconds; browsers slow down frames that are shorter."""

MOST_WEBP_BYTES = 2 << 30
"""Of the decoded frames of an animated WebP, and of its file."""
_MOST_CHUNKS = 1_000_000

_TOO_SHORT = Fraction(1, 100)
"""Seconds; browsers show a frame that is to last so long, or shorter, for `_INSTEAD`."""
_INSTEAD = Fraction(1, 10)
READER_OPTIONS = {"default_fps": "10", "pattern_type": "none"}
"""Options of FFmpeg's demuxers: an APNG's frame without a duration lasts as long as in browsers, and a path is the name
of one image, whatever it looks like."""

_GIF_IMAGE = 0x2C
_GIF_CONTROL = 0xF9
_GIF_APPLICATION = 0xFF
_AVIF_SEQUENCE = b"avis"
"""Major brand."""
_PNG = b"\x89PNG\r\n\x1a\n"


class ViewerDelays:
    """Filter of packets that gives the frames of a GIF or an APNG the durations that all browsers show them for.

    Args:
        container: name of the format, in FFmpeg's words; packets of all others stay as they are.
    """

    def __init__(self, container: str) -> None:
        self.is_animation = container in ("gif", "apng")
        self._late = 0

    def repair(self, packet: Any) -> None:
        """Set the duration of a packet, the next one of the file, and move it behind those before."""
        if not self.is_animation or packet.pts is None:
            return
        packet.pts += self._late
        packet.dts = packet.pts
        shown = shown_for((packet.duration or 0) * packet.time_base)
        ticks = round(shown / packet.time_base)
        self._late += ticks - (packet.duration or 0)
        packet.duration = ticks


def shown_for(duration: Fraction) -> Fraction:
    """Seconds for which browsers show a frame of an animated image that is to last so many."""
    return duration if duration > _TOO_SHORT else _INSTEAD


def read_plays(path: Path) -> int | None:
    """Loop count of a GIF or WebP, where 0 is for ever and 1 is once; None for all other files."""
    with open_regular(path) as file:
        head = file.read(12)
        if head[:4] == b"GIF8":
            for label, at in _gif_blocks(file):
                file.seek(at)
                if label == _GIF_APPLICATION and file.read(13) == b"\x0bNETSCAPE2.0\x03":
                    file.seek(at + 14)
                    repeats = int.from_bytes(file.read(2), "little")
                    return repeats + 1 if repeats else 0
            return 1
        if head[:4] == b"RIFF" and head[8:] == b"WEBP":
            for name, at, _ in _webp_chunks(file):
                if name == b"ANIM":
                    file.seek(at + 4)
                    return int.from_bytes(file.read(2), "little")
            return 1
    return None


def is_animated(path: Path) -> bool:
    """Whether a file is a GIF, a WebP, a PNG or an AVIF of several frames; not where it cannot be read."""
    try:
        with open_regular(path) as file:
            head = file.read(8)
            if head[4:] == b"ftyp" and file.read(4) == _AVIF_SEQUENCE:
                return True
            if head[:4] == b"GIF8":
                images = (at for label, at in _gif_blocks(file) if label == _GIF_IMAGE)
                return len(list(islice(images, 2))) > 1
            if head == _PNG:
                return _png_frames(file) > 1
        return is_animated_webp(path)
    except OSError:
        return False


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP of several frames, which PyAV cannot decode."""
    with open_regular(path) as file:
        head = file.read(21)
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def read_webp(path: Path) -> list[av.VideoFrame]:
    """The decoded frames of an animated WebP, all in memory, with timestamps in milliseconds.

    Raises:
        InputError: it is damaged or cannot be read.
    """
    import cv2
    import numpy as np

    try:
        with open_regular(path) as file:
            head = file.read(30)
            count = sum(name == b"ANMF" for name, _, _ in islice(_webp_chunks(file), _MOST_CHUNKS))
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        _check_memory(path, count, width, height)
        data = read_regular(path, MOST_WEBP_BYTES)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    # Not by name: OpenCV crashes on one that is not valid UTF-8.
    fine, animation = cv2.imdecodeanimation(np.frombuffer(data, np.uint8))
    if not fine or not len(animation.frames):
        raise InputError(f"no frame of {path} can be decoded: the file is damaged")
    shown = [int(shown_for(int(duration) * UNITS["webp"]) / UNITS["webp"]) for duration in animation.durations]
    return _timed(animation.frames, shown, "bgr")


def read_transparent_avif(path: Path) -> list[av.VideoFrame] | None:
    """As `read_webp`, of an animated AVIF with an alpha channel, which is a stream of its own for PyAV; else None.

    Raises:
        InputError: it is damaged, too large or cannot be read.
    """
    with open_regular(path) as file:
        if file.read(12)[4:] != b"ftyp" + _AVIF_SEQUENCE:
            return None
    import numpy as np
    from PIL import AvifImagePlugin

    data = read_regular(path, MOST_WEBP_BYTES)
    try:
        opened = AvifImagePlugin.AvifImageFile(BytesIO(data), "")
        if opened.mode != "RGBA":
            return None
        _check_memory(path, opened.n_frames, *opened.size)
        images, shown = [], []
        for number in range(opened.n_frames):
            opened.seek(number)
            images.append(np.asarray(opened))
            shown.append(max(1, round(opened.info["duration"])))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"no frame of {path} can be decoded: the file is damaged") from error
    return _timed(images, shown, "rgb")


def _check_memory(path: Path, count: int, width: int, height: int) -> None:
    # Decompression bombs: a frame may take a few bytes in the file, and has the size of the canvas in memory.
    if count * width * height * 4 > MOST_WEBP_BYTES:
        raise InputError(
            f"{path} has {count} frames of {width}x{height}, which take more than {in_bytes(MOST_WEBP_BYTES)} "
            "of memory: convert it to an MP4 first"
        )


def _timed(images: Sequence[Any], shown: Sequence[int], channels: str) -> list[av.VideoFrame]:
    """Frames of images that follow one another, each for so many milliseconds; ``channels`` are bgr or rgb."""
    frames, pts = [], 0
    for image, duration in zip(images, shown, strict=True):
        frame = av.VideoFrame.from_ndarray(image, format=f"{channels}a" if image.shape[2] == 4 else f"{channels}24")
        frame.pts, frame.duration, frame.time_base = pts, duration, UNITS["webp"]
        pts += duration
        frames.append(frame)
    return frames


def loop_option(container: str, plays: int) -> str:
    """The muxer's option ``loop`` for a loop count, where 0 is for ever."""
    if container == "gif":
        # GIF counts repeats, and -1 is none.
        return str({0: 0, 1: -1}.get(plays, plays - 1))
    return str(plays)


class Palettes:
    """Filter that gives each frame of a GIF its own palette of 256 colours.

    Args:
        width: of the frames, in pixels.
        height: of the frames, in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._graph: Any = av.filter.Graph()
        source = self._graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("bgr24"), time_base=UNITS["gif"]
        )
        split, sink = self._graph.add("split"), self._graph.add("buffersink")
        palette = self._graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
        use = self._graph.add("paletteuse", "new=1")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(sink)
        self._graph.configure()

    def __call__(self, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
        """The frames that are ready after one more in bgr24; None comes after the last."""
        self._graph.push(frame)
        ready = []
        while True:
            try:
                ready.append(self._graph.pull())
            except (av.BlockingIOError, av.EOFError):
                return ready


def lengthen(path: Path, container: str, units: int) -> None:
    """Patch the last frame's duration, which muxers guess, so that a complete GIF or WebP lasts so many `UNITS`."""
    with path.open("r+b") as file:
        if container == "gif":
            delays = [at + 2 for label, at in _gif_blocks(file) if label == _GIF_CONTROL]
            size, highest = 2, 0xFFFF
        else:
            delays = [at + 12 for name, at, _ in _webp_chunks(file) if name == b"ANMF"]
            size, highest = 3, 0xFFFFFF
        lengths = []
        for at in delays:
            file.seek(at)
            lengths.append(int.from_bytes(file.read(size), "little"))
        if delays:
            file.seek(delays[-1])
            least = int(SHORTEST / UNITS[container])
            file.write(min(max(least, units - sum(lengths[:-1])), highest).to_bytes(size, "little"))


def _gif_blocks(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The blocks (extensions and images) of a GIF: label, and offset of the data."""

    def skip_table(flags: int) -> None:
        if flags & 0x80:
            file.seek(3 * 2 ** ((flags & 7) + 1), 1)

    def skip_data() -> None:
        while (size := file.read(1)) and size[0]:
            file.seek(size[0], 1)

    file.seek(10)
    flags = file.read(3)
    if len(flags) < 3:
        return
    skip_table(flags[0])
    while kind := file.read(1):
        if kind == b"!":
            label, at = file.read(1), file.tell()
            if not label:
                return
            yield label[0], at
            file.seek(at)
            skip_data()
        elif kind == b",":
            yield _GIF_IMAGE, file.tell()
            place = file.read(9)
            if len(place) < 9:
                return
            skip_table(place[8])
            file.seek(1, 1)
            skip_data()
        else:
            return


def _png_frames(file: BinaryIO) -> int:
    """Number of frames of a PNG that has been read up to its first chunk; APNG has it in acTL, before the pixels."""
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        if head[4:] == b"acTL":
            return int.from_bytes(file.read(4))
        file.seek(int.from_bytes(head[:4]) + 4, 1)
    return 1


def _webp_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a WebP: name, offset of the data, and their size."""
    at = 12
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        size = struct.unpack("<I", head[4:])[0]
        yield head[:4], at + 8, size
        at += 8 + size + size % 2
