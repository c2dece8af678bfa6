"""Pieces of a video: encoded packets that are cut out without decoding, for another process or machine to decode."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from .clock_jumps import ClockJumps
from .tracks import choose_video, open_file


@dataclass(frozen=True)
class Stamp:
    """A packet of a video, as its container describes it.

    Attributes:
        pts: presentation timestamp, in units of the stream's time base.
        duration: in the same units; 0 where it is unknown.
        is_key: whether decoding can begin there.
    """

    pts: int
    duration: int
    is_key: bool


class VideoPackets:
    """Packets of one video stream of a file, read without decoding.

    Args:
        path: of the file.
        track: of several videos, from 1; None is the default one.
    """

    def __init__(self, path: Path, track: int | None = None) -> None:
        self._path = path
        self._track = track

    def stamps(self) -> list[Stamp]:
        """All packets that are shown, by their presentation timestamps.

        Empty where the timestamps do not tell when each frame is shown: there are none, or the file's clock jumps.

        Raises:
            InputError: the file cannot be opened.
        """
        found = []
        with open_file(self._path) as container:
            jumps = ClockJumps(container.format.name)
            for packet in container.demux(choose_video(container, self._path, self._track)):
                if packet.size == 0:
                    continue
                if packet.pts is None:
                    return []
                jumps.repair(packet)
                if not packet.is_discard:
                    found.append(Stamp(packet.pts, packet.duration or 0, packet.is_keyframe))
        return [] if jumps.jumps else sorted(found, key=lambda stamp: stamp.pts)

    def cut(self, stamps: Sequence[Stamp], spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
        """Pieces of the stream, each a Matroska file that begins with a key frame; the file is read once for all.

        Before each piece comes the timestamp at which its clock begins.

        Args:
            stamps: of the stream, as `stamps` gave them.
            spans: first and last timestamp of each piece, both in ascending order; pieces may overlap.
        """
        shown = [stamp.pts for stamp in stamps]
        with open_file(self._path) as container:
            video = choose_video(container, self._path, self._track)
            coming = (_Packet.of(packet) for packet in container.demux(video) if packet.size)
            held: list[_Packet] = []
            dropped = 0
            for number, (_, high) in enumerate(spans):
                # B-frames: packets with earlier timestamps follow later ones in the order of decoding.
                missing = bisect_right(shown, high) - dropped - _count(held, high)
                while missing > 0 and (packet := next(coming, None)) is not None:
                    held.append(packet)
                    missing -= _count([packet], high)
                # What is not needed from here on; the piece begins where its first frame can be decoded.
                start = _begin(held, spans[number][0])
                dropped += _count(held[:start], high)
                del held[:start]
                yield held[0].pts, _matroska(video, held)


@dataclass(frozen=True)
class _Packet:
    pts: int
    duration: int
    is_key: bool
    is_shown: bool
    data: bytes

    @classmethod
    def of(cls, packet: Any) -> _Packet:
        return cls(
            packet.pts,
            packet.duration or 0,
            packet.is_keyframe,
            not packet.is_discard,
            bytes(packet),
        )


def _begin(held: Sequence[_Packet], low: int) -> int:
    """Index of the last key frame that is not shown after a timestamp; the first packet where there is none."""
    return max((n for n, packet in enumerate(held) if packet.is_key and packet.pts <= low), default=0)


def _count(packets: Sequence[_Packet], high: int) -> int:
    """Number of packets that are shown, up to a timestamp."""
    return sum(1 for packet in packets if packet.is_shown and packet.pts <= high)


def _matroska(template: Any, packets: Sequence[_Packet]) -> bytes:
    """A file of some packets, whose clock begins with the first of them."""
    first = packets[0]
    # Leading pictures of an open group refer to frames before the key frame.
    kept = [packet for packet in packets if packet.pts >= first.pts]
    file = io.BytesIO()
    # Otherwise negative decoding timestamps, as B-frames have them, would move all times.
    options = {"avoid_negative_ts": "disabled"}
    with av.open(file, "w", format="matroska", container_options=options) as container:
        stream = container.add_stream_from_template(template)
        # Matroska stores no decoding timestamps, but its muxer wants them in order, and none later than its frame.
        shown = sorted(packet.pts for packet in kept)
        late = max(stamp - packet.pts for stamp, packet in zip(shown, kept, strict=True))
        for stamp, packet in zip(shown, kept, strict=True):
            new: Any = av.Packet(packet.data)
            new.pts, new.dts = packet.pts - first.pts, stamp - late - first.pts
            new.duration, new.is_keyframe, new.time_base, new.stream = (
                packet.duration,
                packet.is_key,
                template.time_base,
                stream,
            )
            container.mux(new)
    return file.getvalue()
