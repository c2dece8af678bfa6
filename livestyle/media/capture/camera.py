"""Camera with one current frame: a thread reads a device, a stream or a file, and keeps the latest frame only."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

from livestyle.errors import InputError, first_line
from livestyle.media.frames import Frame, FrameSource
from livestyle.media.images import read_image
from livestyle.media.quiet import quiet
from livestyle.media.resize import shrink_to_fit

from .device import device_frames
from .kinds import SourceKind, check_source, is_listened, opening_text, source_kind, source_name
from .timeouts import Timeouts

LATEST_SECONDS = 5.0
"""How long `Camera.latest` waits for a frame unless told otherwise."""
RATE_SECONDS = 2.0
"""Window over which a `Rate` is measured."""

log = logging.getLogger(__name__)

_open_cameras: weakref.WeakSet[Camera] = weakref.WeakSet()


@atexit.register
def _end_threads() -> None:
    # FFmpeg can hold a thread until a time limit, and Python crashes at its end where such a thread comes back then.
    for camera in list(_open_cameras):
        camera.end()


class Rate:
    """Events per second over a sliding window. One thread ticks, any thread reads."""

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
        """Events per second; 0 when they have stopped."""
        return self._value if time.monotonic() - self._last < RATE_SECONDS else 0.0


class Camera(FrameSource):
    """The latest frame of a live source; a thread opens and reads it, so that nobody waits or sees stale frames.

    A source that stops after its first frame is opened again and again until it is back; its last frame stays. A video
    file plays in real time and loops, an image gives one frame. Frames may change their size.

    Args:
        source: a camera's number, a device such as ``/dev/video1``, a stream's address (``rtsp://``, ``http://``), a
            video file or an image file.
        size: width and height in pixels that larger frames are scaled to fit into, with their aspect ratio kept, and
            that a device is asked for; None leaves them as they come. Of the variants of an HLS stream, the largest one
            that fits is read.
        every_frame: skip no frame of a video file: its next one comes when `latest` was asked for one ``after`` the
            current one, and never before its time. No meaning for other sources.
        timeouts: for opening, reading and opening again.
        insecure: take any certificate of an encrypted stream (``https://``, ``rtsps://``), as cameras make their own.

    Raises:
        InputError: there is no such file, or the address is none. What only opening can tell is raised by `latest` and
            `wait_open`.
    """

    def __init__(
        self,
        source: str | Path,
        size: tuple[int, int] | None = None,
        *,
        every_frame: bool = False,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (it cannot be changed)
        insecure: bool = False,
    ) -> None:
        source = str(source)
        check_source(source)
        self.name = source_name(source)
        """Display name, without a password."""
        self.rate = Rate()
        """Frames per second that the source really gives."""
        self.seconds = 0.0
        """Time that decoding and scaling of the newest frame took once it was grabbed."""
        self._waits = is_listened(source)
        self._notice = opening_text(source)
        self._arrived = 0.0
        self._source = source
        self._size = size
        self._every_frame = every_frame and source_kind(source) is SourceKind.VIDEO
        self._timeouts = timeouts
        self._insecure = insecure
        self._frame: Frame | None = None
        self._taken: Frame | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()
        _open_cameras.add(self)

    @property
    def notice(self) -> str:
        """What keeps frames from coming; empty while they come."""
        hangs = self._arrived and time.monotonic() - self._arrived > self._timeouts.hanging
        # Streams have time limits of their own, and some of them rarely change.
        if hangs and not self._notice and source_kind(self._source) is SourceKind.DEVICE:
            return f"{self.name} hangs: waiting for it ..."
        return self._notice

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
            timeout: seconds; None waits until the source gives a frame or turns out not to open, half a minute at most.

        Raises:
            InputError: it does not open, is not open after ``timeout``, or was closed before.
        """
        frame = self.latest(timeout=timeout)
        if frame is None:
            why = "was closed" if self._stop.is_set() else f"has given no picture for {timeout:g} seconds"
            raise InputError(f"{self.name} {why}: try again, or choose another camera", "camera")
        return frame

    def latest(self, after: Frame | None = None, timeout: float | None = LATEST_SECONDS) -> Frame | None:
        """The newest frame, as soon as it is another than ``after``; None when ``timeout`` seconds bring none.

        Raises:
            InputError: the source never opened.
        """
        with self._changed:
            if after is not None and after is not self._taken:
                self._taken = after
                self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._frame is not after or self._error is not None or self._stop.is_set(), timeout
            )
            if self._error is not None:
                raise self._error
            return None if self._frame is after else self._frame

    def __iter__(self) -> Iterator[Frame]:
        """The newest frame again and again, each once, until the camera is closed."""
        last: Frame | None = None
        while not self._stop.is_set():
            frame = self.latest(after=last)
            if frame is not None:
                last = frame
                yield frame

    def close(self) -> None:
        """Release the source within a second; a read that cannot be interrupted ends by its own time limit."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(self._timeouts.close)

    def end(self) -> None:
        """As `close`, but wait until a read has ended by its time limit."""
        self.close()
        self._thread.join(self._timeouts.read)

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as error:
            self._notice = ""
            self._error = error
            with self._changed:
                self._changed.notify_all()

    def _read(self) -> None:
        # The next sender may be there at once.
        begin = 0.0 if self._waits else self._timeouts.reconnect
        wait = begin
        while not self._stop.is_set():
            try:
                frames = live_frames(
                    self._source, self._size, self._stop, self._timeouts, self._every_frame, self._insecure
                )
                with closing(frames):
                    for frame in frames:
                        self._keep(frame)
                        if self._stop.is_set():
                            return
                        wait = begin
            except InputError:
                if self._frame is None:
                    raise
            except BaseException as error:
                # A driver's or a decoder's, as where memory is short: this thread goes on whatever it is.
                log.debug("%s cannot be read", self.name, exc_info=error)
                if self._frame is None:
                    raise InputError(
                        f"{self.name} cannot be read ({first_line(error)}): check it, or choose another camera",
                        "camera",
                    ) from error
            if self._stop.is_set():
                return
            if self._frame is None:
                raise InputError(
                    f"{self.name} opens but gives no picture: check it, or choose another camera", "camera"
                )
            does = "waiting for a sender" if self._waits else "trying again"
            self._notice = f"{self.name} stopped giving pictures: {does} ..."
            self._stop.wait(wait)
            wait = min(max(2 * wait, self._timeouts.reconnect), self._timeouts.longest_reconnect)

    def _keep(self, frame: Frame) -> None:
        image = frame.image if self._size is None else shrink_to_fit(frame.image, self._size)
        self.seconds = time.monotonic() - float(frame.time)
        with self._changed:
            if self._every_frame:
                self._changed.wait_for(lambda: self._taken is self._frame or self._stop.is_set())
            self._frame = Frame(image, time.monotonic() if self._every_frame else frame.time)
            self.rate.tick()
            self._notice, self._arrived = "", time.monotonic()
            self._changed.notify_all()


def live_frames(
    source: str,
    size: tuple[int, int] | None,
    stop: threading.Event,
    timeouts: Timeouts,
    every_frame: bool = False,
    insecure: bool = False,
) -> Generator[Frame, None, None]:
    """Frames of a live source, read on the caller's thread until it stops giving them; close this generator.

    Args:
        source: as of `Camera`.
        size: what a device is asked for, and what the variant of an HLS stream fits in.
        stop: ends this when it is set from another thread, as soon as a read returns.
        timeouts: for opening and reading.
        every_frame: a video file that is late does not catch up.
        insecure: take any certificate of an encrypted stream.

    Raises:
        InputError: it does not open.
    """
    with quiet:
        match source_kind(source):
            case SourceKind.DEVICE:
                yield from device_frames(source, size, stop, timeouts)
            case SourceKind.STREAM:
                # PyAV takes a while to load, and a device does without.
                from .stream import stream_frames

                yield from stream_frames(source, size, stop, timeouts, insecure=insecure)
            case SourceKind.IMAGE:
                yield Frame(read_image(Path(source)), time.monotonic())
                stop.wait()
            case SourceKind.VIDEO:
                from .playback import CATCH_UP_SECONDS, played_frames

                yield from played_frames(Path(source), stop, 0.0 if every_frame else CATCH_UP_SECONDS)
