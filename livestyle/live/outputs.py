"""Where paintings go beside the window: a recording, a virtual camera, a stream."""

from __future__ import annotations

import threading
from contextlib import suppress

import numpy as np

from livestyle.errors import LivestyleError
from livestyle.media.frames import FrameSink


class Outputs:
    """Hands every painting to all sinks. One that breaks down is closed and reported; the others go on."""

    def __init__(self) -> None:
        self._sinks: tuple[FrameSink, ...] = ()
        self._last: tuple[np.ndarray, float] | None = None
        self._errors: list[LivestyleError] = []
        # Sinks come and go on the main thread while the painter writes.
        self._lock = threading.Lock()

    def __contains__(self, sink: object) -> bool:
        return sink in self._sinks

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, sink: FrameSink, time: float | None = None) -> None:
        """Begin to write to a sink; with a ``time``, the last picture goes to it at once, as of then."""
        with self._lock:
            self._sinks += (sink,)
            if time is not None and self._last is not None:
                self._write(sink, self._last[0], time)

    def remove(self, sink: FrameSink) -> None:
        """Stop writing to a sink and complete what it has made.

        Raises:
            LivestyleError: it could not be completed.
        """
        with self._lock:
            self._sinks = tuple(s for s in self._sinks if s is not sink)
        sink.close()

    def write(self, image: np.ndarray, time: float) -> None:
        """A picture for all, uint8 [H, W, 3] BGR, at its time in seconds."""
        with self._lock:
            self._last = (image, time)
            for sink in self._sinks:
                self._write(sink, image, time)

    def _write(self, sink: FrameSink, image: np.ndarray, time: float) -> None:
        try:
            sink.write(image, time)
        except LivestyleError as error:
            self._errors.append(error)
            self._sinks = tuple(s for s in self._sinks if s is not sink)
            # What it has taken before is worth keeping.
            with suppress(LivestyleError):
                sink.close()

    def take_errors(self) -> list[LivestyleError]:
        """What has broken down since the last call."""
        with self._lock:
            errors, self._errors = self._errors, []
        return errors

    def close(self) -> None:
        """Complete everything.

        Raises:
            LivestyleError: something could not be completed; the rest is.
        """
        errors = self.take_errors()
        for sink in self._sinks:
            try:
                self.remove(sink)
            except LivestyleError as error:
                errors.append(error)
        if errors:
            raise LivestyleError("; ".join(map(str, errors)))
