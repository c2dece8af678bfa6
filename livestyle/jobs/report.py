"""What became of a file that was to be painted, for people and for scripts.

``--json`` prints one object a file and style, on a line of its own, with these fields; what has no value is null:

* ``status``: ``done``, ``skipped`` (``--resume`` found it complete) or ``failed``
* ``path``, ``source``: of the result and of what was painted
* ``style``: as ``--style`` names it; of a picture, its name
* ``width``, ``height``: of the result's pictures, in pixels
* ``frames``: how many; 1 for a picture
* ``seconds``, ``frames_per_second``: how long it took, and the rate at which frames were painted now
* ``resumed_frames``: of the frames, those that an earlier run had painted
* ``concealed_frames``: of the source, those that are damaged and in whose place the last good one shows
* ``damage``: what could not be read of the source, in one sentence
* ``slowest_stage``: of a film, ``decoding``, ``painting`` or ``encoding``
* ``error``: why it failed, in one sentence
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from livestyle.errors import LivestyleError
from livestyle.media.video.stdio import STDIO

from .prefetch import StageLoad

if TYPE_CHECKING:
    from livestyle.render.look import Look


@dataclass(frozen=True)
class Result:
    """A file that was written.

    Attributes:
        source: that was painted.
        path: of the file.
        style: the name of the style.
        width: of its pictures, in pixels; what a codec pads is not counted.
        height: of its pictures, in pixels.
        frames: how many; 1 for a picture.
        seconds: that it took.
        resumed: of the frames, those that an earlier run had painted.
        load: how busy the stages were; None for an image.
        concealed: damaged frames of the source, in whose place the last good one shows.
        damage: one sentence on what could not be read; None for a sound file.
    """

    source: Path
    path: Path
    style: str
    width: int
    height: int
    frames: int
    seconds: float
    resumed: int = 0
    load: StageLoad | None = None
    concealed: int = 0
    damage: str | None = None

    @property
    def frames_per_second(self) -> float:
        return (self.frames - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    def record(self) -> dict[str, Any]:
        """The fields of ``--json``."""
        return _record(
            "done",
            self.path,
            self.source,
            self.style,
            width=self.width,
            height=self.height,
            frames=self.frames,
            seconds=round(self.seconds, 3),
            frames_per_second=round(self.frames_per_second, 3),
            resumed_frames=self.resumed,
            concealed_frames=self.concealed,
            damage=self.damage,
            slowest_stage=self.load and self.load.slowest,
        )

    def __str__(self) -> str:
        size = f"{self.path}: {self.width}x{self.height}"
        if self.load is None:
            return f"{size}, {self.seconds:.2f} s"
        frames = f"{self.frames} frame{'s' if self.frames != 1 else ''}"
        if self.resumed:
            frames += f" ({self.resumed} of them from before)"
        return f"{size}, {frames} in {self.seconds:.1f} s, {self.frames_per_second:.1f} frames/s; {self.load}"


@dataclass(frozen=True)
class Failure:
    """A file that was not written.

    Attributes:
        source: that was to be painted.
        path: that is missing now.
        style: the name of the style.
        error: says why.
    """

    source: Path
    path: Path
    style: str
    error: LivestyleError

    def record(self) -> dict[str, Any]:
        """The fields of ``--json``."""
        return _record("failed", self.path, self.source, self.style, error=str(self.error))


@dataclass(frozen=True)
class Skipped:
    """A file that is left as it is, since an earlier run has completed it.

    Attributes:
        source: that it was painted from.
        path: of the file.
        style: the name of the style.
    """

    source: Path
    path: Path
    style: str

    def record(self) -> dict[str, Any]:
        """The fields of ``--json``."""
        return _record("skipped", self.path, self.source, self.style)


Outcome = Result | Failure | Skipped
Done = Callable[[Outcome], object]


def print_result(done: Outcome) -> None:
    """Print a result for people; the rest is in the log."""
    if isinstance(done, Result):
        print(done, file=_where(done), flush=True)


def print_json(done: Outcome) -> None:
    """Print what became of a file for scripts: one JSON object, one line."""
    print(json.dumps(done.record()), file=_where(done), flush=True)


def _where(done: Outcome) -> TextIO:
    """Beside what was written, if that went to standard output."""
    return sys.stderr if done.path == STDIO else sys.stdout


def _record(status: str, path: Path, source: Path, style: str, **known: Any) -> dict[str, Any]:
    fields = ("width", "height", "frames", "seconds", "frames_per_second", "resumed_frames", "concealed_frames")
    unknown = dict.fromkeys((*fields, "damage", "slowest_stage", "error"))
    return {"status": status, "path": str(path), "source": str(source), "style": style, **unknown, **known}


def style_name(look: Look) -> str:
    """The name of a look's style, as ``--style`` names it."""
    return str(getattr(look.style, "name", "style"))
