"""Guided upsampling: a painting of a reduced frame at the frame's own size, with the frame's edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from livestyle.media.resize import resize

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

WINDOW = 3
"""Side of the window that the local linear model is fitted in, in pixels of the painting."""
TEXTURE_VARIANCE = 50.0
"""Regularisation of the local linear model, in squared grey levels: where the reduced frame's luma varies less, for
instance by texture that reducing has averaged away, the painting takes nothing of the frame."""
FLAT_VARIANCE = 25.0
"""Variance of a painting's colour, in squared grey levels, below which it counts as even."""
STEEPEST = 2.0
"""Largest slope of the local linear model."""
FINE_LEVELS = 4
"""Soft threshold of the added detail, in grey levels of the frame: noise and fine texture stay out."""
STRIP = 1 << 13
"""Pixels that are worked on at a time, few enough for float32 arrays that the allocator takes from its own memory: the
page faults of larger ones take several times as long as the arithmetic."""


def guided_upsample(painted: BgrImage, reduced: BgrImage, frame: BgrImage, amount: float = 1.0) -> BgrImage:
    """A painting enlarged with its frame as the guide, after the fast guided filter (He and Sun 2015).

    As in the filter, a linear model of the painting by the frame's luma, painting = slope * luma + offset, is fitted in
    small windows at the painting's size. Evaluating it at the frame's size would smooth away all strokes that the frame
    does not have. So the bicubic enlargement stays, and only the luma's detail that reducing has cost is added to it,
    times the slope and the share of the painting's variance that the model explains: a painted edge that is the
    frame's becomes as steep as it is there, and stays where it is; strokes elsewhere are as bicubic leaves them.

    Args:
        painted: uint8 [h, w, 3] BGR.
        reduced: the frame that was painted, uint8 [h, w, 3].
        frame: the same frame at its own size, uint8 [H, W, 3].
        amount: of what the guide adds, 0..1.

    Returns:
        uint8 [H, W, 3].
    """
    import cv2

    height, width = frame.shape[:2]
    small, large = (cast("BgrImage", cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) for image in (reduced, frame))
    blurred, result = resize(small, width, height), resize(painted, width, height)
    slope = cv2.resize(_slopes(painted, small), (width, height), interpolation=cv2.INTER_LINEAR)
    # uint8 saturates at 0: each sign by itself.
    brighter, darker = cv2.subtract(large, blurred), cv2.subtract(blurred, large)
    for rows in _strips(height, width):
        detail = cv2.subtract(_thresholded(brighter[rows]), _thresholded(darker[rows]), dtype=cv2.CV_32F)
        added = cv2.multiply(slope[rows], cv2.merge([detail] * 3), scale=amount)
        cv2.add(result[rows], added, dst=result[rows], dtype=cv2.CV_8U)
    return result


def _thresholded(levels: np.ndarray) -> np.ndarray:
    return np.asarray(levels - np.minimum(levels, FINE_LEVELS))


def _slopes(painted: BgrImage, luma: np.ndarray) -> np.ndarray:
    """`_slope` of a whole painting."""
    slopes = np.empty(painted.shape, np.float32)
    # Two windows one after the other look so far.
    margin = 2 * (WINDOW // 2)
    for rows in _strips(*luma.shape):
        first = max(0, rows.start - margin)
        seen = slice(first, rows.stop + margin)
        slopes[rows] = _slope(painted[seen], luma[seen])[rows.start - first : rows.stop - first]
    return slopes


def _strips(height: int, width: int) -> Iterator[slice]:
    """Rows of an image in groups of at most `STRIP` pixels, or single ones."""
    step = max(1, STRIP // width)
    for top in range(0, height, step):
        yield slice(top, min(height, top + step))


def _slope(painted: BgrImage, luma: np.ndarray) -> np.ndarray:
    """Slope of each colour's linear regression on the luma around each pixel, times R squared: float32 [h, w, 3]."""
    import cv2

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_32F, (WINDOW, WINDOW))

    colors, guide = painted.astype(np.float32), cv2.merge([luma.astype(np.float32)] * 3)
    mean_colors, mean_guide = mean(colors), mean(guide)
    covariance = mean(colors * guide) - mean_colors * mean_guide
    guide_variance = mean(guide * guide) - mean_guide * mean_guide + TEXTURE_VARIANCE
    color_variance = mean(colors * colors) - mean_colors * mean_colors + FLAT_VARIANCE
    slope = covariance / guide_variance
    slope *= np.minimum(slope * covariance / color_variance, 1)
    return np.asarray(np.clip(mean(slope), -STEEPEST, STEEPEST))
