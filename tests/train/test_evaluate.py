from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from livestyle.engine.model import package_folder
from train.__main__ import main
from train.adapters import find_adapter
from train.data import find_images
from train.evaluate import evaluate as measure
from train.evaluate import luma, prepare, ssim, stability
from train.vgg import LossNetwork

pytestmark = pytest.mark.train
IMAGE: list[Any] = [1, 3, "h", "w"]


@pytest.fixture
def two(images: Path, tmp_path: Path) -> Path:
    """A folder of two images."""
    folder = tmp_path / "two"
    folder.mkdir()
    for path in sorted(images.iterdir())[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def evaluate(*arguments: str, images: Path, loss_network: Path) -> int:
    """The exit code of ``python -m train evaluate``."""
    paths = ["--content-path", str(images), "--style-path", str(images), "--vgg-weights", str(loss_network)]
    return main(["evaluate", *arguments, *paths, "--every", "2"])


def identity_network(path: Path, inputs: dict[str, list[Any]], output: str) -> Path:
    """An ONNX file whose output is its first input."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, next(iter(inputs.values())))
    node = helper.make_node("Identity", [next(iter(inputs))], [output])
    model = helper.make_model(helper.make_graph([node], "identity", values, [result]), ir_version=10)
    model.opset_import[0].version = 20
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("arch", ["tiny", pytest.param("lite", marks=pytest.mark.slow)])
def test_models_are_measured_side_by_side_into_json_markdown_and_sheets(
    arch: str, two: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if arch == "tiny":
        network, channels, checkpoint = request.getfixturevalue("loss_network"), 64, request.getfixturevalue("trained")
        folder = str(request.getfixturevalue("exported") / "tiny")
    else:
        network, channels, folder = request.getfixturevalue("vgg19"), 512, "lite"
        checkpoint = package_folder("weights") / "lite" / "model.safetensors"
    inputs = {"content": IMAGE, "style_mean": [1, channels, 1, 1], "style_std": [1, channels, 1, 1]}
    other = identity_network(tmp_path / "other.onnx", inputs, "stylized")
    models = [f"{folder}:float32", str(checkpoint), str(other)]
    capsys.readouterr()
    assert evaluate(*models, "-o", str(tmp_path / "out"), images=two, loss_network=network) == 0
    reports = json.loads((tmp_path / "out" / "report.json").read_text())
    shipped, unshipped, unchanged = reports.values()
    assert shipped["pairs"] == 1
    # The model folder and the checkpoint that it was made of.
    for figure in ("style_mean", "content", "ssim"):
        assert shipped[figure] == pytest.approx(unshipped[figure], rel=0.02)
    assert unchanged["ssim"] == pytest.approx(1)
    assert unchanged["content"] == pytest.approx(0, abs=1e-3)
    assert unchanged["noise_gain"] == unchanged["film_noise_gain"] == pytest.approx(1)
    # Videos are stabilised, as `livestyle video` does it.
    assert shipped["film_noise_gain"] < shipped["noise_gain"] / 2
    table = (tmp_path / "out" / "report.md").read_text()
    assert table == capsys.readouterr().out
    assert all(f"| {name} |" in table for name in reports)
    for name in reports:
        with Image.open(tmp_path / "out" / f"{name}.jpg") as sheet:
            assert sheet.size == (256, 256)


def test_what_is_measured_is_there_before_the_next_model_is(two: Path, loss_network: Path, tmp_path: Path) -> None:
    inputs = {"content": IMAGE, "style": IMAGE}
    paths = [str(identity_network(tmp_path / f"{name}.onnx", inputs, "stylized")) for name in ("one", "other")]
    kept: list[list[str]] = []
    measure(paths, [two], [two], loss_network, keep=lambda reports: kept.append(list(reports)))
    assert kept == [["one"], ["one", "other"]]


@pytest.mark.parametrize("second", [{"content": IMAGE, "style": IMAGE}, {"content": IMAGE, "code": IMAGE}])
def test_other_stylizers_take_a_style_image_or_what_a_style_network_gives(
    second: dict[str, list[Any]], loss_network: Path, tmp_path: Path
) -> None:
    path = identity_network(tmp_path / "toy-stylize.onnx", second, "stylized")
    text = str(path)
    if "code" in second:
        text = f"{identity_network(tmp_path / 'toy-style.onnx', {'style': IMAGE}, 'code')}+{path}"
    candidate = find_adapter(text, LossNetwork(loss_network))
    image = np.random.default_rng(0).integers(0, 255, (64, 72, 3), np.uint8)
    assert candidate.name == "toy"
    assert np.array_equal(candidate.stylize(image, candidate.encode(image)), image)


@pytest.mark.parametrize("model", ["no-such-model", "no-such.onnx", "strange.onnx", "fixed.onnx"])
def test_what_cannot_be_measured_is_said(
    model: str, two: Path, loss_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity_network(tmp_path / "strange.onnx", {"sound": [1, 48000]}, "louder")
    identity_network(tmp_path / "fixed.onnx", {"content": [1, 3, 256, 256], "style": IMAGE}, "stylized")
    path = str(tmp_path / model) if model.endswith(".onnx") else model
    assert evaluate(path, images=two, loss_network=loss_network) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert model in error


def test_an_image_is_measured_at_512_pixels_in_multiples_of_eight(image_path: Path) -> None:
    (file,) = find_images([image_path.parent])
    assert prepare(file).shape == (512, 768, 3)


def test_the_similarity_of_an_image_to_itself_is_one_and_falls_with_noise(frame: np.ndarray) -> None:
    noisy = np.clip(frame + np.random.default_rng(0).normal(0, 20, frame.shape), 0, 255)
    assert ssim(luma(frame), luma(frame)) == pytest.approx(1)
    assert ssim(luma(frame), luma(noisy)) < 0.9


def test_a_stylizer_that_changes_nothing_is_perfectly_still(image_path: Path) -> None:
    gain, error = stability(lambda frames, _: list(frames), find_images([image_path.parent]), [object()])
    assert gain == pytest.approx(1)
    assert error == 0
