"""Outcomes of jobs, printed for people or as JSON lines for scripts.

``--json`` prints one object for each file and style, on a line of its own, with these fields, null where unknown:

* ``status``: ``done``, ``skipped`` (``--resume`` found it complete), ``planned`` (``--dry-run``) or ``failed``
* ``path``, ``source``: of the result and of the source
* ``style``: as ``--style`` names it; of an image, its name
* ``width``, ``height``: of the result, in pixels
* ``frames``: number of frames; 1 for an image
* ``seconds``, ``frames_per_second``: time that this run took, and its rate of rendering
* ``resumed_frames``: number of frames that an earlier run had rendered
* ``concealed_frames``: number of damaged frames of the source, each replaced by the last good one
* ``damage``: what could not be read of the source, in one sentence
* ``notes``: what of a video was left out, converted or repaired, in sentences: those that are warned of
* ``kept``, ``converted``, ``left_out``: of a dry run, what would be copied, changed and left out
* ``slowest_stage``: bottleneck of a video: ``decoding``, ``painting`` or ``encoding``
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
from livestyle.media.video.stdio import is_stdout
from livestyle.text import escaped

from .prefetch import StageLoad

if TYPE_CHECKING:
    from livestyle.render.look import Look


@dataclass(frozen=True)
class Result:
    """Outcome of a job that wrote its file.

    Attributes:
        source: file that was read.
        path: file that was written.
        style: name of the style.
        width: of the result in pixels, without the codec's padding.
        height: of the result in pixels, without the codec's padding.
        frames: number of frames; 1 for an image.
        seconds: duration of the job.
        resumed: number of frames that an earlier run had rendered.
        load: utilisation of the stages; None for an image, and where several workers painted.
        concealed: number of damaged frames of the source, each replaced by the last good one.
        damage: one sentence on what could not be read; None where nothing was damaged.
        notes: sentences on what was left out, converted or repaired.
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
    notes: tuple[str, ...] = ()

    @property
    def frames_per_second(self) -> float:
        """Rate of rendering, without the frames of an earlier run."""
        return (self.frames - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    def record(self) -> dict[str, Any]:
        """Fields of ``--json``, see above."""
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
            notes=list(self.notes),
            slowest_stage=self.load and self.load.slowest,
        )

    def __str__(self) -> str:
        size = f"{escaped(self.path)}: {self.width}x{self.height}"
        if self.load is None and self.frames == 1:
            return f"{size}, {self.seconds:.2f} s"
        frames = f"{self.frames} frame{'s' if self.frames != 1 else ''}"
        if self.resumed:
            frames += f" ({self.resumed} of them from before)"
        return f"{size}, {frames} in {self.seconds:.1f} s, {self.frames_per_second:.1f} frames/s" + (
            f"; {self.load}" if self.load else ""
        )


@dataclass(frozen=True)
class Plan(Result):
    """Outcome of a dry run, which wrote nothing; the number of frames is an estimate, and 0 where it is unknown.

    Attributes:
        kept: descriptions of what would be copied.
        converted: descriptions of what would be transcoded or changed.
        left_out: descriptions of what would be left out.
    """

    kept: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Fields of ``--json``, see above."""
        return _record(
            "planned",
            self.path,
            self.source,
            self.style,
            width=self.width,
            height=self.height,
            frames=self.frames or None,
            notes=list(self.notes),
            kept=list(self.kept),
            converted=list(self.converted),
            left_out=list(self.left_out),
        )

    def __str__(self) -> str:
        frames = f", about {self.frames} frames" if self.frames > 1 else ""
        lines = [f"{self.source} would become {self.path}: {self.width}x{self.height}{frames}"]
        parts = (("kept", self.kept), ("converted", self.converted), ("left out", self.left_out))
        lines += [f"  {name}: {', '.join(what)}" for name, what in parts if what]
        return "\n".join(escaped(line) for line in (*lines, *(f"  {note}" for note in self.notes)))


@dataclass(frozen=True)
class Failure:
    """Outcome of a job that failed.

    Attributes:
        source: file to read.
        path: file that was not written.
        style: name of the style.
        error: the reason.
    """

    source: Path
    path: Path
    style: str
    error: LivestyleError

    def record(self) -> dict[str, Any]:
        """Fields of ``--json``, see above."""
        return _record("failed", self.path, self.source, self.style, error=str(self.error))


@dataclass(frozen=True)
class Skipped:
    """Outcome of a job with nothing to do: an earlier run has completed its file.

    Attributes:
        source: file that was read then.
        path: file that was written then.
        style: name of the style.
    """

    source: Path
    path: Path
    style: str

    def record(self) -> dict[str, Any]:
        """Fields of ``--json``, see above."""
        return _record("skipped", self.path, self.source, self.style)


Outcome = Result | Failure | Skipped
Done = Callable[[Outcome], object]


def print_result(done: Outcome) -> None:
    """Print a result for people; failures and skipped files are in the log."""
    if isinstance(done, Result):
        print(done, file=_stream_of(done), flush=True)


def print_json(done: Outcome) -> None:
    """Print an outcome for scripts, as one line of JSON."""
    print(json.dumps(done.record()), file=_stream_of(done), flush=True)


def _stream_of(done: Outcome) -> TextIO:
    """Standard output, or standard error where the result itself went to standard output."""
    return sys.stderr if is_stdout(done.path) else sys.stdout


def _record(status: str, path: Path, source: Path, style: str, **known: Any) -> dict[str, Any]:
    fields = ("width", "height", "frames", "seconds", "frames_per_second", "resumed_frames", "concealed_frames")
    of_plans = ("kept", "converted", "left_out")
    unknown = dict.fromkeys((*fields, "damage", "notes", *of_plans, "slowest_stage", "error"))
    return {"status": status, "path": str(path), "source": str(source), "style": style, **unknown, **known}


def style_name(look: Look) -> str:
    """Name of a look's style, as ``--style`` takes it."""
    return str(getattr(look.style, "name", "style"))
