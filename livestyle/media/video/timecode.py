"""SMPTE timecodes (ST 12-1): the tag that names the first frame, moved by a cut and converted to another frame rate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Self

_NTSC = Fraction(1000, 1001)
_FORM = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d{2,3})")


@dataclass(frozen=True)
class Timecode:
    """Name of a frame: hours, minutes, seconds and the frame within the second.

    Attributes:
        seconds: of the name, not of a clock.
        frame: within the second.
        fps: frames that are counted in a second, such as 30 for 29.97.
        drops: drop-frame: names are left out so that they keep up with the clock.
    """

    seconds: int
    frame: int
    fps: int
    drops: bool

    @classmethod
    def parse(cls, text: str, rate: Fraction) -> Self | None:
        """The timecode of a text at a frame rate; None where it is none at that rate."""
        found = _FORM.fullmatch(text.strip())
        fps = _whole(rate)
        if found is None or fps is None or int(found[5]) >= fps:
            return None
        hours, minutes, seconds, frame = (int(found[n]) for n in (1, 2, 3, 5))
        return cls((hours * 60 + minutes) * 60 + seconds, frame, fps, found[4] != ":" and _may_drop(rate))

    def later(self, frames: int) -> Timecode:
        """The timecode so many frames later; it begins again after 24 hours."""
        number = self.seconds * self.fps + self.frame
        left_out = self.fps // 15 if self.drops else 0
        minutes = self.seconds // 60
        number += frames - left_out * (minutes - minutes // 10)
        # Of ten minutes, nine leave names out.
        tens, rest = divmod(number, 600 * self.fps - 9 * left_out)
        number += 9 * left_out * tens
        if left_out and rest >= 60 * self.fps:
            number += left_out * (1 + (rest - 60 * self.fps) // (60 * self.fps - left_out))
        seconds, frame = divmod(number, self.fps)
        return Timecode(seconds % 86400, frame, self.fps, self.drops)

    def at_rate(self, rate: Fraction) -> Timecode | None:
        """The timecode of the same time of day at another frame rate; None where that has none."""
        fps = _whole(rate)
        if fps is None:
            return None
        frame, drops = self.frame * fps // self.fps, self.drops and _may_drop(rate)
        if drops and self.seconds % 60 == 0 and self.seconds // 60 % 10:
            frame = max(frame, fps // 15)
        return Timecode(self.seconds, frame, fps, drops)

    def __str__(self) -> str:
        minutes, seconds = divmod(self.seconds, 60)
        mark = ";" if self.drops else ":"
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{mark}{self.frame:02}"


def moved(tags: dict[str, str], rate: Fraction, start: Fraction) -> dict[str, str]:
    """Tags with their timecode moved to the first frame that begins at ``start`` seconds or later."""
    code = {key: Timecode.parse(value, rate) for key, value in tags.items() if key.lower() == "timecode"}
    return tags | {key: str(found.later(ceil(start * rate))) for key, found in code.items() if found is not None}


def converted(tags: dict[str, str], before: Fraction, after: Fraction) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Tags with their timecode at another frame rate, and each change: what it was, and is, or "" where it is lost."""
    kept: dict[str, str] = dict(tags)
    changes: list[tuple[str, str]] = []
    if before == after:
        return kept, changes
    for key in [key for key in tags if key.lower() == "timecode"]:
        code = Timecode.parse(tags[key], before)
        new = code and code.at_rate(after)
        if new is None:
            del kept[key]
            changes.append((tags[key], ""))
        else:
            kept[key] = str(new)
            changes.append((tags[key], str(new)))
    return kept, changes


def _whole(rate: Fraction) -> int | None:
    """Frames that are counted in a second at a rate, which is whole or such times 1000/1001; else None."""
    fps = ceil(rate)
    return fps if abs(rate - fps) < Fraction(1, 1000) or abs(rate - fps * _NTSC) < Fraction(1, 1000) else None


def _may_drop(rate: Fraction) -> bool:
    fps = ceil(rate)
    return fps % 30 == 0 and abs(rate - fps * _NTSC) < Fraction(1, 1000)
