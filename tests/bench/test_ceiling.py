"""The machine's ceiling, and the work of a network that is compared with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from livestyle.bench.ceiling import measure_ceiling
from livestyle.bench.engine import network_inputs, noisy_frames
from livestyle.bench.macs import count_macs
from livestyle.engine.model import Model
from tests.program import IDENTITY


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_ceiling_is_measured(precision: str) -> None:
    found = measure_ceiling(precision, 1, side=200, seconds=0.05)
    assert found is not None
    # A Raspberry Pi and the largest server are within it.
    assert 0.1 < found < 100_000


def test_there_is_no_ceiling_in_other_numbers() -> None:
    assert measure_ceiling("float16") is None


def test_the_work_of_convolutions_is_counted(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    weights = np.ones((4, 3, 3, 5), np.float32)
    text = """<ir_version: 8, opset_import: ["" : 18]>
    convolve (float[1, 3, H, W] x, float[4, 3, 3, 5] w) => (float[1, 4, h, v] y)
    { c = Conv <pads = [1, 2, 1, 2], strides = [2, 1]> (x, w)
      y = Relu (c) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "conv.onnx")
    inputs = {"x": np.ones((1, 3, 20, 30), np.float32), "w": weights}
    assert count_macs(tmp_path / "conv.onnx", inputs) == (4 * 10 * 30) * (3 * 3 * 5)


def test_the_work_of_the_shipped_model_grows_with_the_frame() -> None:
    model = Model.load("lite")
    small, large = (count_macs(*network_inputs(model, noisy_frames(*size)[0])) for size in ((64, 64), (128, 128)))
    assert small > 1e6
    # Borders are padded, which counts more in a small frame.
    assert large == pytest.approx(4 * small, rel=0.01)


def test_a_network_without_convolutions_has_no_work() -> None:
    assert count_macs(*network_inputs(Model.load(IDENTITY), noisy_frames(96, 64)[0])) == 0


def test_the_8_bit_network_of_a_shipped_model_does_no_more_than_its_float32_one() -> None:
    model, frame = Model.load("lite"), noisy_frames(128, 128)[0]
    exact, integers = (count_macs(*network_inputs(model, frame, precision)) for precision in ("float32", "int8"))
    assert 0.2 * exact < integers <= exact
