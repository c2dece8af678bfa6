"""Contact sheet: thumbnails of one image in many styles, with their names."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from livestyle.media.resize import shrink_to_fit

from .image import stylize_image

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage
    from livestyle.render.look import Look
    from livestyle.styles.library import Style

TILE = 400
"""Long side of each painting on the sheet, in pixels."""
PAINTED = 800
"""Long side at which it is rendered, unless the image is smaller: brush strokes then look as they do in a video."""
NARROWEST = 200
"""Minimum width of a column, in pixels, so that names under a narrow image are legible."""
GAP = 16
"""Margin between tiles and around them, in pixels."""
LABEL = 36
"""Height of the label under a tile, in pixels."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.7
PAPER = 255
"""Grey level of the background."""
INK = (40, 40, 40)
"""Colour of the labels, BGR."""
SHAPE = 1.5
"""Target aspect ratio of a sheet, width / height."""


def contact_sheet(image: BgrImage, name: str, styles: Iterable[Style], look: Look, stylizer: Stylizer) -> BgrImage:
    """Contact sheet of an image in many styles: the image itself, then each painting, in rows, with names.

    Args:
        image: uint8 [H, W, 3] BGR, of any size.
        name: of the image.
        styles: of the stylizer's model.
        look: everything but the style, which is replaced by each of ``styles``.
        stylizer: model and device.

    Returns:
        uint8 [H, W, 3] BGR.

    Raises:
        StyleError: colours are to be matched, and a style has no image (a preset of the model, a mix).
    """
    image = shrink_to_fit(image, (PAINTED, PAINTED))
    tiles, names = [shrink_to_fit(image, (TILE, TILE))], [name]
    for style in styles:
        painted = stylize_image(image, replace(look, style=style), stylizer)
        tiles.append(shrink_to_fit(painted, (TILE, TILE)))
        names.append(style.name)
    return _lay_out(tiles, names)


def _lay_out(tiles: list[BgrImage], names: list[str]) -> BgrImage:
    high, wide = tiles[0].shape[:2]
    column, row = max(wide, NARROWEST) + GAP, high + LABEL + GAP
    columns = min(len(tiles), max(1, round(math.sqrt(len(tiles) * SHAPE * row / column))))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * row + GAP, columns * column + GAP, 3), PAPER, np.uint8)
    for place, (tile, name) in enumerate(zip(tiles, names, strict=True)):
        top, left = GAP + place // columns * row, GAP + place % columns * column
        sheet[top : top + high, left : left + wide] = tile
        text = _fit(name, column - GAP)
        cv2.putText(sheet, text, (left, top + high + LABEL - 12), FONT, FONT_SCALE, INK, 1, cv2.LINE_AA)
    return sheet


def _fit(name: str, room: int) -> str:
    """Label in characters that OpenCV can draw, shortened in its middle where it is wider than ``room`` pixels."""
    # Surrogate escapes: OpenCV aborts the process on a file name of undecodable bytes.
    text = "".join(c if c.isprintable() else "\ufffd" for c in unicodedata.normalize("NFC", name))
    shorter, kept = text, len(text) // 2
    while kept and cv2.getTextSize(shorter, FONT, FONT_SCALE, 1)[0][0] > room:
        shorter, kept = f"{text[:kept]}...{text[-kept:]}", kept - 1
    return shorter
