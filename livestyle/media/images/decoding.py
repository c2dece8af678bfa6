"""Decoding of images: by Pillow and its plugins, or by OpenCV, into upright sRGB over white.

OpenCV decodes plain JPEG, in half of Pillow's time and to the same bytes, and what Pillow cannot read; Pillow all else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .deep import STRIP, bits_of, by_opencv, is_deep_file, range_scale
from .embedded import PNG_HEADER, WIDE_MODES, conversion, png_chunks
from .metadata import EXIF_HEADER, Metadata, described, orientation_of, parse_exif
from .opening import Purpose
from .profiles import ToSrgb

if TYPE_CHECKING:
    import numpy as np

MOST_PAGES = 100
"""Further images of a file that are counted."""

_JPEG = b"\xff\xd8"


@dataclass(frozen=True)
class Picture:
    """An image with what its file says beside the pixels.

    Attributes:
        image: uint8 [H, W, 3] BGR: upright, sRGB, transparency laid over white; uint16 where more than 8 bits were
            asked for and are there.
        alpha: opacity, of the same type, [H, W]; None where nothing is transparent.
        metadata: EXIF and others.
        left_out: what of the file neither ``image`` nor ``metadata`` has, as nouns.
        converted: what has another form in ``image``, as nouns.
        bits: of a channel in the file, 8 where it has fewer.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    metadata: Metadata
    left_out: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    bits: int = 8


def decoded(opened: Any, data: bytes, purpose: Purpose) -> Picture:
    """What Pillow's image, whose pixels are not decoded yet, shows and says; raises whatever its decoder raises."""
    import cv2
    import numpy as np

    is_jpeg = data.startswith(_JPEG)
    factor = purpose.factor(opened.size)
    plain = is_jpeg and opened.mode in ("RGB", "L") and factor == 1
    if is_jpeg and factor > 1:
        # libjpeg decodes at a half, a quarter or an eighth of the size.
        opened.draft(opened.mode, (opened.size[0] // factor, opened.size[1] // factor))
        factor = 1
    # TIFF has its tags in the file itself, and forgets them with the pixels decoded.
    raw = described(opened.getexif()) if opened.format == "TIFF" else b""
    if not plain:
        opened.load()
    # After the pixels: PNG may have EXIF behind them.
    raw = raw or _raw_exif(opened)
    exif = parse_exif(raw)
    to_srgb, is_damaged = conversion(opened, data, exif)
    image: Any
    alpha: np.ndarray | None = None
    wide = _deep(opened, data, to_srgb) if purpose.is_deep and is_deep_file(opened, data) else None
    if wide is not None:
        image, alpha = wide
    elif plain and to_srgb is None:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise ValueError("no JPEG for OpenCV")
        image = reduced(image, 1, purpose.is_grey)
    else:
        opened.load()
        image, alpha = _over_white(opened, to_srgb, factor, purpose.is_grey)
    orientation = _orientation(opened, exif)
    image = _upright(image, orientation)
    if alpha is not None:
        alpha = _upright(alpha, orientation)
    left_out = [] if alpha is None else ["transparency"]
    if is_damaged:
        left_out.append("a damaged colour profile")
    metadata, bits = _metadata(opened, raw), bits_of(opened, data)
    if (pages := _further_images(opened)) > 0:
        more = " or more" if pages == MOST_PAGES else ""
        left_out.append(f"{pages}{more} further picture{'s' if pages != 1 else ''}")
    converted = ("its colours as sRGB",) if to_srgb is not None else ()
    return Picture(image, alpha, metadata, tuple(left_out), converted, bits)


def _deep(opened: Any, data: bytes, to_srgb: ToSrgb | None) -> tuple[np.ndarray, np.ndarray | None] | None:
    """16 bits over white and the alpha channel; None where they cannot be converted as such."""
    image, alpha = by_opencv(data, True)
    if image is None or to_srgb is None:
        return None if image is None else (image, alpha)
    from .shaper import Shaper

    # The profile is that of the colours before they were laid over white.
    shaper = None if alpha is not None or to_srgb.mode != "RGB" else Shaper.of(to_srgb)
    return None if shaper is None else (shaper(image), None)


def _raw_exif(opened: Any) -> bytes:
    raw = opened.info.get("exif") or b""
    if not raw and opened.format == "PNG":
        try:
            # As text, which older programs write; Pillow makes bytes of none, too.
            exif = opened.getexif()
            raw = exif.tobytes() if len(exif) else b""
        except Exception:
            # Whatever Pillow raises for damaged EXIF: the picture is read without it.
            raw = b""
    return bytes(raw).removeprefix(EXIF_HEADER)


def _orientation(opened: Any, exif: Any) -> int:
    if opened.format == "TIFF" or (opened.format == "JXL" and not opened.jpeg):
        # Their decoders have turned the pixels already.
        return 1
    return orientation_of(exif)


def is_keyed_16_bit(data: bytes) -> bool:
    """Whether a PNG has 16 bits a channel and one transparent colour: Pillow gives that of 16 bits and pixels of 8."""
    is_deep_color = data.startswith(PNG_HEADER) and data[24:26] == b"\x10\x02"
    return is_deep_color and any(name == b"tRNS" for name, _ in png_chunks(data))


def _over_white(opened: Any, to_srgb: ToSrgb | None, factor: int, is_grey: bool) -> tuple[Any, Any]:
    """Pixels, [H, W, 3] BGR in sRGB over white, and the alpha channel where anything is transparent; in strips.

    Args:
        opened: Pillow's image, decoded.
        to_srgb: conversion of its pixels.
        factor: how many times as wide and as high it is as the result.
        is_grey: the luma is enough, [H, W].
    """
    import cv2
    import numpy as np

    from livestyle.media.alpha import laid_over_white

    width, height = opened.size
    right, bottom = width // factor * factor, height // factor * factor
    size = (height // factor, width // factor)
    image = np.empty(size if is_grey else (*size, 3), np.uint8)
    scale = _scale(opened) if opened.mode in WIDE_MODES else None
    has_alpha = opened.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in opened.info
    alpha = np.full(size, 255, np.uint8) if has_alpha else None
    rows = max(1, STRIP // width // factor) * factor
    for top in range(0, bottom, rows):
        strip = opened.crop((0, top, right, min(bottom, top + rows)))
        pixels, opacity = _strip(strip, scale, to_srgb)
        colors = cv2.cvtColor(np.asarray(pixels), cv2.COLOR_RGB2BGR)
        place = slice(top // factor, top // factor + colors.shape[0] // factor)
        if alpha is not None and opacity is not None:
            colors = laid_over_white(colors, opacity)
            alpha[place] = reduced(opacity, factor)
        image[place] = reduced(colors, factor, is_grey)
    return image, alpha if alpha is not None and int(alpha.min()) < 255 else None


def reduced(image: Any, factor: int, is_grey: bool = False) -> Any:
    """An image in so many times less width and height, by area, and as luma where that is enough."""
    import cv2

    if factor > 1:
        size = image.shape[1] // factor, image.shape[0] // factor
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if is_grey and image.ndim == 3 else image


def _strip(strip: Any, scale: tuple[float, float] | None, to_srgb: ToSrgb | None) -> tuple[Any, Any]:
    """RGB, as Pillow has it, and the alpha channel as an array, or None."""
    import numpy as np
    from PIL import Image

    opacity = None
    if scale is not None:
        values = np.asarray(strip)
        transparent = strip.info.get("transparency")
        if isinstance(transparent, int):
            opacity = np.where(values == transparent, np.uint8(0), np.uint8(255))
        low, factor = scale
        strip = Image.fromarray(np.rint((values.astype(np.float32) - low) * factor).clip(0, 255).astype(np.uint8))
    elif strip.mode not in ("CMYK", "LAB", "YCbCr", "HSV") and (
        strip.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in strip.info
    ):
        premultiplied = {"La": "LA", "RGBa": "RGBA"}
        strip = strip.convert(premultiplied.get(strip.mode, strip.mode)).convert("RGBA")
        opacity = np.asarray(strip.getchannel("A"))
    if to_srgb is None:
        return strip.convert("RGB"), opacity
    return to_srgb(strip if strip.mode == to_srgb.mode else strip.convert("RGB").convert(to_srgb.mode)), opacity


def _scale(opened: Any) -> tuple[float, float]:
    """Black, and the factor to 8 bits, of values of more than 8 bits.

    Floats of 0..1, some of which may be brighter than white (HDR), and of 0..255 are taken as such; other values by
    their range.
    """
    import numpy as np

    if opened.mode.startswith("I;16"):
        return 0.0, 1 / 257
    return range_scale(np.asarray(opened))


def _upright(image: Any, orientation: int) -> Any:
    """An array turned as EXIF's orientation says."""
    import cv2

    turns = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
    if orientation in turns:
        return cv2.rotate(image, turns[orientation])
    if orientation in (5, 7):
        image = cv2.transpose(image)
    flips = {2: 1, 4: 0, 7: -1}
    return cv2.flip(image, flips[orientation]) if orientation in flips else image


def _further_images(opened: Any) -> int:
    """Number of pages, gain maps and depth maps beside the image that is painted; frames of animations do not count.

    At most `MOST_PAGES` are counted; the image is at another page afterwards.
    """
    if opened.format == "JPEG":
        return int(any(name == "APP2" and value.startswith(b"MPF\0") for name, value in opened.applist))
    if opened.format not in ("TIFF", "HEIF"):
        return 0
    # One after the other and not by `n_frames`: a chain of many directories would be followed to its end.
    for number in range(1, MOST_PAGES + 1):
        try:
            opened.seek(number)
        except (EOFError, OSError, SyntaxError, TypeError, ValueError):
            return number - 1
    return MOST_PAGES


def _metadata(opened: Any, exif: bytes) -> Metadata:
    info = opened.info
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    iptc = b""
    if opened.format == "JPEG":
        iptc = next((value for name, value in opened.applist if name == "APP13"), b"")
    text = tuple(
        (str(key), str(value))
        for key, value in getattr(opened, "text", {}).items()
        if key != "XML:com.adobe.xmp" and not str(key).startswith("Raw profile type")
    )
    try:
        dpi = info.get("dpi")
        density = None if dpi is None or not 1 <= float(dpi[0]) <= 65535 else (float(dpi[0]), float(dpi[1]))
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        density = None
    return Metadata(exif, xmp.encode() if isinstance(xmp, str) else bytes(xmp), iptc, text, density)
