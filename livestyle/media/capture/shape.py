"""Frames as they are to be looked at: upright, and with square pixels."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from livestyle.media.frames import BgrImage
from livestyle.media.resize import resize
from livestyle.media.video.pixel_formats import Colors, Unpacker

MOST_STRETCHED = 4
"""A pixel aspect ratio beyond this, either way, is a mistake of the encoder and not heeded."""


def square(image: BgrImage, aspect: Fraction | None) -> BgrImage:
    """Image with square pixels: its shorter direction is stretched, so that nothing is lost.

    Args:
        image: uint8 [H, W, 3] BGR.
        aspect: width of a pixel divided by its height; None or 0 where it is unknown.
    """
    return resize(image, *square_size(image.shape[1], image.shape[0], aspect))


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Width and height in pixels of an image once its pixels are square, see `square`."""
    if not aspect or not Fraction(1, MOST_STRETCHED) <= aspect <= MOST_STRETCHED:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


class Display:
    """Converter of a live source's decoded frames to BGR, by display matrix and pixel aspect ratio.

    Size, orientation and colours may change from frame to frame.
    """

    def __init__(self) -> None:
        self._known: tuple[Any, ...] = ()
        self._unpack: Unpacker | None = None

    def __call__(self, frame: Any, aspect: Fraction | None = None) -> BgrImage:
        """The frame as uint8 [H, W, 3] BGR.

        Args:
            frame: of PyAV.
            aspect: width of one of its pixels divided by the height, before it is turned; None where it is unknown.
        """
        colors = Colors.of(frame)
        known = (frame.width, frame.height, frame.format.name, frame.rotation, colors)
        if self._unpack is None or known != self._known:
            self._unpack, self._known = Unpacker(frame, colors), known
        image = self._unpack(frame)
        return square(image, 1 / aspect if aspect and self._unpack.is_turned else aspect)
