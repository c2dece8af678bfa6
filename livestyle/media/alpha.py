"""Straight alpha: images are laid over white to be painted, and their paintings taken off it again."""

from __future__ import annotations

import numpy as np

from .depth import eight_bits, is_deep, sixteen_bits


def laid_over_white(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Image composited over white.

    Args:
        colors: uint8 or uint16 [H, W, 3].
        alpha: straight, of the same type, [H, W].

    Returns:
        The same type, [H, W, 3].
    """
    top = int(np.iinfo(colors.dtype).max)
    # The smallest type that holds top * top + top // 2.
    share = alpha[:, :, None].astype(np.uint32 if is_deep(colors) else np.uint16)
    laid: np.ndarray = ((colors * share + top * (top - share) + top // 2) // top).astype(colors.dtype)
    return laid


def taken_off_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Painting of what was composited over white, with straight alpha: over white it looks as before.

    A half transparent edge would keep a white fringe over other backgrounds otherwise. Where all is transparent, the
    painting stays below it.

    Args:
        image: uint8 or uint16 [H, W, 3].
        alpha: uint8 or uint16 [H, W].

    Returns:
        The image's type, [H, W, 4].
    """
    alpha = sixteen_bits(alpha) if is_deep(image) else eight_bits(alpha)
    top = int(np.iinfo(image.dtype).max)
    found = np.dstack([image, alpha])
    partly = (alpha > 0) & (alpha < top)
    share = alpha[partly].astype(np.float32)[:, None] / top
    colors = (image[partly] - top * (1 - share)) / share
    found[partly, :3] = np.rint(colors).clip(0, top).astype(image.dtype)
    return found
