"""Bytes of one answer of a web server, through FFmpeg, which knows passwords, redirections and certificates."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import av


class Download:
    """A readable file of what a server sends, as it comes: a read gives what there is, and nothing at the end.

    One connection is all that some cameras and senders take, so that looking at the first bytes must not cost it.

    Args:
        container: of PyAV, opened as FFmpeg's format ``data``; closed with this.
    """

    def __init__(self, container: Any) -> None:
        self._container = container
        self.length = max(0, int(container.size))
        """Bytes in all; 0 where the server does not say, as for live streams."""
        self.has_stalled = False
        """Whether it has ended by the limit for reading, and not because the server hung up."""
        self.deadline = math.inf
        """When `read` says that this is the end, on the clock of `time.monotonic`."""
        self._packets: Iterator[Any] = container.demux()
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay; fewer than ``size`` at the end."""
        while len(self._ahead) < size and (chunk := self._next()):
            self._ahead += chunk
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at least one unless this is the end."""
        if time.monotonic() > self.deadline:
            return b""
        chunk = self._ahead or self._next()
        if size < 0:
            size = len(chunk)
        self._ahead = chunk[size:]
        return chunk[:size]

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk

    def _next(self) -> bytes:
        try:
            for packet in self._packets:
                if packet.size:
                    return bytes(packet)
        except (av.FFmpegError, OSError) as error:
            self._packets, self.has_stalled = iter(()), isinstance(error, av.error.ExitError)
        return b""

    def close(self) -> None:
        """Hang up."""
        self._packets = iter(())
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
