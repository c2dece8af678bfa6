"""Time limits of live sources."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Time limits and pauses of a camera, in seconds.

    Attributes:
        open: for a stream to open, since some send a key frame only every few seconds, and for a device that is open to
            give its first frame.
        read: without any data, after which a stream or a device has stopped.
        garbled: without a whole frame, though data keep coming, after which a stream has stopped.
        hanging: without a frame, after which a device is said to hang.
        failing: of reads that fail at once, after which a device has stopped.
        retry: between two reads of a device that fail at once.
        reconnect: before a source that has stopped is opened again; doubled after each attempt.
        longest_reconnect: upper limit of that.
        close: for the reading thread to end.
        permission: for a person to answer macOS's question whether the camera may be used.
    """

    open: float = 10.0
    read: float = 3.0
    garbled: float = 10.0
    hanging: float = 4.0
    failing: float = 1.0
    retry: float = 0.05
    reconnect: float = 0.5
    longest_reconnect: float = 2.0
    close: float = 1.0
    permission: float = 60.0
