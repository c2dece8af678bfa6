#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 and the libx265 of its wheel.
# Behaviour: the decoding timestamps that libx265 gives a stream of one or two frames mean nothing, with B-frames as by default: they are no
#   multiples of the frame's duration, lie years before or behind the presentation timestamps, and differ from run to run. From
#   three frames on they are right. Muxers refuse packets whose decoding timestamp is behind the presentation timestamp
#   (MP4: "pts (0) < dts (16)", "Invalid argument"), so that a clip of one or two frames, or a last segment of so many,
#   fails now and then. With bframes=0, or where decoding timestamps are set to those of presentation, all is well.
# Output: for each number of frames the timestamps of one run; the exit code is 1 where all are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

TICKS = 40


def stamps(count, more=""):
    """Presentation and decoding timestamps of an encoded stream, in milliseconds."""
    context = av.CodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt = 320, 192, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 1000), Fraction(25)
    context.options = {"preset": "veryfast", "x265-params": "log-level=error" + more}
    packets = []
    for number in range(count):
        image = np.full((192, 320, 3), 20 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.duration, frame.time_base = number * TICKS, TICKS, Fraction(1, 1000)
        packets += context.encode(frame)
    return [(packet.pts, packet.dts) for packet in [*packets, *context.encode(None)]]


def are_right(found):
    return all(pts - 4 * TICKS <= dts <= pts and dts % TICKS == 0 for pts, dts in found)


wrong = {}
for count in (1, 2, 3, 4):
    runs = [stamps(count) for _ in range(5)]
    wrong[count] = sum(not are_right(run) for run in runs)
    print(f"{count} frames: wrong in {wrong[count]} of {len(runs)} runs, such as {runs[0]}")
plain = stamps(2, ":bframes=0")
print(f"2 frames without B-frames: {plain}")
sys.exit(not (wrong[1] + wrong[2] and not wrong[3] and not wrong[4] and are_right(plain)))
PYTHON
