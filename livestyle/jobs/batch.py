"""Files into painted files: one function for videos, one for pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from livestyle.engine.devices import default_threads, first_line
from livestyle.engine.stylizer import check_strength, check_stroke_size
from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.media.images import SUFFIXES, is_image, read_image, write_image
from livestyle.media.mask import Mask
from livestyle.media.video.animation import is_animated
from livestyle.media.video.codecs import FORMATS, Encoding, container_of
from livestyle.media.video.stdio import STDIO
from livestyle.render.color import ColorMode, keep_colors
from livestyle.render.still import paint_picture
from livestyle.styles.library import Style, style_image
from livestyle.styles.regions import Regions
from livestyle.styles.timeline import Timeline

from .paths import (
    check_folder,
    check_taken,
    check_target,
    expand_images,
    expand_videos,
    is_folder,
    is_there,
    make_folder,
    name_by_style,
    name_results,
)
from .progress import Display, shown_display
from .report import Done, Failure, Result, Skipped, print_json, print_result
from .resume import store_folder
from .video import Film, VideoOptions, can_be_resumed, check_size, fit_size, match_timeline, resize

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer

__all__ = [
    "Failure",
    "Regions",
    "Result",
    "Skipped",
    "VideoOptions",
    "check_images",
    "check_videos",
    "convert_images",
    "convert_video",
    "convert_videos",
    "print_json",
    "print_result",
]

log = logging.getLogger(__name__)


def convert_video(
    source: Path,
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style | Timeline],
    strength: float = 1.0,
    options: VideoOptions | None = None,
    *,
    color: ColorMode = ColorMode.STYLE,
    regions: Regions | None = None,
    force: bool = False,
    progress: bool = False,
    done: Done | None = None,
) -> list[Result]:
    """Paint one video: `convert_videos`, whose arguments these are, of a single source."""
    return convert_videos(
        [source],
        target,
        stylizer,
        styles,
        strength,
        options,
        color=color,
        regions=regions,
        force=force,
        progress=progress,
        done=done,
    )


def convert_videos(
    sources: Sequence[Path],
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style | Timeline],
    strength: float = 1.0,
    options: VideoOptions | None = None,
    *,
    color: ColorMode = ColorMode.STYLE,
    regions: Regions | None = None,
    jobs: int = 1,
    force: bool = False,
    progress: bool = False,
    done: Done | None = None,
) -> list[Result]:
    """Paint videos, each once for each style.

    The sound is copied, or converted where the container does not carry it, and every frame keeps its time, unless the
    options say otherwise. What cannot be kept is said as a warning in the log.

    What is complete of a video that is interrupted stays in a hidden folder beside the target, for
    `VideoOptions.resume`.

    Args:
        sources: videos, folders of videos, and patterns such as ``films/*.mov``; or ``-``, standard input.
        target: a video to write for one video that is named itself, or a folder, which is made where it is missing; or
            ``-``, standard output. In a folder, x.mov becomes x.mov and x.avi, which is read only, x.mp4; beside a film
            x.mp4 it becomes x.avi.mp4. With several styles, ``-NAME`` of the style goes before the suffix.
        stylizer: paints.
        styles: of the stylizer's model.
        strength: 0..1.
        options: None is `VideoOptions()`.
        color: whose colours the paintings have; MATCH takes them from the first ten seconds or so of each video.
        regions: a mask for a foreground in the style and a background in another, or as it is; a video as the mask runs
            with the source. None paints all.
        jobs: videos that are painted at a time; they share the cores.
        force: replace files that are there, and begin anew what was begun before.
        progress: show bars on stderr.
        done: called with each result and each failure, when no bar is on the screen; and with what
            `VideoOptions.resume` leaves as it is.

    Returns:
        One result a video and style that was painted.

    Raises:
        InputError: a source is missing, or an option is out of range: before anything is painted. Or some of several
            videos failed: after the others are done, each failure having been named in the log.
        StyleError: the colours of a preset or a mix are to be matched.
        OutputError: a result cannot be written.
    """
    check_strength(strength)
    timelines = [Timeline.of(style) for style in styles]
    _check_color(color, styles, regions)
    options = options or VideoOptions()
    plan = _plan_videos(sources, target, options, jobs)
    if STDIO in plan.ends and len(timelines) > 1:
        raise InputError("a pipe (-) takes one film in one style at a time")
    if STDIO in plan.sources and color is ColorMode.MATCH:
        raise InputError("a film from a pipe cannot be looked at before it is painted: leave --color match out")
    tasks: list[_Task] = []
    complete: list[_Task] = []
    for task in plan.tasks(timelines):
        wanted = _is_wanted(task.source, task.path, plan.several, options, force)
        (tasks if wanted else complete).append(task)
    check_taken([task.path for task in tasks], plan.sources, force, None if regions is None else regions.mask)
    plan.make_folder()
    for task in complete:
        log.warning("%s is there already and stays as it is", task.path)
        if done is not None:
            done(Skipped(task.source, task.path, task.timeline.name))

    def paint(task: _Task, stylizer: Stylizer, display: Display, cancelled: Event) -> Result:
        label = "standard input" if task.source == STDIO else task.source.name
        if len(timelines) > 1:
            label += f" in {task.timeline.name}"
        film = Film(task.source, task.path, task.timeline, strength, color, options, regions, len(tasks) > 1)
        return film.paint(stylizer, display, label, cancelled)

    return _run(tasks, paint, "videos", plan.several, stylizer, jobs, progress, done)


def check_videos(
    sources: Sequence[Path],
    target: Path,
    options: VideoOptions | None = None,
    *,
    mask: Path | None = None,
    jobs: int = 1,
    force: bool = False,
    one_style: bool = True,
) -> None:
    """Refuse what `convert_videos` would refuse of these, before a model is loaded and styles are found for it.

    Args:
        sources: as all of these, see `convert_videos`.
        target: to write to.
        options: None is `VideoOptions()`.
        mask: that is read, see `Regions`.
        jobs: videos that are painted at a time.
        force: replace files that are there.
        one_style: the names of the results are known, since those of styles do not go into them.

    Raises:
        InputError: a source is missing, or an option is out of range.
        OutputError: a result cannot be written.
    """
    options = options or VideoOptions()
    plan = _plan_videos(sources, target, options, jobs)
    if one_style:
        pairs = [pair for pair in plan.pairs if _is_wanted(*pair, plan.several, options, force)]
        check_taken([path for _, path in pairs], plan.sources, force, mask)


def _plan_videos(sources: Sequence[Path], target: Path, options: VideoOptions, jobs: int) -> _Plan:
    _check_jobs(jobs)
    videos = expand_videos(sources)
    several = len(videos) > 1 or not all(source.is_file() for source in sources)
    if STDIO in (target, *videos) or (not several and not is_folder(target)):
        plan = _Plan([(video, target) for video in videos], several and STDIO not in videos)
        if target != STDIO:
            check_target(target, FORMATS, "painted.mp4")
            container_of(target, options.encoding)
    else:
        if target.suffix.lower() in FORMATS and not is_folder(target):
            raise OutputError(f"{target} is one video: for several, name a folder to write them to")
        check_folder(target)
        names = name_results(videos, lambda video: _result_suffix(video, options.encoding))
        plan = _Plan([(video, target / name) for video, name in zip(videos, names, strict=True)], several, target)
        for _, path in plan.pairs:
            container_of(path, options.encoding)
    if STDIO not in plan.ends:
        if options.raw is not None:
            raise InputError("raw frames come from standard input or go to standard output: give - for one of them")
    elif len(videos) > 1:
        raise InputError("a pipe (-) takes one film in one style at a time")
    elif target == STDIO and options.raw is not None and options.encoding != Encoding():
        raise OutputError("raw frames are not encoded: leave codec, crf, preset and hardware out")
    if target == STDIO:
        # A pipe's container; what is out of its codec's range is refused now.
        options.encoding.within("matroska")
    return plan


def _result_suffix(video: Path, encoding: Encoding) -> str:
    """In a folder: the source's suffix, if its container carries the codec."""
    for path in (video, video.with_suffix(".mp4")):
        with suppress(OutputError):
            container_of(path, encoding)
            return path.suffix
    return ".mov"


def _is_wanted(source: Path, path: Path, several: bool, options: VideoOptions, force: bool) -> bool:
    """Whether a result is to be made, and not there already and to be kept."""
    begun = is_folder(store_folder(path))
    if begun and not force and is_there(path):
        raise OutputError(
            f"{path} exists, and to replace it was begun before: go on with --resume --force, "
            "or begin anew with --force alone"
        )
    if not options.resume:
        if begun and not force:
            raise OutputError(f"{path} was begun before: go on with --resume, or begin anew with --force")
        return True
    if not can_be_resumed(source, path) and not several:
        raise OutputError(f"{path} is written in one piece, which cannot be resumed: leave --resume out")
    return begun or force or not is_there(path)


def convert_images(
    sources: Sequence[Path],
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style],
    strength: float = 1.0,
    *,
    color: ColorMode = ColorMode.STYLE,
    regions: Regions | None = None,
    stroke_size: float = 1.0,
    size: tuple[int, int] | None = None,
    compare: bool = False,
    jobs: int = 1,
    force: bool = False,
    progress: bool = False,
    done: Done | None = None,
) -> list[Result]:
    """Paint pictures, each once for each style.

    Args:
        sources: pictures, folders of pictures, and patterns such as ``photos/*.jpg``.
        target: a picture to write for one picture, or a folder, which is made where it is missing. In a folder, x.jpg
            becomes x.jpg and x.jp2, which is read only, x.png; beside a picture x.png it becomes x.jp2.png. With
            several styles, ``-NAME`` of the style goes before the suffix.
        stylizer: paints.
        styles: of the stylizer's model.
        strength: 0..1.
        color: whose colours the paintings have; MATCH takes them from each picture for itself.
        regions: a mask, the same for all, for a foreground in the style and a background in another, or as it is; of a
            video, its first frame. None paints all.
        stroke_size: as of `Stylizer.stylize`.
        size: width and height in pixels that pictures are scaled to fit in, up or down, with their shape kept.
        compare: the picture on the left of its painting.
        jobs: pictures that are painted at a time; they share the cores.
        force: replace files that are there.
        progress: show a bar on stderr.
        done: called with each result and each failure, when no bar is on the screen.

    Returns:
        One result a picture and style.

    Raises:
        InputError: a source is missing, or an option is out of range: before anything is painted. Or some of several
            pictures failed: after the others are done, each failure having been named in the log.
        StyleError: the colours of a preset or a mix are to be matched.
        OutputError: a result cannot be written.
    """
    check_strength(strength)
    check_stroke_size(stroke_size)
    _check_color(color, styles, regions)
    check_size(size)
    plan = _plan_images(sources, target, jobs)
    tasks = list(plan.tasks([Timeline.of(style) for style in styles]))
    check_taken([task.path for task in tasks], plan.sources, force, None if regions is None else regions.mask)
    plan.make_folder()
    for picture in filter(is_animated, plan.sources):
        log.warning("%s is animated and only its first frame is painted: livestyle video paints all of it", picture)

    def paint(task: _Task, stylizer: Stylizer, _display: Display, _cancelled: Event) -> Result:
        started = perf_counter()
        image = read_image(task.source)
        if size is not None:
            image = resize(image, *fit_size(image.shape[1], image.shape[0], size))
        background = None if regions is None or regions.background is None else Timeline.of(regions.background)
        stats = [
            (match_timeline(timeline, image, stylizer) if color is ColorMode.MATCH else timeline).stats(0)
            for timeline in (task.timeline, background)
            if timeline is not None
        ]
        mask = None
        if regions is not None:
            with Mask(regions.mask) as file:
                mask = file.at(0, image.shape[1], image.shape[0])
        outside = stats[1] if background else None
        painted = paint_picture(image, stylizer, stats[0], strength, mask, outside, stroke_size)
        if color is ColorMode.CONTENT:
            painted = keep_colors(image, painted)
        if compare:
            painted = np.hstack([image, painted])
        write_image(task.path, painted)
        height, width = painted.shape[:2]
        return Result(task.source, task.path, task.timeline.name, width, height, 1, perf_counter() - started)

    return _run(tasks, paint, "pictures", plan.several, stylizer, jobs, progress, done)


def check_images(
    sources: Sequence[Path],
    target: Path,
    *,
    mask: Path | None = None,
    jobs: int = 1,
    force: bool = False,
    one_style: bool = True,
) -> None:
    """Refuse what `convert_images` would refuse of these, before a model is loaded and styles are found for it.

    Args:
        sources: as all of these, see `convert_images`.
        target: to write to.
        mask: that is read, see `Regions`.
        jobs: pictures that are painted at a time.
        force: replace files that are there.
        one_style: the names of the results are known, since those of styles do not go into them.

    Raises:
        InputError: a source is missing, or an option is out of range.
        OutputError: a result cannot be written.
    """
    plan = _plan_images(sources, target, jobs)
    if one_style:
        check_taken([path for _, path in plan.pairs], plan.sources, force, mask)


def _plan_images(sources: Sequence[Path], target: Path, jobs: int) -> _Plan:
    _check_jobs(jobs)
    pictures = expand_images(sources)
    several = len(pictures) > 1 or not all(source.is_file() for source in sources)
    if not (is_folder(target) or not target.suffix or (several and not is_image(target))):
        if several:
            raise OutputError(f"{target} is one picture: for several, name a folder to write them to")
        check_target(target, SUFFIXES, "painted.png")
        return _Plan([(picture, target) for picture in pictures], several)
    check_folder(target)
    names = name_results(pictures, lambda picture: picture.suffix if is_image(picture) else ".png")
    return _Plan([(picture, target / name) for picture, name in zip(pictures, names, strict=True)], several, target)


@dataclass(frozen=True)
class _Task:
    """A file to write."""

    source: Path
    path: Path
    timeline: Timeline


@dataclass(frozen=True)
class _Plan:
    """Which files a job reads and writes.

    Attributes:
        pairs: each source with its target, into whose name those of styles go where there are several.
        several: whether the failure of one source leaves the others to be done.
        folder: of the targets, which may be missing; None where that is not to be made.
    """

    pairs: list[tuple[Path, Path]]
    several: bool
    folder: Path | None = None

    @property
    def sources(self) -> list[Path]:
        return [source for source, _ in self.pairs]

    @property
    def ends(self) -> list[Path]:
        """Sources and targets."""
        return [end for pair in self.pairs for end in pair]

    def tasks(self, timelines: Sequence[Timeline]) -> Iterator[_Task]:
        for source, target in self.pairs:
            for path, timeline in zip(name_by_style(target, timelines), timelines, strict=True):
                yield _Task(source, path, timeline)

    def make_folder(self) -> None:
        if self.folder is not None:
            make_folder(self.folder)


Paint = Callable[[_Task, "Stylizer", Display, Event], Result]


def _run(
    tasks: Sequence[_Task],
    paint: Paint,
    unit: str,
    several: bool,
    stylizer: Stylizer,
    jobs: int,
    progress: bool,
    done: Done | None,
) -> list[Result]:
    """Do all tasks; where there are several sources, the failure of one does not keep the others from being done."""
    results: list[Result] = []
    failures: list[Failure] = []
    with shown_display(progress) as display, display.overall(len(tasks), unit) as advance:
        for outcome in _outcomes(tasks, paint, stylizer, jobs, display):
            advance()
            if done is not None:
                display.call(done, outcome)
            if isinstance(outcome, Result):
                results.append(outcome)
            elif several:
                failures.append(outcome)
            else:
                raise outcome.error
    if failures:
        # In several styles a source may fail in several ways, or for one reason several times.
        for text in dict.fromkeys(str(failure.error) for failure in failures):
            log.warning("%s", text)
        failed, sources = dict.fromkeys(failure.source for failure in failures), {task.source for task in tasks}
        names = ", ".join(map(str, failed))
        raise InputError(f"{len(failed)} of {len(sources)} {unit} failed, the rest is done: {names}")
    return results


def _outcomes(
    tasks: Sequence[_Task], paint: Paint, stylizer: Stylizer, jobs: int, display: Display
) -> Iterator[Result | Failure]:
    """What becomes of each task, as soon as it is known."""
    cancelled = Event()

    def attempt(task: _Task, stylizer: Stylizer) -> Result | Failure:
        try:
            return paint(task, stylizer, display, cancelled)
        except LivestyleError as error:
            return Failure(task.source, task.path, task.timeline.name, error)
        except Exception as error:
            return Failure(task.source, task.path, task.timeline.name, _explained(task.source, error))

    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        for task in tasks:
            yield attempt(task, stylizer)
        return
    # Threads do: the networks, the codecs and OpenCV all let go of Python's lock while they work.
    idle: SimpleQueue[Stylizer] = SimpleQueue()
    for _ in range(jobs):
        idle.put(type(stylizer)(stylizer.model.folder, stylizer.device.name, max(1, default_threads() // jobs)))

    def attempt_with_idle(task: _Task) -> Result | Failure:
        if cancelled.is_set():
            raise KeyboardInterrupt
        own = idle.get()
        try:
            return attempt(task, own)
        finally:
            idle.put(own)

    with ThreadPoolExecutor(jobs, "job") as pool:
        pending = {pool.submit(attempt_with_idle, task) for task in tasks}
        try:
            while pending:
                # With a timeout, since Windows delivers Ctrl-C between two waits only.
                finished, pending = wait(pending, 0.2, FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            cancelled.set()


def _explained(source: Path, error: Exception) -> LivestyleError:
    """What ends the job of one file and was not foreseen, as an error that keeps it as its cause."""
    log.debug("%s could not be painted", source, exc_info=error)
    if isinstance(error, MemoryError):
        text = f"there is not enough memory to paint {source}: take a smaller size, or fewer jobs at a time"
    else:
        reason = f"{type(error).__name__}: {first_line(error)}"
        text = f"{source} could not be painted ({reason}), which nobody foresaw: LIVESTYLE_DEBUG=1 shows where"
    explained = LivestyleError(text)
    explained.__cause__ = error
    return explained


def _check_jobs(jobs: int) -> None:
    if jobs < 1:
        raise InputError(f"at least one job is done at a time, not {jobs}")


def _check_color(color: ColorMode, styles: Sequence[Style | Timeline], regions: Regions | None) -> None:
    """Refuse before any work to match the colours of a style that has no picture."""
    if color is ColorMode.MATCH:
        background = [] if regions is None or regions.background is None else [regions.background]
        for timeline in map(Timeline.of, [*styles, *background]):
            for style in timeline.styles:
                style_image(style)
