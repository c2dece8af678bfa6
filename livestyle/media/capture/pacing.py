"""Clocks of live sources: when a frame is shown that does not come at its time."""

from __future__ import annotations

from collections import deque

LATE_SECONDS = 1.0
"""A recording that is later than this does not catch up: its clock is set anew."""
JUMP_SECONDS = 10.0
"""A timestamp so far from what was expected is a discontinuity, and the clock is set anew."""
WINDOW_SECONDS = 5.0
"""How long a delay is remembered."""
BURST_FRAMES = 4
"""Frames that came together: fewer are the jitter of a network."""
BURSTS = 3
"""So many in a row are a habit of the sender; after a pause, there is one."""


class RecordingClock:
    """Real time for what arrives faster: recordings, and playlists that come in segments."""

    def __init__(self) -> None:
        self._start: float | None = None

    def due(self, time: float, now: float) -> float:
        """When a frame is to be shown.

        Args:
            time: of the frame, in seconds.
            now: in seconds, on the clock of the result.
        """
        if self._start is None or not -JUMP_SECONDS < now - self._start - time < LATE_SECONDS:
            self._start = now - time
        return self._start + time


class BurstClock:
    """Playout clock (jitter buffer) of a live stream that comes in bursts, as the clusters of Matroska do.

    The first frame of a burst has waited at the sender for the rest of it, so that all are held back for that long. The
    delay is measured on packets that had to be waited for: those that come without are either the rest of a burst, or a
    backlog, which is shown at once.
    """

    def __init__(self) -> None:
        self._offsets: deque[tuple[float, float]] = deque()
        self._delay: float | None = None

    def due(self, time: float, arrived: float, waited: bool) -> float:
        """When a frame is to be shown: ``arrived`` or later.

        Args:
            time: of the frame, in seconds.
            arrived: when its packet was read, in seconds, on the clock of the result.
            waited: that read had to wait for it.
        """
        offset = arrived - time
        if self._delay is not None and abs(offset - self._delay) > JUMP_SECONDS:
            self._offsets.clear()
            self._delay = None
        if waited:
            while len(self._offsets) > 2 and self._offsets[0][0] < arrived - WINDOW_SECONDS:
                self._offsets.popleft()
            self._offsets.append((arrived, offset))
            self._delay = max(delay for _, delay in self._offsets)
        return arrived if self._delay is None else max(arrived, time + self._delay)


class BurstDetector:
    """Tells whether the frames of a live stream come in bursts, one after the other."""

    def __init__(self) -> None:
        self._bursts = deque([1] * BURSTS, BURSTS)
        self._frames = 0
        self._is_bursty = False

    def add(self, waited: bool) -> bool:
        """Whether the stream comes in bursts, now that one more frame has come.

        Args:
            waited: its read had to wait for it.
        """
        if waited:
            self._bursts.append(self._frames)
            self._frames = 0
            if min(self._bursts) >= BURST_FRAMES:
                self._is_bursty = True
            elif max(self._bursts) < BURST_FRAMES:
                self._is_bursty = False
        self._frames += 1
        return self._is_bursty
