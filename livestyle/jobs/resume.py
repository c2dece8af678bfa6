"""What lets a conversion go on where it stopped: a film is encoded in segments, and the complete ones are kept."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from livestyle.errors import OutputError
from livestyle.media.frames import FrameSource
from livestyle.media.video.codecs import Encoding, ordinary_scheduling
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.libav import Flags, av
from livestyle.media.video.writer import VideoWriter

if TYPE_CHECKING:
    from livestyle.engine.stabilizer import Stabilizer

SEGMENT_FRAMES = 250
"""Frames of a segment. Each begins with a key frame, which encoders make about so often anyway."""

_PACKET = struct.Struct("<qqqI?")
"""Of a packet: pts, dts, duration, the length of its data, which follow, and whether it is a key frame."""


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
                f"{' and another '.join(different)}: take the same, or begin anew with --force and without --resume"
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
            raise OutputError(f"cannot write {self.target}: {error.strerror or error}") from error

    def begin(self) -> None:
        """Begin a segment, behind those that are finished."""
        self._file = self._partial.open("wb")

    def keep(self, packets: list[av.Packet[Any]]) -> None:
        """Keep what an encoder gave, of the segment that was begun."""
        assert self._file is not None
        for packet in packets:
            data = bytes(packet)
            head = _PACKET.pack(packet.pts, packet.dts, packet.duration or 0, len(data), packet.is_keyframe)
            self._file.write(head + data)

    def finish(self, state: Stabilizer) -> None:
        """Complete the segment.

        Args:
            state: as it is after the segment's last frame.
        """
        assert self._file is not None
        with self._state(self.finished).open("wb") as file:
            arrays: dict[str, Any] = state.snapshot()
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._partial.replace(self._packets(self.finished))
        self.finished += 1
        # It is of the size of frames, and only the last one is gone on from.
        with suppress(OSError):
            self._state(self.finished - 2).unlink(missing_ok=True)

    def packets(self, index: int) -> Iterator[av.Packet[Any]]:
        """The encoded pictures of a complete segment.

        Raises:
            OutputError: they are damaged.
        """
        with self._packets(index).open("rb") as file:
            while head := file.read(_PACKET.size):
                try:
                    pts, dts, duration, length, key = _PACKET.unpack(head)
                except struct.error as error:
                    raise self._damaged() from error
                data = file.read(length)
                if len(data) < length:
                    raise self._damaged()
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, key
                yield packet

    def restore(self, state: Stabilizer) -> None:
        """Make a content state what it was at the end of the last complete segment.

        Raises:
            OutputError: the segment is damaged.
        """
        try:
            with self._state(self.finished - 1).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                state.restore(dict(arrays))
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

    def _damaged(self) -> OutputError:
        return OutputError(
            f"the conversion of {self.target} cannot be resumed, since {self.folder} is damaged: "
            "begin anew with --force and without --resume"
        )

    @property
    def _partial(self) -> Path:
        return self.folder / "partial"

    def _packets(self, index: int) -> Path:
        return self.folder / f"{index:05}.packets"

    def _state(self, index: int) -> Path:
        return self.folder / f"{index:05}.npz"


class SegmentSink(VideoWriter):
    """A video file whose pictures are encoded in segments that know nothing of one another.

    Those segments that a store has already are taken from it: what is written in their place is not encoded again.

    Args:
        path: as all of these, see `VideoWriter`.
        info: of the frames to come.
        source: whose sound and so on to copy.
        encoding: of the pictures.
        store: where complete segments are kept.

    Raises:
        OutputError: the file cannot be written there.
    """

    def __init__(
        self, path: Path, info: VideoInfo, source: FrameSource | None, encoding: Encoding, store: SegmentStore
    ) -> None:
        store.prepare()
        try:
            super().__init__(path, info, source, encoding, partial=store.film)
        except BaseException:
            store.stop()
            raise
        self._store = store
        self._index = 0
        self._packets: Iterator[av.Packet[Any]] | None = None
        self._open_encoder: Any = None
        self._last_dts: int | None = None
        self._nothing = av.VideoFrame(2, 2, "gray")

    @property
    def is_done(self) -> bool:
        """Whether the segment that comes next, or is being written, is in the store already."""
        return self._index < self._store.finished

    def _frame(self, image: np.ndarray) -> av.VideoFrame:
        # Whose packets are in the store needs a time only.
        return self._nothing if self.is_done else super()._frame(image)

    def _encode(self, frame: av.VideoFrame | None) -> list[av.Packet[Any]]:
        if self.is_done:
            if self._packets is None:
                self._packets = self._store.packets(self._index)
            # As many at a time as a live encoder gives, so that the sound keeps its place beside the picture.
            packets = list(self._packets) if frame is None else [p for p in [next(self._packets, None)] if p]
        else:
            if self._open_encoder is None:
                if frame is None:
                    return []
                self._open_encoder = self._new_encoder()
                self._store.begin()
            packets = self._open_encoder.encode(frame)
            self._store.keep(packets)
        for packet in packets:
            packet.time_base = self._stream.codec_context.time_base
            packet.stream = self._stream
            # A segment's first frames are decoded before they are shown, as early as nothing were before them.
            if self._last_dts is not None:
                packet.dts = max(packet.dts or 0, self._last_dts + 1)
            self._last_dts = packet.dts
        return packets

    def _new_encoder(self) -> Any:
        encoder: Any = av.CodecContext.create(self._encoder.name, "w", self._encoder.hwaccel)
        self._configure(encoder)
        encoder.flags |= Flags.global_header & self._stream.codec_context.flags
        with ordinary_scheduling():
            encoder.open(strict=False)
        return encoder

    def end_segment(self, state: Stabilizer) -> None:
        """Complete a segment; the next frame begins another.

        Args:
            state: what holds the film still, after its last frame.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self._container.mux(self._encode(None))
            if not self.is_done:
                self._store.finish(state)
            self._index += 1
            self._open_encoder = self._packets = None
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def close(self) -> None:
        super().close()
        self._store.stop()
        self._store.remove()

    def abort(self) -> None:
        super().abort()
        self._store.stop()


def store_folder(target: Path) -> Path:
    """Where the segments of a video that is being written lie."""
    return target.with_name(f".{target.name}.livestyle")
