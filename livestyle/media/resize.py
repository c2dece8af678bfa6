"""Resampling of images: to a size, into a box, and with letterbox bars."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from livestyle.errors import InputError
from livestyle.limits import LIMITS, check_area, shown

if TYPE_CHECKING:
    from .frames import BgrImage


def resize(image: BgrImage, width: int, height: int) -> BgrImage:
    """Image resampled to a size: by area when it becomes narrower, else bicubic.

    Args:
        image: uint8 [H, W, 3] or [H, W].
        width: of the result, in pixels.
        height: of the result, in pixels.

    Returns:
        uint8 [height, width, 3] or [height, width]; ``image`` itself when it has that size already.
    """
    import cv2

    if image.shape[:2] == (height, width):
        return image
    method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cast("BgrImage", cv2.resize(image, (width, height), interpolation=method))


def fit_size(width: int, height: int, size: tuple[int, int], step: int = 1) -> tuple[int, int]:
    """Largest width and height of the same aspect ratio that fit into a box, each rounded to a multiple of ``step``.

    Args:
        width: of the image, in pixels.
        height: of the image, in pixels.
        size: width and height of the box, in pixels; larger or smaller than the image.
        step: 2 for codecs that need even sizes.
    """
    factor = min(size[0] / width, size[1] / height)
    return max(1, round(width * factor / step)) * step, max(1, round(height * factor / step)) * step


def shrink_to_fit(image: BgrImage, size: tuple[int, int]) -> BgrImage:
    """Image scaled down to fit into a box, width x height in pixels; ``image`` itself when it fits already."""
    height, width = image.shape[:2]
    if width <= size[0] and height <= size[1]:
        return image
    return resize(image, *fit_size(width, height, size))


def fit_into(image: BgrImage, width: int, height: int) -> BgrImage:
    """Image letterboxed to a size: scaled with its aspect ratio kept, centred on black.

    An image that lacks one column or row, as when an odd size was rounded up to an even one, gets a copy of its last
    one instead and is not scaled.

    Args:
        image: uint8 [H, W, 3] BGR.
        width: of the result, in pixels.
        height: of the result, in pixels.

    Returns:
        uint8 [height, width, 3] BGR; ``image`` itself when it has that size already.
    """
    import cv2

    right, below = width - image.shape[1], height - image.shape[0]
    if right == below == 0:
        return image
    if right in (0, 1) and below in (0, 1):
        return cast("BgrImage", cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE))
    image = resize(image, *fit_size(image.shape[1], image.shape[0], (width, height)))
    left, top = (width - image.shape[1]) // 2, (height - image.shape[0]) // 2
    right, below = width - image.shape[1] - left, height - image.shape[0] - top
    return cast("BgrImage", cv2.copyMakeBorder(image, top, below, left, right, cv2.BORDER_CONSTANT))


def parse_size(text: str) -> tuple[int, int]:
    """Width and height, such as (640, 360) from ``640x360``.

    Raises:
        InputError: it is no size, or a side has fewer than 64 pixels.
    """
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if match is None or min(int(n) for n in match.groups()) < 64:
        raise InputError(
            f"{shown(text)} is not a size: give width x height, 64 pixels or more each way, such as 640x360"
        )
    width, height = int(match[1]), int(match[2])
    if not check_area(width, height):
        raise InputError(
            f"{text!r} is too large a size: {LIMITS['side'].high} pixels each way and {LIMITS['pixels'].high} in all "
            "are the most"
        )
    return width, height
