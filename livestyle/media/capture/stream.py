"""Network streams, read through PyAV.

OpenCV would stretch frames of a stream that changes its size to the size of the first one, and show damaged ones.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av
from av.video.reformatter import VideoReformatter

from livestyle.errors import InputError
from livestyle.media.frames import Frame
from livestyle.media.video.pixel_formats import Colors

from .kinds import source_name
from .timeouts import Timeouts

LATE_SECONDS = 1.0
"""A recording that is later than this does not catch up: its clock is set anew."""
EARLY_SECONDS = 10.0
"""A timestamp so far ahead of the one before is a discontinuity, and its clock is set anew."""
MOST_DAMAGED = 10
"""Damaged frames in a row that are left out; a camera that damages them all is shown all the same."""


def stream_frames(address: str, stop: threading.Event, timeouts: Timeouts) -> Iterator[Frame]:
    """Frames of a stream until it ends or stalls; times are those of `time.monotonic` at which they arrived.

    Args:
        address: URL.
        stop: ends this when it is set, as soon as a read returns.
        timeouts: for opening, reading and garbled data.

    Raises:
        InputError: it does not open.
    """
    name, begin = source_name(address), time.monotonic()
    try:
        # UDP loses packets, and each loss is a grey area in the image.
        options = {"rtsp_flags": "prefer_tcp"}
        container = av.open(address, timeout=(timeouts.open, timeouts.read), options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        if time.monotonic() - begin >= timeouts.open:
            reason = f"no answer in {timeouts.open:g} seconds"
        elif getattr(error, "errno", None) == errno.EIO:
            # FFmpeg's error for an unknown host name.
            reason = "the host is not found, or hangs up"
        else:
            reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"the stream {name} does not open ({reason}): check the address, and that it is running and can be reached"
        ) from None
    with container:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            raise InputError(f"the stream {name} carries no video that can be read: choose another camera", "camera")
        yield from _decoded(container, stop, timeouts.garbled)


def _decoded(container: Any, stop: threading.Event, garbled_seconds: float) -> Iterator[Frame]:
    video = container.streams.video[0]
    decoder: Any = video.codec_context
    if decoder.name == "mjpeg":
        # Without it, a truncated JPEG is decoded to an image that is grey from there on.
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.options = {"err_detect": "explode"}
    # Files and playlists arrive faster than in real time.
    paced = container.duration is not None or container.format.name == "hls"
    reformatter = VideoReformatter()
    start: float | None = None
    last, damaged = time.monotonic(), 0
    with suppress(av.FFmpegError):
        # Packets of all streams: sound that goes on must not hide that the video has stalled.
        for packet in container.demux():
            grabbed = time.monotonic()
            if grabbed - last > garbled_seconds or stop.is_set():
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
                if paced and frame.time is not None:
                    if start is None or not -EARLY_SECONDS < grabbed - start - frame.time < LATE_SECONDS:
                        start = grabbed - frame.time
                    if stop.wait(max(0.0, start + frame.time - time.monotonic())):
                        return
                    grabbed = time.monotonic()
                matrix = None if frame.format.is_rgb else Colors.of(frame).matrix
                image: Any = reformatter.reformat(frame, format="bgr24", src_colorspace=matrix).to_ndarray()
                yield Frame(image, grabbed)
                last, damaged = time.monotonic(), 0
