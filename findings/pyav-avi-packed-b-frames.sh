#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 of its wheel.
# Behaviour: in an AVI with the packed bitstream of DivX and XviD (a chunk holds a P- and a B-frame, the next one an empty
#   VOP), frames are decoded in presentation order, but their `pts` goes back at every B-frame: AVI has no presentation
#   timestamps, and FFmpeg's parser guesses them from the first frame of each chunk. The ffmpeg command is right all the
#   same, since it takes `best_effort_timestamp`, which PyAV does not have; whoever sorts by `pts`, or takes a gap for a
#   lost frame, gets a wrong video. `dts` of the frames increases steadily.
# Output: pts and dts of the decoded frames; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np

encoder = av.CodecContext.create("mpeg4", "w")
encoder.width, encoder.height, encoder.pix_fmt = 160, 96, "yuv420p"
encoder.framerate, encoder.time_base = 25, Fraction(1, 25)
encoder.max_b_frames, encoder.gop_size = 1, 100
encoder.options = {"b_strategy": "0", "sc_threshold": "1000000000"}
frames = []
for number in range(21):
    image = np.full((96, 160, 3), 40, np.uint8)
    image[:, 6 * number : 6 * number + 20] = 220
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    frame.pts = number
    frames.append(frame)
coded = [bytes(packet) for frame in [*frames, None] for packet in encoder.encode(frame)]
# In decoding order: I P B P B ... An empty VOP: type P, a time of 5 bits, and the bit vop_coded is 0.
empty = b"\0\0\1\xb6" + int("01" "0" "1" "00000" "1" "0" "01111", 2).to_bytes(2, "big")
mark = b"\0\0\1\xb2DivX503b1393p"
first = coded[0].find(b"\0\0\1\xb6")
chunks = [coded[0][:first] + mark + coded[0][first:]]
for p, b in zip(coded[1::2], coded[2::2]):
    chunks += [p + b, empty]
with av.open("packed.avi", "w") as container:
    stream = container.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    stream.codec_context.codec_tag = "XVID"
    for number, chunk in enumerate(chunks):
        packet = av.Packet(chunk)
        packet.stream, packet.time_base = stream, Fraction(1, 25)
        packet.pts = packet.dts = number
        packet.is_keyframe = number == 0
        container.mux(packet)
with av.open("packed.avi") as container:
    decoded = list(container.decode(video=0))
shown = [(f.pts, f.dts, int((f.to_ndarray(format="gray")[48] > 120).argmax())) for f in decoded]
print("pts:", *(pts for pts, _, _ in shown))
print("dts:", *(dts for _, dts, _ in shown))
print("left edge of what moves right:", *(edge for _, _, edge in shown))
moves_right = all(b - a > 2 for (_, _, a), (_, _, b) in pairwise(shown))
goes_back = sum(b <= a for (a, _, _), (b, _, _) in pairwise(shown[:-1]))
steady = all(b > a for (_, a, _), (_, b, _) in pairwise(shown[:-1]))
sys.exit(not (moves_right and goes_back > 5 and steady))
PYTHON
