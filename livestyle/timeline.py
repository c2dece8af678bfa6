"""A style that changes over time: ``scream@0,great-wave@12.5``."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from .errors import InputError, StyleError

if TYPE_CHECKING:
    from .engine import StyleStats
    from .styles import Style, StyleLibrary

CROSSFADE_SECONDS = 0.6

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")
_TIMED = re.compile(r"(.+)@([\d:.]+)")


@dataclass(frozen=True)
class Timeline:
    """Styles and when each begins to show.

    Attributes:
        name: the text that it was read from, or the name of its only style.
        styles: in the order of their time.
        starts: seconds, one a style; each is later than the one before.
        crossfade: seconds from one style to the next, counted from the start of the next.
    """

    name: str
    styles: tuple[Style, ...]
    starts: tuple[Fraction, ...] = (Fraction(0),)
    crossfade: float = 0.0

    @classmethod
    def of(cls, style: Style | Timeline) -> Timeline:
        """A style that stays; a timeline comes back itself."""
        return style if isinstance(style, Timeline) else cls(style.name, (style,))

    def stats(self, time: Fraction | float) -> StyleStats:
        """What to paint with at a time in seconds; the same object as long as nothing changes."""
        return self._stats(max(0, bisect_right(self.starts, time) - 1), time)

    def _stats(self, last: int, time: Fraction | float) -> StyleStats:
        from .styles import mix

        style, since = self.styles[last].stats, time - self.starts[last]
        if last == 0 or since >= self.crossfade:
            return style
        share = float(since) / self.crossfade
        # A style that comes in the middle of a crossfade takes over from what is on the screen.
        return mix([self._stats(last - 1, time), style], [1 - share, share])

    def with_styles(self, styles: Sequence[Style]) -> Timeline:
        """The same times with other styles, as many."""
        return replace(self, styles=tuple(styles))


def read_styles(library: StyleLibrary, text: str, crossfade: float = CROSSFADE_SECONDS) -> list[Style | Timeline]:
    """The styles that a text names for a video: one timeline, or what `StyleLibrary.find` finds.

    Args:
        library: finds the styles.
        text: such as ``scream@0,great-wave@1:12.5``, of presets and pictures, the first one at 0; times are
            those of the result, in seconds, minutes:seconds or hours:minutes:seconds. Without an ``@TIME``, any text of
            `StyleLibrary.find`.
        crossfade: seconds from one style to the next, 0 or more.

    Raises:
        StyleError: there is no such style, or the timeline cannot be read.
        InputError: the crossfade is out of range.
    """
    from .styles import existing_path

    if not 0 <= crossfade < float("inf"):
        raise InputError(f"a crossfade takes 0 seconds or more, not {crossfade}")
    items = [item.strip() for item in text.split(",")]
    timed = [_TIMED.fullmatch(item) for item in items]
    if not any(timed) or existing_path(text) is not None:
        return list(library.find(text))
    styles, starts = [], []
    for item, match in zip(items, timed, strict=True):
        if match is None:
            raise StyleError(f"{item!r} in {text!r} has no time: say when each style begins, as in scream@12.5")
        found = library.find(match[1])
        if len(found) != 1:
            raise StyleError(f"{match[1]} is a folder: name one style for each time of {text!r}")
        styles.append(found[0])
        try:
            starts.append(parse_time(match[2]))
        except InputError as error:
            raise StyleError(str(error)) from error
    if starts[0] != 0:
        raise StyleError(f"nothing is said about the beginning: let the first style of {text!r} begin at @0")
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise StyleError(f"the times of {text!r} are out of order: each style begins later than the one before")
    return [Timeline(text, tuple(styles), tuple(starts), crossfade)]


def parse_time(text: str) -> Fraction:
    """Seconds, minutes:seconds or hours:minutes:seconds, exactly.

    Raises:
        InputError: it is none of them.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is not a time: give seconds, or hours:minutes:seconds such as 1:02:03.5")
    hours, minutes, seconds = match.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
