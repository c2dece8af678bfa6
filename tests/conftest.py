"""What all tests share: the shipped model, real frames, and a cache that is not the user's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import Style, StyleLibrary, Stylizer
from livestyle.engine.model import checksum, package_folder
from tests.ffmpeg import Make
from tests.program import IDENTITY


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    patch = pytest.MonkeyPatch()
    patch.setenv("LIVESTYLE_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("LIVESTYLE_PRESETS", str(tmp_path_factory.mktemp("presets")))


@pytest.fixture(scope="session", autouse=True)
def _end_as_usual() -> None:
    # Under nohup, or in the background of a script, one of them is ignored, and so it would be in every program that
    # tests start; what is handled is not inherited.
    for name in ("SIGHUP", "SIGINT"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def stylizer() -> Stylizer:
    """The default model on the CPU."""
    return Stylizer(device="cpu")


@pytest.fixture(scope="session")
def exact_stylizer() -> Stylizer:
    """The default model on the CPU in float32, which is what its two-style network and CUDA agree with closely."""
    return Stylizer(device="cpu-float32")


@pytest.fixture(scope="session")
def identity() -> Stylizer:
    """A model of a few kB on the CPU, for all that is not about the painting; see tests/models/make_identity.py."""
    return Stylizer(IDENTITY, device="cpu")


@pytest.fixture
def identity_library(identity: Stylizer, tmp_path: Path) -> StyleLibrary:
    """A style library of that model with an empty cache."""
    return StyleLibrary(identity, tmp_path / "cache")


@pytest.fixture(scope="session")
def dusk(identity: Stylizer) -> Style:
    """A preset of that model: dark and blue."""
    return StyleLibrary(identity).presets["dusk"]


@pytest.fixture
def library(stylizer: Stylizer, tmp_path: Path) -> StyleLibrary:
    """A style library with an empty cache."""
    return StyleLibrary(stylizer, tmp_path / "cache")


@pytest.fixture(scope="session")
def style(stylizer: Stylizer) -> Style:
    """A style that is nobody's preset."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return Style("noise", stylizer.encode_style(noise))


@pytest.fixture(scope="session")
def demo_frames() -> list[np.ndarray]:
    """Every tenth frame of the bundled clip, uint8 [360, 640, 3] BGR."""
    capture = cv2.VideoCapture(str(package_folder("assets") / "demo.mp4"))
    frames: list[np.ndarray] = []
    while True:
        fine, frame = capture.read()
        if not fine:
            return frames[::10]
        frames.append(frame)


@pytest.fixture(scope="session")
def changing_light(demo_frames: list[np.ndarray]) -> list[np.ndarray]:
    """A scene whose right half is bright and dark in turns, too little for a scene cut: uint8 [180, 240, 3] BGR."""
    bright = demo_frames[0][:180, :240]
    dark = bright.copy()
    dark[:, 120:] -= dark[:, 120:] // 4
    return [bright, dark, bright, dark]


@pytest.fixture(scope="session")
def frame(demo_frames: list[np.ndarray]) -> np.ndarray:
    """A real frame, small and of odd sizes: uint8 [121, 203, 3] BGR."""
    return cv2.resize(demo_frames[0], (203, 121), interpolation=cv2.INTER_AREA)


@pytest.fixture
def image_path(tmp_path: Path, demo_frames: list[np.ndarray]) -> Path:
    """A real image file, good as a style too."""
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), demo_frames[5])
    return path


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg command; ffprobe lies beside it."""
    path = shutil.which("ffmpeg")
    assert path, "these tests need ffmpeg: apt install ffmpeg"
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what ffmpeg has made in this session."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture
def make(ffmpeg: str, tmp_path: Path, clips: Path) -> Make:
    """Runs ffmpeg, once a session for the same arguments, and gives a copy of the file that it wrote."""

    def run(name: str, *arguments: str) -> Path:
        path = tmp_path / name
        # What it reads counts by its content; filters are too long for Path.is_file.
        recipe = [checksum(Path(a)) if os.path.isfile(a) else a for a in arguments]  # noqa: PTH113
        clip = clips / f"{sha256(repr(recipe).encode()).hexdigest()}{path.suffix}"
        if not clip.exists():
            new = clips / f"new{path.suffix}"
            subprocess.run([ffmpeg, "-v", "error", "-y", *arguments, str(new)], check=True)
            new.rename(clip)
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(clip, path)
        return path

    return run
