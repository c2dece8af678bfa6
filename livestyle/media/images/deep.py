"""Images of more than 8 bits a channel, which OpenCV reads and Pillow mostly does not; and TIFF of 16 bits."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

from .embedded import PNG_HEADER

if TYPE_CHECKING:
    import numpy as np

EXR = b"v/1\x01"
"""First bytes of OpenEXR."""
STRIP = 1 << 20
"""Pixels that are converted at a time, so that no second copy of a large image is in memory."""
_JPEG, _RADIANCE = b"\xff\xd8", b"#?"
_LEAST, _MOST_MEAN = -0.1, 4.0
"""Floats that are above the one, since resampling undershoots, and below the other on average, have white at 1."""
_BITS, _PHOTOMETRIC, _EXTRA, _KIND = 258, 262, 338, 339
"""Tags of TIFF: bits of each channel, what they mean, what further channels mean, and the type of the numbers."""
_GREY, _RGB, _STRAIGHT_ALPHA, _UNSIGNED = 1, 2, 2, 1


def bits_of(opened: Any, data: bytes) -> int:
    """Bits of a channel, as far as the header of the file says them; 8 of fewer.

    Args:
        opened: by Pillow; None where that cannot.
        data: of the file.
    """
    if data.startswith(PNG_HEADER):
        return max(8, data[24])
    if found := re.match(rb"P[2356](?:\s|#[^\n]*\n)+\d+\s+\d+\s+(\d+)\s", data[:4096]):
        return max(8, int(found[1]).bit_length())
    if data.startswith((EXR, _RADIANCE)):
        return 16
    if opened is None:
        return 8
    if opened.format == "TIFF":
        return max(8, *map(int, opened.tag_v2.get(_BITS, (8,))))
    return int(opened.info.get("bit_depth") or 8)


def is_deep_file(opened: Any, data: bytes) -> bool:
    """Whether OpenCV gives the 16 bits of a file, with the colours that Pillow gives: RGB or grey, straight alpha."""
    if bits_of(opened, data) != 16:
        return False
    if opened.format == "TIFF":
        tags = opened.tag_v2
        return (
            set(tags.get(_BITS, ())) == {16}
            and tags.get(_PHOTOMETRIC) in (_GREY, _RGB)
            and set(tags.get(_EXTRA, ())) <= {_STRAIGHT_ALPHA}
            and set(tags.get(_KIND, (_UNSIGNED,))) == {_UNSIGNED}
        )
    # Of one transparent colour, OpenCV makes an alpha channel in RGB only.
    return opened.format in ("PNG", "PPM") and not ("transparency" in opened.info and opened.mode.startswith("I"))


def encode_tiff(image: np.ndarray, tags: Any, density: tuple[float, float] | None) -> bytes:
    """TIFF of 16 bits a channel with deflate: OpenCV writes no metadata, and Pillow has no such image.

    Args:
        image: uint16 [H, W, 3] BGR, or [H, W, 4] with straight alpha.
        tags: of Pillow, to go with it.
        density: pixels per inch, across and down; None where unknown.
    """
    height, width, channels = image.shape
    pixels = image[:, :, [2, 1, 0, 3][:channels]].astype("<u2")
    # Differences to the pixel on the left (predictor 2) are small, and pack better.
    pixels[:, 1:] -= pixels[:, :-1].copy()
    data = zlib.compress(pixels.tobytes(), 6)
    tags.update(
        {256: width, 257: height, _BITS: (16,) * channels, 259: 8, _PHOTOMETRIC: _RGB, 277: channels, 278: height}
    )
    # Of the strip: Pillow adds where the tags end.
    tags.update({273: 0, 279: len(data), 284: 1, 317: 2, _KIND: (_UNSIGNED,) * channels})
    if channels == 4:
        tags[_EXTRA] = _STRAIGHT_ALPHA
    if density is not None:
        tags.update({282: density[0], 283: density[1], 296: 2})
    return bytes(b"II*\0" + struct.pack("<I", 8) + tags.tobytes(8) + data)


def range_scale(values: Any) -> tuple[float, float]:
    """Black, and the factor to 8 bits, of numbers of one channel or more, by their range."""
    import numpy as np

    is_float = values.dtype.kind == "f"
    if is_float and not np.isfinite(values).all():
        values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if is_float and low > _LEAST and (high <= 1 or float(values.mean()) <= _MOST_MEAN):
        return 0.0, 255.0
    if low >= 0 and high <= 255:
        return 0.0, 1.0
    if low >= 0 and not is_float and high <= 65535:
        return 0.0, 1 / 257
    return min(low, 0.0), 255 / (high - min(low, 0.0))


def of_linear(light: Any, deep: bool = False) -> np.ndarray:
    """Floats of linear light, [H, W, 3], as uint8 or uint16 in sRGB; what is brighter than white is clipped."""
    import numpy as np

    image = np.empty(light.shape, np.uint16 if deep else np.uint8)
    white = int(np.iinfo(image.dtype).max)
    rows = max(1, STRIP // light.shape[1])
    for top in range(0, len(light), rows):
        values = np.nan_to_num(light[top : top + rows], nan=0).clip(0, 1)
        curved = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
        image[top : top + rows] = np.rint(curved * white)
    return image


def by_opencv(data: bytes, deep: bool = False) -> tuple[np.ndarray | None, np.ndarray | None]:
    """[H, W, 3] BGR over white and the alpha channel of what OpenCV reads, floats too; None where it cannot.

    Args:
        data: of the file.
        deep: give 16 bits as uint16; all else is uint8.
    """
    import cv2
    import numpy as np

    from livestyle.media.alpha import laid_over_white

    if not data:
        return None, None
    buffer = np.frombuffer(data, np.uint8)
    try:
        full: Any = None if data.startswith(_JPEG) else cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
        if full is None or (full.dtype == np.uint8 and (full.ndim == 2 or full.shape[2] == 3)):
            return cv2.imdecode(buffer, cv2.IMREAD_COLOR), None
    except cv2.error:
        return None, None
    if data.startswith(_RADIANCE):
        return of_linear(full, deep), None
    if deep and full.dtype == np.uint16:
        values = full
    else:
        low, factor = (0.0, 1 / 257) if full.dtype == np.uint16 else range_scale(full)
        values = np.rint((np.nan_to_num(full.astype(np.float32)) - low) * factor).clip(0, 255).astype(np.uint8)
    if values.ndim == 2:
        values = values[:, :, None]
    colors = values[:, :, :3] if values.shape[2] >= 3 else np.repeat(values[:, :, :1], 3, 2)
    if values.shape[2] != 4 or values[:, :, 3].min() == np.iinfo(values.dtype).max:
        return np.ascontiguousarray(colors), None
    alpha = np.ascontiguousarray(values[:, :, 3])
    return laid_over_white(colors, alpha), alpha
