"""Video files in place of a camera: played in real time, over and over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from livestyle.media.frames import Frame
from livestyle.media.video.reader import VideoReader

from .shape import square

CATCH_UP_SECONDS = 1.0
"""A video that is late by up to this plays faster until it is on time again."""


def played_frames(path: Path, stop: threading.Event, catch_up: float = CATCH_UP_SECONDS) -> Iterator[Frame]:
    """Every frame of a video file, each at its time, in an endless loop; times are those of `time.monotonic`.

    Args:
        path: of the file.
        stop: ends this when it is set, at once.
        catch_up: seconds of delay that are made up for; a longer one moves all that follows.

    Raises:
        InputError: it is no video, or it is gone at the beginning of a loop.
    """
    start: float | None = None

    def lateness(position: float) -> float:
        """Seconds by which a frame is late, or early below 0, after too long a delay was taken as it is."""
        nonlocal start
        assert start is not None
        late = time.monotonic() - start - position
        if late > catch_up:
            start += late
            return 0.0
        return late

    while True:
        # Opened for each loop, since some formats cannot seek.
        with VideoReader(path, video_only=True) as video:
            start = time.monotonic() if start is None else start
            end = 0.0
            for frame in video:
                # Decoded and converted ahead of its time.
                image, position = square(frame.image, video.info.aspect), float(frame.time)
                if stop.wait(max(0.0, -lateness(position))):
                    return
                yield Frame(image, time.monotonic())
                # Whoever takes it may have held it back.
                lateness(position)
                end = float(frame.time + (frame.duration or 1 / video.info.rate))
            start += end
