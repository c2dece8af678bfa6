"""Metadata of images: EXIF, XMP, IPTC, text and print size, as they go from a source to its painting."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

EXIF_HEADER = b"Exif\0\0"
_KEPT_TAGS = {
    *(0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298),
    *range(0x9C9B, 0x9CA0),
}
"""Of EXIF's first directory, what describes the picture and not how it is stored; its thumbnail shows the source."""
_ORIENTATION, _EXIF, _GPS, _INTEROP = 0x0112, 0x8769, 0x8825, 0xA005
_COLOR_SPACE = 0xA001
_DETAILS = {"color_space": _COLOR_SPACE, "width": 0xA002, "height": 0xA003}
_warnings = Lock()


@dataclass(frozen=True)
class Metadata:
    """What a file says about its image, beside the pixels.

    Attributes:
        exif: TIFF structure, without the header ``Exif``; empty where there is none, as for the next two.
        xmp: XML.
        iptc: payload of JPEG's segment APP13, Photoshop's resources.
        text: key and value of PNG's texts, in which generators of pictures keep their prompts.
        density: pixels per inch, across and down; None where unknown.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    text: tuple[tuple[str, str], ...] = ()
    density: tuple[float, float] | None = None

    def of_painting(self, width: int, height: int) -> Metadata:
        """The same for an upright sRGB image of another size: without orientation, thumbnail and the size before."""
        return Metadata(_painted_exif(self.exif, width, height), _painted_xmp(self.xmp), *self._rest)

    @property
    def _rest(self) -> tuple[bytes, tuple[tuple[str, str], ...], tuple[float, float] | None]:
        return self.iptc, self.text, self.density


@contextmanager
def quiet() -> Iterator[None]:
    """Context manager in which Pillow does not warn of damaged files; filters of warnings are no thread's own."""
    with _warnings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse_exif(data: bytes) -> Any:
    """EXIF as Pillow has it; empty where it is damaged."""
    from PIL import Image

    exif = Image.Exif()
    with quiet():
        try:
            exif.load(data)
            exif.get_ifd(_EXIF)
        except Exception:
            # Whatever Pillow raises for damaged directories.
            return Image.Exif()
    return exif


def orientation_of(exif: Any) -> int:
    """EXIF's orientation, 1..8; 1 where it is missing or out of range."""
    value = exif.get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def is_adobe_rgb(exif: Any) -> bool:
    """Whether a camera has marked Adobe RGB by EXIF alone (DCF's optional colour space)."""
    try:
        details = exif.get_ifd(_EXIF)
        interop = exif.get_ifd(_INTEROP) or details.get(_INTEROP) or {}
        return details.get(_COLOR_SPACE) in (2, 0xFFFF) and str(interop.get(1, "")).startswith("R03")
    except Exception:
        # Directories are read when they are asked for, and may be damaged.
        return False


def described(exif: Any, **details: int) -> bytes:
    """EXIF of what describes the picture, and not how it is stored: no orientation, no thumbnail, no TIFF strips.

    Args:
        exif: of Pillow.
        details: tags of the directory ``Exif`` to replace, by ``color_space``, ``width`` and ``height``.
    """
    from PIL import Image

    after = Image.Exif()
    with quiet():
        try:
            for tag in sorted(_KEPT_TAGS & set(exif)):
                after[tag] = exif[tag]
            inner = dict(exif.get_ifd(_EXIF))
            if details:
                inner.pop(_INTEROP, None)
                inner.update({_DETAILS[name]: value for name, value in details.items()})
            if inner:
                after[_EXIF] = inner
            if place := dict(exif.get_ifd(_GPS)):
                after[_GPS] = place
            return bytes(after.tobytes()).removeprefix(EXIF_HEADER) if len(after) else b""
        except Exception:
            # Types that do not fit their tags, as some programs write them.
            return b""


def _painted_exif(data: bytes, width: int, height: int) -> bytes:
    return described(parse_exif(data), color_space=1, width=width, height=height) if data else b""


def _painted_xmp(data: bytes) -> bytes:
    # Gain maps (HDR), depth and motion pictures are further files behind the first one, which are not copied.
    if any(word in data for word in (b"hdrgm:", b"GContainer", b"Container:Directory", b"HDRGainMap")):
        return b""
    for name in (b"tiff:Orientation", b"exif:Orientation"):
        data = re.sub(name + rb"=([\"'])\d\1", name + rb"=\g<1>1\g<1>", data)
        data = re.sub(b"<" + name + rb">\s*\d\s*</", b"<" + name + b">1</", data)
    return data
