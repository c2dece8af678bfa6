"""A video painted by several workers: cut into pieces, given out, gathered, and joined without encoding again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from livestyle.errors import InputError
from livestyle.media.images.numbered import Numbered
from livestyle.media.mask import Mask
from livestyle.media.video.codecs import container_of
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.pieces import Stamp, VideoPackets
from livestyle.media.video.reader import VideoReader
from livestyle.scheduling.scheduler import Scheduler

from .paths import renamed
from .pieces import (
    RUN_IN_FRAMES,
    VISIBLE_SEAM,
    PaintedPiece,
    Piece,
    Program,
    Shared,
    Span,
    paint_piece,
    plan_spans,
    portable,
)
from .progress import Display
from .report import Result, style_name
from .resume import SegmentedWriter, SegmentStore
from .shelf import Shelf, packed_model

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage

    from .video import VideoJob

MOST_FRAMES = 1500
"""Frames of a piece at most, a minute of most videos: a run-in is some percent of it."""
LEAST_FRAMES = 300
"""Frames of a piece at least."""
REORDERED = 16
"""Frames by which the orders of decoding and of presentation differ at most, in H.264 and HEVC."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Distribution:
    """Where the pieces of a video are painted.

    Attributes:
        scheduler: of the workers.
        device: of the workers, as `livestyle.Stylizer` takes it; ``auto`` is the one that this process finds here.
        storage: address of a folder that all workers reach, see `Shelf`; None sends pieces with their tasks.
        piece_frames: frames of a piece, about; None chooses by the video's length and the number of workers.
        run_in: least number of frames that a worker paints before its piece, see `livestyle.jobs.pieces`.
    """

    scheduler: Scheduler
    device: str = "auto"
    storage: str | None = None
    piece_frames: int | None = None
    run_in: int = RUN_IN_FRAMES

    def __post_init__(self) -> None:
        if self.run_in < 0:
            raise InputError(f"a run-in has 0 frames or more, not {self.run_in}", setting="run_in")

    @property
    def own_device(self) -> str:
        """Device for this process, which encodes styles and paints nothing."""
        return self.device if self.device in ("auto", "cpu", "cpu-float32") else "cpu"

    def program(self, stylizer: Stylizer) -> Program:
        """What all workers must have: that of a stylizer here, but for the device."""
        program = Program.of(stylizer)
        device = self.device.partition(":")[0]
        return program if device in ("auto", program.device) else program._replace(device=device, form="computed")


def run_distributed(
    job: VideoJob, distribution: Distribution, stylizer: Stylizer, display: Display, cancelled: Event
) -> Result:
    """Paint a video on several workers; arguments and errors are those of `VideoJob.run`.

    Raises:
        WorkerError: see `Scheduler.run`.
    """
    started = perf_counter()
    options, mask = job.options, job.look.mask
    if isinstance(mask, Mask) and not mask.is_still:
        raise InputError("a mask that moves is read from its beginning: paint on one machine", setting=("ray", "mask"))
    look = job.matched_look(stylizer)
    stylizer.settle_form()
    program = distribution.program(stylizer)
    with job.open() as video, ExitStack() as stack:
        if not isinstance(video, VideoReader) or not job.is_in_segments or Numbered.parse(job.path):
            raise InputError(
                f"{job.name} cannot be cut into pieces, or {job.path} not be joined of them: paint on one machine",
                setting="ray",
            )
        info = job.info(video.info)
        written = replace(info, width=2 * info.width) if look.side_by_side else info
        container = container_of(job.path, options.encoding)
        shared = Shared(
            str(job.source),
            program,
            packed_model(stylizer.model),
            portable(look),
            info,
            written,
            options.encoding.within(container),
            container,
            job.fps,
            video.info.rate,
            options.deinterlace,
            options.tone_map,
        )
        record = job.record(look, stylizer) | {"device": program.device, "form of the network": program.form}
        store = SegmentStore(job.path, record)
        cut = _Cut.of(job, video)
        spans = cut.spans(distribution, store.recorded.get("length of segments") if options.resume else None)
        record["length of segments"] = [span.begin for span in spans]
        done = set()
        if options.resume:
            store.resume()
            done = {number for number in range(len(spans)) if store.has(number)}
            store.finished = len(done)
        store.prepare()
        gathered = _Gathered(job, store, done)
        kept = gathered.frames
        shelf = Shelf(distribution.storage)
        stack.callback(shelf.close)
        try:
            with display.bar(job.label or job.name, job.expected(video), "frames") as advance, ExitStack() as lines:
                bars = _Bars(display, lines, advance)
                bars.add(kept)
                tasks = cut.tasks([number for number in range(len(spans)) if number not in done], spans, shelf)
                results = distribution.scheduler.run(paint_piece, shared, tasks, bars.report, cancelled)
                with closing(results):
                    for number, painted in results:
                        gathered.take(number, painted)
                        shelf.drop(number)
                        bars.report(painted.worker, number, len(painted.times))
            store.finished = len(spans)
            count, sink = _join(job, video, written, store)
        except BaseException as error:
            store.finished = len(gathered.done)
            store.stop()
            job.explain_rest(gathered.frames, error)
            raise
        # Of the frames, which others have decoded.
        video.decoded, video.concealed = len(cut.frames), gathered.concealed
        notes = gathered.notes()
        for text in (*notes, video.damage):
            if text is not None:
                log.warning("%s", text)
        notes = [*([sink.warning] if sink.warning else []), *notes, *renamed(job.path, sink.path)]
    return Result(
        job.source,
        sink.path,
        style_name(job.look),
        written.width,
        written.height,
        count,
        perf_counter() - started,
        resumed=kept,
        concealed=gathered.concealed,
        damage=video.damage,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _TimedFrame:
    """A frame of the source: its packet, and its time and duration in the result, in seconds."""

    stamp: Stamp
    time: Fraction
    duration: Fraction


@dataclass(frozen=True)
class _Cut:
    """How a video is cut.

    Attributes:
        packets: of the source.
        stamps: of all its frames.
        frames: those of the part that is painted.
        zero: seconds of the source that are time 0 of the result.
        video: the source.
    """

    packets: VideoPackets
    stamps: list[Stamp]
    frames: list[_TimedFrame]
    zero: Fraction
    video: VideoReader

    @classmethod
    def of(cls, job: VideoJob, video: VideoReader) -> _Cut:
        """Raises an `InputError` for a video whose packets do not say when their frames are shown."""
        options = job.options
        if options.deinterlace == "field" or video.plays is not None:
            raise InputError(
                "an animation, or a frame of each field, is painted in one piece: paint on one machine", setting="ray"
            )
        packets = VideoPackets(job.source, options.video_track)
        stamps = packets.stamps()
        zero, clock = options.start or Fraction(0), video.clock
        frames = []
        for number, stamp in enumerate(stamps):
            time, duration = clock.at(stamp.pts), clock.lasting(stamp.duration)
            if options.end is not None:
                duration = min(duration, options.end - time)
            if time >= zero and (options.end is None or time < options.end):
                frames.append(_TimedFrame(stamps[number], time - zero, duration))
        if not frames:
            raise InputError(
                f"{job.name} does not say when its frames are shown, or its clock jumps: paint on one machine",
                setting="ray",
            )
        return cls(packets, stamps, frames, zero, video)

    def spans(self, distribution: Distribution, begins: object) -> list[Span]:
        """Pieces: those of an earlier run where there was one, else as many for each worker."""
        count = len(self.frames)
        length = distribution.piece_frames
        if length is None:
            workers = max(1, distribution.scheduler.workers)
            rounds = ceil(count / workers / MOST_FRAMES)
            length = max(LEAST_FRAMES, ceil(count / workers / rounds))
        keys = [number for number, frame in enumerate(self.frames) if frame.stamp.is_key]
        return plan_spans(count, keys, length, distribution.run_in, begins)

    def tasks(self, missing: Sequence[int], spans: Sequence[Span], shelf: Shelf) -> Iterator[tuple[int, Piece]]:
        """Pieces by their numbers, each cut out when it is asked for."""
        frames, last = self.frames, len(self.frames) - 1
        bounds = [
            (frames[span.run_in].stamp.pts, frames[min(span.end - 1 + REORDERED, last)].stamp.pts)
            for span in (spans[number] for number in missing)
        ]
        for number, (pts, data) in zip(missing, self.packets.cut(self.stamps, bounds), strict=True):
            span = spans[number]
            yield (
                number,
                Piece(
                    shelf.put(number, data),
                    tuple((frame.time, frame.duration) for frame in frames[span.run_in : span.end]),
                    self.video.clock.at(pts) - self.zero,
                    # A first frame that is rounded down to a constant rate may begin earlier.
                    frames[span.begin].time if span.begin else Fraction(0),
                    frames[span.end].time if span.end < len(frames) else None,
                ),
            )


class _Bars:
    """Progress of the video and of each worker.

    Args:
        display: shows the bars.
        lines: ends those of the workers.
        advance: the video's bar, by one frame.
    """

    def __init__(self, display: Display, lines: ExitStack, advance: Callable[[], None]) -> None:
        self._display = display
        self._lines = lines
        self._advance = advance
        self._workers: dict[str, Callable[[], None]] = {}
        self._done: dict[int, int] = {}

    def add(self, frames: int) -> None:
        """Advance the video's bar."""
        for _ in range(frames):
            self._advance()

    def report(self, worker: str, number: int, frames: int) -> None:
        """Take the number of frames that a worker has done of a piece."""
        if worker not in self._workers:
            self._workers[worker] = self._lines.enter_context(self._display.bar(worker, None, "frames"))
        # A piece whose worker has died begins anew.
        new = frames - self._done.get(number, 0)
        for _ in range(new):
            self._workers[worker]()
        self.add(new)
        self._done[number] = max(frames, self._done.get(number, 0))


class _Gathered:
    """Painted pieces on their way into the store.

    Args:
        job: that they belong to.
        store: keeps them.
        done: numbers of those that are in the store already.
    """

    def __init__(self, job: VideoJob, store: SegmentStore, done: set[int]) -> None:
        self.done = set(done)
        self.frames = sum(len(store.times(number)) for number in done)
        """Number of frames in the store."""
        self.concealed = 0
        """Of these, damaged ones that were replaced."""
        self._job = job
        self._store = store
        self._lasts: dict[int, BgrImage] = {}
        self._firsts: dict[int, tuple[BgrImage, Fraction]] = {}
        self._seams: list[tuple[float, Fraction]] = []
        self._notes: dict[str, None] = {}
        for number in sorted(done):
            # The file may be an older version's, or anybody's.
            origin = store.origin(number)
            concealed, notes = origin.get("concealed"), origin.get("notes")
            self.concealed += concealed if type(concealed) is int else 0
            self._notes |= {note: None for note in notes if isinstance(note, str)} if isinstance(notes, list) else {}

    def take(self, number: int, painted: PaintedPiece) -> None:
        """Keep a piece."""
        origin = {
            "worker": painted.worker,
            "device": painted.device,
            "concealed": painted.concealed,
            "notes": painted.notes,
        }
        self._store.put(number, painted.packets, painted.times, origin)
        self.done.add(number)
        self.frames += len(painted.times)
        self.concealed += painted.concealed
        self._notes |= dict.fromkeys(painted.notes)
        if painted.last is not None:
            self._lasts[number] = painted.last
        if painted.before is not None:
            self._firsts[number] = painted.before, painted.times[0][0]
        # Images are large: each is kept until its neighbour has come.
        for before, after in ((number - 1, number), (number, number + 1)):
            if before in self._lasts and after in self._firsts:
                last, (first, time) = self._lasts.pop(before), self._firsts.pop(after)
                self._seams.append((float(np.abs(last.astype(np.int16) - first).mean()), time))

    @property
    def worst_seam(self) -> tuple[float, Fraction]:
        """Grey levels on average by which two paintings of one frame at a border differ at most, and when."""
        return max(self._seams, default=(0.0, Fraction(0)))

    def notes(self) -> list[str]:
        """Sentences on what was repaired or changed, and on a seam that may be seen."""
        found = [*self._notes]
        seam, time = self.worst_seam
        log.debug("the worst seam of %s: %.2f grey levels at %.1f s", self._job.path, seam, float(time))
        if seam > VISIBLE_SEAM:
            found.append(
                f"where two pieces meet the painting of {self._job.path} changes by up to {seam:.1f} grey levels, most "
                f"at {float(time):.1f} seconds: its content needs a longer run-in"
            )
        return found


def _join(job: VideoJob, video: VideoReader, written: VideoInfo, store: SegmentStore) -> tuple[int, SegmentedWriter]:
    """Remux all pieces with what accompanies the images, and return the number of frames and the closed sink."""
    blank = np.zeros((written.height, written.width, 3), np.uint8)
    count = 0
    coming = video.skim()
    reached = Fraction(-1)
    with job.sink(written, video, store) as sink:
        assert isinstance(sink, SegmentedWriter)
        for number in range(store.finished):
            for time, duration in store.times(number):
                while reached < time and (found := next(coming, None)) is not None:
                    reached = found
                sink.write(blank, time, duration)
                count += 1
            sink.end_segment({})
        for _ in coming:
            pass
    return count, sink
