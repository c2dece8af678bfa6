"""Training on several processes, here two on the CPU over gloo, gives what one process gives."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.train.fixtures import made_once
from train.checkpoints import load_checkpoint
from train.losses import LossWeights
from train.options import TrainingOptions
from train.trainer import Trainer

pytestmark = pytest.mark.train
SETTINGS = {
    "--arch": "tiny",
    "--batch-size": "4",
    "--max-iter": "20",
    "--save-iter": "5",
    "--crop": "64",
    "--style-crop": "64",
    "--stages": "frame:8,encoder:6,joint:6",
    "--stillness-weight": "5",
    "--partial-strength": "0.5",
    # So small that what differs in the last digits of a sum does not grow over the iterations.
    "--learning-rate": "1e-5",
    "--device": "cpu",
}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, images: Path, loss_network: Path) -> TrainingOptions:
    """What `SETTINGS` say."""
    return TrainingOptions(
        arch="tiny",
        content_path=[images],
        style_path=[images],
        checkpoint=tmp_path_factory.mktemp("run"),
        vgg_weights=loss_network,
        batch_size=4,
        weights=LossWeights(stillness=5.0),
        learning_rate=1e-5,
        max_iter=20,
        save_iter=5,
        crop=64,
        style_crop=64,
        partial_strength=0.5,
        stages="frame:8,encoder:6,joint:6",
        device="cpu",
    )


@pytest.fixture(scope="module")
def alone(options: TrainingOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run by one process."""
    return made_once(tmp_path_factory, "alone", lambda folder: Trainer(replace(options, checkpoint=folder)).run())


def fit(options: TrainingOptions, checkpoint: Path, *more: str) -> list[str]:
    """The command line of a run with `SETTINGS`, after ``python -m``."""
    paths = ["--content-path", str(options.content_path[0]), "--style-path", str(options.style_path[0])]
    paths += ["--vgg-weights", str(options.vgg_weights), "--checkpoint", str(checkpoint)]
    return ["train", "fit", *paths, *(word for pair in SETTINGS.items() for word in pair), *more]


def start(command: list[str]) -> subprocess.Popen[str]:
    python = [sys.executable, "-X", "faulthandler", "-m"]
    return subprocess.Popen([*python, *command], stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process: subprocess.Popen[str]) -> str:
    """What it wrote to stderr until its end; processes that wait for each other for ever end here and say where."""
    try:
        return process.communicate(timeout=240)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        return process.communicate()[1]


@pytest.fixture(scope="module")
def interrupted(options: TrainingOptions, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """The same run by two processes of one machine, the first of which gets Ctrl-C: folder, exit status, stderr."""
    folder = tmp_path_factory.mktemp("shared")
    process = start(fit(options, folder, "--devices", "2"))
    patience = time.monotonic() + 60
    while not (folder / "last.pt").is_file() and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    errors = finish(process)
    return folder, process.returncode, errors


@pytest.fixture(scope="module", params=["processes", pytest.param("machines", marks=pytest.mark.slow)])
def shared(options: TrainingOptions, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run by two processes of one machine, or by those of `interrupted` and then two machines.

    The machines have one process each, as torchrun starts them.
    """

    def make(folder: Path) -> None:
        process = start(fit(options, folder, "--devices", "2"))
        errors = finish(process)
        assert process.returncode == 0, errors

    if request.param == "processes":
        return made_once(tmp_path_factory, "processes", make)
    folder = Path(request.getfixturevalue("interrupted")[0])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    torchrun = ["torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    torchrun += ["--master-port", port]
    machines = [
        start([*torchrun, "--node-rank", node, "-m", *fit(options, folder, "--num-nodes", "2", "--resume")])
        for node in ("0", "1")
    ]
    ends = [finish(machine) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], ends
    return folder


def curves(folder: Path) -> dict[str, dict[int, float]]:
    """The loss curves of a run: values by iteration, by name."""
    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {name: {e.step: e.value for e in board.Scalars(name)} for name in board.Tags()["scalars"]}


def test_two_processes_give_the_loss_curves_of_one(alone: Path, shared: Path) -> None:
    expected, got = curves(alone), curves(shared)
    assert {"train/content", "validation/style", "validation/stillness", "validation/code error"} <= set(expected)
    assert got.keys() == expected.keys()
    for name, curve in expected.items():
        assert got[name] == pytest.approx(curve, rel=1e-4, abs=1e-7), name


def test_two_processes_give_the_weights_and_the_gradients_of_one(alone: Path, shared: Path) -> None:
    first, second = load_checkpoint(alone), load_checkpoint(shared)
    for name, value in first["model"].items():
        torch.testing.assert_close(second["model"][name], value, rtol=1e-4, atol=5e-5)
    # Neither optimizer's step tells twice a gradient from the gradient; their running means do.
    for number, state in first["optimizer"]["state"].items():
        kept = "momentum" if "momentum" in state else "exp_avg"
        mean = state[kept]
        assert torch.dist(second["optimizer"]["state"][number][kept], mean) < 1e-2 * mean.norm()


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_after_the_same_iteration(interrupted: tuple[Path, int, str]) -> None:
    _, status, errors = interrupted
    assert status == 130, errors
    assert errors.count("stopped after iteration") == 1
    assert "Traceback" not in errors


def test_a_run_goes_on_with_another_number_of_processes(
    options: TrainingOptions, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert Trainer(replace(options, checkpoint=shared, resume=True)).iteration == 20
    assert not caplog.records
