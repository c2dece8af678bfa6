"""What holds a film still: running content statistics and less noise, both forgotten at a scene cut."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from livestyle.errors import InputError

if TYPE_CHECKING:
    import numpy as np

MOMENTUM = 0.8
"""Share of the running content statistics that a new frame leaves in place."""
CUT_THRESHOLD = 28.0
"""Mean absolute difference of two small frames, in levels, above which they are two scenes."""

SAMPLES = 32
"""Rows and columns of the two."""
FLAT_DEVIATION = 0.5
"""Levels by which the samples of a frame deviate from their mean, below which it is all of one colour."""
SPARSE_KURTOSIS = 14.0, 18.0
"""Kurtosis of a frame's levels: above the second, little stands out from much that is even, as titles or a lamp at
night do; below the first, that is over. What a sample of n pixels says of their variance is wrong by about the root of
kurtosis / n."""
STILL_SHARE = 0.25
"""Of a new frame, where nothing moves; the rest is what was there before."""
STILL_LEVELS, MOVING_LEVELS = 8, 20
"""Difference of a frame from those before it around a pixel, in levels of the colour channel that differs most: up to
the first it is noise, from the second on it is motion."""
NOISE_WINDOW = 5
"""Pixels across that the difference is averaged over."""
LONE_LEVELS = 16
"""What the difference of a single pixel, which may be all of a thin line that moves, has to exceed these by."""


class Stabilizer:
    """The running content statistics of one film or camera; give the same object with each of its frames.

    `Stylizer.stylize` normalises a frame with these instead of the frame's own statistics, so that light that flickers
    or somebody who walks through does not change how everything else is painted. And it paints what `steady` gives:
    where nothing moves, a camera's noise, of which brush strokes would be made, is averaged away. A scene cut resets
    both.

    Args:
        momentum: of the statistics, 0 or more and below 1; 0 uses each frame's own.

    Raises:
        InputError: the momentum is out of range.
    """

    def __init__(self, momentum: float = MOMENTUM) -> None:
        if not 0 <= momentum < 1:
            raise InputError(f"momentum is 0 or more and below 1, not {momentum}")
        self.momentum = momentum
        self.values: np.ndarray | None = None
        self.is_flat = False
        """Whether the frame that was looked at last is all of one colour: its statistics are rounding errors, which a
        running average would let grow from frame to frame."""
        self.is_sparse = False
        """Whether little stands out from much that is even, in the frame that was given to `look_closer` last."""
        self._last: np.ndarray | None = None
        self._steady: np.ndarray | None = None

    def reset(self) -> None:
        """Forget the frames before."""
        self.values = None
        self.is_sparse = False
        self._last = None
        self._steady = None

    def reset_statistics(self) -> None:
        """Forget the statistics of the frames before, which were painted otherwise, but not what is still in them."""
        self.values = None

    def snapshot(self) -> dict[str, np.ndarray]:
        """What `restore` takes, to go on from here in another process: arrays by name, fewer where nothing is known."""
        import numpy as np

        known = {"values": self.values, "last": self._last, "steady": self._steady, "sparse": np.array(self.is_sparse)}
        return {name: array for name, array in known.items() if array is not None}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Be as another state was when its `snapshot` was taken."""
        self.values = snapshot.get("values")
        self._last = snapshot.get("last")
        self._steady = snapshot.get("steady")
        self.is_sparse = bool(snapshot.get("sparse", False))

    def look(self, frame: np.ndarray) -> None:
        """Compare a frame (uint8 [H, W, 3]) with the last one, and `reset` at a scene cut."""
        # As many samples of every size: a resolution that is lowered to keep up is no cut.
        rows, columns = ([i * side // SAMPLES for i in range(SAMPLES)] for side in frame.shape[:2])
        small = frame[rows][:, columns].astype("float32")
        if self._last is not None and abs(small - self._last).mean() > CUT_THRESHOLD:
            self.reset()
        self.is_flat = bool(small.std(axis=(0, 1)).max() < FLAT_DEVIATION)
        if self.is_flat:
            self.reset_statistics()
        self._last = small

    def look_closer(self, frame: np.ndarray) -> None:
        """Set `is_sparse` by a frame (uint8 [H, W, 3])."""
        import cv2
        import numpy as np

        counts = np.stack([cv2.calcHist([frame], [channel], None, [256], [0, 256]).ravel() for channel in range(3)])
        shares = counts.astype(np.float64) / counts.sum(axis=1, keepdims=True)
        levels = np.arange(256) - shares @ np.arange(256)[:, None]
        variance, fourth = ((shares * levels**power).sum(axis=1) for power in (2, 4))
        # What rounding makes of an even frame is nothing that stands out.
        kurtosis = float((fourth / np.maximum(variance, FLAT_DEVIATION**2) ** 2).max())
        # A frame that is near the threshold would be painted by turns this way and that.
        self.is_sparse = kurtosis > SPARSE_KURTOSIS[0 if self.is_sparse else 1]

    def steady(self, frame: np.ndarray) -> np.ndarray:
        """The next frame (uint8 [H, W, 3]) with less noise: averaged with those before it where nothing moves.

        A recursive mean with a share of the new frame that grows with the motion around each pixel, so that what moves
        leaves no trail; changes of less than `STILL_LEVELS` take a few frames to show. A frame of another size begins
        anew.
        """
        import cv2
        import numpy as np

        latest = frame.astype(np.float32)
        if self._steady is None or self._steady.shape != frame.shape:
            self._steady = latest
            return frame
        blue, green, red = cv2.split(cv2.absdiff(frame, cv2.convertScaleAbs(self._steady)))
        lone = cv2.max(cv2.max(blue, green), red)
        difference = cv2.max(cv2.blur(lone, (NOISE_WINDOW, NOISE_WINDOW)), lone - np.minimum(lone, LONE_LEVELS))
        share = cv2.LUT(difference, _shares())
        self._steady = cv2.blendLinear(latest, self._steady, share, 1 - share)
        return cv2.convertScaleAbs(self._steady)


@cache
def _shares() -> np.ndarray:
    """The share of a new frame by the difference around a pixel, float32 [256]."""
    import numpy as np

    moving = np.clip((np.arange(256) - STILL_LEVELS) / (MOVING_LEVELS - STILL_LEVELS), 0, 1)
    return (STILL_SHARE + (1 - STILL_SHARE) * moving).astype(np.float32)
