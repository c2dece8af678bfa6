from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


def study(pictures: Path, loss_network: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "train", "study", "--content-path", str(pictures), "--style-path", str(pictures)]
    command += ["--vgg-weights", str(loss_network), "--checkpoint", str(folder / "runs"), "-o", str(folder / "out")]
    command += ["--batch-size", "2", "--cache", "1", "--pictures", "4", "--device", "cpu", *more]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def done(pictures: Path, loss_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of a few iterations on a few pictures."""
    folder = tmp_path_factory.mktemp("study")
    result = study(pictures, loss_network, folder, "--max-iter", "8")
    assert result.returncode == 0, result.stderr
    return folder


def test_a_study_answers_each_question_with_a_table_a_curve_and_a_sheet(done: Path) -> None:
    text = (done / "out" / "README.md").read_text()
    results = json.loads((done / "out" / "results.json").read_text())
    assert results["command"] in text.replace(" \\\n   ", "")
    assert list(results["iterations"]) == ["1", "2", "4", "8"]
    assert list(results["weights"]) == ["1", "2.5", "5", "10", "25"]
    for question in ("iterations", "pictures", "weights", "stages"):
        for label, points in results[question].items():
            assert label in text
            # What the table says is what was measured.
            if question != "pictures":
                assert f"| {points[-1]['held-out content']:.3f} | {points[-1]['held-out style']:.3f} |" in text
        assert f"({question}.svg)" in text
        assert (done / "out" / f"{question}.svg").read_text().startswith("<?xml")
        columns = 5 if question == "stages" else len(results[question])
        with Image.open(done / "out" / f"{question}.jpg") as sheet:
            assert sheet.size == (128 * (2 + columns), 24 + 4 * 128)


def test_the_curves_of_training_and_held_out_loss_have_eight_points(done: Path) -> None:
    results = json.loads((done / "out" / "results.json").read_text())["pictures"]
    assert list(results) == ["2", "4"]
    for points in results.values():
        assert [point["iteration"] for point in points] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert all(point["training style"] > 0 for point in points)


def test_what_is_finished_is_not_repeated_and_the_page_is_the_same(
    done: Path, pictures: Path, loss_network: Path
) -> None:
    before = {path.name: path.read_bytes() for path in (done / "out").iterdir()}
    times = {path: path.stat().st_mtime_ns for path in (done / "runs").glob("*/last.pt")}
    assert study(pictures, loss_network, done, "--max-iter", "8").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (done / "runs").glob("*/last.pt")} == times
    assert {path.name: path.read_bytes() for path in (done / "out").iterdir()} == before


def test_iterations_that_have_no_eighths_are_refused(pictures: Path, loss_network: Path, tmp_path: Path) -> None:
    result = study(pictures, loss_network, tmp_path, "--max-iter", "20")
    assert result.returncode == 1
    assert "--max-iter 20 is not a multiple of 8: use 16" in result.stderr
    assert "Traceback" not in result.stderr
