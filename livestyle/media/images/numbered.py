"""Numbered image sequences by the names of their files: printf patterns (``f_%04d.png``), ``f_####.png``, members."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .formats import SUFFIXES, is_image

FEWEST = 3
"""Images of a folder that make a sequence of it."""

_PRINTF = re.compile(r"((?:[^%]|%%)*)%0?(\d*)d((?:[^%]|%%)*)")
_HASHES = re.compile(r"([^#]*)(#+)([^#]*)")
_LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)


@dataclass(frozen=True)
class Numbered:
    """Names of numbered files in one folder.

    Attributes:
        folder: of the files.
        prefix: what is before the number.
        width: of the number in digits, padded with zeros; larger numbers have more. 1 is not padded.
        suffix: what is behind the number, with the dot.
    """

    folder: Path
    prefix: str
    width: int
    suffix: str

    @classmethod
    def parse(cls, path: Path) -> Numbered | None:
        """The names that a pattern stands for; None where it is none, or not of images."""
        if not is_image(path):
            return None
        if found := _PRINTF.fullmatch(path.name):
            prefix, suffix = (part.replace("%%", "%") for part in (found[1], found[3]))
            return cls(path.parent, prefix, int(found[2] or 1) or 1, suffix)
        if found := _HASHES.fullmatch(path.name):
            return cls(path.parent, found[1], len(found[2]), found[3])
        return None

    @classmethod
    def of_member(cls, path: Path) -> Numbered | None:
        """The sequence that an image belongs to with others of its folder; None where it stands alone."""
        key = _key(path)
        if key is None or not is_image(path):
            return None
        try:
            found = [other for other in path.parent.iterdir() if _key(other) == key and other.is_file()]
        except OSError:
            return None
        sequence = _of(path.parent, key, found)
        return sequence if len(found) > 1 and path.name in {sequence.file(n).name for n in sequence.numbers()} else None

    @property
    def path(self) -> Path:
        """The pattern, as printf has it; no file has this name."""
        number = "%d" if self.width == 1 else f"%0{self.width}d"
        return self.folder / f"{self.prefix.replace('%', '%%')}{number}{self.suffix.replace('%', '%%')}"

    @property
    def title(self) -> str:
        """Name for a video of it: the prefix without what joins it to the number, or that of the folder."""
        return self.prefix.strip(" _-.") or self.folder.resolve().name or "film"

    def file(self, number: int) -> Path:
        """Path of the file of a number."""
        return self.folder / f"{self.prefix}{number:0{self.width}d}{self.suffix}"

    def numbers(self) -> list[int]:
        """Numbers of the files that are there, in ascending order; none where the folder cannot be read."""
        ends = len(self.prefix), len(self.suffix)
        found = []
        try:
            names = [path.name for path in self.folder.iterdir()]
        except OSError:
            return []
        for name in names:
            digits = name[ends[0] : len(name) - ends[1]]
            if digits.isascii() and digits.isdigit() and name == self.file(int(digits)).name:
                found.append(int(digits))
        return sorted(found)

    def files(self) -> list[Path]:
        """Paths of the files that are there, in the order of their numbers."""
        return [self.file(number) for number in self.numbers()]


def sequences_of(images: Iterable[Path]) -> dict[Numbered, list[Path]]:
    """Numbered sequences among image files, with the files of each; two are none, see `FEWEST`."""
    groups: dict[tuple[Path, str, str], list[Path]] = defaultdict(list)
    for image in images:
        if (key := _key(image)) is not None and image.suffix.lower() in SUFFIXES:
            groups[(image.parent, *key)].append(image)
    found = {_of(folder, (prefix, suffix), files): files for (folder, prefix, suffix), files in groups.items()}
    return {sequence: files for sequence, files in found.items() if len(files) >= FEWEST}


def is_steady(numbers: Sequence[int]) -> bool:
    """Whether ascending numbers follow one another at one distance, with nothing missing."""
    return len({b - a for a, b in itertools.pairwise(numbers)}) <= 1


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers for people: ``3, 5-9``; of many ranges the first five."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


def _key(path: Path) -> tuple[str, str] | None:
    """What stands before and behind the last number of a file's name; None where it has none."""
    found = _LAST_NUMBER.fullmatch(path.stem)
    return None if found is None or path.name.startswith(".") else (found[1], found[3] + path.suffix)


def _of(folder: Path, key: tuple[str, str], files: Iterable[Path]) -> Numbered:
    prefix, suffix = key
    width = min(len(path.name) - len(prefix) - len(suffix) for path in files)
    return Numbered(folder, prefix, width, suffix)
