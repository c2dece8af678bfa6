"""Limits of what a person can ask for in numbers and texts: one table, which all ways in read.

Numbers are looked at before anything is computed with them: exact arithmetic with a large exponent takes all memory,
and comparing whole numbers of thousands of digits, or showing them, takes minutes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

from livestyle.errors import InputError

LONGEST_TEXT = 10_000
"""Characters of a text that names styles; a path has 4096 at most on Linux."""
LONGEST_SHOWN = 100
"""Characters of a wrong value that an error text repeats."""
_LARGEST_BITS = 128
"""Of the numerator and the denominator of an exact number."""
_EXACT = re.compile(r"[-+]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,2})?|[-+]?\d{1,18}/\d{1,18}")


@dataclass(frozen=True)
class Limit:
    """Range of a number.

    Attributes:
        low: least value.
        high: greatest value.
        is_above: whether the least value itself is out of range.
        is_whole: whether it counts something.
    """

    low: int
    high: int
    is_above: bool = False
    is_whole: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a value is a number in range; NaN and true are none."""
        # True is a number to Python, and to nobody else.
        if (
            not isinstance(value, Real)
            or isinstance(value, bool)
            or (self.is_whole and not isinstance(value, Rational))
        ):
            return False
        number: Any = value
        return bool((self.low < number if self.is_above else self.low <= number) and number <= self.high)


LIMITS = {
    "fps": Limit(0, 1000, is_above=True),
    "held fps": Limit(0, 1000),
    "start": Limit(0, 10**7),
    "end": Limit(0, 10**7),
    "crossfade": Limit(0, 86_400),
    "cycle": Limit(0, 86_400, is_above=True),
    "jobs": Limit(1, 256, is_whole=True),
    "threads": Limit(1, 1024, is_whole=True),
    "segment_frames": Limit(1, 10**6, is_whole=True),
    "video_track": Limit(1, 1000, is_whole=True),
    "seconds": Limit(0, 3600, is_above=True),
    "side": Limit(1, 65_535, is_whole=True),
    "pixels": Limit(1, 2**28, is_whole=True),
}
"""By the names of options and settings; ``side`` and ``pixels`` are those of a size. Those of a painting's look are in
`livestyle.render.look.CHOICES`."""


def shown(value: object) -> str:
    """A wrong value as an error text repeats it, cut off where it is long."""
    try:
        text = f"{value:g}" if isinstance(value, float) else str(value) if isinstance(value, Real) else repr(value)
    except (ValueError, RecursionError):
        # Whole numbers of more than 4300 digits.
        text = f"a {type(value).__name__} of too many digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def check(name: str, value: Any, text: str) -> None:
    """Raise an `InputError` for a number that is out of the range of an option.

    Args:
        name: of the option, in `LIMITS`.
        value: of any type.
        text: what is right, such as ``a frame rate is above 0 and up to 1000``.
    """
    if not LIMITS[name].takes(value):
        raise InputError(f"{text}, not {shown(value)}")


def exact(value: object) -> Fraction:
    """Exact number of a text or of a number: 29.97 as it is written, and not its binary approximation.

    Raises:
        ValueError: it is none, or has too many digits to compute with.
    """
    if isinstance(value, Rational) and not isinstance(value, bool):
        if max(int(value.numerator).bit_length(), int(value.denominator).bit_length()) > _LARGEST_BITS:
            raise ValueError("too many digits")
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, Real) and not math.isfinite(value):
        raise ValueError("no finite number")
    text = str(value).strip() if isinstance(value, str | Real | Decimal) and not isinstance(value, bool) else ""
    if not _EXACT.fullmatch(text):
        raise ValueError("no number")
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError("a division by zero") from error


def check_area(width: int, height: int) -> bool:
    """Whether a size in pixels is within the limits."""
    return LIMITS["side"].takes(width) and LIMITS["side"].takes(height) and LIMITS["pixels"].takes(width * height)
