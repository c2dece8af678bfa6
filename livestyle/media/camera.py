"""A camera, a stream or a file that stands in for a camera: only the latest frame is kept."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.errors import InputError

from .base import Frame, FrameSource

if TYPE_CHECKING:
    import cv2
    import numpy as np

START_SECONDS = 5.0
"""How long a camera or a stream may take to open, and again to give its first frame."""
SILENCE_SECONDS = 2.0
"""A camera whose reads fail for this long has stopped."""
RETRY_SECONDS = 0.05
RATE_SECONDS = 2.0
FALLBACK_RATE = 30.0


class Rate:
    """Events a second, as they came during the last two seconds. One thread ticks, any thread reads."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._value = 0.0
        self._last = 0.0

    def tick(self) -> None:
        """Count an event."""
        self._last = time.monotonic()
        self._times.append(self._last)
        while self._times[0] < self._last - RATE_SECONDS:
            self._times.popleft()
        span = self._last - self._times[0]
        self._value = (len(self._times) - 1) / span if span else 0.0

    @property
    def value(self) -> float:
        """Events a second; 0 when they have stopped."""
        return self._value if time.monotonic() - self._last < RATE_SECONDS else 0.0


class Camera(FrameSource):
    """The latest frame of a camera; a thread reads it, so that nobody waits for frames that are out of date.

    A file plays at its own rate and starts again at its end.

    Args:
        source: a camera's number, a device such as ``/dev/video1``, a stream's address (``rtsp://``, ``http://``) or
            a file.
        size: the width and height that frames are scaled to fit in, keeping their shape; None leaves them as they come.

    Raises:
        InputError: it does not open, or gives no frame within a few seconds.
    """

    def __init__(self, source: str, size: tuple[int, int] | None = None) -> None:
        self.name = _without_password(source)
        self.rate = Rate()
        """Frames a second that the camera really gives."""
        self._source = source
        self._size = size
        self._is_file = _kind(source) == "file"
        self._capture = _open(source, size)
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        try:
            self._thread.start()
            first = self.latest(timeout=START_SECONDS)
            if first is None:
                raise InputError(
                    f"{self.name} opens but gives no picture: check the camera, or choose another with --camera"
                )
        except BaseException:
            self.close()
            raise
        self._first = first

    @property
    def width(self) -> int:
        return int((self._frame or self._first).image.shape[1])

    @property
    def height(self) -> int:
        return int((self._frame or self._first).image.shape[0])

    def latest(self, after: Frame | None = None, timeout: float = START_SECONDS) -> Frame | None:
        """The newest frame, as soon as it is another than ``after``; None when ``timeout`` seconds bring none.

        Raises:
            InputError: the camera has stopped.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._frame is not after, timeout)
            if self._error is not None:
                raise self._error
            return None if self._frame is after else self._frame

    def __iter__(self) -> Iterator[Frame]:
        last: Frame | None = None
        while not self._stop.is_set():
            frame = self.latest(after=last)
            if frame is not None:
                last = frame
                yield frame

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            # A read from a silent stream comes back by its own time limit.
            self._thread.join(START_SECONDS + 1)

    def _run(self) -> None:
        try:
            for image in self._play_file() if self._is_file else self._read_live():
                frame = Frame(_fit(image, self._size), time.monotonic())
                self.rate.tick()
                with self._changed:
                    self._frame = frame
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._changed.notify_all()
            self._capture.release()

    def _read_live(self) -> Iterator[np.ndarray]:
        last = time.monotonic()
        while not self._stop.is_set():
            image = _read(self._capture)
            if image is not None:
                yield image
                last = time.monotonic()
            elif time.monotonic() - last > SILENCE_SECONDS:
                what = "gives no picture" if self._frame is None else "stopped giving pictures"
                raise InputError(f"{self.name} {what}: check its cable or the stream, and start again")
            else:
                self._stop.wait(RETRY_SECONDS)

    def _play_file(self) -> Iterator[np.ndarray]:
        start = time.monotonic()
        while True:
            position = -1.0
            for image, position in timed_frames(self._capture):
                if self._stop.wait(max(0.0, start + position - time.monotonic())):
                    return
                yield image
            if position < 0:
                raise InputError(f"{self.name} has no pictures that can be read: choose another file with --camera")
            start = max(time.monotonic(), start + position + frame_seconds(self._capture))
            # Some formats cannot seek; all can be opened again.
            self._capture.release()
            self._capture = _open(self._source, self._size)


def open_video(path: str | Path) -> cv2.VideoCapture:
    """A video file, opened with OpenCV.

    Raises:
        InputError: there is no such file, or it is no video.
    """
    import cv2

    if not Path(path).is_file():
        raise InputError(
            f"there is no camera or video file {path}: give a camera's number, a device, a file or an address"
        )
    with _quiet():
        capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(f"{path} is not a video that can be read")
    return capture


def frame_seconds(capture: cv2.VideoCapture) -> float:
    """How long a frame of a file stays, as the file says."""
    import cv2

    rate = capture.get(cv2.CAP_PROP_FPS)
    return 1 / (rate if 1 <= rate <= 1000 else FALLBACK_RATE)


def timed_frames(capture: cv2.VideoCapture) -> Iterator[tuple[np.ndarray, float]]:
    """The frames of a file with their times in seconds, which grow from frame to frame."""
    import cv2

    step, position = frame_seconds(capture), -1.0
    while (image := _read(capture)) is not None:
        stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # Where a format carries no timestamps, the frame rate stands in.
        position = stamp if stamp > position else position + step
        yield image, position


def parse_size(text: str) -> tuple[int, int]:
    """``640x360`` as (640, 360).

    Raises:
        InputError: it is no size, or a side has fewer than 64 pixels.
    """
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if match is None or min(int(n) for n in match.groups()) < 64:
        raise InputError(f"{text!r} is not a size: give width x height, 64 pixels or more each way, such as 640x360")
    return int(match[1]), int(match[2])


def _kind(source: str) -> str:
    if source.isdecimal():
        return "index"
    if "://" in source:
        return "stream"
    return "device" if source.startswith("/dev/") and not Path(source).is_file() else "file"


def _without_password(source: str) -> str:
    name = re.sub(r"//[^/@]*@", "//", source)
    return f"camera {name}" if name.isdecimal() else name


def _open(source: str, size: tuple[int, int] | None) -> cv2.VideoCapture:
    import cv2

    kind = _kind(source)
    if kind == "file":
        return open_video(source)
    name = _without_password(source)
    if kind == "stream":
        limit = int(START_SECONDS * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        with _quiet():
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
        if capture.isOpened():
            return capture
        raise InputError(
            f"the stream {name} does not open: check the address, and that it is running and can be reached"
        )
    # A device that is silent otherwise holds a read for ten seconds.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "3")
    tried = []
    for backend in _backends():
        with _quiet():
            capture = _open_device(int(source) if kind == "index" else source, backend, size)
        if capture.isOpened():
            return capture
        tried.append(cv2.videoio_registry.getBackendName(backend))
    reason = (
        _device_trouble(f"/dev/video{source}" if kind == "index" else source) or "check that no other program uses it"
    )
    raise InputError(
        f"{name} does not open (tried {', '.join(tried)}): {reason}; --camera also takes a number, a file or an address"
    )


def _backends() -> list[int]:
    import cv2

    if sys.platform == "win32":
        # Media Foundation can take half a minute to open a camera.
        return [cv2.CAP_DSHOW, cv2.CAP_MSMF]
    return [cv2.CAP_AVFOUNDATION] if sys.platform == "darwin" else [cv2.CAP_V4L2]


def _open_device(device: int | str, backend: int, size: tuple[int, int] | None) -> cv2.VideoCapture:
    import cv2

    # MJPG before the size: a camera gives 5 frames a second at 1080p otherwise.
    wishes = [(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))]
    if size is not None:
        wishes += [(cv2.CAP_PROP_FRAME_WIDTH, size[0]), (cv2.CAP_PROP_FRAME_HEIGHT, size[1])]
    if sys.platform == "win32":
        # Changing these of an open camera starts it again, which takes seconds.
        capture = cv2.VideoCapture(device, backend, [n for wish in wishes for n in wish])
        if capture.isOpened():
            return capture
        return cv2.VideoCapture(device, backend)
    capture = cv2.VideoCapture(device, backend)
    if capture.isOpened():
        for name, value in [*wishes, (cv2.CAP_PROP_BUFFERSIZE, 1)]:
            capture.set(name, value)
    return capture


def _device_trouble(path: str) -> str:
    """What is wrong with a device file, where the system has them."""
    if not sys.platform.startswith("linux"):
        return ""
    if not Path(path).exists():
        return f"there is no {path}, so plug the camera in"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{path} may not be read, so add yourself to the group video"
    return ""


def _read(capture: cv2.VideoCapture) -> np.ndarray | None:
    import cv2

    try:
        fine, image = capture.read()
    except cv2.error:
        return None
    return image if fine else None


def _fit(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    import cv2

    if size is None:
        return image
    height, width = image.shape[:2]
    factor = min(size[0] / width, size[1] / height)
    target = (max(1, round(width * factor)), max(1, round(height * factor)))
    if target == (width, height):
        return image
    return cv2.resize(image, target, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps OpenCV and FFmpeg from writing about what our own error says better."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
