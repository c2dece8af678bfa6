"""Frame rates: reading them from text, and resampling frames to a constant one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import floor

from livestyle.errors import InputError
from livestyle.media.frames import Frame


def at_rate(frames: Iterable[Frame], fps: Fraction, last: Fraction) -> Iterator[Frame]:
    """Frames at multiples of 1 / ``fps``, each with the image that is on the screen then.

    Args:
        frames: in the order of their time.
        fps: frames per second.
        last: seconds that the last frame stays on the screen where it does not say.
    """
    held: Frame | None = None
    tick = 0
    for frame in frames:
        if held is None:
            # A first frame within a tick stands at the tick's beginning, since no other frame does.
            tick = floor(frame.time * fps)
        else:
            while tick / fps < frame.time:
                yield held.at(tick / fps, 1 / fps)
                tick += 1
        held = frame
    if held is not None:
        while tick / fps < held.time + (held.duration or last):
            yield held.at(tick / fps, 1 / fps)
            tick += 1


def parse_rate(text: str) -> Fraction:
    """A frame rate such as ``25``, ``29.97`` or ``30000/1001``, exactly.

    Raises:
        InputError: it is none.
    """
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is not a frame rate: give one such as 25 or 30000/1001") from None
    check_rate(rate)
    return rate


def check_rate(rate: Fraction) -> None:
    """Raise an `InputError` for a frame rate that is not in 0..1000, 0 excluded."""
    if not 0 < rate <= 1000:
        raise InputError(f"a frame rate is above 0 and up to 1000, not {float(rate):g}")
