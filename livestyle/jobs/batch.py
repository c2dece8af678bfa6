"""Batches: many videos or images in several looks, several at a time, one failure not ending the others."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from livestyle.errors import InputError, OutputError
from livestyle.media.images.numbered import Numbered, is_steady, sequences_of
from livestyle.media.mask import Mask
from livestyle.media.video.animation import is_animated
from livestyle.media.video.codecs import PICTURES, Encoding, written_bits
from livestyle.media.video.stdio import STDIO, is_pipe
from livestyle.render.color import ColorMode
from livestyle.results import check_not_locked, locked
from livestyle.styles.library import Style
from livestyle.styles.matching import check_matching
from livestyle.styles.timeline import Timeline

from .file_plan import plan_images, plan_videos
from .image import ImageJob
from .options import VideoOptions, check_size
from .paths import (
    Input,
    check_taken,
    is_folder,
)
from .report import Done, Outcome, Result, Skipped, style_name
from .resume import discard_completed, is_half_named
from .runner import check_workers, run_jobs
from .video import VideoJob, is_wanted

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.render.look import Look

    from .distributed import Distribution

log = logging.getLogger(__name__)


class VideoBatch:
    """Videos that are to be painted, each once in each look; all that needs no model is checked on construction.

    The sound is copied, or converted where the container does not carry it, and every frame keeps its time, unless the
    options say otherwise. What cannot be kept is said as a warning in the log. Complete segments of a video that is
    interrupted stay in a hidden folder beside the target, for `VideoOptions.resume`.

    Args:
        sources: videos, folders of videos, and patterns such as ``films/*.mov``; or ``-``, standard input.
        target: a video to write for one video that is named itself, or a folder, which is made where it is missing; or
            ``-``, standard output. In a folder, x.mov becomes x.mov and x.avi, which is read only, x.mp4; beside a
            video x.mp4 it becomes x.avi.mp4. With several looks, ``-NAME`` of the style goes before the suffix.
        options: None is `VideoOptions()`.
        inputs: what else is read, which no result may replace; what the looks tell of that need not be named.
        workers: videos that are painted at a time; they share the cores.
        force: replace files that exist, and begin anew what was begun before.
        one_style: False when several styles may be named: result names then contain the style, and are checked later.

    Raises:
        InputError: a source is missing, or an option is out of range.
        OutputError: a result cannot be written.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        target: Path,
        options: VideoOptions | None = None,
        *,
        inputs: Iterable[Input] = (),
        workers: int = 1,
        force: bool = False,
        one_style: bool = True,
    ) -> None:
        self._options = options or VideoOptions()
        self._inputs = list(inputs)
        self._workers = check_workers(workers)
        self._force = force
        self._plan = plan_videos(sources, target, self._options)
        if one_style:
            self._check_taken([path for source, path in self._plan.pairs if self._is_wanted(source, path)])

    def run(
        self,
        stylizer: Stylizer,
        looks: Sequence[Look],
        *,
        progress: bool = False,
        done: Done | None = None,
        distribution: Distribution | None = None,
    ) -> list[Result]:
        """Paint them.

        Args:
            stylizer: model and device.
            looks: how; their styles are of the stylizer's model.
            progress: show progress bars on stderr.
            done: called with each result and each failure, when no bar is on the screen; and with what
                `VideoOptions.resume` leaves as it is.
            distribution: the workers that paint them; None paints here.

        Returns:
            One result for each video and look that was painted.

        Raises:
            InputError: a source cannot be used; or some of several videos failed: after the others are done, each
                failure having been named in the log.
            StyleError: the colours of a preset or a mix are to be matched.
            OutputError: a result cannot be written.
        """
        for look in looks:
            check_matching(look)
            self._inputs += _inputs_of(look, stylizer)
        plan = self._plan
        if any(map(is_pipe, plan.ends)) and len(looks) > 1:
            raise InputError("a pipe (-) takes one film in one style at a time")
        if any(map(is_pipe, plan.sources)) and any(look.color is ColorMode.MATCH for look in looks):
            raise InputError(
                "a film from a pipe cannot be looked at before it is painted: leave matching colours out",
                setting="color",
            )
        tasks: list[tuple[Path, Path, Look]] = []
        complete: list[tuple[Path, Path, Look]] = []
        for task in plan.tasks(looks):
            (tasks if self._is_wanted(*task[:2]) else complete).append(task)
        self._check_taken([path for _, path, _ in tasks])
        if not self._options.dry_run:
            plan.make_folder()
        for source, path, look in complete:
            with suppress(OutputError), locked(path):
                discard_completed(path)
            log.warning("%s is there already and stays as it is", path)
            if done is not None:
                done(Skipped(source, path, style_name(look)))
        jobs = []
        for source, path, look in tasks:
            label = "standard input" if source == STDIO else source.name
            if len(looks) > 1:
                label += f" in {style_name(look)}"
            jobs.append(VideoJob(source, path, look, self._options, label, len(tasks) > 1, self._force, distribution))
        return run_jobs(jobs, "videos", plan.several, stylizer, self._workers, progress, done)

    def _check_taken(self, targets: Sequence[Path]) -> None:
        # Those of a run that is resumed are there by right.
        new = [path for path in targets if not is_half_named(path)]
        check_taken(new, self._plan.sources, self._force, self._inputs)

    def _is_wanted(self, source: Path, path: Path) -> bool:
        if not self._plan.several and not is_pipe(path):
            numbered = Numbered.parse(path)
            check_not_locked(path if numbered is None else numbered.path)
        return is_wanted(source, path, self._options, self._force, self._plan.several)


class ImageBatch:
    """Images that are to be painted, each once in each look; all that needs no model is checked on construction.

    Args:
        sources: images, folders of images, and patterns such as ``photos/*.jpg``.
        target: an image to write for one image, or a folder, which is made where it is missing. In a folder, x.jpg
            becomes x.jpg and x.jp2, which is read only, x.png; beside an image x.png it becomes x.jp2.png. With several
            looks, ``-NAME`` of the style goes before the suffix.
        size: width and height in pixels that images are scaled to fit in, up or down, with their shape kept.
        inputs: what else is read, which no result may replace; what the looks tell of that need not be named.
        workers: images that are painted at a time; they share the cores.
        force: replace files that exist.
        one_style: False when several styles may be named: result names then contain the style, and are checked later.
        dry_run: paint nothing and write nothing, but say what would be kept, converted and left out.
        bits: of a channel, see `Encoding.bits`.

    Raises:
        InputError: a source is missing, or an option is out of range.
        OutputError: a result cannot be written.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        target: Path,
        *,
        size: tuple[int, int] | None = None,
        inputs: Iterable[Input] = (),
        workers: int = 1,
        force: bool = False,
        one_style: bool = True,
        dry_run: bool = False,
        bits: str = "auto",
    ) -> None:
        check_size(size)
        encoding = Encoding(bits=bits)
        self._bits = bits
        self._size = size
        self._dry_run = dry_run
        self._inputs = list(inputs)
        self._workers = check_workers(workers)
        self._force = force
        self._plan = plan_images(sources, target)
        for _, path in self._plan.pairs:
            written_bits(PICTURES, encoding, 8, path.suffix)
        if one_style:
            check_taken([path for _, path in self._plan.pairs], self._plan.sources, force, self._inputs)

    def run(
        self,
        stylizer: Stylizer,
        looks: Sequence[Look],
        *,
        progress: bool = False,
        done: Done | None = None,
        distribution: Distribution | None = None,
    ) -> list[Result]:
        """Paint them; arguments, result and errors are those of `VideoBatch.run`."""
        for look in looks:
            check_matching(look)
            self._inputs += _inputs_of(look, stylizer)
        plan = self._plan
        jobs = [
            ImageJob(source, path, look, self._size, self._dry_run, self._force, self._bits)
            for source, path, look in plan.tasks(looks)
        ]
        check_taken([job.path for job in jobs], plan.sources, self._force, self._inputs)
        if not self._dry_run:
            plan.make_folder()
        for image in filter(is_animated, plan.sources):
            log.warning("%s is animated and only its first frame is painted: livestyle video paints all of it", image)
        for sequence, files in sequences_of(plan.sources).items():
            if is_steady(sequence.numbers()):
                log.warning(
                    "%d pictures are a numbered sequence, each painted for itself: livestyle video %s holds them still",
                    *(len(files), shlex.quote(str(sequence.path))),
                )
        notes: dict[str, list[Path]] = {}

        def note(outcome: Outcome) -> None:
            for text in outcome.notes if isinstance(outcome, Result) else ():
                if outcome.source not in notes.setdefault(text, []):
                    notes[text].append(outcome.source)
            if done is not None:
                done(outcome)

        outcomes = None
        if distribution is not None and not self._dry_run:
            from .distributed_images import outcomes_of_images

            outcomes = outcomes_of_images(jobs, distribution, stylizer, Event())
        try:
            return run_jobs(jobs, "pictures", plan.several, stylizer, self._workers, progress, note, outcomes)
        finally:
            if notes:
                log.warning("%s", "; ".join(f"{text} of {_listed(sources)}" for text, sources in notes.items()))


def _inputs_of(look: Look, stylizer: Stylizer) -> list[Input]:
    found = [("the mask", look.mask.path)] if isinstance(look.mask, Mask) else []
    for what, style in (("a style", look.style), ("the background", look.background)):
        styles = [cue.style for cue in style.cues] if isinstance(style, Timeline) else [style]
        found += [(what, s.source) for s in styles if isinstance(s, Style) and s.source is not None]
    return [*found, ("a file of the model", stylizer.model.folder)]


def stylize_video(
    source: str | Path,
    target: str | Path,
    look: Look,
    stylizer: Stylizer,
    options: VideoOptions | None = None,
    *,
    force: bool = False,
    progress: bool = False,
) -> Result | None:
    """Painting of one video file, as ``livestyle video`` makes it: sound, times and all that the container carries.

    Args:
        source: video to read.
        target: video to write; the suffix chooses the container.
        look: how to paint it.
        stylizer: model and device.
        options: None is `VideoOptions()`.
        force: replace a file that exists.
        progress: show a progress bar on stderr.

    Returns:
        The result; None where `VideoOptions.resume` found the target complete, which then stays as it is.

    Raises:
        InputError: the source is missing or cannot be read.
        StyleError: the colours of a preset or a mix are to be matched.
        OutputError: the result exists, or cannot be written.
    """
    if is_folder(Path(source)):
        raise InputError(f"{source} is a folder: name one video, or use VideoBatch for several")
    batch = VideoBatch([Path(source)], Path(target), options, force=force)
    return next(iter(batch.run(stylizer, [look], progress=progress)), None)


def _listed(sources: Sequence[Path]) -> str:
    """Names of files: the first three, and how many more there are."""
    names = ", ".join(str(source) for source in sources[:3])
    return names if len(sources) <= 3 else f"{names} and {len(sources) - 3} more"
