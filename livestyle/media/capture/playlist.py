"""Variants of an HLS master playlist, of which one is read: FFmpeg would download all of them; and lists of streams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

MARK = b"#EXTM3U"
"""First bytes of a playlist."""
_VIDEO = ("avc", "hvc", "hev", "vp0", "vp8", "vp9", "av01", "mp4v", "dav1", "mjp", "jpeg", "theora")
"""How the names of video codecs begin in ``CODECS`` (RFC 6381)."""
_DOLBY = ("dvh", "dva")
"""Those whose colours FFmpeg's decoders show wrongly."""
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass(frozen=True)
class Variant:
    """One of the streams that a master playlist offers.

    Attributes:
        address: URL of its own playlist.
        width: in pixels; 0 where the playlist does not say.
        height: the same.
        bandwidth: bits per second; 0 where the playlist does not say.
        is_plain: in standard dynamic range, as far as the playlist says.
    """

    address: str
    width: int
    height: int
    bandwidth: int
    is_plain: bool = True


def variants(playlist: str, address: str) -> list[Variant]:
    """The variants with video in a master playlist; none in any other playlist.

    Args:
        playlist: its text.
        address: where it came from.
    """
    found: list[Variant] = []
    attributes: dict[str, str] | None = None
    for line in map(str.strip, playlist.splitlines()):
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes = {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}
        elif line and not line.startswith("#") and attributes is not None:
            codecs = [name.strip().lower() for name in attributes.get("CODECS", "").split(",") if name.strip()]
            if not codecs or any(name.startswith((*_VIDEO, *_DOLBY)) for name in codecs):
                size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", attributes.get("RESOLUTION", ""))
                bandwidth = attributes.get("BANDWIDTH", "")
                is_dolby = any(name.startswith(_DOLBY) for name in codecs)
                found.append(
                    Variant(
                        urljoin(address, line),
                        *((int(size[1]), int(size[2])) if size else (0, 0)),
                        int(bandwidth) if bandwidth.isdecimal() else 0,
                        attributes.get("VIDEO-RANGE", "SDR") == "SDR" and not is_dolby,
                    )
                )
            attributes = None
    # Beside variants with a size, one without is the sound alone.
    return [variant for variant in found if variant.width] or found


def in_order(found: list[Variant], size: tuple[int, int] | None) -> list[Variant]:
    """Variants, the best first: the largest that fits in a box, of equals the one with the most bits.

    Those that are too large come behind, the smallest of them first, and those of high dynamic range last.

    Args:
        found: any number of them.
        size: width and height of the box in pixels; None is without limits.
    """

    def rank(variant: Variant) -> tuple[bool, bool, int, int]:
        fits = size is None or (variant.width <= size[0] and variant.height <= size[1])
        area = variant.width * variant.height
        return (
            not variant.is_plain,
            not fits,
            -area if fits else area,
            -variant.bandwidth if fits else variant.bandwidth,
        )

    return sorted(found, key=rank)


def first_entry(playlist: str, address: str) -> str:
    """Address of the first stream of a list of streams (M3U), as of channels; empty where it is a playlist of HLS.

    Args:
        playlist: its text.
        address: where it came from.
    """
    lines = [line.strip() for line in playlist.splitlines()]
    if any(line.startswith("#EXT-X-") for line in lines):
        return ""
    return next((urljoin(address, line) for line in lines if line and not line.startswith("#")), "")
