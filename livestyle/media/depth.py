"""Depth of colours: images of 8 bits a channel, uint8, and of more, uint16 from 0 to 65535."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from livestyle.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from .frames import BgrImage

MODES = ("auto", "8", "10", "16")
"""``auto`` keeps more than 8 bits where the source has them and the target takes them; 16 are those of images."""


def check_mode(mode: str) -> str:
    """The mode; raises an `InputError` for one that is none of `MODES`."""
    if mode not in MODES:
        raise InputError(f"there is no depth of {mode} bits: choose one of {', '.join(MODES)}", setting="bits")
    return mode


def is_deep(image: np.ndarray) -> bool:
    """Whether an image has more than 8 bits a channel."""
    return bool(image.itemsize > 1)


def eight_bits(image: np.ndarray) -> BgrImage:
    """An image, uint8 or uint16 [H, W, ...], as uint8; rounded."""
    import cv2

    return cast("BgrImage", cv2.convertScaleAbs(image, alpha=1 / 257) if is_deep(image) else image)


def sixteen_bits(image: np.ndarray) -> np.ndarray:
    """An image, uint8 or uint16 [H, W, ...], as uint16, with the same colours."""
    return image if is_deep(image) else image.astype("uint16") * 257


def dithered(image: BgrImage) -> np.ndarray:
    """An image of 8 bits, [H, W, 3], as uint16 with an ordered dither below one grey level, which hides contours.

    The pattern is the same in each frame, so that nothing moves. Black and white stay as they are.
    """
    import cv2

    pattern = _pattern(image.shape[0], image.shape[1])
    # Nothing for 0, all for 255: the sums saturate there.
    vision: Any = cv2
    added = cv2.bitwise_and(pattern, vision.compare(image, 0, cv2.CMP_GT))
    cv2.bitwise_or(added, vision.compare(image, 255, cv2.CMP_EQ), dst=added)
    return cv2.addWeighted(image, 257, added, 1, -128, dtype=cv2.CV_16U)


@lru_cache(2)
def _pattern(height: int, width: int) -> np.ndarray:
    """A 16 x 16 Bayer matrix of thresholds 0 to 255, repeated: uint8 [H, W, 3]."""
    import numpy as np

    matrix = np.zeros((1, 1), np.int64)
    while len(matrix) < 16:
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    tiled = np.tile(matrix.astype(np.uint8), (height // 16 + 1, width // 16 + 1))[:height, :width]
    return np.repeat(tiled[:, :, None], 3, axis=2)
