"""Writing of image files, with the metadata of their source."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle.errors import OutputError
from livestyle.media.depth import is_deep
from livestyle.results import write_result

from .deep import encode_tiff
from .formats import JPEG_SUFFIXES, WRITABLE, check_dimensions, is_writable
from .metadata import EXIF_HEADER, Metadata, parse_exif

if TYPE_CHECKING:
    import numpy as np

WITH_ALPHA = (".avif", ".png", ".tif", ".tiff", ".webp")
"""Suffixes of the formats that carry transparency."""
DEEP = (".png", ".tif", ".tiff")
"""Suffixes of the formats that are written with 16 bits a channel."""
JPEG_QUALITY = 95
AVIF_QUALITY = 90
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_MOST_SEGMENT = 65533
"""Bytes of a JPEG segment."""
_XMP_TAG = 700
_DIRECTORIES = (0x8769, 0x8825)
"""Tags of EXIF that are directories: Exif and GPS."""
_INCH = 0.0254
"""Metres."""


def write_image(path: Path, image: np.ndarray, metadata: Metadata | None = None) -> list[str]:
    """Write an image atomically, in the format of the name's suffix; a file that is there is replaced.

    Args:
        path: file to write.
        image: see `encode_image`.
        metadata: of its source; what depends on the source's pixels, such as the orientation, is left out or renewed.

    Returns:
        Nouns of what the format cannot carry of the metadata.

    Raises:
        OutputError: the suffix is none of `WRITABLE`, or the file cannot be written.
    """
    write_result(path, encode_image(path, image, metadata), replace=True)
    return carried_metadata(path, metadata or Metadata(), image.shape[1], image.shape[0])[1]


def encode_image(path: Path, image: np.ndarray, metadata: Metadata | None = None) -> bytes:
    """An image as the bytes of a file, in the format of a name's suffix.

    Args:
        path: whose suffix counts; it is what errors call the image.
        image: sRGB, uint8 [H, W, 3] BGR, or [H, W, 4] with straight alpha for one of `WITH_ALPHA`; uint16 for one of
            `DEEP`.
        metadata: see `write_image`.

    Raises:
        OutputError: the suffix is none of `WRITABLE`, or the format cannot hold the image.
    """
    if not is_writable(path):
        raise OutputError(f"cannot write {path}: end the name with one of {' '.join(WRITABLE)}")
    height, width = image.shape[:2]
    check_dimensions(path, width, height)
    suffix = path.suffix.lower()
    kept = (metadata or Metadata()).of_painting(width, height)
    try:
        if is_deep(image) and suffix not in DEEP:
            raise ValueError("of 16 bits")
        if is_deep(image) and suffix != ".png":
            data = encode_tiff(image, _tiff_tags(kept), kept.density)
        elif suffix in (".avif", ".tif", ".tiff") or (suffix == ".webp" and (kept.exif or kept.xmp)):
            data = _by_pillow(suffix, image, kept)
        else:
            data = _by_opencv(suffix, image)
            if suffix in JPEG_SUFFIXES:
                data = _jpeg_with(data, kept)
            elif suffix == ".png":
                data = _png_with(data, kept)
    except (ValueError, OSError) as error:
        raise OutputError(
            f"cannot write {path}: a {suffix} of {width}x{height} cannot be made here, use .png"
        ) from error
    return data


def carried_metadata(path: Path, metadata: Metadata, width: int, height: int) -> tuple[list[str], list[str]]:
    """Nouns of what `write_image` keeps and leaves out of a source's metadata, for a file and the size of the image."""
    return _carried(path.suffix.lower(), metadata, metadata.of_painting(width, height))


def _carried(suffix: str, before: Metadata, kept: Metadata) -> tuple[list[str], list[str]]:
    jpeg, png = suffix in JPEG_SUFFIXES, suffix == ".png"
    carries_exif, carries_xmp = suffix != ".bmp", suffix != ".bmp"
    if jpeg:
        carries_exif = len(kept.exif) + len(EXIF_HEADER) <= _MOST_SEGMENT
        carries_xmp = len(kept.xmp) + len(_XMP_HEADER) <= _MOST_SEGMENT
    has = {
        "EXIF": (bool(before.exif), bool(kept.exif) and carries_exif),
        "XMP": (bool(before.xmp), bool(kept.xmp) and carries_xmp),
        "IPTC": (bool(before.iptc), jpeg),
        "PNG texts": (bool(before.text), png),
    }
    found = {name: is_kept for name, (is_there, is_kept) in has.items() if is_there}
    return [name for name in found if found[name]], [name for name in found if not found[name]]


def _by_opencv(suffix: str, image: np.ndarray) -> bytes:
    import cv2

    is_jpeg = suffix in JPEG_SUFFIXES
    try:
        fine, data = cv2.imencode(
            ".jpg" if is_jpeg else suffix, image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if is_jpeg else []
        )
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if not fine:
        raise ValueError("OpenCV cannot encode it")
    return data.tobytes()


def _by_pillow(suffix: str, image: np.ndarray, metadata: Metadata) -> bytes:
    import cv2
    from PIL import Image

    picture = Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB))
    options: dict[str, Any] = {}
    if metadata.exif and suffix in (".webp", ".avif"):
        options["exif"] = EXIF_HEADER + metadata.exif if suffix == ".webp" else metadata.exif
    if metadata.xmp and suffix in (".webp", ".avif"):
        options["xmp"] = metadata.xmp
    if suffix == ".webp":
        options |= {"format": "WEBP", "lossless": True}
    elif suffix == ".avif":
        options |= {"format": "AVIF", "quality": AVIF_QUALITY}
    else:
        options |= {"format": "TIFF", "tiffinfo": _tiff_tags(metadata)}
        # libtiff, which compresses, takes no directories within the first one: EXIF's and the place.
        if not any(isinstance(value, dict) for value in options["tiffinfo"].values()):
            options["compression"] = "tiff_lzw"
        if metadata.density:
            options["dpi"] = metadata.density
    file = BytesIO()
    picture.save(file, **options)
    return file.getvalue()


def _tiff_tags(metadata: Metadata) -> Any:
    from PIL import TiffImagePlugin

    tags: Any = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    exif: Any = parse_exif(metadata.exif) if metadata.exif else {}
    for tag, value in dict(exif).items():
        tags[tag] = dict(exif.get_ifd(tag)) if tag in _DIRECTORIES else value
    if metadata.xmp:
        tags.tagtype[_XMP_TAG] = 1
        tags[_XMP_TAG] = metadata.xmp
    return tags


def _jpeg_with(data: bytes, metadata: Metadata) -> bytes:
    """A JPEG of OpenCV's with segments behind its JFIF header, which has a fixed place."""
    segments = b""
    for marker, payload in (
        (0xE1, EXIF_HEADER + metadata.exif if metadata.exif else b""),
        (0xE1, _XMP_HEADER + metadata.xmp if metadata.xmp else b""),
        (0xED, metadata.iptc),
    ):
        if payload and len(payload) <= _MOST_SEGMENT:
            segments += struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
    if data[2:4] != b"\xff\xe0":
        return data[:2] + segments + data[2:]
    end = 4 + int.from_bytes(data[4:6])
    head = data[:end]
    if metadata.density and head[6:11] == b"JFIF\0":
        across, down = (round(value) for value in metadata.density)
        head = head[:13] + struct.pack(">BHH", 1, across, down) + head[18:]
    return head + segments + data[end:]


def _png_with(data: bytes, metadata: Metadata) -> bytes:
    """A PNG with chunks behind its header."""
    chunks = b""

    def add(name: bytes, content: bytes) -> None:
        nonlocal chunks
        chunks += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    if metadata.density:
        add(b"pHYs", struct.pack(">IIB", *(round(value / _INCH) for value in metadata.density), 1))
    if metadata.exif:
        add(b"eXIf", metadata.exif)
    if metadata.xmp:
        add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    for key, value in metadata.text:
        name = key.encode("latin-1", "replace")[:79]
        if name:
            add(b"iTXt", name + b"\0\0\0\0\0" + value.encode("utf-8", "replace"))
    at = 8 + 25
    return data[:at] + chunks + data[at:]
