"""Conversion between the pixel formats of videos (YUV, palettes, alpha) and BGR of 8 or 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from livestyle.media.alpha import laid_over_white
from livestyle.media.depth import is_deep
from livestyle.media.resize import fit_into, resize

from .tone_map import TRANSFERS, ToneMapper

_UNSPECIFIED = 2
_FULL_RANGE = 2
# Without these flags, swscale is off by up to two grey levels and takes the nearest chroma sample.
_EXACT = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
# Matrices by AVColorSpace, as swscale numbers them (SWS_CS_*).
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}


@dataclass(frozen=True)
class Colors:
    """Colour tags of YUV pixels, in the codes of ISO/IEC 23091-2, which are FFmpeg's.

    Attributes:
        matrix: AVColorSpace, such as 1 for BT.709 and 6 for BT.601.
        range: 1 is limited (16..235), 2 is full (0..255).
        primaries: AVColorPrimaries.
        transfer: AVColorTransferCharacteristic.
    """

    matrix: int = 1
    range: int = 1
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Colors:
        """Tags of a decoded frame; missing ones are what players assume: BT.709 for HD, else BT.601."""
        matrix = int(frame.colorspace)
        if matrix not in _MATRICES:
            matrix = 1 if frame.width >= 1280 or frame.height > 576 else 6
        is_yuv = len(frame.format.components) >= 3 and not frame.format.is_rgb
        full = is_yuv and frame.color_range == _FULL_RANGE
        return cls(matrix, _FULL_RANGE if full else 1, int(frame.color_primaries), int(frame.color_trc))


class Unpacker:
    """Converter of decoded frames to BGR, with transparency laid over white; more than 8 bits are rounded or kept.

    HDR is mapped to SDR where that is asked for.

    Frames of another size or shape than the first, as where a broadcast or a stream changes, are letterboxed into its
    size.

    Args:
        first: the frame whose size, once upright, all others get.
        colors: of the frames.
        aspect: sample aspect ratio of the first frame, in the stream.
        mirrored: whether the display matrix mirrors the frames.
        tone_map: map PQ and HLG to SDR.
        deep: give frames of more than 8 bits as uint16.
    """

    def __init__(
        self,
        first: av.VideoFrame,
        colors: Colors,
        aspect: Fraction = Fraction(1),
        mirrored: bool = False,
        tone_map: bool = False,
        deep: bool = False,
    ) -> None:
        self.bits = max(component.bits for component in first.format.components)
        """Of a channel of the first frame."""
        self.is_deep = deep and self.bits > 8
        """Whether images are uint16."""
        self.source_colors = colors
        """Of the frames."""
        self._aspect = aspect
        self._mirrored = mirrored
        self._reformatter = VideoReformatter()
        self._tone_mapper = None
        if tone_map and colors.transfer in TRANSFERS and not (first.format.is_rgb or _has_alpha(first)):
            self._tone_mapper = ToneMapper(colors.transfer, _MATRICES[colors.matrix])
        self.is_turned = _turns(first) % 2 == 1
        """Whether the display matrix swaps width and height."""
        size = (first.width, first.height)
        self._size = size[::-1] if self.is_turned else size

    @property
    def colors(self) -> Colors:
        """Of the images, as they are to be encoded: those of the frames, or of SDR where HDR is mapped to it."""
        return self.source_colors if self._tone_mapper is None else Colors(1, 1, 1, 1)

    def note(self, path: Path) -> str | None:
        """One sentence on the mapping of HDR; None where there is none."""
        if self._tone_mapper is None:
            return None
        return f"{path} is HDR ({TRANSFERS[self.source_colors.transfer]}), and mapped to SDR before it is painted"

    def __call__(self, frame: av.VideoFrame, aspect: Fraction | None = None) -> np.ndarray:
        """The frame as uint8 or uint16 [H, W, 3] BGR, upright.

        Args:
            frame: as it was decoded.
            aspect: its sample aspect ratio; None is that of the first frame.
        """
        turns = _turns(frame)
        has_alpha = _has_alpha(frame)
        # They may change on the way, as where recordings were joined.
        colors = Colors.of(frame)
        if self._tone_mapper is not None and colors.transfer == self.source_colors.transfer:
            frame = self._tone_mapper(frame, _EXACT)
        formats = ("bgr48le", "bgra64le") if self.is_deep else ("bgr24", "bgra")
        image: Any = self._reformatter.reformat(
            frame,
            frame.width,
            frame.height,
            format=formats[has_alpha],
            src_colorspace=None if frame.format.is_rgb else _MATRICES[colors.matrix],
            interpolation=_EXACT,
        ).to_ndarray()
        if self.is_deep and not frame.format.is_rgb:
            image = _full_scale(image, _missing_scale(frame.format, colors))
        if has_alpha:
            image = _over_white(image)
        if self._mirrored:
            image = image[::-1]
        stretch = (aspect or self._aspect) / self._aspect
        if turns:
            image = np.rot90(image, turns)
            stretch = 1 / stretch if turns % 2 else stretch
        return self._fitted(np.ascontiguousarray(image), stretch)

    def _fitted(self, image: np.ndarray, stretch: Fraction) -> np.ndarray:
        """The image letterboxed into the size of the first one; ``stretch`` is the width of its pixels in those."""
        height, width = image.shape[:2]
        if (width, height) == self._size and stretch == 1:
            return image
        if stretch != 1:
            image = resize(image, max(1, round(width * stretch)), height)
        return fit_into(image, *self._size)


class Packer:
    """Converter of BGR to frames for an encoder.

    Args:
        pixel_format: of the encoder, in FFmpeg's name.
        colors: of its frames.
    """

    def __init__(self, pixel_format: str, colors: Colors) -> None:
        self._format = pixel_format
        self._colors = colors
        self._reformatter = VideoReformatter()

    def __call__(self, image: np.ndarray) -> av.VideoFrame:
        """The frame of an image, uint8 or uint16 [H, W, 3] BGR."""
        if is_deep(image):
            # Of RGB in 16 bits, swscale takes 255 * 256 for white, whatever the range.
            frame = av.VideoFrame.from_ndarray(image - (image >> 8), format="bgr48le")
        else:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        if self._format == "bgra":
            return self._reformatter.reformat(frame, format="bgra")
        return self._reformatter.reformat(
            frame,
            format=self._format,
            dst_colorspace=_MATRICES[self._colors.matrix],
            dst_color_range=self._colors.range,
            interpolation=_EXACT,
        )


def _missing_scale(pixel_format: Any, colors: Colors) -> int:
    """Bits to shift white right by, for what it lacks in swscale's RGB of 16 bits: of limited YUV it is 255 * 256, and
    of grey and of full range the largest value of so many bits with zeros behind."""
    is_limited = colors.range != _FULL_RANGE and len(pixel_format.components) >= 3
    return 8 if is_limited else int(max(component.bits for component in pixel_format.components))


def _full_scale(image: np.ndarray, shift: int) -> np.ndarray:
    """swscale's BGR of 16 bits with white at 65535."""
    import cv2

    return cv2.add(image, image >> shift)


def _over_white(image: np.ndarray) -> np.ndarray:
    """uint8 or uint16 [H, W, 4] BGRA composited over white as [H, W, 3] BGR."""
    colors, alpha = image[:, :, :3], image[:, :, 3]
    return np.ascontiguousarray(colors) if alpha.min() == np.iinfo(image.dtype).max else laid_over_white(colors, alpha)


def _has_alpha(frame: av.VideoFrame) -> bool:
    return frame.format.has_palette or any(c.is_alpha for c in frame.format.components)


def _turns(frame: av.VideoFrame) -> int:
    """Quarter turns, counter-clockwise, that bring a frame upright, by its display matrix.

    The frame's side data is not looked at: PyAV fails on kinds that it does not know, such as EXIF.
    """
    return round(frame.rotation / 90) % 4
