"""The same frames in the same looks are the same bytes, through the live program, a video and images."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import Look, StyleLibrary, Stylizer, Timeline
from livestyle.cli.main import main
from livestyle.live.controls import Controls
from livestyle.live.keymap import press_of
from livestyle.live.render_thread import RenderThread
from livestyle.media.capture.camera import Camera
from tests.waiting import PATIENCE

COUNT, SWITCH = 12, 6
WIDTH, HEIGHT, RATE = 96, 72, 25
STYLES = ("scream", "ink-sea")

Choices = Mapping[str, Any]


@pytest.fixture(scope="module")
def clip(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames that all differ, some by noise alone, lossless."""
    path = tmp_path_factory.mktemp("same") / "clip.mkv"
    pattern = f"testsrc2=s={WIDTH}x{HEIGHT}:r={RATE},noise=alls=8:allf=t"
    command = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", pattern, "-frames:v", str(COUNT), "-pix_fmt", "bgr0"]
    subprocess.run([*command, "-c:v", "ffv1", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def photos(ffmpeg: str, clip: Path) -> list[Path]:
    """Its frames as PNG files."""
    subprocess.run([ffmpeg, "-v", "error", "-i", str(clip), str(clip.parent / "%02d.png")], check=True)
    return sorted(clip.parent.glob("*.png"))


def live(stylizer: Stylizer, clip: Path, choices: Choices) -> list[np.ndarray]:
    """What the live program writes to its sinks where key 2 is pressed right after the sixth frame."""
    first, second = (StyleLibrary(stylizer).presets[name] for name in STYLES)
    controls = Controls(Look(Timeline.of(first), **choices), first, [first, second], crossfade=0.0)
    written: list[np.ndarray] = []
    done = threading.Event()

    def write(image: np.ndarray, _: float) -> None:
        written.append(image)
        if len(written) == SWITCH:
            press = press_of("2")
            assert press is not None
            thread.look = controls.handle(press, time.monotonic())
        if len(written) == COUNT:
            done.set()

    with Camera(clip, every_frame=True) as camera:
        thread = RenderThread(lambda: (stylizer, controls.look), camera, write, rate=0)
        thread.start()
        assert done.wait(PATIENCE)
        thread.close()
    return written[:COUNT]


def options(choices: Choices) -> list[str]:
    """Choices as options of the command line."""
    words = []
    for name, value in choices.items():
        flag = name.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", f"{value:g}"]
    return words


def video(clip: Path, choices: Choices, captured: pytest.CaptureFixture[bytes]) -> list[np.ndarray]:
    """What ``livestyle video`` writes as bare frames."""
    timeline = f"{STYLES[0]}@0,{STYLES[1]}@{SWITCH / RATE:g}"
    raw = ["-o", "-", "--raw", f"{WIDTH}x{HEIGHT}@{RATE}"]
    captured.readouterr()
    assert (
        main(["video", str(clip), *raw, "--device", "cpu", "--style", timeline, "--crossfade", "0", *options(choices)])
        == 0
    )
    return list(np.frombuffer(captured.readouterr().out, np.uint8).reshape(COUNT, HEIGHT, WIDTH, 3))


def images(photos: list[Path], choices: Choices, folder: Path) -> list[np.ndarray]:
    """What ``livestyle image`` makes of each frame."""
    for style, sources in zip(STYLES, (photos[:SWITCH], photos[SWITCH:]), strict=True):
        words = options({name: value for name, value in choices.items() if name != "stabilise"})
        assert main(["image", *map(str, sources), "-o", str(folder), "--device", "cpu", "--style", style, *words]) == 0
    painted = [cv2.imread(str(path)) for path in sorted(folder.iterdir())]
    return [image for image in painted if image is not None]


@pytest.mark.parametrize("stabilise", [True, False])
@pytest.mark.parametrize(
    "look", [{}, {"stroke_size": 1.5, "sharpness": 0.5, "mirror": True}], ids=["default", "strokes, sharper, mirrored"]
)
def test_a_frame_is_the_same_bytes_live_in_a_video_and_as_an_image(
    stylizer: Stylizer,
    clip: Path,
    photos: list[Path],
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    look: dict[str, Any],
    stabilise: bool,
) -> None:
    choices = {**look, "stabilise": stabilise}
    shown, frames = live(stylizer, clip, choices), video(clip, choices, capfdbinary)
    photographs = images(photos, choices, tmp_path)
    assert len(shown) == len(frames) == len(photographs) == COUNT
    assert len({image.tobytes() for image in frames}) == COUNT
    assert [np.array_equal(a, b) for a, b in zip(shown, frames, strict=True)] == [True] * COUNT
    # Held still, only the first frame knows of no other.
    alone = [np.array_equal(a, b) for a, b in zip(photographs, frames, strict=True)]
    assert all(alone[:1] if stabilise else alone)
