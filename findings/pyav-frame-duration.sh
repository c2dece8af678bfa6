#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 of its wheel.
# Behaviour: `duration` of a frame that is encoded counts for nothing: packets come out with a duration of 0, and the last frame
#   of a video of changing rate, such as the last slide, or a GIF's, lasts for 1/rate. The flag that is for this,
#   `codec_context.flags |= Flags.frame_duration`, does not settle it: SVT-AV1 ignores it; and with the B-frames that x264
#   makes by default, MP4 takes the duration of the last packet in decoding order, which is another frame's. Matroska is right,
#   and so is MP4 without B-frames.
# Output: seconds of a video of four frames, 0.1 + 0.1 + 0.1 + 3; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 numpy
cd "$folder"
SVT_LOG=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np
from av.codec.context import Flags

BASE = Fraction(1, 1000)
FRAMES = [(0, 100), (100, 100), (200, 100), (300, 3000)]


def seconds(codec, name, flags, b_frames=None):
    with av.open(name, "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        context = stream.codec_context
        context.time_base = BASE
        if flags:
            context.flags |= flags
        if b_frames is not None:
            context.max_b_frames = b_frames
        packets = []
        for number, (pts, duration) in enumerate(FRAMES):
            image = np.full((192, 320, 3), 40 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.duration, frame.time_base = pts, duration, BASE
            packets += stream.encode(frame)
        packets += stream.encode(None)
        durations = sorted((packet.pts, packet.duration) for packet in packets)
        container.mux(packets)
    with av.open(name) as container:
        length = container.duration / av.time_base
    print(f"{codec} in {name[2:]}, {'flag' if flags else 'no flag'}{', no B-frames' if b_frames == 0 else ''}: {length} s, "
          f"durations of the packets {[duration for _, duration in durations]}")
    return round(length, 1)


found = {}
for codec in ("libx264", "libvpx-vp9", "libsvtav1"):
    for name in ("a.mp4", "a.mkv"):
        for flags in (None, Flags.frame_duration):
            found[codec, name, bool(flags)] = seconds(codec, name, flags)
whole = seconds("libx264", "a.mp4", Flags.frame_duration, 0)
expected = {key: 0.3 for key in found} | {
    ("libx264", "a.mp4", True): 0.4,
    ("libx264", "a.mkv", True): 3.3,
    ("libvpx-vp9", "a.mp4", True): 3.3,
    ("libvpx-vp9", "a.mkv", True): 3.3,
}
sys.exit(found != expected or whole != 3.3)
PYTHON
