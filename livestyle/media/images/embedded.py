"""Colour profile that an image file has: embedded (ICC), or stated in other words (PNG, AVIF, HEIC, EXIF)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from .metadata import is_adobe_rgb
from .profiles import ADOBE_RGB, SRGB, ToSrgb, coded_profile, gamma_curve, lab_profile, make_profile, srgb_curve

PNG_HEADER = b"\x89PNG\r\n\x1a\n"
WIDE_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of one channel of more than 8 bits."""


def conversion(opened: Any, data: bytes, exif: Any) -> tuple[ToSrgb | None, bool]:
    """Conversion into sRGB, None where it is sRGB already; and whether there is a profile that cannot be used."""
    profile, is_damaged = _profile(opened, data, exif), False
    if profile is None:
        return None, False
    try:
        found: ToSrgb | None = ToSrgb(profile)
    except ValueError:
        found, is_damaged = None, True
    if found is not None and (found.is_identity or not _fits(found.mode, opened.mode)):
        found = None
    return found, is_damaged


def _fits(mode: str, image_mode: str) -> bool:
    """Whether an image of a mode can have a profile of such colours; profiles that were left from before are common."""
    if mode in ("CMYK", "LAB"):
        return image_mode == mode
    if mode == "L":
        return image_mode in ("1", "L", "LA", "La", *WIDE_MODES)
    return image_mode not in ("CMYK", "LAB")


def _profile(opened: Any, data: bytes, exif: Any) -> bytes | None:
    info = opened.info
    if opened.mode == "LAB":
        return lab_profile()
    if data.startswith(PNG_HEADER):
        chunks = dict(png_chunks(data))
        if len(coded := chunks.get(b"cICP", b"")) == 4:
            # Above ICC in rank.
            return coded_profile(coded[0], coded[1])
        if not info.get("icc_profile") and b"sRGB" not in chunks and (b"gAMA" in chunks or b"cHRM" in chunks):
            gamma = struct.unpack(">I", chunks[b"gAMA"])[0] if len(chunks.get(b"gAMA", b"")) == 4 else 45455
            colors = info.get("chromaticity") or SRGB
            is_srgb = 45000 <= gamma <= 46000
            if not is_srgb or max(abs(a - b) for a, b in zip(colors, SRGB, strict=True)) > 0.002:
                return make_profile(colors, srgb_curve if is_srgb else gamma_curve(100000 / max(gamma, 1)))
    if icc := info.get("icc_profile"):
        return bytes(icc)
    if opened.format == "JPEG2000" and (found := re.search(rb"(....)colr\x02..", data[:65536], re.DOTALL)):
        # A restricted ICC profile, which Pillow does not give.
        return data[found.end() : found.start() + int.from_bytes(found[1])]
    if opened.format in ("AVIF", "HEIF"):
        # The colr box of the first item; tiles and thumbnails repeat it.
        found = re.search(rb"colrnclx(....)", data[:65536], re.DOTALL)
        return coded_profile(*struct.unpack(">HH", found[1])) if found else None
    return make_profile(ADOBE_RGB, gamma_curve(563 / 256)) if is_adobe_rgb(exif) else None


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG before its pixels: name and data."""
    at = 8
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        size = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += size + 12
