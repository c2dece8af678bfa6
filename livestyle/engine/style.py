"""Style statistics, the form in which the network takes a style, and the preparation of style images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from livestyle.errors import StyleError
from livestyle.limits import Limit, shown
from livestyle.media.resize import resize

from .model import STYLE_LONG_SIDE, STYLE_SIDE

if TYPE_CHECKING:
    from fractions import Fraction

    from livestyle.media.frames import BgrImage


@dataclass(frozen=True, eq=False)
class StyleStats:
    """Target means and standard deviations of a model's AdaIN sites, which are all that the network needs of a style.

    Attributes:
        values: float32 [S], read-only; S is the model's ``stats_size``.

    Raises:
        StyleError: they are no such numbers.
    """

    values: np.ndarray

    def __post_init__(self) -> None:
        try:
            values = np.array(self.values, np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise StyleError(f"the statistics of a style are numbers, not {shown(self.values)}") from error
        if values.ndim != 1 or not np.isfinite(values).all():
            raise StyleError(f"the statistics of a style are one row of finite numbers, not {list(values.shape)}")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def stats_at(self, _time: Fraction | float) -> StyleStats:
        """Itself at every time: a style that does not change, see `livestyle.render.look.StyleOverTime`."""
        return self


def check_stats(style: object) -> None:
    """Raise a `StyleError` for what is no `StyleStats`."""
    if not isinstance(style, StyleStats):
        hint = ": take its stats" if hasattr(style, "stats") else ""
        raise StyleError(f"the statistics of a style are StyleStats, not {type(style).__name__}{hint}")


WEIGHT = Limit(0, 10**30)


def mix(styles: Sequence[StyleStats], weights: Sequence[float]) -> StyleStats:
    """Weighted mean of style statistics (interpolation between styles, Huang & Belongie 2017).

    A crossfade is a mix whose weights move with time.

    Args:
        styles: of one model.
        weights: as many, 0 or more, not all 0; they are divided by their sum.

    Raises:
        StyleError: the weights do not fit, or the styles are of different models.
    """
    if len(styles) != len(weights) or not styles:
        raise StyleError(f"a mix takes one weight a style, not {len(weights)} for {len(styles)}")
    for style in styles:
        check_stats(style)
    if len({style.values.shape for style in styles}) > 1:
        raise StyleError("the styles of a mix are of one model, and these have different numbers of statistics")
    if not all(map(WEIGHT.takes, weights)) or not sum(weights) > 0:
        raise StyleError("the weights of a mix are numbers, 0 or more, and not all 0")
    return StyleStats(np.average([s.values for s in styles], axis=0, weights=weights))


def scale_style_image(image: BgrImage) -> BgrImage:
    """Style image at the size that the style encoder was trained on: short side 512 pixels.

    What is longer than 1024 pixels after scaling is cropped to its middle.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    factor = STYLE_SIDE / short
    longest = int(STYLE_LONG_SIDE / factor)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    image = image[top : top + longest, left : left + longest]
    size = (max(STYLE_SIDE, round(image.shape[1] * factor)), max(STYLE_SIDE, round(image.shape[0] * factor)))
    if short != STYLE_SIDE:
        return resize(image, *size)
    return np.ascontiguousarray(image)
