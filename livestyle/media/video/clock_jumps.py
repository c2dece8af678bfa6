"""Repair of clocks that jump: timestamp discontinuities, as in recordings that were joined or went on after a pause."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.stream import Disposition

from .remux import shift

_BACK = Fraction(1, 10)
"""Seconds that decoding timestamps, which increase in each stream, may fall back before it is a jump."""
_AHEAD = 10
"""Longest gap, in seconds, of a broadcast or a recording of one; a longer one is a jump of the clock."""
_BROADCASTS = {"mpegts", "mpeg", "flv", "hls", "live_flv"}
"""Formats, in FFmpeg's names, in which a clock may jump ahead. In all others a long gap is a still image."""


@dataclass
class _Track:
    """State of one stream: its stretch of the clock, and the seconds where its next packet is expected.

    After a seek, FFmpeg guesses the decoding timestamp of the first packet, which B-frames may fall behind.
    """

    stretch: int = 0
    end: Fraction | None = None
    is_new: bool = True


class ClockJumps:
    """Filter of packets that joins the stretches of a clock that jumps, each stream in step with the others.

    A stretch of the clock has one offset, which all streams share. The stream that jumps first sets it, such that the
    stream goes on without a gap; the others enter the stretch with their own jump, packets later.

    Args:
        container: name of the format, in FFmpeg's words.
    """

    def __init__(self, container: str) -> None:
        self.can_jump_ahead = container in _BROADCASTS
        """Whether timestamps are those of a broadcast: seeking by them would be misled."""
        self.jumps: list[tuple[Fraction, Fraction]] = []
        """Of each jump: the time, in repaired seconds of the file's clock, and the seconds that it skips."""
        self._offsets = [Fraction(0)]
        self._tracks: dict[int, _Track] = {}
        self._end = Fraction(0)

    def repair(self, packet: Any) -> None:
        """Move the timestamps of a packet, the next one of the file, to the joined clock."""
        stream = packet.stream
        if packet.pts is None and packet.dts is None:
            return
        track = self._tracks.setdefault(stream.index, _Track())
        if stream.type not in ("video", "audio") or stream.disposition & Disposition.attached_pic:
            if not stream.disposition & Disposition.attached_pic:
                self._follow(packet, track)
            return
        stamp = packet.dts
        if stamp is not None:
            begin = stamp * packet.time_base
            if track.end is None:
                self._enter_nearest(begin, track)
            elif self._is_jump(begin + self._offsets[track.stretch] - track.end):
                self._jump(begin, track)
            time = begin + self._offsets[track.stretch]
            track.end = time + (packet.duration or 0) * packet.time_base
            self._end = max(self._end, track.end)
            if track.is_new:
                track.end, track.is_new = None, False
        shift(packet, self._offsets[track.stretch])

    def note(self, path: Path, origin: Fraction) -> str | None:
        """One sentence on the jumps so far, with times after ``origin``; None where there was none."""
        if not self.jumps:
            return None
        at, skipped = self.jumps[0]
        many = "" if len(self.jumps) == 1 else f" {len(self.jumps)} times, first"
        return (
            f"the clock of {path} jumps{many} by {float(skipped):+.1f} seconds at {float(at - origin):.1f} seconds: "
            "what follows is joined on without a gap"
        )

    def _is_jump(self, seconds: Fraction) -> bool:
        return seconds < -_BACK or (self.can_jump_ahead and seconds > _AHEAD)

    def _jump(self, begin: Fraction, track: _Track) -> None:
        assert track.end is not None
        for stretch in range(track.stretch + 1, len(self._offsets)):
            if not self._is_jump(begin + self._offsets[stretch] - track.end) or (
                abs(begin + self._offsets[stretch] - self._end) <= _AHEAD
            ):
                track.stretch = stretch
                return
        skipped = begin + self._offsets[track.stretch] - track.end
        self.jumps.append((track.end, skipped))
        self._offsets.append(track.end - begin)
        track.stretch = len(self._offsets) - 1

    def _enter_nearest(self, begin: Fraction, track: _Track) -> None:
        """Let a stream begin in the stretch that its first packet fits best."""
        stretches = range(track.stretch, len(self._offsets))
        track.stretch = min(stretches, key=lambda n: abs(begin + self._offsets[n] - self._end))

    def _follow(self, packet: Any, track: _Track) -> None:
        """Repair a packet of a sparse stream, such as subtitles, whose gaps say nothing."""
        begin = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
        self._enter_nearest(begin, track)
        shift(packet, self._offsets[track.stretch])
