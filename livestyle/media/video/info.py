"""What is known of a video before its first frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from .pixel_formats import Colors


@dataclass(frozen=True)
class VideoInfo:
    """Size, rate and colours of a video's frames.

    Attributes:
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
        rate: frames per second, nominal; the frames' times are what counts.
        time_base: seconds; every frame's time is a multiple of it.
        aspect: sample aspect ratio, the width of a pixel divided by its height.
        colors: of the file's pixels.
        bits: of a channel in the file, where the images have more than 8 too; else 8.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction = Fraction(1)
    colors: Colors = field(default_factory=Colors)
    bits: int = 8
