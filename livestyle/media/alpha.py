"""Straight alpha of paintings: what was laid over white to be painted is taken off it again."""

from __future__ import annotations

import numpy as np

from .frames import GreyImage


def taken_off_white(image: np.ndarray, alpha: GreyImage) -> np.ndarray:
    """Painting of what was composited over white, with straight alpha: over white it looks as before.

    A half transparent edge would keep a white fringe over other backgrounds otherwise. Where all is transparent, the
    painting stays below it.

    Args:
        image: uint8 [H, W, 3].
        alpha: uint8 [H, W].

    Returns:
        uint8 [H, W, 4].
    """
    found = np.dstack([image, alpha])
    partly = (alpha > 0) & (alpha < 255)
    share = alpha[partly].astype(np.float32)[:, None] / 255
    colors = (image[partly] - 255 * (1 - share)) / share
    found[partly, :3] = np.rint(colors).clip(0, 255).astype(np.uint8)
    return found
