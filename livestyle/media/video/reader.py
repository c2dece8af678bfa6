"""Reading of video files through PyAV: the frames, and the packets of all other streams."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from math import lcm
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.stream import Disposition

from livestyle.errors import InputError
from livestyle.media.frames import Frame, VideoSource

from .animation import UNITS, is_animated_webp, read_plays, read_webp
from .cut import Cut
from .info import VideoInfo
from .pixel_formats import Colors, Unpacker
from .timestamps import Timestamps

_MOST_ERRORS = 100
_BACK = (0, 5, 30)
"""Seconds before a start to seek to, one after the other, until a key frame lies before the start."""
_AFTER = 2
"""Seconds after an end in which sound and subtitles from before it may still follow: streams are interleaved."""
_FINEST = 10_000_000
"""No time base has a greater denominator."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """A decoded frame, when it is shown and how long, in seconds; concealed: it stands in for a damaged one."""

    frame: av.VideoFrame
    time: Fraction
    duration: Fraction
    concealed: bool = False


class VideoReader(VideoSource):
    """The frames of a video file, upright and with their exact times.

    The display matrix, as phones write it, is applied to the pixels. More than 8 bits per channel are rounded to 8; HDR
    is not tone-mapped, and its colours keep their tags. Transparency is laid over white, as in images. GIF and animated
    WebP are videos too; a WebP is held in memory as a whole.

    Times are those of the file; only of transport streams, whose clock starts anywhere, is the start taken off, from
    images and sound alike. Milliseconds, to which Matroska, WebM and FLV round, become the exact times of a steady rate
    wherever one fits them.

    A frame that is damaged or missing is concealed: the last good one stays for its time. While the frames are read,
    the packets of all other ``streams`` gather in ``packets``.

    Args:
        path: of the file; with a stream, what errors call it.
        start: seconds of the video. The first frame is the first one that begins there or later, and all times count
            from there.
        end: seconds of the video. The last frame is the last one that begins before it.
        stream: the bytes of the file, of a pipe for instance.
        video_only: leave ``streams``, ``attachments`` and ``packets`` empty: nobody copies the sound.

    Raises:
        InputError: there is no such file, no video in it that can be decoded, or no frame between start and end.
    """

    def __init__(
        self,
        path: Path,
        start: Fraction | None = None,
        end: Fraction | None = None,
        *,
        stream: BinaryIO | None = None,
        video_only: bool = False,
    ) -> None:
        if start is not None and start < 0:
            raise InputError(f"a film begins at 0 seconds, not at {float(start):g}")
        if end is not None and end <= (start or 0):
            raise InputError(
                f"nothing lies between {float(start or 0):g} and {float(end):g} seconds: end after the start"
            )
        self.path = path
        self.streams: list[Any] = []
        """Of PyAV: sound, subtitles and covers."""
        self.attachments: list[Any] = []
        """Of PyAV: fonts and other files."""
        self.packets: deque[Any] = deque()
        """Packets of ``streams`` that nobody has taken yet, in the order of the file, cut to start and end."""
        self.metadata: dict[str, str] = {}
        """Tags of the file."""
        self.video_metadata: dict[str, str] = {}
        """Tags of the video stream."""
        self.video_disposition = Disposition.default
        self.chapters: list[Any] = []
        """As PyAV has them, cut to start and end."""
        self.plays: int | None = None
        """How often a GIF or WebP is shown, 0 for ever; None for other files."""
        self.decoded = 0
        self.concealed = 0
        self._cut = Cut(start or None, end)
        self._stream = stream
        self._video_only = video_only
        self._container: Any = None
        self._errors = self._places = 0
        self._reached = Fraction(0)
        self._promised: Fraction | None = None
        self._is_over = self._is_through = False
        try:
            if stream is None and self._is_webp():
                self._open_webp()
            else:
                self._connect()
                self._open()
        except BaseException:
            self.close()
            raise

    def _is_webp(self) -> bool:
        path = self.path
        if not path.is_file():
            raise InputError(f"{path} is a folder, not a video" if path.is_dir() else f"there is no video {path}")
        try:
            self.plays = read_plays(path)
            return is_animated_webp(path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error

    def _open_webp(self) -> None:
        frames = read_webp(self.path)
        self._length: Fraction | None = sum(frame.duration for frame in frames) * UNITS["webp"]
        self._count = len(frames)
        rate = len(frames) / self._length if self._length else Fraction(10)
        self._clock = Timestamps(UNITS["webp"], rate.limit_denominator(1001))
        self._set_up(frames[0], Fraction(1))
        self._begin(self._shown(frame) for frame in frames)

    def _connect(self) -> None:
        try:
            file = self._stream or str(self.path)
            self._container = av.open(file, "r", metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            if isinstance(error, PermissionError):
                raise InputError(f"cannot read {self.path}: {error.strerror}") from error
            raise InputError(
                f"{self.path} is not a video that can be read: it is something else, or it was cut off while it was "
                "recorded or copied and lacks its index"
                + (", or it is an MP4 with the index at its end, which no pipe can carry" if self._stream else "")
            ) from error
        container = self._container
        videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        # FFmpeg renders any text file as a video of a terminal.
        if not videos or container.format.name == "tty":
            raise InputError(f"there is no video in {self.path}, only sound or text")
        self._video = max(videos, key=lambda s: bool(s.disposition & Disposition.default))
        if self._video.codec_context is None:
            raise InputError(f"the video in {self.path} is of an unknown kind: convert it to H.264 first")
        self._video.thread_type = "AUTO"
        self._decoder = self._video.codec_context
        if self._decoder.name == "vp9" and self._video.metadata.get("alpha_mode") == "1":
            # FFmpeg's own decoder of VP9 drops the alpha channel.
            self._decoder = av.CodecContext.create("libvpx-vp9", "r")
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        others = [*container.streams.audio, *container.streams.subtitles, *covers]
        # All are demuxed in any case: where the sound ends tells whether the file was cut off.
        self._demuxed = [self._video, *others]
        if not self._video_only:
            self.streams = others
            self.attachments = list(container.streams.attachments)

    def _open(self) -> None:
        container, video = self._container, self._video
        starts_anywhere = container.format.name in {"mpegts", "mpeg"}
        origin = Fraction((container.start_time if starts_anywhere else 0) or 0, av.time_base)
        self._cut = replace(self._cut, origin=origin)
        self._length = Fraction(container.duration, av.time_base) if container.duration else None
        if self._length and any(name in container.format.name for name in ("mp4", "matroska", "avi")):
            # Only these carry their duration in a header, elsewhere it is an estimate.
            self._promised = self._length + Fraction(container.start_time or 0, av.time_base)
        self._count = int(video.frames)
        self.metadata = dict(container.metadata)
        self.video_metadata = dict(video.metadata)
        self.video_disposition = video.disposition
        self.chapters = list(self._cut.chapters(container.chapters()))

        # FFmpeg's guess of the rate needs the first frame, and that frame's exact time needs the rate.
        base = video.time_base
        self._clock = Timestamps(base, Fraction(25), origin)
        decoded = self._decode()
        first = next(decoded, None)
        if first is None:
            raise InputError(f"no frame of {self.path} can be decoded: the file is damaged")
        self._clock.rate = rate = Fraction(video.guessed_rate or video.average_rate or 25)
        begin = Fraction((first.frame.pts or 0) * base)
        self._clock.is_rounded = Timestamps.are_rounded(base, rate, begin)
        self._set_up(first.frame, video.sample_aspect_ratio or Fraction(1))
        if self._cut.start is not None and self._stream is None and first.time < self._cut.start:
            first, decoded = self._seek()
        else:
            first = replace(
                first, time=self._clock.time(first.frame), duration=self._clock.lasting(first.frame.duration)
            )
        self._begin(decoded if first is None else chain([first], decoded))

    def _set_up(self, first: av.VideoFrame, aspect: Fraction) -> None:
        colors, clock, start = Colors.of(first), self._clock, self._cut.start
        self._unpack = Unpacker(first, colors)
        width, height = first.width, first.height
        if self._unpack.is_turned:
            width, height, aspect = height, width, 1 / aspect
        base = Fraction(1, lcm(1000, clock.rate.numerator)) if clock.is_rounded else clock.base
        if start is not None:
            finer = lcm(base.denominator, start.denominator)
            base = Fraction(1, finer) if finer <= _FINEST else base
        self.info = VideoInfo(width, height, clock.rate, base, aspect, colors)

    def _begin(self, decoded: Iterator[_Shown]) -> None:
        self._frames = self._in_part(decoded)
        self._first = next(self._frames, None)
        if self._first is None:
            cut = self._cut
            length = f", which is {float(self._length):.1f} seconds long" if self._length else ""
            span = f"from {float(cut.begin):g}" + (f" to {float(cut.end):g}" if cut.end else "")
            raise InputError(f"there is no frame {span} seconds in {self.path}{length}")

    def _seek(self) -> tuple[_Shown | None, Iterator[_Shown]]:
        """Seek to a key frame at or before the start, or else reopen the file; the first frame there, and the rest."""
        start = self._cut.start
        assert start is not None
        first: _Shown | None = None
        for back in _BACK:
            target = max(Fraction(0), start - back)
            try:
                self._container.seek(int((target + self._cut.origin) / self._clock.base), stream=self._video)
            except (av.FFmpegError, OSError):
                break
            self._forget()
            decoded = self._decode()
            first = next(decoded, None)
            if first is not None and first.time <= start:
                break
        if first is None or first.time > start:
            self._container.close()
            self._connect()
            self._forget()
            decoded = self._decode()
            first = next(decoded, None)
        elif any(stream.type == "subtitle" for stream in self.streams):
            early = self._cut.early_subtitles(self.path, self.streams, first.time, self.packets)
            self.packets.extendleft(reversed(early))
        return first, decoded

    def _forget(self) -> None:
        """Drop what was read before a seek."""
        self.packets.clear()
        self._clock.follow(Fraction(0))
        if self._decoder is not self._video.codec_context and self._decoder.is_open:
            self._decoder.flush_buffers()

    @property
    def expected(self) -> int | None:
        cut = self._cut
        if cut.start is None and cut.end is None and self._count:
            return self._count
        if self._length is None and cut.end is None:
            return None
        ends = [end for end in (cut.end, self._length) if end is not None]
        return max(0, round((min(ends) - cut.begin) * self._clock.rate))

    @property
    def damage(self) -> str | None:
        kept = f"{self.decoded} frame{'s' if self.decoded != 1 else ''} could be read"
        if self.concealed:
            one = self.concealed == 1
            kept += f", {self.concealed} of {'which is' if one else 'which are'} replaced by the last good frame"
        if self._promised is not None and self._is_through:
            end = self._cut.end
            total = min(self._promised, end + self._cut.origin) if end else self._promised
            if total - self._reached > max(Fraction(1, 2), total / 50):
                return f"{self.path} ends at {float(self._reached):.1f} of {float(total):.1f} seconds: {kept}"
        count = max(self._errors, self._places)
        return f"{self.path} is damaged in {count} place{'s' if count != 1 else ''}: {kept}" if count else None

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in the order of their time, decoded; their pixels are converted to BGR on first access."""
        is_damaged = False
        while True:
            shown, self._first = self._first or next(self._frames, None), None
            if shown is None:
                self._is_through = True
                return
            self.decoded += 1
            self.concealed += shown.concealed
            self._places += shown.concealed and not is_damaged
            is_damaged = shown.concealed
            yield Frame(partial(self._unpack, shown.frame), shown.time, shown.duration)

    def _in_part(self, decoded: Iterator[_Shown]) -> Iterator[_Shown]:
        """Those from the start to the end, with times from the start."""
        begin, end = self._cut.begin, self._cut.end
        for shown in decoded:
            if self._cut.start is not None and shown.time < begin:
                continue
            if end is not None and shown.time >= end:
                # Packets of sound from before the end may still follow.
                self._is_over = True
                continue
            rest = shown.duration if end is None else min(shown.duration, end - shown.time)
            yield replace(shown, time=shown.time - begin, duration=rest)

    def _decode(self) -> Iterator[_Shown]:
        """Frames in the order of their presentation times, with copies of good ones where one is damaged or missing."""
        # Presentation timestamp and duration of each packet that has given no frame yet.
        waiting: list[tuple[int, int]] = []
        good: av.VideoFrame | None = None
        given_up: set[int] = set()
        end = 0
        for packet in self._packets():
            if packet is not None and packet.stream is not self._video:
                if self.streams and self._cut.take(packet):
                    self.packets.append(packet)
                continue
            if self._is_over:
                continue
            if packet is not None and packet.pts is not None and not packet.is_discard:
                heapq.heappush(waiting, (packet.pts, packet.duration or 0))
            for frame in self._decode_packet(packet):
                stamp = frame.pts
                if stamp in given_up:
                    # After damage, decoders may output frames out of order.
                    continue
                while waiting and stamp is not None and waiting[0][0] <= stamp:
                    pts, duration = heapq.heappop(waiting)
                    # A packet may have no frame of its own; one whose time on the screen is not covered is lost.
                    if good is not None and end <= pts < stamp:
                        given_up.add(pts)
                        yield self._concealed(good, pts, duration)
                        end = pts + duration
                if frame.is_corrupt and good is not None:
                    yield self._concealed(good, stamp, frame.duration)
                else:
                    self._errors += frame.is_corrupt
                    good = frame
                    yield self._shown(frame)
                end = (stamp or 0) + frame.duration
        while waiting and good is not None:
            pts, duration = heapq.heappop(waiting)
            if pts >= end:
                yield self._concealed(good, pts, duration)
                end = pts + duration

    def _decode_packet(self, packet: Any) -> list[av.VideoFrame]:
        try:
            return list(self._decoder.decode(packet))
        except av.FFmpegError:
            stamp = self._reached if packet is None or packet.pts is None else packet.pts * self._clock.base
            # Frames before a start are decoded after a seek, and shown to nobody.
            if stamp - self._cut.origin >= self._cut.begin:
                self._errors += 1
            return []

    def _shown(self, frame: av.VideoFrame) -> _Shown:
        return _Shown(frame, self._clock.time(frame), self._clock.lasting(frame.duration))

    def _concealed(self, good: av.VideoFrame, stamp: int | None, ticks: int) -> _Shown:
        """The last good frame in place of a damaged one."""
        if stamp is None:
            return self._shown(good)
        time, duration = self._clock.at(stamp), self._clock.lasting(ticks)
        self._clock.follow(time + (duration or 1 / self._clock.rate))
        return _Shown(good, time, duration, True)

    def _packets(self) -> Iterator[Any]:
        """Packets of the video and of all other streams; None ends them."""
        end = self._cut.end
        for _ in range(_MOST_ERRORS):
            try:
                for packet in self._container.demux(self._demuxed):
                    if packet.size == 0:
                        continue
                    if packet.pts is not None:
                        begin = packet.pts * packet.time_base
                        self._reached = max(self._reached, begin + (packet.duration or 0) * packet.time_base)
                        if self._is_over and end and begin - self._cut.origin > end + _AFTER:
                            break
                    yield packet
                break
            except av.FFmpegError:
                # Demuxing goes on after a damaged place.
                self._errors += 1
        yield None

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
