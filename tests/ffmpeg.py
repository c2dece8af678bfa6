"""What ffmpeg and ffprobe say of a file: not our own reader is to judge what we write."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

Make = Callable[..., Path]
"""The fixture `make`."""


def probe(path: Path, *what: str) -> dict[str, Any]:
    """What ffprobe finds, with its options for what to look at."""
    command = ["ffprobe", "-v", "error", "-of", "json", *what, str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def streams(path: Path, kind: str) -> list[dict[str, Any]]:
    """All streams of a kind, such as ``a`` or ``v:0``."""
    found: list[dict[str, Any]] = probe(path, "-select_streams", kind, "-show_streams")["streams"]
    return found


def stream(path: Path, name: str = "v:0") -> dict[str, Any]:
    """The first stream of that name."""
    return streams(path, name)[0]


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    base = Fraction(stream(path)["time_base"])
    frames = probe(path, "-select_streams", "v:0", "-show_entries", "frame=pts")["frames"]
    return [frame["pts"] * base for frame in frames]


def packet_times(path: Path, name: str) -> list[float]:
    """When each packet of a stream is played, in seconds."""
    packets = probe(path, "-select_streams", name, "-show_entries", "packet=pts_time")["packets"]
    return [float(packet["pts_time"]) for packet in packets]


def md5(ffmpeg: str, path: Path, name: str) -> bytes:
    """Of all packets of a stream, as they are encoded."""
    command = [ffmpeg, "-v", "error", "-i", str(path), "-map", f"0:{name}", "-c", "copy", "-f", "md5", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def pixels(ffmpeg: str, path: Path, width: int, height: int) -> np.ndarray:
    """What ffmpeg shows of a file: int [N, H, W, 3] RGB."""
    command = [ffmpeg, "-v", "error", "-i", str(path), "-vf", "scale=flags=accurate_rnd+full_chroma_int"]
    raw = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run([*command, *raw], check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3).astype(int)
