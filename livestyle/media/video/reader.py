"""Reading of video files through PyAV: the frames, and the packets of all other streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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

from .accompaniment import Accompaniment
from .animation import UNITS, ViewerDelays, is_animated_webp, read_plays, read_transparent_avif, read_webp
from .boxes import is_mirrored, spherical_box
from .captions import READ, captions_of
from .clock_jumps import ClockJumps
from .cut import Cut
from .decoding import FrameDecoder, Shown
from .deinterlace import Deinterlacer
from .info import VideoInfo
from .pixel_formats import Colors, Unpacker
from .timecode import moved
from .timestamps import Timestamps, origin_of
from .tone_map import check_mode as check_tone_map
from .tracks import choose_video, decoder_of, of_other_programmes, open_file, unread

_MOST_ERRORS = 100
_BACK = (0, 5, 30)
"""Seconds before a start to seek to, one after the other, until a key frame lies before the start."""
_AFTER = 2
"""Seconds after an end in which sound and subtitles from before it may still follow: streams are interleaved."""
_FINEST = 10_000_000
"""No time base has a greater denominator."""
_LONGEST_GROUP = 1500
"""Packets of a group of pictures that are held while a start is looked for; those of longer ones are decoded."""


class VideoReader(VideoSource, Accompaniment):
    """The frames of a video file, upright and with their exact times.

    The display matrix, as phones write it, is applied to the pixels. More than 8 bits per channel are rounded to 8
    unless they are asked for; HDR is mapped to SDR. Transparency is laid over white, as in images. GIF and animated
    WebP are videos too; a WebP is held in memory as a whole.

    Times are those of the file less its start, since clocks start anywhere; a clock that jumps on the way is joined
    again, images and sound alike. Milliseconds, to which Matroska, WebM and FLV round, become the exact times of a
    steady rate wherever one fits them. Interlaced frames are deinterlaced.

    A frame that is damaged or missing is concealed: the last good one stays for its time. While the frames are read,
    the packets of all other ``streams`` gather in ``packets``.

    Args:
        path: of the file; with a stream, what errors call it.
        start: seconds of the video. The first frame is the first one that begins there or later, and all times count
            from there.
        end: seconds of the video. The last frame is the last one that begins before it.
        stream: the bytes of the file, of a pipe for instance.
        video_only: leave ``streams``, ``attachments`` and ``packets`` empty: nobody copies the sound.
        track: of several videos, from 1; None is the default one, and of equals the largest.
        deinterlace: ``auto``, ``off``, ``frame`` or ``field``, see `Deinterlacer`.
        tone_map: ``auto`` maps HDR (PQ and HLG) to SDR, ``off`` takes its colours as they are coded.
        deep: give images of more than 8 bits as uint16, see `Frame.pixels`.

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
        track: int | None = None,
        deinterlace: str = "auto",
        tone_map: str = "auto",
        deep: bool = False,
    ) -> None:
        if start is not None and start < 0:
            raise InputError(f"a film begins at 0 seconds, not at {float(start):g}")
        if end is not None and end <= (start or 0):
            raise InputError(
                f"nothing lies between {float(start or 0):g} and {float(end):g} seconds: end after the start"
            )
        self.path = path
        Accompaniment.__init__(self)
        self.decoded = 0
        self.concealed = 0
        self._cut = Cut(start or None, end)
        self._stream = stream
        self._video_only = video_only
        self._track = track
        self._deinterlace = deinterlace
        self._maps_tones = check_tone_map(tone_map) != "off"
        self._is_deep = deep
        self._deinterlacer = Deinterlacer(deinterlace, 0, False)
        self._container: Any = None
        self._errors = self._places = 0
        self._reached = Fraction(0)
        self._promised: Fraction | None = None
        self._is_over = self._is_through = False
        try:
            if stream is None and (held := self._held_frames()):
                self._open_held(held)
            else:
                self._connect()
                self._open()
        except BaseException:
            self.close()
            raise

    def _held_frames(self) -> list[av.VideoFrame] | None:
        """All frames of an animated image that PyAV cannot decode; None of all other files."""
        path = self.path
        if not path.is_file():
            raise InputError(f"{path} is a folder, not a video" if path.is_dir() else f"there is no video {path}")
        try:
            self.plays = read_plays(path)
            return read_webp(path) if is_animated_webp(path) else read_transparent_avif(path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error

    def _open_held(self, frames: list[av.VideoFrame]) -> None:
        self._length: Fraction | None = sum(frame.duration for frame in frames) * UNITS["webp"]
        self._count = len(frames)
        rate = len(frames) / self._length if self._length else Fraction(10)
        self._clock = Timestamps(UNITS["webp"], rate.limit_denominator(1001))
        self._set_up(Shown(frames[0], Fraction(0), Fraction(0)), Fraction(1))
        self._begin(Shown(f, self._clock.time(f), self._clock.lasting(f.duration)) for f in frames)

    def _connect(self) -> None:
        self._container = container = open_file(self.path, self._stream)
        self._video = choose_video(container, self.path, self._track)
        self._video.thread_type = "AUTO"
        self._context = decoder_of(self._video)
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        foreign = of_other_programmes(container, self._video)
        known = [*container.streams.audio, *container.streams.subtitles, *covers]
        others = [stream for stream in known if stream not in foreign]
        # All are demuxed in any case: where the sound ends tells whether the file was cut off.
        self._demuxed = [self._video, *others]
        self._jumps = ClockJumps(container.format.name)
        self._delays = ViewerDelays(container.format.name)
        if not self._video_only:
            self.streams = others
            self.attachments = list(container.streams.attachments)
            self.spherical = None if self._stream else spherical_box(self.path)
            self.unread = unread(container, self._video, self.spherical is not None, foreign)

    def _open(self) -> None:
        container, video = self._container, self._video
        origin = origin_of(container, self._demuxed)
        self._cut = replace(self._cut, origin=origin)
        self._length = Fraction(container.duration, av.time_base) if container.duration else None
        if self._length and "matroska" in container.format.name and self._length > origin > 0:
            # FFmpeg and others write the end of the clock as the duration.
            self._length -= origin
        if self._length and any(name in container.format.name for name in ("mp4", "matroska", "avi")):
            # Only these carry their duration in a header, elsewhere it is an estimate.
            self._promised = self._length
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
        if first is None and self._stream is not None and "webp" in container.format.name:
            raise InputError(f"{self.path} is an animated WebP, which no pipe can carry: name its file")
        if first is None:
            raise InputError(f"no frame of {self.path} can be decoded: the file is damaged")
        self._clock.rate = rate = Fraction(video.guessed_rate or video.average_rate or 25)
        if container.format.name == "avi" and self._promised:
            # Of one that was cut off, FFmpeg tells the duration of what is left.
            self._promised = max(self._promised, self._count * base)
        begun = self._clock.at(first.frame.pts or 0)
        if container.format.name == "avi" or container.start_time is None or begun < 0:
            # AVI's clock counts frames, and FFmpeg adds the delay of B-frames; elementary streams have no clock. In
            # ASF, FFmpeg's start lies behind the first frame.
            self._clock.origin += begun
        self.frame_rate = rate
        if self._cut.start is not None:
            self.metadata, self.video_metadata = (
                moved(tags, rate, self._cut.start) for tags in (self.metadata, self.video_metadata)
            )
        begin = Fraction((first.frame.pts or 0) * base) - self._clock.origin
        self._clock.is_rounded = Timestamps.are_rounded(base, rate, begin)
        flagged = bool(first.frame.interlaced_frame)
        self._deinterlacer = Deinterlacer(self._deinterlace, video.codec_context.field_order, flagged)
        self._set_up(first, video.sample_aspect_ratio or Fraction(1))
        self._clock.follow(Fraction(0))
        time, duration = self._clock.time(first.frame), self._clock.lasting(first.frame.duration)
        first = replace(first, time=time, duration=duration)
        if self._cut.start is not None and first.time < self._cut.start:
            if self._jumps.can_jump_ahead:
                decoded = self._skip(decoded)
                first = None
            elif self._stream is None and not self._delays.is_animation:
                first, decoded = self._seek()
        frames = decoded if first is None else chain([first], decoded)
        self._begin(self._deinterlacer(frames))

    def _set_up(self, first: Shown, aspect: Fraction) -> None:
        frame = first.frame
        colors, clock, start = Colors.of(frame), self._clock, self._cut.start
        mirrored = self._stream is None and is_mirrored(self.path)
        self._unpack = Unpacker(frame, colors, first.aspect, mirrored, self._maps_tones, self._is_deep)
        width, height = frame.width, frame.height
        if self._unpack.is_turned:
            width, height, aspect = height, width, 1 / aspect
        rate = clock.rate * self._deinterlacer.rate
        base = Fraction(1, lcm(1000, rate.numerator)) if clock.is_rounded else clock.base / self._deinterlacer.rate
        if start is not None:
            finer = lcm(base.denominator, start.denominator)
            base = Fraction(1, finer) if finer <= _FINEST else base
        self.bits = self._unpack.bits
        given = self.bits if self._unpack.is_deep else 8
        self.info = VideoInfo(width, height, rate, base, aspect, self._unpack.colors, given)

    def _begin(self, decoded: Iterator[Shown]) -> None:
        self._frames = self._in_part(decoded)
        self._first = next(self._frames, None)
        if self._first is None:
            cut = self._cut
            length = f", which is {float(self._length):.1f} seconds long" if self._length else ""
            span = f"from {float(cut.begin):g}" + (f" to {float(cut.end):g}" if cut.end else "")
            raise InputError(f"there is no frame {span} seconds in {self.path}{length}")

    def _seek(self) -> tuple[Shown | None, Iterator[Shown]]:
        """Seek to a key frame at or before the start, or else reopen the file; the first frame there, and the rest."""
        start = self._cut.start
        assert start is not None
        first: Shown | None = None
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

    def _skip(self, decoded: Iterator[Shown]) -> Iterator[Shown]:
        """Frames from the last key frame before the start on, by reading all packets before: clocks may jump."""
        if self._stream is None:
            self._container.close()
            self._connect()
            self._forget()
            return self._decode(skips=True)
        return decoded

    def _forget(self) -> None:
        """Drop what was read before a seek."""
        self.packets.clear()
        self._jumps = ClockJumps(self._container.format.name)
        self._clock.follow(Fraction(0))
        if self._context is not self._video.codec_context and self._context.is_open:
            self._context.flush_buffers()

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
            total = min(self._promised, self._cut.end or self._promised)
            reached = self._reached - self._cut.origin
            if total - reached > max(Fraction(1, 2), total / 50):
                return f"{self.path} ends at {float(reached):.1f} of {float(total):.1f} seconds: {kept}"
        count = max(self._errors, self._places)
        if count:
            return f"{self.path} is damaged in {count} place{'s' if count != 1 else ''}: {kept}"
        # Of pieces that others have decoded the number of places is unknown.
        return f"{self.path} is damaged: {kept}" if self.concealed else None

    @property
    def is_captioned(self) -> bool:
        """Whether the first frame, before it is read, has closed captions."""
        return self._first is not None and self._first.captions is not None

    @property
    def notes(self) -> list[str]:
        """Sentences on what was repaired or changed of the video so far, beside its ``damage``."""
        said = [self._unpack.note(self.path), self._deinterlacer.note(self.path)]
        if self._container is not None:
            said.insert(0, self._jumps.note(self.path, self._cut.origin))
        return [text for text in said if text is not None]

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
            if shown.captions is not None and not self._video_only:
                self.captions[shown.time] = shown.captions
            yield Frame(partial(self._unpack, shown.frame, shown.aspect), shown.time, shown.duration)

    @property
    def clock(self) -> Timestamps:
        """Clock of the video stream, by which timestamps of its packets become times of the file."""
        return self._clock

    def skim(self) -> Iterator[Fraction]:
        """Times of the video's packets, in the order of the file, from its beginning and without decoding them.

        As while frames are read, the packets of all other streams gather in ``packets``. ``streams`` are new ones.
        """
        self._container.close()
        self._connect()
        self._forget()
        return self._skimmed()

    def _skimmed(self) -> Iterator[Fraction]:
        for packet in self._packets():
            if packet is None:
                self._is_through = True
            elif packet.stream is not self._video:
                if self.streams and self._cut.take(packet):
                    self.packets.append(packet)
            elif (stamp := packet.dts if packet.dts is not None else packet.pts) is not None:
                time = self._clock.at(stamp)
                if self._cut.end is not None and time >= self._cut.end:
                    self._is_over = True
                if (
                    self._context.name in READ
                    and packet.pts is not None
                    and (captions := captions_of(packet)) is not None
                ):
                    self.captions[self._clock.at(packet.pts) - self._cut.begin] = captions
                yield time - self._cut.begin

    def _in_part(self, decoded: Iterator[Shown]) -> Iterator[Shown]:
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

    def _decode(self, skips: bool = False) -> Iterator[Shown]:
        """Frames of the video; the packets of other streams are put aside.

        Args:
            skips: decode nothing that lies before the last key frame before the start.
        """
        is_asp = self._container.format.name == "avi" and self._context.name == "mpeg4"
        decoder = FrameDecoder(self._context, self._clock, is_packed=is_asp)
        held: list[Any] = []
        for packet in self._packets():
            if packet is not None and packet.stream is not self._video:
                if self.streams and self._cut.take(packet):
                    self.packets.append(packet)
                continue
            if self._is_over:
                continue
            stamp = self._reached if packet is None or packet.pts is None else packet.pts * self._clock.base
            # Frames before a start are decoded after a seek, and shown to nobody.
            is_before = stamp - self._cut.origin < self._cut.begin
            if skips and packet is not None and is_before and len(held) < _LONGEST_GROUP:
                if packet.is_keyframe:
                    held.clear()
                held.append(packet)
                continue
            skips = False
            for early in held:
                yield from decoder.decode(early, counts=False)
            held.clear()
            errors = decoder.errors
            yield from decoder.decode(packet, counts=not is_before)
            self._errors += decoder.errors - errors

    def _packets(self) -> Iterator[Any]:
        """Packets of the video and of all other streams; None ends them."""
        end = self._cut.end
        for _ in range(_MOST_ERRORS):
            try:
                for packet in self._container.demux(self._demuxed):
                    if packet.size == 0:
                        continue
                    self._jumps.repair(packet)
                    self._delays.repair(packet)
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
