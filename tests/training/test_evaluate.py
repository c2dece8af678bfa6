from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from train.data import find_pictures
from train.evaluate import luma, prepare, ssim, stillness


def test_a_model_is_measured_into_json(pictures: Path, loss_network: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for path in sorted(pictures.iterdir())[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "train", "evaluate", "lite", "--vgg-weights", str(loss_network), "-o", str(report)]
    command += ["--content-path", str(folder), "--style-path", str(folder), "--every", "2"]
    subprocess.run(command, check=True, capture_output=True)
    figures = json.loads(report.read_text())
    assert figures["pairs"] == 1
    assert all(np.isfinite(value) for value in figures.values())


def test_a_picture_is_measured_at_512_pixels_in_multiples_of_eight(picture: Path) -> None:
    (file,) = find_pictures([picture.parent])
    assert prepare(file).shape == (512, 768, 3)


def test_the_similarity_of_a_picture_to_itself_is_one_and_falls_with_noise(frame: np.ndarray) -> None:
    noisy = np.clip(frame + np.random.default_rng(0).normal(0, 20, frame.shape), 0, 255)
    assert ssim(luma(frame), luma(frame)) == pytest.approx(1)
    assert ssim(luma(frame), luma(noisy)) < 0.9


def test_a_stylizer_that_changes_nothing_is_perfectly_still(picture: Path) -> None:
    class Still:
        def stylize(self, frame: np.ndarray, style: object) -> np.ndarray:
            return frame

    gain, error = stillness(Still(), find_pictures([picture.parent]), [object()])  # type: ignore[arg-type,list-item]
    assert gain == pytest.approx(1)
    assert error == 0
