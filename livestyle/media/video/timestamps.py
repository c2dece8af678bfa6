"""Conversion of a file's timestamps to exact times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

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
        origin: seconds that are taken off, of streams whose clock starts anywhere.
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
        return base == MILLISECOND and rate.denominator in {1, 1001} and _steady(first, rate) is not None

    def at(self, stamp: int) -> Fraction:
        """Seconds of a timestamp."""
        time = Fraction(stamp * self.base) - self.origin
        return (_steady(time, self.rate) or time) if self.is_rounded else time

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


def _steady(time: Fraction, rate: Fraction) -> Fraction | None:
    """The time in frames of a steady rate that, rounded to milliseconds, gives ``time``; None where there is none."""
    exact = round(time * rate) / rate
    return exact if abs(exact - time) <= MILLISECOND / 2 else None
