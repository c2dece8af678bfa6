"""Small pictures and a loss network of random weights: training is tested for what it does, not for what it learns."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, film: list[np.ndarray]) -> Path:
    """A folder of real pictures, 160x90."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, frame in enumerate(film):
        cv2.imwrite(str(folder / f"{number:02}.png"), cv2.resize(frame, (160, 90), interpolation=cv2.INTER_AREA))
    return folder


@pytest.fixture(scope="session")
def loss_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19's layers with random weights."""
    import torch
    from safetensors.torch import save_file

    from train.vgg import build_layers

    torch.manual_seed(0)
    layers = build_layers()
    with torch.no_grad():
        for parameter in layers.parameters():
            if parameter.dim() == 4:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    save_file(layers.state_dict(), path)
    return path
