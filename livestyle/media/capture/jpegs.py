"""Images over HTTP: motion JPEG in the dialects of cameras and phone apps, and snapshots that are polled.

FFmpeg's reader of multipart streams ends at the first part that is not called ``image/jpeg``, and its reader of bare
JPEG gives an image only once the next one has begun. Here, images are found by their own markers, whatever stands
between them, and each is complete with its last byte.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av

from livestyle.errors import InputError
from livestyle.media.frames import BgrImage, Frame
from livestyle.media.images import decode_reduced
from livestyle.media.images.opening import is_known
from livestyle.media.video.tracks import LIMITS

from .download import Download
from .shape import Display
from .splitter import JPEG, LARGEST, LONGEST_START, START, ImageSplitter
from .timeouts import Timeouts

HEAD_BYTES = 256
"""So much of an answer tells what it is."""
MOST_DAMAGED = 10
"""Damaged images in a row that are left out; a camera that damages them all is shown all the same."""
POLL_SECONDS = (0.04, 1.0)
"""Shortest and longest pause between two snapshots: as long as nothing changes, it becomes longer."""

MOST_TEXT = 4096
"""Bytes before the first image of a multipart stream: a preamble, a boundary of any kind, headers."""

# A part of multipart/x-mixed-replace: its boundary, then headers or an empty line, or the image at once.
_PART = re.compile(rb"\s*--[^\r\n]{1,200}\r?\n(\r?\n|\xff\xd8|[A-Za-z][A-Za-z0-9-]*:)")
_TEXT = re.compile(rb"[\t\n\r -~]*")
# A playlist, or a page.
_OTHER_TEXT = re.compile(rb"\s*[#<]")


class JpegDecoder:
    """Decoder of JPEG images that leaves out damaged ones."""

    def __init__(self) -> None:
        self._damaged = 0
        self._decoder = self._open("explode")

    @staticmethod
    def _open(detect: str) -> av.VideoCodecContext:
        # Without "explode", a truncated JPEG is decoded to an image that is grey from there on.
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.options = {"err_detect": detect, **LIMITS}
        return decoder

    def __call__(self, data: bytes) -> list[av.VideoFrame]:
        """The image as frames of PyAV, one or none: a damaged one is left out, unless all of them are."""
        try:
            frames = self._decoder.decode(av.Packet(data))
        except av.FFmpegError:
            self._damaged += 1
            if self._damaged == MOST_DAMAGED:
                self._decoder = self._open("0")
            return []
        self._damaged = 0
        return frames


def begins_with_images(download: Download) -> bool:
    """Whether an answer is one image or several that `ImageSplitter` finds, with any text before the first."""
    head = download.peek(HEAD_BYTES)
    if _PART.match(head):
        return True
    while (text := _TEXT.match(head)) and text.end() == len(head) < MOST_TEXT and not _OTHER_TEXT.match(head):
        longer = download.peek(len(head) + 1)
        if len(longer) == len(head):
            return False
        head = longer
    at = text.end() if text else 0
    return bool(START.match(download.peek(at + LONGEST_START), at))


def is_whole_image(head: bytes) -> bool:
    """Whether an answer is an image of another format, by its first `HEAD_BYTES`; not GIF, which is mostly animated."""
    return is_known(head, Path()) and not head.startswith(b"GIF")


def image_frames(
    download: Download,
    again: Callable[[], Download] | None,
    stop: threading.Event,
    timeouts: Timeouts,
    *,
    is_whole: bool = False,
) -> Iterator[Frame]:
    """Frames of motion JPEG until it ends or stalls; an address of one image is asked for it again and again.

    A server that hangs up after some images is asked again too, once.

    Args:
        download: the server's first answer; this closes it.
        again: asks once more; None where nobody can be asked.
        stop: ends this when it is set, as soon as a read returns.
        timeouts: for garbled data, and for a snapshot that cannot be had any more.
        is_whole: each answer is one image of a format that `ImageSplitter` does not know.
    """
    decode_jpeg, display = JpegDecoder(), Display()

    def decode(data: bytes) -> list[BgrImage]:
        if data.startswith(JPEG):
            return [display(frame) for frame in decode_jpeg(data)]
        try:
            return [decode_reduced(data, Path("snapshot"))]
        except InputError:
            return []

    split = partial(_whole, stop) if is_whole else partial(_images, stop, timeouts.garbled)
    pause, before, good = POLL_SECONDS[0], b"", None
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
            if stop.is_set() or again is None or good is None or time.monotonic() - good > timeouts.read:
                return
            if count > 1 and download.has_stalled:
                return
            # One image and no more is a snapshot.
            is_same = count < 2 and (data == before or not count)
            pause = min(2 * pause, POLL_SECONDS[1]) if is_same else POLL_SECONDS[0]
            before = data
            if stop.wait(pause):
                return
            try:
                download = again()
                break
            except InputError:
                if count > 1:
                    return
                count = 0


def _images(stop: threading.Event, garbled_seconds: float, download: Download) -> Iterator[bytes]:
    """The images of an answer, until it ends, stalls or gives none for too long."""
    splitter, last = ImageSplitter(), time.monotonic()
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
