"""Writing video files through PyAV."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from livestyle.errors import OutputError
from livestyle.media.frames import FrameSource, VideoSink

from .animation import SHORTEST, UNITS, Palettes, lengthen, loop_option
from .codecs import ANIMATIONS, Encoding, container_of, find_encoder, ordinary_scheduling
from .info import VideoInfo
from .pixel_formats import Packer
from .reader import VideoReader
from .remux import Remuxer, muxer_options

log = logging.getLogger(__name__)


class VideoWriter(VideoSink):
    """A video file, which appears under its name when it is complete.

    Codecs have even sizes: an odd width or height gets one more column or row, a copy of the last one, and nothing is
    stretched. Times are kept as they are given, as far as the container can hold them: Matroska and WebM round to
    milliseconds, GIF to hundredths of a second. All that goes with the pictures of ``source`` is copied, or else named
    in one warning.

    GIF and WebP keep their size. They are shown as often as their source, or for ever where it is another film. Frames
    that follow one another in less than 20 ms, which browsers do not show as fast, are thinned out.

    Args:
        path: where to; the suffix, one of `FORMATS`, chooses the container. A file that is there is replaced.
        info: of the frames to come.
        source: what else to copy, as far as it has been read; one that is not a video file has nothing to copy.
        encoding: of the pictures.
        stream: where to instead, as Matroska; ``path`` is then what errors call it.
        partial: where the file grows until it is complete, on the same disk; None is beside ``path``.

    Raises:
        OutputError: the file cannot be written there, or not with this encoding.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        source: FrameSource | None = None,
        encoding: Encoding = Encoding(),  # noqa: B008 (it cannot be changed)
        *,
        stream: BinaryIO | None = None,
        partial: Path | None = None,
    ) -> None:
        self._format = container_of(path, encoding) if stream is None else "matroska"
        encoding = encoding.within(self._format)
        self.path = path
        self.info = info
        self._file = stream
        self._source = source if isinstance(source, VideoReader) else None
        self._is_animation = self._format in ANIMATIONS
        odd = (0, 0) if self._is_animation else (info.width % 2, info.height % 2)
        self._width, self._height = info.width + odd[0], info.height + odd[1]
        self._time_base = UNITS.get(self._format, info.time_base)
        self._codec = encoding.codec
        self._encoder = find_encoder(self._format, encoding, self._width, self._height)
        # ProRes does not say which range it has.
        self._colors = replace(info.colors, range=1) if encoding.codec == "prores" else info.colors
        self._palettes = Palettes(self._width, self._height) if self._format == "gif" else None
        self._pack = Packer("bgr24" if self._palettes else self._encoder.pixel_format, self._colors)
        self._partial = partial or path.with_name(f".{path.name}.{os.getpid()}.partial")
        self._begin: int | None = None
        self._last = self._end = -1 << 62
        try:
            self._open()
        except (av.FFmpegError, OSError, ValueError) as error:
            self._drop_file()
            raise self._failure(error) from error

    def _open(self) -> None:
        info, source, encoder = self.info, self._source, self._encoder
        options = muxer_options(self._format, info.time_base, source.metadata if source else {})
        if self._is_animation:
            plays = source.plays if source else None
            options["loop"] = loop_option(self._format, plays or 0)
        target = self._file or str(self._partial)
        self._container: Any = av.open(target, "w", format=self._format, container_options=options)
        self._stream: Any = self._container.add_stream(encoder.name, rate=info.rate, hwaccel=encoder.hwaccel)
        self._configure(self._stream.codec_context)
        self._companions = Remuxer(self._container, self._stream, source) if source else None
        with ordinary_scheduling():
            self._container.start_encoding()
        if self._companions and self._companions.warning:
            log.warning("%s %s", self.path, self._companions.warning)

    def _configure(self, context: Any) -> None:
        """Set up an encoder's context."""
        info, colors = self.info, self._colors
        context.width, context.height = self._width, self._height
        context.framerate, context.time_base = info.rate, self._time_base
        context.sample_aspect_ratio = info.aspect
        if not self._is_animation:
            context.colorspace, context.color_range = colors.matrix, colors.range
            context.color_primaries, context.color_trc = colors.primaries, colors.transfer
        if self._codec == "hevc" and self._format in ("mp4", "mov"):
            # Apple's players know no other.
            context.codec_tag = "hvc1"
        self._encoder.configure(context)

    def write(self, image: np.ndarray, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """Take the next frame.

        Args:
            image: uint8 [H, W, 3] BGR, of the size that was announced.
            time: seconds; a frame that is not later than the one before is moved just behind it.
            duration: seconds that it is shown, which matters for the last frame; 0 is that of the frame rate.

        Raises:
            OutputError: the file cannot be written any more.
        """
        tick = round(time / self._time_base)
        ticks = max(1, round((duration or 1 / self.info.rate) / self._time_base))
        self._end = max(self._end, tick + ticks)
        if self._is_animation and self._begin is not None and tick - self._last < SHORTEST / self._time_base:
            self._copy_companions()
            return
        frame = self._frame(image)
        self._last = max(tick, self._last + 1)
        self._begin = self._last if self._begin is None else self._begin
        frame.pts, frame.time_base, frame.duration = self._last, self._time_base, ticks
        try:
            self._copy_companions()
            for ready in self._palettes(frame) if self._palettes else [frame]:
                self._container.mux(self._encode(ready))
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def _frame(self, image: np.ndarray) -> av.VideoFrame:
        """A picture as the encoder takes it."""
        right, below = self._width - image.shape[1], self._height - image.shape[0]
        if right or below:
            image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
        return self._pack(image)

    def _encode(self, frame: av.VideoFrame | None) -> list[Any]:
        """The packets that an encoder has after one more frame; None comes after the last."""
        return list(self._stream.encode(frame))

    def _copy_companions(self) -> None:
        while self._source and self._companions and self._source.packets:
            self._companions.mux(self._source.packets.popleft())

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            OutputError: that was not possible; nothing is left.
        """
        try:
            self._copy_companions()
            if self._companions:
                self._companions.finish()
            for frame in self._palettes(None) if self._palettes else []:
                self._container.mux(self._encode(frame))
            self._container.mux(self._encode(None))
            self._container.close()
            if self._file is None:
                if self._is_animation and self._begin is not None:
                    lengthen(self._partial, self._format, self._end - self._begin)
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
        if isinstance(error, BrokenPipeError):
            return OutputError(f"{self.path} was closed by its reader before the film was complete")
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(f"cannot write {self.path}: {reason}")
