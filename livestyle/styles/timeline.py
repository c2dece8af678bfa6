"""Timelines: styles with start times and crossfades, ``scream@0,great-wave@12.5``; a mix is ``a:0.7,b:0.3@12.5``."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from livestyle.engine.style import mix
from livestyle.errors import InputError, StyleError
from livestyle.limits import LIMITS, LONGEST_SHOWN, check, shown

from .library import Style, StyleLibrary, check_text, existing_path, split_weight

if TYPE_CHECKING:
    from livestyle.engine.style import StyleStats

CROSSFADE_SECONDS = 0.6

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")
_TIMED = re.compile(r"(.+)@([\d:.]+)")


@dataclass(frozen=True)
class Cue:
    """Entry of a timeline: a style and when it sets in.

    Attributes:
        start: time at which its crossfade begins, in seconds.
        style: that it fades to.
        crossfade: its duration in seconds, from ``start`` on; 0 is a hard cut.
    """

    start: Fraction | float
    style: Style
    crossfade: float = 0.0


@dataclass(frozen=True)
class Timeline:
    """Sequence of styles over time. A video has its cues in advance; live, each switch adds one, see `switched`.

    Attributes:
        name: text that it was parsed from, or the name of its last style.
        cues: in the order of their start; the first also applies before its start.

    Raises:
        StyleError: there are none.
    """

    name: str
    cues: tuple[Cue, ...]

    def __post_init__(self) -> None:
        if not self.cues or not all(isinstance(cue, Cue) for cue in self.cues):
            raise StyleError("a timeline has one cue or more: Cue(start, style)")

    @classmethod
    def of(cls, style: Style | Timeline) -> Timeline:
        """Timeline of a single style; a timeline is returned as it is."""
        return style if isinstance(style, Timeline) else cls(style.name, (Cue(0, style),))

    @property
    def styles(self) -> tuple[Style, ...]:
        """Styles of the cues, in order."""
        return tuple(cue.style for cue in self.cues)

    def stats_at(self, time: Fraction | float) -> StyleStats:
        """Style statistics at a time in seconds; the same object as long as no crossfade is in progress."""
        last = max(0, bisect_right(self.cues, time, key=lambda cue: cue.start) - 1)
        first = last
        while first > 0 and time - self.cues[first].start < self.cues[first].crossfade:
            first -= 1
        stats = self.cues[first].style.stats
        # A cue within the crossfade before it fades from that crossfade, which itself continues.
        for cue in self.cues[first + 1 : last + 1]:
            share = float(time - cue.start) / cue.crossfade
            stats = mix([stats, cue.style.stats], [1 - share, share])
        return stats

    def with_styles(self, styles: Sequence[Style]) -> Timeline:
        """Timeline with the same times and other styles, one for each cue."""
        return replace(self, cues=tuple(replace(c, style=s) for c, s in zip(self.cues, styles, strict=True)))

    def switched(self, style: Style, time: Fraction | float, crossfade: float = 0.0) -> Timeline:
        """Timeline with one more cue, for a switch of styles while it plays.

        Cues that have no effect any more at ``time`` are dropped.

        Args:
            style: to switch to.
            time: of the switch, in seconds, not before the last cue's start.
            crossfade: seconds from the styles before to the new one.
        """
        first = max((n for n, c in enumerate(self.cues) if n == 0 or time - c.start >= c.crossfade), default=0)
        kept = () if crossfade == 0 else self.cues[first:]
        return Timeline(style.name, (*kept, Cue(time, style, crossfade)))


def read_styles(library: StyleLibrary, text: str, crossfade: float = CROSSFADE_SECONDS) -> list[Style | Timeline]:
    """Styles that a text names for a video: one timeline, or what `StyleLibrary.find` finds.

    Args:
        library: finds the styles.
        text: such as ``scream@0,great-wave@1:12.5``, of presets, images and mixes of them
            (``scream@0,a:0.7,b:0.3@12.5``), the first one at 0; times are those of the result, in seconds,
            minutes:seconds or hours:minutes:seconds. Without an ``@TIME``, any text of `StyleLibrary.find`.
        crossfade: seconds from one style to the next, 0 or more.

    Raises:
        StyleError: there is no such style, or the timeline cannot be read.
        InputError: the crossfade is out of range.
    """
    check_crossfade(crossfade)
    check_text(text)
    items = [item.strip() for item in text.split(",")]
    timed = [_TIMED.fullmatch(item) for item in items]
    if existing_path(text) is not None:
        return list(library.find(text))
    if not any(timed):
        for item in items:
            _check_time(item)
        return list(library.find(text))
    styles, starts = [], []
    members: list[str] = []
    for item, match in zip(items, timed, strict=True):
        if match is None:
            _check_time(item)
            # A member of a mix other than the last, which carries the time.
            if not _has_weight(item):
                raise StyleError(
                    f"{shown(item)} in {shown(text)} has no time: say when each style begins, as in scream@12.5"
                )
            members.append(item)
            continue
        if not members and _has_weight(match[1]):
            raise StyleError(f"{shown(match[1])} has a weight and nothing to be mixed with: leave the weight out")
        found = library.find(",".join([*members, match[1]]))
        members = []
        if len(found) != 1:
            raise StyleError(f"{match[1]} is a folder: name one style for each time of {shown(text)}")
        styles.append(found[0])
        try:
            starts.append(parse_time(match[2]))
        except InputError as error:
            raise StyleError(str(error)) from error
    if members:
        raise StyleError(
            f"{shown(members[-1])} in {shown(text)} has no time: say when each style begins, as in scream@12.5"
        )
    if starts[0] != 0:
        raise StyleError(f"nothing is said about the beginning: let the first style of {shown(text)} begin at @0")
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise StyleError(f"the times of {shown(text)} are out of order: each style begins later than the one before")
    return [Timeline(text, tuple(Cue(a, s, crossfade) for a, s in zip(starts, styles, strict=True)))]


def check_crossfade(seconds: float) -> None:
    """Raise an `InputError` for a crossfade whose duration in seconds is negative or not finite."""
    check("crossfade", seconds, f"a crossfade takes 0 seconds or more, and {LIMITS['crossfade'].high} at most")


def _has_weight(item: str) -> bool:
    """Whether an item ends with a weight, ``NAME:WEIGHT``, and is not an existing file whose name looks like that."""
    return split_weight(item)[1] is not None and existing_path(item) is None


def _check_time(item: str) -> None:
    """Raise a `StyleError` for an ``@`` without a valid time after it, unless it belongs to an existing file's name."""
    _, at, time = item.rpartition("@")
    if at and existing_path(item) is None and existing_path(split_weight(item)[0]) is None:
        raise StyleError(
            f"there is no style {shown(item)}, and {shown(time)} is not a time either: "
            "give seconds, or hours:minutes:seconds, as in scream@1:02.5"
        )


def parse_time(text: str) -> Fraction:
    """Exact time in seconds from a text: seconds, minutes:seconds or hours:minutes:seconds.

    Raises:
        InputError: it is none of them.
    """
    match = _TIME.fullmatch(text.strip()) if len(text) <= LONGEST_SHOWN else None
    if match is None:
        raise InputError(f"{shown(text)} is not a time: give seconds, or hours:minutes:seconds such as 1:02:03.5")
    hours, minutes, seconds = match.groups(default="0")
    time = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    check("start", time, f"a time is between 0 and {LIMITS['start'].high} seconds")
    return time
