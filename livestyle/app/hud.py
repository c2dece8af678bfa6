"""What is drawn over the picture on the screen, and nowhere else: the style's name, notices, help and figures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
READABLE_SIDE = 360
"""A picture whose short side is smaller is enlarged before anything is written on it, in pixels."""
LINE_SHARE = 1 / 20
"""Height of a line of text, of the picture's short side."""
SHADE = 0.3
"""How much of the picture shines through behind text."""
WHITE = (255, 255, 255)
YELLOW = (120, 225, 255)


@dataclass(frozen=True)
class Overlay:
    """What to draw.

    Attributes:
        caption: bottom left, the style.
        notice: above it, what has just happened.
        help: keys and what they do; top left, with the figures below.
        figures: names and values.
    """

    caption: str = ""
    notice: str = ""
    help: tuple[tuple[str, str], ...] = ()
    figures: tuple[tuple[str, str], ...] = ()


def draw(image: np.ndarray, overlay: Overlay) -> np.ndarray:
    """The picture (uint8 [H, W, 3] BGR) with the overlay on it; ``image`` itself is left as it is."""
    height, width = image.shape[:2]
    factor = READABLE_SIDE / min(height, width)
    if factor > 1:
        image = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_LINEAR)
        height, width = image.shape[:2]
    else:
        image = image.copy()
    line = min(height, width) * LINE_SHARE
    margin = round(line / 2)
    bottom = height - margin
    for text, color in ((overlay.caption, WHITE), (overlay.notice, YELLOW)):
        if text:
            text_fits = _shorten(text, line, width - 4 * margin)
            bottom = (
                _draw_rows(image, [(text_fits, "")], (margin, bottom - round(line * 1.5)), line, color) - margin // 2
            )
    rows = [*overlay.help, *overlay.figures]
    if rows:
        # The whole panel stays on the picture, whatever its shape.
        panel_width, panel_height = _measure(rows, line)
        line *= min(1.0, (width - 2 * margin) / panel_width, (bottom - margin) / panel_height)
        _draw_rows(image, rows, (margin, margin), line, WHITE)
    return image


def _scale(line: float) -> tuple[float, int]:
    """Font scale and thickness for a height of line."""
    scale = line * 0.6 / cv2.getTextSize("Hg", FONT, 1.0, 1)[0][1]
    return scale, max(1, round(line / 18))


def _text_width(text: str, line: float) -> int:
    return cv2.getTextSize(text, FONT, *_scale(line))[0][0]


def _columns(rows: list[tuple[str, str]], line: float) -> tuple[int, int]:
    first = max(_text_width(left, line) for left, _ in rows)
    second = max((_text_width(right, line) for _, right in rows if right), default=0)
    return first + (round(line) if second else 0), second


def _measure(rows: list[tuple[str, str]], line: float) -> tuple[int, int]:
    return sum(_columns(rows, line)) + round(line), round(line * (len(rows) + 0.5))


def _draw_rows(
    image: np.ndarray, rows: list[tuple[str, str]], corner: tuple[int, int], line: float, color: tuple[int, int, int]
) -> int:
    """Draw rows in a box whose top left corner is given as x, y; gives the box's top."""
    left, top = corner
    width, height = _measure(rows, line)
    box = image[top : top + height, left : left + width]
    box[:] = cv2.convertScaleAbs(box, alpha=SHADE)
    scale, thickness = _scale(line)
    second = _columns(rows, line)[0]
    for number, (key, text) in enumerate(rows):
        x, y = left + round(line / 2), top + round(line * (number + 1))
        if text:
            cv2.putText(image, key, (x, y), FONT, scale, YELLOW, thickness, cv2.LINE_AA)
            cv2.putText(image, text, (x + second, y), FONT, scale, color, thickness, cv2.LINE_AA)
        else:
            cv2.putText(image, key, (x, y), FONT, scale, color, thickness, cv2.LINE_AA)
    return top


def _shorten(text: str, line: float, width: int) -> str:
    """The text with its middle left out, so that it is at most ``width`` pixels wide."""
    if _text_width(text, line) <= width:
        return text
    for kept in range(len(text) // 2, 0, -1):
        shorter = f"{text[:kept]}...{text[-kept:]}"
        if _text_width(shorter, line) <= width:
            return shorter
    return "..."
