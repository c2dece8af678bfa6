"""Figures of the live program: what each stage takes, for the help on the screen."""

from __future__ import annotations

import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from livestyle.media.capture.camera import Rate

from .overlay import Rows

if TYPE_CHECKING:
    from livestyle.media.capture.camera import Camera
    from livestyle.media.frames import Frame
    from livestyle.media.sinks.recorder import Recorder

    from .render_thread import Painting

REFRESH_SECONDS = 0.5
"""Figures that change with every frame cannot be read."""


class Durations:
    """Median of the last durations of a stage, which a single outlier does not move."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=30)

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def __str__(self) -> str:
        return f"{median(self._seconds) * 1000:.0f} ms" if self._seconds else "-"


class Figures:
    """Measurements of the way from the camera to the screen.

    Args:
        camera: whose rate and size are shown.
    """

    def __init__(self, camera: Camera) -> None:
        self.drawing = Durations()
        """Of the overlay, and of handing the image to the window."""
        self._camera = camera
        self._shown = Rate()
        self._rendering = Durations()
        self._latency = Durations()
        self._last_frame: Frame | None = None
        self._rows: Rows = ()
        self._until = 0.0

    def add_shown(self, painting: Painting) -> None:
        """Count a painting that has just appeared on the screen."""
        if painting.frame is not self._last_frame:
            self._latency.add(time.monotonic() - float(painting.frame.time))
        self._last_frame = painting.frame
        self._shown.tick()
        self._rendering.add(painting.seconds)

    def rows(self, painting: Painting | None, recorder: Recorder | None) -> Rows:
        """Names and values; refreshed twice a second.

        Args:
            painting: the newest one.
            recorder: of the recording in progress.
        """
        now = time.monotonic()
        if now >= self._until:
            self._rows, self._until = self._measure(painting, recorder), now + REFRESH_SECONDS
        return self._rows

    def _measure(self, painting: Painting | None, recorder: Recorder | None) -> Rows:
        camera = self._camera
        rows = [
            ("screen", f"{self._shown.value:.1f} frames/s, {self._latency} after the camera"),
            ("drawing", str(self.drawing)),
        ]
        if painting is not None:
            width, height = painting.size
            rows[:0] = [
                (
                    "camera",
                    f"{camera.rate.value:.1f} frames/s, {camera.width}x{camera.height}, {camera.seconds * 1000:.0f} ms",
                ),
                ("painting", f"{self._rendering}" + (f" at {width}x{height}" if width else "")),
            ]
        if recorder is not None and recorder.dropped:
            rows.append(("recording", f"{recorder.dropped} frames left out: encoding is too slow"))
        return tuple(rows)
