"""What an export writes, and what it refuses to write."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import export.package
import export.parity
import train.adain
from export.__main__ import main
from export.package import export_model
from livestyle import Model, Stylizer
from livestyle.engine.model import (
    CHECKPOINT,
    REGIONS,
    REGIONS_FP16,
    STYLE,
    STYLIZE,
    STYLIZE_FP16,
    STYLIZE_INT8,
    package_folder,
)
from livestyle.errors import LivestyleError
from livestyle.media.images import read_image
from train.checkpoints import load_model
from train.networks import CompactModel, build_model

pytestmark = pytest.mark.train
NETWORKS = (STYLE, STYLIZE, STYLIZE_FP16, REGIONS, REGIONS_FP16)
LITE = package_folder("weights") / "lite"


@pytest.fixture
def written_before(monkeypatch: pytest.MonkeyPatch, exported: Path) -> None:
    """Exports take the networks of `exported`, so that they need not be written again.

    They are compared at one small size.
    """

    def copy_networks(_model: CompactModel, folder: Path) -> None:
        for name in NETWORKS:
            shutil.copy(exported / "tiny" / name, folder)

    monkeypatch.setattr(export.package, "write_networks", copy_networks)
    monkeypatch.setattr(export.parity, "PARITY_SIZES", ((126, 99),))


def test_an_exported_model_stylizes_as_its_checkpoint(exported: Path, trained: Path, frame: np.ndarray) -> None:
    stylizer = Stylizer(exported / "tiny", "cpu-float32")
    model, _ = load_model(trained)
    crop = np.ascontiguousarray(frame[:120, :200])
    pixels = torch.from_numpy(crop[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    style = stylizer.encode_style(crop)
    with torch.inference_mode():
        expected, _ = model.stylizer(pixels, torch.from_numpy(style.values.copy()), torch.ones(1))
    levels = (expected[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()[:, :, ::-1]
    assert abs(stylizer.stylize(crop, style).astype(int) - levels).max() <= 1
    assert STYLIZE_INT8 in stylizer.model.manifest.files
    assert stylizer.model.manifest.arch == "tiny"


@pytest.mark.slow
def test_the_shipped_model_can_be_exported_again_from_its_checkpoint(tmp_path: Path, frame: np.ndarray) -> None:
    export_model(LITE / CHECKPOINT, tmp_path / "model", [], None, None)
    for device in ("cpu-float32", "cpu"):
        again, original = Stylizer(tmp_path / "model", device), Stylizer(device=device)
        style = original.encode_style(frame)
        np.testing.assert_allclose(again.encode_style(frame).values, style.values, rtol=1e-3, atol=1e-3)
        difference = abs(again.stylize(frame, style).astype(int) - original.stylize(frame, style))
        # Which channels of the 8-bit network never fire is looked for in other images here.
        assert difference.max() <= 1 if device == "cpu-float32" else difference.mean() < 2
    assert STYLIZE_INT8 in again.model.manifest.files
    # Weights that networks share are in the folder once.
    networks = sum(path.stat().st_size for path in (tmp_path / "model").glob("*.onnx"))
    assert networks < (tmp_path / "model" / CHECKPOINT).stat().st_size / 2


@pytest.mark.parametrize("name", NETWORKS)
def test_large_weights_are_read_from_the_checkpoint_of_the_folder(exported: Path, name: str) -> None:
    constants = onnx.load(exported / "tiny" / name, load_external_data=False).graph.initializer
    external = [t for t in constants if t.data_location == onnx.TensorProto.EXTERNAL]
    assert external
    assert {entry.value for t in external for entry in t.external_data if entry.key == "location"} == {CHECKPOINT}


@pytest.mark.usefixtures("written_before")
def test_a_network_that_differs_from_pytorch_is_not_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    other = build_model("tiny").eval(), {"arch": "tiny", "iteration": 1}
    monkeypatch.setattr(export.package, "load_model", lambda _checkpoint: other)
    with pytest.raises(LivestyleError, match="nothing was written"):
        export_model(trained, tmp_path / "wrong", [], None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("written_before")
def test_a_style_encoder_that_storing_spoils_is_not_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, content = load_model(exported / "tiny" / CHECKPOINT)
    original = copy.deepcopy(stored)
    assert isinstance(original, CompactModel)
    with torch.no_grad():
        for parameter in original.style_encoder.parameters():
            parameter.mul_(1.1)
    monkeypatch.setattr(export.package, "load_model", lambda _checkpoint: (original, content))
    monkeypatch.setattr(export.package, "rounded_to_float16", lambda _model: stored)
    with pytest.raises(LivestyleError, match=r"style statistics: [\d.]+\): nothing was written"):
        export_model(exported / "tiny" / CHECKPOINT, tmp_path / "spoilt", [], None, None)


@pytest.mark.usefixtures("written_before")
def test_a_network_in_8_bit_integers_that_is_too_far_off_is_left_out(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(export.parity, "LEAST_INT8_PSNR", 99)
    folder = Path(shutil.copytree(exported / "tiny", tmp_path / "tiny"))
    export_model(folder / CHECKPOINT, folder, [], None, None)
    assert "dB from float32" in caplog.text
    assert "left out" in caplog.text
    assert STYLIZE_INT8 not in Model.load(folder).manifest.files
    assert not (folder / STYLIZE_INT8).exists()


@pytest.mark.usefixtures("written_before")
def test_a_network_whose_running_statistics_are_others_is_not_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Momentum counts from the second size on.
    monkeypatch.setattr(export.parity, "PARITY_SIZES", ((126, 99), (64, 64)))
    monkeypatch.setattr(train.adain, "running_statistics", lambda statistics, _state, _momentum: statistics)
    with pytest.raises(LivestyleError, match="running content statistics differ"):
        export_model(trained, tmp_path / "forgetful", [], None, None)


def test_a_preset_is_the_style_of_its_image(exported: Path) -> None:
    model = Stylizer(exported / "tiny", "cpu")
    expected = model.encode_style(read_image(exported / "image.png")).values
    np.testing.assert_allclose(model.model.presets()["mine"], expected, rtol=1e-3, atol=1e-4)


def test_what_is_no_checkpoint_ends_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "last.pt").write_text("not a checkpoint")
    assert main([str(tmp_path / "last.pt"), "-o", str(tmp_path / "model")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "is not a readable checkpoint" in error
    assert not (tmp_path / "model").exists()
