"""Writing of video files through PyAV: encoding, muxing, and the remux of all that accompanies the images."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np

from livestyle.errors import OutputError, stage, stage_of
from livestyle.files import partial_path
from livestyle.media.frames import FrameSource, VideoSink
from livestyle.results import flush_to_disk, publish

from .animation import SHORTEST, lengthen, loop_option
from .boxes import add_to_track
from .captions import WRITTEN, with_captions
from .codecs import ANIMATIONS, Encoding, container_of, ordinary_scheduling
from .encoder import EncoderSetup, PacketSource, VideoEncoder
from .info import VideoInfo
from .reader import VideoReader
from .remux import Remuxer, muxer_options

_COPYING = "copying sound and subtitles"

log = logging.getLogger(__name__)


class Survey(NamedTuple):
    """Descriptions of what of a source is copied, what is transcoded or changed, and what is left out."""

    kept: list[str]
    converted: list[str]
    left_out: list[str]


class VideoWriter(VideoSink):
    """Writer of a video file, which appears under its name when it is complete.

    Codecs need even sizes: an odd width or height gets one more column or row, a copy of the last one, and nothing is
    stretched. Times are kept as they are given, as far as the container can hold them: Matroska and WebM round to
    milliseconds, GIF to hundredths of a second. Sound, subtitles, chapters and metadata of ``source`` are remuxed; one
    warning names what the container cannot carry.

    GIF and WebP keep their size. They loop as often as their source, or for ever where it is another kind of video.
    Frames that follow one another in less than 20 ms, which browsers slow down, are thinned out.

    Args:
        path: of the file; the suffix, one of `FORMATS`, chooses the container.
        info: of the frames to come.
        source: whose other streams to copy, as far as it has been read; one that is not a `VideoReader` has none.
        encoding: of the images.
        stream: where to write instead, as Matroska; ``path`` is then what errors call it.
        partial: where the file grows until it is complete, on the same disk; None is beside ``path``.
        encoder: makes the packets from the frames, given what makes a `VideoEncoder`; None is one of these.
        replace: whether a file that is there at the end is replaced; otherwise `path` becomes another one, see
            `livestyle.results.publish`.
        complete: called when the file is complete, before it gets its name.

    Raises:
        InputError: the quality is out of the codec's range.
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
        encoder: Callable[[Callable[[], PacketSource]], PacketSource] | None = None,
        replace: bool = True,
        complete: Callable[[], object] | None = None,
    ) -> None:
        container = container_of(path, encoding) if stream is None else "matroska"
        self.path = path
        self._setup = EncoderSetup.of(container, encoding, info)
        self._source_bits: int = getattr(source, "bits", 8)
        self._is_depth_given = encoding.bits != "auto"
        self._file = stream
        self._source = source if isinstance(source, VideoReader) else None
        self._is_animation = container in ANIMATIONS
        self._partial = partial or partial_path(path)
        self._replace = replace
        self._complete = complete
        self._container: Any = None
        self._first: int | None = None
        self._begun: int | None = None
        self._captions: dict[int, bytes] = {}
        self._last = self._end = -1 << 62
        try:
            self._open()
            self._encoder = (
                encoder(lambda: VideoEncoder(self._setup))
                if encoder
                else VideoEncoder(self._setup, self._stream.codec_context)
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            self.abort()
            if isinstance(error, ValueError) and getattr(error, "errno", errno.EINVAL) == errno.EINVAL:
                setup = self._setup
                raise OutputError(
                    f"cannot write {self.path}: {setup.encoder.name} takes no frames of {setup.width}x{setup.height} "
                    f"at {float(setup.rate):.6g} a second ({getattr(error, 'strerror', None) or error}): "
                    "choose another codec, size or rate",
                    setting=("codec", "size", "fps"),
                ) from error
            raise self._failure(error) from error

    def _open(self) -> None:
        setup, source = self._setup, self._source
        options = muxer_options(setup.container, setup.time_base, source.metadata if source else {})
        if self._is_animation:
            plays = source.plays if source else None
            options["loop"] = loop_option(setup.container, plays or 0)
        # FFmpeg takes a name with a colon for an address otherwise.
        target = self._file or f"file:{self._partial}"
        self._container = av.open(target, "w", format=setup.container, container_options=options)
        self._stream: Any = self._container.add_stream(
            setup.encoder.name, rate=setup.encoder_rate, hwaccel=setup.encoder.hwaccel
        )
        setup.configure(self._stream.codec_context)
        self._remuxer = Remuxer(self._container, self._stream, source, setup.rate) if source else None
        with ordinary_scheduling():
            self._container.start_encoding()
        if self.warning:
            log.warning("%s", self.warning)

    @property
    def warning(self) -> str | None:
        """What of the source is left out or transcoded, in one sentence; None where all is copied."""
        said = [self._remuxer.warning] if self._remuxer and self._remuxer.warning else []
        bits = self._setup.bits
        if self._source_bits > bits and not self._is_depth_given:
            said.append(f"has {bits} of its source's {self._source_bits} bits a channel")
        if bits > 8 and self._setup.codec == "h264" and not self._is_depth_given:
            said.append(
                f"has {bits} bits a channel in H.264, which few players show: more show HEVC's and AV1's, all 8 bits"
            )
        if failure := self._failures:
            said.append(failure)
        return f"{self.path} {' and '.join(said)}" if said else None

    @property
    def survey(self) -> Survey:
        """What becomes of all that accompanies the images, as far as it is known before they are read."""
        remuxer = self._remuxer
        survey = Survey(remuxer.kept, remuxer.converted, remuxer.left_out) if remuxer else Survey([], [], [])
        before, after = self._source_bits, self._setup.bits
        if before > 8:
            (survey.converted if after < before else survey.kept).append(
                f"{before} bits as {after}" if after < before else f"{before} bits"
            )
        if self._source and self._source.is_captioned:
            (survey.kept if self._setup.codec in WRITTEN else survey.left_out).append("closed captions")
        return survey

    @property
    def _failures(self) -> str | None:
        found = [*self._remuxer.failures] if self._remuxer else []
        if self._source and self._source.captions:
            found.append("closed captions")
        return f"lacks some of these of its source: {', '.join(found)}" if found else None

    def write(self, image: np.ndarray, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """Encode and write the next frame.

        Args:
            image: uint8 or uint16 [H, W, 3] BGR, of the size that was announced.
            time: seconds; a frame that is not later than the one before is moved just behind it.
            duration: seconds that it is shown, which matters for the last frame; 0 is that of the frame rate.

        Raises:
            OutputError: the file cannot be written any more.
        """
        base = self._setup.time_base
        pts = round(time / base)
        ticks = max(1, round((duration or 1 / self._setup.rate) / base))
        self._end = max(self._end, pts + ticks)
        is_too_early = self._is_animation and self._first is not None and pts - self._last < SHORTEST / base
        try:
            self._remux()
            if not is_too_early:
                self._last = max(pts, self._last + 1)
                self._first = self._last if self._first is None else self._first
                if self._source and self._setup.codec in WRITTEN and time in self._source.captions:
                    self._captions[self._last] = self._source.captions.pop(Fraction(time))
                with stage("encoding"):
                    packets = self._encoder.encode(image, self._last, ticks)
                self._mux(packets)
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def flush(self) -> None:
        """Write the packets that the encoder still holds back; frames may follow if it is one that can go on.

        Raises:
            OutputError: the file cannot be written any more.
        """
        try:
            with stage("encoding"):
                packets = self._encoder.flush()
            self._hold(packets)
            self._mux(packets)
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def _hold(self, packets: list[av.Packet[Any]]) -> None:
        """Let the last packet last until the video ends.

        MP4 adds durations up in decoding order, in which a B-frame may come last, and the track would be too short.
        """
        if not packets or self._first is None or self._setup.container not in ("mp4", "mov"):
            return
        last = packets[-1]
        begun = self._begun if self._begun is not None else packets[0].dts
        if last.pts is not None and last.dts is not None and begun is not None:
            left = self._end - self._first - (last.dts - begun)
            last.duration = max(last.duration or 0, min(left, self._end - last.pts))

    def _mux(self, packets: Iterable[av.Packet[Any]]) -> None:
        for plain in packets:
            self._begun = plain.dts if self._begun is None else self._begun
            packet = self._captioned(plain)
            packet.stream = self._stream
            packet.time_base = self._stream.codec_context.time_base
            self._container.mux(packet)

    def _captioned(self, packet: av.Packet[Any]) -> av.Packet[Any]:
        """A packet with the closed captions of its frame, if that has any."""
        captions = None if packet.pts is None else self._captions.pop(packet.pts, None)
        if captions is None:
            return packet
        new: av.Packet[Any] = av.Packet(with_captions(bytes(packet), captions, self._setup.codec or ""))
        new.pts, new.dts, new.duration, new.is_keyframe = packet.pts, packet.dts, packet.duration, packet.is_keyframe
        return new

    def _remux(self) -> None:
        while self._source and self._remuxer and self._source.packets:
            with stage(_COPYING):
                self._remuxer.mux(self._source.packets.popleft())

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            OutputError: that was not possible; nothing is left.
        """
        try:
            with stage("writing"):
                self._finish()
        except BaseException as error:
            self.abort()
            if isinstance(error, (av.FFmpegError, OSError)):
                raise self._failure(error) from error
            raise

    def _finish(self) -> None:
        self._remux()
        if self._remuxer:
            with stage(_COPYING):
                self._remuxer.finish()
        self.flush()
        self._container.close()
        if self._failures:
            log.warning("%s %s", self.path, self._failures)
        if self._remuxer and self._remuxer.spherical:
            add_to_track(self._partial, self._remuxer.spherical)
        if self._file is None:
            if self._is_animation and self._first is not None:
                lengthen(self._partial, self._setup.container, self._end - self._first)
            flush_to_disk(self._partial)
            if self._complete:
                self._complete()
            self.path = publish(self._partial, self.path, replace=self._replace)

    def abort(self) -> None:
        if self._container is not None:
            # Closing writes the trailer, which may fail as well; on Windows an open file cannot be deleted.
            with contextlib.suppress(Exception):
                self._container.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> OutputError:
        if isinstance(error, BrokenPipeError):
            return OutputError(f"{self.path} was closed by its reader before the film was complete")
        reason = getattr(error, "strerror", None) or str(error)
        where = f", in {found}" if (found := stage_of(error)) not in (None, "writing") else ""
        return OutputError(f"cannot write {self.path}: {reason}{where}")
