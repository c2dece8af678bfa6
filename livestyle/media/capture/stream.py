"""Network streams, read through PyAV.

OpenCV would stretch frames of a stream that changes its size to the size of the first one, and show damaged ones.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
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
from .jpegs import HEAD_BYTES, MOST_DAMAGED, begins_with_images, image_frames, is_whole_image
from .kinds import SourceKind, check_source, is_listened, source_kind
from .listener import LOOPBACK, OPTIONS, Listened, Relay, dial, senders
from .pacing import BurstClock, BurstDetector, RecordingClock
from .playlist import MARK, first_entry, in_order, variants
from .shape import Display
from .timeouts import Timeouts

CLUSTERED = ("matroska", "webm", "ogg", "mp4")
"""Formats whose writers gather packets before they send them."""
WAITED_SECONDS = 0.02
"""A read that took longer had to wait for the sender."""
AHEAD_SECONDS = 15.0
"""What arrives so far ahead of its time is a recording: live servers send a few seconds of the past at most."""
TEXT_BYTES = 1024
"""So much of a text tells what it is."""
ENDLESS_BYTES = 2**31 - 1
"""Length that servers say of what has no end."""
LONGEST_PLAYLIST = 1 << 20
"""Bytes."""
MOST_VARIANTS = 3
"""So many of a playlist are tried, the best ones."""
MOST_LISTS = 2
"""How often the first stream of a list is a list again."""
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
    else:
        yield from _read(source, size, stop, MOST_LISTS)


def _read(source: Address, size: tuple[int, int] | None, stop: threading.Event, depth: int) -> Iterator[Frame]:
    """The same, of an address that is asked; lists of streams are followed so many times."""
    if source.url.lower().startswith("tcp:"):
        yield from _connected(source, stop)
        return
    if not source.is_web:
        yield from _frames(source, source.open(), stop)
        return
    asked, download = source, source.download()
    if not download.peek(1):
        # Some cameras answer at once, and take their picture then.
        download.close()
        asked = source.patient()
        download = asked.download()
    are_images, head = begins_with_images(download), download.peek(HEAD_BYTES)
    if are_images or is_whole_image(head):
        yield from image_frames(download, asked.download, stop, asked.timeouts, is_whole=not are_images)
        return
    if head.startswith(MARK):
        yield from _listed(source, download, size, stop, depth)
        return
    with download:
        _check_text(source, download)
        if download.length or len(head) < HEAD_BYTES or asked is not source:
            # A file, whose index may be at its end, or a stream that does not begin before the limit for reading.
            download.close()
            container = source.open()
        else:
            container = source.open(download=download)
        yield from _frames(source, container, stop, download.length)


def _check_text(source: Address, download: Download) -> None:
    """Raise an `InputError` for an answer without any bytes, and for texts that people take for a stream."""
    name = f"the stream {source.name}"
    if not (head := download.peek(1)):
        raise InputError(f"{name} opens but nothing comes: check the address, and the camera", "camera")
    # No video begins so, and a text is there at once.
    text = download.peek(TEXT_BYTES) if head == b"<" else b""
    if b"<MPD" in text:
        raise InputError(f"{name} is DASH, which cannot be read: give the address of its HLS, if it has any", "camera")
    if re.match(rb"<(!doctype )?html", text, re.IGNORECASE):
        raise InputError(
            f"{name} is a web page: give the address of the video or picture in it, as the camera's manual names it",
            "camera",
        )


def _pushed(source: Address, listened: Listened, stop: threading.Event) -> Iterator[Frame]:
    """Frames of the first sender that gives any; whoever else knocks does not end the wait."""
    for relay in senders(listened, source.timeouts.read, stop):
        given = False
        with suppress(InputError):
            for frame in _relayed(source.at(relay.url), listened.scheme, stop):
                given = True
                yield frame
        if given:
            return


def _connected(source: Address, stop: threading.Event) -> Iterator[Frame]:
    """Frames of a TCP server, which may send motion JPEG too."""
    try:
        sender = dial(source.url, source.timeouts.open)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the stream {source.name} does not open ({reason}): check the address, and that it is "
            "running and can be reached"
        ) from None
    with closing(Relay(sender, Listened("tcp", LOOPBACK, 0, ""), source.timeouts.read)) as relay:
        yield from _relayed(replace(source, url=relay.url, called=source.url), "tcp", stop)


def _relayed(source: Address, scheme: str, stop: threading.Event) -> Iterator[Frame]:
    """Frames of what a relay hands on."""
    if scheme == "rtmp":
        yield from _frames(source, source.open(extra=OPTIONS[scheme]), stop)
        return
    # The relay knows best when nothing comes any more.
    source = source.patient()
    download = source.download(OPTIONS[scheme])
    if begins_with_images(download):
        yield from image_frames(download, None, stop, source.timeouts)
        return
    with download:
        _check_text(source, download)
        yield from _frames(source, source.open(download=download), stop)


def _listed(
    source: Address, download: Download, size: tuple[int, int] | None, stop: threading.Event, depth: int
) -> Iterator[Frame]:
    """Frames of a playlist: of its best variant that can be read, or of the first stream of a list."""
    data = bytearray()
    with download:
        for chunk in download:
            data += chunk
            if len(data) > LONGEST_PLAYLIST:
                break
    text, base = data.decode(errors="replace"), source.landed()
    if entry := first_entry(text, base.url):
        check_source(entry)
        if source_kind(entry) is not SourceKind.STREAM or is_listened(entry) or depth == 0:
            raise InputError(f"the list at {source.name} names no stream: give the address of a stream", "camera")
        yield from _read(source.at(entry), size, stop, depth - 1)
        return
    found = [each for each in in_order(variants(text, base.url), size) if source.at(each.address).is_web]
    trouble: InputError | None = None
    # FFmpeg asks for playlists itself, again and again.
    for each in [source.at(variant.address) for variant in found[:MOST_VARIANTS]] or [base]:
        try:
            yield from _frames(each, each.open(PLAYLIST), stop)
        except InputError as error:
            trouble = trouble or error
        else:
            return
    if trouble is not None:
        raise trouble


def _frames(source: Address, container: Any, stop: threading.Event, length: int = 0) -> Iterator[Frame]:
    """Frames of a container, of so many bytes where that is known."""
    with container:
        if all(video.codec_context is None for video in moving(container)):
            raise InputError(
                f"the stream {source.name} carries no video that can be read: choose another camera",
                "camera",
            )
        video = choose_video(container, Path(source.name))
        name = container.format.name
        # A live stream may say a duration, such as 0 or the length of what its sender reads; an MP4 that is sent while
        # it is made does not know its own.
        lasts = bool(container.duration)
        is_recording = name == PLAYLIST or (source.is_web and "mp4" in name and lasts)
        # Nor does a server mean it that promises 2 GB, as far as HTTP can count, or more.
        is_recording |= 0 < length < ENDLESS_BYTES or (length > 0 and lasts)
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
    bursts, detector = BurstClock(), BurstDetector()
    packets = _Packets(container, stop, is_ahead=is_clustered and not is_recording)
    deinterlace = Deinterlacer("auto", video.codec_context.field_order, False)
    display, begin = Display(), time.monotonic()
    first: float | None = None
    with packets:
        for frame in deinterlace(_decoded(iter(packets), video, stop, garbled)):
            assert isinstance(frame, _Arrived)
            position, shown = float(frame.time), frame.arrived
            first = position if first is None else first
            if recording is None and is_web and position - first - (shown - begin) > AHEAD_SECONDS:
                recording = RecordingClock()
            if recording is not None:
                shown = recording.due(position, time.monotonic())
            else:
                due = bursts.due(position, frame.arrived, frame.waited)
                if detector.add(frame.waited) or is_clustered:
                    packets.is_ahead, shown = True, due
            if shown > frame.arrived:
                if stop.wait(max(0.0, shown - time.monotonic())):
                    return
                shown = time.monotonic()
            yield Frame(display(frame.frame, frame.aspect), shown)


def _decoded(packets: Iterator[_Packet], video: Any, stop: threading.Event, garbled: float) -> Iterator[_Arrived]:
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


_Packet = tuple[Any, float, bool]
"""Of PyAV, with the time when it was read, and whether that had to wait."""


class _Packets:
    """Context manager of the packets of a stream.

    Args:
        container: of PyAV.
        stop: ends the stream, as soon as a read returns.
        is_ahead: they are read by a thread.
    """

    def __init__(self, container: Any, stop: threading.Event, *, is_ahead: bool) -> None:
        self.is_ahead = is_ahead
        """Set it before waiting until a frame is due: who waits does not see when the next packets come."""
        self._packets = self._read(container, stop)
        # Whoever waits for the next packet must not wait for ever: None ends them.
        self._found: queue.Queue[_Packet | None] = queue.Queue(MOST_QUEUED)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera packets", daemon=True)

    @staticmethod
    def _read(container: Any, stop: threading.Event) -> Iterator[_Packet]:
        before = time.monotonic()
        for packet in container.demux():
            now = time.monotonic()
            yield packet, now, now - before > WAITED_SECONDS
            if stop.is_set():
                return
            before = time.monotonic()

    def __iter__(self) -> Iterator[_Packet]:
        while not self.is_ahead and (item := next(self._packets, None)):
            yield item
        if self.is_ahead:
            self._thread.start()
            while (item := self._found.get()) is not None:
                yield item

    def _run(self) -> None:
        try:
            with suppress(av.FFmpegError):
                for item in self._packets:
                    self._put(item)
                    if self._closed.is_set():
                        return
        finally:
            self._put(None)

    def _put(self, item: _Packet | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._found.put(item, timeout=0.2)
                return

    def __enter__(self) -> _Packets:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        # The container must not be closed while it is read.
        if self._thread.is_alive():
            self._thread.join()
