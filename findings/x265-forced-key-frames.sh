#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 of its wheel and its libx264, libx265, libvpx and SVT-AV1.
# Behaviour: who cuts a stream into segments asks for key frames by `frame.pict_type = I`, and gets them from x264, VP9, AV1 and
#   MPEG-4. From x265 comes an ordinary I picture, inside an open group: the packet is no key frame, no segment can begin there,
#   and MP4 lists none to seek to. With the option forced-idr=1, which x264 has as well and does not need, it is one.
# Output: the key frames of 40 frames where those after 10, 20 and 30 were asked for; the exit code is 1 where that has changed.
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
from av.video.frame import PictureType

ASKED = [0, 10, 20, 30]
QUIET = {"x265-params": "log-level=error"}
picture = np.random.default_rng(0).integers(0, 255, (192, 320, 3), np.uint8)


def key_frames(codec, options):
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 192, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, 25), 25, 250
    encoder.options = options
    packets = []
    for number in range(40):
        image = np.roll(picture, number, axis=1)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.pict_type = number, PictureType.I if number in ASKED else PictureType.NONE
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    found = [packet.pts for packet in packets if packet.is_keyframe]
    print(f"{codec}{', forced-idr=1' if 'forced-idr' in options else ''}: {found}")
    return found


others = [key_frames(codec, {}) for codec in ("libx264", "libvpx-vp9", "libsvtav1", "mpeg4")]
plain, forced = key_frames("libx265", QUIET), key_frames("libx265", {**QUIET, "forced-idr": "1"})
sys.exit(any(found != ASKED for found in [*others, forced]) or len(plain) > 2)
PYTHON
