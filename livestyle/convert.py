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

from .color import ColorMode, keep_colors
from .engine import check_strength
from .errors import InputError, LivestyleError, OutputError
from .film import Film, VideoOptions, check_size, fit_size, match_timeline, resize
from .mask import Mask, Regions
from .media.files import FORMATS, Encoding, container_of
from .media.pictures import SUFFIXES, is_picture, read_picture, write_picture
from .media.pipe import STDIO
from .model import MINIMUM_SIDE
from .paths import check_taken, check_target, expand_pictures, expand_videos, make_folder, name_by_style
from .progress import Display, shown_display
from .providers import default_threads
from .results import Done, Failure, Result, print_json, print_result
from .segments import store_folder
from .styles import Style, style_picture
from .timeline import Timeline

if TYPE_CHECKING:
    from .engine import StyleStats, Stylizer

__all__ = [
    "Failure",
    "Regions",
    "Result",
    "VideoOptions",
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
    """Paint a video, once for each style.

    The sound is copied and every frame keeps its time, unless the options say otherwise. What cannot be kept is
    said as a warning in the log.

    What is complete of a video that is interrupted stays in a hidden folder beside the target, for
    `VideoOptions.resume`.

    Args:
        source: a video file.
        target: a video file to write; with several styles, ``-NAME`` of the style goes before its suffix.
        stylizer: paints.
        styles: of the stylizer's model.
        strength: 0..1.
        options: None is `VideoOptions()`.
        color: whose colours the paintings have; MATCH takes them from the first ten seconds or so of the video.
        regions: a mask for a foreground in the style and a background in another, or as it is; a video as the mask runs
            with the source. None paints all.
        force: replace files that are there, and begin anew what was begun before.
        progress: show a bar on stderr.
        done: called with each result, or with the failure before it is raised, when no bar is on the screen.

    Returns:
        One result a style.

    Raises:
        InputError: the source cannot be used, or the strength is out of range.
        StyleError: the colours of a preset or a mix are to be matched.
        OutputError: the target cannot be written; nothing is left of it.
    """
    job = _VideoJob(styles, strength, color, regions, options or VideoOptions(), force)
    return job.run([(source, target)], False, stylizer, 1, progress, done)


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
    """Paint videos, each as `convert_video` does.

    Args:
        sources: videos, folders of videos, and patterns such as ``films/*.mov``; or ``-``, standard input.
        target: a video to write for one video that is named itself, or a folder, which is made where it is missing; or
            ``-``, standard output.
        stylizer: paints.
        styles: of the stylizer's model.
        strength: 0..1.
        options: None is `VideoOptions()`.
        color: whose colours the paintings have; MATCH takes them from each video for itself.
        regions: as `convert_video` takes it, the same mask for all.
        jobs: videos that are painted at a time; they share the cores.
        force: replace files that are there, and begin anew what was begun before.
        progress: show bars on stderr.
        done: called with each result and each failure, when no bar is on the screen.

    Returns:
        One result a video and style.

    Raises:
        InputError: a source is missing, or an option is out of range: before anything is painted. Or some of several
            videos failed: after the others are done, each failure having been named in the log.
        StyleError: the colours of a preset or a mix are to be matched.
        OutputError: a result cannot be written.
    """
    options = options or VideoOptions()
    videos = expand_videos(sources)
    several = len(videos) > 1 or not all(source.is_file() for source in sources)
    if STDIO in (target, *videos) or (not several and not target.is_dir()):
        pairs = [(video, target) for video in videos]
    else:
        if not target.is_dir():
            if target.suffix.lower() in FORMATS:
                raise OutputError(f"{target} is one video: for several, name a folder to write them to")
            make_folder(target)
        pairs = [(video, target / _result_name(video, options.encoding)) for video in videos]
    job = _VideoJob(styles, strength, color, regions, options, force)
    return job.run(pairs, several and STDIO not in videos, stylizer, jobs, progress, done)


def _result_name(video: Path, encoding: Encoding) -> str:
    """In a folder: the source's name, if its container carries the codec."""
    for path in (video, video.with_suffix(".mp4")):
        with suppress(OutputError):
            container_of(path, encoding)
            return path.name
    return f"{video.stem}.mov"


class _VideoJob:
    """Videos that are painted in the same way."""

    def __init__(
        self,
        styles: Sequence[Style | Timeline],
        strength: float,
        color: ColorMode,
        regions: Regions | None,
        options: VideoOptions,
        force: bool,
    ) -> None:
        check_strength(strength)
        self._timelines = [Timeline.of(style) for style in styles]
        _check_color(color, styles, regions)
        self._strength = strength
        self._color = color
        self._regions = regions
        self._options = options
        self._force = force

    def run(
        self,
        pairs: Sequence[tuple[Path, Path]],
        several: bool,
        stylizer: Stylizer,
        jobs: int,
        progress: bool,
        done: Done | None,
    ) -> list[Result]:
        tasks: list[_Task] = []
        self._check_pipes(pairs)
        for source, target in pairs:
            if target != STDIO:
                check_target(target, FORMATS, "painted.mp4")
                container_of(target, self._options.encoding)
            for path, timeline in zip(name_by_style(target, self._timelines), self._timelines, strict=True):
                if self._is_wanted(self._film(_Task(source, path, timeline)), several):
                    tasks.append(_Task(source, path, timeline))
        check_taken([task.path for task in tasks], [source for source, _ in pairs], self._force)
        return _run(tasks, self._paint, "videos", several, stylizer, jobs, progress, done)

    def _check_pipes(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        ends = [end for pair in pairs for end in pair]
        if STDIO not in ends:
            if self._options.raw is not None:
                raise InputError("raw frames come from standard input or go to standard output: give - for one of them")
        elif len(pairs) > 1 or len(self._timelines) > 1:
            raise InputError("a pipe (-) takes one film in one style at a time")
        elif pairs[0][0] == STDIO and self._color is ColorMode.MATCH:
            raise InputError("a film from a pipe cannot be looked at before it is painted: leave --color match out")

    def _film(self, task: _Task) -> Film:
        return Film(task.source, task.path, task.timeline, self._strength, self._color, self._options, self._regions)

    def _is_wanted(self, film: Film, several: bool) -> bool:
        path = film.path
        begun = store_folder(path).is_dir()
        if not self._options.resume:
            if begun and not self._force:
                raise OutputError(f"{path} was begun before: go on with --resume, or begin anew with --force")
            return True
        if not film.can_be_resumed and not several:
            raise OutputError(f"{path} is written in one piece, which cannot be resumed: leave --resume out")
        if path.exists() and not begun and not self._force:
            log.warning("%s is there already and stays as it is", path)
            return False
        return True

    def _paint(self, task: _Task, stylizer: Stylizer, display: Display, cancelled: Event) -> Result:
        label = "standard input" if task.source == STDIO else task.source.name
        if len(self._timelines) > 1:
            label += f" in {task.timeline.name}"
        return self._film(task).paint(stylizer, display, label, cancelled)


def convert_images(
    sources: Sequence[Path],
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style],
    strength: float = 1.0,
    *,
    color: ColorMode = ColorMode.STYLE,
    regions: Regions | None = None,
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
        target: a picture to write for one picture, or a folder, which is made where it is missing. With several styles,
            ``-NAME`` of the style goes before the suffix.
        stylizer: paints.
        styles: of the stylizer's model.
        strength: 0..1.
        color: whose colours the paintings have; MATCH takes them from each picture for itself.
        regions: a mask, the same for all, for a foreground in the style and a background in another, or as it is; of a
            video, its first frame. None paints all.
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
    _check_color(color, styles, regions)
    check_size(size)
    pictures = expand_pictures(sources)
    several = len(pictures) > 1 or not all(source.is_file() for source in sources)
    into_folder = target.is_dir() or not target.suffix or (several and not is_picture(target))
    if several and not into_folder:
        raise OutputError(f"{target} is one picture: for several, name a folder to write them to")
    if into_folder:
        bases = [target / (p.name if is_picture(p) else f"{p.stem}.png") for p in pictures]
    else:
        check_target(target, SUFFIXES, "painted.png")
        bases = [target]
    tasks = [
        _Task(picture, path, Timeline.of(style))
        for picture, base in zip(pictures, bases, strict=True)
        for path, style in zip(name_by_style(base, styles), styles, strict=True)
    ]
    check_taken([task.path for task in tasks], pictures, force)
    if into_folder:
        make_folder(target)

    def paint(task: _Task, stylizer: Stylizer, _display: Display, _cancelled: Event) -> Result:
        started = perf_counter()
        image = read_picture(task.source)
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
        painted = _paint_picture(image, stylizer, stats, strength, mask)
        if color is ColorMode.CONTENT:
            painted = keep_colors(image, painted)
        if compare:
            painted = np.hstack([image, painted])
        write_picture(task.path, painted)
        return Result(task.source, task.path, painted.shape[1], painted.shape[0], 1, perf_counter() - started)

    return _run(tasks, paint, "pictures", several, stylizer, jobs, progress, done)


@dataclass(frozen=True)
class _Task:
    """A file to write."""

    source: Path
    path: Path
    timeline: Timeline


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
        errors = {failure.source: failure.error for failure in failures}
        for error in errors.values():
            log.warning("%s", error)
        sources = {task.source for task in tasks}
        names = ", ".join(str(source) for source in errors)
        raise InputError(f"{len(errors)} of {len(sources)} {unit} failed, the rest is done: {names}")
    return results


def _outcomes(
    tasks: Sequence[_Task], paint: Paint, stylizer: Stylizer, jobs: int, display: Display
) -> Iterator[Result | Failure]:
    """What becomes of each task, as soon as it is known."""
    if jobs < 1:
        raise InputError(f"at least one job is done at a time, not {jobs}")
    cancelled = Event()

    def attempt(task: _Task, stylizer: Stylizer) -> Result | Failure:
        try:
            return paint(task, stylizer, display, cancelled)
        except LivestyleError as error:
            return Failure(task.source, task.path, error)

    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        for task in tasks:
            yield attempt(task, stylizer)
        return
    # Threads do: the networks, the codecs and OpenCV all let go of Python's lock while they work.
    idle: SimpleQueue[Stylizer] = SimpleQueue()
    for _ in range(jobs):
        idle.put(type(stylizer)(stylizer.model.folder, stylizer.device.kind, max(1, default_threads() // jobs)))

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


def _check_color(color: ColorMode, styles: Sequence[Style | Timeline], regions: Regions | None) -> None:
    """Refuse before any work to match the colours of a style that has no picture."""
    if color is ColorMode.MATCH:
        background = [] if regions is None or regions.background is None else [regions.background]
        for timeline in map(Timeline.of, [*styles, *background]):
            for style in timeline.styles:
                style_picture(style)


def _paint_picture(
    image: np.ndarray, stylizer: Stylizer, styles: Sequence[StyleStats], strength: float, mask: np.ndarray | None
) -> np.ndarray:
    """Painted in a style, and outside the mask in a second one if there is one."""
    import cv2

    height, width = image.shape[:2]
    if min(height, width) < MINIMUM_SIDE:
        # The network takes no less: mirror what is there around it, and cut that off again.
        below, right = max(0, MINIMUM_SIDE - height), max(0, MINIMUM_SIDE - width)
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT)
        mask = None if mask is None else cv2.copyMakeBorder(mask, 0, below, 0, right, cv2.BORDER_REFLECT)
    background = styles[1] if len(styles) > 1 else None
    return stylizer.stylize(image, styles[0], strength, mask=mask, background=background)[:height, :width]
