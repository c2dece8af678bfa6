#!/usr/bin/env bash
# Software: OpenCV 5.0.0 (opencv-python-headless 5.0.0.93) with its FFmpeg 8, and OpenCV 4.12.0 with its FFmpeg 5; PyAV 18.1.0.
# Behaviour: with FFmpeg 8, as its wheels have it from 4.13 on, cv2.VideoCapture converts colours by the tags of a video. Of HDR
#   (PQ), what is brighter than 203 nits, the white of paper, comes out as 255: highlights are clipped, not tone-mapped.
#   BT.2020 without HDR is brought to the primaries of BT.709, and strong colours are clipped too. OpenCV 4.12 gives the code
#   values as they are, and so does PyAV, with FFmpeg 8 as well. So a tone mapping of one's own is applied to what was mapped
#   before, and highlights are gone before anything can be done about it; a network sees other colours than it was trained on.
# Output: RGB of grey steps and of an orange by each of them; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$version"
    "$version/bin/pip" --quiet --disable-pip-version-check install "opencv-python-headless==$version" av==18.1.0
done
cat > make.py <<'PYTHON'
import av
import numpy as np

GREYS = (64, 350, 573, 720, 940)  # Of 10 bits; 573 is 203 nits in PQ.
ORANGE = (600, 330, 700)
for name, transfer in (("pq", 16), ("sdr", 14)):
    with av.open(f"{name}.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        for number in range(3):
            frame = av.VideoFrame(192, 64, "yuv420p10le")
            for index, plane in enumerate(frame.planes):
                columns = np.repeat([*(GREYS if index == 0 else [512] * 5), ORANGE[index]], plane.width // 6)
                lines = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                lines[:, : plane.width] = columns
                plane.update(lines.tobytes())
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
PYTHON
cat > read.py <<'PYTHON'
import sys

import av
import cv2
import numpy as np

for name in ("pq", "sdr"):
    image = cv2.VideoCapture(f"{name}.mkv", cv2.CAP_FFMPEG).read()[1][:, :, ::-1]
    with av.open(f"{name}.mkv") as container:
        frame = next(container.decode(video=0))
        assert (int(frame.color_primaries), int(frame.colorspace)) == (9, 9)
        codes = frame.to_ndarray(format="rgb24")
    for by, pixels in ((f"OpenCV {cv2.__version__}", image), ("PyAV", codes)):
        row = pixels[32, 16::32].astype(int)
        print(f"{name} by {by}: greys {row[:5, 1].tolist()}, orange {row[5].tolist()}")
    greys, orange = (np.abs(image[32, 16::32].astype(int) - codes[32, 16::32])[part].max() for part in (slice(5), 5))
    if cv2.__version__.startswith("4"):
        expected = greys <= 3 and orange <= 8
    elif name == "pq":
        expected = image[32, 16 + 2 * 32, 1] >= 253 and image[32, 16 + 3 * 32, 1] == 255 and codes[32, 16 + 2 * 32, 1] < 160
    else:
        expected = greys <= 4 and orange > 15
    if not expected:
        sys.exit(1)
PYTHON
5.0.0.93/bin/python make.py
4.12.0.88/bin/python read.py
5.0.0.93/bin/python read.py
