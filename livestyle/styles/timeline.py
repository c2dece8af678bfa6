"""A style that changes over time: ``scream@0,great-wave@12.5``, also to a mix: ``scream@0,a:0.7,b:0.3@12.5``."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from livestyle.errors import InputError, StyleError

from .library import Style, StyleLibrary, existing_path, mix, split_weight

if TYPE_CHECKING:
    from livestyle.engine.stylizer import StyleStats

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
        text: such as ``scream@0,great-wave@1:12.5``, of presets, pictures and mixes of them
            (``scream@0,a:0.7,b:0.3@12.5``), the first one at 0; times are those of the result, in seconds,
            minutes:seconds or hours:minutes:seconds. Without an ``@TIME``, any text of `StyleLibrary.find`.
        crossfade: seconds from one style to the next, 0 or more.

    Raises:
        StyleError: there is no such style, or the timeline cannot be read.
        InputError: the crossfade is out of range.
    """
    check_crossfade(crossfade)
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
            # All of a mix but its last member.
            if not _has_weight(item):
                raise StyleError(f"{item!r} in {text!r} has no time: say when each style begins, as in scream@12.5")
            members.append(item)
            continue
        if not members and _has_weight(match[1]):
            raise StyleError(f"{match[1]!r} has a weight and nothing to be mixed with: leave the weight out")
        found = library.find(",".join([*members, match[1]]))
        members = []
        if len(found) != 1:
            raise StyleError(f"{match[1]} is a folder: name one style for each time of {text!r}")
        styles.append(found[0])
        try:
            starts.append(parse_time(match[2]))
        except InputError as error:
            raise StyleError(str(error)) from error
    if members:
        raise StyleError(f"{members[-1]!r} in {text!r} has no time: say when each style begins, as in scream@12.5")
    if starts[0] != 0:
        raise StyleError(f"nothing is said about the beginning: let the first style of {text!r} begin at @0")
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise StyleError(f"the times of {text!r} are out of order: each style begins later than the one before")
    return [Timeline(text, tuple(styles), tuple(starts), crossfade)]


def check_crossfade(seconds: float) -> None:
    """Raise an `InputError` for the seconds of a crossfade that are out of range."""
    if not 0 <= seconds < float("inf"):
        raise InputError(f"a crossfade takes 0 seconds or more, not {seconds:g}")


def _has_weight(item: str) -> bool:
    """Whether a weight as of a mix is at the end, and not a file's name that looks like it."""
    return split_weight(item)[1] is not None and existing_path(item) is None


def _check_time(item: str) -> None:
    """Raise a `StyleError` for a style with an ``@`` and no time behind it; files may have one in their names."""
    _, at, time = item.rpartition("@")
    if at and existing_path(item) is None and existing_path(split_weight(item)[0]) is None:
        raise StyleError(
            f"there is no style {item!r}, and {time!r} is not a time either: "
            "give seconds, or hours:minutes:seconds, as in scream@1:02.5"
        )


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
