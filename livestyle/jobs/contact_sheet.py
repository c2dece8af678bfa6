"""A contact sheet: one picture in many styles, with their names."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from livestyle.engine.stylizer import check_strength
from livestyle.render.color import keep_colors
from livestyle.render.still import paint_picture

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.styles.library import Style

TILE = 400
"""The long side of each painting on the sheet, in pixels."""
PAINTED = 800
"""The long side at which it is painted, if the picture has as many pixels: brush strokes look as they do in a video."""
NARROWEST = 200
"""Of a column, in pixels, so that names can be read under a narrow picture."""
GAP = 16
LABEL = 36
"""Height of a name, in pixels."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.7
PAPER = 255
INK = (40, 40, 40)
SHAPE = 1.5
"""A sheet is about so many times as wide as it is high."""


def contact_sheet(
    image: np.ndarray,
    name: str,
    styles: Iterable[Style],
    stylizer: Stylizer,
    strength: float = 1.0,
    *,
    content_colors: bool = False,
) -> np.ndarray:
    """A picture as it is and then in each style, in rows, with the name under each.

    Args:
        image: uint8 [H, W, 3] BGR, of any size.
        name: of the picture.
        styles: of the stylizer's model.
        stylizer: paints.
        strength: 0..1.
        content_colors: the paintings keep the colours of the picture, see `keep_colors`.

    Returns:
        uint8 [H, W, 3] BGR.

    Raises:
        InputError: the strength is out of range.
    """
    check_strength(strength)
    image = _shrink(image, PAINTED)
    tiles, names = [_shrink(image, TILE)], [name]
    for style in styles:
        painted = paint_picture(image, stylizer, style.stats, strength)
        tiles.append(_shrink(keep_colors(image, painted) if content_colors else painted, TILE))
        names.append(style.name)
    return _lay_out(tiles, names)


def _shrink(image: np.ndarray, longest: int) -> np.ndarray:
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _lay_out(tiles: list[np.ndarray], names: list[str]) -> np.ndarray:
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
    """What OpenCV can draw of a name, with its middle left out where it is wider than ``room`` pixels."""
    # A file's name of undecodable bytes would end the process.
    text = "".join(c if c.isprintable() else "\ufffd" for c in unicodedata.normalize("NFC", name))
    shorter, kept = text, len(text) // 2
    while kept and cv2.getTextSize(shorter, FONT, FONT_SCALE, 1)[0][0] > room:
        shorter, kept = f"{text[:kept]}...{text[-kept:]}", kept - 1
    return shorter
