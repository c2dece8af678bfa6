"""The constant form of the 8-bit network: weights, biases and scales of a sequence at rest, written in as constants.

The 8-bit network computes the weights, biases and scales of its convolutions for every frame, from the style, the
running statistics and the ranges that it finds. While style, strength and scene stay as they are, these hardly change.
With the values of one frame as constants the same painting of that frame comes out, byte for byte, but onnxruntime
takes its direct convolution (``MlasConvSym``), which needs constant weights and biases, and all the arithmetic on
vectors is gone.

`Rest` decides when: the computed form paints the first frames after a change; its values are then taken over, and taken
anew where the frame's mean or contrast has drifted, or after some time. All of that depends on the frames alone, so a
sequence comes out the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .style import StyleStats

SETTLING_FRAMES = 8
"""Frames that the computed form paints after a change: the moving average of the statistics has then seen enough."""
RENEWAL_FRAMES = 50
"""Frames after which the constants are taken anew even where nothing has drifted."""
MAX_DRIFT = 1.5
"""Grey levels by which the mean or the standard deviation of a colour channel may differ from when the constants were
taken. More would show as a step when they are renewed."""
QUICK_FRAMES = 8
"""Constants that drift away sooner than this are not worth taking: the computed form goes on for a while."""

Paint = Callable[[np.ndarray], np.ndarray]
"""Paints frames, uint8 [1, H, W, 3], with constants."""


class Rest:
    """How long a sequence has been at rest, and the constant form that is used while it is.

    Args:
        styles: that the frames are painted in.
        strength: of the style.
        shape: of the frames.
    """

    def __init__(self, styles: Sequence[StyleStats], strength: float, shape: tuple[int, ...]) -> None:
        self._styles = tuple(styles)
        self._strength = strength
        self._shape = shape
        self._frames = 0
        self._used = 0
        self._look: np.ndarray | None = None
        self._paint: Future[Paint] | None = None

    def fits(self, styles: Sequence[StyleStats], strength: float, shape: tuple[int, ...]) -> bool:
        """Whether a frame is painted as those before it."""
        return (
            len(styles) == len(self._styles)
            and all(a is b for a, b in zip(styles, self._styles, strict=True))
            and strength == self._strength
            and shape == self._shape
        )

    def paint(self, samples: np.ndarray) -> Paint | None:
        """The constant form for the next frame; None where the computed form is to paint it.

        Args:
            samples: subsample of the frame, float32 [n, m, 3].
        """
        if self._paint is None:
            return None
        assert self._look is not None
        if np.abs(_look(samples) - self._look).max() > MAX_DRIFT:
            if self._used < QUICK_FRAMES:
                # What moves as fast as this is better off with values of its own for each frame.
                self._paint, self._frames = None, 0
            return None
        if self._used >= RENEWAL_FRAMES:
            return None
        self._used += 1
        return self._paint.result()

    @property
    def wants_constants(self) -> bool:
        """Whether the computed form is to give the constants of the frame that it paints next."""
        return self._frames + 1 >= SETTLING_FRAMES

    def computed(self) -> None:
        """Count a frame that the computed form has painted."""
        self._frames += 1

    def renew(self, samples: np.ndarray, paint: Future[Paint]) -> None:
        """Take the constants of the frame that the computed form has just painted.

        Args:
            samples: subsample of that frame.
            paint: the constant form, which is being made on another thread until the next frame comes.
        """
        self._frames += 1
        self._look, self._paint, self._used = _look(samples), paint, 0


def _look(samples: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each colour channel, [6]."""
    pixels = samples.reshape(-1, 3)
    return np.concatenate([pixels.mean(0), pixels.std(0)])
