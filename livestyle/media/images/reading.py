"""Reading of image files: any format that Pillow, its plugins or OpenCV read, as upright sRGB over white.

OpenCV decodes plain JPEG, in half of Pillow's time and to the same bytes, and what Pillow cannot read; Pillow all else.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from livestyle.errors import InputError

from .embedded import PNG_HEADER, WIDE_MODES, conversion, png_chunks
from .formats import FORMATS_TEXT
from .metadata import EXIF_HEADER, Metadata, described, orientation_of, parse_exif
from .profiles import ToSrgb

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage, GreyImage

MOST_PIXELS = 2**30
"""Greatest number of pixels of an image; OpenCV's limit too. Decompression bombs: it is checked before decoding."""
STRIP = 1 << 20
"""Pixels that are converted at a time, so that no second copy of a large image is in memory."""

_JPEG = b"\xff\xd8"
_BITS_PER_SAMPLE = 258
_PLUGINS: tuple[tuple[str, str, str], ...] = (
    (r"\xff\xd8\xff", "PIL.JpegImagePlugin", "JpegImageFile"),
    (r"\x89PNG\r\n\x1a\n", "PIL.PngImagePlugin", "PngImageFile"),
    (r"RIFF....WEBP", "PIL.WebPImagePlugin", "WebPImageFile"),
    (r"GIF8[79]a", "PIL.GifImagePlugin", "GifImageFile"),
    (r"II\*\0|MM\0\*|II\+\0|MM\0\+", "PIL.TiffImagePlugin", "TiffImageFile"),
    (r"BM", "PIL.BmpImagePlugin", "BmpImageFile"),
    (r"....ftypavi[fs]", "PIL.AvifImagePlugin", "AvifImageFile"),
    (r"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "pillow_heif", "HeifImageFile"),
    (r"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "pillow_jxl.JpegXLImagePlugin", "JXLImageFile"),
    (r"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    (r"P[1-6fF]\s", "PIL.PpmImagePlugin", "PpmImageFile"),
    (r"8BPS", "PIL.PsdImagePlugin", "PsdImageFile"),
    (r"qoif", "PIL.QoiImagePlugin", "QoiImageFile"),
)
"""Pattern of a format's first bytes, and the class that opens it. Not by `PIL.Image.open`, whose limit of pixels is one
for the whole process, and which tries every format that anybody has registered."""
_TGA = ("PIL.TgaImagePlugin", "TgaImageFile")
_PACKAGES = {"pillow_heif": ("HEIC", "pillow-heif"), "pillow_jxl": ("JPEG XL", "pillow-jxl-plugin")}


@dataclass(frozen=True)
class Picture:
    """An image with what its file says beside the pixels.

    Attributes:
        image: uint8 [H, W, 3] BGR: upright, sRGB, transparency laid over white, 8 bits.
        alpha: opacity, uint8 [H, W]; None where nothing is transparent.
        metadata: EXIF and others.
        left_out: what of the file neither ``image`` nor ``metadata`` has, as nouns.
        converted: what has another form in ``image``, as nouns.
        bits: of a channel in the file, 8 where it has fewer.
    """

    image: BgrImage
    alpha: GreyImage | None
    metadata: Metadata
    left_out: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    bits: int = 8


def read_picture(path: Path) -> Picture:
    """Image file as a `Picture`.

    Raises:
        InputError: there is no such file, or it is no image.
    """
    try:
        # A pipe or a device would never end, or never begin.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise InputError(f"{path} is no file: a picture is read from a file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no picture {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return decode_picture(data, path)


def read_image(path: Path) -> BgrImage:
    """Image file as uint8 [H, W, 3] BGR: upright, sRGB, transparency laid over white, 16 bits reduced to 8.

    Raises:
        InputError: there is no such file, or it is no image.
    """
    return read_picture(path).image


def decode_image(data: bytes, path: Path) -> BgrImage:
    """As `read_image`, from bytes; ``path`` is for the error's text."""
    return decode_picture(data, path).image


def decode_picture(data: bytes, path: Path) -> Picture:
    """As `read_picture`, from bytes; ``path`` is for the error's text.

    Raises:
        InputError: it is no image, or too large.
    """
    opened = None if _is_keyed_16_bit(data) else _open(data, path)
    if opened is not None:
        width, height = opened.size
        if width * height > MOST_PIXELS:
            raise InputError(f"{path} has {width}x{height} pixels, and {MOST_PIXELS} are the most: make it smaller")
        try:
            return _decoded(opened, data)
        except MemoryError:
            raise
        except Exception:
            # Damaged, cut off, or of a kind that Pillow does not know; OpenCV shows what there is of it.
            pass
    image, alpha = _by_opencv(data)
    if image is None:
        raise InputError(f"{path} is not a picture that can be read ({FORMATS_TEXT} are)")
    return Picture(image, alpha, Metadata(), () if alpha is None else ("transparency",), (), _bits(None, data))


def _open(data: bytes, path: Path) -> Any:
    """Pillow's image, whose pixels are not decoded yet; None where no class of Pillow takes it."""
    head = data[:32].decode("latin-1")
    found = next(((module, name) for pattern, module, name in _PLUGINS if re.match(pattern, head, re.DOTALL)), None)
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


def _decoded(opened: Any, data: bytes) -> Picture:
    import cv2
    import numpy as np

    is_jpeg = data.startswith(_JPEG)
    plain = is_jpeg and opened.mode in ("RGB", "L")
    # TIFF has its tags in the file itself, and forgets them with the pixels decoded.
    raw = described(opened.getexif()) if opened.format == "TIFF" else b""
    if not plain:
        opened.load()
    # After the pixels: PNG may have EXIF behind them.
    raw = raw or _raw_exif(opened)
    exif = parse_exif(raw)
    to_srgb, is_damaged = conversion(opened, data, exif)
    alpha: GreyImage | None = None
    if plain and to_srgb is None:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise ValueError("no JPEG for OpenCV")
    else:
        opened.load()
        image, alpha = _over_white(opened, to_srgb)
    orientation = _orientation(opened, exif)
    image = _upright(image, orientation)
    if alpha is not None:
        alpha = _upright(alpha, orientation)
    left_out = [] if alpha is None else ["transparency"]
    if is_damaged:
        left_out.append("a damaged colour profile")
    if (pages := _further_images(opened)) > 0:
        left_out.append(f"{pages} further picture{'s' if pages != 1 else ''}")
    converted = ("its colours as sRGB",) if to_srgb is not None else ()
    return Picture(
        cast("BgrImage", image), alpha, _metadata(opened, raw), tuple(left_out), converted, _bits(opened, data)
    )


def _bits(opened: Any, data: bytes) -> int:
    """Bits of a channel, as far as the header of the file says them; 8 of fewer."""
    if data.startswith(PNG_HEADER):
        return max(8, data[24])
    if data.startswith(b"P") and (found := re.match(rb"P[2356](?:\s+|#[^\n]*\n)+\d+\s+\d+\s+(\d+)\s", data[:4096])):
        return max(8, int(found[1]).bit_length())
    if opened is None:
        return 8
    if opened.format == "TIFF":
        return max(8, *map(int, opened.tag_v2.get(_BITS_PER_SAMPLE, (8,))))
    return int(opened.info.get("bit_depth") or 8)


def _raw_exif(opened: Any) -> bytes:
    raw = opened.info.get("exif") or b""
    if not raw and opened.format == "PNG":
        try:
            # As text, which older programs write; Pillow makes bytes of none, too.
            exif = opened.getexif()
            raw = exif.tobytes() if len(exif) else b""
        except Exception:
            raw = b""
    return bytes(raw).removeprefix(EXIF_HEADER)


def _orientation(opened: Any, exif: Any) -> int:
    if opened.format == "TIFF" or (opened.format == "JXL" and not opened.jpeg):
        # Their decoders have turned the pixels already.
        return 1
    return orientation_of(exif)


def _is_keyed_16_bit(data: bytes) -> bool:
    """Whether a PNG has 16 bits a channel and one transparent colour: Pillow gives that of 16 bits and pixels of 8."""
    is_deep_color = data.startswith(PNG_HEADER) and data[24:26] == b"\x10\x02"
    return is_deep_color and any(name == b"tRNS" for name, _ in png_chunks(data))


def _over_white(opened: Any, to_srgb: ToSrgb | None) -> tuple[Any, Any]:
    """Pixels, [H, W, 3] BGR in sRGB over white, and the alpha channel where anything is transparent; in strips."""
    import cv2
    import numpy as np

    width, height = opened.size
    image = np.empty((height, width, 3), np.uint8)
    scale = _scale(opened) if opened.mode in WIDE_MODES else None
    has_alpha = opened.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in opened.info
    alpha = np.full((height, width), 255, np.uint8) if has_alpha else None
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        strip = opened.crop((0, top, width, min(height, top + rows)))
        pixels, opacity = _strip(strip, scale, to_srgb)
        target = image[top : top + rows]
        cv2.cvtColor(np.asarray(pixels), cv2.COLOR_RGB2BGR, dst=target)
        if alpha is not None and opacity is not None:
            alpha[top : top + rows] = opacity
            share = opacity[:, :, None].astype(np.uint16)
            target[:] = (target * share + 255 * (255 - share) + 127) // 255
    return image, alpha if alpha is not None and int(alpha.min()) < 255 else None


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

    Floats of 0..1 and of 0..255 are taken as such; other values by their range.
    """
    import numpy as np

    if opened.mode.startswith("I;16"):
        return 0.0, 1 / 257
    values = np.asarray(opened)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return _range_scale(low, high, is_float=opened.mode == "F")


def _range_scale(low: float, high: float, *, is_float: bool) -> tuple[float, float]:
    if low >= 0 and is_float and high <= 1:
        return 0.0, 255.0
    if low >= 0 and high <= 255:
        return 0.0, 1.0
    if low >= 0 and not is_float and high <= 65535:
        return 0.0, 1 / 257
    return min(low, 0.0), 255 / (high - min(low, 0.0))


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
    """Number of pages, gain maps and depth maps beside the image that is painted; frames of animations do not count."""
    if opened.format == "JPEG":
        return int(any(name == "APP2" and value.startswith(b"MPF\0") for name, value in opened.applist))
    if opened.format in ("TIFF", "HEIF"):
        return int(getattr(opened, "n_frames", 1)) - 1
    return 0


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


def _by_opencv(data: bytes) -> tuple[BgrImage | None, GreyImage | None]:
    """uint8 [H, W, 3] BGR and the alpha channel of what OpenCV reads, floats too; None where it cannot."""
    import cv2
    import numpy as np

    if not data:
        return None, None
    buffer = np.frombuffer(data, np.uint8)
    try:
        full: Any = None if data.startswith(_JPEG) else cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
        if full is None or (full.dtype == np.uint8 and (full.ndim == 2 or full.shape[2] == 3)):
            return cast("BgrImage | None", cv2.imdecode(buffer, cv2.IMREAD_COLOR)), None
    except cv2.error:
        return None, None
    if full.dtype == np.uint16:
        low, factor = 0.0, 1 / 257
    else:
        finite = full[np.isfinite(full)]
        ends = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        low, factor = _range_scale(*ends, is_float=full.dtype.kind == "f")
    values = np.rint((np.nan_to_num(full.astype(np.float32)) - low) * factor).clip(0, 255).astype(np.uint8)
    if values.ndim == 2:
        values = values[:, :, None]
    colors = values[:, :, :3] if values.shape[2] >= 3 else np.repeat(values[:, :, :1], 3, 2)
    if values.shape[2] != 4 or values[:, :, 3].min() == 255:
        return cast("BgrImage", np.ascontiguousarray(colors)), None
    share = values[:, :, 3:].astype(np.uint16)
    colors = ((colors * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
    return cast("BgrImage", colors), cast("GreyImage", np.ascontiguousarray(values[:, :, 3]))
