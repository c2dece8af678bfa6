"""What became of a file that was to be painted, for people and for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from .errors import LivestyleError
from .media.pipe import STDIO
from .pipeline import Pace


@dataclass(frozen=True)
class Result:
    """A file that was written.

    Attributes:
        source: that was painted.
        path: of the file.
        width: of its pictures, in pixels; what a codec pads is not counted.
        height: of its pictures, in pixels.
        frames: how many; 1 for a picture.
        seconds: that it took.
        resumed: of the frames, those that an earlier run had painted.
        pace: how busy the stages were; None for a picture.
    """

    source: Path
    path: Path
    width: int
    height: int
    frames: int
    seconds: float
    resumed: int = 0
    pace: Pace | None = None

    @property
    def frames_per_second(self) -> float:
        return (self.frames - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    def record(self) -> dict[str, Any]:
        """For scripts: what `Failure.record` gives as well."""
        return {
            "path": str(self.path),
            "source": str(self.source),
            "width": self.width,
            "height": self.height,
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames_per_second, 3),
            "error": None,
        }

    def __str__(self) -> str:
        size = f"{self.path}: {self.width}x{self.height}"
        if self.pace is None:
            return f"{size}, {self.seconds:.2f} s"
        frames = f"{self.frames} frame{'s' if self.frames != 1 else ''}"
        if self.resumed:
            frames += f" ({self.resumed} of them from before)"
        return f"{size}, {frames} in {self.seconds:.1f} s, {self.frames_per_second:.1f} frames/s; {self.pace}"


@dataclass(frozen=True)
class Failure:
    """A file that was not written.

    Attributes:
        source: that was to be painted.
        path: that is missing now.
        error: says why.
    """

    source: Path
    path: Path
    error: LivestyleError

    def record(self) -> dict[str, Any]:
        """For scripts: what `Result.record` gives as well."""
        names = ("width", "height", "frames", "seconds", "frames_per_second")
        return {"path": str(self.path), "source": str(self.source), **dict.fromkeys(names), "error": str(self.error)}


Done = Callable[[Result | Failure], object]


def print_result(done: Result | Failure) -> None:
    """Print a result for people; failures are in the log."""
    if isinstance(done, Result):
        print(done, file=_where(done), flush=True)


def print_json(done: Result | Failure) -> None:
    """Print a result or a failure for scripts: one JSON object, one line."""
    print(json.dumps(done.record()), file=_where(done), flush=True)


def _where(done: Result | Failure) -> TextIO:
    """Beside what was written, if that went to standard output."""
    return sys.stderr if done.path == STDIO else sys.stdout
