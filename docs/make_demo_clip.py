"""Makes livestyle/assets/demo.mp4: a slow camera move over the astronaut portrait of scikit-image.

pip install scikit-image
python docs/make_demo_clip.py livestyle/assets/demo.mp4
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, RATE, SECONDS = 640, 360, 25, 6
# Where the camera looks, at equal distances in time: middle x, middle y, width of the window in the 512 x 512 portrait.
# The last leads back to the first, so that the clip can be looped. 420 pixels on 640 is as close as stays sharp.
STATIONS = np.array([(256, 144, 512), (232, 130, 420), (218, 150, 420), (256, 206, 500), (292, 158, 430)], float)


def window(time: float) -> np.ndarray:
    """The camera's window at ``time`` in 0..1: a closed Catmull-Rom curve through the stations."""
    index, part = divmod(time * len(STATIONS), 1)
    a, b, c, d = (STATIONS[(int(index) + k) % len(STATIONS)] for k in (-1, 0, 1, 2))
    curve = b + part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a))) / 2
    width = min(curve[2], 512)
    half = np.array([width, width * HEIGHT / WIDTH]) / 2
    return np.array([*np.clip(curve[:2], half, 512 - half), width])


def shoot(portrait: np.ndarray, time: float) -> np.ndarray:
    """The frame at ``time`` in 0..1, uint8 [360, 640, 3] BGR."""
    x, y, width = window(time)
    scale = width / WIDTH
    # Pixel centres: 0.5 in the frame is where the window begins, plus half a step.
    left, top = x - width / 2 + scale / 2 - 0.5, y - scale * HEIGHT / 2 + scale / 2 - 0.5
    matrix = np.array([[scale, 0, left], [0, scale, top]])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(portrait, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def main(output: Path) -> None:
    portrait = cv2.imread(str(files("skimage") / "data" / "astronaut.png"), cv2.IMREAD_COLOR)
    count = RATE * SECONDS
    with av.open(output, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryslow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(shoot(portrait, number / count), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
