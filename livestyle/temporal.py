"""What holds a film still: running content statistics and less noise, both forgotten at a scene cut."""

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
STILL_SHARE = 0.25
"""Of a new frame, where nothing moves; the rest is what was there before."""
STILL_LEVELS, MOVING_LEVELS = 8, 20
"""Difference of two frames around a pixel, in grey levels, up to which it is noise, and from which it is motion."""
NOISE_WINDOW = 5
"""Pixels across that the difference is averaged over."""


class ContentState:
    """The running content statistics of one film or camera; give the same object with each of its frames.

    `Stylizer.stylize` normalises a frame with these instead of the frame's own statistics, so that light that flickers
    or somebody who walks through does not change how everything else is painted. And it paints what `steady` gives:
    where nothing moves, a camera's noise, of which brush strokes would be made, is averaged away. A scene cut resets
    both.

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
        self._steady: np.ndarray | None = None

    def reset(self) -> None:
        """Forget the frames before."""
        self.values = None
        self._last = None
        self._steady = None

    def snapshot(self) -> dict[str, np.ndarray]:
        """What `restore` takes, to go on from here in another process: arrays by name, fewer where nothing is known."""
        known = {"values": self.values, "last": self._last, "steady": self._steady}
        return {name: array for name, array in known.items() if array is not None}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Be as another state was when its `snapshot` was taken."""
        self.values = snapshot.get("values")
        self._last = snapshot.get("last")
        self._steady = snapshot.get("steady")

    def look(self, frame: np.ndarray) -> None:
        """Compare a frame (uint8 [H, W, 3]) with the last one, and `reset` at a scene cut."""
        # As many samples of every size: a resolution that is lowered to keep up is no cut.
        rows, columns = ([i * side // SAMPLES for i in range(SAMPLES)] for side in frame.shape[:2])
        small = frame[rows][:, columns].mean(axis=2)
        if self._last is not None and abs(small - self._last).mean() > CUT_THRESHOLD:
            self.reset()
        self._last = small

    def steady(self, frame: np.ndarray) -> np.ndarray:
        """The next frame (uint8 [H, W, 3]) with less noise: averaged with those before it where nothing moves.

        A recursive mean with a share of the new frame that grows with the motion around each pixel. A frame of another
        size begins anew.
        """
        import cv2
        import numpy as np

        latest = frame.astype(np.float32)
        if self._steady is None or self._steady.shape != frame.shape:
            self._steady = latest
            return frame
        difference = cv2.cvtColor(cv2.absdiff(latest, self._steady), cv2.COLOR_BGR2GRAY)
        difference = cv2.blur(difference, (NOISE_WINDOW, NOISE_WINDOW))
        moving = np.clip((difference - STILL_LEVELS) / (MOVING_LEVELS - STILL_LEVELS), 0, 1)
        share = STILL_SHARE + (1 - STILL_SHARE) * moving
        self._steady = cv2.blendLinear(latest, self._steady, share, 1 - share)
        return np.rint(self._steady).astype(np.uint8)
