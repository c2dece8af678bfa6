"""What the README and the examples tell a programmer to do, done."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import livestyle
from tests.ffmpeg import Make

ROOT = Path(__file__).parents[1]
TESTSRC = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=10:duration=0.5", "-pix_fmt", "yuv420p")


def example(name: str, *arguments: Any, **options: Any) -> None:
    """Call the main function of a file in examples/."""
    runpy.run_path(str(ROOT / "examples" / name))["main"](*arguments, **options)


def test_the_example_of_the_readme_runs_as_it_is_written(
    image_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    photo = cv2.imread(str(image_path))
    assert photo is not None
    cv2.imwrite("photo.jpg", photo)
    names: dict[str, Any] = {}
    exec(first, names)
    painted = cv2.imread("painted.png")
    assert painted is not None
    assert painted.shape == photo.shape
    assert np.abs(painted.astype(int) - photo).mean() > 5

    shown: list[np.ndarray] = []
    # The picture stands in for the camera.
    opened = livestyle.open_source(image_path)
    monkeypatch.setattr(livestyle, "open_source", lambda _: opened)
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
    exec(second, names)
    assert [image.shape for image in shown] == [photo.shape]


def test_the_example_of_a_photo_paints_it(image_path: Path, tmp_path: Path) -> None:
    example("photo.py", str(image_path), str(tmp_path / "out.png"), "kiss")
    assert (tmp_path / "out.png").exists()


@pytest.mark.parametrize("name", ["photo.py", "film.py"])
def test_an_example_without_its_arguments_says_what_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [name])
    with pytest.raises(SystemExit, match=f"python examples/{name} "):
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")


def test_the_example_of_a_film_paints_it_in_two_styles(make: Make, tmp_path: Path) -> None:
    clip = make("clip.mp4", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=5:duration=4", "-pix_fmt", "yuv420p")
    example("film.py", str(clip), str(tmp_path / "out.mp4"))
    with livestyle.open_source(tmp_path / "out.mp4") as video:
        frames = [frame.image.astype(int) for frame in video]
    assert len(frames) == 20
    # Both are paintings of a test card that hardly changes.
    assert abs(frames[19] - frames[5]).mean() > 10


@pytest.mark.parametrize("virtual", [False, True])
def test_the_example_of_a_camera_shows_its_paintings(
    make: Make, monkeypatch: pytest.MonkeyPatch, virtual: bool
) -> None:
    shown: list[np.ndarray] = []

    class Screen:
        """Stands in for a window and for a driver of virtual cameras."""

        def __init__(self, *size: int) -> None:
            self.size = size

        def write(self, image: np.ndarray, _time: object) -> None:
            shown.append(image)

        def close(self) -> None:
            shown.append(np.empty(0))

    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
    monkeypatch.setattr("livestyle.media.sinks.virtual_camera.VirtualCamera", Screen)
    example("camera.py", str(make("clip.mp4", *TESTSRC)), virtual_camera=virtual)
    assert [image.shape for image in shown] == [(64, 96, 3)] * 5 + [(0,)] * virtual
