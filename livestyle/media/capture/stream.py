"""Network streams, read through PyAV.

OpenCV would stretch frames of a stream that changes its size to the size of the first one, and show damaged ones.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from livestyle.errors import InputError
from livestyle.media.frames import Frame
from livestyle.media.video.decoding import Shown
from livestyle.media.video.deinterlace import Deinterlacer
from livestyle.media.video.tracks import choose_video, decoder_of, moving

from .address import PLAYLIST, Address
from .download import Download
from .jpegs import HEAD_BYTES, MOST_DAMAGED, image_frames, is_jpegs, jpeg_frames
from .kinds import source_name
from .listener import OPTIONS, Listened, senders
from .pacing import BurstClock, RecordingClock
from .playlist import MARK, best_variant, variants
from .shape import Display
from .timeouts import Timeouts

CLUSTERED = ("matroska", "webm", "ogg", "mp4")
"""Formats whose writers gather packets before they send them."""
WAITED_SECONDS = 0.02
"""A read that took longer had to wait for the sender."""
AHEAD_SECONDS = 15.0
"""What arrives so far ahead of its time is a recording: live servers send a few seconds of the past at most."""
_IMAGE = re.compile(rb"\x89PNG\r\n\x1a\n|RIFF....WEBP|BM|II\*\0|MM\0\*", re.DOTALL)
"""First bytes of images other than JPEG that OpenCV reads: PNG, WebP, BMP, TIFF."""
LONGEST_PLAYLIST = 1 << 20
"""Bytes."""
MOST_QUEUED = 4096
"""Packets of a stream that comes in bursts, about a minute."""


def stream_frames(
    address: str,
    size: tuple[int, int] | None,
    stop: threading.Event,
    timeouts: Timeouts,
    *,
    insecure: bool = False,
) -> Iterator[Frame]:
    """Frames of a stream until it ends or stalls; times are those of `time.monotonic` at which they arrived.

    Live streams give their newest frame, however long they have been running; recordings are played at their own rate.

    Args:
        address: URL.
        size: the variant of a playlist that is chosen fits in this width and height in pixels; None is the largest.
        stop: ends this when it is set, as soon as a read returns.
        timeouts: for opening, reading and garbled data.
        insecure: take any certificate.

    Raises:
        InputError: it does not open.
    """
    source = Address(address, timeouts, insecure)
    if (listened := Listened.of(address)) is not None:
        yield from _pushed(source, listened, stop)
        return
    if not source.is_web:
        yield from _frames(source, source.open(), stop)
        return
    download = source.download()
    head = download.peek(HEAD_BYTES)
    if is_jpegs(head):
        yield from jpeg_frames(download, source.download, stop, timeouts)
        return
    if _IMAGE.match(head):
        yield from image_frames(download, source.download, stop, timeouts)
        return
    with download:
        if head.startswith(MARK):
            # FFmpeg asks for playlists itself, again and again.
            source = _variant(source, download, size)
            container = source.open(PLAYLIST)
        elif download.length or len(head) < HEAD_BYTES:
            # A file, whose index may be at its end, or a stream that does not begin before the limit for reading.
            download.close()
            container = source.open()
        else:
            container = source.open(download=download)
        yield from _frames(source, container, stop, is_recording=download.length > 0)


def _pushed(source: Address, listened: Listened, stop: threading.Event) -> Iterator[Frame]:
    """Frames of the first sender that gives any; whoever else knocks does not end the wait."""
    for relay in senders(listened, stop):
        given = False
        with suppress(InputError):
            inner = source.at(relay.url)
            for frame in _frames(inner, inner.open(extra=OPTIONS[listened.scheme]), stop):
                given = True
                yield frame
        if given:
            return


def _variant(source: Address, download: Download, size: tuple[int, int] | None) -> Address:
    """The playlist to read, where a master playlist lists several."""
    data = bytearray()
    for chunk in download:
        data += chunk
        if len(data) > LONGEST_PLAYLIST:
            return source
    listed = variants(data.decode(errors="replace"), source.url)
    found = [variant for variant in listed if source.at(variant.address).is_web]
    return source.at(best_variant(found, size).address) if found else source


def _frames(source: Address, container: Any, stop: threading.Event, is_recording: bool = False) -> Iterator[Frame]:
    with container:
        if all(video.codec_context is None for video in moving(container)):
            raise InputError(
                f"the stream {source_name(source.url)} carries no video that can be read: choose another camera",
                "camera",
            )
        video = choose_video(container, Path(source_name(source.url)))
        name = container.format.name
        # A live stream may say a duration, such as 0 or the length of what its sender reads; an MP4 that is sent while
        # it is made does not know its own.
        is_recording |= name == PLAYLIST or (source.is_web and "mp4" in name and bool(container.duration))
        yield from _played(container, video, is_recording, source.is_web, stop, source.timeouts.garbled)


@dataclass(frozen=True, eq=False)
class _Arrived(Shown):
    """A decoded frame that arrived.

    Attributes:
        arrived: when its packet was read, on the clock of `time.monotonic`.
        waited: since the frame before, a read had to wait for the sender.
    """

    arrived: float = 0.0
    waited: bool = False


def _played(
    container: Any, video: Any, is_recording: bool, is_web: bool, stop: threading.Event, garbled: float
) -> Iterator[Frame]:
    """Frames in the shape in which they are looked at, each at its time."""
    recording = RecordingClock() if is_recording else None
    is_clustered = any(name in container.format.name for name in CLUSTERED)
    bursts = BurstClock() if is_clustered and not is_recording else None
    deinterlace = Deinterlacer("auto", video.codec_context.field_order, False)
    display, begin = Display(), time.monotonic()
    first: float | None = None
    packets = _packets(container, stop) if bursts is None else _packets_ahead(container, stop)
    with closing(packets):
        for frame in deinterlace(_decoded(packets, video, stop, garbled)):
            assert isinstance(frame, _Arrived)
            position, shown = float(frame.time), frame.arrived
            first = position if first is None else first
            if recording is None and is_web and position - first - (shown - begin) > AHEAD_SECONDS:
                recording = RecordingClock()
            if recording is not None:
                shown = recording.due(position, time.monotonic())
            elif bursts is not None:
                shown = bursts.due(position, frame.arrived, frame.waited)
            if shown > frame.arrived:
                if stop.wait(max(0.0, shown - time.monotonic())):
                    return
                shown = time.monotonic()
            yield Frame(display(frame.frame, frame.aspect), shown)


def _decoded(packets: _Packets, video: Any, stop: threading.Event, garbled: float) -> Iterator[_Arrived]:
    """Whole frames until the stream ends, stalls, or gives none for too long."""
    decoder = decoder_of(video)
    if decoder.name == "mjpeg":
        # Without it, a truncated JPEG is decoded to an image that is grey from there on.
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.options = {"err_detect": "explode"}
    last, damaged, has_waited = time.monotonic(), 0, False
    position = Fraction(0)
    with suppress(av.FFmpegError):
        # Packets of all streams: sound that goes on must not hide that the video has stalled.
        for packet, arrived, waited in packets:
            has_waited |= waited
            if arrived - last > garbled or stop.is_set():
                return
            if packet.stream is not video or not packet.size:
                continue
            try:
                frames = decoder.decode(packet)
            except av.FFmpegError:
                damaged += 1
                if damaged == MOST_DAMAGED:
                    decoder = video.codec_context
                continue
            for frame in frames:
                if frame.is_corrupt:
                    continue
                # One without a time comes right after the one before.
                position = position if frame.pts is None else Fraction(frame.pts * frame.time_base)
                aspect = video.codec_context.sample_aspect_ratio or Fraction(1)
                yield _Arrived(frame, position, Fraction(0), aspect=aspect, arrived=arrived, waited=has_waited)
                last, damaged, has_waited = time.monotonic(), 0, False


_Packets = Generator[tuple[Any, float, bool], None, None]


def _packets(container: Any, stop: threading.Event) -> _Packets:
    """Packets, each with the time when it was read, and whether that had to wait."""
    before = time.monotonic()
    for packet in container.demux():
        now = time.monotonic()
        yield packet, now, now - before > WAITED_SECONDS
        if stop.is_set():
            return
        before = time.monotonic()


def _packets_ahead(container: Any, stop: threading.Event) -> _Packets:
    """The same, read by a thread, since whoever waits until a frame is due does not see when the next packets come."""
    # Whoever waits for the next packet must not wait for ever: None ends them.
    found: queue.Queue[tuple[Any, float, bool] | None] = queue.Queue(MOST_QUEUED)
    closed = threading.Event()

    def put(item: tuple[Any, float, bool] | None) -> None:
        while not closed.is_set():
            with suppress(queue.Full):
                found.put(item, timeout=0.2)
                return

    def read() -> None:
        try:
            with suppress(av.FFmpegError):
                for item in _packets(container, stop):
                    put(item)
                    if closed.is_set():
                        return
        finally:
            put(None)

    thread = threading.Thread(target=read, name="camera packets", daemon=True)
    thread.start()
    try:
        while (item := found.get()) is not None:
            yield item
    finally:
        closed.set()
        # The container must not be closed while it is read.
        thread.join()
