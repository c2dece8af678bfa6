"""A plain file format for encoded packets: a fixed header, then the data, packet after packet."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av

from livestyle.files import open_regular

_HEADER = struct.Struct("<qqqI?")
"""Presentation and decoding timestamps, duration, length of the data, key frame flag."""


def write_packets(file: BinaryIO, packets: Iterable[av.Packet[Any]]) -> None:
    """Append packets to a binary file."""
    for packet in packets:
        data = bytes(packet)
        header = _HEADER.pack(packet.pts, packet.dts, packet.duration or 0, len(data), packet.is_keyframe)
        file.write(header + data)


def read_packets(path: Path) -> Iterator[av.Packet[Any]]:
    """The packets of a file that `write_packets` filled, in order; their time base is not in it.

    Raises:
        ValueError: the file ends within a packet.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        while header := file.read(_HEADER.size):
            if len(header) < _HEADER.size:
                raise ValueError(f"{path} ends within a packet")
            pts, dts, duration, length, is_keyframe = _HEADER.unpack(header)
            # By the size of the file: Python takes the memory for what is asked for before it reads.
            data = file.read(length) if length <= size - file.tell() else b""
            if len(data) < length:
                raise ValueError(f"{path} ends within a packet")
            packet = av.Packet(data)
            packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, is_keyframe
            yield packet
