#!/usr/bin/env bash
# Software: PyAV 18.1.0 with its FFmpeg 8.1, OpenCV 5.0.0 (opencv-python-headless 5.0.0.93), ffmpeg of the system.
# Behaviour: an MP4 whose display matrix mirrors it left and right, as ffmpeg's option -display_hflip makes one, is "turned by 180
#   degrees" for PyAV (`frame.rotation`), and for cv2.VideoCapture, which turns it at once: the picture stands on its head.
#   Where the matrix mirrors top and bottom, the rotation is 0, and the picture comes as it is stored, on its head too. A
#   mirror has no angle; the ffmpeg command takes the whole matrix, and shows both as they should be.
# Output: rotation, and where the white corner of the picture comes out; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 "opencv-python-headless==5.0.0.93" numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import struct
import subprocess
import sys

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 160, 96
image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
image[:32, :48] = 255
with av.open("plain.mp4", "w") as container:
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    for _ in range(3):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    container.mux(stream.encode(None))
data = open("plain.mp4", "rb").read()
at = data.index(b"tkhd") + 44


def corner(pixels):
    bright = {
        f"{vertical} {across}": float(pixels[rows, columns].mean())
        for vertical, rows in (("top", slice(0, 20)), ("bottom", slice(-20, None)))
        for across, columns in (("left", slice(0, 20)), ("right", slice(-20, None)))
    }
    return max(bright, key=bright.get)


found = {}
for name, (a, d, x, y) in {
    "plain": (1, 1, 0, 0),
    "mirrored left and right": (-1, 1, WIDTH, 0),
    "mirrored top and bottom": (1, -1, 0, HEIGHT),
    "turned by 180": (-1, -1, WIDTH, HEIGHT),
}.items():
    matrix = struct.pack(">9i", a << 16, 0, 0, 0, d << 16, 0, x << 16, y << 16, 1 << 30)
    with open("turned.mp4", "wb") as file:
        file.write(data[:at] + matrix + data[at + 36 :])
    with av.open("turned.mp4") as container:
        rotation = abs(next(container.decode(video=0)).rotation)
    capture = corner(cv2.VideoCapture("turned.mp4", cv2.CAP_FFMPEG).read()[1])
    command = "ffmpeg -v error -i turned.mp4 -frames:v 1 -f rawvideo -pix_fmt rgb24 -"
    raw = subprocess.run(command.split(), capture_output=True, check=True).stdout
    shown = corner(np.frombuffer(raw, np.uint8).reshape(HEIGHT, WIDTH, 3))
    found[name] = rotation, capture, shown
    print(f"{name}: rotation {rotation:.0f} in PyAV; the corner is {capture} in OpenCV, {shown} in ffmpeg")
sys.exit(
    found
    != {
        "plain": (0, "top left", "top left"),
        "mirrored left and right": (180, "bottom right", "top right"),
        "mirrored top and bottom": (0, "top left", "bottom left"),
        "turned by 180": (180, "bottom right", "bottom right"),
    }
)
PYTHON
