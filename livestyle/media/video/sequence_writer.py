"""Writing of videos as numbered image sequences."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from livestyle.errors import OutputError
from livestyle.files import partial_path
from livestyle.media.depth import eight_bits, sixteen_bits
from livestyle.media.frames import FrameSource, VideoSink
from livestyle.media.images import (
    Metadata,
    carried_metadata,
    check_dimensions,
    encode_image,
)
from livestyle.media.images.numbered import Numbered, ranges
from livestyle.results import publish

from .codecs import PICTURES, Encoding, written_bits
from .encoder import PacketSource
from .info import VideoInfo
from .reader import VideoReader
from .sequence_reader import SequenceReader
from .tracks import describe
from .writer import Survey

_UNEVEN = Fraction(3, 2)
"""Longest time between frames, in shortest ones, that counts as a constant rate."""

log = logging.getLogger(__name__)


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
