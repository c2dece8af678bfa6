"""Resumable jobs: a video is encoded in independent segments, and complete ones survive an interruption."""

from __future__ import annotations

import json
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

import numpy as np

from livestyle.errors import InputError, OutputError, stage
from livestyle.files import atomic_write, hidden_path, open_archive, read_json, read_stored
from livestyle.limits import exact
from livestyle.media.frames import FrameSource, VideoSink
from livestyle.media.images.numbered import Numbered
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.encoder import PacketSource
from livestyle.media.video.files import open_writer
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.libav import av
from livestyle.media.video.packets import read_packets, write_packets
from livestyle.render.renderer import SNAPSHOT, Renderer

from .paths import is_folder, is_there

MOST_SNAPSHOT_BYTES = 4 << 30
"""Size limit of a renderer's snapshot, which is that of a few frames."""
SEGMENT_FRAMES = 250
"""Length of a segment, in frames. Each begins with a keyframe; encoders insert them about as often by default."""


_KEEPING = "keeping segments"
_JOB = "job.json"
"""File in a store: source and options of its job."""
_COMPLETE = "complete.json"
"""File in a store: size and time of the complete video."""
_UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, SyntaxError, MemoryError),
    *(BadZipFile, zlib.error),
)
"""What zipfile and numpy raise for what is no snapshot."""


class SegmentStore:
    """Store of the complete segments of an unfinished video, in a hidden folder beside its target.

    ``job.json`` records source and options, ``00000.packets`` has the encoded packets of a complete segment and
    ``00000.npz`` the renderer's snapshot at its end. The video that the segments are remuxed into grows there as well,
    so that a killed process leaves nothing elsewhere.

    Args:
        target: video to write.
        job: source and options that the result depends on, by their names in errors; values survive a round trip
            through JSON.

    Raises:
        OutputError: the folder cannot be read.
    """

    def __init__(self, target: Path, job: dict[str, Any]) -> None:
        self.target = target
        self.folder = store_folder(target)
        self.video = self.folder / f"video{target.suffix}"
        """Path of the unfinished video."""
        self.finished = 0
        """Number of complete segments, from the first on."""
        self._job = job
        self._file: BinaryIO | None = None

    def resume(self) -> None:
        """Adopt the complete segments of an earlier run, if there are any.

        Raises:
            OutputError: they were made from another source or with other options, or cannot be read.
        """
        if not _segments(self.folder):
            # Nothing, or what a run has left that was killed before anything was complete.
            return
        try:
            before = read_json(self.folder / _JOB)
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
            # Read all of it, so that damage is found now and not hours later.
            for _ in self.packets(self.finished):
                pass
            self.finished += 1

    @property
    def recorded(self) -> dict[str, Any]:
        """Source and options of an earlier run, as far as they can be read; empty where there was none."""
        try:
            found = read_json(self.folder / _JOB)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def prepare(self) -> None:
        """Create the folder, unless it has complete segments.

        Raises:
            OutputError: it cannot be created.
        """
        if self.finished:
            return
        # Leftovers of a run without a complete segment, or of one that is not to be resumed.
        _delete(self.folder, is_half_named(self.target))
        try:
            self.folder.mkdir(exist_ok=True)
            with atomic_write(self.folder / _JOB, durable=True) as file:
                file.write(json.dumps(self._job, indent=1).encode())
        except OSError as error:
            self.remove()
            raise self._failure(error) from error

    def begin(self) -> None:
        """Begin the next segment."""
        with stage(_KEEPING):
            self._file = self._partial.open("wb")

    def keep(self, packets: list[av.Packet[Any]]) -> list[av.Packet[Any]]:
        """Append packets to the current segment, and return them."""
        assert self._file is not None
        with stage(_KEEPING):
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
            with atomic_write(self._state(self.finished), durable=True) as file:
                arrays: dict[str, Any] = dict(snapshot)
                np.savez(file, **arrays)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._partial.replace(self._packets(self.finished))
        except OSError as error:
            raise self._failure(error) from error
        self.finished += 1
        # Snapshots are as large as frames, and resuming needs only the last one.
        with suppress(OSError):
            self._state(self.finished - 2).unlink(missing_ok=True)

    def mark_complete(self) -> None:
        """Note that the video is complete, before it gets its name: a kill may come between that and `remove`."""
        with atomic_write(self.folder / _COMPLETE, durable=True) as file:
            file.write(json.dumps(_version(self.video)).encode())

    def put(
        self, index: int, packets: bytes, times: Sequence[tuple[Fraction, Fraction]], origin: Mapping[str, Any]
    ) -> None:
        """Keep a segment that was encoded elsewhere; in any order.

        Args:
            index: of the segment.
            packets: as `write_packets` has them.
            times: time and duration of each frame in it.
            origin: who made it, and how, in values of JSON; see `origin`.

        Raises:
            OutputError: it cannot be written.
        """
        text = json.dumps({**origin, "times": [[str(time), str(duration)] for time, duration in times]})
        try:
            for path, data in ((self._times(index), text.encode()), (self._packets(index), packets)):
                with atomic_write(path, durable=True) as file:
                    file.write(data)
        except OSError as error:
            raise self._failure(error) from error

    def has(self, index: int) -> bool:
        """Whether a segment is there, and whole, that `put` has kept."""
        try:
            return len(self.times(index)) > 0 and sum(1 for _ in self.packets(index)) > 0
        except (OSError, OutputError):
            return False

    def times(self, index: int) -> list[tuple[Fraction, Fraction]]:
        """Time and duration of each frame in a segment that `put` has kept.

        Raises:
            OutputError: they are damaged.
        """
        try:
            found = read_json(self._times(index))["times"]
            return [(exact(time), exact(duration)) for time, duration in found]
        except (OSError, ValueError, TypeError, LookupError, ZeroDivisionError) as error:
            raise self._damaged() from error

    def origin(self, index: int) -> dict[str, Any]:
        """What `put` was told of who made a segment, and how, as far as it can be read."""
        try:
            found = read_json(self._times(index))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def packets(self, index: int) -> Iterator[av.Packet[Any]]:
        """Encoded packets of a complete segment.

        Raises:
            OutputError: they are damaged.
        """
        try:
            yield from read_packets(self._packets(index))
        except (OSError, ValueError) as error:
            raise self._damaged() from error

    def restore(self, renderer: Renderer) -> None:
        """Let a renderer be as it was at the end of the last complete segment.

        Raises:
            OutputError: the segment is damaged.
        """
        try:
            with open_archive(self._state(self.finished - 1), MOST_SNAPSHOT_BYTES, len(SNAPSHOT)) as archive:
                snapshot = {name: _read_array(archive, f"{name}.npy") for name in SNAPSHOT if _has(archive, name)}
            renderer.restore(snapshot)
        except (*_UNREADABLE, InputError) as error:
            raise self._damaged() from error

    def stop(self) -> None:
        """Discard the incomplete segment, and the folder where no segment is complete."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        if self.finished or is_half_named(self.target):
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)
        else:
            self.remove()

    def remove(self) -> None:
        """Delete the folder with all segments."""
        _delete(self.folder)

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

    def _times(self, index: int) -> Path:
        return self.folder / f"{index:05}.json"

    def _state(self, index: int) -> Path:
        return self.folder / f"{index:05}.npz"


class SegmentedWriter(VideoSink):
    """Sink of a video file or an image sequence in segments, which are encoded independently and kept in a store.

    Segments that are in the store already are remuxed from it; the frames written in their place are not encoded.

    Args:
        path: see `VideoWriter`, as for the next three.
        info: of the frames to come.
        source: whose other streams are copied.
        encoding: codec and its parameters.
        store: of complete segments.
        replace: see `VideoWriter`.

    Raises:
        InputError: see `VideoWriter`.
        OutputError: the file cannot be written there.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        source: FrameSource | None,
        encoding: Encoding,
        store: SegmentStore,
        *,
        replace: bool = True,
    ) -> None:
        store.prepare()
        self._store = store
        try:
            self._writer = open_writer(
                path,
                info,
                source,
                encoding,
                partial=store.video,
                encoder=self._segments,
                replace=replace,
                complete=store.mark_complete,
            )
        except BaseException:
            store.stop()
            raise

    def _segments(self, make: Callable[[], PacketSource]) -> _SegmentEncoder:
        self._encoder = _SegmentEncoder(make, self._store)
        return self._encoder

    def write(self, image: np.ndarray, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """Take the next frame, see `VideoWriter.write`; ``image`` is ignored where the segment is in the store."""
        self._writer.write(image, time, duration)

    @property
    def path(self) -> Path:
        """Of the video; another one where its name was taken at the end, see `VideoWriter`."""
        return self._writer.path

    @property
    def warning(self) -> str | None:
        """What of the source is left out or transcoded, see `VideoWriter.warning`."""
        return self._writer.warning

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

    def __init__(self, make: Callable[[], PacketSource], store: SegmentStore) -> None:
        self._make = make
        self._store = store
        self._index = 0
        self._kept: Iterator[av.Packet[Any]] | None = None
        self._encoder: PacketSource | None = None
        self._last_dts: int | None = None

    @property
    def _is_kept(self) -> bool:
        """Whether the current segment is in the store already."""
        return self._index < self._store.finished

    def encode(self, image: np.ndarray, pts: int, duration: int) -> list[av.Packet[Any]]:
        if self._is_kept:
            if self._kept is None:
                self._kept = self._store.packets(self._index)
            # One packet a frame, as an encoder gives them, so that sound and images stay interleaved.
            return self._in_order(islice(self._kept, 1))
        if self._encoder is None:
            self._encoder = self._make()
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


def _has(archive: ZipFile, name: str) -> bool:
    return f"{name}.npy" in archive.NameToInfo


def _read_array(archive: ZipFile, name: str) -> np.ndarray:
    """An array of a snapshot, whose header says no more than is there."""
    file = BytesIO(read_stored(archive, name, MOST_SNAPSHOT_BYTES))
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name} is of another version")
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    if kind.hasobject or math.prod(shape) * kind.itemsize != file.getbuffer().nbytes - file.tell():
        raise ValueError(f"{name} is damaged")
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def store_folder(target: Path) -> Path:
    """Folder of the segments of an unfinished video."""
    return hidden_path(target, ".livestyle")


def is_begun(target: Path) -> bool:
    """Whether an earlier run has left something of an unfinished video; not where it was killed after completing it."""
    folder = store_folder(target)
    if not _segments(folder) and not is_half_named(target):
        return False
    try:
        return bool(read_json(folder / _COMPLETE) != _version(target))
    except (OSError, ValueError):
        return True


def _segments(folder: Path) -> list[Path]:
    """Files of the complete segments of a store, in their order; none where there is no store."""
    return sorted(folder.glob("*.packets")) if is_folder(folder) else []


def is_half_named(target: Path) -> bool:
    """Whether an earlier run was killed when all was done but the naming of the files of an image sequence."""
    return Numbered.parse(target) is not None and is_there(store_folder(target) / _COMPLETE)


def discard_completed(target: Path) -> None:
    """Delete what a run has left that was killed right after completing its video."""
    if is_folder(store_folder(target)) and not is_begun(target):
        _delete(store_folder(target))


def _delete(folder: Path, keep_completion: bool = False) -> None:
    """Delete a store, so that a kill at any moment leaves what is recognised: first what makes it a begun one."""
    with suppress(OSError):
        for path in (*_segments(folder), *folder.iterdir()):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _COMPLETE:
                path.unlink(missing_ok=True)
    if not keep_completion:
        shutil.rmtree(folder, ignore_errors=True)


def _version(path: Path) -> list[int]:
    """Size and time of the last change, which a file keeps under another name."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
