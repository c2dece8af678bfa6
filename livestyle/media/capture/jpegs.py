"""JPEG images over HTTP: motion JPEG in the dialects of cameras and phone apps, and snapshots that are polled.

FFmpeg's reader of multipart streams ends at the first part that is not called ``image/jpeg``, and its reader of bare
JPEG gives an image only once the next one has begun. Here, images are found by their own markers, whatever stands
between them, and each is complete with its last byte.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import av

from livestyle.errors import InputError
from livestyle.media.frames import BgrImage, Frame
from livestyle.media.images import decode_reduced
from livestyle.media.video.tracks import LIMITS

from .download import Download
from .shape import Display
from .timeouts import Timeouts

HEAD_BYTES = 256
"""So much of an answer tells what it is."""
MOST_DAMAGED = 10
"""Damaged images in a row that are left out; a camera that damages them all is shown all the same."""
LARGEST = 64 << 20
"""Bytes; what is longer without an end is no image."""
POLL_SECONDS = (0.04, 1.0)
"""Shortest and longest pause between two snapshots: as long as nothing changes, it becomes longer."""

_START = b"\xff\xd8"
_END = 0xD9
_SCAN = 0xDA
# In entropy-coded data, FF is followed by 00 (stuffing), by a restart marker, by another FF (fill) or by a marker.
# A part of multipart/x-mixed-replace: its boundary, then headers or an empty line, or the image at once.
_PART = re.compile(rb"\s*--[^\r\n]{1,200}\r?\n(\r?\n|\xff\xd8|[A-Za-z][A-Za-z0-9-]*:)")
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class JpegSplitter:
    """Finds the JPEG images in a stream of bytes, and ignores what lies between them, such as multipart headers."""

    def __init__(self) -> None:
        self._data = bytearray()
        # Where the search for the end goes on; None until an image has begun.
        self._at: int | None = None
        self._in_scan = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The images that these bytes complete. One without an end is given when the next one begins."""
        self._data += data
        while True:
            if self._at is None:
                start = self._data.find(_START)
                if start < 0:
                    # The first half of a start may be the last byte.
                    del self._data[:-1]
                    return
                del self._data[:start]
                self._at, self._in_scan = len(_START), False
            end = self._find_end()
            if end is None:
                if len(self._data) > LARGEST:
                    self._data.clear()
                    self._at = None
                return
            if end:
                yield bytes(self._data[:end])
            # A header that makes no sense: the next start lies somewhere behind this one.
            del self._data[: end or len(_START)]
            self._at = None

    def _find_end(self) -> int | None:
        """Length of the image; 0 where it is none, None where its end has not come yet."""
        data = self._data
        assert self._at is not None
        while True:
            if self._in_scan:
                found = _MARKER.search(data, self._at)
                if found is None:
                    self._at = max(self._at, len(data) - 1)
                    return None
                self._at = found.start()
                self._in_scan = False
            if len(data) < self._at + 2:
                return None
            if data[self._at] != 0xFF:
                return 0
            marker = data[self._at + 1]
            if marker == _END:
                return self._at + 2
            if marker == _START[1]:
                # The image was cut off, and the next one begins.
                return self._at
            if marker == 0xFF or marker == 1 or 0xD0 <= marker <= 0xD7:
                self._at += 1 if marker == 0xFF else 2
                continue
            if len(data) < self._at + 4:
                return None
            self._in_scan = marker == _SCAN
            self._at += 2 + int.from_bytes(data[self._at + 2 : self._at + 4], "big")


class JpegDecoder:
    """Decoder of JPEG images that leaves out damaged ones."""

    def __init__(self) -> None:
        self._damaged = 0
        self._decoder = self._open("explode")

    @staticmethod
    def _open(detect: str) -> av.CodecContext:
        # Without "explode", a truncated JPEG is decoded to an image that is grey from there on.
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.options = {"err_detect": detect, **LIMITS}
        return decoder

    def __call__(self, data: bytes) -> list[Any]:
        """The image as frames of PyAV, one or none: a damaged one is left out, unless all of them are."""
        try:
            frames: list[Any] = self._decoder.decode(av.Packet(data))  # type: ignore[attr-defined]
        except av.FFmpegError:
            self._damaged += 1
            if self._damaged == MOST_DAMAGED:
                self._decoder = self._open("0")
            return []
        self._damaged = 0
        return frames


def is_jpegs(head: bytes) -> bool:
    """Whether an answer begins as motion JPEG or a JPEG image does, by its first `HEAD_BYTES`."""
    return head.startswith(_START) or bool(_PART.match(head))


def jpeg_frames(
    download: Download, again: Callable[[], Download], stop: threading.Event, timeouts: Timeouts
) -> Iterator[Frame]:
    """Frames of motion JPEG until it ends or stalls; an address of one image is asked for it again and again.

    Args:
        download: the server's first answer; this closes it.
        again: asks once more.
        stop: ends this when it is set, as soon as a read returns.
        timeouts: for garbled data, and for a snapshot that cannot be had any more.
    """
    decode, display = JpegDecoder(), Display()

    def images(data: bytes) -> list[BgrImage]:
        return [display(frame) for frame in decode(data)]

    yield from _polled(download, again, partial(_jpegs, stop, timeouts.garbled), images, stop, timeouts.read)


def image_frames(
    download: Download, again: Callable[[], Download], stop: threading.Event, timeouts: Timeouts
) -> Iterator[Frame]:
    """Frames of an address of one image of another format, which is asked for it again and again.

    Args:
        download: as of `jpeg_frames`.
        again: as there.
        stop: as there.
        timeouts: as there.
    """

    def images(data: bytes) -> list[BgrImage]:
        try:
            return [decode_reduced(data, Path("snapshot"))]
        except InputError:
            return []

    yield from _polled(download, again, partial(_whole, stop), images, stop, timeouts.read)


def _polled(
    download: Download,
    again: Callable[[], Download],
    split: Callable[[Download], Iterator[bytes]],
    decode: Callable[[bytes], list[BgrImage]],
    stop: threading.Event,
    patience: float,
) -> Iterator[Frame]:
    """Frames of one answer of a server after the other, until one has several images or none has come for too long."""
    pause, before = POLL_SECONDS[0], b""
    good: float | None = None
    while True:
        count, data = 0, b""
        with download:
            for data in split(download):
                count += 1
                arrived = time.monotonic()
                for image in decode(data):
                    yield Frame(image, arrived)
                    good = time.monotonic()
        while True:
            if stop.is_set() or count > 1 or good is None or time.monotonic() - good > patience:
                return
            # One image and no more is a snapshot.
            pause = min(2 * pause, POLL_SECONDS[1]) if data == before or not count else POLL_SECONDS[0]
            before = data
            if stop.wait(pause):
                return
            with suppress(InputError):
                download = again()
                break
            count = 0


def _jpegs(stop: threading.Event, garbled_seconds: float, download: Download) -> Iterator[bytes]:
    """The images of an answer, until it ends, stalls or gives none for too long."""
    splitter, last = JpegSplitter(), time.monotonic()
    for chunk in download:
        if stop.is_set() or time.monotonic() - last > garbled_seconds:
            return
        for image in splitter.feed(chunk):
            yield image
            last = time.monotonic()


def _whole(stop: threading.Event, download: Download) -> Iterator[bytes]:
    """All that an answer holds."""
    data = bytearray()
    for chunk in download:
        data += chunk
        if stop.is_set() or len(data) > LARGEST:
            return
    yield bytes(data)
