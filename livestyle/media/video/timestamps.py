"""Conversion of a file's timestamps to exact times in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

MILLISECOND = Fraction(1, 1000)


@dataclass
class Timestamps:
    """Clock of one video stream.

    Matroska, WebM and FLV round to milliseconds, in which there is neither 30 nor 30000/1001 frames per second: where a
    steady rate fits the rounded times, they become the times that were rounded.

    Attributes:
        base: seconds; the unit of timestamps.
        rate: frames per second, nominal.
        origin: seconds that are taken off, since clocks start anywhere.
        is_rounded: times are milliseconds of a steady rate.
    """

    base: Fraction
    rate: Fraction
    origin: Fraction = Fraction(0)
    is_rounded: bool = False
    _next: Fraction = field(default=Fraction(0), init=False)

    @staticmethod
    def are_rounded(base: Fraction, rate: Fraction, first: Fraction) -> bool:
        """Whether times are milliseconds of a steady rate, by the unit, the rate and the first frame's time."""
        steady = _steady(first, rate, MILLISECOND / 2)
        return base == MILLISECOND and rate.denominator in {1, 1001} and steady is not None

    def at(self, stamp: int) -> Fraction:
        """Seconds of a timestamp."""
        time = Fraction(stamp * self.base) - self.origin
        # Between two times that are rounded, the error is twice as large.
        error = MILLISECOND if self.origin else MILLISECOND / 2
        return (_steady(time, self.rate, error) or time) if self.is_rounded else time

    def lasting(self, ticks: int) -> Fraction:
        """Seconds of a duration; 0 where it is unknown."""
        duration = Fraction(ticks * self.base)
        if self.is_rounded and abs(duration - 1 / self.rate) < MILLISECOND:
            return 1 / self.rate
        return duration

    def time(self, frame: av.VideoFrame) -> Fraction:
        """Seconds of a decoded frame; one without a timestamp follows the frame before at the nominal rate."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = self._next if stamp is None else self.at(stamp)
        self._next = time + 1 / self.rate
        return time

    def follow(self, end: Fraction) -> None:
        """Where a next frame without a timestamp is shown."""
        self._next = end


def _steady(time: Fraction, rate: Fraction, error: Fraction) -> Fraction | None:
    """The time in frames of a steady rate that lies within an error of ``time``; None where there is none."""
    exact = round(time * rate) / rate
    return exact if abs(exact - time) <= error else None


def origin_of(container: Any, streams: Iterable[Any]) -> Fraction:
    """Seconds of a file's clock at which the first stream begins; 0 where only a preroll of sound lies before 0.

    Args:
        container: of PyAV.
        streams: that are read: other programmes of a broadcast have clocks of their own.
    """
    if container.start_time is None:
        return Fraction(0)
    begin = Fraction(container.start_time, av.time_base)
    known = [s for s in streams if s.start_time is not None]
    starts = [Fraction(s.start_time * s.time_base) for s in known]
    videos = [start for stream, start in zip(known, starts, strict=True) if stream.type == "video"]
    if begin < 0:
        return min([Fraction(0), *videos])
    # The container's start is rounded to microseconds, those of the streams are exact.
    exact = min(starts, key=lambda start: abs(start - begin), default=begin)
    return exact if abs(exact - begin) <= Fraction(2, av.time_base) else min(starts, default=begin)
