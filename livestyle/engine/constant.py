"""The constant form of the 8-bit network: weights, biases and scales of a sequence at rest, written in as constants.

The 8-bit network computes the weights, biases and scales of its convolutions for every frame, from the style, the
running statistics and the ranges that it finds. While style, strength and scene stay as they are, these hardly change.
With the values of one frame as constants the same painting of that frame comes out, byte for byte, but onnxruntime
takes its direct convolution (``MlasConvSym``), which needs constant weights and biases, and all the arithmetic on
vectors is gone.

`Rest` decides when. The computed form paints the first frames after a change; its values are then taken over. Every
painting's mean and contrast are compared with those of the painting whose values were taken: AdaIN gives a painting the
style's, however the frame is, so they drift where the constants no longer fit. Where they have drifted too far, or will
have with the next frame as it seems, the computed form paints instead, and gives new constants. All of that depends on
the frames alone: a sequence comes out the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .style import StyleStats

SETTLING_FRAMES = 6
"""Frames that the computed form paints after a change: the moving average of the statistics has then seen enough."""
RENEWAL_FRAMES = 25
"""Frames after which the constants are taken anew even where nothing has drifted."""
MAX_DRIFT = 1.5
"""Grey levels by which the mean or the standard deviation of a painting's colour channel may differ from those of the
painting whose constants are used. On real videos the two forms then differ by 1 to 2 levels on average."""
QUICK_FRAMES = 2
"""Constants that drift away within so many frames are not worth taking: the computed form goes on for a while."""

Paint = Callable[[np.ndarray], np.ndarray]
"""Paints frames, uint8 [1, H, W, 3], with constants."""


class Rest:
    """State of a sequence at rest: for how long it has been, and the constant form that is used while it is.

    Args:
        styles: that the frames are painted in.
        strength: of the style.
        shape: of the frames.
    """

    def __init__(self, styles: Sequence[StyleStats], strength: float, shape: tuple[int, ...]) -> None:
        self._styles = tuple(styles)
        self._strength = strength
        self._shape = shape
        self._settled = 0
        self._used = 0
        self._moments: np.ndarray | None = None
        self._drift = self._last_drift = 0.0
        self._paint: Future[Paint] | None = None

    def fits(self, styles: Sequence[StyleStats], strength: float, shape: tuple[int, ...]) -> bool:
        """Whether a frame is painted in the same way as those before it."""
        return (
            len(styles) == len(self._styles)
            and all(a is b for a, b in zip(styles, self._styles, strict=True))
            and strength == self._strength
            and shape == self._shape
        )

    def paint(self, frames: np.ndarray) -> np.ndarray | None:
        """Painting of the next frame by the constant form; None where the computed form is to paint it.

        Args:
            frames: uint8 [1, H, W, 3].
        """
        if self._paint is None or self._used >= RENEWAL_FRAMES:
            return None
        self._used += 1
        # Extrapolation: a painting that would drift too far is rarely made for nothing.
        if 2 * self._drift - self._last_drift <= MAX_DRIFT:
            painted = self._paint.result()(frames)
            assert self._moments is not None
            self._last_drift, self._drift = self._drift, float(np.abs(_moments(painted) - self._moments).max())
            if self._drift <= MAX_DRIFT:
                return painted
        if self._used <= QUICK_FRAMES:
            self._paint, self._settled = None, 0
        return None

    def expire(self) -> None:
        """Let the computed form give new constants with the next frame."""
        self._paint, self._settled = None, SETTLING_FRAMES

    @property
    def wants_constants(self) -> bool:
        """Whether the computed form is to give the constants of the frame that it paints next."""
        return self._settled + 1 >= SETTLING_FRAMES

    def computed(self) -> None:
        """Count a frame that the computed form has painted."""
        self._settled += 1

    def renew(self, painted: np.ndarray, paint: Future[Paint]) -> None:
        """Take the constants of the frame that the computed form has just painted.

        Args:
            painted: its painting, uint8 [1, H, W, 3].
            paint: the constant form, which is made on another thread until the next frame comes.
        """
        self._settled += 1
        self._moments, self._paint, self._used = _moments(painted), paint, 0
        self._drift = self._last_drift = 0.0


def _moments(painted: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each colour channel, [6]."""
    import cv2

    return np.concatenate(cv2.meanStdDev(painted[0])).ravel()
