"""Opening of images: what they are decoded for, within which limits, and by which class of Pillow's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path
from typing import Any

from livestyle.errors import InputError
from livestyle.files import in_bytes
from livestyle.memory import free_bytes

from .headers import Size

REDUCED_PIXELS = 2**24
"""Larger ones of these are reduced as they are decoded."""
LEAST_SHORT_SIDE = 1024
"""Pixels of the short side that reducing leaves: twice as many as style images are encoded at."""
_CHECKED_BYTES = 64 << 20
"""Images that take less are read without asking how much memory is free."""
_PLUGINS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xff\xd8\xff", "PIL.JpegImagePlugin", "JpegImageFile"),
    (rb"\x89PNG\r\n\x1a\n", "PIL.PngImagePlugin", "PngImageFile"),
    (rb"RIFF....WEBP", "PIL.WebPImagePlugin", "WebPImageFile"),
    (rb"GIF8[79]a", "PIL.GifImagePlugin", "GifImageFile"),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "PIL.TiffImagePlugin", "TiffImageFile"),
    (rb"BM", "PIL.BmpImagePlugin", "BmpImageFile"),
    (rb"....ftypavi[fs]", "PIL.AvifImagePlugin", "AvifImageFile"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "pillow_heif", "HeifImageFile"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "pillow_jxl.JpegXLImagePlugin", "JXLImageFile"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    (rb"P[1-6fF]\s", "PIL.PpmImagePlugin", "PpmImageFile"),
    (rb"8BPS", "PIL.PsdImagePlugin", "PsdImageFile"),
    (rb"qoif", "PIL.QoiImagePlugin", "QoiImageFile"),
)
"""Pattern of a format's first bytes, and the class that opens it. Not by `PIL.Image.open`, whose limit of pixels is one
for the whole process, and which tries every format that anybody has registered."""
_OTHERS = (rb"#\?", rb"P7\n", rb"\x59\xa6\x6a\x95", rb"v/1\x01")
"""First bytes of what OpenCV and FFmpeg read beside them: Radiance HDR, PAM, Sun raster, OpenEXR."""
_EAGER = (rb"RIFF....WEBP", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", rb"v/1\x01")
"""Of those whose decoders allocate the whole image when they are opened."""
_EAGER_BYTES = 16
"""Memory for each pixel that they take."""
HEAD_BYTES = 32
"""First bytes of a file, which tell the format."""
_TGA = ("PIL.TgaImagePlugin", "TgaImageFile")
_PACKAGES = {"pillow_heif": ("HEIC", "pillow-heif"), "pillow_jxl": ("JPEG XL", "pillow-jxl-plugin")}


@dataclass(frozen=True)
class Purpose:
    """What an image is decoded for.

    Attributes:
        most: pixels that are still taken.
        pixel_bytes: memory for each, at its peak.
        reduces: larger images come reduced.
        is_grey: the luma is enough.
        is_deep: more than 8 bits are wanted where they are there.
    """

    most: int
    pixel_bytes: int
    reduces: bool = False
    is_grey: bool = False
    is_deep: bool = False

    def check(self, size: Size, path: Path, is_eager: bool = False) -> None:
        """Raise an `InputError` for an image that is too large, or for which there is not enough memory."""
        width, height = size
        most = self.most // 2 if is_eager else self.most
        if width * height > most:
            raise InputError(f"{path} has {width}x{height} pixels, and {most} are the most: make it smaller")
        needed = width * height * max(self.pixel_bytes, _EAGER_BYTES if is_eager else 0)
        if needed > _CHECKED_BYTES and (free := free_bytes()) is not None and needed > free:
            raise InputError(
                f"there is not enough memory for {path}: its {width}x{height} pixels take {in_bytes(needed)}, "
                f"and {in_bytes(free)} are free; make it smaller"
            )

    def factor(self, size: Size) -> int:
        """How many times as wide and as high an image of this size is as what is made of it."""
        enough = ceil(sqrt(size[0] * size[1] / REDUCED_PIXELS))
        return max(1, min(enough, min(size) // LEAST_SHORT_SIDE)) if self.reduces else 1


def is_known(head: bytes, path: Path) -> bool:
    """Whether a file begins as an image does; TGA has no mark of its own."""
    marks = (*(pattern for pattern, _, _ in _PLUGINS), *_OTHERS)
    return path.suffix.lower() == ".tga" or _begins(head, marks)


def is_eager(data: bytes) -> bool:
    """Whether the decoder of such an image allocates all of it as soon as it is opened."""
    return _begins(data, _EAGER)


def _begins(data: bytes, marks: Iterable[bytes]) -> bool:
    """Whether a file begins as one of some patterns says."""
    return any(re.match(mark, data, re.DOTALL) for mark in marks)


def open_lazily(data: bytes, path: Path) -> Any:
    """Pillow's image, whose pixels are not decoded yet; None where no class of Pillow takes it."""
    found = next(((module, name) for pattern, module, name in _PLUGINS if _begins(data, [pattern])), None)
    if found is None and path.suffix.lower() == ".tga":
        found = _TGA
    if found is None:
        return None
    module, name = found
    try:
        factory = getattr(import_module(module), name)
    except ImportError as error:
        kind, package = _PACKAGES.get(module.partition(".")[0], ("", ""))
        if not kind:
            raise
        raise InputError(f"{path} is {kind}, for which this Python lacks a reader: pip install {package}") from error
    try:
        return factory(BytesIO(data), "")
    except MemoryError:
        raise
    except Exception:
        return None
