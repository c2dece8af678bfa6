"""Videos into painted videos: decode, render and encode, with all that goes with the frames remuxed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from livestyle.errors import InputError, OutputError, stage
from livestyle.files import hidden_path
from livestyle.media.alpha import taken_off_white
from livestyle.media.capture.shape import square_size
from livestyle.media.frames import Frame, VideoSink, VideoSource
from livestyle.media.images.numbered import Numbered
from livestyle.media.mask import Mask, reopened
from livestyle.media.resize import fit_size, resize
from livestyle.media.video.codecs import carries_aspect, container_of, written_bits
from livestyle.media.video.files import FileWriter, open_reader, open_writer, sequence_at
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.sequence_reader import SequenceReader
from livestyle.media.video.stdio import (
    STDIO,
    RawFormat,
    RawReader,
    RawWriter,
    is_pipe,
    open_input,
    open_output,
    read_pipe,
    write_pipe,
)
from livestyle.render.color import ColorMode
from livestyle.render.renderer import Renderer
from livestyle.results import locked
from livestyle.styles.matching import match_look

from .frame_rate import at_rate
from .options import VideoOptions
from .paths import check_taken, files_at, renamed
from .prefetch import StageLoad, Stopwatch, WriteBehind, batches, read_ahead
from .progress import Display
from .record import record_of
from .report import Plan, Result, Skipped, style_name
from .resume import SegmentedWriter, SegmentStore, discard_completed, is_begun, is_half_named

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.render.look import Look

    from .distributed import Distribution

ONE_PIECE = (".gif", ".webp")
"""Suffixes of the formats that are encoded in one piece, and so cannot be resumed."""
SAMPLE_FRAMES = 250
"""Frames at a video's beginning, ten seconds of most, whose colours a style may be matched to."""
SAMPLE_STEP = 25
"""One in so many of these frames is sampled."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoJob:
    """A video file that is to be painted in one look.

    Attributes:
        source: video to read; `STDIO` is standard input, and a named pipe is read as that is.
        path: video to write; `STDIO` is standard output, and a named pipe is written as that is.
        look: how to paint it. Times of its styles are those of the result, times of its mask those of the source. MATCH
            takes the colours from the first ten seconds or so.
        options: the rest.
        label: of its progress bar.
        is_one_of_several: whether other files belong to the same run, for the hint on how to resume it.
        force: replace what is there, and begin anew what was begun before.
        distribution: the workers that paint it in pieces; None paints it here.
    """

    source: Path
    path: Path
    look: Look
    options: VideoOptions
    label: str = ""
    is_one_of_several: bool = False
    force: bool = False
    distribution: Distribution | None = None

    def run(self, stylizer: Stylizer, display: Display, cancelled: Event) -> Result | Skipped:
        """Paint it, or what is left of it to paint; while it does, no other process writes that file.

        Args:
            stylizer: model and device; this thread paints with it, decoding and encoding have their own.
            display: shows a progress bar.
            cancelled: ends it before the next batch of frames, as Ctrl-C does.

        Raises:
            InputError: the source cannot be used.
            OutputError: the result cannot be written; nothing is left of it.
            KeyboardInterrupt: it was cancelled.
        """
        if self.options.dry_run:
            return self._plan()
        # /dev/stdout and its like are each process's own.
        if self.path == STDIO or (is_pipe(self.path) and self.path.is_symlink()):
            return self._paint(stylizer, display, cancelled)
        numbered = Numbered.parse(self.path)
        with locked(self.path if numbered is None else numbered.path):
            discard_completed(self.path)
            # Another process may have written it since the batch was planned.
            if not is_wanted(self.source, self.path, self.options, self.force, self.is_one_of_several):
                return Skipped(self.source, self.path, style_name(self.look))
            if not self.options.resume:
                check_taken([self.path], [], self.force)
            return self._paint(stylizer, display, cancelled)

    def _paint(self, stylizer: Stylizer, display: Display, cancelled: Event) -> Result:
        if self.distribution is not None:
            from .distributed import run_distributed

            return run_distributed(self, self.distribution, stylizer, display, cancelled)
        started, path = perf_counter(), self.path
        look = self.matched_look(stylizer)
        stylizer.settle_form()
        with self.open() as video, reopened(look.mask, self.options.start or 0, video.info.rate) as mask:
            look = replace(look, mask=mask)
            info = self.info(video.info)
            written = replace(info, width=2 * info.width) if look.side_by_side else info
            if self.options.raw is not None and not is_pipe(self.source):
                self._check_raw(self.options.raw, written)
            store = self._store(look, stylizer)
            kept = 0 if store is None else store.finished * self.options.segment_frames
            renderer = Renderer(stylizer)
            if store is not None and store.finished:
                store.restore(renderer)
            clocks = [Stopwatch() for _ in range(3)]
            try:
                with (
                    display.bar(self.label or self.name, self.expected(video), "frames") as advance,
                    self.sink(written, video, store) as sink,
                ):
                    frames = self._frames(video, info, kept)
                    count = self._run(frames, renderer, look, sink, written, kept, clocks, advance, cancelled)
            except BaseException as error:
                self.explain_rest(0 if store is None else store.finished * self.options.segment_frames, error)
                raise
            notes = video.notes
            for text in (*notes, video.damage, mask.damage if isinstance(mask, Mask) else None):
                if text is not None:
                    log.warning("%s", text)
            if isinstance(sink, FileWriter | SegmentedWriter):
                notes = [text for text in (sink.warning,) if text] + notes
                path = path if is_pipe(path) else sink.path
                notes += renamed(self.path, path)
        seconds = perf_counter() - started
        return Result(
            self.source,
            path,
            style_name(self.look),
            written.width,
            written.height,
            count,
            seconds,
            resumed=min(count, kept),
            load=StageLoad(*(min(1.0, clock.seconds / seconds) for clock in clocks)),
            concealed=video.concealed,
            damage=video.damage,
            notes=tuple(notes),
        )

    def _plan(self) -> Plan:
        """What a run would do, found with a file that is begun in a temporary folder and thrown away."""
        if is_pipe(self.source) or is_pipe(self.path):
            raise InputError(
                "a pipe cannot be looked at before it is painted: leave the dry run out", setting="dry_run"
            )
        with self.open() as video, TemporaryDirectory() as folder:
            info = self.info(video.info)
            written = replace(info, width=2 * info.width) if self.look.side_by_side else info
            partial = Path(folder) / f"plan{self.path.suffix}"
            writer = open_writer(self.path, written, video, self.options.encoding, partial=partial)
            try:
                survey = writer.survey
            finally:
                writer.abort()
            return Plan(
                self.source,
                self.path,
                style_name(self.look),
                written.width,
                written.height,
                self.expected(video) or 0,
                0,
                notes=(*video.notes, *([video.damage] if video.damage else [])),
                kept=tuple(survey.kept),
                converted=tuple(survey.converted),
                left_out=tuple(survey.left_out),
            )

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        return "standard input" if self.source == STDIO else str(self.source)

    @property
    def is_in_segments(self) -> bool:
        """Whether it is written in segments, so that it can be resumed, or painted in pieces."""
        return can_be_resumed(self.source, self.path)

    def open(self) -> VideoReader | SequenceReader | RawReader:
        start, end = self.options.start, self.options.end
        options = self.options
        how: dict[str, Any] = {
            "track": options.video_track,
            "deinterlace": options.deinterlace,
            "tone_map": options.tone_map,
            "deep": self._is_deep,
        }
        if not is_pipe(self.source):
            return open_reader(
                self.source,
                start,
                end,
                rate=options.fps or (options.raw.rate if options.raw else None),
                alpha=options.alpha,
                described=Numbered.parse(self.path) is not None,
                video_only=self._is_raw_output,
                **how,
            )
        if self.options.raw is None:
            return read_pipe(open_input(self.source), start, end, **how)
        if start is not None or end is not None:
            raise InputError("raw frames cannot be cut: leave start and end out")
        return RawReader(open_input(self.source), *self.options.raw)

    @property
    def _is_deep(self) -> bool:
        """Whether the result takes more than 8 bits of a source that has them."""
        options = self.options
        if is_pipe(self.path):
            return options.raw is None and written_bits("matroska", options.encoding, 10) > 8
        container = container_of(self.path, options.encoding)
        return written_bits(container, options.encoding, 10, self.path.suffix) > 8

    @property
    def _is_raw_output(self) -> bool:
        return self.options.raw is not None

    @property
    def fps(self) -> Fraction | None:
        """Frames per second, constant; None keeps every frame's time, which raw frames cannot."""
        raw = self.options.raw
        if sequence_at(self.source) is not None:
            return None
        return (
            raw.rate if self.options.fps is None and raw is not None and not is_pipe(self.source) else self.options.fps
        )

    def _check_raw(self, raw: RawFormat, written: VideoInfo) -> None:
        """Refuse to write raw frames that are not as their reader was told."""
        given = RawFormat(written.width, written.height, written.rate)
        if given[:3] != raw[:3]:
            raise InputError(
                f"the frames of {self.name} come as {given} and not as {raw}: name what they are, "
                "or change their size and rate",
                setting=("raw", "size", "fps"),
            )

    def _store(self, look: Look, stylizer: Stylizer) -> SegmentStore | None:
        if not self.is_in_segments:
            return None
        store = SegmentStore(self.path, self.record(look, stylizer))
        if self.options.resume:
            store.resume()
        return store

    def _run(
        self,
        frames: Iterable[Frame],
        renderer: Renderer,
        look: Look,
        sink: VideoSink,
        written: VideoInfo,
        kept: int,
        clocks: Sequence[Stopwatch],
        advance: Callable[[], None],
        cancelled: Event,
    ) -> int:
        """Paint all frames but those that are ``kept``, and return how many there are."""
        decoding, painting, encoding = clocks
        blank = np.zeros((written.height, written.width, 3), np.uint8)

        def write(item: _Painted) -> None:
            # Packets of kept frames come from the store: the sink needs the frame's time only.
            sink.write(blank if item.image is None else self._with_alpha(item), item.frame.time, item.frame.duration)
            if item.snapshot is not None and isinstance(sink, SegmentedWriter):
                sink.end_segment(item.snapshot)

        count = 0
        with WriteBehind(write, encoding) as behind, closing(read_ahead(frames, decoding)) as ahead:
            # A batch ends with its segment, so that a video comes out the same where it was interrupted.
            for batch in batches(ahead, renderer.batch, self.options.segment_frames):
                if cancelled.is_set():
                    raise KeyboardInterrupt
                images: Sequence[np.ndarray | None] = [None] * len(batch)
                if count >= kept:
                    with painting.running(), stage("painting"):
                        images = renderer.render_batch(batch, look)
                for frame, image in zip(batch, images, strict=True):
                    count += 1
                    ends = count % self.options.segment_frames == 0
                    behind.put(_Painted(frame, image, renderer.snapshot() if ends else None))
                    advance()
        return count

    def explain_rest(self, kept: int, error: BaseException) -> None:
        """Say how many frames are kept of a video that was not completed."""
        if kept:
            text, settings = "%s is unfinished, %d frames of it are kept: go on by resuming it", ["resume"]
            if self.path.exists():
                text, settings = f"{text}, with force", ["resume", "force"]
                if self.is_one_of_several:
                    text += ", which paints those that are complete again"
            log.warning(text, self.path, kept, extra={"settings": settings})
        elif isinstance(error, KeyboardInterrupt) and not is_pipe(self.path):
            log.warning("%s was interrupted, and nothing of it is kept", self.path)

    def _with_alpha(self, item: _Painted) -> np.ndarray:
        """A painting with the alpha channel of its frame, where there is one to keep: [H, W, 4], else [H, W, 3]."""
        assert item.image is not None
        alpha = item.frame.alpha
        if alpha is None:
            return item.image
        alpha = alpha[:, ::-1] if self.look.mirror else alpha
        return taken_off_white(item.image, np.hstack([alpha, alpha]) if self.look.side_by_side else alpha)

    def sink(self, info: VideoInfo, video: VideoSource, store: SegmentStore | None) -> VideoSink:
        """Where the paintings go; with a store, its segments go there first."""
        encoding = self.options.encoding
        if store is not None:
            replaces = self.force or is_half_named(self.path)
            return SegmentedWriter(self.path, info, video, encoding, store, replace=replaces)
        if not is_pipe(self.path):
            # Of what a killed process has left, one stays at most: the lock allows for a name without its number.
            partial = hidden_path(self.path, ".partial")
            return open_writer(self.path, info, video, encoding, partial=partial, replace=self.force)
        if self.options.raw is None:
            return write_pipe(open_output(self.path), info, video, encoding)
        return RawWriter(open_output(self.path), self.options.raw.pixel_format)

    def info(self, info: VideoInfo) -> VideoInfo:
        """Of the frames as they are painted: their pixels are square where the target cannot say that they are not."""
        if info.aspect != 1 and not self._carries_aspect:
            width, height = square_size(info.width, info.height, info.aspect)
            info = replace(info, width=width, height=height, aspect=Fraction(1))
        if self.options.size is not None:
            # Even, as most codecs have it: nothing needs padding.
            width, height = fit_size(info.width, info.height, self.options.size, 2)
            info = replace(info, width=width, height=height)
        if self.fps is not None:
            info = replace(info, rate=self.fps, time_base=1 / self.fps)
        return info

    @property
    def _carries_aspect(self) -> bool:
        if self.options.raw is not None or Numbered.parse(self.path) is not None:
            return True
        encoding = self.options.encoding
        return carries_aspect("matroska" if is_pipe(self.path) else container_of(self.path, encoding), encoding)

    def expected(self, video: VideoSource) -> int | None:
        if video.expected is None or self.fps is None:
            return video.expected
        return round(video.expected * self.fps / video.info.rate)

    def _frames(self, video: VideoSource, info: VideoInfo, kept: int) -> Iterator[Frame]:
        frames: Iterator[Frame] = (frame.changed(lambda i: resize(i, info.width, info.height)) for frame in video)
        if self.fps is not None:
            frames = at_rate(frames, self.fps, 1 / video.info.rate)
        for number, frame in enumerate(frames):
            if number >= kept:
                # Lazy images are made here, on the thread that reads ahead; nobody looks at those of kept frames.
                with stage("converting colours"):
                    _ = frame.pixels, frame.alpha
            yield frame

    def matched_look(self, stylizer: Stylizer) -> Look:
        """The look with its colours matched where that is asked for, to a sample: a first frame is often black."""
        if self.look.color is not ColorMode.MATCH:
            return self.look
        with self.open() as video:
            sample = [frame.image[::4, ::4].copy() for frame in islice(video, 0, SAMPLE_FRAMES, SAMPLE_STEP)]
        return match_look(self.look, np.stack(sample), stylizer)

    def record(self, look: Look, stylizer: Stylizer) -> dict[str, Any]:
        """Everything that the result depends on, see `record_of`."""
        return record_of(self.source, self.path, look, self.options, stylizer)


@dataclass(frozen=True, eq=False)
class _Painted:
    """A frame on its way to the sink.

    Attributes:
        frame: of the source.
        image: painting; None where an earlier run has made and encoded it.
        snapshot: of the renderer, after the last frame of a segment; else None.
    """

    frame: Frame
    image: np.ndarray | None
    snapshot: Mapping[str, np.ndarray] | None


def is_wanted(source: Path, path: Path, options: VideoOptions, force: bool, several: bool) -> bool:
    """Whether a result is to be made, and not one that exists and is to be kept.

    Args:
        source: video to read.
        path: video to write.
        options: whether to resume.
        force: replace what is there, and begin anew what was begun before.
        several: whether the failure of one source leaves the others to be done.

    Raises:
        OutputError: something was begun that is neither to be resumed nor to be thrown away.
    """
    begun = is_begun(path)
    there = bool(files_at(path))
    if begun and not force and there and not is_half_named(path):
        raise OutputError(
            f"{path} exists, and to replace it was begun before: resume and force that, or force a new beginning",
            setting=("resume", "force"),
        )
    if not options.resume:
        if begun and not force:
            raise OutputError(
                f"{path} was begun before: resume it, or force a new beginning", setting=("resume", "force")
            )
        return True
    if not can_be_resumed(source, path) and not several:
        raise OutputError(
            f"{path} is written in one piece, which cannot be resumed: leave resuming out", setting="resume"
        )
    return begun or force or not there


def can_be_resumed(source: Path, path: Path) -> bool:
    """Whether a video is written in segments; pipes are not, since they cannot be read or written twice."""
    is_in_one_piece = path.suffix.lower() in ONE_PIECE and Numbered.parse(path) is None
    return not (is_pipe(source) or is_pipe(path) or is_in_one_piece)
