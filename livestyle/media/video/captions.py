"""Closed captions of broadcasts (CEA-608 and CEA-708) in the packets of a video, by ATSC A/53 part 4."""

from __future__ import annotations

from typing import Any

_MARK = b"GA94\x03"
_COUNTRY = b"\xb5\x00\x31"
"""Of ITU-T T.35: the United States, and ATSC as the provider."""
READ = ("h264", "hevc", "mpeg2video", "mpegvideo")
"""Codecs whose packets may hold captions."""
WRITTEN = ("h264", "hevc")
"""Codecs whose packets `with_captions` can put them into."""


def captions_of(packet: Any) -> bytes | None:
    """The caption data (cc_data of A/53) in a packet of one of the codecs `READ`; None where there is none."""
    data = bytes(packet)
    if _MARK not in data:
        return None
    data = data.replace(b"\0\0\x03", b"\0\0")
    at = data.find(_MARK)
    if at < 0 or at + len(_MARK) >= len(data):
        return None
    at += len(_MARK)
    found = data[at : at + 2 + 3 * (data[at] & 31)]
    return found if len(found) > 2 else None


def with_captions(data: bytes, captions: bytes, codec: str) -> bytes:
    """A packet in Annex B form with captions before its image, as supplemental enhancement information (SEI).

    Args:
        data: packet of an encoder, whose parameter sets are not in it.
        captions: as of `captions_of`.
        codec: one of `WRITTEN`.
    """
    payload = _COUNTRY + _MARK + captions + b"\xff"
    # Type 4 is user data that is registered by T.35.
    message = b"\x04" + b"\xff" * (len(payload) // 255) + bytes([len(payload) % 255]) + payload + b"\x80"
    header = b"\x06" if codec == "h264" else b"\x4e\x01"
    return b"\0\0\0\x01" + header + _escaped(message) + data


def _escaped(data: bytes) -> bytes:
    """Data with emulation prevention: no start code is in it."""
    escaped, zeros = bytearray(), 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(escaped)
