"""Numbered image sequences as videos: `SequenceReader` and `SequenceWriter`, beside those of video files."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache, partial
from itertools import chain, pairwise
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np

from livestyle.errors import InputError, OutputError
from livestyle.files import partial_path
from livestyle.media.depth import eight_bits, is_deep, sixteen_bits
from livestyle.media.frames import Frame, FrameSource, VideoSink, VideoSource
from livestyle.media.images import (
    Metadata,
    Picture,
    carried_metadata,
    check_dimensions,
    encode_image,
    read_picture,
)
from livestyle.media.images.numbered import Numbered, ranges
from livestyle.media.resize import fit_into
from livestyle.results import publish

from .codecs import PICTURES, Encoding, written_bits
from .encoder import PacketSource
from .info import VideoInfo
from .reader import VideoReader
from .tracks import describe
from .writer import Survey

DEFAULT_RATE = Fraction(25)
"""Frames per second of a sequence that nobody names a rate for; FFmpeg's default too."""
_UNEVEN = Fraction(3, 2)
"""Longest time between frames, in shortest ones, that counts as a constant rate."""

log = logging.getLogger(__name__)


class SequenceReader(VideoSource):
    """The frames of a numbered image sequence: upright, sRGB, at a constant rate.

    A number that is missing on the way is a frame that is missing: the image before stays for its time, as in a video,
    and so it does for one that is damaged. Where more are missing than there are, numbers tell no time, and gaps are
    closed. Steps, as of every second frame of a rendering, are no gaps. Images of another size than the first are
    letterboxed.

    Args:
        numbered: names of the files.
        rate: frames per second; None is `DEFAULT_RATE`, which is then said.
        start: seconds, see `VideoReader`.
        end: seconds, see `VideoReader`.
        alpha: give the alpha channel with each frame, see `Frame.alpha`; else it is laid over white, as always, and
            that is said.
        described: keep the metadata of each image in ``descriptions``, for a sink that takes it.
        deep: give images of 16 bits as such, see `Frame.pixels`.

    Raises:
        InputError: there is no such file, none that can be read, or no frame between start and end.
    """

    def __init__(
        self,
        numbered: Numbered,
        rate: Fraction | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        *,
        alpha: bool = False,
        described: bool = False,
        deep: bool = False,
    ) -> None:
        self.path = numbered.path
        self.descriptions: dict[Fraction, Metadata] = {}
        """Metadata of the images that were read, by the times of their frames, that nobody has taken yet."""
        self.decoded = self.concealed = 0
        self._numbered = numbered
        self._rate = rate or DEFAULT_RATE
        self._is_rate_given = rate is not None
        self._keeps_alpha, self._described, self._is_deep = alpha, described, deep
        self._missing: list[int] = []
        self._damaged: dict[int, None] = {}
        self._fitted: dict[int, None] = {}
        self._lost: dict[str, None] = {}
        self._read = lru_cache(2)(self._read_one)
        numbers = numbered.numbers()
        if not numbers:
            raise InputError(f"there is no picture that {self.path} stands for")
        self._slots = self._spread(numbers)
        self._cut(numbers, start or Fraction(0), end)
        first = self._first = self._good(self._begin)
        height, width = first.image.shape[:2]
        self.bits = first.bits
        given = self.bits if is_deep(first.image) else 8
        self.info = VideoInfo(width, height, self._rate, 1 / self._rate, bits=given)
        if deep and first.bits > 8 and not is_deep(first.image):
            self._lost["all but 8 bits a channel, since its colours are converted to sRGB"] = None
        if not described:
            for what in carried_metadata(Path("x.bmp"), first.metadata, width, height)[1]:
                self._lost[f"{what} of its pictures"] = None

    def _spread(self, numbers: list[int]) -> dict[int, int]:
        """The number of each frame, by its place in time."""
        step = Counter(b - a for a, b in pairwise(numbers)).most_common(1)[0][0] if len(numbers) > 1 else 1
        if any((number - numbers[0]) % step for number in numbers):
            step = 1
        count = (numbers[-1] - numbers[0]) // step + 1
        missing = count - len(numbers)
        self._are_gaps_closed = missing > len(numbers)
        if self._are_gaps_closed:
            return dict(enumerate(numbers))
        there = set(numbers)
        self._missing = [n for n in range(numbers[0], numbers[-1] + 1, step) if missing and n not in there]
        return {(number - numbers[0]) // step: number for number in numbers}

    def _cut(self, numbers: list[int], start: Fraction, end: Fraction | None) -> None:
        length = max(self._slots) + 1
        self._begin = ceil(start * self._rate)
        self._end = length if end is None else min(length, ceil(end * self._rate))
        if self._begin >= self._end:
            span = f"from {float(start):g}" + (f" to {float(end):g}" if end is not None else "")
            raise InputError(
                f"there is no frame {span} seconds in {self.path}, which is {float(length / self._rate):.1f} seconds "
                f"long at {float(self._rate):g} frames a second"
            )
        self.first_number = self._slots.get(self._begin, numbers[0] + self._begin)
        """Number of the first frame, which a sequence that is made of this one goes on from."""
        kept = {self._slots[slot] for slot in range(self._begin, self._end) if slot in self._slots}
        self._missing = [n for n in self._missing if kept and min(kept) < n < max(kept)]

    @property
    def expected(self) -> int:
        return self._end - self._begin

    @property
    def damage(self) -> str | None:
        said = []
        for numbers, what in ((self._missing, "missing"), (sorted(self._damaged), "damaged")):
            if numbers:
                one = len(numbers) == 1
                said.append(f"number{'' if one else 's'} {ranges(numbers)} {'is' if one else 'are'} {what}")
        if not said:
            return None
        return f"of {self.path}, {' and '.join(said)}: the picture before stays for the time"

    @property
    def notes(self) -> list[str]:
        said = []
        if not self._is_rate_given:
            said.append(f"{self.path} has no rate of its own and is taken as {float(self._rate):g} frames a second")
        if self._are_gaps_closed:
            said.append(f"{self.path} has more gaps than pictures, which follow one another without them")
        if self._fitted:
            count = (
                f"1 picture of {self.path} is" if len(self._fitted) == 1 else f"{len(self._fitted)} of {self.path} are"
            )
            said.append(f"{count} of another size than the first, and fitted into {self.width}x{self.height}")
        if self._lost:
            said.append(f"{self.path} loses {', '.join(self._lost)}")
        return said

    def __iter__(self) -> Iterator[Frame]:
        """The frames; their images are read on first access."""
        for slot in range(self._begin, self._end):
            self.decoded += 1
            self.concealed += slot not in self._slots
            time = (slot - self._begin) / self._rate
            yield Frame(partial(self._image, slot, time), time, 1 / self._rate, partial(self._alpha, slot))

    def _image(self, slot: int, time: Fraction) -> np.ndarray:
        picture = self._good(slot)
        if self._described:
            self.descriptions[time] = picture.metadata
        if picture.alpha is not None and not self._keeps_alpha:
            self._lost["transparency, which is laid over white"] = None
        if picture.image.shape[:2] != (self.height, self.width):
            self._fitted[slot] = None
        return fit_into(self._as_deep(picture.image), self.width, self.height)

    def _as_deep(self, image: np.ndarray) -> np.ndarray:
        """An image as deep as the first one."""
        return sixteen_bits(image) if is_deep(self._first.image) else eight_bits(image)

    def _alpha(self, slot: int) -> np.ndarray | None:
        if not self._keeps_alpha:
            return None
        picture = self._good(slot)
        alpha = picture.alpha
        if alpha is None:
            alpha = np.full(picture.image.shape[:2], 255, np.uint8)
        return fit_into(self._as_deep(alpha), self.width, self.height)

    def _good(self, slot: int) -> Picture:
        """The image of a frame, or the last good one before it; the first good one where there is none."""
        for place in chain(range(slot, self._begin - 1, -1), range(slot + 1, self._end)):
            if place in self._slots and (picture := self._read(place)) is not None:
                return picture
        raise InputError(f"no picture of {self.path} can be read: the files are damaged, or something else")

    def _read_one(self, slot: int) -> Picture | None:
        number = self._slots[slot]
        try:
            return read_picture(self._numbered.file(number), deep=self._is_deep)
        except InputError:
            self.concealed += number not in self._damaged
            self._damaged[number] = None
            return None

    def close(self) -> None:
        self._read.cache_clear()


class PictureEncoder(PacketSource):
    """Encoder of images into the files of a sequence, each of which is one packet.

    Args:
        path: whose suffix is the format, see `encode_image`.
        metadata: gives that of the image that is encoded now.
    """

    def __init__(self, path: Path, metadata: Callable[[], Metadata | None]) -> None:
        self._path = path
        self._metadata = metadata

    def encode(self, image: np.ndarray, pts: int, duration: int) -> list[av.Packet[Any]]:
        packet: av.Packet[Any] = av.Packet(encode_image(self._path, image, self._metadata()))
        packet.pts = packet.dts = pts
        packet.duration, packet.is_keyframe = duration, True
        return [packet]

    def flush(self) -> list[av.Packet[Any]]:
        return []


class SequenceWriter(VideoSink):
    """Writer of a numbered image sequence, whose files appear when it is complete.

    Args:
        numbered: names of the files; their suffix is the format.
        info: of the frames to come.
        source: whose metadata goes with the images, where it is a `SequenceReader`, and whose first number is the
            first; of other sources it is 1. What accompanies the images of a video file is left out, and said.
        encoding: whose depth counts.
        partial: folder in which the files grow, on the same disk; None is beside them.
        encoder: makes the packets from the frames, given what makes a `PictureEncoder`; None is one of these.
        replace: whether files that are there at the end are replaced; otherwise `path` becomes one in a new folder.
        complete: called when all files are complete, before they get their names.

    Raises:
        OutputError: the format cannot hold images of this size.
    """

    def __init__(
        self,
        numbered: Numbered,
        info: VideoInfo,
        source: FrameSource | None = None,
        encoding: Encoding = Encoding(),  # noqa: B008 (it cannot be changed)
        *,
        partial: Path | None = None,
        encoder: Callable[[Callable[[], PacketSource]], PacketSource] | None = None,
        replace: bool = True,
        complete: Callable[[], object] | None = None,
    ) -> None:
        self.path = numbered.path
        check_dimensions(self.path, info.width, info.height)
        self._bits = written_bits(PICTURES, encoding, info.bits, self.path.suffix)
        self._is_depth_given = encoding.bits != "auto"
        self._numbered = numbered
        self._info = info
        self._source = source
        self._source_bits: int = getattr(source, "bits", 8)
        self._sequence = source if isinstance(source, SequenceReader) else None
        self._first = self._sequence.first_number if self._sequence else 1
        self._count = 0
        self._last: Fraction | float | None = None
        self._steps: tuple[Fraction | float, Fraction | float] | None = None
        self._metadata: Metadata | None = None
        self._lost: dict[str, None] = {}
        self._folder = partial or partial_path(self.path)
        self._replace = replace
        self._complete = complete
        self._encoder = (encoder or (lambda make: make()))(lambda: PictureEncoder(self.path, lambda: self._metadata))
        if self.warning:
            log.warning("%s", self.warning)

    @property
    def survey(self) -> Survey:
        """What becomes of all that accompanies the images, as far as it is known before they are read."""
        source = self._source
        before, after = self._source_bits, self._bits
        kept = [f"{before} bits"] * (8 < before <= after)
        converted = [f"{before} bits as {after}"] * (before > after)
        if not isinstance(source, VideoReader):
            return Survey(kept, converted, [])
        left_out = [describe(stream) for stream in source.streams]
        left_out += [f"attachment {font.name}" for font in source.attachments]
        left_out += ["chapters"] * bool(source.chapters) + list(source.unread)
        left_out += ["360-degree metadata"] * (source.spherical is not None)
        left_out += ["closed captions"] * source.is_captioned
        if source.info.aspect != 1:
            left_out.append(f"the shape of its pixels, {source.info.aspect.numerator}:{source.info.aspect.denominator}")
        return Survey(kept, converted, left_out)

    @property
    def warning(self) -> str | None:
        """What of the source is left out, in one sentence; None where all is kept."""
        left_out = [*self.survey.left_out, *self._late]
        if self._source_bits > self._bits and not self._is_depth_given:
            left_out.append(f"all but {self._bits} of {self._source_bits} bits a channel")
        return self._sentence(left_out) if left_out else None

    @property
    def _late(self) -> list[str]:
        """Descriptions of what is left out, as far as it is found while frames come."""
        is_uneven = self._steps is not None and self._steps[1] > self._steps[0] * _UNEVEN
        return [*self._lost, *["the uneven times of its frames"] * is_uneven]

    def _sentence(self, left_out: list[str]) -> str:
        return f"{self.path} is without these of its source: {', '.join(left_out)}"

    def write(self, image: np.ndarray, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """Encode and write the next frame.

        Args:
            image: uint8 or uint16 [H, W, 3] BGR, or [H, W, 4] with straight alpha.
            time: seconds, which the sequence does not keep.
            duration: seconds, see ``time``.

        Raises:
            OutputError: the file cannot be written.
        """
        if isinstance(self._source, VideoReader):
            self._source.packets.clear()
            self._source.captions.clear()
        if self._last is not None:
            step = time - self._last
            low, high = self._steps or (step, step)
            self._steps = min(low, step), max(high, step)
        self._last = time
        self._metadata = None if self._sequence is None else self._sequence.descriptions.pop(Fraction(time), None)
        if self._metadata is not None:
            lost = carried_metadata(self.path, self._metadata, image.shape[1], image.shape[0])[1]
            self._lost |= dict.fromkeys(f"{what} of its pictures" for what in lost)
        image = sixteen_bits(image) if self._bits > 8 else eight_bits(image)
        for packet in self._encoder.encode(image, self._count, 1):
            try:
                self._folder.mkdir(exist_ok=True)
                self._partial(self._count).write_bytes(bytes(packet))
            except OSError as error:
                raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error
        self._count += 1

    def flush(self) -> None:
        """Nothing to do: each frame is written when it comes."""

    def _partial(self, count: int) -> Path:
        return self._folder / f"{count}{self.path.suffix}"

    def close(self) -> None:
        """Give the files their names.

        Raises:
            OutputError: that was not possible; those that have theirs stay.
        """
        written = range(self._first, self._first + self._count)
        try:
            if self._complete:
                self._complete()
            if not self._replace and not set(written).isdisjoint(self._numbered.numbers()):
                self._take_new_folder()
            for count in range(self._count):
                publish(self._partial(count), self._numbered.file(self._first + count), replace=self._replace)
            self._folder.rmdir()
        except OSError as error:
            self.abort()
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error
        if self._late:
            log.warning("%s", self._sentence(self._late))
        if others := [number for number in self._numbered.numbers() if number not in written]:
            log.warning("%s has pictures from before, which stay: %s", self.path, ranges(others))

    def _take_new_folder(self) -> None:
        """Some of the names have been taken meanwhile, and half a sequence under other ones would be of no use."""
        for number in itertools.count(2):
            folder = self._numbered.folder / f"{self._numbered.title}-{number}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
        wanted, self._numbered = self.path, dataclasses.replace(self._numbered, folder=folder)
        self.path = self._numbered.path
        log.warning(
            "%s has been made by another program meanwhile and stays as it is: the result is %s", wanted, self.path
        )

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder, ignore_errors=True)
