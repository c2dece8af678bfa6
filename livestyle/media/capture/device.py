"""Cameras of this computer, read through OpenCV."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle.errors import InputError
from livestyle.media.frames import Frame

from .kinds import source_name
from .timeouts import Timeouts

if TYPE_CHECKING:
    import cv2

RATE = 30.0
"""Frames per second that a camera is asked for."""
BUFFERS = 2
"""One is filled while the other is read; more would hold stale frames."""


def device_backends() -> list[int]:
    """OpenCV's back ends for cameras on this system, in the order in which they are tried."""
    import cv2

    if sys.platform == "win32":
        # Media Foundation can take half a minute to open a camera.
        return [cv2.CAP_DSHOW, cv2.CAP_MSMF]
    if sys.platform == "darwin":
        return [cv2.CAP_AVFOUNDATION]
    # Not FFmpeg, which numbers cameras differently: 1 would be another one.
    return [b for b in (cv2.CAP_V4L2, cv2.CAP_GSTREAMER) if cv2.videoio_registry.hasBackend(b)]


def device_frames(
    source: str, size: tuple[int, int] | None, stop: threading.Event, timeouts: Timeouts
) -> Iterator[Frame]:
    """Frames of a camera until it stops giving them; times are those of `time.monotonic` at which they were grabbed.

    Args:
        source: number, or path such as ``/dev/video1``.
        size: width and height in pixels to ask for; the camera gives the nearest that it has.
        stop: ends this when it is set, as soon as a read returns.
        timeouts: for opening and reading.

    Raises:
        InputError: it does not open.
    """
    import cv2

    # The timeout of select(2) on V4L2, which is 10 seconds otherwise.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, round(timeouts.read))))
    if sys.platform == "darwin":
        _ask_permission(timeouts.permission)
    failures = []
    for backend in device_backends():
        capture = _open(int(source) if source.isdecimal() else source, backend, size)
        try:
            given = False
            if capture.isOpened():
                for frame in _read(capture, backend, stop, timeouts):
                    given = True
                    yield frame
                if given or stop.is_set():
                    return
            reason = "it opens but gives no picture" if capture.isOpened() else _trouble(source)
        finally:
            capture.release()
        failures.append(f"{cv2.videoio_registry.getBackendName(backend)}: {reason}")
    raise InputError(
        f"{source_name(source)} does not open ({'; '.join(failures)}): plug it in, close other programs that use it, "
        "or choose another camera",
        "camera",
    )


def _read(capture: cv2.VideoCapture, backend: int, stop: threading.Event, timeouts: Timeouts) -> Iterator[Frame]:
    import cv2

    last, patience = time.monotonic(), timeouts.open
    while not stop.is_set():
        frame = _grab(capture)
        if frame is not None:
            if backend == cv2.CAP_DSHOW:
                # DirectShow waits for the frame only in retrieve().
                frame.time = time.monotonic()
            yield frame
            last, patience = time.monotonic(), timeouts.failing
        elif time.monotonic() - last > patience:
            return
        else:
            stop.wait(timeouts.retry)


def _grab(capture: cv2.VideoCapture) -> Frame | None:
    import cv2

    try:
        if not capture.grab():
            return None
        grabbed = time.monotonic()
        fine, image = capture.retrieve()
    except cv2.error:
        return None
    shown: Any = image
    return Frame(shown, grabbed) if fine else None


def _open(device: int | str, backend: int, size: tuple[int, int] | None) -> cv2.VideoCapture:
    import cv2

    # MJPG before the size: uncompressed, USB carries 5 frames per second at 1080p.
    wishes: list[tuple[int, float]] = [(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))]
    if size is not None:
        wishes += [(cv2.CAP_PROP_FRAME_WIDTH, size[0]), (cv2.CAP_PROP_FRAME_HEIGHT, size[1])]
    wishes.append((cv2.CAP_PROP_FPS, RATE))
    if sys.platform == "win32":
        # Setting these on an open camera restarts it, which takes seconds.
        capture = cv2.VideoCapture(device, backend, [int(n) for wish in wishes for n in wish])
        if capture.isOpened():
            return capture
        return cv2.VideoCapture(device, backend)
    capture = cv2.VideoCapture(device, backend)
    if capture.isOpened():
        for name, value in [*wishes, (cv2.CAP_PROP_BUFFERSIZE, BUFFERS)]:
            capture.set(name, value)
    return capture


def _trouble(source: str) -> str:
    """Why a camera may not open, as far as the system tells."""
    if sys.platform.startswith("linux"):
        path = f"/dev/video{source}" if source.isdecimal() else source
        if not Path(path).exists():
            return f"there is no {path}"
        if not os.access(path, os.R_OK | os.W_OK):
            return f"{path} may not be read, so add yourself to the group video"
        return f"{path} is no camera or is in use"
    return "it is not there, is in use, or the system's privacy settings forbid it"


def _ask_permission(seconds: float) -> None:
    """Ask macOS for the camera and wait for the answer: OpenCV asks on the main thread only, and never waits.

    Raises:
        InputError: it is forbidden.
    """
    framework: Any = importlib.import_module("AVFoundation")
    device, video = framework.AVCaptureDevice, framework.AVMediaTypeVideo
    unasked, allowed = framework.AVAuthorizationStatusNotDetermined, framework.AVAuthorizationStatusAuthorized
    if device.authorizationStatusForMediaType_(video) == unasked:
        answered = threading.Event()
        device.requestAccessForMediaType_completionHandler_(video, lambda _: answered.set())
        answered.wait(seconds)
    if device.authorizationStatusForMediaType_(video) != allowed:
        raise InputError(
            "macOS does not let this program use the camera: allow it in System Settings, Privacy & Security, Camera"
        )
