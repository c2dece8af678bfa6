"""Deinterlacing of decoded frames by FFmpeg's bwdif (Bob Weaver: motion-adaptive, with cubic interpolation)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter

from livestyle.errors import InputError

from .decoding import Shown

MODES = ("auto", "off", "frame", "field")
"""``frame`` makes one frame of two fields, ``field`` makes one of each; ``auto`` does the former where it is needed."""

_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)
"""Of AVFieldOrder, by which field is shown first."""


class Deinterlacer:
    """Filter of decoded frames that replaces interlaced ones by whole ones.

    Frames that are flagged as progressive in a stream that flags others pass as they are. Where no frame is flagged,
    the field order in the container's header counts. Where that is silent too, as in AVI of tapes, ``frame`` and
    ``field`` take all frames for interlaced, with the top field first.

    Args:
        mode: one of `MODES`.
        field_order: AVFieldOrder of the stream.
        is_flagged: whether the first frame is flagged as interlaced.

    Raises:
        InputError: there is no such mode.
    """

    def __init__(self, mode: str, field_order: int, is_flagged: bool) -> None:
        check_mode(mode)
        self._fields = mode == "field"
        self._is_off = mode == "off"
        self._parity = "auto"
        if not is_flagged and field_order in (*_TOP_FIRST, *_BOTTOM_FIRST):
            self._parity = "tff" if field_order in _TOP_FIRST else "bff"
        self._is_forced = not is_flagged and self._parity == "auto" and mode in ("frame", "field")
        if self._is_forced:
            self._parity = "tff"
        self.is_on = not self._is_off and (is_flagged or self._parity != "auto")
        """Whether frames are deinterlaced: from the first one that is flagged on."""
        self.has_interlaced = is_flagged or self._parity != "auto"
        """Whether an interlaced frame has come, whatever becomes of it."""

    @property
    def rate(self) -> int:
        """Frames that come of one interlaced frame."""
        return 2 if self.is_on and self._fields else 1

    def note(self, path: Path) -> str | None:
        """One sentence on what becomes of interlaced frames; None where there were none."""
        if self.is_on:
            taken = "taken for interlaced" if self._is_forced else "interlaced"
            return f"{path} is {taken}, and deinterlaced before it is painted"
        return f"{path} is interlaced, and its fields stay as they are" if self.has_interlaced else None

    def __call__(self, frames: Iterable[Shown]) -> Iterator[Shown]:
        """The frames, deinterlaced, with their times; twice as many with fields."""
        graph: _Graph | None = None
        kind: tuple[Any, ...] = ()
        for shown in frames:
            frame = shown.frame
            if frame.interlaced_frame:
                self.has_interlaced, self._is_forced = True, False
                self._parity = "auto"
                self.is_on = not self._is_off
            if not self.is_on:
                yield shown
                continue
            new = (frame.width, frame.height, frame.format.name, self._parity)
            if graph is None or new != kind:
                if graph is not None:
                    yield from graph.push(None)
                graph, kind = _Graph(frame, self._parity, self._fields), new
            yield from graph.push(shown)
        if graph is not None:
            yield from graph.push(None)


class _Graph:
    """Filter graph for frames of one size and pixel format."""

    def __init__(self, first: av.VideoFrame, parity: str, fields: bool) -> None:
        self._waiting: deque[Shown] = deque()
        self._fields = fields
        self._takes_all = parity != "auto"
        self._count = 0
        self._graph: Any = av.filter.Graph()
        source = self._graph.add_buffer(
            width=first.width, height=first.height, format=first.format, time_base=Fraction(1, 25)
        )
        deint = "all" if self._takes_all else "interlaced"
        options = f"mode={'send_field' if fields else 'send_frame'}:parity={parity}:deint={deint}"
        self._graph.link_nodes(source, self._graph.add("bwdif", options), self._graph.add("buffersink")).configure()

    def push(self, shown: Shown | None) -> Iterator[Shown]:
        """What is ready after one more frame; None comes after the last."""
        if shown is not None:
            frame = shown.frame
            stamp, frame.pts = frame.pts, self._count
            self._count += 1
            self._waiting.append(shown)
            self._graph.push(frame)
            # A frame that stands in for damaged ones comes again.
            frame.pts = stamp
        else:
            self._graph.push(None)
        while True:
            try:
                whole = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield from self._timed(whole)

    def _timed(self, frame: av.VideoFrame) -> Iterator[Shown]:
        if not self._waiting:
            return
        shown = self._waiting[0]
        # bwdif passes on what is not flagged, once.
        if not self._fields or not (self._takes_all or shown.frame.interlaced_frame):
            self._waiting.popleft()
            yield replace(shown, frame=frame)
            return
        half = shown.duration / 2
        if (frame.pts or 0) % 2 == 0:
            yield replace(shown, frame=frame, duration=half)
        else:
            self._waiting.popleft()
            yield replace(shown, frame=frame, time=shown.time + half, duration=half, captions=None)


def check_mode(mode: str) -> str:
    """The mode; raises an `InputError` for one that is none of `MODES`."""
    if mode not in MODES:
        raise InputError(f"there is no deinterlacing {mode}: choose one of {', '.join(MODES)}", setting="deinterlace")
    return mode
