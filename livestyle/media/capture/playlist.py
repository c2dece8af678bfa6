"""Variants of an HLS master playlist, of which one is read: FFmpeg would download all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

MARK = b"#EXTM3U"
"""First bytes of a playlist."""
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass(frozen=True)
class Variant:
    """One of the streams that a master playlist offers.

    Attributes:
        address: URL of its own playlist.
        width: in pixels; 0 where the playlist does not say.
        height: the same.
        bandwidth: bits per second; 0 where the playlist does not say.
    """

    address: str
    width: int
    height: int
    bandwidth: int


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
            size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", attributes.get("RESOLUTION", ""))
            bandwidth = attributes.get("BANDWIDTH", "")
            width, height = (int(size[1]), int(size[2])) if size else (0, 0)
            found.append(Variant(urljoin(address, line), width, height, int(bandwidth) if bandwidth.isdecimal() else 0))
            attributes = None
    # Beside variants with a size, one without is the sound alone.
    return [variant for variant in found if variant.width] or found


def best_variant(found: list[Variant], size: tuple[int, int] | None) -> Variant:
    """The largest variant that fits in a box, or else the smallest; of equals, the one with the most bits.

    Args:
        found: one or more.
        size: width and height of the box in pixels; None is without limits.
    """

    def rank(variant: Variant) -> tuple[int, int]:
        return variant.width * variant.height, variant.bandwidth

    fitting = [v for v in found if size is None or (v.width <= size[0] and v.height <= size[1])]
    return max(fitting, key=rank) if fitting else min(found, key=rank)
