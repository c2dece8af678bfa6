"""Adaptive resolution: holds a frame rate by rendering smaller, in steps, and larger again where there is time."""

from __future__ import annotations

from collections import deque
from statistics import median

SCALES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25)
"""Share of the frame's width and height; few, since each size is set up anew and looks a little different."""
LEAST_SIDE = 144
"""Short side in pixels below which nothing is rendered to hold a rate: too little of the content is left."""
SAMPLES = 8
"""Frames at one scale before it is judged, by their median: one slow frame changes nothing."""
FAR_OVER = 3.0
"""Two frames in a row that take so many times too long are judged at once."""
DOWN_SHARE = 0.85
"""Share of a frame's time that rendering may take at a scale that is gone down to; the rest is room for noise."""
UP_SHARE = 0.7
"""The same of a scale that is gone up to; less, as hysteresis."""
CALM_SECONDS = 4.0
"""Seconds with time enough before the scale goes up."""
MOST_CALM_SECONDS = 64.0
FAILED_SECONDS = 15.0
"""A step up that was taken back within so many seconds was a mistake: the next one waits twice as long (exponential
backoff)."""


class AdaptiveResolution:
    """Controller of the scale that frames are rendered at.

    Args:
        rate: frames per second to hold; 0 always renders at full scale.
    """

    def __init__(self, rate: float) -> None:
        self._budget = 1 / rate if rate > 0 else 0.0
        self._step = 0
        self._costs: deque[float] = deque(maxlen=SAMPLES)
        self._calm_since: float | None = None
        self._calm_needed = CALM_SECONDS
        self._went_up = float("-inf")

    @property
    def scale(self) -> float:
        """Of the next frame, 0.25..1 of its width and height."""
        return SCALES[self._step]

    def scale_of(self, width: int, height: int) -> float:
        """`scale` of a frame of this size in pixels, limited so that its short side keeps `LEAST_SIDE`."""
        return min(1.0, max(self.scale, LEAST_SIDE / min(width, height)))

    def start(self, cost: float) -> None:
        """Begin at the scale that fits, where a frame at full scale takes about ``cost`` seconds."""
        if self._budget and cost > self._budget:
            self._go(self._fitting(cost))

    def update(self, seconds: float, now: float) -> None:
        """Take a measurement into account.

        Args:
            seconds: that the last frame took at `scale`.
            now: when it was done, in seconds of any monotonic clock.
        """
        if not self._budget:
            return
        self._costs.append(seconds)
        last_two = list(self._costs)[-2:]
        if len(last_two) == 2 and min(last_two) > FAR_OVER * self._budget:
            self._go(self._fitting(min(last_two)))
            return
        if len(self._costs) < SAMPLES:
            return
        cost = median(self._costs)
        if cost > self._budget:
            if now - self._went_up < FAILED_SECONDS:
                self._calm_needed = min(MOST_CALM_SECONDS, 2 * self._calm_needed)
            self._go(self._fitting(cost))
        elif self._step > 0 and self._expected(cost, self._step - 1) < UP_SHARE * self._budget:
            if self._calm_since is None:
                self._calm_since = now
            elif now - self._calm_since >= self._calm_needed:
                self._went_up = now
                self._go(self._step - 1)
        else:
            self._calm_since = None

    def _expected(self, cost: float, step: int) -> float:
        return cost * (SCALES[step] / self.scale) ** 2

    def _fitting(self, cost: float) -> int:
        for step in range(self._step + 1, len(SCALES)):
            if self._expected(cost, step) <= DOWN_SHARE * self._budget:
                return step
        return len(SCALES) - 1

    def _go(self, step: int) -> None:
        self._step = step
        self._costs.clear()
        self._calm_since = None
