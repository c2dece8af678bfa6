"""OpenEXR, as renderers write it: linear light, decoded by FFmpeg."""

from __future__ import annotations

import re
import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_WINDOW = re.compile(rb"(?:data|display)Window\0box2i\0\x10\0\0\0(.{16})", re.DOTALL)
_HEADER_BYTES = 65536


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height, of the larger one of the pixels that are stored and of those that are shown; None without."""
    corners = [struct.unpack("<4i", found) for found in _WINDOW.findall(data[:_HEADER_BYTES])]
    if not corners:
        return None
    return max(c[2] - c[0] + 1 for c in corners), max(c[3] - c[1] + 1 for c in corners)


def read_exr(data: bytes, deep: bool = False) -> tuple[np.ndarray | None, np.ndarray | None]:
    """[H, W, 3] BGR in sRGB over white, and the alpha channel where anything is transparent; None if damaged.

    Args:
        data: of the file.
        deep: give uint16, else uint8.
    """
    # OpenCV first, see `livestyle.media`.
    import av
    import numpy as np

    from .deep import of_linear

    try:
        with av.open(BytesIO(data), "r", format="exr_pipe") as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration):
        return None, None
    has_alpha = any(component.is_alpha for component in frame.format.components)
    values: Any = frame.to_ndarray(format="gbrapf32le" if has_alpha else "gbrpf32le")
    if not has_alpha:
        return of_linear(values[:, :, ::-1], deep), None
    opacity = np.nan_to_num(values[:, :, 3:]).clip(0, 1)
    # Light is stored as far as it comes through (premultiplied).
    image = of_linear(values[:, :, 2::-1] / np.maximum(opacity, 1e-6), deep)
    top = int(np.iinfo(image.dtype).max)
    alpha = np.rint(opacity * top).astype(image.dtype)
    if alpha.min() == top:
        return image, None
    share = alpha.astype(np.uint32)
    over = ((image * share + top * (top - share) + top // 2) // top).astype(image.dtype)
    return over, alpha[:, :, 0]
