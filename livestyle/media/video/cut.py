"""Cut of a video to a part: which packets and chapters belong to it, and their times there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Discard, Disposition

from .remux import shift

SUBTITLE_SECONDS = 60
"""A subtitle that is still shown at the start of a part began at most so long before."""


@dataclass(frozen=True)
class Cut:
    """Part of a video.

    Attributes:
        start: seconds, after ``origin``, that become time 0; None is the beginning.
        end: seconds, after ``origin``; None is the end.
        origin: seconds of the file's clock at which the video begins.
    """

    start: Fraction | None = None
    end: Fraction | None = None
    origin: Fraction = Fraction(0)

    @property
    def begin(self) -> Fraction:
        """``start``, or 0."""
        return self.start or Fraction(0)

    def take(self, packet: Any) -> bool:
        """Whether a packet belongs to the part; if so, it gets its time there, and subtitles are cut to it."""
        if packet.stream.disposition & Disposition.attached_pic:
            packet.pts = packet.dts = 0
            return True
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.pts is not None:
            length = (packet.duration or 0) * packet.time_base
            time = packet.pts * packet.time_base - self.origin
            if self.end is not None and time >= self.end:
                return False
            if self.start is not None and time < self.start:
                if packet.stream.type != "subtitle" or time + length <= self.start:
                    return False
                shift(packet, self.start - time)
                packet.duration = round((time + length - self.start) / packet.time_base)
                time, length = self.start, time + length - self.start
            if packet.stream.type == "subtitle" and self.end is not None and time + length > self.end:
                packet.duration = round((self.end - time) / packet.time_base)
        shift(packet, -self.origin - self.begin)
        return True

    def chapters(self, chapters: Iterable[Any]) -> Iterator[Any]:
        """The chapters of the part, as PyAV has them, cut to it and with their times there."""
        for chapter in chapters:
            base = chapter["time_base"]
            begin, end = (max(Fraction(chapter[side] * base) - self.origin, Fraction(0)) for side in ("start", "end"))
            begin, end = max(begin, self.begin), min(end, self.end or end)
            if begin < end:
                yield chapter | {side: round((t - self.begin) / base) for side, t in (("start", begin), ("end", end))}

    def early_subtitles(self, path: Path, streams: list[Any], before: Fraction, known: Iterable[Any]) -> list[Any]:
        """Packets of subtitles that are shown at the start of the part, and lie before where the file is read from.

        Args:
            path: of the file, which is opened a second time.
            streams: that packets are given to.
            before: seconds, after ``origin``, from where on all packets are read.
            known: packets that were read already.
        """
        assert self.start is not None
        seen = {(p.stream.index, bytes(p)) for p in known if p.stream.type == "subtitle"}
        found = []
        with av.open(f"file:{path}", metadata_errors="replace") as other:
            for stream in other.streams:
                if stream.type != "subtitle":
                    stream.discard = Discard.all
            begin = max(Fraction(0), self.start - SUBTITLE_SECONDS) + self.origin
            with contextlib.suppress(av.FFmpegError):
                other.seek(int(begin * av.time_base))
                for packet in other.demux(other.streams.subtitles):
                    if packet.size == 0 or packet.pts is None:
                        continue
                    if packet.pts * packet.time_base - self.origin >= before:
                        break
                    packet.stream = next(s for s in streams if s.index == packet.stream.index)
                    if self.take(packet) and (packet.stream.index, bytes(packet)) not in seen:
                        found.append(packet)
        return found
