#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 of its wheel.
# Behaviour: the sample aspect ratio that is set for an encoder (`stream.codec_context.sample_aspect_ratio`) reaches MP4
#   for every codec, but Matroska and WebM for none: FFmpeg's muxer takes DisplayWidth from the stream's own field, which
#   PyAV neither copies nor lets anybody set. H.264 looks right all the same, since its bitstream carries the ratio; VP9 and
#   AV1 do not, so that an anamorphic video comes out thin, with no error or warning.
# Output: the aspect ratio that is read back of each codec and container; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

ASPECT = Fraction(64, 45)
found = {}
for codec in ("libx264", "libvpx-vp9", "libsvtav1"):
    for name in ("a.mp4", "a.mkv", *(["a.webm"] if codec != "libx264" else [])):
        with av.open(name, "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            stream.codec_context.sample_aspect_ratio = ASPECT
            for _ in range(3):
                frame = av.VideoFrame.from_ndarray(np.zeros((96, 160, 3), np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with av.open(name) as container:
            found[codec, name] = container.streams.video[0].sample_aspect_ratio or Fraction(1)
        with open(name, "rb") as file:
            has_display_size = b"\x54\xb0" in file.read(1000)
        print(f"{codec} in {name[2:]}: {found[codec, name]}" + (", DisplayWidth is written" if has_display_size else ""))
expected = {key: ASPECT if key[0] == "libx264" or key[1] == "a.mp4" else 1 for key in found}
sys.exit(found != expected)
PYTHON
