"""Outputs: one painting to many sinks, such as a recording, a virtual camera and a stream."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from livestyle.errors import LivestyleError, first_line

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage, FrameSink


class Outputs:
    """Fan-out of paintings to sinks. A sink that fails is closed and reported; the others go on."""

    def __init__(self) -> None:
        self._sinks: tuple[FrameSink, ...] = ()
        self._last: tuple[BgrImage, float] | None = None
        self._errors: list[LivestyleError] = []
        # Sinks come and go on the main thread while the render thread writes.
        self._lock = threading.Lock()

    def __contains__(self, sink: object) -> bool:
        return sink in self._sinks

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, sink: FrameSink, time: float | None = None) -> None:
        """Begin to write to a sink.

        Args:
            sink: where to.
            time: in seconds; the last painting goes to the sink at once, with this time. None waits for the next one.
        """
        with self._lock:
            self._sinks += (sink,)
            if time is not None and self._last is not None:
                self._write(sink, self._last[0], time)

    def remove(self, sink: FrameSink) -> None:
        """Stop writing to a sink and complete its result.

        Raises:
            LivestyleError: it could not be completed.
        """
        with self._lock:
            self._sinks = tuple(s for s in self._sinks if s is not sink)
        sink.close()

    def write(self, image: BgrImage, time: float) -> None:
        """Write a painting to all sinks.

        Args:
            image: uint8 [H, W, 3] BGR.
            time: in seconds.
        """
        with self._lock:
            self._last = (image, time)
            for sink in self._sinks:
                self._write(sink, image, time)

    def _write(self, sink: FrameSink, image: BgrImage, time: float) -> None:
        try:
            sink.write(image, time)
        except Exception as error:
            self._errors.append(_explained(sink, error))
            self._sinks = tuple(s for s in self._sinks if s is not sink)
            # What it was given before is worth keeping.
            with suppress(Exception):
                sink.close()

    def take_errors(self) -> list[LivestyleError]:
        """Errors of sinks that have failed since the last call."""
        with self._lock:
            errors, self._errors = self._errors, []
        return errors

    def close(self) -> None:
        """Complete the results of all sinks.

        Raises:
            LivestyleError: one could not be completed; the others are.
        """
        errors = self.take_errors()
        for sink in self._sinks:
            try:
                self.remove(sink)
            except Exception as error:
                errors.append(_explained(sink, error))
        if errors:
            raise LivestyleError("; ".join(map(str, errors)))


def _explained(sink: FrameSink, error: Exception) -> LivestyleError:
    """An error of a sink as one that names it; whatever it is, it must not end the painting."""
    if isinstance(error, LivestyleError):
        return error
    return LivestyleError(f"{type(sink).__name__} has failed ({first_line(error)}), the rest goes on")
