"""Conversion between the pixel formats of videos (YUV, palettes, alpha) and 8-bit BGR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from livestyle.media.frames import BgrImage

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
    """Converter of decoded frames to BGR: 10 bits and more are rounded to 8, transparency is laid over white.

    Args:
        first: a frame; its size and display matrix apply to all later ones.
        colors: of the frames.
    """

    def __init__(self, first: av.VideoFrame, colors: Colors) -> None:
        self._size = (first.width, first.height)
        self._matrix = _display_matrix(first)
        self._colors = colors
        self._reformatter = VideoReformatter()

    @property
    def is_turned(self) -> bool:
        """Whether the display matrix swaps width and height."""
        return self._matrix is not None and _is_turned(self._matrix)

    def __call__(self, frame: av.VideoFrame) -> BgrImage:
        """The frame as uint8 [H, W, 3] BGR, upright."""
        has_alpha = frame.format.has_palette or any(c.is_alpha for c in frame.format.components)
        image: Any = self._reformatter.reformat(
            frame,
            *self._size,
            format="bgra" if has_alpha else "bgr24",
            src_colorspace=None if frame.format.is_rgb else _MATRICES[self._colors.matrix],
            interpolation=_EXACT,
        ).to_ndarray()
        if has_alpha:
            image = _over_white(image)
        upright: BgrImage = image if self._matrix is None else _upright(image, self._matrix)
        return upright


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

    def __call__(self, image: BgrImage) -> av.VideoFrame:
        """The frame of an image, uint8 [H, W, 3] BGR."""
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


def _over_white(image: np.ndarray) -> BgrImage:
    """uint8 [H, W, 4] BGRA composited over white as [H, W, 3] BGR, as images are, see `livestyle.media.images`."""
    alpha = image[:, :, 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(image[:, :, :3])
    return ((image[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """The linear part of the frame's display matrix: [[a, b], [c, d]], x' = a x + c y, y' = b x + d y."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2]


def _is_turned(matrix: np.ndarray) -> bool:
    size = abs(matrix.astype(np.int64))
    return bool(size[0, 1] + size[1, 0] > size[0, 0] + size[1, 1])


def _upright(image: BgrImage, matrix: np.ndarray) -> BgrImage:
    """The image with the display matrix applied, to the nearest quarter turn."""
    if _is_turned(matrix):
        image = image.transpose(1, 0, 2)
        flip_x, flip_y = matrix[1, 0] < 0, matrix[0, 1] < 0
    else:
        flip_x, flip_y = matrix[0, 0] < 0, matrix[1, 1] < 0
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])
