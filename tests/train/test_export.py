from __future__ import annotations

import copy
import math
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

import export.package
import export.parity
import train.adain
from export.onnx_files import rounded_to_float16, write_networks
from export.package import export_model
from livestyle import Model, Stylizer
from livestyle.engine.devices import create_session, session_options
from livestyle.engine.model import CHECKPOINT, REGIONS, REGIONS_FP16, STYLE, STYLIZE, STYLIZE_FP16, STYLIZE_INT8
from livestyle.errors import LivestyleError
from livestyle.media.images import read_image
from train.adain import running_statistics
from train.checkpoints import load_model
from train.networks import CompactModel, build_model

# What onnxruntime places on the CPU in a CUDA session, where it is refused: arithmetic on sizes.
ON_SIZES = {"Shape", "Size", "Range", "ConstantOfShape", "NonZero", "Mod", "Loop", "If"}


@pytest.fixture
def shipped() -> Path:
    """The checkpoint of the default model."""
    return Model.load().file(CHECKPOINT)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, film: list[np.ndarray]) -> Path:
    """The default model, exported again from its checkpoint, with a preset of a picture that is beside it."""
    folder = tmp_path_factory.mktemp("exported")
    table, picture = folder / "presets.toml", folder / "pictures" / "picture.png"
    table.write_text(f'[[preset]]\nname = "mine"\nfile = "{picture.name}"\n')
    picture.parent.mkdir()
    cv2.imwrite(str(picture), film[5])
    export_model(Model.load().file(CHECKPOINT), folder / "model", [picture.parent], table, None)
    return folder


@pytest.fixture
def written_before(monkeypatch: pytest.MonkeyPatch, shipped: Path) -> None:
    """Exports take the default model's networks, which need not be written once more, for those of the model.

    They are compared at one small size.
    """

    def copy_networks(_model: CompactModel, folder: Path) -> None:
        for name in (STYLE, STYLIZE, STYLIZE_FP16, REGIONS, REGIONS_FP16):
            shutil.copy(shipped.with_name(name), folder)

    monkeypatch.setattr(export.package, "write_networks", copy_networks)
    monkeypatch.setattr(export.parity, "PARITY_SIZES", ((126, 99),))


def test_the_shipped_model_can_be_exported_again_from_its_checkpoint(exported: Path, frame: np.ndarray) -> None:
    for device in ("cpu-float32", "cpu"):
        again, original = Stylizer(exported / "model", device), Stylizer(device=device)
        style = original.encode_style(frame)
        np.testing.assert_allclose(again.encode_style(frame).values, style.values, rtol=1e-3, atol=1e-3)
        assert abs(again.stylize(frame, style).astype(int) - original.stylize(frame, style)).max() <= 1
    assert STYLIZE_INT8 in again.model.manifest.files


def test_weights_that_networks_share_are_in_the_folder_once(exported: Path) -> None:
    networks = sum(path.stat().st_size for path in (exported / "model").glob("*.onnx"))
    assert networks < (exported / "model" / CHECKPOINT).stat().st_size / 2


@pytest.mark.usefixtures("written_before")
def test_a_network_that_differs_from_pytorch_is_not_written(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    other = build_model("lite").eval(), {"arch": "lite", "iteration": 1}
    monkeypatch.setattr(export.package, "load_model", lambda _checkpoint: other)
    with pytest.raises(LivestyleError, match="nothing was written"):
        export_model(shipped, tmp_path / "wrong", [], None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("written_before")
def test_a_style_encoder_that_storing_spoils_is_not_written(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, content = load_model(shipped)
    trained = copy.deepcopy(stored)
    assert isinstance(trained, CompactModel)
    trained.style_encoder.bfloat16().float()
    monkeypatch.setattr(export.package, "load_model", lambda _checkpoint: (trained, content))
    monkeypatch.setattr(export.package, "rounded_to_float16", lambda _model: stored)
    with pytest.raises(LivestyleError, match=r"style statistics: [\d.]+\): nothing was written"):
        export_model(shipped, tmp_path / "spoilt", [], None, None)


@pytest.mark.usefixtures("written_before")
def test_a_network_in_8_bit_integers_that_is_too_far_off_is_left_out(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(export.parity, "LEAST_INT8_PSNR", 99)
    folder = tmp_path / "lite"
    shutil.copytree(shipped.parent, folder)
    export_model(folder / CHECKPOINT, folder, [], None, None)
    assert "dB from float32" in caplog.text
    assert "left out" in caplog.text
    assert STYLIZE_INT8 not in Model.load(folder).manifest.files
    assert not (folder / STYLIZE_INT8).exists()


@pytest.mark.usefixtures("written_before")
def test_a_network_whose_running_statistics_are_others_is_not_written(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Momentum counts from the second size on.
    monkeypatch.setattr(export.parity, "PARITY_SIZES", ((126, 99), (64, 64)))
    monkeypatch.setattr(train.adain, "running_statistics", lambda statistics, _state, _momentum: statistics)
    with pytest.raises(LivestyleError, match="running content statistics differ"):
        export_model(shipped, tmp_path / "forgetful", [], None, None)


def test_weights_of_8_bits_leave_room_for_the_sum_of_two_products_in_16() -> None:
    # As CPUs without VNNI add them: two products with a byte each.
    constants = onnx.load(Model.load().file(STYLIZE_INT8)).graph.initializer
    weights = [onnx.numpy_helper.to_array(t) for t in constants if t.data_type == onnx.TensorProto.INT8]
    assert max(abs(w.astype(int)).max() for w in weights) * 255 * 2 < 2**15


def test_a_preset_is_the_style_of_its_picture(exported: Path) -> None:
    model = Stylizer(exported / "model", "cpu")
    expected = model.encode_style(read_image(exported / "pictures" / "picture.png")).values
    np.testing.assert_allclose(model.model.presets()["mine"], expected, rtol=1e-3, atol=1e-4)


def test_what_is_no_checkpoint_ends_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_text("not a checkpoint")
    command = [sys.executable, "-m", "export", str(tmp_path / "last.pt"), "-o", str(tmp_path / "model")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "is not a readable checkpoint" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", [STYLIZE_FP16, REGIONS_FP16])
def test_at_a_fixed_size_the_network_has_no_work_for_the_cpu(tmp_path: Path, name: str) -> None:
    options = session_options("cpu", shape=(1, 361, 642))
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(Model.load().file(name), options, ["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx", load_external_data=False).graph.node}
    assert not kinds & ON_SIZES


@pytest.mark.parametrize("model", ["lite", "full"])
@pytest.mark.parametrize("name", [STYLIZE_FP16, REGIONS_FP16])
def test_statistics_of_the_float16_network_stay_in_float32(name: str, model: str) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(Model.load(model).file(name))).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    reduced = [node.output[0] for node in graph.node if node.op_type == "ReduceMean"]
    assert reduced
    assert {types[name] for name in reduced} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize("name", [STYLE, STYLIZE, REGIONS])
def test_a_network_that_is_stored_in_float16_computes_in_float32(tmp_path: Path, name: str) -> None:
    options = session_options("cpu")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    path = Model.load().file(name)
    ort.InferenceSession(path, options, ["CPUExecutionProvider"])
    stored, loaded = (onnx.load(file).graph for file in (path, tmp_path / "optimized.onnx"))
    half = [t for t in stored.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert sum(math.prod(t.dims) for t in half) > 300_000
    assert onnx.TensorProto.FLOAT16 not in {t.data_type for t in loaded.initializer}
    assert len([n for n in loaded.node if n.op_type == "Cast"]) == len(
        [n for n in stored.node if n.op_type == "Cast"]
    ) - len(half)


@pytest.mark.parametrize(
    ("name", "count", "styles", "more"),
    [
        (STYLIZE, "N", [], []),
        (STYLIZE_INT8, 1, [], []),
        (REGIONS, "N", [2], [("mask", "tensor(uint8)", ["N", "H", "W"])]),
    ],
)
def test_the_contract_is_kept_in_names_types_and_shapes(
    name: str, count: str | int, styles: list[int], more: list[tuple[str, str, list[str]]]
) -> None:
    session = create_session(Model.load().file(name), "cpu")
    size = Model.load().manifest.stats_size
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("frames", "tensor(uint8)", [count, "H", "W", 3]),
        ("stats", "tensor(float)", [*styles, size]),
        ("strength", "tensor(float)", []),
        ("content_state", "tensor(float)", [size]),
        ("momentum", "tensor(float)", []),
        *more,
    ]
    assert [(o.name, o.type, o.shape) for o in session.get_outputs()] == [
        ("stylized", "tensor(uint8)", [count, "H", "W", 3]),
        ("next_content_state", "tensor(float)", [size]),
    ]


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_running_statistics_of_a_batch_are_those_frame_by_frame(momentum: float) -> None:
    torch.manual_seed(0)
    statistics, state = torch.rand(5, 3), torch.rand(3)
    together = running_statistics(statistics, state, torch.tensor(momentum))
    for row, expected in zip(statistics, together, strict=True):
        state = momentum * state + (1 - momentum) * row
        torch.testing.assert_close(state, expected)


def test_the_classic_network_paints_in_onnxruntime_what_it_paints_in_pytorch(tmp_path: Path, frame: np.ndarray) -> None:
    torch.manual_seed(0)
    model = rounded_to_float16(build_model("classic").eval())
    write_networks(model, tmp_path)
    size = 2 * sum(model.site_channels)
    crop = np.ascontiguousarray(frame[:120, :200])
    stats = create_session(tmp_path / STYLE, "cpu").run(None, {"image": crop})[0]
    scalars = {"strength": np.array(0.7, np.float32), "momentum": np.array(0, np.float32)}
    feeds = {"frames": crop[None], "stats": stats, "content_state": np.zeros(size, np.float32), **scalars}
    painted = create_session(tmp_path / STYLIZE, "cpu").run(None, feeds)[0]
    with torch.inference_mode():
        pixels = torch.from_numpy(crop[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        expected = model.stylizer(pixels, model.encode_style(pixels)[0], torch.tensor(0.7))[0]
    levels = (expected[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()[:, :, ::-1]
    assert abs(painted[0] - levels).max() <= 1
