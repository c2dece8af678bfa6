"""Reading video files through PyAV: their pictures, and the packets of all that goes with them."""

from __future__ import annotations

import contextlib
import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import lcm
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.stream import Discard, Disposition

from livestyle.errors import InputError
from livestyle.media.frames import Frame, VideoSource

from .animation import UNITS, is_animated_webp, read_plays, read_webp
from .info import VideoInfo
from .pixel_formats import Colors, Unpacker
from .remux import shift

_MOST_ERRORS = 100
_MILLISECOND = Fraction(1, 1000)
_BACK = (0, 5, 30)
"""Seconds before a start where decoding may begin, one after the other, until a key frame lies before the start."""
_AFTER = 2
"""Seconds after an end in which sound and subtitles from before it may still follow."""
_SUBTITLE = 60
"""Seconds before a start where a subtitle may begin that is still shown."""
_FINEST = 10_000_000
"""No time base has a greater denominator."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """A decoded frame and when it is shown, in seconds; concealed: it stands in for one that is damaged."""

    frame: av.VideoFrame
    time: Fraction
    duration: Fraction
    concealed: bool = False


class VideoReader(VideoSource):
    """The frames of a video file, upright and with their exact times.

    A display matrix, as phones write it, is applied to the pixels. More than 8 bits a channel are rounded to 8; the
    colours of HDR keep their meaning and are not mapped. What is transparent is laid over white, as in pictures. GIF
    and animated WebP are films too; a WebP is held in memory as a whole.

    Times are those of the file; only of streams that begin anywhere (MPEG-TS and its like) is the start taken off, from
    picture and sound alike. Milliseconds, to which Matroska, WebM and FLV round, become the time that was rounded
    wherever a steady rate fits them.

    A frame that is damaged or missing is replaced by the last good one, for its time. While the frames are read, the
    packets of all other ``streams`` gather in ``packets``.

    Args:
        path: of the file; with a stream, what errors call it.
        start: seconds of the film. The first frame is the first one that begins there or later, and the times of all
            frames, sounds and subtitles are less by it.
        end: seconds of the film. The last frame is the last one that begins before it.
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
        """Sound, subtitles and covers, of PyAV."""
        self.attachments: list[Any] = []
        """Fonts and other files, of PyAV."""
        self.packets: deque[Any] = deque()
        """Packets of ``streams`` that nobody has taken yet, in the order of the file, cut to start and end."""
        self.metadata: dict[str, str] = {}
        self.picture_metadata: dict[str, str] = {}
        self.picture_disposition = Disposition.default
        self.chapters: list[Any] = []
        """As PyAV has them, cut to start and end."""
        self.plays: int | None = None
        """How often a GIF or WebP is shown, 0 for ever; None for other files."""
        self.decoded = 0
        """Frames that were given, those that stand in for damaged ones among them."""
        self.concealed = 0
        """Frames that stood in for damaged ones."""
        self._from = start or None
        self._until = end
        self._stream = stream
        self._video_only = video_only
        self._container: Any = None
        self._start = Fraction(0)
        self._errors = self._places = 0
        self._reached = Fraction(0)
        self._promised: Fraction | None = None
        self._is_over = self._is_through = False
        self._next = Fraction(0)
        # The first frame is decoded before this is settled.
        self._rate = Fraction(25)
        self._rounded = False
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
        self._base = UNITS["webp"]
        length = sum(frame.duration for frame in frames)
        self._length: Fraction | None = length * self._base
        self._count = len(frames)
        rate = len(frames) / self._length if length else Fraction(10)
        self._rate = rate.limit_denominator(1001)
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
        # ffmpeg would make a film of any text.
        if not videos or container.format.name == "tty":
            raise InputError(f"there is no video in {self.path}, only sound or text")
        self._video = max(videos, key=lambda s: bool(s.disposition & Disposition.default))
        if self._video.codec_context is None:
            raise InputError(f"the video in {self.path} is of an unknown kind: convert it to H.264 first")
        self._video.thread_type = "AUTO"
        self._decoder = self._video.codec_context
        if self._decoder.name == "vp9" and self._video.metadata.get("alpha_mode") == "1":
            # The other decoder does not see what is transparent.
            self._decoder = av.CodecContext.create("libvpx-vp9", "r")
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        others = [*container.streams.audio, *container.streams.subtitles, *covers]
        # Read in any case: the end of the sound is needed to tell whether the file was cut off.
        self._read = [self._video, *others]
        if not self._video_only:
            self.streams = others
            self.attachments = list(container.streams.attachments)

    def _open(self) -> None:
        container, video = self._container, self._video
        starts_anywhere = container.format.name in {"mpegts", "mpeg"}
        self._start = Fraction((container.start_time if starts_anywhere else 0) or 0, av.time_base)
        self._length = Fraction(container.duration, av.time_base) if container.duration else None
        if self._length and any(name in container.format.name for name in ("mp4", "matroska", "avi")):
            # Only these carry their duration in a header, elsewhere it is an estimate.
            self._promised = self._length + Fraction(container.start_time or 0, av.time_base)
        self._count = int(video.frames)
        self._base = video.time_base
        self.metadata = dict(container.metadata)
        self.picture_metadata = dict(video.metadata)
        self.picture_disposition = video.disposition
        self.chapters = list(self._cut_chapters(container.chapters()))

        decoded = self._decode()
        first = next(decoded, None)
        if first is None:
            raise InputError(f"no frame of {self.path} can be decoded: the file is damaged")
        self._rate = rate = Fraction(video.guessed_rate or video.average_rate or 25)
        # Matroska, WebM and FLV round to milliseconds, in which there is neither 30 nor 30000/1001.
        begin = Fraction((first.frame.pts or 0) * self._base)
        self._rounded = (
            self._base == _MILLISECOND and rate.denominator in {1, 1001} and _steady(begin, rate) is not None
        )
        self._set_up(first.frame, video.sample_aspect_ratio or Fraction(1))
        if self._from is not None and self._stream is None and first.time < self._from:
            first, decoded = self._seek()
        else:
            # What a steady rate makes of its time is known only now.
            first = replace(first, time=self._time(first.frame), duration=self._duration(first.frame))
        self._begin(decoded, first)

    def _set_up(self, first: av.VideoFrame, aspect: Fraction) -> None:
        colors = Colors.of(first)
        self._unpack = Unpacker(first, colors)
        width, height = first.width, first.height
        if self._unpack.is_turned:
            width, height, aspect = height, width, 1 / aspect
        base = Fraction(1, lcm(1000, self._rate.numerator)) if self._rounded else self._base
        if self._from is not None:
            finer = lcm(base.denominator, self._from.denominator)
            base = Fraction(1, finer) if finer <= _FINEST else base
        self.info = VideoInfo(width, height, self._rate, base, aspect, colors)

    def _begin(self, decoded: Iterator[_Shown], first: _Shown | None = None) -> None:
        def all_of_them() -> Iterator[_Shown]:
            if first is not None:
                yield first
            yield from decoded

        self._frames = self._cut(all_of_them())
        self._first = next(self._frames, None)
        if self._first is None:
            length = f", which is {float(self._length):.1f} seconds long" if self._length else ""
            span = f"from {float(self._from or 0):g}" + (f" to {float(self._until):g}" if self._until else "")
            raise InputError(f"there is no frame {span} seconds in {self.path}{length}")

    def _seek(self) -> tuple[_Shown | None, Iterator[_Shown]]:
        """Go to a key frame at or before the start, or else to the beginning."""
        assert self._from is not None
        first: _Shown | None = None
        for back in _BACK:
            target = max(Fraction(0), self._from - back)
            try:
                self._container.seek(int((target + self._start) / self._base), stream=self._video)
            except (av.FFmpegError, OSError):
                break
            self._forget()
            decoded = self._decode()
            first = next(decoded, None)
            if first is not None and first.time <= self._from:
                break
        if first is None or first.time > self._from:
            self._container.close()
            self._connect()
            self._forget()
            decoded = self._decode()
            first = next(decoded, None)
        elif any(stream.type == "subtitle" for stream in self.streams):
            self.packets.extendleft(reversed(self._early_subtitles(first.time)))
        return first, decoded

    def _forget(self) -> None:
        self.packets.clear()
        self._next = Fraction(0)
        if self._decoder is not self._video.codec_context and self._decoder.is_open:
            self._decoder.flush_buffers()

    def _early_subtitles(self, before: Fraction) -> list[Any]:
        """Subtitles that are shown at the start and began before the packets that are read."""
        assert self._from is not None
        seen = {(p.stream.index, bytes(p)) for p in self.packets if p.stream.type == "subtitle"}
        found = []
        with av.open(str(self.path), metadata_errors="replace") as other:
            for stream in other.streams:
                if stream.type != "subtitle":
                    stream.discard = Discard.all
            begin = max(Fraction(0), self._from - _SUBTITLE) + self._start
            with contextlib.suppress(av.FFmpegError):
                other.seek(int(begin * av.time_base))
                for packet in other.demux(other.streams.subtitles):
                    if packet.size == 0 or packet.pts is None:
                        continue
                    if packet.pts * packet.time_base - self._start >= before:
                        break
                    packet.stream = next(s for s in self.streams if s.index == packet.stream.index)
                    if self._take(packet) and (packet.stream.index, bytes(packet)) not in seen:
                        found.append(packet)
        return found

    @property
    def width(self) -> int:
        return self.info.width

    @property
    def height(self) -> int:
        return self.info.height

    @property
    def expected(self) -> int | None:
        """How many frames the file says there are from start to end, about; None where it does not say."""
        if self._from is None and self._until is None and self._count:
            return self._count
        if self._length is None and self._until is None:
            return None
        ends = [end for end in (self._until, self._length) if end is not None]
        return max(0, round((min(ends) - (self._from or 0)) * self._rate))

    @property
    def damage(self) -> str | None:
        """One sentence on what could not be read of the frames so far; None for a sound file."""
        kept = f"{self.decoded} frame{'s' if self.decoded != 1 else ''} could be read"
        if self.concealed:
            one = self.concealed == 1
            kept += f", {self.concealed} of {'which is' if one else 'which are'} replaced by the last good frame"
        if self._promised is not None and self._is_through:
            total = min(self._promised, self._until + self._start) if self._until else self._promised
            if total - self._reached > max(Fraction(1, 2), total / 50):
                return f"{self.path} ends at {float(self._reached):.1f} of {float(total):.1f} seconds: {kept}"
        count = max(self._errors, self._places)
        return f"{self.path} is damaged in {count} place{'s' if count != 1 else ''}: {kept}" if count else None

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in the order of their time; their pixels become BGR when somebody looks at them."""
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

    def _cut(self, decoded: Iterator[_Shown]) -> Iterator[_Shown]:
        """Those from the start to the end, with times from the start."""
        begin, end = self._from or Fraction(0), self._until
        for shown in decoded:
            if self._from is not None and shown.time < begin:
                continue
            if end is not None and shown.time >= end:
                # What else was read before the end may still follow.
                self._is_over = True
                continue
            rest = shown.duration if end is None else min(shown.duration, end - shown.time)
            yield replace(shown, time=shown.time - begin, duration=rest)

    def _decode(self) -> Iterator[_Shown]:
        """Frames in the order of their times, which are those of the film."""
        # Of the packets without a frame so far: when it is to be shown, and how long.
        waiting: list[tuple[int, int]] = []
        good: av.VideoFrame | None = None
        given_up: set[int] = set()
        end = 0
        for packet in self._packets():
            if packet is not None and packet.stream is not self._video:
                if self.streams and self._take(packet):
                    self.packets.append(packet)
                continue
            if self._is_over:
                continue
            if packet is not None and packet.pts is not None and not packet.is_discard:
                heapq.heappush(waiting, (packet.pts, packet.duration or 0))
            frames = self._decode_packet(packet)
            for frame in frames:
                stamp = frame.pts
                if stamp in given_up:
                    # Among damage, decoders give frames in a wrong order.
                    continue
                while waiting and stamp is not None and waiting[0][0] <= stamp:
                    pts, duration = heapq.heappop(waiting)
                    # Some packets have no frame of their own; where one is missing on the screen, it is lost.
                    if good is not None and end <= pts < stamp:
                        given_up.add(pts)
                        yield self._shown(good, pts, duration)
                        end = pts + duration
                if frame.is_corrupt and good is not None:
                    yield self._shown(good, stamp, frame.duration)
                else:
                    self._errors += frame.is_corrupt
                    good = frame
                    yield self._shown(frame)
                end = (stamp or 0) + frame.duration
        while waiting and good is not None:
            pts, duration = heapq.heappop(waiting)
            if pts >= end:
                yield self._shown(good, pts, duration)
                end = pts + duration

    def _decode_packet(self, packet: Any) -> list[av.VideoFrame]:
        try:
            return list(self._decoder.decode(packet))
        except av.FFmpegError:
            stamp = self._reached if packet is None or packet.pts is None else packet.pts * self._base
            # Behind a start, it is nobody's loss.
            if stamp - self._start >= (self._from or 0):
                self._errors += 1
            return []

    def _shown(self, frame: av.VideoFrame, stamp: int | None = None, ticks: int = 0) -> _Shown:
        """A frame at its own time, or, in place of a damaged one, at that one's."""
        if stamp is None:
            return _Shown(frame, self._time(frame), self._duration(frame))
        time, duration = self._at(stamp), self._lasting(ticks)
        self._next = time + (duration or 1 / self._rate)
        return _Shown(frame, time, duration, True)

    def _time(self, frame: av.VideoFrame) -> Fraction:
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = self._next if stamp is None else self._at(stamp)
        self._next = time + 1 / self._rate
        return time

    def _at(self, stamp: int) -> Fraction:
        time = Fraction(stamp * self._base) - self._start
        return (_steady(time, self._rate) or time) if self._rounded else time

    def _duration(self, frame: av.VideoFrame) -> Fraction:
        return self._lasting(frame.duration)

    def _lasting(self, ticks: int) -> Fraction:
        duration = Fraction(ticks * self._base)
        if self._rounded and abs(duration - 1 / self._rate) < _MILLISECOND:
            return 1 / self._rate
        return duration

    def _packets(self) -> Iterator[Any]:
        """Packets of the video and of all other streams; None ends them."""
        for _ in range(_MOST_ERRORS):
            try:
                for packet in self._container.demux(self._read):
                    if packet.size == 0:
                        continue
                    if packet.pts is not None:
                        begin = packet.pts * packet.time_base
                        self._reached = max(self._reached, begin + (packet.duration or 0) * packet.time_base)
                        if self._is_over and self._until and begin - self._start > self._until + _AFTER:
                            break
                    yield packet
                break
            except av.FFmpegError:
                # What comes after a damaged place may be sound.
                self._errors += 1
        yield None

    def _take(self, packet: Any) -> bool:
        """Whether a packet belongs to the film from the start to the end, where it gets its time there."""
        if packet.stream.disposition & Disposition.attached_pic:
            packet.pts = packet.dts = 0
            return True
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.pts is not None:
            length = (packet.duration or 0) * packet.time_base
            time = packet.pts * packet.time_base - self._start
            if self._until is not None and time >= self._until:
                return False
            if self._from is not None and time < self._from:
                if packet.stream.type != "subtitle" or time + length <= self._from:
                    return False
                shift(packet, self._from - time)
                packet.duration = round((time + length - self._from) / packet.time_base)
                time, length = self._from, time + length - self._from
            if packet.stream.type == "subtitle" and self._until is not None and time + length > self._until:
                packet.duration = round((self._until - time) / packet.time_base)
        shift(packet, -self._start - (self._from or 0))
        return True

    def _cut_chapters(self, chapters: list[Any]) -> Iterator[Any]:
        for chapter in chapters:
            base = chapter["time_base"]
            begin, end = (max(Fraction(chapter[side] * base) - self._start, Fraction(0)) for side in ("start", "end"))
            begin, end = max(begin, self._from or Fraction(0)), min(end, self._until or end)
            if begin < end:
                moved = {side: round((t - (self._from or 0)) / base) for side, t in (("start", begin), ("end", end))}
                yield chapter | moved

    def close(self) -> None:
        if self._container is not None:
            self._container.close()


def _steady(time: Fraction, rate: Fraction) -> Fraction | None:
    """The time in frames of a steady rate that, rounded to milliseconds, gives ``time``; None where there is none."""
    exact = round(time * rate) / rate
    return exact if abs(exact - time) <= _MILLISECOND / 2 else None
