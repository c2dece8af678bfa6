#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 of its wheel.
# Behaviour: with `thread_type = "AUTO"`, the usual advice for speed, some encoders go on reading a frame after encode() has
#   returned: PNG, TIFF, QOI and FFVHuff work on several frames at once, and only refer to their pixels. A live loop that
#   paints into one buffer, and hands it on by VideoFrame.from_numpy_buffer, records later pictures in place of earlier ones:
#   frames are lost and doubled, with no error, in another way each time. x264 and FFV1 have done with a frame when encode()
#   returns, so that the same loop is right with them, as it is with every encoder by default (thread_type SLICE), or with
#   from_ndarray, which copies.
# Output: for each encoder how many of 12 frames are what was encoded; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 numpy
SVT_LOG=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, COUNT = 1280, 720, 12


def right(codec, pixel_format, threads, make):
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, pixel_format
    encoder.time_base, encoder.framerate = Fraction(1, 25), 25
    encoder.thread_type = threads
    encoder.thread_count = 4
    if codec == "libx264":
        encoder.options = {"preset": "ultrafast"}
    shape = (HEIGHT, WIDTH, 3) if pixel_format == "rgb24" else (HEIGHT * 3 // 2, WIDTH)
    buffer = np.zeros(shape, np.uint8)
    packets = []
    for number in range(COUNT):
        buffer[:HEIGHT] = 20 + 18 * number
        if pixel_format != "rgb24":
            buffer[HEIGHT:] = 128
        frame = make(buffer, format=pixel_format)
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create({"libx264": "h264"}.get(codec, codec), "r")
    decoder.width, decoder.height, decoder.pix_fmt = WIDTH, HEIGHT, pixel_format
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    values = [int(np.frombuffer(frame.planes[0], np.uint8)[: WIDTH // 2].mean().round()) for frame in frames]
    return sum(abs(value - 20 - 18 * number) <= 2 for number, value in enumerate(values))


shared, copied = av.VideoFrame.from_numpy_buffer, av.VideoFrame.from_ndarray
changed = False
for codec, pixel_format, refers in (
    ("png", "rgb24", True),
    ("tiff", "rgb24", True),
    ("qoi", "rgb24", True),
    ("ffvhuff", "yuv420p", True),
    ("libx264", "yuv420p", False),
    ("ffv1", "yuv420p", False),
):
    auto, by_default, by_copy = (
        right(codec, pixel_format, threads, make)
        for threads, make in (("AUTO", shared), ("SLICE", shared), ("AUTO", copied))
    )
    print(f"{codec}: {auto} of {COUNT} with AUTO, {by_default} with SLICE, {by_copy} with AUTO and a copy of the buffer")
    changed |= (auto < COUNT) != refers or by_default < COUNT or by_copy < COUNT
sys.exit(changed)
PYTHON
