"""What ffmpeg and ffprobe say of a file: not our own reader is to judge what we write."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

Make = Callable[..., Path]
"""The fixture `make`."""


_answers: dict[tuple[str, ...], bytes] = {}


def ask(path: Path, *command: str) -> bytes:
    """What a command writes that reads a file, whose name in it is ``{}``; of the same bytes, only once a session."""
    key = (hashlib.sha256(path.read_bytes()).hexdigest(), path.suffix, *command)
    if key not in _answers:
        words = [str(path) if word == "{}" else word for word in command]
        _answers[key] = subprocess.run(words, check=True, capture_output=True).stdout
    return _answers[key]


def probe(path: Path) -> dict[str, Any]:
    """All that ffprobe finds in a file: its format, streams, chapters, packets and decoded frames.

    Packets and frames of all streams are in the order of the file, each with its ``stream_index``.
    """
    what = ("-show_format", "-show_streams", "-show_chapters", "-show_packets", "-show_frames")
    text = ask(path, "ffprobe", "-v", "error", "-of", "json", *what, "-show_data_hash", "md5", "{}")
    found: dict[str, Any] = json.loads(text)
    both = found.pop("packets_and_frames", [])
    for name in ("packet", "frame"):
        found[f"{name}s"] = [one for one in both if one["type"] == name]
    return found


def streams(path: Path, kind: str) -> list[dict[str, Any]]:
    """The streams that ffmpeg means by ``v``, ``a``, ``s`` or ``t``, or by one of these with a number, as ``v:0``."""
    letter, _, number = kind.partition(":")
    name = {"v": "video", "a": "audio", "s": "subtitle", "t": "attachment"}[letter]
    found = [stream for stream in probe(path)["streams"] if stream["codec_type"] == name]
    return found[int(number) :][:1] if number else found


def stream(path: Path, name: str = "v:0") -> dict[str, Any]:
    """The first stream of that name."""
    return streams(path, name)[0]


def packets(path: Path, name: str = "v:0") -> list[dict[str, Any]]:
    """The packets of the first stream of a name."""
    index = stream(path, name)["index"]
    return [packet for packet in probe(path)["packets"] if packet["stream_index"] == index]


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    video = stream(path)
    base = Fraction(video["time_base"])
    return [frame["pts"] * base for frame in probe(path)["frames"] if frame["stream_index"] == video["index"]]


def packet_times(path: Path, name: str) -> list[float]:
    """When each packet of a stream is played, in seconds."""
    return [float(packet["pts_time"]) for packet in packets(path, name)]


def duration(path: Path) -> float:
    """Of the file, in seconds."""
    return float(probe(path)["format"]["duration"])


def tags(path: Path) -> dict[str, str]:
    """Of the file."""
    found: dict[str, str] = probe(path)["format"]["tags"]
    return found


def damage(path: Path, *numbers: int) -> None:
    """Overwrite packets of the video, by their numbers, with zeros."""
    data = bytearray(path.read_bytes())
    for number in numbers:
        packet = packets(path)[number]
        at, size = int(packet["pos"]), int(packet["size"])
        data[at + 4 : at + size] = bytes(size - 4)
    path.write_bytes(data)


def md5(path: Path, name: str) -> list[str]:
    """Of each packet of a stream, as it is encoded."""
    return [packet["data_hash"] for packet in packets(path, name)]


def subtitles(ffmpeg: str, path: Path) -> str:
    """The texts of the first track, as SRT."""
    data = ask(path, ffmpeg, "-v", "error", "-i", "{}", "-map", "0:s:0", "-copyts", "-f", "srt", "-")
    return data.decode().replace("\r\n", "\n").strip()


def pixels(ffmpeg: str, path: Path, width: int, height: int) -> np.ndarray:
    """What ffmpeg shows of a file: int [N, H, W, 3] RGB."""
    exact = ("-vf", "scale=flags=accurate_rnd+full_chroma_int", "-fps_mode", "passthrough")
    data = ask(path, ffmpeg, "-v", "error", "-i", "{}", *exact, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3).astype(int)
