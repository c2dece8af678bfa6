"""Snapshots and recordings of the live program."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.errors import OutputError
from livestyle.media.images import encode_image
from livestyle.media.sinks.recorder import Recorder
from livestyle.results import write_result

from .errands import outcome

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

    from .outputs import Outputs


class Recording:
    """Recordings of the outputs, one at a time; a thread begins and completes them, so that a slow disk delays no key.

    Args:
        outputs: that a recorder is added to.
        say: takes a sentence for the person in front of the screen.
    """

    def __init__(self, outputs: Outputs, say: Callable[[str], None]) -> None:
        self.recorder: Recorder | None = None
        """Of the recording in progress."""
        self._outputs = outputs
        self._say = say
        self._worker = ThreadPoolExecutor(2, "recording")
        self._beginning: Future[str] | None = None
        self._finished: deque[Future[str]] = deque()

    @property
    def is_beginning(self) -> bool:
        """Whether a recording is about to begin."""
        return self._beginning is not None

    def start(self, name: Callable[[], Path], width: int, height: int) -> None:
        """Record to a new MP4 file of this size in pixels, as soon as the disk has made it.

        Args:
            name: gives the file, on the thread; may raise an `OutputError`.
            width: of the video.
            height: of the video.
        """

        def begin() -> str:
            recorder = Recorder(name(), width, height)
            self._outputs.add(recorder, time.monotonic())
            self.recorder = recorder
            return f"recording to {recorder.path}"

        if self._beginning is None and self.recorder is None:
            self._beginning = self._worker.submit(begin)

    def stop(self) -> None:
        """Complete the recording in progress, if there is one."""
        recorder, self.recorder = self.recorder, None
        if recorder is None:
            return

        def finish() -> str:
            self._outputs.remove(recorder)
            return f"saved {recorder.path}, {clock(recorder.seconds)}"

        self._finished.append(self._worker.submit(finish))

    def follow(self) -> None:
        """Notice a recording that has failed, and say which ones have begun or are complete by now."""
        if self._beginning is not None and self._beginning.done():
            begun, self._beginning = self._beginning, None
            self._say(outcome("recording", begun))
        if self._beginning is None and self.recorder not in self._outputs:
            self.recorder = None
        while self._finished and self._finished[0].done():
            self._say(outcome("recording", self._finished.popleft()))

    def close(self) -> None:
        """Complete all recordings, and wait for that."""
        if self._beginning is not None:
            wait([self._beginning])
            self.follow()
        self.stop()
        self._worker.shutdown()
        self.follow()


def save_snapshot(folder: Path, image: BgrImage) -> Path:
    """Write an image, uint8 [H, W, 3] BGR, to a new PNG file in a folder.

    Raises:
        OutputError: it cannot be written.
    """
    path = free_name(folder, ".png")
    return write_result(path, encode_image(path, image), replace=False)


def check_recording(path: Path) -> None:
    """Refuse before anything starts what would fail with the first painting.

    Raises:
        OutputError: the name is no MP4 file's, is taken, or lies in no folder.
    """
    if path.suffix.lower() != ".mp4":
        raise OutputError(f"cannot record to {path}: end the name with .mp4")
    if path.exists():
        raise OutputError(f"{path} already exists: record to another name")
    if not path.parent.is_dir():
        raise OutputError(f"cannot record to {path}: there is no folder {path.parent}, make it first")


def free_name(folder: Path, suffix: str) -> Path:
    """Path of a snapshot or a recording, named by date and time, that no file in ``folder`` has yet.

    Raises:
        OutputError: there is no such folder.
    """
    try:
        folder = folder.resolve(strict=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
    stem = time.strftime("livestyle-%Y%m%d-%H%M%S")
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def clock(seconds: float) -> str:
    """Seconds as ``1:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
