#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 of its wheel and its libx265 and SVT-AV1.
# Behaviour: frames of an HDR10 video carry the mastering display and the light levels as side data, the tags for PQ and BT.2020
#   come through an encoder, and still the copy has lost both: encoders take them from a field of the codec context
#   (decoded_side_data) that PyAV does not set, not from the frames, from which they take closed captions. No warning. They can
#   be given to x265 and to SVT-AV1 in the encoders' own options only.
# Output: side data of the source and of its copies; the exit code is 1 where the behaviour has changed.
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

DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
WANTED = {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}


def encode(name, codec, options, frames):
    with av.open(name, "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 320, 192, "yuv420p10le", options
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, 25), 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decode(name):
    with av.open(name) as container:
        frames = list(container.decode(video=0))
    side_data = frames[0].side_data
    kinds = {side_data[index].type.name for index in range(len(side_data))} & WANTED
    print(f"{name}: transfer {int(frames[0].color_trc)}, {', '.join(sorted(kinds)) or 'no metadata'}")
    return frames, kinds


grey = [np.full((192, 320, 3), 40 * number, np.uint8) for number in range(6)]
made = [av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p10le") for image in grey]
given = {"x265-params": f"log-level=error:hdr10=1:repeat-headers=1:master-display={DISPLAY}:max-cll=1000,400"}
encode("source.mp4", "libx265", given, made)
found = [decode("source.mp4")[1]]
for name, codec, options in (
    ("hevc.mp4", "libx265", {"x265-params": "log-level=error"}),
    ("hevc.mkv", "libx265", {"x265-params": "log-level=error"}),
    ("av1.mp4", "libsvtav1", {}),
):
    encode(name, codec, options, decode("source.mp4")[0])
    found.append(decode(name)[1])
sys.exit(found != [WANTED, set(), set(), set()])
PYTHON
