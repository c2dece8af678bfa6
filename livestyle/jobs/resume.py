"""Resumable conversion: a video is encoded in segments, and complete ones outlive an interruption."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from livestyle.errors import OutputError
from livestyle.media.frames import BgrImage, FrameSource, VideoSink
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.encoder import EncoderSetup, VideoEncoder
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.libav import av
from livestyle.media.video.packets import read_packets, write_packets
from livestyle.media.video.writer import VideoWriter

SEGMENT_FRAMES = 250
"""Frames of a segment. Each begins with a key frame, which encoders make about so often anyway."""

_NO_IMAGE = np.empty((0, 0, 3), np.uint8)


class SegmentStore:
    """The complete segments of a film that is being converted, in a hidden folder beside its target.

    ``job.json`` says what is converted and how. ``00000.packets`` are the encoded pictures of a complete segment,
    ``00000.npz`` is what is carried from frame to frame, at the end of the last one. The file that they are joined in
    grows there as well, so that nothing is left elsewhere by a program that was killed.

    Args:
        target: the video that is to be written.
        job: the source and all options: names, as errors call them, and what JSON gives back equal.

    Raises:
        OutputError: the folder cannot be read.
    """

    def __init__(self, target: Path, job: dict[str, Any]) -> None:
        self.target = target
        self.folder = store_folder(target)
        self.film = self.folder / f"film{target.suffix}"
        """Where the file grows."""
        self.finished = 0
        """Segments that are complete, from the first on."""
        self._job = job
        self._file: BinaryIO | None = None

    def resume(self) -> None:
        """Take up the segments that are there, if there are any.

        Raises:
            OutputError: they belong to another source or to other options, or cannot be read.
        """
        if not self.folder.is_dir():
            return
        try:
            before = json.loads((self.folder / "job.json").read_text("utf-8"))
            different = [name for name in self._job if before.get(name) != self._job[name]]
        except (OSError, ValueError, AttributeError) as error:
            raise self._damaged() from error
        if different:
            raise OutputError(
                f"the conversion of {self.target} cannot be resumed, since it was begun with another "
                f"{' and another '.join(different)}: take the same, or force a new beginning without resuming",
                setting="force",
            )
        while self._packets(self.finished).exists():
            # Damage is found now, and not hours later.
            for _ in self.packets(self.finished):
                pass
            self.finished += 1

    def prepare(self) -> None:
        """Make the folder, unless it has segments that are finished.

        Raises:
            OutputError: that is not possible.
        """
        if self.finished:
            return
        # Whatever lies there is nobody's, or was given up.
        self.remove()
        try:
            self.folder.mkdir()
            (self.folder / "job.json").write_text(json.dumps(self._job, indent=1), "utf-8")
        except OSError as error:
            self.remove()
            raise self._failure(error) from error

    def begin(self) -> None:
        """Begin a segment, behind those that are finished."""
        self._file = self._partial.open("wb")

    def keep(self, packets: list[av.Packet[Any]]) -> list[av.Packet[Any]]:
        """Append packets to the segment that was begun, and return them."""
        assert self._file is not None
        write_packets(self._file, packets)
        return packets

    def finish(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Complete the segment.

        Args:
            snapshot: of the renderer, after the segment's last frame.

        Raises:
            OutputError: it cannot be written.
        """
        assert self._file is not None
        try:
            with self._state(self.finished).open("wb") as file:
                arrays: dict[str, Any] = dict(snapshot)
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._partial.replace(self._packets(self.finished))
        except OSError as error:
            raise self._failure(error) from error
        self.finished += 1
        # A snapshot is as large as frames are, and only the last one is resumed from.
        with suppress(OSError):
            self._state(self.finished - 2).unlink(missing_ok=True)

    def packets(self, index: int) -> Iterator[av.Packet[Any]]:
        """The encoded pictures of a complete segment.

        Raises:
            OutputError: they are damaged.
        """
        try:
            yield from read_packets(self._packets(index))
        except ValueError as error:
            raise self._damaged() from error

    def restore(self) -> dict[str, np.ndarray]:
        """Snapshot of the renderer at the end of the last complete segment.

        Raises:
            OutputError: the segment is damaged.
        """
        try:
            with self._state(self.finished - 1).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise self._damaged() from error

    def stop(self) -> None:
        """Let go of the segment that is not complete, and of the folder where none is."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        if self.finished:
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
        else:
            self.remove()

    def remove(self) -> None:
        """Remove the folder with all segments."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.target}: {error.strerror or error}")

    def _damaged(self) -> OutputError:
        return OutputError(
            f"the conversion of {self.target} cannot be resumed, since {self.folder} is damaged: "
            "force a new beginning without resuming",
            setting="force",
        )

    @property
    def _partial(self) -> Path:
        return self.folder / "partial"

    def _packets(self, index: int) -> Path:
        return self.folder / f"{index:05}.packets"

    def _state(self, index: int) -> Path:
        return self.folder / f"{index:05}.npz"


class SegmentedWriter(VideoSink):
    """Writer of a video file whose segments are encoded independently of one another and kept in a store.

    Segments that the store has already are remuxed from it; frames that are written in their place are not encoded.

    Args:
        path: as all of these, see `VideoWriter`.
        info: of the frames to come.
        source: whose other streams to copy.
        encoding: of the images.
        store: of complete segments.

    Raises:
        InputError: see `VideoWriter`.
        OutputError: the file cannot be written there.
    """

    def __init__(
        self, path: Path, info: VideoInfo, source: FrameSource | None, encoding: Encoding, store: SegmentStore
    ) -> None:
        store.prepare()
        self._store = store
        try:
            self._writer = VideoWriter(path, info, source, encoding, partial=store.film, encoder=self._segments)
        except BaseException:
            store.stop()
            raise

    def _segments(self, setup: EncoderSetup) -> _SegmentEncoder:
        self._encoder = _SegmentEncoder(setup, self._store)
        return self._encoder

    def write(self, image: BgrImage | None, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """As `VideoWriter.write`; ``image`` may be None where the segment is in the store."""
        self._writer.write(_NO_IMAGE if image is None else image, time, duration)

    def end_segment(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Complete a segment; the next frame begins another.

        Args:
            snapshot: of the renderer, after the segment's last frame.

        Raises:
            OutputError: it cannot be written.
        """
        self._writer.flush()
        self._encoder.end_segment(snapshot)

    def close(self) -> None:
        try:
            self._writer.close()
        finally:
            self._store.stop()
        self._store.remove()

    def abort(self) -> None:
        self._writer.abort()
        self._store.stop()


class _SegmentEncoder:
    """Source of a stream's packets (`PacketSource`), segment by segment: from the store, or from a new encoder."""

    def __init__(self, setup: EncoderSetup, store: SegmentStore) -> None:
        self._setup = setup
        self._store = store
        self._index = 0
        self._kept: Iterator[av.Packet[Any]] | None = None
        self._encoder: VideoEncoder | None = None
        self._last_dts: int | None = None

    @property
    def _is_kept(self) -> bool:
        """Whether the current segment is in the store already."""
        return self._index < self._store.finished

    def encode(self, image: BgrImage, pts: int, duration: int) -> list[av.Packet[Any]]:
        if self._is_kept:
            if self._kept is None:
                self._kept = self._store.packets(self._index)
            # One packet a frame, as an encoder gives them, so that sound and images stay interleaved.
            return self._in_order(islice(self._kept, 1))
        if self._encoder is None:
            self._encoder = VideoEncoder(self._setup)
            self._store.begin()
        return self._in_order(self._store.keep(self._encoder.encode(image, pts, duration)))

    def flush(self) -> list[av.Packet[Any]]:
        if self._is_kept:
            return self._in_order(self._kept or ())
        return [] if self._encoder is None else self._in_order(self._store.keep(self._encoder.flush()))

    def _in_order(self, packets: Iterable[av.Packet[Any]]) -> list[av.Packet[Any]]:
        # B-frames: a segment's first decoding timestamps lie before its first presentation timestamp, and so before the
        # last ones of the segment before; muxers need them to increase.
        found = []
        for packet in packets:
            if self._last_dts is not None:
                packet.dts = max(packet.dts or 0, self._last_dts + 1)
            self._last_dts = packet.dts
            found.append(packet)
        return found

    def end_segment(self, snapshot: Mapping[str, np.ndarray]) -> None:
        if not self._is_kept:
            self._store.finish(snapshot)
        self._index += 1
        self._encoder = self._kept = None


def store_folder(target: Path) -> Path:
    """Where the segments of a video that is being written lie."""
    return target.with_name(f".{target.name}.livestyle")
