"""One film from its file through the network into another file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from math import floor
from operator import is_
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from livestyle import __version__
from livestyle.engine.model import MINIMUM_SIDE
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.stylizer import check_stroke_size
from livestyle.errors import InputError
from livestyle.media.frames import Frame
from livestyle.media.mask import Mask
from livestyle.media.video.codecs import Encoding, container_of
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.libav import av
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.stdio import (
    STDIO,
    RawFormat,
    RawReader,
    RawWriter,
    open_stdin,
    open_stdout,
    read_pipe,
    write_pipe,
)
from livestyle.media.video.writer import VideoWriter
from livestyle.render.color import ColorMode, keep_colors
from livestyle.styles.library import StyleLibrary
from livestyle.styles.regions import Regions
from livestyle.styles.timeline import Timeline

from .prefetch import Pace, Stopwatch, WriteBehind, read_ahead
from .progress import Display
from .report import Result
from .resume import SEGMENT_FRAMES, SegmentSink, SegmentStore

if TYPE_CHECKING:
    from livestyle.engine.stylizer import StyleStats, Stylizer

ONE_PIECE = (".gif", ".webp")
"""Of the formats of files, those that cannot be written in segments."""
SAMPLE_FRAMES = 250
"""Frames of a video's beginning, ten seconds of most, whose colours a style may be matched to."""
SAMPLE_STEP = 25
"""One in so many of them is looked at."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoOptions:
    """What becomes of a video beside its painting.

    Attributes:
        stroke_size: as of `Stylizer.stylize`.
        size: width and height in pixels that the frames are scaled to fit in, up or down, with their shape kept.
        fps: frames per second, constant: frames are repeated or dropped by their time. None keeps every frame's time.
        start: seconds of the source at which the result begins.
        end: seconds of the source at which it ends.
        compare: the source on the left of its painting.
        encoding: of the pictures.
        raw: of frames without a container on standard input; such frames go to standard output too. Where they only do
            that, they are to have this size, and they get this rate, which is then what ``fps`` is without a choice.
        resume: go on with what an interrupted conversion left, if it left anything; results that are there are kept.

    Raises:
        InputError: they do not fit.
    """

    stroke_size: float = 1.0
    size: tuple[int, int] | None = None
    fps: Fraction | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    compare: bool = False
    encoding: Encoding = field(default_factory=Encoding)
    raw: RawFormat | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        check_stroke_size(self.stroke_size)
        check_size(self.size)
        if self.fps is not None:
            _check_rate(self.fps)
        if (self.start or 0) < 0:
            raise InputError("a start is 0 seconds or more")
        if self.end is not None and self.end <= (self.start or 0):
            raise InputError(
                f"the end at {float(self.end):g} s is not behind the start at {float(self.start or 0):g} s"
            )


@dataclass(frozen=True)
class Film:
    """A video that is to be painted in one style.

    Attributes:
        source: of the video; `STDIO` is standard input.
        path: of the video to write; `STDIO` is standard output.
        timeline: of styles.
        strength: 0..1.
        color: whose colours the painting has; MATCH takes them from the first ten seconds or so.
        options: the rest.
        regions: a mask, whose time is that of the source, and what is outside of it; None paints the whole frames.
        is_one_of_several: others are painted in the same job, which the hint on how to go on with it thinks of.
    """

    source: Path
    path: Path
    timeline: Timeline
    strength: float
    color: ColorMode
    options: VideoOptions
    regions: Regions | None = None
    is_one_of_several: bool = False

    def paint(self, stylizer: Stylizer, display: Display, label: str, cancelled: Event) -> Result:
        """Paint it, or what is left of it to paint.

        Args:
            stylizer: paints on this thread; decoding and encoding have their own.
            display: gets a bar.
            label: before the bar.
            cancelled: ends it before the next frame, as Ctrl-C does.

        Raises:
            InputError: the source cannot be used.
            OutputError: the result cannot be written; nothing is left of it.
            KeyboardInterrupt: it was cancelled.
        """
        started = perf_counter()
        timelines = self._timelines(stylizer)
        with self._open() as video, nullcontext() if self.regions is None else Mask(self.regions.mask) as mask:
            info = self._info(video.info)
            if min(info.width, info.height) < MINIMUM_SIDE:
                size, verb, advice = self.options.size, "is", "enlarge it first"
                if size is not None:
                    verb, advice = "becomes", f"--size {size[0]}x{size[1]} is too small for its shape"
                raise InputError(
                    f"{self.name} {verb} {info.width}x{info.height}: a video has {MINIMUM_SIDE} pixels or more each "
                    f"way, {advice}"
                )
            shown = replace(info, width=2 * info.width) if self.options.compare else info
            if self.options.raw is not None and self.source != STDIO:
                self._check_raw(self.options.raw, shown)
            store = None
            if can_be_resumed(self.source, self.path):
                store = SegmentStore(self.path, self._job(timelines, stylizer))
                if self.options.resume:
                    store.resume()
            kept = store.finished * SEGMENT_FRAMES if store is not None else 0
            painter = _Painter(stylizer, timelines, self.strength, store, mask, self.options)
            clocks = [Stopwatch() for _ in range(3)]
            try:
                with (
                    display.bar(label, self._expected(video), "frames") as advance,
                    self._sink(shown, video, store) as sink,
                ):
                    frames = self._frames(video, info, kept)
                    count = self._run(frames, painter, sink, shown, kept, clocks, advance, cancelled)
            except BaseException as error:
                if store is not None and store.finished:
                    frames_kept = store.finished * SEGMENT_FRAMES
                    options = "--resume --force" if self.path.exists() else "--resume"
                    if self.path.exists() and self.is_one_of_several:
                        options += ", which paints those that are complete again"
                    log.warning(
                        "%s is unfinished, %d frames of it are kept: go on with %s", self.path, frames_kept, options
                    )
                elif isinstance(error, KeyboardInterrupt) and self.path != STDIO:
                    log.warning("%s was interrupted, and nothing of it is kept", self.path)
                raise
            for damage in (video.damage, None if mask is None else mask.damage):
                if damage is not None:
                    log.warning("%s", damage)
        seconds = perf_counter() - started
        pace = Pace(*(min(1.0, clock.seconds / seconds) for clock in clocks))
        size, resumed, concealed = (shown.width, shown.height), min(count, kept), video.concealed
        task = self.source, self.path, self.timeline.name
        return Result(*task, *size, count, seconds, resumed, pace, concealed, video.damage)

    @property
    def name(self) -> str:
        """What the source is called."""
        return "standard input" if self.source == STDIO else str(self.source)

    def _open(self) -> VideoReader | RawReader:
        start, end = self.options.start, self.options.end
        if self.source != STDIO:
            return VideoReader(self.source, start, end)
        if self.options.raw is None:
            return read_pipe(open_stdin(), start, end)
        if start is not None or end is not None:
            raise InputError("raw frames cannot be cut: leave start and end out")
        return RawReader(open_stdin(), *self.options.raw)

    @property
    def _fps(self) -> Fraction | None:
        """Frames per second, constant; None keeps every frame's time, which raw frames cannot."""
        raw = self.options.raw
        return raw.rate if self.options.fps is None and raw is not None and self.source != STDIO else self.options.fps

    def _check_raw(self, raw: RawFormat, shown: VideoInfo) -> None:
        """Refuse to write raw frames that are not as their reader was told."""
        given = RawFormat(shown.width, shown.height, shown.rate)
        if given[:3] != raw[:3]:
            raise InputError(
                f"the frames of {self.name} come as {given} and not as {raw}: name what they are, "
                "or change them with --size and --fps"
            )

    def _run(
        self,
        frames: Iterable[Frame],
        painter: _Painter,
        sink: VideoWriter | RawWriter,
        shown: VideoInfo,
        kept: int,
        clocks: Sequence[Stopwatch],
        advance: Callable[[], None],
        cancelled: Event,
    ) -> int:
        """Paint all frames but those that are ``kept``, and give how many there are."""
        decoding, painting, encoding = clocks
        blank = np.zeros((shown.height, shown.width, 3), np.uint8)

        def write(item: _Painted) -> None:
            # What is kept in the sink has a place in the film and needs no picture.
            image = blank if item.image is None else self._finish(item.frame.image, item.image)
            sink.write(image, item.frame.time, item.frame.duration)
            if item.state is not None and isinstance(sink, SegmentSink):
                sink.end_segment(item.state)

        count = 0
        with WriteBehind(write, encoding) as behind, closing(read_ahead(frames, decoding)) as ahead:
            for frame in ahead:
                if cancelled.is_set():
                    raise KeyboardInterrupt
                image = None
                if count >= kept:
                    with painting.running():
                        image = painter.paint(frame, count)
                count += 1
                behind.put(_Painted(frame, image, copy(painter.state) if count % SEGMENT_FRAMES == 0 else None))
                advance()
        return count

    def _sink(
        self, info: VideoInfo, video: VideoReader | RawReader, store: SegmentStore | None
    ) -> VideoWriter | RawWriter:
        encoding = self.options.encoding
        if store is not None:
            return SegmentSink(self.path, info, video, encoding, store)
        if self.path != STDIO:
            return VideoWriter(self.path, info, video, encoding)
        if self.options.raw is None:
            return write_pipe(open_stdout(), info, video, encoding)
        return RawWriter(open_stdout(), self.options.raw.pixel_format)

    def _info(self, info: VideoInfo) -> VideoInfo:
        """Of the frames as they are painted."""
        if self.options.size is not None:
            # Even, as most codecs have it: nothing needs padding.
            width, height = fit_size(info.width, info.height, self.options.size, 2)
            info = replace(info, width=width, height=height)
        if self._fps is not None:
            info = replace(info, rate=self._fps, time_base=1 / self._fps)
        return info

    def _expected(self, video: VideoReader | RawReader) -> int | None:
        if video.expected is None or self._fps is None:
            return video.expected
        return round(video.expected * self._fps / video.info.rate)

    def _frames(self, video: VideoReader | RawReader, info: VideoInfo, kept: int) -> Iterator[Frame]:
        frames: Iterator[Frame] = (frame.changed(lambda i: resize(i, info.width, info.height)) for frame in video)
        if self._fps is not None:
            frames = at_rate(frames, self._fps, 1 / video.info.rate)
        for number, frame in enumerate(frames):
            if number >= kept:
                # Made here, on the thread that reads ahead; those before are looked at by nobody.
                _ = frame.image
            if self.options.raw is not None and isinstance(video, VideoReader):
                # Raw frames go without sound, which nobody else would take.
                video.packets.clear()
            yield frame

    def _finish(self, content: np.ndarray, painted: np.ndarray) -> np.ndarray:
        if self.color is ColorMode.CONTENT:
            painted = keep_colors(content, painted)
        return np.hstack([content, painted]) if self.options.compare else painted

    def _timelines(self, stylizer: Stylizer) -> tuple[Timeline, Timeline | None]:
        """The styles, and those of the background if it has any, their colours matched where that is asked for."""
        background = None if self.regions is None else self.regions.background
        timelines = self.timeline, None if background is None else Timeline.of(background)
        if self.color is not ColorMode.MATCH:
            return timelines
        # To the colours of the video's beginning. A first frame alone is often black.
        with self._open() as video:
            sample = [frame.image[::4, ::4].copy() for frame in islice(video, 0, SAMPLE_FRAMES, SAMPLE_STEP)]
        first, second = (None if t is None else match_timeline(t, np.stack(sample), stylizer) for t in timelines)
        assert first is not None
        return first, second

    def _job(self, timelines: tuple[Timeline, Timeline | None], stylizer: Stylizer) -> dict[str, Any]:
        """All that the result follows from, in the words of the error that `SegmentStore.resume` raises."""
        options = self.options
        style, background = (None if timeline is None else _digest(timeline) for timeline in timelines)
        return {
            "source": _version(self.source),
            "style": style,
            "mask": None if self.regions is None else _version(self.regions.mask),
            "background": background,
            "strength": self.strength,
            "color": str(self.color),
            "stroke size": options.stroke_size,
            "size": None if options.size is None else list(options.size),
            "fps": str(options.fps),
            "start": str(options.start),
            "end": str(options.end),
            "compare": options.compare,
            "encoding": repr(options.encoding.within(container_of(self.path, options.encoding))),
            "model": stylizer.model.manifest.files,
            "device": stylizer.device.name,
            "version of livestyle": f"{__version__}, PyAV {av.__version__}",
        }


@dataclass(frozen=True, eq=False)
class _Painted:
    """A frame on its way to the sink.

    Attributes:
        frame: of the source.
        image: the painting; None where an earlier run has painted it.
        state: what holds the film still, behind the last frame of a segment, else None.
    """

    frame: Frame
    image: np.ndarray | None
    state: Stabilizer | None


class _Painter:
    """Paints the frames of one film in their order.

    Args:
        stylizer: paints.
        timelines: of styles, and of styles of the background.
        strength: 0..1.
        store: whose content state to go on with, if it has any.
        mask: where the foreground is.
        options: of the film.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        timelines: tuple[Timeline, Timeline | None],
        strength: float,
        store: SegmentStore | None,
        mask: Mask | None,
        options: VideoOptions,
    ) -> None:
        self.state = Stabilizer()
        if store is not None and store.finished:
            store.restore(self.state)
        self._stylizer = stylizer
        self._timeline, self._background = timelines
        self._strength = strength
        self._mask = mask
        # In seconds of the mask.
        self._start = options.start or 0
        self._stroke_size = options.stroke_size
        self._last: tuple[_Inputs, np.ndarray] | None = None

    def paint(self, frame: Frame, number: int) -> np.ndarray:
        """The painting of the frame of a number, counted from 0."""
        image, time = frame.image, frame.time
        inputs = _Inputs(
            image,
            self._timeline.stats(time),
            None if self._mask is None else self._mask.at(time + self._start, image.shape[1], image.shape[0]),
            None if self._background is None else self._background.stats(time),
        )
        # A frame that stays for several ticks of a constant rate is painted once; but a segment, which may be the first
        # of a run, follows from nothing but the state.
        if self._last is not None and number % SEGMENT_FRAMES and all(map(is_, inputs, self._last[0])):
            return self._last[1]
        painted = self._stylizer.stylize(
            image,
            inputs.style,
            self._strength,
            self.state,
            mask=inputs.mask,
            background=inputs.background,
            stroke_size=self._stroke_size,
        )
        self._last = inputs, painted
        return painted


def can_be_resumed(source: Path, path: Path) -> bool:
    """Whether a film is written in segments; not to or from a pipe, which cannot be read or written twice."""
    return STDIO not in (source, path) and path.suffix.lower() not in ONE_PIECE


class _Inputs(NamedTuple):
    """What a painting follows from, beside what was before it."""

    image: np.ndarray
    style: StyleStats
    mask: np.ndarray | None
    background: StyleStats | None


def _digest(timeline: Timeline) -> str:
    """Changes with what a timeline paints."""
    digest = hashlib.sha256(repr((timeline.starts, timeline.crossfade)).encode())
    for style in timeline.styles:
        digest.update(style.stats.values.tobytes())
    return digest.hexdigest()


def _version(path: Path) -> list[int]:
    """Changes with a file."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def at_rate(frames: Iterable[Frame], fps: Fraction, last: Fraction) -> Iterator[Frame]:
    """Frames at multiples of 1 / ``fps``, each with the picture that is on the screen then.

    Args:
        frames: in the order of their time.
        fps: frames per second.
        last: seconds that the last frame stays where it does not say.
    """
    held: Frame | None = None
    tick = 0
    for frame in frames:
        if held is None:
            # A frame within a tick also stands at the tick's beginning, where there is no other.
            tick = floor(frame.time * fps)
        else:
            while tick / fps < frame.time:
                yield held.at(tick / fps, 1 / fps)
                tick += 1
        held = frame
    if held is not None:
        while tick / fps < held.time + (held.duration or last):
            yield held.at(tick / fps, 1 / fps)
            tick += 1


def parse_rate(text: str) -> Fraction:
    """A frame rate such as ``25``, ``29.97`` or ``30000/1001``, exactly.

    Raises:
        InputError: it is none.
    """
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is not a frame rate: give one such as 25 or 30000/1001") from None
    _check_rate(rate)
    return rate


def _check_rate(rate: Fraction) -> None:
    if not 0 < rate <= 1000:
        raise InputError(f"a frame rate is above 0 and up to 1000, not {float(rate):g}")


def check_size(size: tuple[int, int] | None) -> None:
    """Raise an `InputError` for a size to fit in that is smaller than a frame may be."""
    if size is not None and min(size) < MINIMUM_SIDE:
        raise InputError(f"a size has {MINIMUM_SIDE} pixels or more each way, not {size[0]}x{size[1]}")


def fit_size(width: int, height: int, size: tuple[int, int], step: int = 1) -> tuple[int, int]:
    """Width and height, multiples of ``step``, of a picture that is scaled to fit in a size with its shape kept."""
    factor = min(size[0] / width, size[1] / height)
    return max(1, round(width * factor / step)) * step, max(1, round(height * factor / step)) * step


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture, uint8 [H, W, 3], at another size; at its own size, itself."""
    import cv2

    if image.shape[:2] == (height, width):
        return image
    method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=method)


def match_timeline(timeline: Timeline, content: np.ndarray, stylizer: Stylizer) -> Timeline:
    """A timeline of pictures whose colours are matched to a content's, see `StyleLibrary.matched`."""
    library = StyleLibrary(stylizer)
    return timeline.with_styles([library.matched(style, content) for style in timeline.styles])
