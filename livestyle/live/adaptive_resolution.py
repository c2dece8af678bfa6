"""Holds a frame rate: lowers the resolution that is painted at in steps, and raises it again where there is time."""

from __future__ import annotations

from collections import deque
from statistics import median

SCALES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25)
"""Of the camera's width and height; few, since each size is set up anew and looks a little different."""
SAMPLES = 8
"""Frames at one scale before it is judged: one slow frame moves nothing."""
FAR_OVER = 3.0
"""Two frames in a row that take so many times too long are judged at once."""
DOWN_SHARE = 0.85
"""Of the time for a frame, what painting may take at a scale that is gone down to; the rest is room for noise."""
UP_SHARE = 0.7
"""The same of a scale that is gone up to; less, so that it does not come down again at once."""
CALM_SECONDS = 4.0
"""How long there must have been time enough before the scale goes up."""
MOST_CALM_SECONDS = 64.0
FAILED_SECONDS = 15.0
"""A way up that was taken back this soon was a mistake, and the next one waits twice as long."""


class Pace:
    """Chooses the scale that frames are painted at.

    Args:
        rate: frames a second to hold; 0 always paints at full scale.
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
        """For the next frame, 0.25..1 of its width and height."""
        return SCALES[self._step]

    def begin(self, cost: float) -> None:
        """Start at the scale that fits, where a frame at full scale takes about ``cost`` seconds."""
        if self._budget and cost > self._budget:
            self._go(self._fitting(cost))

    def tell(self, seconds: float, now: float) -> None:
        """Tell how long a frame took at `scale`, in seconds, and when it was done, on any clock that only goes on."""
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
