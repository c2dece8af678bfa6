from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

from livestyle import Model, Stylizer
from livestyle.errors import DeviceError
from livestyle.model import STYLIZE_FP16
from livestyle.providers import has_nvidia_driver, session_options, session_providers

# What onnxruntime places on the CPU in a CUDA session, where it is refused: arithmetic on sizes.
ON_SIZES = {"Shape", "Size", "Range", "ConstantOfShape", "NonZero", "Mod", "Loop", "If"}


def test_an_unknown_device_is_refused():
    with pytest.raises(DeviceError, match="auto, cpu, cuda"):
        Stylizer(device="tpu")


@pytest.mark.skipif(has_nvidia_driver(), reason="CUDA may start here")
def test_cuda_where_it_does_not_start_is_an_error_that_says_what_to_install():
    with pytest.raises(DeviceError, match=r"livestyle\[cuda\]"):
        Stylizer(device="cuda")


@pytest.mark.skipif(has_nvidia_driver(), reason="CUDA may start here")
def test_auto_says_why_it_is_the_cpu():
    assert "no NVIDIA driver found" in Stylizer().device.text


def test_cuda_is_asked_for_without_any_fall_back():
    assert session_options("cuda").get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    assert [name for name, _ in session_providers("cuda")] == ["CUDAExecutionProvider"]


def test_at_a_fixed_size_the_network_has_no_work_for_the_cpu(tmp_path: Path):
    options = session_options("cpu", shape=(1, 361, 642))
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(Model.load().file(STYLIZE_FP16), options, ["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert not kinds & ON_SIZES
