"""Memory, threads, handles and frame times of this process over a long run, as a verdict and as a plot."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, Self
from unittest.mock import patch

import numpy as np

from livestyle.render.renderer import Renderer

MOST_SAMPLES = 4 * 3600
"""Of a second each; the table is made at the start, since it must not be what grows."""
MOST_GROWTH = 0.02
WINDOW_SECONDS = 30.0
"""Memory is compared as the median of so many seconds, or of a tenth of a shorter run."""


class Meter:
    """Samples of this process, one a second, while the body of ``with`` runs; a frame is a call of `Renderer.render`.

    Args:
        title: of the plot.
        warm: seconds of the run that do not count.
    """

    def __init__(self, title: str, warm: float = 60.0) -> None:
        self.frames = 0
        """Rendered so far."""
        self._title = title
        self._warm = warm
        # Seconds, MB, threads, handles, median and longest time of a frame in milliseconds.
        self._table = np.full((MOST_SAMPLES, 6), -1.0)
        self._count = 0
        self._begin = 0.0
        self._last = 0.0
        self._times: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._patch: Any = None

    def __enter__(self) -> Self:
        render, meter = Renderer.render, self

        def counted(*arguments: Any, **options: Any) -> Any:
            now = time.monotonic()
            if meter._last:
                meter._times.append(now - meter._last)
            meter._last = now
            meter.frames += 1
            return render(*arguments, **options)

        self._patch = patch.object(Renderer, "render", counted)
        self._patch.start()
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._patch.stop()

    def _run(self) -> None:
        while not self._stop.wait(1.0) and self._count < MOST_SAMPLES:
            times, self._times = self._times, []
            self._table[self._count] = (
                time.monotonic() - self._begin,
                memory(),
                threading.active_count(),
                sum(1 for _ in Path("/proc/self/fd").iterdir()),
                1000 * median(times) if times else np.nan,
                1000 * max(times) if times else np.nan,
            )
            self._count += 1

    def verdict(self) -> tuple[bool, str]:
        """Whether memory, threads and handles stayed flat after the warm-up, and a line that says so."""
        table = self._table[: self._count]
        length = table[-1, 0] if self._count else 0.0
        later = table[table[:, 0] >= self._warm]
        window = min(WINDOW_SECONDS, (length - self._warm) / 10)
        if len(later) < 20:
            return (
                False,
                f"{length:.0f} s, {self.frames} frames: too short to judge after {self._warm:.0f} s of warming up",
            )
        first = later[later[:, 0] <= self._warm + max(window, 3)]
        last = later[later[:, 0] >= length - max(window, 3)]
        before, after = (np.median(part[:, 1:4], axis=0) for part in (first, last))
        growth = after[0] / before[0] - 1
        flat = growth <= MOST_GROWTH and after[1] <= before[1] + 1 and after[2] <= before[2] + 2
        middle, slow = np.nanmedian(later[:, 4]), np.nanmax(later[:, 5])
        parts = (
            f"{length:.0f} s, {self.frames} frames: memory {before[0]:.0f} MB after {self._warm:.0f} s",
            f"{after[0]:.0f} MB at the end ({100 * growth:+.1f} %, largest {later[:, 1].max():.0f} MB)",
            f"threads {before[1]:.0f} and {after[1]:.0f}, handles {before[2]:.0f} and {after[2]:.0f}",
            f"frame time {middle:.1f} ms, longest {slow:.0f} ms",
        )
        return bool(flat), ", ".join(parts)

    def plot(self, path: Path) -> None:
        """Write a PNG of the samples."""
        # Not pyplot, which looks for a screen.
        from matplotlib.figure import Figure

        table = self._table[: self._count]
        figure = Figure(figsize=(8, 7), layout="constrained")
        panels = figure.subplots(4, sharex=True)
        for axis, column, name in zip(
            panels, range(1, 5), ("memory, MB", "threads", "handles", "frame, ms"), strict=True
        ):
            axis.plot(table[:, 0] / 60, table[:, column], lw=0.8)
            axis.set_ylabel(name)
            axis.axvline(self._warm / 60, color="grey", lw=0.5)
            axis.set_ylim(0, 1.1 * np.nanmax(table[:, column], initial=1))
        panels[-1].set_xlabel("minutes")
        panels[0].set_title(self._title, fontsize=9)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=80)


def memory() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
