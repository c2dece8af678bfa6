"""Video files: decoding and encoding through PyAV, with the audio passed through."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.stream import Disposition
from av.video.reformatter import Interpolation, VideoReformatter

from livestyle.errors import InputError, OutputError

from .base import Frame, FrameSink, FrameSource

FORMATS = {".mkv": "matroska", ".m4v": "mp4", ".mov": "mov", ".mp4": "mp4"}
"""The containers that are written, by the suffix of the file's name."""
CRF = "18"
PRESET = "veryfast"

log = logging.getLogger(__name__)

# Without these flags swscale is off by up to two grey levels and takes the nearest chroma sample.
_EXACT = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_UNSPECIFIED = 2
_FULL_RANGE = 2
# Of ffmpeg's AVColorSpace, what swscale knows under its own numbers (SWS_CS_*).
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_MOST_ERRORS = 100
_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Colors:
    """How the numbers of YUV pixels mean colours, in ffmpeg's codes (those of ISO/IEC 23091-2).

    Attributes:
        matrix: AVColorSpace, such as 1 for BT.709 and 6 for BT.601.
        range: 1 is limited (16..235), 2 is full (0..255).
        primaries: AVColorPrimaries.
        transfer: AVColorTransferCharacteristic.
    """

    matrix: int = 1
    range: int = 1
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Colors:
        """Of a decoded frame; what its file does not say is what players assume."""
        matrix = int(frame.colorspace)
        if matrix not in _MATRICES:
            matrix = 1 if frame.width >= 1280 or frame.height > 576 else 6
        is_yuv = len(frame.format.components) >= 3 and not frame.format.is_rgb
        full = is_yuv and frame.color_range == _FULL_RANGE
        return cls(matrix, _FULL_RANGE if full else 1, int(frame.color_primaries), int(frame.color_trc))


@dataclass(frozen=True)
class VideoInfo:
    """What a video file needs to know of its pictures, beside the pictures.

    Attributes:
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
        rate: frames per second, about; the frames' times are what counts.
        time_base: seconds; every frame's time is a multiple of it.
        aspect: width of a pixel divided by its height.
        colors: of the file's pixels.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction = Fraction(1)
    colors: Colors = Colors()


class VideoFileSource(FrameSource):
    """The frames of a video file, upright and with their exact times.

    A display matrix, as phones write it, is applied to the pixels. Times are those of the file; only of streams that
    begin anywhere (MPEG-TS and its like) is the start taken off, from picture and sound alike. While the frames are
    read, the packets of the sound gather in ``audio``. Milliseconds, to which Matroska, WebM and FLV round, become the
    time that was rounded wherever a steady rate fits them.

    Args:
        path: of the file.

    Raises:
        InputError: there is no such file, or no video in it that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.audio: deque[Any] = deque()
        """Packets of ``audio_streams`` that nobody has taken yet, in the order of the file."""
        self.decoded = 0
        self._errors = 0
        self._reached = Fraction(0)
        if not path.is_file():
            raise InputError(f"{path} is a folder, not a video" if path.is_dir() else f"there is no video {path}")
        try:
            self._container: Any = av.open(str(path), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            if isinstance(error, PermissionError):
                raise InputError(f"cannot read {path}: {error.strerror}") from error
            raise InputError(
                f"{path} is not a video that can be read: it is something else, or it was cut off while it was "
                "recorded or copied and lacks its index"
            ) from error
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        # ffmpeg would make a film of any text.
        if not streams or self._container.format.name == "tty":
            raise InputError(f"there is no video in {self.path}, only sound or text")
        self._video = max(streams, key=lambda s: bool(s.disposition & Disposition.default))
        if self._video.codec_context is None:
            raise InputError(f"the video in {self.path} is of an unknown kind: convert it to H.264 first")
        self._video.thread_type = "AUTO"
        self.audio_streams = list(self._container.streams.audio)
        starts_anywhere = self._container.format.name in {"mpegts", "mpeg"}
        start = self._container.start_time if starts_anywhere else 0
        self._start = Fraction(start or 0, av.time_base)

        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise InputError(f"no frame of {self.path} can be decoded: the file is damaged")
        self._first: av.VideoFrame | None = first
        self._size = (first.width, first.height)
        self._matrix = _display_matrix(first)
        self._reformatter = VideoReformatter()
        self._next = Fraction(0)

        turned = self._matrix is not None and _is_turned(self._matrix)
        width, height = self._size[::-1] if turned else self._size
        aspect = self._video.sample_aspect_ratio or Fraction(1)
        rate = self._video.guessed_rate or self._video.average_rate or Fraction(25)
        base = self._video.time_base
        # Matroska, WebM and FLV round to milliseconds, in which there is neither 30 nor 30000/1001.
        begin = Fraction((first.pts or 0) * base)
        self._rounded = base == _MILLISECOND and rate.denominator in {1, 1001} and _steady(begin, rate) is not None
        if self._rounded:
            base = Fraction(1, lcm(1000, rate.numerator))
        self.info = VideoInfo(width, height, rate, base, 1 / aspect if turned else aspect, Colors.of(first))

    @property
    def width(self) -> int:
        return self.info.width

    @property
    def height(self) -> int:
        return self.info.height

    @property
    def expected(self) -> int | None:
        """How many frames the file says it has, about; None where it does not say."""
        if self._video.frames:
            return int(self._video.frames)
        seconds = self._container.duration
        return round(Fraction(seconds, av.time_base) * self.info.rate) if seconds else None

    @property
    def damage(self) -> str | None:
        """One sentence on what could not be read, once the frames are through; None for a sound file."""
        kept = f"{self.decoded} frame{'s' if self.decoded != 1 else ''} could be read"
        duration = self._container.duration
        # Only these carry their duration in a header, elsewhere it is an estimate.
        if duration and any(name in self._container.format.name for name in ("mp4", "matroska", "avi")):
            total = Fraction(duration + (self._container.start_time or 0), av.time_base)
            if total - self._reached > max(Fraction(1, 2), total / 50):
                return f"{self.path} ends at {float(self._reached):.1f} of {float(total):.1f} seconds: {kept}"
        places = f"{self._errors} place{'s' if self._errors != 1 else ''}"
        return f"{self.path} is damaged in {places}: {kept}" if self._errors else None

    def __iter__(self) -> Iterator[Frame]:
        while True:
            frame, self._first = self._first or next(self._frames, None), None
            if frame is None:
                return
            self.decoded += 1
            yield self._picture(frame)

    def _picture(self, frame: av.VideoFrame) -> Frame:
        colors = self.info.colors
        known = not frame.format.is_rgb
        image = self._reformatter.reformat(
            frame,
            *self._size,
            format="bgr24",
            src_colorspace=_MATRICES[colors.matrix] if known else None,
            interpolation=_EXACT,
        ).to_ndarray()
        if self._matrix is not None:
            image = _upright(image, self._matrix)
        duration = Fraction(frame.duration * self._video.time_base)
        if self._rounded and abs(duration - 1 / self.info.rate) < _MILLISECOND:
            duration = 1 / self.info.rate
        return Frame(image, self._time(frame), duration)

    def _time(self, frame: av.VideoFrame) -> Fraction:
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = self._next if stamp is None else Fraction(stamp * self._video.time_base) - self._start
        if self._rounded:
            time = _steady(time, self.info.rate) or time
        self._next = time + 1 / self.info.rate
        return time

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            if packet is not None and packet.stream is not self._video:
                self.audio.append(packet)
                continue
            try:
                frames = self._video.decode(packet)
            except av.FFmpegError:
                self._errors += 1
                continue
            for frame in frames:
                self._errors += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[Any]:
        """Packets of the video and the audio; those of the sound with times that begin at the start; None ends them."""
        streams = [self._video, *self.audio_streams]
        for _ in range(_MOST_ERRORS):
            try:
                for packet in self._container.demux(streams):
                    if packet.size == 0:
                        continue
                    if packet.pts is not None:
                        end = (packet.pts + (packet.duration or 0)) * packet.time_base
                        self._reached = max(self._reached, end)
                    if packet.stream is not self._video:
                        _shift(packet, -self._start)
                    yield packet
                break
            except av.FFmpegError:
                # What comes after a damaged place may be sound.
                self._errors += 1
        yield None

    def close(self) -> None:
        self._container.close()


class VideoFileSink(FrameSink):
    """A video file in H.264 (libx264, yuv420p), which appears under its name when it is complete.

    H.264 in this layout, the one that every player shows, has even sizes: an odd width or height gets one more column
    or row, a copy of the last one, and nothing is stretched. Times are kept as they are given, as far as the container
    can hold them (Matroska rounds to milliseconds). The audio of ``source`` is copied packet by packet.

    Args:
        path: where to; the suffix, one of `FORMATS`, chooses the container. A file that is there is replaced.
        info: of the frames to come.
        source: whose audio to copy, as far as it has been read; None for a silent film.

    Raises:
        OutputError: the file cannot be written there.
    """

    def __init__(self, path: Path, info: VideoInfo, source: VideoFileSource | None = None) -> None:
        if path.suffix.lower() not in FORMATS:
            raise OutputError(f"cannot write {path}: end the name with one of {' '.join(sorted(FORMATS))}")
        self.path = path
        self.info = info
        self._source = source
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        self._last = -1 << 62
        self._audio_ends: dict[int, int] = {}
        self._reformatter = VideoReformatter()
        audio = source.audio_streams if source else []
        try:
            try:
                self._start(audio)
            except (av.FFmpegError, ValueError):
                if not audio:
                    raise
                self._drop_file()
                self._warn_of_silence(audio)
                self._start([])
        except (av.FFmpegError, OSError, ValueError) as error:
            self._drop_file()
            raise self._failure(error) from error

    def _start(self, audio: list[Any]) -> None:
        info, colors = self.info, self.info.colors
        name = FORMATS[self.path.suffix.lower()]
        options = {}
        if name != "matroska":
            # The index in front lets a browser play the file while it loads. Without the finer scale, the time of the
            # first frame would be rounded to milliseconds.
            scale = info.time_base.denominator
            options = {"movflags": "+faststart", "movie_timescale": str(scale * ceil(1000 / scale))}
        self._container: Any = av.open(str(self._partial), "w", format=name, container_options=options)
        self._stream = self._container.add_stream(
            "libx264",
            rate=info.rate,
            time_base=info.time_base,
            options={"crf": CRF, "preset": PRESET},
            width=info.width + info.width % 2,
            height=info.height + info.height % 2,
        )
        context = self._stream.codec_context
        context.pix_fmt = "yuv420p"
        context.flags |= Flags.frame_duration
        context.sample_aspect_ratio = info.aspect
        context.colorspace = colors.matrix
        context.color_range = colors.range
        context.color_primaries = colors.primaries
        context.color_trc = colors.transfer
        self._copies: dict[int, Any] = {}
        refused = []
        for stream in audio:
            try:
                if stream.codec_context is None:
                    raise ValueError("of an unknown kind")
                copy = self._container.add_stream_from_template(stream)
            except ValueError:
                refused.append(stream)
                continue
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
            self._copies[stream.index] = copy
        self._container.start_encoding()
        if refused:
            self._warn_of_silence(refused)

    def _warn_of_silence(self, streams: list[Any]) -> None:
        names = ", ".join(s.codec_context.name if s.codec_context else "unknown" for s in streams)
        hint = "" if self.path.suffix.lower() == ".mkv" else "; .mkv carries more kinds"
        log.warning("%s cannot carry this audio of its source, which is left out: %s%s", self.path, names, hint)

    def write(self, image: np.ndarray, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """Take the next frame.

        Args:
            image: uint8 [H, W, 3] BGR, of the size that was announced.
            time: seconds; a frame that is not later than the one before is moved just behind it.
            duration: seconds that it is shown, which matters for the last frame; 0 is that of the frame rate.

        Raises:
            OutputError: the file cannot be written any more.
        """
        colors = self.info.colors
        image = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(image, format="bgr24"),
            format="yuv420p",
            dst_colorspace=_MATRICES[colors.matrix],
            dst_color_range=colors.range,
            interpolation=_EXACT,
        )
        self._last = max(round(time / self.info.time_base), self._last + 1)
        frame.pts, frame.time_base = self._last, self.info.time_base
        frame.duration = max(1, round((duration or 1 / self.info.rate) / self.info.time_base))
        try:
            self._copy_audio()
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def _copy_audio(self) -> None:
        while self._source and self._source.audio:
            packet = self._source.audio.popleft()
            copy = self._copies.get(packet.stream.index)
            if copy is None or packet.dts is None:
                continue
            # Damaged files repeat times, which no container takes.
            end = self._audio_ends.get(copy.index)
            if end is not None and packet.dts <= end:
                _shift(packet, (end + 1 - packet.dts) * packet.time_base)
            self._audio_ends[copy.index] = packet.dts
            packet.stream = copy
            self._container.mux(packet)

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            OutputError: that was not possible; nothing is left.
        """
        try:
            self._copy_audio()
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._partial.replace(self.path)
        except BaseException as error:
            self.abort()
            if isinstance(error, (av.FFmpegError, OSError)):
                raise self._failure(error) from error
            raise

    def abort(self) -> None:
        self._drop_file()

    def _drop_file(self) -> None:
        if hasattr(self, "_container"):
            # It writes its end, which may fail as well; it must not hold the file open when that is removed.
            with contextlib.suppress(Exception):
                self._container.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(f"cannot write {self.path}: {reason}")


def _steady(time: Fraction, rate: Fraction) -> Fraction | None:
    """The time in frames of a steady rate that, rounded to milliseconds, gives ``time``; None where there is none."""
    exact = round(time * rate) / rate
    return exact if abs(exact - time) <= _MILLISECOND / 2 else None


def _shift(packet: Any, seconds: Fraction) -> None:
    ticks = round(seconds / packet.time_base)
    if ticks:
        packet.pts = packet.pts + ticks if packet.pts is not None else None
        packet.dts = packet.dts + ticks if packet.dts is not None else None


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """The upper left 2 x 2 of the frame's display matrix: [[a, b], [c, d]], x' = a x + c y, y' = b x + d y."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2]


def _is_turned(matrix: np.ndarray) -> bool:
    size = abs(matrix.astype(np.int64))
    return bool(size[0, 1] + size[1, 0] > size[0, 0] + size[1, 1])


def _upright(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The image as the matrix shows it, to the nearest quarter turn."""
    if _is_turned(matrix):
        image = image.transpose(1, 0, 2)
        flip_x, flip_y = matrix[1, 0] < 0, matrix[0, 1] < 0
    else:
        flip_x, flip_y = matrix[0, 0] < 0, matrix[1, 1] < 0
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])
