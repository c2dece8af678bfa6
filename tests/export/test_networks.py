"""The ONNX graphs: the contract, and the precision and the place of their computations."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from export.onnx_files import rounded_to_float16, write_networks
from livestyle import Model
from livestyle.engine.devices import create_session, session_options
from livestyle.engine.model import (
    REGIONS,
    REGIONS_FP16,
    STYLE,
    STYLIZE,
    STYLIZE_CONSTANT,
    STYLIZE_FP16,
    STYLIZE_INT8,
)
from livestyle.errors import ModelError
from train.networks import build_model

pytestmark = pytest.mark.train
# What onnxruntime places on the CPU in a CUDA session, where it is refused: arithmetic on sizes.
ON_SIZES = {"Shape", "Size", "Range", "ConstantOfShape", "NonZero", "Mod", "Loop", "If"}


@pytest.fixture(params=["lite", "tiny"])
def model(request: pytest.FixtureRequest) -> Model:
    """A model that ships, and one that was exported just now."""
    return Model.load("lite" if request.param == "lite" else request.getfixturevalue("exported") / "tiny")


def test_weights_of_8_bits_leave_room_for_the_sum_of_two_products_in_16(model: Model) -> None:
    # As CPUs without VNNI add them: two products with a byte each.
    constants = onnx.load(model.file(STYLIZE_INT8)).graph.initializer
    weights = [onnx.numpy_helper.to_array(t) for t in constants if t.data_type == onnx.TensorProto.INT8]
    assert max(abs(w.astype(int)).max() for w in weights) * 255 * 2 < 2**15


@pytest.mark.parametrize("name", [STYLIZE_FP16, REGIONS_FP16])
def test_at_a_fixed_size_the_network_has_no_work_for_the_cpu(tmp_path: Path, name: str, model: Model) -> None:
    options = session_options("cpu", shape=(1, 361, 642))
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(model.file(name), options, ["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx", load_external_data=False).graph.node}
    assert not kinds & ON_SIZES


@pytest.mark.parametrize("shipped", ["lite", "full"])
@pytest.mark.parametrize("name", [STYLIZE_FP16, REGIONS_FP16])
def test_statistics_of_the_float16_network_stay_in_float32(name: str, shipped: str) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(Model.load(shipped).file(name))).graph
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
    name: str, count: str | int, styles: list[int], more: list[tuple[str, str, list[str]]], model: Model
) -> None:
    session = create_session(model.file(name), "cpu")
    size = model.manifest.stats_size
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("frames", "tensor(uint8)", [count, "H", "W", 3]),
        ("stats", "tensor(float)", [*styles, size]),
        ("strength", "tensor(float)", []),
        ("content_state", "tensor(float)", [size]),
        ("momentum", "tensor(float)", []),
        *more,
    ]
    painting, state, *constants = ((o.name, o.type, o.shape) for o in session.get_outputs())
    assert painting == ("stylized", "tensor(uint8)", [count, "H", "W", 3])
    assert state == ("next_content_state", "tensor(float)", [size])
    assert {name.rstrip("0123456789") for name, *_ in constants} == (
        {"weight", "scale", "bias"} if name == STYLIZE_INT8 else set()
    )


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (1, 121, 203, 3)])
def test_the_constant_form_paints_a_frame_as_the_network_whose_constants_it_has(
    model: Model, frame: np.ndarray, shape: tuple[int, ...]
) -> None:
    size = model.manifest.stats_size
    image = np.resize(frame, shape)
    feeds = {
        "frames": image,
        "stats": np.linspace(0.1, 1, size, dtype=np.float32),
        "strength": np.array(0.7, np.float32),
        "content_state": np.zeros(size, np.float32),
        "momentum": np.array(0, np.float32),
    }
    computed = create_session(model.file(STYLIZE_INT8), "cpu")
    names = [output.name for output in computed.get_outputs()]
    values = dict(zip(names, computed.run(None, feeds), strict=True))
    expected = values.pop("stylized")
    del values["next_content_state"]
    fixed = (1, shape[1], shape[2])
    constant = create_session(model.file(STYLIZE_CONSTANT), "cpu", shape=fixed, constants=values)
    assert np.array_equal(constant.run(None, {"frames": image})[0], expected)


def test_the_constant_form_does_not_start_without_its_constants(model: Model) -> None:
    with pytest.raises(ModelError, match="cannot be run"):
        create_session(model.file(STYLIZE_CONSTANT), "cpu")


@pytest.mark.slow
def test_the_classic_network_gives_in_onnxruntime_what_it_gives_in_pytorch(tmp_path: Path, frame: np.ndarray) -> None:
    torch.manual_seed(0)
    model = rounded_to_float16(build_model("classic").eval())
    write_networks(model, tmp_path)
    size = 2 * sum(model.site_channels)
    crop = np.ascontiguousarray(frame[:120, :200])
    stats = create_session(tmp_path / STYLE, "cpu").run(None, {"image": crop})[0]
    scalars = {"strength": np.array(0.7, np.float32), "momentum": np.array(0, np.float32)}
    feeds = {"frames": crop[None], "stats": stats, "content_state": np.zeros(size, np.float32), **scalars}
    stylized = create_session(tmp_path / STYLIZE, "cpu").run(None, feeds)[0]
    with torch.inference_mode():
        pixels = torch.from_numpy(crop[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        expected = model.stylizer(pixels, model.encode_style(pixels)[0], torch.tensor(0.7))[0]
    levels = (expected[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()[:, :, ::-1]
    assert abs(stylized[0] - levels).max() <= 1
