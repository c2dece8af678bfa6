"""Large pictures in tiles: bounded memory, the statistics of the whole picture, and no seam.

A network of AdaIN sites is all convolutions once the content statistics of its sites are given, so tiles that overlap
by its receptive field come out as in one pass. What has to be found are the statistics that one pass would find: each
site's depend on what the sites before it do. In one pass over a sample of patches, repeated until nothing changes, the
sample's are found; passes over all tiles then correct them by the difference between the picture and its sample
(a fixed-point iteration with a cheap model of the expensive function).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from livestyle.engine.stabilizer import Stabilizer
    from livestyle.engine.style import StyleStats
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage

ONE_PASS_PIXELS = 12_500_000
"""Up to so many pixels a picture is painted in one pass, which takes some 110 bytes for each."""
TILE = 1280
"""Side of a tile without its overlap, in pixels."""
OVERLAP = 128
"""Pixels on each side of a tile that are painted for its neighbour's sake; more than the receptive fields of the
networks reach."""
ALIGNMENT = 16
"""Tiles begin at multiples of it: networks reduce their frames by 8 at most."""
PATCH = 288
PATCHES = 4
"""Side of the sample's patches in pixels, and how many there are down and across."""
CORRECTIONS = 1, 2
"""Passes over the tiles that correct the statistics, in one style and in two, whose regions a sample meets less evenly;
pictures are then within a grey level of one pass."""
MEASURED_PIXELS = 48_000_000
"""In larger pictures, such a pass takes every second tile, every third and so on."""
MOST_SITES = 16
"""Passes over the sample at most: one for each site, since each changes only those behind it."""
SETTLED = 1e-4
_NEARLY_ONE = 1 - 2**-7
"""Momentum at which given statistics count nearly alone, and the frame's own can still be told from the result."""
_FLAT_DEVIATION = 1e-5**0.5
"""Deviation of a channel of one value: the root of AdaIN's epsilon."""

Watch = Callable[[int], AbstractContextManager[Callable[[], None]]]
"""Opens what shows the progress of so many tiles; yields what is called after each."""

Box = tuple[int, int, int, int]
"""Top, bottom, left and right, in pixels."""


class TiledStylizer:
    """Stylizer for single pictures, of which large ones are painted in tiles.

    Args:
        stylizer: paints the tiles, and smaller pictures in one pass.
        one_pass_pixels: see `ONE_PASS_PIXELS`.
        watch: shows how many tiles are done, of those that are painted to find the statistics too.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        one_pass_pixels: int = ONE_PASS_PIXELS,
        watch: Watch = lambda _: nullcontext(lambda: None),
    ) -> None:
        self._stylizer = stylizer
        self._one_pass_pixels = one_pass_pixels
        self._watch = watch

    def stylize(
        self,
        frames: BgrImage,
        style: StyleStats,
        strength: float = 1.0,
        state: Stabilizer | None = None,
        *,
        mask: np.ndarray | None = None,
        background: StyleStats | None = None,
    ) -> BgrImage:
        """Painting of one picture; arguments are those of `livestyle.Stylizer.stylize`, tiles leave ``state`` alone."""
        height, width = frames.shape[:2]
        if height * width <= self._one_pass_pixels or strength == 0:
            return self._stylizer.stylize(frames, style, strength, state, mask=mask, background=background)

        corrections = CORRECTIONS[background is not None]
        whole = list(tiles(height, width))
        with self._watch(len(whole) + corrections * len(_measured(height, width))) as advance:

            def run(box: Box, statistics: np.ndarray | None, momentum: float) -> tuple[np.ndarray, np.ndarray]:
                top, bottom, left, right = box
                part = np.ascontiguousarray(frames[top:bottom, left:right])
                part_mask = None if mask is None else np.ascontiguousarray(mask[top:bottom, left:right])
                found = self._stylizer.stylize_with_statistics(
                    part, style, strength, statistics, momentum, mask=part_mask, background=background
                )
                if min(bottom - top, right - left) > PATCH:
                    # Patches of the sample are small beside tiles.
                    advance()
                return found

            layout = _deviations(self._stylizer, style, background)
            statistics = _find_statistics(run, height, width, layout, corrections)
            painted = np.empty_like(frames)
            for inner, outer in whole:
                part = run(outer, statistics, 1.0)[0]
                top, bottom, left, right = inner
                painted[top:bottom, left:right] = part[
                    top - outer[0] : bottom - outer[0], left - outer[2] : right - outer[2]
                ]
        return painted


Run = Callable[[Box, "np.ndarray | None", float], "tuple[np.ndarray, np.ndarray]"]
"""Paints a box with given statistics and momentum; painting, and next statistics."""


def tiles(height: int, width: int) -> Iterator[tuple[Box, Box]]:
    """Tiles of a picture: what each contributes, without gaps, and what is painted for it; the latter of one size."""
    rows, columns = _spans(height), _spans(width)
    for (top, bottom), (above, below) in rows:
        for (left, right), (before, behind) in columns:
            yield (top, bottom, left, right), (above, below, before, behind)


def _spans(length: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    # The last one ends where the picture does, and begins at a multiple of the alignment as well.
    outer = min(length, TILE + 2 * OVERLAP + length % ALIGNMENT)
    spans = []
    for start in range(0, length, TILE):
        begin = min(max(0, start - OVERLAP), length - outer)
        spans.append(((start, min(length, start + TILE)), (begin, begin + outer)))
    return spans


def _find_statistics(run: Run, height: int, width: int, layout: np.ndarray | None, corrections: int) -> np.ndarray:
    """Content statistics that one pass over the whole picture finds."""
    sample = _patches(height, width)
    parts = _measured(height, width)
    statistics = _settled(run, sample, layout, None, None)
    for _ in range(corrections):
        correction = _own(run, parts, layout, statistics) - _own(run, sample, layout, statistics)
        statistics = _settled(run, sample, layout, statistics, correction)
    return statistics.astype(np.float32)


def _settled(
    run: Run, sample: Sequence[Box], layout: np.ndarray | None, start: np.ndarray | None, correction: np.ndarray | None
) -> np.ndarray:
    """Statistics with which the sample has just these of its own, apart from a correction."""
    statistics = start
    for _ in range(MOST_SITES):
        found = _own(run, sample, layout, statistics)
        if correction is not None:
            found = found + correction
            if layout is not None:
                found[layout >= 0] = np.maximum(found[layout >= 0], _FLAT_DEVIATION)
        change = np.inf if statistics is None else float(np.abs(found - statistics).max())
        statistics = found
        if change < SETTLED:
            break
    assert statistics is not None
    return statistics


def _own(run: Run, boxes: Sequence[Box], layout: np.ndarray | None, statistics: np.ndarray | None) -> np.ndarray:
    """The boxes' own statistics, pooled, where the sites normalise with the given ones; float64 [K]."""
    given = None if statistics is None else statistics.astype(np.float32)
    found, sizes = [], []
    for top, bottom, left, right in boxes:
        following = run((top, bottom, left, right), given, _NEARLY_ONE)[1].astype(np.float64)
        found.append(following if given is None else (following - _NEARLY_ONE * given) / (1 - _NEARLY_ONE))
        sizes.append((bottom - top) * (right - left))
    shares = np.array(sizes) / sum(sizes)
    values = np.stack(found)
    pooled: np.ndarray = shares @ values
    if layout is not None:
        deviations = np.flatnonzero(layout >= 0)
        means = layout[deviations]
        # Of all pixels: the boxes' own variances, and that of their means.
        squares = shares @ (values[:, deviations] ** 2 + values[:, means] ** 2)
        pooled[deviations] = np.sqrt(np.maximum(squares - pooled[means] ** 2, _FLAT_DEVIATION**2))
    return pooled


def _patches(height: int, width: int) -> list[Box]:
    """The sample: patches that are spread evenly."""
    side = min(PATCH, height, width)
    tops, lefts = (np.linspace(0, length - side, PATCHES).astype(int).tolist() for length in (height, width))
    return [(top, top + side, left, left + side) for top in dict.fromkeys(tops) for left in dict.fromkeys(lefts)]


def _measured(height: int, width: int) -> list[Box]:
    """The parts of a picture that a correction paints."""
    return _parts(height, width)[:: max(1, -(-height * width // MEASURED_PIXELS))]


def _parts(height: int, width: int) -> list[Box]:
    """The whole picture in parts of nearly one size, in an order that spreads every share of them."""

    def cut(length: int) -> list[tuple[int, int]]:
        count = max(1, round(length / TILE))
        ends = [round(length * n / count / ALIGNMENT) * ALIGNMENT for n in range(count)] + [length]
        return list(pairwise(ends))

    rows, columns = cut(height), cut(width)
    return [(*rows[n], *columns[(m + n) % len(columns)]) for n in range(len(rows)) for m in range(len(columns))]


def _deviations(stylizer: Stylizer, style: StyleStats, background: StyleStats | None) -> np.ndarray | None:
    """For each of the K statistics that is a deviation the place of its mean, -1 for means; None where unknown.

    A model folder does not say where they stand. In an image of one colour, every deviation is that of a constant.
    """
    grey = np.full((64, 64, 3), 128, np.uint8)
    mask = None if background is None else np.full((64, 64), 255, np.uint8)
    found = stylizer.stylize_with_statistics(grey, style, 1.0, None, 0.0, mask=mask, background=background)[1]
    flat = np.abs(found - _FLAT_DEVIATION) < _FLAT_DEVIATION / 10
    ends = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), len(flat)]
    layout = np.full(len(flat), -1)
    blocks = list(pairwise(ends))
    for (mean, middle), (deviation, end) in zip(blocks[::2], blocks[1::2], strict=False):
        if middle - mean != end - deviation or flat[mean]:
            return None
        layout[deviation:end] = np.arange(mean, middle)
    return layout if len(blocks) % 2 == 0 else None
