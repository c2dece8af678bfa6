"""Long runs of films: many short ones in a batch, and a long one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from livestyle import Look, StyleLibrary, Stylizer
from livestyle.jobs.batch import VideoBatch
from livestyle.jobs.options import VideoOptions

from .meter import Meter

SHORT_SECONDS = 0.4


def films(meter: Meter, count: int) -> int:
    """Paint many short films in one batch; gives how many results there are."""
    with tempfile.TemporaryDirectory() as name:
        sources, results = Path(name, "sources"), Path(name, "results")
        sources.mkdir()
        first = _film(sources / "00000.mp4", SHORT_SECONDS, "96x64")
        for number in range(1, count):
            shutil.copyfile(first, sources / f"{number:05}.mp4")
        _paint(meter, sources, results)
        return len(list(results.glob("*.mp4")))


def film(meter: Meter, frames: int, suffix: str) -> int:
    """Paint a film of many frames; gives how many frames the result has, as ffprobe counts them.

    An MP4 or MOV has its index at the end, which FFmpeg keeps in memory until then; Matroska has none of each frame.
    """
    with tempfile.TemporaryDirectory() as name:
        source, result = Path(name, "source.mp4"), Path(name, f"result{suffix}")
        _film(source, frames / 25, "64x64")
        _paint(meter, source, result)
        count = ("-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries", "stream=nb_read_packets")
        command = ["ffprobe", *count, "-of", "csv=p=0", str(result)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split(",")[0])


def _film(path: Path, seconds: float, size: str) -> Path:
    picture = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}")
    sound = ("-f", "lavfi", "-i", f"sine=440:d={seconds}", "-c:a", "aac", "-b:a", "16k")
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "250")
    subprocess.run(["ffmpeg", "-v", "error", *picture, *sound, *x264, str(path)], check=True)
    return path


def _paint(meter: Meter, source: Path, target: Path) -> None:
    batch = VideoBatch([source], target, VideoOptions())
    with meter:
        stylizer = Stylizer(device="cpu")
        look = Look(StyleLibrary(stylizer).first())
        for _ in batch.run(stylizer, [look]):
            pass
