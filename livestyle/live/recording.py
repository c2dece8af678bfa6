"""Snapshots and recordings of the live program."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.errors import LivestyleError, OutputError
from livestyle.media.images import encode_image
from livestyle.media.sinks.recorder import Recorder
from livestyle.results import write_result

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

    from .outputs import Outputs


class Recording:
    """Recordings of the outputs, one at a time; each is completed on another thread, so that a slow disk delays no key.

    Args:
        outputs: that a recorder is added to.
        say: takes a sentence for the person in front of the screen.
    """

    def __init__(self, outputs: Outputs, say: Callable[[str], None]) -> None:
        self.recorder: Recorder | None = None
        """Of the recording in progress."""
        self._outputs = outputs
        self._say = say
        self._finisher = ThreadPoolExecutor(1, "finish recording")
        self._finished: deque[tuple[Recorder, Future[None]]] = deque()

    def start(self, path: Path, width: int, height: int) -> None:
        """Record to a new MP4 file of this size in pixels.

        Raises:
            OutputError: the file cannot be made.
        """
        self.recorder = Recorder(path, width, height)
        self._outputs.add(self.recorder, time.monotonic())
        self._say(f"recording to {path}")

    def stop(self) -> None:
        """Complete the recording in progress, if there is one."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None:
            self._finished.append((recorder, self._finisher.submit(self._outputs.remove, recorder)))

    def follow(self) -> None:
        """Notice a recording that has failed, and say which ones are complete by now."""
        if self.recorder not in self._outputs:
            self.recorder = None
        self._tell_finished(wait=False)

    def close(self) -> None:
        """Complete all recordings, and wait for that."""
        self.stop()
        self._tell_finished(wait=True)
        self._finisher.shutdown()

    def _tell_finished(self, wait: bool) -> None:
        while self._finished and (wait or self._finished[0][1].done()):
            recorder, finished = self._finished.popleft()
            try:
                finished.result()
                self._say(f"saved {recorder.path}, {clock(recorder.seconds)}")
            except LivestyleError as error:
                self._say(str(error))


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
