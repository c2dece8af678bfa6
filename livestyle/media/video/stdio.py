"""Videos through standard input and output: raw frames, and containers that need no seeking."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from livestyle.errors import InputError, OutputError
from livestyle.limits import LIMITS, check, check_area, shown
from livestyle.media.frames import Frame, FrameSource, VideoSink, VideoSource

from .codecs import Encoding
from .info import VideoInfo
from .reader import VideoReader
from .writer import VideoWriter

STDIO = Path("-")
"""Path that stands for standard input or output."""
PIXEL_FORMATS = ("bgr24", "rgb24")
"""Of raw frames, in FFmpeg's names; the first one is the default."""

_INPUT = Path("standard input")
_OUTPUT = Path("standard output")


class RawFormat(NamedTuple):
    """Format of raw frames: width and height in pixels, frames per second, one of `PIXEL_FORMATS`."""

    width: int
    height: int
    rate: Fraction
    pixel_format: str = PIXEL_FORMATS[0]

    def __str__(self) -> str:
        return f"{self.width}x{self.height}@{self.rate}"


class RawReader(VideoSource):
    """Reader of raw frames (rawvideo): pixels without any container, at a constant rate.

    Args:
        stream: of bytes.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        rate: frames per second.
        pixel_format: one of `PIXEL_FORMATS`.

    Raises:
        InputError: the pixel format is another.
    """

    def __init__(self, stream: BinaryIO, width: int, height: int, rate: Fraction, pixel_format: str = "bgr24") -> None:
        _check_pixel_format(pixel_format)
        self.info = VideoInfo(width, height, rate, 1 / rate)
        self.decoded = self.concealed = 0
        self._damage: str | None = None
        self._stream = stream
        self._is_rgb = pixel_format == "rgb24"

    @property
    def expected(self) -> int | None:
        return None

    @property
    def damage(self) -> str | None:
        return self._damage

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in the order of their time.

        Raises:
            InputError: there is not even one.
        """
        shape = (self.height, self.width, 3)
        size = self.height * self.width * 3
        while len(data := self._read(size)) == size:
            image = np.frombuffer(data, np.uint8).reshape(shape)
            if self._is_rgb:
                image = np.ascontiguousarray(image[:, :, ::-1])
            time = self.decoded / self.info.rate
            self.decoded += 1
            yield Frame(image, time, 1 / self.info.rate)
        if not self.decoded:
            raise InputError(
                f"{_INPUT} gave {len(data)} bytes, and a frame of {self.width}x{self.height} has {size}: "
                "check the size, and what writes to the pipe"
            )
        if data:
            self._damage = f"{_INPUT} ended within a frame: {self.decoded} frames could be read"

    def _read(self, size: int) -> bytearray:
        """So many bytes, fewer only at the end: one read of a pipe may return less."""
        data = bytearray()
        while len(data) < size and (more := self._stream.read(size - len(data))):
            data += more
        return data

    def close(self) -> None:
        """The stream belongs to the caller and stays open."""


class RawWriter(VideoSink):
    """Writer of raw frames (rawvideo): pixels without any container; their times are lost.

    Args:
        stream: of bytes.
        pixel_format: one of `PIXEL_FORMATS`.

    Raises:
        InputError: the pixel format is another.
    """

    def __init__(self, stream: BinaryIO, pixel_format: str = "bgr24") -> None:
        _check_pixel_format(pixel_format)
        self._stream = stream
        self._is_rgb = pixel_format == "rgb24"

    def write(self, image: np.ndarray, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """Write the next frame, uint8 [H, W, 3] BGR, whatever its time.

        Raises:
            OutputError: the reader has closed the pipe, or the disk behind it is full.
        """
        try:
            self._stream.write((image[:, :, ::-1] if self._is_rgb else image).tobytes())
        except OSError as error:
            raise _failure(error) from error

    def close(self) -> None:
        """Flush the stream.

        Raises:
            OutputError: the reader has closed the pipe, or the disk behind it is full.
        """
        try:
            self._stream.flush()
        except OSError as error:
            raise _failure(error) from error

    def abort(self) -> None:
        """Nothing to do: what was written to a pipe cannot be taken back."""


def read_pipe(
    stream: BinaryIO,
    start: Fraction | None = None,
    end: Fraction | None = None,
    *,
    track: int | None = None,
    deinterlace: str = "auto",
    tone_map: str = "auto",
    deep: bool = False,
) -> VideoReader:
    """Reader of a piped video, in any container that needs no seeking: Matroska, NUT, MPEG-TS, fragmented MP4 ...

    Args:
        stream: of bytes.
        start: as of `VideoReader`; what lies before it is decoded and dropped.
        end: as of `VideoReader`.
        track: as of `VideoReader`.
        deinterlace: as of `VideoReader`.
        tone_map: as of `VideoReader`.
        deep: as of `VideoReader`.

    Raises:
        InputError: it is no such video, see `VideoReader`.
    """
    how: dict[str, Any] = {"track": track, "deinterlace": deinterlace, "tone_map": tone_map, "deep": deep}
    return VideoReader(_INPUT, start, end, stream=stream, **how)


def write_pipe(
    stream: BinaryIO,
    info: VideoInfo,
    source: FrameSource | None = None,
    encoding: Encoding = Encoding(),  # noqa: B008 (it cannot be changed)
) -> VideoWriter:
    """Writer of a piped video, in Matroska, which carries all codecs, sound and subtitles and needs no seeking.

    Args:
        stream: of bytes.
        info: as of `VideoWriter`.
        source: as of `VideoWriter`.
        encoding: as of `VideoWriter`.

    Raises:
        OutputError: it cannot be written.
    """
    return VideoWriter(_OUTPUT, info, source, encoding, stream=stream)


def open_stdin() -> BinaryIO:
    """Standard input, binary.

    Raises:
        InputError: it is a terminal, or closed.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed: pipe a film into livestyle, or name a file")
    if sys.stdin.isatty():
        raise InputError("standard input is the keyboard: pipe a film into livestyle, or name a file")
    return sys.stdin.buffer


def open_stdout() -> BinaryIO:
    """Standard output, binary and unbuffered: Python would fail to flush a buffer at exit when the reader has gone.

    Raises:
        OutputError: it is a terminal, or closed.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed: pipe it into a program that takes a film, or name a file")
    if sys.stdout.isatty():
        raise OutputError("standard output is a terminal: pipe it into a program that takes a film, or name a file")
    sys.stdout.flush()
    stream: Any = _Unbuffered(sys.stdout.fileno())
    return stream  # type: ignore[no-any-return]


def is_pipe(path: Path) -> bool:
    """Whether a path is `STDIO` or a named pipe (FIFO): both are read or written once, from beginning to end."""
    if path == STDIO:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_stdout(path: Path) -> bool:
    """Whether what is written there goes to standard output: `STDIO`, or its pipe by a name such as /dev/stdout."""
    if path == STDIO:
        return True
    try:
        return is_pipe(path) and os.path.samestat(path.stat(), os.fstat(1))
    except OSError:
        return False


def open_input(path: Path) -> BinaryIO:
    """Pipe to read, binary: standard input or a named one, which waits for its writer.

    Raises:
        InputError: it is a terminal, or cannot be read.
    """
    if path == STDIO:
        return open_stdin()
    try:
        return _NamedInput(io.FileIO(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def open_output(path: Path) -> BinaryIO:
    """Pipe to write, binary and unbuffered: standard output or a named one, which waits for its reader.

    Raises:
        OutputError: it is a terminal, or cannot be written.
    """
    if path == STDIO:
        return open_stdout()
    try:
        stream: Any = _Unbuffered(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return stream  # type: ignore[no-any-return]


class _NamedInput(io.BufferedReader):
    """Named pipe that is closed when nobody reads it any more."""

    def __del__(self) -> None:
        self.close()


class _Unbuffered:
    """Unbuffered file whose `write` takes all of the bytes; that of a raw file may write only some.

    Args:
        file: number of a descriptor, which stays open, or path of a named pipe, which ends with this object.
    """

    def __init__(self, file: int | Path) -> None:
        self._raw = open(file, "wb", buffering=0, closefd=isinstance(file, Path))  # noqa: SIM115
        self._is_ours = isinstance(file, Path)

    def __del__(self) -> None:
        if getattr(self, "_is_ours", False):
            self._raw.close()

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[self._raw.write(rest) or 0 :]
        return len(data)

    def flush(self) -> None:
        """There is nothing to flush."""


def parse_raw(text: str) -> RawFormat:
    """Format from a text such as 640x360@30, 640x360@30000/1001 or 640x360@30:rgb24.

    Raises:
        InputError: it is none.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})@([1-9]\d{0,8}(?:\.\d{1,9}|/[1-9]\d{0,8})?)(?::(\w+))?", text)
    if not found:
        raise InputError(
            f"{shown(text)} does not say how raw frames are: write WIDTHxHEIGHT@RATE, such as 640x360@30, "
            "or 640x360@30:rgb24"
        )
    pixel_format = found[4] or PIXEL_FORMATS[0]
    _check_pixel_format(pixel_format)
    width, height, rate = int(found[1]), int(found[2]), Fraction(found[3])
    check("fps", rate, "raw frames come at a rate above 0 and up to 1000")
    if not check_area(width, height):
        raise InputError(f"raw frames have {LIMITS['pixels'].high} pixels at most, not {width}x{height}")
    return RawFormat(width, height, rate, pixel_format)


def _check_pixel_format(name: str) -> None:
    if name not in PIXEL_FORMATS:
        raise InputError(f"raw frames cannot be {name}: choose one of {', '.join(PIXEL_FORMATS)}")


def _failure(error: OSError) -> OutputError:
    if isinstance(error, BrokenPipeError):
        return OutputError(f"{_OUTPUT} was closed by its reader before the film was complete")
    return OutputError(f"cannot write {_OUTPUT}: {error.strerror or error}")
