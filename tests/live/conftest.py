"""What tests of the live program share: a scene, clips of it, styles, and what the program prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

CLIP_SIZE = (192, 108)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in grey levels; infinite of images of two sizes."""
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(np.float32) - other).mean())


class Terminal:
    """What the program has printed on stderr so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._captured.readouterr().err
        return self._text

    def shows(self, words: str) -> Callable[[], bool]:
        """A condition: these words are there."""
        return lambda: words in self.text


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings of this test are; there are none yet."""
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("LIVESTYLE_SETTINGS", str(path))
    return path


@pytest.fixture(scope="session")
def scene() -> np.ndarray:
    """An image whose left and right, and top and bottom, cannot be mistaken: uint8 [108, 192, 3]."""
    width, height = CLIP_SIZE
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (40, 40, 200)
    image[:, width // 2 :] = (200, 120, 40)
    cv2.circle(image, (width // 4, height // 2), height // 4, (230, 230, 230), -1)
    cv2.rectangle(image, (width * 5 // 8, height // 8), (width * 7 // 8, height // 3), (20, 160, 220), -1)
    return image


@pytest.fixture(scope="session")
def still(scene: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as an image file, which as a camera gives one frame."""
    path = tmp_path_factory.mktemp("still") / "still.png"
    cv2.imwrite(str(path), scene)
    return path


@pytest.fixture(scope="session")
def still_clip(scene: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in which nothing moves."""
    return write_clip(tmp_path_factory.mktemp("clips") / "still.avi", [scene] * 30)


@pytest.fixture(scope="session")
def moving_clip(scene: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second in which the scene moves."""
    return write_clip(tmp_path_factory.mktemp("clips") / "moving.avi", [np.roll(scene, n, axis=1) for n in range(15)])


def write_clip(path: Path, images: list[np.ndarray], rate: float = 15.0) -> Path:
    """A Motion JPEG of images, uint8 [H, W, 3] BGR, of one size."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()
    return path


@pytest.fixture(scope="session")
def style_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three style images of quite different colours: 1-blue.png, 2-green.png, 3-red.png."""
    folder = tmp_path_factory.mktemp("styles")
    noise = np.random.default_rng(1).integers(0, 90, (64, 64, 3), np.uint8)
    for number, name in enumerate(("blue", "green", "red")):
        image = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
        image[..., number] = np.maximum(image[..., number], 60) + 100
        cv2.imwrite(str(folder / f"{number + 1}-{name}.png"), image)
    return folder
