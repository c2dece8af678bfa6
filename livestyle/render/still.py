"""Painting a picture by itself, of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livestyle.engine.model import MINIMUM_SIDE

if TYPE_CHECKING:
    import numpy as np

    from livestyle.engine.stylizer import StyleStats, Stylizer


def paint_picture(
    image: np.ndarray,
    stylizer: Stylizer,
    style: StyleStats,
    strength: float,
    mask: np.ndarray | None = None,
    background: StyleStats | None = None,
    stroke_size: float = 1.0,
) -> np.ndarray:
    """Paint a picture, uint8 [H, W, 3] BGR of any size; the rest is that of `Stylizer.stylize`."""
    import cv2

    height, width = image.shape[:2]
    below, right = max(0, MINIMUM_SIDE - height), max(0, MINIMUM_SIDE - width)
    if below or right:
        # The network takes no less: mirror what is there around it, and cut that off again.
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT)
        mask = None if mask is None else cv2.copyMakeBorder(mask, 0, below, 0, right, cv2.BORDER_REFLECT)
    painted = stylizer.stylize(image, style, strength, mask=mask, background=background, stroke_size=stroke_size)
    return painted[:height, :width]
