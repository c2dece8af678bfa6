"""Frame rates: parsing, and conversion of frames to a constant rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import floor

from livestyle.errors import InputError
from livestyle.limits import check, exact, shown
from livestyle.media.frames import Frame


def at_rate(frames: Iterable[Frame], fps: Fraction, last: Fraction) -> Iterator[Frame]:
    """Frames at a constant rate, by repeating and dropping: at each multiple of 1 / ``fps`` the image shown then.

    Args:
        frames: in the order of their time.
        fps: frames per second of the result.
        last: duration of the last frame in seconds, where its own is unknown (0).
    """
    held: Frame | None = None
    tick = 0
    for frame in frames:
        if held is None:
            # The first frame is rounded down to a tick, or nothing would be shown until the next one.
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
    """Exact frame rate from a text such as ``25``, ``29.97`` or ``30000/1001``.

    Raises:
        InputError: it is no frame rate.
    """
    try:
        rate = exact(text)
    except ValueError:
        raise InputError(f"{shown(text)} is not a frame rate: give one such as 25 or 30000/1001") from None
    check_rate(rate)
    return rate


def check_rate(rate: Fraction) -> None:
    """Raise an `InputError` for a frame rate that is not above 0 and at most 1000."""
    check("fps", rate, "a frame rate is above 0 and up to 1000")
