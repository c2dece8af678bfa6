"""What holds a film still: running content statistics that are forgotten at a scene cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    import numpy as np

MOMENTUM = 0.8
"""Share of the running content statistics that a new frame leaves in place."""
CUT_THRESHOLD = 28.0
"""Mean absolute difference of two small grey frames, in grey levels, above which they are two scenes."""

SAMPLES = 32
"""Rows and columns of the two."""


class ContentState:
    """The running content statistics of one film or camera; give the same object with each of its frames.

    `Stylizer.stylize` normalises a frame with these instead of the frame's own statistics, so that light that flickers
    or somebody who walks through does not change how everything else is painted. A scene cut resets them.

    Args:
        momentum: 0 or more and below 1; 0 uses each frame's own statistics.

    Raises:
        InputError: the momentum is out of range.
    """

    def __init__(self, momentum: float = MOMENTUM) -> None:
        if not 0 <= momentum < 1:
            raise InputError(f"momentum is 0 or more and below 1, not {momentum}")
        self.momentum = momentum
        self.values: np.ndarray | None = None
        self._last: np.ndarray | None = None

    def reset(self) -> None:
        """Forget the frames before."""
        self.values = None
        self._last = None

    def snapshot(self) -> dict[str, np.ndarray]:
        """What `restore` takes, to go on from here in another process: arrays by name, fewer where nothing is known."""
        known = {"values": self.values, "last": self._last}
        return {name: array for name, array in known.items() if array is not None}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Be as another state was when its `snapshot` was taken."""
        self.values = snapshot.get("values")
        self._last = snapshot.get("last")

    def look(self, frame: np.ndarray) -> None:
        """Compare a frame (uint8 [H, W, 3]) with the last one, and `reset` at a scene cut."""
        # As many samples of every size: a resolution that is lowered to keep up is no cut.
        rows, columns = ([i * side // SAMPLES for i in range(SAMPLES)] for side in frame.shape[:2])
        small = frame[rows][:, columns].mean(axis=2)
        if self._last is not None and abs(small - self._last).mean() > CUT_THRESHOLD:
            self.reset()
        self._last = small
