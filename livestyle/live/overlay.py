"""Overlay of the window: styles, notices, help and figures, drawn over the painting on the screen only."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
READABLE_SIDE = 360
"""Short side in pixels to which a smaller image is enlarged before anything is written on it."""
LINE_SHARE = 1 / 20
"""Height of a line of text, as a share of the image's short side."""
TEXT_SHARE = 0.66
"""Height of a letter with an accent, without its descender, as a share of its line."""
SHADE = 0.25
"""Share of the image that shines through behind text."""
MOST_COLUMNS = 3
COLUMN_GAP = 1.5
"""Gap between two columns, in heights of a line."""
THUMBNAIL_SIDE = 2.5
"""Side of a thumbnail, in heights of a line."""
WARNING_LINES = 3
"""Lines of a warning at most."""
KEYS = 9
"""Styles that have a number key."""
WHITE = (255, 255, 255)
YELLOW = (120, 225, 255)
RED = (60, 60, 235)
DARK_RED = (20, 20, 150)
GREY = (32, 32, 32)
TILE = (72, 72, 72)
LIGHT_GREY = (210, 210, 210)

Color = tuple[int, int, int]
Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A style in the strip; two are equal when they have the same name and the same image object.

    Attributes:
        name: of the style; its first letters stand in for an image.
        image: uint8 [S, S, 3] BGR, or None.
    """

    name: str
    image: np.ndarray | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thumbnail) and self.name == other.name and self.image is other.image

    def __hash__(self) -> int:
        return hash((self.name, id(self.image)))


@dataclass(frozen=True)
class Overlay:
    """Contents of the overlay.

    Attributes:
        caption: bottom left, the style.
        strip: above it, the styles; as many as fit, so that the current one is among them.
        current: index of the current style in the strip; -1 where it is not in it.
        notice: above that, what has just happened.
        warning: at the top, what is wrong for as long as it is.
        recording: top right beside a red dot, such as ``REC 0:12``.
        help: keys and what they do; top left, in as many columns as make it largest.
        figures: names and values, after the help.
    """

    caption: str = ""
    strip: tuple[Thumbnail, ...] = ()
    current: int = 0
    notice: str = ""
    warning: str = ""
    recording: str = ""
    help: Rows = ()
    figures: Rows = ()


@dataclass(frozen=True, eq=False)
class _Box:
    """A drawn part of the overlay, cached until it changes: drawing text is slow on large images.

    Attributes:
        pixels: uint8 [H, W, 3] BGR.
        mask: uint8 [H, W], 0 where the darkened image shines through; None makes all of it opaque.
    """

    pixels: np.ndarray
    mask: np.ndarray | None = None

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


def draw(image: np.ndarray, overlay: Overlay) -> np.ndarray:
    """Image with the overlay on it.

    Args:
        image: uint8 [H, W, 3] BGR; it is left as it is.
        overlay: what to draw.

    Returns:
        uint8 [H, W, 3] BGR, enlarged where ``image`` is small; ``image`` itself where nothing is drawn on a large one.
    """
    height, width = image.shape[:2]
    factor = READABLE_SIDE / min(height, width)
    if factor > 1:
        # Even with nothing to draw: the window would interpolate otherwise, so that the image would jump.
        image = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_LINEAR)
        height, width = image.shape[:2]
    elif overlay == Overlay(current=overlay.current):
        return image
    else:
        image = image.copy()
    line = min(height, width) * LINE_SHARE
    margin, gap = round(line / 2), round(line / 4)
    room = width - 2 * margin
    below = []
    if overlay.caption:
        below.append(_label(overlay.caption, WHITE, line, room))
    if overlay.strip:
        below.append(_strip(overlay.strip, overlay.current, line, room))
    if overlay.notice:
        below.append(_label(overlay.notice, YELLOW, line, room))
    bottom = height - margin
    for box in below:
        bottom -= box.height
        _put(image, box, margin, bottom)
        bottom -= gap
    top, beside = margin, room
    if overlay.recording:
        box = _badge(overlay.recording, line, room)
        _put(image, box, width - margin - box.width, margin)
        top, beside = margin + box.height + gap, room - box.width - gap
    if overlay.warning:
        box = _warning(overlay.warning, line, beside)
        _put(image, box, min((width - box.width) // 2, margin + beside - box.width), margin)
        top = max(top, margin + box.height + gap)
    if overlay.help or overlay.figures:
        _put(image, _panel(overlay.help, overlay.figures, line, room, bottom - top), margin, top)
    return image


def _put(image: np.ndarray, box: _Box, left: int, top: int) -> None:
    area = image[top : top + box.height, left : left + box.width]
    if box.mask is None:
        area[:] = box.pixels
    else:
        cv2.convertScaleAbs(area, area, SHADE)
        cv2.copyTo(box.pixels, box.mask, area)


@lru_cache(maxsize=8)
def _label(text: str, color: Color, line: float, room: int) -> _Box:
    """One line of text, at most ``room`` pixels wide, see `_shorten`."""
    text = _shorten(_clean(text), line, room - round(line))
    pixels = _black(_text_width(text, line) + round(line), round(line * 1.5))
    _write(pixels, text, round(line / 2), line, line, color)
    return _shaded(pixels)


@lru_cache(maxsize=2)
def _badge(text: str, line: float, room: int) -> _Box:
    dot = round(line * 1.2)
    text = _shorten(_clean(text), line, room - dot - round(line))
    pixels = _black(_text_width(text, line) + dot + round(line), round(line * 1.5))
    cv2.circle(pixels, (round(line), round(line * 0.75)), round(line * 0.35), RED, -1, cv2.LINE_AA)
    _write(pixels, text, round(line / 2) + dot, line, line, WHITE)
    return _shaded(pixels)


@lru_cache(maxsize=2)
def _warning(text: str, line: float, room: int) -> _Box:
    rows = _wrap(_clean(text), line, room - 2 * round(line))
    widths = [_text_width(row, line) for row in rows]
    pixels = _black(max(widths) + 2 * round(line), round(line * (len(rows) + 0.9)))
    pixels[:] = DARK_RED
    border = max(1, round(line / 9))
    cv2.rectangle(pixels, (0, 0), (pixels.shape[1] - 1, pixels.shape[0] - 1), RED, 2 * border - 1)
    for number, (row, width) in enumerate(zip(rows, widths, strict=True)):
        _write(pixels, row, (pixels.shape[1] - width) // 2, line * (number + 1.2), line, WHITE)
    return _Box(pixels)


@lru_cache(maxsize=1)
def _panel(first: Rows, second: Rows, line: float, room: int, tall: int) -> _Box:
    """Rows in the number of columns that makes them largest within ``room`` x ``tall`` pixels and the usual size."""
    between = (("", ""),) if first and second else ()
    rows = [(_clean(left), _clean(right)) for left, right in (*first, *between, *second)]
    columns, factor = [rows], 0.0
    for count in range(1, MOST_COLUMNS + 1):
        length = -(-len(rows) // count)
        split = [rows[start : start + length] for start in range(0, len(rows), length)]
        width, height = _panel_size(split, line)
        fits = min(1.0, room / width, tall / height)
        if fits > factor:
            columns, factor = split, fits
    line *= factor
    while _panel_size(columns, line)[0] > room:
        # The width of text is not quite proportional to its scale.
        line *= 0.99
    width, height = _panel_size(columns, line)
    pixels = _black(width, height)
    left = line / 2
    for column in columns:
        keys, texts = _column_widths(column, line)
        for number, (key, text) in enumerate(column):
            _write(pixels, key, round(left), line * (number + 1), line, YELLOW)
            _write(pixels, text, round(left) + keys, line * (number + 1), line, WHITE)
        left += keys + texts + line * COLUMN_GAP
    return _shaded(pixels)


def _panel_size(columns: list[list[tuple[str, str]]], line: float) -> tuple[int, int]:
    widths = sum(sum(_column_widths(column, line)) for column in columns)
    gaps = round(line * (1 + COLUMN_GAP * (len(columns) - 1))) + 1
    return widths + gaps, int(line * (len(columns[0]) + 0.5))


def _column_widths(rows: list[tuple[str, str]], line: float) -> tuple[int, int]:
    keys = max(_text_width(key, line) for key, _ in rows)
    return keys + round(line * 0.7), max(_text_width(text, line) for _, text in rows)


def _strip(styles: tuple[Thumbnail, ...], current: int, line: float, room: int) -> _Box:
    """The thumbnails that fit, so that the current one is among them."""
    pitch, end = _thumbnail_side(line) + round(line / 4), round(line)
    count = (room - round(line / 4)) // pitch
    if count >= len(styles):
        return _strip_box(styles, 0, current, (False, False), line)
    count = (room - round(line / 4) - 2 * end) // pitch
    first = min(max(0, current - count // 2), len(styles) - count)
    more = (first > 0, first + count < len(styles))
    return _strip_box(styles[first : first + count], first, current, more, line)


@lru_cache(maxsize=1)
def _strip_box(styles: tuple[Thumbnail, ...], first: int, current: int, more: tuple[bool, bool], line: float) -> _Box:
    side, gap = _thumbnail_side(line), round(line / 4)
    end = round(line) if any(more) else 0
    pixels = _black(len(styles) * (side + gap) + gap + 2 * end, side + 2 * gap)
    pixels[:] = GREY
    for place, style in enumerate(styles):
        number, left = first + place, end + gap + place * (side + gap)
        if number == current:
            frame = gap - 1
            pixels[gap - frame : gap + side + frame, left - frame : left + side + frame] = YELLOW
        tile = pixels[gap : gap + side, left : left + side]
        if style.image is None:
            tile[:] = TILE
            letters = _clean(style.name)[:2]
            _write(tile, letters, (side - _text_width(letters, line)) // 2, side / 2, line, LIGHT_GREY)
        else:
            shrinks = side < style.image.shape[0]
            cv2.resize(style.image, (side, side), tile, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        if number < KEYS:
            text = str(number + 1)
            width, height = _text_width(text, line) + round(line / 3), round(line)
            tile[side - height :, :width] = YELLOW if number == current else GREY
            color = GREY if number == current else WHITE
            _write(tile, text, round(line / 6), side - line * 0.2, line, color)
    _arrows(pixels, end, more)
    return _Box(pixels)


def _thumbnail_side(line: float) -> int:
    return round(line * THUMBNAIL_SIDE)


def _arrows(pixels: np.ndarray, end: int, more: tuple[bool, bool]) -> None:
    """Triangles at those ends beyond which there are more styles."""
    height, width = pixels.shape[:2]
    for shown, tip, base in zip(more, (end // 4, width - end // 4), (end * 3 // 4, width - end * 3 // 4), strict=True):
        if shown:
            corners = [(tip, height // 2), (base, height // 2 - end // 2), (base, height // 2 + end // 2)]
            cv2.fillConvexPoly(pixels, np.array(corners), WHITE, cv2.LINE_AA)


def _black(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def _shaded(pixels: np.ndarray) -> _Box:
    return _Box(pixels, cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))


def _clean(text: str) -> str:
    """Text that OpenCV can draw: composed accents (NFC), and no surrogate, which would abort the process."""
    text = unicodedata.normalize("NFC", text)
    return "".join(" " if c.isspace() else c if c.isprintable() else "\ufffd" for c in text)


def _write(pixels: np.ndarray, text: str, left: int, bottom: float, line: float, color: Color) -> None:
    cv2.putText(pixels, text, (left, round(bottom)), FONT, _scale(line), color, 1, cv2.LINE_AA)


@lru_cache(maxsize=8)
def _scale(line: float) -> float:
    """OpenCV's font scale for a line of this height in pixels."""
    return line * TEXT_SHARE / cv2.getTextSize("Hg", FONT, 1.0, 1)[0][1]


def _text_width(text: str, line: float) -> int:
    return int(cv2.getTextSize(text, FONT, _scale(line), 1)[0][0])


def _shorten(text: str, line: float, room: int) -> str:
    """The text, with an ellipsis in its middle where it is wider than ``room`` pixels."""
    if _text_width(text, line) <= room:
        return text
    for kept in range(len(text) // 2, 0, -1):
        shorter = f"{text[:kept]}...{text[-kept:]}"
        if _text_width(shorter, line) <= room:
            return shorter
    return "..."


def _wrap(text: str, line: float, room: int) -> list[str]:
    """The text in rows of whole words, `WARNING_LINES` at most."""
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and (len(rows) == WARNING_LINES or _text_width(longer, line) <= room):
            rows[-1] = longer
        else:
            rows.append(word)
    return [_shorten(row, line, room) for row in rows]
