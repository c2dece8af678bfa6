from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from livestyle import Stylizer
from livestyle.engine.devices import (
    buffer_device,
    create_session,
    has_nvidia_driver,
    session_options,
    session_providers,
)
from livestyle.engine.model import STYLIZE
from livestyle.errors import DeviceError
from tests.program import IDENTITY


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it keeps its records in other places")
def test_onnxruntime_keeps_no_records_of_this_machine(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}}
    code = "from livestyle import Stylizer; Stylizer(device='cpu')"
    subprocess.run([sys.executable, "-c", code], env={**environment, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.rglob("*onnxruntime*")) == []


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(DeviceError, match="auto, cpu, cpu-float32, cuda"):
        Stylizer(device="tpu")


@pytest.mark.parametrize(
    ("device", "text"), [("cpu", "8-bit integers (as asked)"), ("cpu-float32", "float32 (as asked)")]
)
def test_the_precision_on_the_cpu_is_said_and_can_be_asked_for_again(device: str, text: str) -> None:
    chosen = Stylizer(device=device).device
    assert chosen.text.endswith(text)
    assert (chosen.kind, chosen.name) == ("cpu", device)


@pytest.mark.parametrize(("threads", "text"), [(1, "CPU, 1 thread (as asked)"), (2, "CPU, 2 threads (as asked)")])
def test_the_threads_that_were_asked_for_are_said_and_are_those_of_every_network(
    monkeypatch: pytest.MonkeyPatch, threads: int, text: str
) -> None:
    used = []
    create = onnxruntime.InferenceSession

    def note(path: Path, options: Any, *rest: Any, **more: Any) -> Any:
        # Threads of other tests may begin sessions of other models meanwhile.
        if path.parent == IDENTITY:
            used.append(options.intra_op_num_threads)
        return create(path, options, *rest, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", note)
    stylizer = Stylizer(IDENTITY, "cpu", threads)
    assert stylizer.device.text == text
    image = np.zeros((64, 64, 3), np.uint8)
    style = stylizer.encode_style(image)
    stylizer.stylize(image, style, mask=image[:, :, 0], background=style)
    assert used == [threads] * 3


def test_a_session_for_one_size_of_frames_has_it_in_its_graph() -> None:
    session = create_session(IDENTITY / STYLIZE, "cpu", 1, (1, 96, 160))
    assert session.get_inputs()[0].shape == [1, 96, 160, 3]
    # No other provider, to which a network could fall back.
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_a_float32_stylizer_paints_tiles_by_the_network_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    stylizer, image = Stylizer(IDENTITY, "cpu"), np.full((64, 64, 3), 90, np.uint8)
    style = stylizer.encode_style(image)

    def another(*_: object, **__: object) -> None:
        raise AssertionError("a second network")

    monkeypatch.setattr(onnxruntime, "InferenceSession", another)
    painted, _ = stylizer.stylize_with_statistics(image, style, 1.0, None, 0.0)
    assert np.array_equal(painted, stylizer.stylize(image, style))


@pytest.mark.skipif(has_nvidia_driver(), reason="CUDA may start here")
def test_cuda_where_it_does_not_start_is_an_error_that_says_what_to_install() -> None:
    with pytest.raises(DeviceError, match=r"pip install .*\[cuda\]"):
        Stylizer(device="cuda")


@pytest.mark.skipif(has_nvidia_driver(), reason="CUDA may start here")
def test_auto_says_why_it_is_the_cpu() -> None:
    assert "no NVIDIA driver found" in Stylizer().device.text


def test_another_gpu_is_asked_for_by_its_number() -> None:
    assert session_providers("cuda:1")[0][1]["device_id"] == "1"  # type: ignore[index]
    assert buffer_device("cuda:1") == ("cuda", 1)


@pytest.mark.parametrize("name", ["cuda:", "cuda:x", "cuda:-1", "cuda:12345", "cpu:1"])
def test_a_number_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="there is no device"):
        Stylizer(device=name)


def test_cuda_is_asked_for_without_any_fall_back() -> None:
    assert session_options("cuda").get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    assert [name for name, _ in session_providers("cuda") or ()] == ["CUDAExecutionProvider"]
