"""Channels of the encoder that never fire, and the 8-bit network without them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from export.live import live_channels, measure_activity
from export.onnx_files import write_int8_network
from livestyle.engine.devices import create_session
from livestyle.engine.model import STYLIZE_CONSTANT, STYLIZE_INT8
from train.networks import CompactModel, CompactStylizer, build_model

pytestmark = pytest.mark.train
DEAD = -100.0
"""Bias with which a ReLU never fires."""


def stylizer_with(down: int, first: int) -> CompactStylizer:
    """An untrained frame path in which so many channels of two layers are live."""
    torch.manual_seed(0)
    model = build_model("tiny").eval()
    assert isinstance(model, CompactModel)
    stylizer = model.stylizer
    assert isinstance(stylizer, CompactStylizer)
    biases = stylizer.state_dict()
    biases["down.conv.bias"][down:] = DEAD
    biases["encoder.0.first.conv.bias"][:first] = 1
    biases["encoder.0.first.conv.bias"][first:] = DEAD
    return stylizer


@pytest.fixture
def picture(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (202, 121), interpolation=cv2.INTER_AREA)


def test_live_channels_are_filled_up_with_those_that_came_nearest_to_firing() -> None:
    assert live_channels(torch.tensor([-3.0, 2.0, -1.0, 5.0, -2.0, 1.0])).tolist() == [1, 2, 3, 5]
    assert live_channels(torch.tensor([1.0, 2.0])).tolist() == [0, 1]


@pytest.mark.parametrize(("down", "first", "computed"), [(8, 4, 8), (32, 4, 32), (8, 0, 32), (8, 32, 32)])
def test_the_8_bit_network_paints_alike_without_channels_that_never_fire(
    down: int, first: int, computed: int, picture: np.ndarray, tmp_path: Path
) -> None:
    stylizer = stylizer_with(down, first)
    activity = measure_activity(stylizer, [picture])
    assert int((activity.first[0] > 0).sum()) == first
    write_int8_network(stylizer, tmp_path, [picture])

    size = 2 * sum(stylizer.site_channels)
    stats = torch.linspace(0.2, 1, size)
    feeds = {
        "frames": picture[None],
        "stats": stats.numpy(),
        "strength": np.array(1, np.float32),
        "content_state": np.zeros(size, np.float32),
        "momentum": np.array(0, np.float32),
    }
    session = create_session(tmp_path / STYLIZE_INT8, "cpu")
    names = [output.name for output in session.get_outputs()]
    values = dict(zip(names, session.run(None, feeds), strict=True))
    assert len(values["weight1"]) == computed
    painted = values.pop("stylized")
    del values["next_content_state"]
    constant = create_session(tmp_path / STYLIZE_CONSTANT, "cpu", shape=(1, 121, 202), constants=values)
    assert np.array_equal(constant.run(None, {"frames": picture[None]})[0], painted)

    padded = cv2.copyMakeBorder(picture, 0, 3, 0, 2, cv2.BORDER_REFLECT_101)
    pixels = torch.from_numpy(padded[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        expected, _ = stylizer(pixels, stats, torch.ones(1))
    levels = (expected[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()[:121, :202, ::-1]
    assert abs(painted[0] - levels).mean() < 4
