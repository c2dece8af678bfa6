"""Screen recorder: a crash-safe MP4 of images as they come."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import av
from av.codec.context import Flags

from livestyle.errors import OutputError, first_line
from livestyle.media.frames import BgrImage, FrameSink
from livestyle.media.resize import fit_into
from livestyle.media.video.pixel_formats import Colors, Packer
from livestyle.results import locked

TICKS = 90_000
"""Of the video's clock, per second."""
QUEUE = 8
"""Images that may wait for the encoder."""
FRAGMENT_SECONDS = 1.0
"""Length of an MP4 fragment: as much is lost in a crash."""
LATENESS_SECONDS = 0.5
"""Upper limit of the delay between an image's time and its `Recorder.write`."""
CRF = "20"
PRESET = "veryfast"
ENCODER_THREADS = "2"

COLORS = Colors()
"""BT.709 in limited range, whatever the size: with tags, as players assume other colours for small videos."""


class Recorder(FrameSink):
    """MP4 file in H.264 of images at the times they come, whatever their rate and size (variable frame rate).

    A thread encodes, so that `write` never waits. While it records, the file is a fragmented MP4 whose fragments of a
    second are flushed to the disk (fsync) as they are complete: after a crash or a power cut, everything but the last
    second plays. `close` turns it into an ordinary MP4. The last image stays on the screen until then.

    Args:
        path: of the file, which must not be there yet; it is made at once.
        width: of the video, in pixels; an odd one is rounded up to even by one more column, a copy of the last.
        height: the same.
        rate: frames per second, nominal; the images' times are what counts.

    Raises:
        OutputError: the file cannot be made there, or is there already.
    """

    def __init__(self, path: Path, width: int, height: int, rate: float = 30) -> None:
        self.path = path
        self.dropped = 0
        """Images that came too fast for the encoder."""
        self._size = (width + width % 2, height + height % 2)
        self._rate = rate
        self._waiting: deque[tuple[BgrImage, float]] = deque()
        self._changed = threading.Condition()
        self._begin: float | None = None
        self._end: float | None = None
        self._last = -1
        self._error: OutputError | None = None
        self._pack = Packer("yuv420p", COLORS)
        with ExitStack() as lock:
            # Else a film could take its place, by force.
            lock.enter_context(locked(path))
            try:
                self._file = _File(path)
                try:
                    self._open()
                except BaseException:
                    self._file.close()
                    path.unlink(missing_ok=True)
                    raise
            except FileExistsError:
                raise OutputError(f"{path} already exists: record to another name") from None
            except (av.FFmpegError, OSError) as error:
                raise OutputError(f"cannot record to {path}: {error.strerror or error}") from error
            self._lock = lock.pop_all()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        # Fragments by duration, not by key frame: a recording that lost its index is played from its start anyway.
        options = {"movflags": "+hybrid_fragmented", "frag_duration": str(round(FRAGMENT_SECONDS * 1_000_000))}
        self._container: Any = av.open(self._file, "w", format="mp4", container_options=options)
        self._stream = self._container.add_stream(
            "libx264",
            rate=Fraction(self._rate).limit_denominator(1001),
            time_base=Fraction(1, TICKS),
            # Without zerolatency, the frames of the encoder's lookahead would be lost in a crash.
            options={"crf": CRF, "preset": PRESET, "tune": "zerolatency", "threads": ENCODER_THREADS},
            width=self._size[0],
            height=self._size[1],
        )
        context = self._stream.codec_context
        context.pix_fmt = "yuv420p"
        context.gop_size = max(1, round(2 * self._rate))
        context.flags |= Flags.frame_duration
        context.colorspace, context.color_range = COLORS.matrix, COLORS.range
        self._container.start_encoding()

    @property
    def seconds(self) -> float:
        """Length of the video so far."""
        if self._begin is None:
            return 0.0
        return (monotonic() if self._end is None else self._end) - self._begin

    def write(self, image: BgrImage, time: Fraction | float) -> None:
        """Queue the next image; where the queue is full, the newest one replaces the last.

        Args:
            image: uint8 [H, W, 3] BGR, of any size; not copied, so it must not be changed afterwards.
            time: seconds on the clock of `time.monotonic`; the video begins at that of the first image.

        Raises:
            OutputError: the recording has ended, because the file cannot be written any more.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            if self._begin is None:
                self._begin = float(time)
            if len(self._waiting) == QUEUE:
                self._waiting.pop()
                self.dropped += 1
            self._waiting.append((image, float(time)))
            self._changed.notify()

    def close(self) -> None:
        """Complete the video, which ends now. Without an image, no file is left.

        Raises:
            OutputError: the file could not be written; what was recorded before stays.
        """
        with self._changed:
            if self._end is None:
                self._end = monotonic()
            self._changed.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """As `close`: a recording is kept whatever went wrong elsewhere, since it cannot be made again."""
        with suppress(OutputError):
            self.close()

    def _run(self) -> None:
        try:
            self._record()
        except OutputError as error:
            self._error = error
        except BaseException as error:
            # Whatever ends this thread ends only the recording.
            cause = self._file.error or error
            reason = getattr(cause, "strerror", None) or first_line(cause)
            self._error = OutputError(
                f"cannot record to {self.path} any more ({reason}): what was recorded before is kept"
            )
        finally:
            self._file.close()
            if self._last < 0:
                self.path.unlink(missing_ok=True)
            self._lock.close()

    def _record(self) -> None:
        frame: av.VideoFrame | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._end is not None, FRAGMENT_SECONDS)
                image, time = self._waiting.popleft() if self._waiting else (None, 0.0)
                end = self._end
            if image is not None:
                frame = self._pack(fit_into(image, *self._size))
                self._encode(frame, time)
            elif end is not None:
                break
            elif frame is not None:
                # No new image: the last one is repeated, since the muxer writes a fragment when the next frame comes.
                self._encode(frame, monotonic() - LATENESS_SECONDS)
        if frame is not None:
            self._encode(frame, end - 1 / self._rate, end)
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._file.sync()

    def _encode(self, frame: av.VideoFrame, time: float, end: float | None = None) -> None:
        """Encode a frame that is shown from ``time`` to ``end``, or until the next one."""
        assert self._begin is not None
        self._last = max(round((time - self._begin) * TICKS), self._last + 1)
        until = self._last + TICKS / self._rate if end is None else (end - self._begin) * TICKS
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        frame.duration = max(1, round(until) - self._last)
        self._container.mux(self._stream.encode(frame))
        self._file.sync()


class _File:
    """New file for FFmpeg that refuses all writes after the first one that failed, as on a full disk.

    FFmpeg would go on after the error, and turn the fragments into parts of an ordinary MP4 whose index is missing.
    """

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self._path = path
        self._file = path.open("xb", buffering=0)
        self._changed = False

    def write(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.error = error
            raise
        self._changed = True
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def sync(self) -> None:
        """Flush to the disk, so that it survives a power cut."""
        if self.error is not None:
            raise self.error
        if self._changed:
            os.fsync(self._file.fileno())
            self._changed = False
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise OutputError(f"{self._path} was deleted while it was recorded: start another recording")

    @property
    def closed(self) -> bool:
        """Read by PyAV, which then writes no trailer: FFmpeg would crash on one without frames."""
        return self._file.closed

    def close(self) -> None:
        self._file.close()
