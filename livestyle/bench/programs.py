"""Whole programs under measurement: a video job and the live loop, each in a process of its own for its peak memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING

from livestyle.engine.model import package_folder
from livestyle.engine.stylizer import Stylizer
from livestyle.jobs.options import VideoOptions
from livestyle.jobs.progress import Display
from livestyle.jobs.report import Result
from livestyle.jobs.video import VideoJob
from livestyle.live.outputs import Outputs
from livestyle.live.render_thread import Painting, RenderThread
from livestyle.media.capture.camera import Camera
from livestyle.media.capture.sources import open_source
from livestyle.media.frames import FrameSink
from livestyle.media.resize import resize
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.writer import VideoWriter
from livestyle.render.look import Look
from livestyle.styles.library import StyleLibrary
from livestyle.styles.timeline import Timeline

from .machine import peak_memory
from .plan import LEAST_RUNS, WARM_UP, Scope
from .timing import WarmUp, form_of

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

CLIP_SIZE, CLIP_RATE, CLIP_FRAMES = (640, 360), 25, 150
"""Size, frames per second and number of frames of the clip that comes with livestyle."""
LOOP_FRAMES = 50
"""Different frames of the clip of the live loop, which shows them forwards and backwards in turn, without a cut."""
LOOP_RATE = 1000
"""Frames per second of that clip: a file is played in its own time, and this one is never waited for."""
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class ProgramRun:
    """A run of a program, as JSON can carry it.

    Attributes:
        scope: ``video`` or ``live``.
        source: the clip, see `write_clip`.
        target: of a video job: the file to write.
        model: as `Stylizer` takes it.
        device: the same.
        threads: the same.
        seconds: time limit of the live loop after its warm-up; a video is painted to its end.
    """

    scope: str
    source: str
    target: str
    model: str
    device: str
    threads: int | None
    seconds: float


@dataclass(frozen=True)
class ProgramResult:
    """Outcome of a run of a program, as JSON can carry it.

    Attributes:
        milliseconds: from each frame to the next, after the warm-up.
        frames: number of frames that ``seconds`` took.
        seconds: of a video job: all of it, from opening the source to the complete file; of the live loop: after its
            warm-up.
        form: of the network when it ended.
        peak_mib: largest resident memory of the process, in MiB; None where the system does not tell.
    """

    milliseconds: list[float]
    frames: int
    seconds: float
    form: str
    peak_mib: float | None


def run_program(run: ProgramRun) -> ProgramResult:
    """Run a program in this process, whose peak memory is then its own only if nothing else ran here before.

    Raises:
        LivestyleError: the model, the device or a file cannot be used.
    """
    stylizer = Stylizer(run.model, run.device, run.threads)
    look = Look(Timeline.of(StyleLibrary(stylizer).first()))
    if run.scope == Scope.VIDEO:
        return _paint_video(run, stylizer, look)
    return _run_live(run, stylizer, look)


def _paint_video(run: ProgramRun, stylizer: Stylizer, look: Look) -> ProgramResult:
    display = _Ticks()
    job = VideoJob(Path(run.source), Path(run.target), look, VideoOptions())
    result = job.run(stylizer, display, Event())
    assert isinstance(result, Result)
    times = display.times[WARM_UP:] if len(display.times) > WARM_UP + 1 else display.times
    return ProgramResult(_intervals(times), result.frames, result.seconds, form_of(stylizer), peak_memory())


def _run_live(run: ProgramRun, stylizer: Stylizer, look: Look) -> ProgramResult:
    with closing(Outputs()) as outputs, Camera(run.source, every_frame=True) as camera:
        sink = _Counter(stylizer, run.seconds)
        outputs.add(sink)
        loop = RenderThread(lambda: (stylizer, look), camera, outputs.write, 0.0)
        loop.start()
        with closing(loop):
            painting: Painting | None = None
            while not sink.done:
                painting = loop.wait(painting, POLL_SECONDS)
    times = sink.times
    return ProgramResult(_intervals(times), len(times) - 1, times[-1] - times[0], form_of(stylizer), peak_memory())


class _Ticks(Display):
    """Times of a job's frames, which are told to its progress bar."""

    def __init__(self) -> None:
        super().__init__(None)
        self.times: list[float] = []

    @contextmanager
    def bar(self, text: str, total: float | None, unit: str) -> Iterator[Callable[[], None]]:
        yield lambda: self.times.append(perf_counter())


class _Counter(FrameSink):
    """Sink that keeps the times of paintings after the warm-up, and nothing else of them.

    Attributes:
        times: in seconds; the first one ends the warm-up.
        done: whether there are enough.
    """

    def __init__(self, stylizer: Stylizer, seconds: float) -> None:
        self._warm_up = WarmUp(stylizer)
        self._seconds = seconds
        self.times: list[float] = []
        self.done = False

    def write(self, image: BgrImage, time: Fraction | float) -> None:
        if self.done or (not self.times and not self._warm_up.ends()):
            return
        self.times.append(perf_counter())
        self.done = len(self.times) > LEAST_RUNS and self.times[-1] - self.times[0] >= self._seconds

    def close(self) -> None:
        """There is nothing to complete."""

    def abort(self) -> None:
        """There is nothing to discard."""


def _intervals(times: list[float]) -> list[float]:
    """Milliseconds from each of some times in seconds to the next."""
    return [round(1000 * (later - time), 3) for time, later in pairwise(times)]


def write_clip(folder: Path, scope: Scope, size: tuple[int, int]) -> Path:
    """The clip that comes with livestyle, as a scope and a size need it.

    For a video job it is the clip itself at its own size, else a copy; of larger frames there are fewer, so that a run
    takes about as long. For the live loop it is a clip that goes back and forth and is never waited for.

    Args:
        folder: for a copy.
        scope: ``video`` or ``live``.
        size: width and height of the frames in pixels.
    """
    bundled = package_folder("assets") / "demo.mp4"
    width, height = size
    if scope is Scope.VIDEO:
        if size == CLIP_SIZE:
            return bundled
        share = CLIP_SIZE[0] * CLIP_SIZE[1] / (width * height)
        count, rate = max(WARM_UP + LEAST_RUNS, round(CLIP_FRAMES * min(1.0, share))), CLIP_RATE
    else:
        count, rate = LOOP_FRAMES, LOOP_RATE
    with open_source(bundled) as video:
        images = [resize(frame.image, width, height) for frame in islice(video, count)]
    if scope is Scope.LIVE:
        images += images[-2:0:-1]
    path = folder / f"{scope}-{width}x{height}.mp4"
    info = VideoInfo(width, height, Fraction(rate), Fraction(1, rate))
    with VideoWriter(path, info) as writer:
        for number, image in enumerate(images):
            writer.write(image, Fraction(number, rate))
    return path
