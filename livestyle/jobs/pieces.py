"""Pieces of a video, each painted by one worker: where they begin, and what a worker makes of one.

A worker gets the encoded packets of its piece and of a run-in, the frames before it, over which the running statistics
and the noise reduction settle (`livestyle.engine.stabilizer`). It paints the run-in, throws it away, and encodes the
rest as a segment of its own.
"""

from __future__ import annotations

import io
import platform
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import numpy as np

from livestyle import __version__
from livestyle.engine.constant import RENEWAL_FRAMES
from livestyle.errors import InputError
from livestyle.media.depth import eight_bits
from livestyle.media.frames import Frame
from livestyle.media.mask import Mask
from livestyle.media.resize import resize
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.encoder import EncoderSetup, VideoEncoder
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.libav import av
from livestyle.media.video.packets import write_packets
from livestyle.media.video.reader import VideoReader
from livestyle.render.renderer import Renderer
from livestyle.scheduling.scheduler import Place, WorkerError

from .frame_rate import at_rate

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage
    from livestyle.render.look import Look

RUN_IN_FRAMES = 75
"""Length of a run-in, in frames. The running statistics and the noise reduction forget within 30; every
`RENEWAL_FRAMES` all workers take new constants (`livestyle.engine.constant`), at the same frames of the video. Two or
three of these lie in each run-in: from there on the piece before and this one are painted alike."""
VISIBLE_SEAM = 1.0
"""Grey levels on average between two paintings of one frame, from which on a border between pieces may be seen."""
_REPORT_FRAMES = 10
_NEAR = Fraction(2, 1000)
"""Matroska rounds times to milliseconds."""


@dataclass(frozen=True)
class Span:
    """Frames of one piece, as indices into the frames of the video.

    Attributes:
        run_in: first frame of the run-in.
        begin: first frame of the piece.
        end: the frame behind its last one.
    """

    run_in: int
    begin: int
    end: int


def plan_spans(
    count: int, keys: Sequence[int], length: int, run_in: int = RUN_IN_FRAMES, begins: object = None
) -> list[Span]:
    """Pieces of a video: they begin at key frames where there are any near, so that nothing is decoded for nothing.

    Args:
        count: number of frames.
        keys: indices of the frames that are key frames.
        length: number of frames that a piece is to have, about.
        run_in: number of frames before each piece but the first, as far as the piece before it has as many.
        begins: first frames of the pieces, as an earlier run has recorded them; anything else is ignored.
    """
    if not _are_begins(begins, count):
        begins = [0]
        while count - begins[-1] > length * 3 / 2:
            wanted = begins[-1] + length
            after = bisect_left(keys, wanted)
            near = [key for key in keys[max(0, after - 1) : after + 1] if abs(key - wanted) <= length / 4]
            begins.append(min(near, key=lambda key: abs(key - wanted), default=wanted))
    ends = [*begins[1:], count]
    spans = []
    before = 0
    for begin, end in zip(begins, ends, strict=True):
        spans.append(Span(begin - min(before, run_in), begin, end))
        before = end - begin
    return spans


def _are_begins(value: object, count: int) -> TypeGuard[list[int]]:
    """Whether a value from a file says where the pieces of ``count`` frames begin."""
    if not isinstance(value, list) or not all(type(number) is int for number in value):
        return False
    return value[:1] == [0] and value[-1] < count and all(a < b for a, b in pairwise(value))


def portable(look: Look) -> Look:
    """A look that can be sent to another machine: a mask from a file becomes the image that it is."""
    return replace(look, mask=look.mask.shown) if isinstance(look.mask, Mask) else look


class Program(NamedTuple):
    """What the bytes of a painting depend on beside the job; it is the same on all workers, or their pieces differ.

    Attributes:
        version: of livestyle and of the libraries that compute.
        model: checksums of the files of the model.
        device: name of the device.
        form: of the network, see `livestyle.Stylizer.form`.
    """

    version: str
    model: dict[str, str]
    device: str
    form: str

    @classmethod
    def of(cls, stylizer: Stylizer) -> Program:
        """That of a stylizer in this process."""
        # Which of several GPUs makes no difference.
        device = stylizer.device.name.partition(":")[0]
        return cls(versions(), stylizer.model.manifest.files, device, stylizer.form)


def versions() -> str:
    """Versions of livestyle and of the libraries that compute, in one line."""
    import cv2
    import onnxruntime as ort

    found = {"PyAV": av.__version__, "onnxruntime": ort.__version__, "OpenCV": cv2.__version__, "NumPy": np.__version__}
    return ", ".join([f"livestyle {__version__}", *(f"{name} {version}" for name, version in found.items())])


@dataclass(frozen=True)
class Shared:
    """What all pieces of a video need.

    Attributes:
        name: of the source, for errors.
        program: of the one that cuts and joins.
        model: name of a model that ships; or the files of a model folder by their names.
        look: how to paint, with its colours matched; its mask, if any, is a still one.
        info: of the frames as they are painted.
        written: of the frames as they are encoded.
        encoding: within the container.
        container: one of the values of `FORMATS`.
        fps: frames per second, constant; None keeps every frame's time.
        rate: frames per second of the source, nominal.
        deinterlace: see `VideoReader`.
        tone_map: see `VideoReader`.
    """

    name: str
    program: Program
    model: str | dict[str, bytes]
    look: Look
    info: VideoInfo
    written: VideoInfo
    encoding: Encoding
    container: str
    fps: Fraction | None
    rate: Fraction
    deinterlace: str
    tone_map: str


@dataclass(frozen=True)
class Piece:
    """Task of a worker.

    Attributes:
        data: the packets from the run-in on, as a Matroska file; or the address that it is at, see `Shelf`.
        times: time and duration in seconds of each frame from the run-in on, in the result.
        origin: seconds, in the result, at which the clock of ``data`` begins.
        begin: seconds, in the result, at which the piece begins.
        end: seconds, in the result, before which its last frame begins; None is the end of the video.
    """

    data: bytes | str
    times: tuple[tuple[Fraction, Fraction], ...]
    origin: Fraction
    begin: Fraction
    end: Fraction | None


@dataclass(frozen=True)
class PaintedPiece:
    """What a worker gives back.

    Attributes:
        packets: of the encoder, as `write_packets` has them.
        times: time and duration in seconds of each frame in it.
        worker: its name.
        form: of the network.
        device: in words.
        before: painting of the last frame of the run-in, uint8 [H, W, 3]; None where there was none.
        last: painting of the last frame, to be compared with the next piece's ``before``.
        concealed: number of damaged frames of the source that were replaced.
        notes: on what was repaired or changed, see `VideoReader.notes`.
        seconds: that the worker took.
        run_in_seconds: of these, for the run-in.
    """

    packets: bytes
    times: tuple[tuple[Fraction, Fraction], ...]
    worker: str
    form: str
    device: str
    before: BgrImage | None
    last: BgrImage | None
    concealed: int = 0
    notes: tuple[str, ...] = field(default=())
    seconds: float = 0.0
    run_in_seconds: float = 0.0


def paint_piece(shared: Shared, piece: Piece, place: Place) -> PaintedPiece:
    """Paint and encode a piece; a `livestyle.scheduling.scheduler.Work`.

    Raises:
        WorkerError: this worker has another version, model, device or form, so that its pixels would differ.
        InputError: the frames of the piece are not those that its timestamps promise.
    """
    from time import perf_counter

    from .shelf import fetch

    started = perf_counter()
    stylizer = worker_stylizer(model_folder(shared.model), place.device, place.threads)
    check_worker(shared.program, stylizer, place)
    setup = EncoderSetup.of(shared.container, shared.encoding, shared.written)
    encoder, base = VideoEncoder(setup), setup.time_base
    renderer = Renderer(stylizer)
    packets = io.BytesIO()
    times: list[tuple[Fraction, Fraction]] = []
    before = last = None
    concealed = earlier = 0
    stamp: int | None = None
    begun = started
    with VideoReader(
        Path(shared.name),
        stream=io.BytesIO(fetch(piece.data)),
        video_only=True,
        deinterlace=shared.deinterlace,
        tone_map=shared.tone_map,
        deep=shared.info.bits > 8,
    ) as video:
        interval = RENEWAL_FRAMES / (shared.fps or shared.rate)
        reached = -1
        for number, frame in enumerate(_frames(video, shared, piece)):
            if frame.time >= piece.begin and not times:
                begun = perf_counter()
            if frame.time // interval > reached:
                # By the clock of the video, so that all workers do it at the same frames.
                reached = int(frame.time // interval)
                renderer.renew_constants()
            painted = renderer.render(frame, shared.look)
            if frame.time < piece.begin:
                before, earlier = painted, video.concealed
            else:
                pts = round(Fraction(frame.time) / base)
                stamp = pts if stamp is None else max(pts, stamp + 1)
                ticks = max(1, round((frame.duration or 1 / shared.written.rate) / base))
                write_packets(packets, encoder.encode(painted, stamp, ticks))
                times.append((Fraction(frame.time), Fraction(frame.duration)))
                last, concealed = painted, video.concealed - earlier
            if number % _REPORT_FRAMES == 0:
                place.report(len(times))
        write_packets(packets, encoder.flush())
        if not times:
            raise _unlike(shared)
        notes = video.notes
    return PaintedPiece(
        packets.getvalue(),
        tuple(times),
        place.name,
        stylizer.form,
        stylizer.device.text,
        None if before is None else eight_bits(before).copy(),
        None if last is None else eight_bits(last).copy(),
        concealed,
        tuple(notes),
        perf_counter() - started,
        begun - started,
    )


def _frames(video: VideoReader, shared: Shared, piece: Piece) -> Iterator[Frame]:
    """Frames of a piece and of its run-in, with their times in the result."""
    frames: Iterator[Frame] = _timed(video, shared, piece)
    if shared.fps is not None:
        frames = at_rate(frames, shared.fps, 1 / shared.rate)
    for frame in frames:
        if piece.end is not None and frame.time >= piece.end:
            return
        yield frame


def _timed(video: VideoReader, shared: Shared, piece: Piece) -> Iterator[Frame]:
    """Frames of the file with the exact times that the whole video gives them; others are dropped."""
    width, height = shared.info.width, shared.info.height
    times = [time for time, _ in piece.times]
    found = 0
    for frame in video:
        about = Fraction(frame.time) + piece.origin
        at = bisect_left(times, about - _NEAR, found)
        if at == len(times):
            break
        if abs(times[at] - about) > _NEAR:
            # Before the run-in: decoded since its key frame lies there.
            continue
        if at != found:
            raise _unlike(shared)
        found = at + 1
        time, duration = piece.times[at]
        yield frame.at(time, duration).changed(lambda image: resize(image, width, height))
    if found != len(times):
        raise _unlike(shared)


def _unlike(shared: Shared) -> InputError:
    return InputError(
        f"{shared.name} cannot be cut into pieces, since its frames are not where its timestamps say: "
        "paint it on one machine",
        setting="ray",
    )


def check_worker(program: Program, stylizer: Stylizer, place: Place) -> None:
    """Refuse a worker whose pixels would differ."""
    # The driver has measured which form is faster, and one video has one form.
    stylizer.use_form(program.form)
    own = Program.of(stylizer)
    for name, here, there in zip(Program._fields, own, program, strict=True):
        if here != there:
            shown = "" if name == "model" else f" ({here}, where {there} is asked for)"
            raise WorkerError(
                f"worker {place.name} on {platform.node()} has another {name}{shown}, so that its painting would "
                "differ: let all nodes have the same"
            )


@lru_cache(maxsize=1)
def worker_stylizer(folder: str, device: str, threads: int) -> Stylizer:
    """The model of a worker, kept from piece to piece."""
    from livestyle.engine.stylizer import Stylizer

    return Stylizer(folder, device, threads)


def model_folder(model: str | dict[str, bytes]) -> str:
    """Name of a model that ships; or the folder in the cache with these files, written there if it is missing."""
    if isinstance(model, str):
        return model
    from .shelf import unpacked_model

    return str(unpacked_model(model))
