"""Contact sheets: one image in many styles, with their names."""

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
"""The long side of each painting on the sheet, in pixels."""
PAINTED = 800
"""The long side at which it is painted, if the image has as many pixels: brush strokes look as they do in a video."""
NARROWEST = 200
"""Least width of a column, in pixels, so that names can be read under a narrow image."""
GAP = 16
LABEL = 36
"""Height of a name, in pixels."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.7
PAPER = 255
INK = (40, 40, 40)
SHAPE = 1.5
"""A sheet is about so many times as wide as it is high."""


def contact_sheet(image: BgrImage, name: str, styles: Iterable[Style], look: Look, stylizer: Stylizer) -> BgrImage:
    """Contact sheet of an image in many styles: the image itself, then each painting, in rows, with names.

    Args:
        image: uint8 [H, W, 3] BGR, of any size.
        name: of the image.
        styles: of the stylizer's model.
        look: how to paint; each of the styles takes the place of its own.
        stylizer: model and device.

    Returns:
        uint8 [H, W, 3] BGR.

    Raises:
        StyleError: the colours of a preset or a mix are to be matched.
    """
    image = shrink_to_fit(image, (PAINTED, PAINTED))
    tiles, names = [shrink_to_fit(image, (TILE, TILE))], [name]
    for style in styles:
        painted = stylize_image(image, replace(look, style=style), stylizer)
        tiles.append(shrink_to_fit(painted, (TILE, TILE)))
        names.append(style.name)
    return _lay_out(tiles, names)


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
    """A name in characters that OpenCV can draw, its middle left out where it is wider than ``room`` pixels."""
    # Surrogate escapes: OpenCV aborts the process on a file name of undecodable bytes.
    text = "".join(c if c.isprintable() else "\ufffd" for c in unicodedata.normalize("NFC", name))
    shorter, kept = text, len(text) // 2
    while kept and cv2.getTextSize(shorter, FONT, FONT_SCALE, 1)[0][0] > room:
        shorter, kept = f"{text[:kept]}...{text[-kept:]}", kept - 1
    return shorter
