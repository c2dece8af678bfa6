from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.train.fixtures import made_once
from train.__main__ import main

pytestmark = pytest.mark.train


def study(images: Path, loss_network: Path, folder: Path, max_iter: int) -> int:
    """The exit code of ``python -m train study``."""
    paths = ["--content-path", str(images), "--style-path", str(images), "--vgg-weights", str(loss_network)]
    paths += ["--checkpoint", str(folder / "runs"), "-o", str(folder / "out")]
    few = ["--batch-size", "2", "--cache", "1", "--pictures", "4", "--max-iter", str(max_iter)]
    return main(["study", *paths, *few, "--arch", "tiny", "--device", "cpu"])


@pytest.fixture
def done(images: Path, loss_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of a few iterations on a few images."""

    def make(folder: Path) -> None:
        assert study(images, loss_network, folder, 8) == 0

    return made_once(tmp_path_factory, "study", make)


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


def test_what_is_finished_is_not_repeated_and_the_report_is_the_same(
    done: Path, images: Path, loss_network: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "study"))
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    times = {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("*/last.pt")}
    assert len(times) == 12
    assert study(images, loss_network, folder, 8) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("*/last.pt")} == times
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_iterations_that_have_no_eighths_are_refused(
    images: Path, loss_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(images, loss_network, tmp_path, 20) == 1
    assert capsys.readouterr().err == "error: --max-iter 20 is not a multiple of 8: use 16\n"
