"""Decoding of one video stream into frames with exact times, where damaged or missing ones are concealed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from .captions import READ, captions_of
from .timestamps import Timestamps


@dataclass(frozen=True, eq=False)
class Shown:
    """A decoded frame, when it is shown and how long.

    Attributes:
        frame: as it was decoded.
        time: seconds.
        duration: seconds.
        concealed: it stands in for a damaged one.
        aspect: sample aspect ratio in the stream; 1 where it says none.
        captions: closed captions that came with it, see `captions_of`.
    """

    frame: av.VideoFrame
    time: Fraction
    duration: Fraction
    concealed: bool = False
    aspect: Fraction = Fraction(1)
    captions: bytes | None = None


class FrameDecoder:
    """Decoder of packets, in the order of the file, into frames in the order of their presentation times.

    A frame that is damaged or missing is concealed: a copy of the last good one has its time.

    Some containers (AVI, ASF, Matroska in its VfW mode) have no presentation timestamps. FFmpeg then numbers packets in
    decoding order, so that B-frames have the timestamps of others; the frames, which do come in presentation order, get
    the timestamps of the packets in ascending order instead.

    Args:
        context: of the codec.
        clock: of the stream.
        is_packed: it may be a packed bitstream of MPEG-4 ASP (DivX, XviD in AVI), in which an empty packet follows each
            one of two frames: FFmpeg guesses timestamps for it that fit no frames at all.
    """

    def __init__(self, context: Any, clock: Timestamps, *, is_packed: bool = False) -> None:
        self.errors = 0
        """Packets that could not be decoded."""
        self._context = context
        self._clock = clock
        # Presentation timestamp and duration of each packet that has given no frame yet.
        self._waiting: list[tuple[int, int]] = []
        self._good: Shown | None = None
        self._given_up: set[int] = set()
        self._end = 0
        self._newest: int | None = None
        # Until a timestamp of a packet goes back, as those of B-frames do.
        self._increasing = True
        self._is_packed = is_packed
        self._sorts = is_packed
        self._aspect: Fraction | None = None
        self._captions: dict[int, bytes] = {}

    def decode(self, packet: Any, *, counts: bool = True) -> Iterator[Shown]:
        """Frames that are ready after one more packet; None, which comes after the last, conceals what is left.

        Args:
            packet: of the stream.
            counts: whether a failure is one of the ``errors``.
        """
        if packet is not None and packet.pts is not None and not packet.is_discard:
            if self._newest is not None and packet.pts <= self._newest:
                self._increasing = False
            self._newest = packet.pts
            heapq.heappush(self._waiting, (packet.pts, packet.duration or 0))
            if self._context.name in READ and (captions := captions_of(packet)) is not None:
                self._captions[packet.pts] = captions
        try:
            frames = list(self._context.decode(packet))
        except av.FFmpegError:
            self.errors += counts
            frames = []
            if self._sorts and self._waiting:
                heapq.heappop(self._waiting)
        else:
            if not frames and packet is not None and self._is_packed and self._good is not None:
                # A frame that its encoder has dropped (N-VOP): the one before stays on the screen.
                self._waiting = [item for item in self._waiting if item[0] != packet.pts]
                heapq.heapify(self._waiting)
        for frame in frames:
            yield from self._show(frame)
        if packet is None and not self._sorts:
            while self._waiting and self._good is not None:
                pts, duration = heapq.heappop(self._waiting)
                if pts >= self._end:
                    yield self._conceal(pts, duration)
                    self._end = pts + duration

    def _show(self, frame: av.VideoFrame) -> Iterator[Shown]:
        if frame.pict_type == PictureType.B and self._increasing and self._newest is not None:
            self._sorts = True
        if self._sorts and self._good is None and frame.pts is not None:
            # B-frames before the first key frame after a seek are not decoded.
            while self._waiting and self._waiting[0][0] < frame.pts:
                heapq.heappop(self._waiting)
        if self._sorts and self._waiting:
            frame.pts = heapq.heappop(self._waiting)[0]
        stamp = frame.pts
        if stamp in self._given_up:
            # After damage, decoders may output frames out of order.
            return
        while self._waiting and stamp is not None and self._waiting[0][0] <= stamp:
            pts, duration = heapq.heappop(self._waiting)
            # A packet may have no frame of its own; one whose time on the screen is not covered is lost.
            if self._good is not None and self._end <= pts < stamp:
                self._given_up.add(pts)
                yield self._conceal(pts, duration)
                self._end = pts + duration
        if frame.is_corrupt and self._good is not None:
            yield self._conceal(stamp, frame.duration)
        else:
            self.errors += frame.is_corrupt
            self._good = self._shown(frame)
            yield self._good
        self._end = (stamp or 0) + frame.duration

    def _shown(self, frame: av.VideoFrame, aspect: Fraction | None = None) -> Shown:
        if frame.key_frame or self._aspect is None:
            # The context has that of the newest packet, and frames before it are still to come.
            self._aspect = Fraction(self._context.sample_aspect_ratio or 1)
        aspect = aspect or self._aspect
        time, duration = self._clock.time(frame), self._clock.lasting(frame.duration)
        captions = None if frame.pts is None else self._captions.pop(frame.pts, None)
        return Shown(frame, time, duration, False, aspect, captions)

    def _conceal(self, stamp: int | None, ticks: int) -> Shown:
        """The last good frame in place of a damaged one."""
        good = self._good
        assert good is not None
        if stamp is None:
            return self._shown(good.frame, good.aspect)
        time, duration = self._clock.at(stamp), self._clock.lasting(ticks)
        self._clock.follow(time + (duration or 1 / self._clock.rate))
        return Shown(good.frame, time, duration, True, good.aspect)
