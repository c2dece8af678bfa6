"""Reading of numbered image sequences as videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache, partial
from itertools import chain, pairwise
from math import ceil
from pathlib import Path

import numpy as np

from livestyle.errors import InputError
from livestyle.media.depth import eight_bits, is_deep, sixteen_bits
from livestyle.media.frames import Frame, VideoSource
from livestyle.media.images import (
    Metadata,
    Picture,
    carried_metadata,
    read_picture,
)
from livestyle.media.images.numbered import Numbered, ranges
from livestyle.media.resize import fit_into

from .info import VideoInfo

DEFAULT_RATE = Fraction(25)
"""Frames per second of a sequence that nobody names a rate for; FFmpeg's default too."""


class SequenceReader(VideoSource):
    """The frames of a numbered image sequence: upright, sRGB, at a constant rate.

    A number that is missing on the way is a frame that is missing: the image before stays for its time, as in a video,
    and so it does for one that is damaged. Where more are missing than there are, numbers tell no time, and gaps are
    closed. Steps, as of every second frame of a rendering, are no gaps. Images of another size than the first are
    letterboxed.

    Args:
        numbered: names of the files.
        rate: frames per second; None is `DEFAULT_RATE`, which is then said.
        start: seconds, see `VideoReader`.
        end: seconds, see `VideoReader`.
        alpha: give the alpha channel with each frame, see `Frame.alpha`; else it is laid over white, as always, and
            that is said.
        described: keep the metadata of each image in ``descriptions``, for a sink that takes it.
        deep: give images of 16 bits as such, see `Frame.pixels`.

    Raises:
        InputError: there is no such file, none that can be read, or no frame between start and end.
    """

    def __init__(
        self,
        numbered: Numbered,
        rate: Fraction | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        *,
        alpha: bool = False,
        described: bool = False,
        deep: bool = False,
    ) -> None:
        self.path = numbered.path
        self.descriptions: dict[Fraction, Metadata] = {}
        """Metadata of the images that were read, by the times of their frames, that nobody has taken yet."""
        self.decoded = self.concealed = 0
        self._numbered = numbered
        self._rate = rate or DEFAULT_RATE
        self._is_rate_given = rate is not None
        self._keeps_alpha, self._described, self._is_deep = alpha, described, deep
        self._missing: list[int] = []
        self._damaged: dict[int, None] = {}
        self._fitted: dict[int, None] = {}
        self._lost: dict[str, None] = {}
        self._read = lru_cache(2)(self._read_one)
        numbers = numbered.numbers()
        if not numbers:
            raise InputError(f"there is no picture that {self.path} stands for")
        self._slots = self._spread(numbers)
        self._cut(numbers, start or Fraction(0), end)
        first = self._first = self._good(self._begin)
        height, width = first.image.shape[:2]
        self.bits = first.bits
        given = self.bits if is_deep(first.image) else 8
        self.info = VideoInfo(width, height, self._rate, 1 / self._rate, bits=given)
        if deep and first.bits > 8 and not is_deep(first.image):
            self._lost["all but 8 bits a channel, since its colours are converted to sRGB"] = None
        if not described:
            for what in carried_metadata(Path("x.bmp"), first.metadata, width, height)[1]:
                self._lost[f"{what} of its pictures"] = None

    def _spread(self, numbers: list[int]) -> dict[int, int]:
        """The number of each frame, by its place in time."""
        step = Counter(b - a for a, b in pairwise(numbers)).most_common(1)[0][0] if len(numbers) > 1 else 1
        if any((number - numbers[0]) % step for number in numbers):
            step = 1
        count = (numbers[-1] - numbers[0]) // step + 1
        missing = count - len(numbers)
        self._are_gaps_closed = missing > len(numbers)
        if self._are_gaps_closed:
            return dict(enumerate(numbers))
        there = set(numbers)
        self._missing = [n for n in range(numbers[0], numbers[-1] + 1, step) if missing and n not in there]
        return {(number - numbers[0]) // step: number for number in numbers}

    def _cut(self, numbers: list[int], start: Fraction, end: Fraction | None) -> None:
        length = max(self._slots) + 1
        self._begin = ceil(start * self._rate)
        self._end = length if end is None else min(length, ceil(end * self._rate))
        if self._begin >= self._end:
            span = f"from {float(start):g}" + (f" to {float(end):g}" if end is not None else "")
            raise InputError(
                f"there is no frame {span} seconds in {self.path}, which is {float(length / self._rate):.1f} seconds "
                f"long at {float(self._rate):g} frames a second"
            )
        self.first_number = self._slots.get(self._begin, numbers[0] + self._begin)
        """Number of the first frame, which a sequence that is made of this one goes on from."""
        kept = {self._slots[slot] for slot in range(self._begin, self._end) if slot in self._slots}
        self._missing = [n for n in self._missing if kept and min(kept) < n < max(kept)]

    @property
    def expected(self) -> int:
        return self._end - self._begin

    @property
    def damage(self) -> str | None:
        said = []
        for numbers, what in ((self._missing, "missing"), (sorted(self._damaged), "damaged")):
            if numbers:
                one = len(numbers) == 1
                said.append(f"number{'' if one else 's'} {ranges(numbers)} {'is' if one else 'are'} {what}")
        if not said:
            return None
        return f"of {self.path}, {' and '.join(said)}: the picture before stays for the time"

    @property
    def notes(self) -> list[str]:
        said = []
        if not self._is_rate_given:
            said.append(f"{self.path} has no rate of its own and is taken as {float(self._rate):g} frames a second")
        if self._are_gaps_closed:
            said.append(f"{self.path} has more gaps than pictures, which follow one another without them")
        if self._fitted:
            count = (
                f"1 picture of {self.path} is" if len(self._fitted) == 1 else f"{len(self._fitted)} of {self.path} are"
            )
            said.append(f"{count} of another size than the first, and fitted into {self.width}x{self.height}")
        if self._lost:
            said.append(f"{self.path} loses {', '.join(self._lost)}")
        return said

    def __iter__(self) -> Iterator[Frame]:
        """The frames; their images are read on first access."""
        for slot in range(self._begin, self._end):
            self.decoded += 1
            self.concealed += slot not in self._slots
            time = (slot - self._begin) / self._rate
            yield Frame(partial(self._image, slot, time), time, 1 / self._rate, partial(self._alpha, slot))

    def _image(self, slot: int, time: Fraction) -> np.ndarray:
        picture = self._good(slot)
        if self._described:
            self.descriptions[time] = picture.metadata
        if picture.alpha is not None and not self._keeps_alpha:
            self._lost["transparency, which is laid over white"] = None
        if picture.image.shape[:2] != (self.height, self.width):
            self._fitted[slot] = None
        return fit_into(self._as_deep(picture.image), self.width, self.height)

    def _as_deep(self, image: np.ndarray) -> np.ndarray:
        """An image as deep as the first one."""
        return sixteen_bits(image) if is_deep(self._first.image) else eight_bits(image)

    def _alpha(self, slot: int) -> np.ndarray | None:
        if not self._keeps_alpha:
            return None
        picture = self._good(slot)
        alpha = picture.alpha
        if alpha is None:
            alpha = np.full(picture.image.shape[:2], 255, np.uint8)
        return fit_into(self._as_deep(alpha), self.width, self.height)

    def _good(self, slot: int) -> Picture:
        """The image of a frame, or the last good one before it; the first good one where there is none."""
        for place in chain(range(slot, self._begin - 1, -1), range(slot + 1, self._end)):
            if place in self._slots and (picture := self._read(place)) is not None:
                return picture
        raise InputError(f"no picture of {self.path} can be read: the files are damaged, or something else")

    def _read_one(self, slot: int) -> Picture | None:
        number = self._slots[slot]
        try:
            return read_picture(self._numbered.file(number), deep=self._is_deep)
        except InputError:
            self.concealed += number not in self._damaged
            self._damaged[number] = None
            return None

    def close(self) -> None:
        self._read.cache_clear()
