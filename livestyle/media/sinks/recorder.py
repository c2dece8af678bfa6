"""Recording what is on the screen while it happens."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import Interpolation, VideoReformatter

from livestyle.errors import OutputError
from livestyle.media.frames import FrameSink
from livestyle.media.resize import fit_into

TICKS = 90_000
"""Of the film's clock, a second."""
QUEUE = 8
"""Pictures that may wait for the encoder."""
FRAGMENT_SECONDS = 1.0
"""So much is lost at a crash."""
LATENESS_SECONDS = 0.5
"""A picture comes this much later than the time it carries, at the most."""
CRF = "20"
PRESET = "veryfast"
ENCODER_THREADS = "2"

# H.264's numbers for BT.709 and limited range, and swscale's for the first.
_BT709 = 1
_LIMITED = 1
# Without these flags swscale is off by up to two grey levels and takes the nearest chroma sample.
_EXACT = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


class Recorder(FrameSink):
    """An MP4 file in H.264 of pictures at the times they come, whatever their rate and size.

    A thread encodes, so that `write` never waits. While it records, the file is made of fragments of a second, each on
    the disk once it is complete: after a crash or a power cut, everything but the last second plays. `close` makes it
    an ordinary MP4. A film that no longer changes goes on with its last picture until then.

    Args:
        path: of the file, which must not be there yet; it is made at once.
        width: of the film, in pixels; an odd one becomes even by one more column, a copy of the last.
        height: the same.
        rate: pictures a second, about; their times are what counts.

    Raises:
        OutputError: the file cannot be made there, or is there already.
    """

    def __init__(self, path: Path, width: int, height: int, rate: float = 30) -> None:
        self.path = path
        self.dropped = 0
        """Pictures that came too fast for the encoder."""
        self._size = (width + width % 2, height + height % 2)
        self._rate = rate
        self._waiting: deque[tuple[np.ndarray, float]] = deque()
        self._changed = threading.Condition()
        self._begin: float | None = None
        self._end: float | None = None
        self._last = -1
        self._error: BaseException | None = None
        self._reformatter = VideoReformatter()
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
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        # Fragments need no key frame, since a film that has lost its index is played from its start.
        options = {"movflags": "+hybrid_fragmented", "frag_duration": str(round(FRAGMENT_SECONDS * 1_000_000))}
        self._container: Any = av.open(self._file, "w", format="mp4", container_options=options)
        self._stream = self._container.add_stream(
            "libx264",
            rate=Fraction(self._rate).limit_denominator(1001),
            time_base=Fraction(1, TICKS),
            # Frames that the encoder keeps to look ahead would be lost at a crash.
            options={"crf": CRF, "preset": PRESET, "tune": "zerolatency", "threads": ENCODER_THREADS},
            width=self._size[0],
            height=self._size[1],
        )
        context = self._stream.codec_context
        context.pix_fmt = "yuv420p"
        context.gop_size = max(1, round(2 * self._rate))
        context.flags |= Flags.frame_duration
        context.colorspace = _BT709
        context.color_range = _LIMITED
        self._container.start_encoding()

    @property
    def seconds(self) -> float:
        """How long the film is so far."""
        if self._begin is None:
            return 0.0
        return (monotonic() if self._end is None else self._end) - self._begin

    def write(self, image: np.ndarray, time: Fraction | float) -> None:
        """Take the next picture; too many at once are dropped, but never the newest.

        Args:
            image: uint8 [H, W, 3] BGR, of any size; it is not copied, so leave it as it is.
            time: seconds on the clock of `time.monotonic`; the film begins at that of the first picture.

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
        """Complete the film, which ends now. Without a picture there is none, and no file.

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
        """As `close`: a recording is kept whatever went wrong elsewhere, since nothing brings it back."""
        with suppress(OutputError):
            self.close()

    def _run(self) -> None:
        try:
            self._record()
        except (av.FFmpegError, OSError) as error:
            reason = self._file.error or error
            self._error = OutputError(
                f"cannot record to {self.path} any more ({reason.strerror or reason}): what was recorded before is kept"
            )
        except BaseException as error:
            self._error = error
        finally:
            self._file.close()
            if self._last < 0:
                self.path.unlink(missing_ok=True)

    def _record(self) -> None:
        frame: av.VideoFrame | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._end is not None, FRAGMENT_SECONDS)
                image, time = self._waiting.popleft() if self._waiting else (None, 0.0)
                end = self._end
            if image is not None:
                frame = self._prepare(image)
                self._encode(frame, time)
            elif end is not None:
                break
            elif frame is not None:
                # The picture has not changed; without a frame, what there is would not get to the disk.
                self._encode(frame, monotonic() - LATENESS_SECONDS)
        if frame is not None:
            self._encode(frame, end - 1 / self._rate, end)
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._file.sync()

    def _prepare(self, image: np.ndarray) -> av.VideoFrame:
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(fit_into(image, *self._size), format="bgr24"),
            format="yuv420p",
            dst_colorspace=_BT709,
            dst_color_range=_LIMITED,
            interpolation=_EXACT,
        )

    def _encode(self, frame: av.VideoFrame, time: float, end: float | None = None) -> None:
        """Show a frame from ``time`` to ``end``, or until the next one."""
        assert self._begin is not None
        self._last = max(round((time - self._begin) * TICKS), self._last + 1)
        until = self._last + TICKS / self._rate if end is None else (end - self._begin) * TICKS
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        frame.duration = max(1, round(until) - self._last)
        self._container.mux(self._stream.encode(frame))
        self._file.sync()


class _File:
    """A new file for FFmpeg, which takes nothing more once a write has failed.

    FFmpeg goes on after an error: it would mark the fragments as parts of an ordinary MP4 whose index is missing.
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
        """Have what was written survive a power cut."""
        if self.error is not None:
            raise self.error
        if self._changed:
            os.fsync(self._file.fileno())
            self._changed = False
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise OutputError(f"{self._path} was deleted while it was recorded: start another recording")

    @property
    def closed(self) -> bool:
        """PyAV completes no film whose file is closed; FFmpeg would crash on one without frames."""
        return self._file.closed

    def close(self) -> None:
        self._file.close()
