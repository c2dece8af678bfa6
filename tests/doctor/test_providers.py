"""Section gpu: providers that do not start, start elsewhere or compute wrongly; drivers and libraries that do not."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

import livestyle.doctor.providers
from livestyle.doctor.providers import PROBE, driver_version, run_probe
from livestyle.engine.devices import has_nvidia_driver

from .conftest import examine

Session = onnxruntime.InferenceSession


@pytest.fixture(autouse=True)
def _gpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime that says it has CUDA, on every machine, and no card."""
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    pretend_driver(monkeypatch, driver=False, card=False)


def pretend_driver(
    monkeypatch: pytest.MonkeyPatch, *, driver: bool, card: bool = True, cuda: tuple[int, int] | None = (13, 0)
) -> None:
    monkeypatch.setattr(livestyle.doctor.providers, "has_nvidia_driver", lambda: driver)
    monkeypatch.setattr(livestyle.doctor.providers, "has_nvidia_card", lambda: card)
    monkeypatch.setattr(livestyle.doctor.providers, "driver_version", lambda: cuda)
    monkeypatch.setattr(livestyle.doctor.providers, "cuda_version", lambda: "13.0")


def libraries(monkeypatch: pytest.MonkeyPatch, *, missing: str) -> None:
    def load(name: str) -> None:
        if missing in name:
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(livestyle.doctor.providers, "ctypes", SimpleNamespace(CDLL=load))


def sessions(monkeypatch: pytest.MonkeyPatch, start: Callable[[list[str]], Any]) -> None:
    """Replace what starts a session; ``start`` gets the names of the providers."""

    def create(model: bytes, options: Any, providers: list[str], **_: Any) -> Any:
        return start(providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", create)


def test_the_tiny_network_really_runs() -> None:
    assert len(PROBE) == 181
    assert run_probe("CPUExecutionProvider") > 0
    assert examine("gpu")["CPU"]["figures"] == {"provider": "CPUExecutionProvider", "starts": True}


@pytest.mark.skipif(has_nvidia_driver(), reason="CUDA may start here")
def test_cuda_that_is_only_listed_does_not_pass_for_one_that_starts() -> None:
    line = examine("gpu")["CUDA"]
    assert line["state"] == "note"
    assert line["text"].startswith("does not start (")
    assert line["figures"]["starts"] is False
    assert "[cuda]" in line["mend"]


def test_a_session_that_comes_back_on_the_cpu_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions(monkeypatch, lambda providers: Session(PROBE, providers=["CPUExecutionProvider"]))
    line = examine("gpu")["CUDA"]
    assert line["state"] == "warning"
    assert "the session runs on CPUExecutionProvider instead" in line["text"]


def test_a_provider_that_computes_wrongly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(providers: list[str]) -> Any:
        zeros = [np.zeros((1, 1, 8, 8), np.float32)]
        return SimpleNamespace(get_providers=lambda: providers, run=lambda *_: zeros)

    sessions(monkeypatch, start)
    found = examine("gpu", code=1)
    assert found["CPU"]["state"] == "broken"
    assert "it computes wrong numbers" in found["CUDA"]["text"]


def test_a_card_whose_driver_does_not_load_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_driver(monkeypatch, driver=False, card=True)
    found = examine("gpu")
    assert found["NVIDIA driver"]["state"] == "warning"
    assert found["NVIDIA driver"]["mend"].startswith("sudo ubuntu-drivers install")


def test_a_driver_that_is_too_old_for_onnxruntime_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_driver(monkeypatch, driver=True, cuda=(12, 4))
    line = examine("gpu")["NVIDIA driver"]
    assert line["state"] == "warning"
    assert line["text"] == "supports CUDA up to 12.4, and onnxruntime needs 13.0: the GPU cannot be used"
    assert line["mend"] == "install a newer NVIDIA driver, then restart"


def test_a_driver_that_fits_is_said_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_driver(monkeypatch, driver=True, cuda=(13, 2))
    assert examine("gpu")["NVIDIA driver"]["text"] == "supports CUDA up to 13.2"


def test_a_driver_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_driver(monkeypatch, driver=True, cuda=None)
    assert "nvidia-smi" in examine("gpu")["NVIDIA driver"]["mend"]


def test_the_version_is_read_from_the_driver_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(version: Any) -> int:
        version.contents.value = 13020
        return 0

    stand_in = SimpleNamespace(
        CDLL=lambda name: SimpleNamespace(cuDriverGetVersion=ask), c_int=ctypes.c_int, byref=ctypes.pointer
    )
    monkeypatch.setattr(livestyle.doctor.providers, "ctypes", stand_in)
    assert driver_version() == (13, 2)


def test_a_cuda_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_driver(monkeypatch, driver=True)
    libraries(monkeypatch, missing="cudnn")
    line = examine("gpu")["CUDA libraries"]
    assert line["state"] == "warning"
    assert "onnxruntime is built for CUDA 13.0 and does not find cuDNN (" in line["text"]
    assert line["mend"] == 'pip install "onnxruntime-gpu[cuda,cudnn]"'


def test_cuda_libraries_that_are_there_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, missing="none of them")
    assert examine("gpu")["CUDA libraries"]["text"] == "cudart, cuBLAS, cuDNN load, for CUDA 13.0"


def test_an_onnxruntime_without_cuda_beside_a_card_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    pretend_driver(monkeypatch, driver=True)
    line = examine("gpu")["CUDA"]
    assert "has no CUDA" in line["text"]
    assert line["mend"].endswith("pip install onnxruntime-gpu")


def test_nobody_needs_to_install_tensorrt() -> None:
    assert "nothing to install" in examine("gpu")["TensorRT"]["text"]


def pretend_plugin(monkeypatch: pytest.MonkeyPatch, devices: list[Any]) -> None:
    module = ModuleType("onnxruntime_ep_tpu")
    module.get_library_path = lambda: "libtpu.so"  # type: ignore[attr-defined]
    module.get_ep_name = lambda: "TpuExecutionProvider"  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime_ep_tpu", module)
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", lambda name, path: None)
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: devices)


def test_a_plug_in_that_offers_no_device_is_said(
    pretend: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend("onnxruntime-ep-tpu", "1.0")
    pretend_plugin(monkeypatch, [])
    assert examine("gpu")["plug-in"]["text"] == "onnxruntime-ep-tpu 1.0 offers no device on this machine"


def test_a_plug_in_that_does_not_load_is_said(pretend: Callable[[str, str], None]) -> None:
    pretend("onnxruntime-ep-tpu", "1.0")
    line = examine("gpu")["plug-in"]
    assert line["text"].startswith("onnxruntime-ep-tpu 1.0 does not load (No module named")
    assert line["mend"] == "pip install --force-reinstall onnxruntime-ep-tpu"


def test_a_plug_in_whose_device_does_not_start_is_said(
    pretend: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend("onnxruntime-ep-tpu", "1.0")
    pretend_plugin(monkeypatch, [SimpleNamespace(ep_name="TpuExecutionProvider", device=SimpleNamespace(type="NPU"))])
    line = examine("gpu")["plug-in"]
    assert line["text"].startswith("onnxruntime-ep-tpu 1.0: TpuExecutionProvider does not start on the NPU (")
