"""Temporal stabilisation: running content statistics and temporal noise reduction, both reset at a scene cut."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, cast

from livestyle.errors import InputError
from livestyle.limits import Limit, shown

if TYPE_CHECKING:
    import numpy as np

    from livestyle.media.frames import BgrImage

    from .constant import Rest

MOMENTUM = 0.8
"""Momentum of the exponential moving average of the content statistics: the share that a new frame leaves in place."""
CUT_THRESHOLD = 28.0
"""Mean absolute difference of two subsampled frames, in grey levels, above which there is a scene cut between them."""

SAMPLES = 32
"""Rows and columns of the subsampled frames."""
FLAT_DEVIATION = 0.5
"""Standard deviation of a subsampled frame, in grey levels, below which the frame counts as one colour."""
SPARSE_KURTOSIS = 14.0, 18.0
"""Hysteresis thresholds of a frame's kurtosis: sparse above the second (titles, a lamp at night), until it is below the
first. The relative error of a variance estimated from n samples is about the square root of kurtosis / n."""
COUNTED_ROWS = 360
"""Rows of a large frame that `Stabilizer.detect_sparsity` looks at: at least so many, and fewer than twice as many. The
kurtosis of real videos in 720p and 1080p is within 1.2 % of that of all rows."""
STILL_SHARE = 0.25
"""Weight of a new frame in the recursive mean where nothing moves."""
STILL_LEVELS, MOVING_LEVELS = 8, 20
"""Difference from the recursive mean around a pixel, in grey levels of the channel that differs most: noise up to the
first, motion from the second on."""
NOISE_WINDOW = 5
"""Side of the window that the difference is averaged over, in pixels."""
LONE_LEVELS = 16
"""Added to both thresholds for the difference of a single pixel, which may be a thin line that moves."""
STRIP = 1 << 16
"""Pixels that are worked on at a time, few enough for the intermediate arrays to stay in the CPU's cache."""


class Stabilizer:
    """State that keeps one sequence of frames still; `livestyle.Renderer` holds one, and each frame updates it.

    Two things: an exponential moving average of the content statistics at the AdaIN sites, with which a frame is
    normalised instead of its own, so that flickering light or somebody who walks through does not change how everything
    else is painted; and a recursive mean of the frames where nothing moves (motion-adaptive temporal noise reduction),
    since brush strokes would follow a camera's noise. A scene cut resets both.

    Args:
        momentum: of the moving average, 0 or more and below 1; 0 uses each frame's own statistics.

    Raises:
        InputError: the momentum is out of range.
    """

    def __init__(self, momentum: float = MOMENTUM) -> None:
        if not Limit(0, 1).takes(momentum) or momentum == 1:
            raise InputError(f"momentum is 0 or more and below 1, not {shown(momentum)}")
        self.momentum = momentum
        self.values: np.ndarray | None = None
        """Running content statistics, float32 [K]; None before the first frame."""
        self.frames_since = 0
        """Frames painted since `values` were updated: the constant form leaves them as they are."""
        self.rest: Rest | None = None
        """State of the constant form of the network, see `livestyle.engine.constant`; None where it is not used."""
        self.is_flat = False
        """Whether the last frame given to `detect_scene_cut` has one colour: its statistics are rounding errors, which
        the moving average would amplify from frame to frame."""
        self.is_sparse = False
        """Whether the last frame given to `detect_sparsity` has small objects on an even background."""
        self._last_samples: np.ndarray | None = None
        self._mean: np.ndarray | None = None
        self._shown: np.ndarray | None = None
        """The mean in uint8, as it was returned; None where that is to be computed from it."""

    def reset(self) -> None:
        """Forget all frames before."""
        self.reset_statistics()
        self.is_sparse = False
        self._last_samples = None
        self._mean = self._shown = None

    def reset_statistics(self) -> None:
        """Forget the content statistics, which depend on the style before, but not the noise reduction."""
        self.values = self.rest = None
        self.frames_since = 0

    def renew_constants(self) -> None:
        """Let the constant form of the network, if one is used, take its values from the next frame."""
        if self.rest is not None:
            self.rest.expire()

    @property
    def next_momentum(self) -> float:
        """Momentum for the next frame's statistics; less where they have not been updated for some frames."""
        return 0.0 if self.values is None else self.momentum ** (1 + self.frames_since)

    def snapshot(self) -> dict[str, np.ndarray]:
        """State for `restore`, to go on in another process: arrays by name; what is not known yet is left out.

        The constant form is not part of it: it starts anew from here, as it does after `restore`.
        """
        import numpy as np

        self.rest = None
        known = {
            "frames_since": np.array(self.frames_since),
            "values": self.values,
            "last": self._last_samples,
            # A copy: the next frame updates it in place.
            "mean": None if self._mean is None else self._mean.copy(),
            "sparse": np.array(self.is_sparse),
        }
        return {name: array for name, array in known.items() if array is not None}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Be in the state in which another stabilizer was when its `snapshot` was taken."""
        self.values = snapshot.get("values")
        self.frames_since = int(snapshot.get("frames_since", 0))
        self.rest = None
        self._last_samples = snapshot.get("last")
        mean = snapshot.get("mean")
        self._mean, self._shown = None if mean is None else mean.copy(), None
        self.is_sparse = bool(snapshot.get("sparse", False))

    def detect_scene_cut(self, frame: BgrImage) -> bool:
        """Scene-cut detection: `reset` where a frame (uint8 [H, W, 3] BGR) differs too much from the one before.

        Returns:
            Whether the statistics begin anew with this frame: a cut, or a frame of one colour.
        """
        # The same number of samples of every size, so that a change of resolution is no scene cut.
        rows, columns = ([i * side // SAMPLES for i in range(SAMPLES)] for side in frame.shape[:2])
        small = frame[rows][:, columns].astype("float32")
        cut = self._last_samples is not None and bool(abs(small - self._last_samples).mean() > CUT_THRESHOLD)
        if cut:
            self.reset()
        self.is_flat = bool(small.std(axis=(0, 1)).max() < FLAT_DEVIATION)
        if self.is_flat:
            self.reset_statistics()
        self._last_samples = small
        return cut or self.is_flat

    def detect_sparsity(self, frame: BgrImage) -> None:
        """Update `is_sparse` by the kurtosis of the grey levels of a frame (uint8 [H, W, 3] BGR)."""
        import cv2
        import numpy as np

        frame = frame[:: max(1, len(frame) // COUNTED_ROWS)]
        counts = np.stack([cv2.calcHist([frame], [channel], None, [256], [0, 256]).ravel() for channel in range(3)])
        shares = counts.astype(np.float64) / counts.sum(axis=1, keepdims=True)
        levels = np.arange(256) - shares @ np.arange(256)[:, None]
        variance, fourth = ((shares * levels**power).sum(axis=1) for power in (2, 4))
        # The floor keeps the rounding noise of an even frame from counting as an object.
        kurtosis = float((fourth / np.maximum(variance, FLAT_DEVIATION**2) ** 2).max())
        # Hysteresis: a frame near a single threshold would alternate between two networks.
        self.is_sparse = kurtosis > SPARSE_KURTOSIS[0 if self.is_sparse else 1]

    def reduce_noise(self, frame: BgrImage) -> BgrImage:
        """Motion-adaptive temporal noise reduction of the next frame (uint8 [H, W, 3] BGR).

        A recursive mean in which the weight of the new frame grows with the motion around each pixel, so that moving
        objects leave no trail; changes of less than `STILL_LEVELS` take a few frames to show. A frame of another size
        restarts it.
        """
        import cv2
        import numpy as np

        if self._mean is None or self._mean.shape != frame.shape:
            self._mean, self._shown = frame.astype(np.float32), None
            return frame
        before = cv2.convertScaleAbs(self._mean) if self._shown is None else self._shown
        self._shown = after = np.empty_like(before)
        height, width = frame.shape[:2]
        margin, step = NOISE_WINDOW // 2, max(NOISE_WINDOW, STRIP // width)
        for top in range(0, height, step):
            rows = slice(top, min(height, top + step))
            first = max(0, top - margin)
            seen = slice(first, rows.stop + margin)
            blue, green, red = cv2.split(cv2.absdiff(frame[seen], before[seen]))
            lone = cv2.max(cv2.max(blue, green), red)
            difference = cv2.max(cv2.blur(lone, (NOISE_WINDOW, NOISE_WINDOW)), lone - np.minimum(lone, LONE_LEVELS))
            share = cv2.LUT(difference[top - first : rows.stop - first], _shares())
            mean = self._mean[rows]
            cv2.blendLinear(frame[rows].astype(np.float32), mean, share, 1 - share, dst=mean)
            cv2.convertScaleAbs(mean, dst=after[rows])
        return cast("BgrImage", after)


@cache
def _shares() -> np.ndarray:
    """Weight of a new frame by the difference around a pixel, float32 [256]."""
    import numpy as np

    moving = np.clip((np.arange(256) - STILL_LEVELS) / (MOVING_LEVELS - STILL_LEVELS), 0, 1)
    return (STILL_SHARE + (1 - STILL_SHARE) * moving).astype(np.float32)
