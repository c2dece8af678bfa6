from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from livestyle.errors import LivestyleError
from train.__main__ import main
from train.checkpoints import load_checkpoint
from train.options import TrainingOptions

pytestmark = pytest.mark.train


def fit(options: TrainingOptions, changed: dict[str, str]) -> list[str]:
    """The command line of a run, with some options changed or added."""
    given = {
        "--arch": options.arch,
        "--content-path": str(options.content_path[0]),
        "--style-path": str(options.style_path[0]),
        "--checkpoint": str(options.checkpoint),
        "--vgg-weights": str(options.vgg_weights),
        "--batch-size": "2",
        "--device": "cpu",
    }
    return ["fit", *(word for pair in (given | changed).items() for word in pair)]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (["--content-path", "nowhere"], "there is no folder or tar file nowhere"),
        (["--vgg-weights", "nowhere.safetensors"], "there is no loss network"),
        (["--arch", "huge"], "there is no architecture 'huge'"),
        (["--crop", "66"], "not a multiple of 4"),
        (["--batch-size", "1"], "is too small"),
        (["--device", "gpu"], "there is no device 'gpu'"),
        (["--precision", "8"], "--precision is one of"),
        (["--optimizer", "sgd"], "--optimizer is one of muon, adamw, not 'sgd'"),
        (["--stages", "paint:1"], "cannot read the stage 'paint:1'"),
    ],
)
def test_bad_options_end_with_one_sentence(
    options: TrainingOptions, capsys: pytest.CaptureFixture[str], changed: list[str], text: str
) -> None:
    assert main(fit(options, dict([changed]))) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert text in error


def test_a_started_program_ends_with_one_sentence_too(options: TrainingOptions) -> None:
    command = [sys.executable, "-m", "train", *fit(options, {"--crop": "66"})]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "error: --crop 66 is not a multiple of 4: use 64\n"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"devices": 3}, "--batch-size 2, that of all processes together, cannot be shared out to 3: use 3"),
        ({"num_nodes": 2}, "--num-nodes 2 needs torchrun on each machine"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(changed: dict[str, int], text: str, options: TrainingOptions) -> None:
    with pytest.raises(LivestyleError, match=text):
        replace(options, **changed).validate()  # type: ignore[arg-type]


def test_a_checkpoint_is_trained_and_averaged_by_the_command_line(options: TrainingOptions, tmp_path: Path) -> None:
    """Every option of the command line arrives: the checkpoint has them all."""
    more = {"--crop": "72", "--style-crop": "64", "--max-iter": "1", "--stages": "joint:1", "--style-weight": "3"}
    assert main(fit(options, more)) == 0
    last = options.checkpoint / "last.pt"
    saved = load_checkpoint(last)["options"]
    assert (saved["crop"], saved["style_crop"], saved["stages"], saved["seed"]) == ("72", "64", "joint:1", "1")
    assert "'style': 3.0" in saved["weights"]
    assert main(["average", str(last), str(last), "-o", str(tmp_path / "mean.pt")]) == 0
    assert load_checkpoint(tmp_path / "mean.pt")["iteration"] == 1


@pytest.mark.parametrize(("arch", "weight"), [("tiny", 20.0), ("classic", 0.0)])
def test_a_run_counts_flicker_but_that_of_the_papers_network(
    options: TrainingOptions, arch: str, weight: float
) -> None:
    assert main(fit(options, {"--arch": arch, "--crop": "64", "--style-crop": "64", "--max-iter": "1"})) == 0
    saved = load_checkpoint(options.checkpoint)["options"]
    assert f"'stillness': {weight}" in saved["weights"]
