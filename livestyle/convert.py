"""Files into painted files: one function for a video, one for pictures."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from .color import ColorMode, keep_colors
from .engine import check_strength
from .errors import InputError, OutputError
from .media.files import FORMATS, VideoFileSink, VideoFileSource
from .media.pictures import SUFFIXES, is_picture, pictures_in, read_picture, write_picture
from .model import MINIMUM_SIDE
from .styles import Style, StyleLibrary, style_picture
from .temporal import ContentState

if TYPE_CHECKING:
    import numpy as np

    from .engine import StyleStats, Stylizer

READ_AHEAD = 4
"""Frames that are decoded before they are needed."""
SAMPLE_FRAMES = 250
"""Frames of a video's beginning, ten seconds of most, whose colours a style may be matched to."""
SAMPLE_STEP = 25
"""One in so many of them is looked at."""

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """A file that was written.

    Attributes:
        path: of the file.
        width: of its frames as they were painted, in pixels.
        height: of its frames as they were painted, in pixels.
        frames: how many; 1 for a picture.
        seconds: that it took.
    """

    path: Path
    width: int
    height: int
    frames: int
    seconds: float

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        size = f"{self.path}: {self.width}x{self.height}"
        if is_picture(self.path):
            return f"{size}, {self.seconds:.2f} s"
        frames = f"{self.frames} frame{'s' if self.frames != 1 else ''}"
        return f"{size}, {frames} in {self.seconds:.1f} s, {self.frames_per_second:.1f} frames/s"


def convert_video(
    source: Path,
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style],
    strength: float = 1.0,
    *,
    color: ColorMode = ColorMode.STYLE,
    force: bool = False,
    progress: bool = False,
    done: Callable[[Result], object] | None = None,
) -> list[Result]:
    """Paint a video, once for each style.

    The sound is copied and every frame keeps its time. What cannot be kept is said as a warning in the log.

    Args:
        source: a video file.
        target: a video file to write; with several styles, ``-NAME`` of the style goes before its suffix.
        stylizer: paints.
        styles: of the stylizer's model.
        strength: 0..1.
        color: whose colours the paintings have; MATCH takes them from the first ten seconds or so of the video.
        force: replace files that are there.
        progress: show a bar on stderr.
        done: called with each result when no bar is on the screen.

    Returns:
        One result a style.

    Raises:
        InputError: the source cannot be used, or the strength is out of range.
        StyleError: the colours of a preset or a mix are to be matched.
        OutputError: the target cannot be written; nothing is left of it.
    """
    check_strength(strength)
    _check_color(color, styles)
    targets = _name_by_style(target, styles)
    for path in targets:
        _check_target(path, FORMATS)
    _check_taken(targets, [source], force)
    if color is ColorMode.MATCH:
        beginning = _sample(source)
        library = StyleLibrary(stylizer)
        styles = [library.matched(style, beginning) for style in styles]
    results = []
    for path, style in zip(targets, styles, strict=True):
        started = perf_counter()
        with VideoFileSource(source) as video:
            if min(video.width, video.height) < MINIMUM_SIDE:
                raise InputError(
                    f"{source} is {video.width}x{video.height}: a video has {MINIMUM_SIDE} pixels or more each way, "
                    "enlarge it first"
                )
            text = source.name if len(styles) == 1 else f"{source.name} in {style.name}"
            state = ContentState()
            with (
                _bar(progress, text, video.expected, "frames") as advance,
                closing(_read_ahead(video, READ_AHEAD)) as frames,
                VideoFileSink(path, video.info, video) as sink,
            ):
                for frame in frames:
                    painted = stylizer.stylize(frame.image, style.stats, strength, state)
                    if color is ColorMode.CONTENT:
                        painted = keep_colors(frame.image, painted)
                    sink.write(painted, frame.time, frame.duration)
                    advance()
            if video.damage:
                log.warning("%s", video.damage)
            results.append(Result(path, video.width, video.height, video.decoded, perf_counter() - started))
            if done is not None:
                done(results[-1])
    return results


def convert_images(
    sources: Sequence[Path],
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style],
    strength: float = 1.0,
    *,
    color: ColorMode = ColorMode.STYLE,
    force: bool = False,
    progress: bool = False,
    done: Callable[[Result], object] | None = None,
) -> list[Result]:
    """Paint pictures, each once for each style.

    Args:
        sources: pictures and folders of pictures.
        target: a picture to write for one picture, or a folder, which is made where it is missing. With several styles,
            ``-NAME`` of the style goes before the suffix.
        stylizer: paints.
        styles: of the stylizer's model.
        strength: 0..1.
        color: whose colours the paintings have; MATCH takes them from each picture for itself.
        force: replace files that are there.
        progress: show a bar on stderr.
        done: called with each result when no bar is on the screen.

    Returns:
        One result a picture and style.

    Raises:
        InputError: a source is missing, or the strength is out of range: before anything is painted. Or a picture among
            several is damaged: after the others are done, each damaged one having been named in the log.
        StyleError: the colours of a preset or a mix are to be matched.
        OutputError: a result cannot be written.
    """
    check_strength(strength)
    _check_color(color, styles)
    pictures = _expand(sources)
    several = len(pictures) > 1 or any(source.is_dir() for source in sources)
    into_folder = target.is_dir() or not target.suffix or (several and not is_picture(target))
    if several and not into_folder:
        raise OutputError(f"{target} is one picture: for several, name a folder to write them to")
    if into_folder:
        bases = [target / (p.name if is_picture(p) else f"{p.stem}.png") for p in pictures]
    else:
        _check_target(target, SUFFIXES)
        bases = [target]
    jobs = [(p, _name_by_style(base, styles)) for p, base in zip(pictures, bases, strict=True)]
    targets = [path for _, paths in jobs for path in paths]
    _check_taken(targets, pictures, force)
    if into_folder:
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {target}: {error.strerror or error}") from error

    library = StyleLibrary(stylizer)
    results: list[Result] = []
    damaged: list[Path] = []
    with _bar(progress, f"{len(pictures)} pictures", len(targets), "pictures") as advance:
        for picture, paths in jobs:
            try:
                image = read_picture(picture)
            except InputError as error:
                if not several:
                    raise
                damaged.append(picture)
                log.warning("%s", error)
                continue
            for path, style in zip(paths, styles, strict=True):
                started = perf_counter()
                stats = (library.matched(style, image) if color is ColorMode.MATCH else style).stats
                painted = _paint_picture(image, stylizer, stats, strength)
                write_picture(path, keep_colors(image, painted) if color is ColorMode.CONTENT else painted)
                results.append(Result(path, image.shape[1], image.shape[0], 1, perf_counter() - started))
                advance()
    if done is not None:
        for result in results:
            done(result)
    if damaged:
        names = ", ".join(str(path) for path in damaged)
        raise InputError(f"{len(damaged)} of {len(pictures)} pictures could not be read, the rest is done: {names}")
    return results


def _check_color(color: ColorMode, styles: Sequence[Style]) -> None:
    """Refuse before any work to match the colours of a style that has no picture."""
    if color is ColorMode.MATCH:
        for style in styles:
            style_picture(style)


def _sample(source: Path) -> np.ndarray:
    """Frames of a video's beginning, small: uint8 [N, H, W, 3] BGR. A first frame alone is often black."""
    import numpy as np

    with VideoFileSource(source) as video:
        return np.stack([frame.image[::4, ::4].copy() for frame in islice(video, 0, SAMPLE_FRAMES, SAMPLE_STEP)])


def _paint_picture(image: np.ndarray, stylizer: Stylizer, style: StyleStats, strength: float) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    if min(height, width) < MINIMUM_SIDE:
        # The network takes no less: mirror what is there around it, and cut that off again.
        below, right = max(0, MINIMUM_SIDE - height), max(0, MINIMUM_SIDE - width)
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT)
    return stylizer.stylize(image, style, strength)[:height, :width]


def _expand(sources: Sequence[Path]) -> list[Path]:
    pictures: list[Path] = []
    for source in sources:
        if source.is_dir():
            found = pictures_in(source)
            if not found:
                raise InputError(f"there is no picture in the folder {source}")
            pictures += found
        elif source.exists():
            pictures.append(source)
        else:
            raise InputError(f"there is no picture {source}")
    if not pictures:
        raise InputError("no picture was given")
    return pictures


def _name_by_style(target: Path, styles: Sequence[Style]) -> list[Path]:
    if len(styles) == 1:
        return [target]
    names = [style.name for style in styles]
    # a.jpg and a.png of one folder are two styles of one name.
    labels = [name if names.count(name) == 1 else f"{name}-{i + 1}" for i, name in enumerate(names)]
    return [target.with_stem(f"{target.stem}-{label}") for label in labels]


def _check_target(path: Path, suffixes: Iterable[str]) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name the file to write, such as {path / ('painted' + min(suffixes))}")
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"cannot write {path}: end the name with one of {' '.join(sorted(suffixes))}")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}, make it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: the folder {path.parent} may not be written to")


def _check_taken(targets: Sequence[Path], sources: Sequence[Path], force: bool) -> None:
    """Refuse to write two files to one place, or one over a source, or, unless forced, over what is there."""
    seen: set[str] = set()
    taken = [path for path in targets if path.exists()]
    sources_there = {_identity(source) for source in sources if source.exists()}
    for path in targets:
        key = os.path.normcase(path)
        if key in seen:
            raise OutputError(f"two results would both be {path}: convert them to two folders")
        seen.add(key)
    for path in taken:
        if _identity(path) in sources_there:
            raise OutputError(f"{path} is the source itself: write to another name or folder")
    if taken and not force:
        others = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise OutputError(f"{taken[0]}{others} already exists: choose another name, or replace it with --force")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _bar(shown: bool, text: str, total: int | None, unit: str) -> Iterator[Any]:
    """A progress bar on stderr; gives the function that moves it on by one."""
    if not shown:
        yield lambda: None
        return
    from rich import progress
    from rich.console import Console
    from rich.table import Column
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed or 0
            return Text(f"{speed:.1f} {unit}/s")

    columns = (
        progress.TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=24)),
        progress.BarColumn(bar_width=16),
        progress.MofNCompleteColumn(),
        Rate(table_column=Column(no_wrap=True)),
        progress.TimeRemainingColumn(),
        progress.TextColumn("left"),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)


def _read_ahead(items: Iterable[T], depth: int) -> Generator[T]:
    """The items, taken by a thread that is up to ``depth`` of them ahead; what it raises is raised here."""
    queue: Queue[tuple[T | None, BaseException | None]] = Queue(depth)
    stopped = Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(Full):
                queue.put((item, error), timeout=0.1)
                return

    def fill() -> None:
        try:
            for item in items:
                put(item, None)
                if stopped.is_set():
                    return
            put(None, None)
        except BaseException as error:
            put(None, error)

    thread = Thread(target=fill, name="read ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error:
                raise error
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        thread.join()
