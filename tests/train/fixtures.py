"""Fixtures for the tests of training and export: small images and networks, and what a session makes of them once.

Networks are random or trained for six iterations: what is tested is what training and export do, not what they learn.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file

from train.options import TrainingOptions
from train.trainer import Trainer
from train.vgg import build_layers

STAGES = "frame:2,encoder:2,joint:2"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small gain nothing by threads, and OpenMP's spin where other processes take their cores."""
    torch.set_num_threads(1)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made once a session, by the first of pytest-xdist's processes that needs it; only to be read."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, made = root / name, root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not made.exists():
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def _write_random_vgg(path: Path, divisor: int) -> None:
    torch.manual_seed(0)
    layers = build_layers(divisor)
    with torch.no_grad():
        for parameter in layers.parameters():
            if parameter.dim() == 4:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    save_file(layers.state_dict(), path)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory, demo_frames: list[np.ndarray]) -> Path:
    """A folder of real images, 160x90."""

    def make(folder: Path) -> None:
        for number, frame in enumerate(demo_frames):
            cv2.imwrite(str(folder / f"{number:02}.png"), cv2.resize(frame, (160, 90), interpolation=cv2.INTER_AREA))

    return made_once(tmp_path_factory, "images", make)


@pytest.fixture(scope="session")
def loss_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loss network with random weights and an eighth of the widths of VGG-19."""
    return made_once(tmp_path_factory, "vgg-8", lambda folder: _write_random_vgg(folder / "vgg.safetensors", 8)) / (
        "vgg.safetensors"
    )


@pytest.fixture(scope="session")
def vgg19(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19 with random weights."""
    return made_once(tmp_path_factory, "vgg-1", lambda folder: _write_random_vgg(folder / "vgg.safetensors", 1)) / (
        "vgg.safetensors"
    )


@pytest.fixture
def options(tmp_path: Path, images: Path, loss_network: Path) -> TrainingOptions:
    """Six iterations of `tiny`, two in each stage, into a folder of the test's own."""
    return TrainingOptions(
        arch="tiny",
        content_path=[images],
        style_path=[images],
        checkpoint=tmp_path / "run",
        vgg_weights=loss_network,
        batch_size=2,
        max_iter=6,
        save_iter=100,
        crop=64,
        style_crop=64,
        stages=STAGES,
        device="cpu",
        workers=1,
    )


@pytest.fixture
def trained(tmp_path_factory: pytest.TempPathFactory, options: TrainingOptions) -> Path:
    """The folder of the run that `options` describe."""
    return made_once(tmp_path_factory, "trained", lambda folder: Trainer(replace(options, checkpoint=folder)).run())


@pytest.fixture
def exported(tmp_path_factory: pytest.TempPathFactory, trained: Path, demo_frames: list[np.ndarray]) -> Path:
    """A folder with ``tiny``, the model folder of that run, and ``image.png``, which its preset "mine" was made of."""

    def make(folder: Path) -> None:
        (folder / "presets.toml").write_text('[[preset]]\nname = "mine"\nfile = "image.png"\n')
        cv2.imwrite(str(folder / "image.png"), demo_frames[5])
        # As a program of its own: beneath pytest's stack, CPython 3.11 spends as much time again on mmap and munmap of
        # frame stack chunks.
        command = [sys.executable, "-m", "export", str(trained), "-o", str(folder / "tiny")]
        command += ["--pictures", str(folder), "--presets", str(folder / "presets.toml")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert result.returncode == 0, result.stderr
        assert "onnxruntime's bytes are at most" in result.stdout

    return made_once(tmp_path_factory, "exported", make)
