"""Make docs/presets.jpg: a frame of the bundled clip in all presets of the default model.

python docs/make_presets_picture.py docs/presets.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from livestyle import StyleLibrary, Stylizer
from livestyle.media.pictures import write_picture
from livestyle.model import package_folder

COLUMNS = 7
TILE = (256, 144)
SECONDS = 3.0


def label(tile: np.ndarray, text: str) -> np.ndarray:
    """The tile with a name in its lower left corner."""
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    bottom = tile.shape[0]
    cv2.rectangle(tile, (0, bottom - height - base - 6), (width + 10, bottom), (0, 0, 0), -1)
    cv2.putText(tile, text, (5, bottom - base - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def main() -> None:
    """Write the picture to the path on the command line."""
    capture = cv2.VideoCapture(str(package_folder("assets") / "demo.mp4"))
    capture.set(cv2.CAP_PROP_POS_MSEC, SECONDS * 1000)
    fine, frame = capture.read()
    assert fine
    stylizer = Stylizer(device="cpu")
    presets = StyleLibrary(stylizer).presets.values()
    pictures = [("the frame", frame), *((style.name, stylizer.stylize(frame, style.stats)) for style in presets)]
    tiles = [label(cv2.resize(image, TILE, interpolation=cv2.INTER_AREA), name) for name, image in pictures]
    while len(tiles) % COLUMNS:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    write_picture(Path(sys.argv[1]), np.vstack(rows))


if __name__ == "__main__":
    main()
