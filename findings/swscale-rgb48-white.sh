#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 (libswscale) of its wheel.
# Behaviour: between YUV of 10 bits and RGB of 16 (rgb48, bgr48, gbrp16), white is not 65535. Limited YUV gives 65283 for it,
#   full-range YUV 65472; on the way back 65280 is taken for white, whatever the range, and 65535 of limited YUV comes out
#   above white (943 instead of 940). RGB of 10 or 16 bits becomes 65535 as it should. So pictures of 16 bits that are
#   made of a video are 0.4 % too dark, and full-range YUV does not survive the way to RGB of 16 bits and back, although that
#   has 64 times as many levels: most codes change, by up to 3.
# Output: what white becomes, and the largest error of all codes after the way there and back; the exit code is 1 where that
#   has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
LIMITED, FULL, WIDTH, HEIGHT = 1, 2, 1024, 16


def grey(codes, color_range):
    """yuv420p10le whose luma goes through the codes from left to right."""
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le")
    frame.color_range = color_range
    for plane, values in zip(frame.planes, (codes, 512, 512)):
        lines = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        lines[:, : plane.width] = values
        plane.update(lines.tobytes())
    return frame


def to_rgb(frame):
    return VideoReformatter().reformat(
        frame, WIDTH, HEIGHT, format="rgb48le", src_colorspace=1, interpolation=EXACT
    ).to_ndarray()


def to_yuv(image, color_range):
    frame = av.VideoFrame.from_ndarray(image, format="rgb48le")
    back = VideoReformatter().reformat(
        frame, format="yuv420p10le", dst_colorspace=1, dst_color_range=color_range, interpolation=EXACT
    )
    return np.frombuffer(back.planes[0], np.uint16).reshape(HEIGHT, -1)[0, :WIDTH].astype(int)


found = {}
for name, color_range, low, high in (("limited", LIMITED, 64, 940), ("full", FULL, 0, 1023)):
    codes = np.rint(np.linspace(low, high, WIDTH)).astype(int)
    image = to_rgb(grey(codes, color_range))
    errors = np.abs(to_yuv(image, color_range) - codes)
    white = to_yuv(np.full((HEIGHT, WIDTH, 3), 65535, np.uint16), color_range)[0]
    found[name] = int(image[0, -1, 0]), int(white), int(errors.max())
    print(f"{name}: code {high} becomes {found[name][0]}, 65535 becomes code {white}; "
          f"there and back, {np.count_nonzero(errors)} of {WIDTH} columns change, by {errors.max()} at most")
ten = av.VideoFrame(WIDTH, HEIGHT, "gbrp10le")
for plane in ten.planes:
    plane.update(np.full((plane.height, plane.line_size // 2), 1023, np.uint16).tobytes())
found["rgb"] = int(VideoReformatter().reformat(ten, format="rgb48le").to_ndarray()[0, 0, 0])
print(f"gbrp10le: code 1023 becomes {found['rgb']}")
sys.exit(found != {"limited": (65283, 943, 0), "full": (65472, 1023, 3), "rgb": 65535})
PYTHON
