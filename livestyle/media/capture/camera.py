"""A camera, a stream or a file that stands in for a camera: only the latest frame is kept."""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from livestyle.errors import InputError
from livestyle.media.frames import Frame, FrameSource
from livestyle.media.images import is_image, read_image

if TYPE_CHECKING:
    import cv2
    import numpy as np

SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "tcp", "udp")
"""How a stream's address may begin."""
OPEN_SECONDS = 10.0
"""How long a stream may take to open (some send a whole picture only every few seconds), and a camera that is open to
give its first picture."""
LATEST_SECONDS = 5.0
READ_SECONDS = 3.0
"""A stream or a camera that sends nothing for this long has stopped."""
GARBLED_SECONDS = 10.0
"""A stream that sends something, but no whole picture, for this long has stopped."""
FAILING_SECONDS = 1.0
"""A camera whose reads fail at once, for this long, has stopped."""
RETRY_SECONDS = 0.05
WAIT_SECONDS = 0.5
MOST_WAIT_SECONDS = 2.0
"""The pauses between attempts to open again grow from the first to the second."""
CLOSE_SECONDS = 1.0
PERMISSION_SECONDS = 60.0
LATE_SECONDS = 1.0
"""A film that is later than this does not hurry after its time."""
EARLY_SECONDS = 10.0
"""A film's next frame does not come so long after the one before: its clock has jumped."""
RATE_SECONDS = 2.0
FALLBACK_RATE = 30.0
DEVICE_RATE = 30.0
"""What a camera is asked for, in frames a second."""
DEVICE_BUFFERS = 2
"""One to fill while the other is read; more would be frames out of date."""
MOST_DAMAGED = 10

Shot = tuple["np.ndarray", float]
"""A picture, uint8 [H, W, 3] BGR, and when it was grabbed, on the clock of `time.monotonic`."""


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
    """The latest frame of a camera; a thread opens and reads it, so that nobody waits for frames out of date.

    A camera that stops after its first frame is opened again and again until it is back; its last frame stays. A video
    file plays at its own rate and starts again at its end, a picture gives one frame. Frames may change their size.

    Args:
        source: a camera's number, a device such as ``/dev/video1``, a stream's address (``rtsp://``, ``http://``), a
            video or a picture.
        size: the width and height that larger frames are scaled to fit in, keeping their shape, and that a camera is
            asked for; None leaves them as they come.

    Raises:
        InputError: there is no such file, or the address is none. What only opening can tell is raised by `latest` and
            `wait_open`.
    """

    def __init__(self, source: str, size: tuple[int, int] | None = None) -> None:
        check_source(source)
        self.name = camera_name(source)
        """As a person knows it, without a password."""
        self.rate = Rate()
        """Frames a second that the camera really gives."""
        self.seconds = 0.0
        """What it took to decode and scale the newest frame once it was grabbed."""
        self.notice = f"opening {self.name} ..."
        """What keeps frames from coming; empty while they come."""
        self._source = source
        self._size = size
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    @property
    def opened(self) -> bool:
        """Whether a first frame has come."""
        return self._frame is not None

    @property
    def width(self) -> int:
        """Of the newest frame, in pixels; waits for the first one as `wait_open` does."""
        return int(self.wait_open().image.shape[1])

    @property
    def height(self) -> int:
        """Of the newest frame, in pixels; waits for the first one as `wait_open` does."""
        return int(self.wait_open().image.shape[0])

    def wait_open(self, timeout: float | None = None) -> Frame:
        """The newest frame, as soon as there is a first one.

        Args:
            timeout: seconds; None waits until the camera gives a frame or turns out not to open, half a minute at most.

        Raises:
            InputError: it does not open, is not open after ``timeout``, or was closed before.
        """
        frame = self.latest(timeout=timeout)
        if frame is None:
            why = "was closed" if self._stop.is_set() else f"has given no picture for {timeout:g} seconds"
            raise InputError(f"{self.name} {why}: choose another with --camera, or try again")
        return frame

    def latest(self, after: Frame | None = None, timeout: float | None = LATEST_SECONDS) -> Frame | None:
        """The newest frame, as soon as it is another than ``after``; None when ``timeout`` seconds bring none.

        Raises:
            InputError: the camera never opened.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._frame is not after or self._error is not None or self._stop.is_set(), timeout
            )
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
        """Let go of the camera within a second; a read that cannot be interrupted ends by its own time limit."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as error:
            self.notice = ""
            self._error = error
            with self._changed:
                self._changed.notify_all()

    def _read(self) -> None:
        wait = WAIT_SECONDS
        while not self._stop.is_set():
            try:
                with closing(shots(self._source, self._size, self._stop)) as pictures:
                    for image, grabbed in pictures:
                        if self._stop.is_set():
                            return
                        self._keep(image, grabbed)
                        wait = WAIT_SECONDS
            except InputError:
                if self._frame is None:
                    raise
            if self._stop.is_set():
                return
            if self._frame is None:
                raise InputError(f"{self.name} opens but gives no picture: check it, or choose another with --camera")
            self.notice = f"{self.name} stopped giving pictures: trying again ..."
            self._stop.wait(wait)
            wait = min(2 * wait, MOST_WAIT_SECONDS)

    def _keep(self, image: np.ndarray, grabbed: float) -> None:
        frame = Frame(_fit(image, self._size), grabbed)
        self.seconds = time.monotonic() - grabbed
        self.rate.tick()
        self.notice = ""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()


def shots(source: str, size: tuple[int, int] | None, stop: threading.Event) -> Generator[Shot, None, None]:
    """Open a camera and read it on the caller's thread, until it stops giving pictures; close what this returns.

    Args:
        source: as `Camera` takes it.
        size: what a camera is asked for, which gives what it can; it means nothing elsewhere.
        stop: set from another thread, it ends this as soon as a read returns.

    Raises:
        InputError: it does not open.
    """
    with _quiet:
        match _kind(source):
            case "device":
                yield from _device_shots(source, size, stop)
            case "stream":
                yield from _stream_shots(source, stop)
            case "picture":
                yield read_image(Path(source)), time.monotonic()
                stop.wait()
            case "film":
                yield from _film_shots(source, stop)


def check_source(source: str) -> None:
    """What can be known about a camera without opening it.

    Raises:
        InputError: there is no such file, or the address is none.
    """
    match _kind(source):
        case "stream":
            try:
                parts = urlsplit(source)
                fine = parts.scheme in SCHEMES and bool(parts.netloc) and parts.port != 0
            except ValueError:
                fine = False
            if not fine:
                raise InputError(
                    f"{camera_name(source)} is not the address of a stream: give one such as rtsp://HOST/PATH or "
                    f"http://HOST:PORT/PATH ({', '.join(SCHEMES)} can be read)"
                )
        case "picture" | "film":
            _check_file(Path(source))


def camera_name(source: str) -> str:
    """What a person knows a camera by; an address loses its password, and its query, where cameras take one too."""
    if _kind(source) == "stream":
        scheme, _, rest = source.partition("://")
        return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
    return f"camera {source}" if source.isdecimal() else source


def open_video(path: str | Path) -> cv2.VideoCapture:
    """A video file, opened with OpenCV.

    Raises:
        InputError: there is no such file, or it is no video.
    """
    import cv2

    _check_file(Path(path))
    try:
        str(path).encode()
    except UnicodeEncodeError:
        # OpenCV crashes on it.
        raise InputError(f"the name of {str(path)!r} is not valid UTF-8: rename the file") from None
    with _quiet:
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
    while (shot := _grab(capture)) is not None:
        stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # Where a format carries no timestamps, the frame rate stands in.
        position = stamp if stamp > position else position + step
        yield shot[0], position


def parse_size(text: str) -> tuple[int, int]:
    """``640x360`` as (640, 360).

    Raises:
        InputError: it is no size, or a side has fewer than 64 pixels.
    """
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if match is None or min(int(n) for n in match.groups()) < 64:
        raise InputError(f"{text!r} is not a size: give width x height, 64 pixels or more each way, such as 640x360")
    return int(match[1]), int(match[2])


def device_backends() -> list[int]:
    """OpenCV's ways to a camera on this system, in the order in which they are tried."""
    import cv2

    if sys.platform == "win32":
        # Media Foundation can take half a minute to open a camera.
        return [cv2.CAP_DSHOW, cv2.CAP_MSMF]
    if sys.platform == "darwin":
        return [cv2.CAP_AVFOUNDATION]
    # FFmpeg opens cameras too, but counts them in another way: a number would be another camera.
    return [b for b in (cv2.CAP_V4L2, cv2.CAP_GSTREAMER) if cv2.videoio_registry.hasBackend(b)]


def is_device(source: str) -> bool:
    """Whether this is a camera of this computer, as against a stream or a file."""
    return _kind(source) == "device"


def is_still(source: str) -> bool:
    """Whether a source of `Camera` is a picture file."""
    return _kind(source) == "picture"


def _kind(source: str) -> Literal["device", "stream", "picture", "film"]:
    if source.isdecimal() or (source.startswith("/dev/") and not Path(source).is_file()):
        return "device"
    if "://" in source:
        return "stream"
    return "picture" if is_image(Path(source)) else "film"


def _check_file(path: Path) -> None:
    # A name that is too long is none either.
    with suppress(OSError):
        if path.is_dir():
            raise InputError(f"{path} is a folder: give a camera's number, a device, a file or an address")
        if path.is_file():
            return
    raise InputError(f"there is no camera or video file {path}: give a camera's number, a device, a file or an address")


def _film_shots(path: str, stop: threading.Event) -> Iterator[Shot]:
    start = time.monotonic()
    while True:
        # Some formats cannot seek; all can be opened again.
        capture = open_video(path)
        try:
            position = -1.0
            for image, position in timed_frames(capture):
                late = time.monotonic() - start - position
                if late > LATE_SECONDS:
                    start += late
                if stop.wait(max(0.0, -late)):
                    return
                yield image, time.monotonic()
            if position < 0:
                raise InputError(f"{path} has no pictures that can be read: choose another file with --camera")
            start += position + frame_seconds(capture)
        finally:
            capture.release()


def _stream_shots(address: str, stop: threading.Event) -> Iterator[Shot]:
    """Read with PyAV: OpenCV stretches pictures that change their size to the first one's, and shows damaged ones."""
    import av

    name, begin = camera_name(address), time.monotonic()
    try:
        # Over UDP a lost packet is a grey picture.
        options = {"rtsp_flags": "prefer_tcp"}
        container = av.open(address, timeout=(OPEN_SECONDS, READ_SECONDS), options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        if time.monotonic() - begin >= OPEN_SECONDS:
            reason = f"no answer in {OPEN_SECONDS:g} seconds"
        elif getattr(error, "errno", None) == errno.EIO:
            # So FFmpeg says that a name is unknown.
            reason = "the host is not found, or hangs up"
        else:
            reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"the stream {name} does not open ({reason}): check the address, and that it is running and can be reached"
        ) from None
    with container:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            raise InputError(f"the stream {name} carries no video that can be read: choose another with --camera")
        yield from _decoded(container, stop)


def _decoded(container: Any, stop: threading.Event) -> Iterator[Shot]:
    import av
    from av.video.reformatter import VideoReformatter

    from livestyle.media.video.pixel_formats import Colors

    video = container.streams.video[0]
    decoder: Any = video.codec_context
    if decoder.name == "mjpeg":
        # A damaged JPEG is otherwise a picture that is grey from there on.
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.options = {"err_detect": "explode"}
    # A file or a playlist comes faster than it is to be shown.
    paced = container.duration is not None or container.format.name == "hls"
    reformatter = VideoReformatter()
    start: float | None = None
    last, damaged = time.monotonic(), 0
    with suppress(av.FFmpegError):
        # Of all streams: a sound that goes on must not hide that the pictures have stopped.
        for packet in container.demux():
            grabbed = time.monotonic()
            if grabbed - last > GARBLED_SECONDS or stop.is_set():
                return
            if packet.stream is not video or not packet.size:
                continue
            try:
                frames = decoder.decode(packet)
            except av.FFmpegError:
                damaged += 1
                if damaged == MOST_DAMAGED:
                    # This camera's pictures are never quite right: better shown than refused.
                    decoder = video.codec_context
                continue
            for frame in frames:
                if frame.is_corrupt:
                    continue
                if paced and frame.time is not None:
                    if start is None or not -EARLY_SECONDS < grabbed - start - frame.time < LATE_SECONDS:
                        start = grabbed - frame.time
                    if stop.wait(max(0.0, start + frame.time - time.monotonic())):
                        return
                    grabbed = time.monotonic()
                matrix = None if frame.format.is_rgb else Colors.of(frame).matrix
                image = reformatter.reformat(frame, format="bgr24", src_colorspace=matrix).to_ndarray()
                yield image, grabbed
                last, damaged = time.monotonic(), 0


def _device_shots(source: str, size: tuple[int, int] | None, stop: threading.Event) -> Iterator[Shot]:
    import cv2

    # A device that is silent otherwise holds a read for ten seconds.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(round(READ_SECONDS)))
    if sys.platform == "darwin":
        _ask_permission()
    failures = []
    for backend in device_backends():
        capture = _open_device(int(source) if source.isdecimal() else source, backend, size)
        try:
            given = False
            if capture.isOpened():
                for shot in _read_device(capture, backend, stop):
                    given = True
                    yield shot
                if given or stop.is_set():
                    return
            reason = "it opens but gives no picture" if capture.isOpened() else _device_trouble(source)
        finally:
            capture.release()
        failures.append(f"{cv2.videoio_registry.getBackendName(backend)}: {reason}")
    raise InputError(
        f"{camera_name(source)} does not open ({'; '.join(failures)}): plug it in, close other programs that use it, "
        "or choose another with --camera (livestyle cameras lists them)"
    )


def _read_device(capture: cv2.VideoCapture, backend: int, stop: threading.Event) -> Iterator[Shot]:
    import cv2

    last, patience = time.monotonic(), OPEN_SECONDS
    while not stop.is_set():
        shot = _grab(capture)
        if shot is not None:
            # DirectShow waits for the picture only when it is decoded.
            yield shot[0], time.monotonic() if backend == cv2.CAP_DSHOW else shot[1]
            last, patience = time.monotonic(), FAILING_SECONDS
        elif time.monotonic() - last > patience:
            return
        else:
            stop.wait(RETRY_SECONDS)


def _open_device(device: int | str, backend: int, size: tuple[int, int] | None) -> cv2.VideoCapture:
    import cv2

    # MJPG before the size: a camera gives 5 frames a second at 1080p otherwise.
    wishes: list[tuple[int, float]] = [(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))]
    if size is not None:
        wishes += [(cv2.CAP_PROP_FRAME_WIDTH, size[0]), (cv2.CAP_PROP_FRAME_HEIGHT, size[1])]
    wishes.append((cv2.CAP_PROP_FPS, DEVICE_RATE))
    if sys.platform == "win32":
        # Changing these of an open camera starts it again, which takes seconds.
        capture = cv2.VideoCapture(device, backend, [int(n) for wish in wishes for n in wish])
        if capture.isOpened():
            return capture
        return cv2.VideoCapture(device, backend)
    capture = cv2.VideoCapture(device, backend)
    if capture.isOpened():
        for name, value in [*wishes, (cv2.CAP_PROP_BUFFERSIZE, DEVICE_BUFFERS)]:
            capture.set(name, value)
    return capture


def _device_trouble(source: str) -> str:
    """Why a camera may not open, as far as the system says."""
    if sys.platform.startswith("linux"):
        path = f"/dev/video{source}" if source.isdecimal() else source
        if not Path(path).exists():
            return f"there is no {path}"
        if not os.access(path, os.R_OK | os.W_OK):
            return f"{path} may not be read, so add yourself to the group video"
        return f"{path} is no camera or is in use"
    return "it is not there, is in use, or the system's privacy settings forbid it"


def _ask_permission() -> None:
    """On macOS, ask for the camera and wait for the answer: OpenCV only asks on the main thread, and never waits.

    Raises:
        InputError: it is forbidden.
    """
    framework: Any = importlib.import_module("AVFoundation")
    device, video = framework.AVCaptureDevice, framework.AVMediaTypeVideo
    unasked, allowed = framework.AVAuthorizationStatusNotDetermined, framework.AVAuthorizationStatusAuthorized
    if device.authorizationStatusForMediaType_(video) == unasked:
        answered = threading.Event()
        device.requestAccessForMediaType_completionHandler_(video, lambda _: answered.set())
        answered.wait(PERMISSION_SECONDS)
    if device.authorizationStatusForMediaType_(video) != allowed:
        raise InputError(
            "macOS does not let this program use the camera: allow it in System Settings, Privacy & Security, Camera"
        )


def _grab(capture: cv2.VideoCapture) -> Shot | None:
    import cv2

    try:
        if not capture.grab():
            return None
        grabbed = time.monotonic()
        fine, image = capture.retrieve()
    except cv2.error:
        return None
    return (image, grabbed) if fine else None


def _fit(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    import cv2

    if size is None:
        return image
    height, width = image.shape[:2]
    factor = min(size[0] / width, size[1] / height)
    if factor >= 1:
        return image
    target = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, target, interpolation=cv2.INTER_AREA)


class _Quiet:
    """While anybody is inside, OpenCV and FFmpeg do not write about what our own errors say better."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        import cv2

        # FFmpeg inside of OpenCV; the one inside of PyAV is silent as it comes.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        with self._lock:
            # The level is one for all threads.
            if self._inside == 0:
                self._level = cv2.utils.logging.getLogLevel()
                cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import cv2

        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                cv2.utils.logging.setLogLevel(self._level)


_quiet = _Quiet()
