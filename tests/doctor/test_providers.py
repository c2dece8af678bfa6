"""Section gpu: providers that do not start, start elsewhere or compute wrongly; drivers and libraries that do not."""

from __future__ import annotations

import ctypes
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

import livestyle.doctor.probe
import livestyle.doctor.providers
from livestyle.doctor.probe import Answer, ProbeError, run_apart
from livestyle.doctor.providers import PROBE, driver_version, run_probe
from livestyle.engine.devices import has_nvidia_driver

from .conftest import examine

Session = onnxruntime.InferenceSession


@pytest.fixture(autouse=True)
def _gpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime that says it has CUDA, on every machine, no card and no plug-ins."""
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(livestyle.doctor.providers, "known_plugins", dict)
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


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "it ends the whole process (SIGTERM)"),
        ("raise SystemExit(3)", "it ends the whole process (exit code 3)"),
        ("import time; time.sleep(60)", "it hangs: no answer in 0.3 seconds"),
        ("""print('noise'); print('{"error": "no such card"}')""", "no such card"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals of this kind")
def test_a_driver_that_ends_or_hangs_its_process_leaves_the_page_alone(
    program: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c {shlex.quote(program)}\n")
    python.chmod(0o755)
    pretend_driver(monkeypatch, driver=True)
    if "sleep" in program:
        monkeypatch.setattr(livestyle.doctor.probe, "SECONDS", 0.3)
    monkeypatch.setattr(sys, "executable", str(python))
    line = examine("gpu")["CUDA"]
    assert line["state"] == "warning"
    assert line["text"] == f"does not start ({text}); the CPU paints instead"


def test_a_provider_in_a_process_of_its_own_gives_its_time() -> None:
    assert run_apart("CPUExecutionProvider").milliseconds > 0


def test_no_module_of_the_current_folder_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert run_apart("CPUExecutionProvider").milliseconds > 0


def test_a_provider_in_a_process_of_its_own_says_why_it_does_not_start() -> None:
    with pytest.raises(ProbeError, match="NoSuchExecutionProvider"):
        run_apart("NoSuchExecutionProvider")


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
    assert line["mend"] == 'pip install "livestyle[cuda]"'


def test_cuda_libraries_that_are_there_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, missing="none of them")
    assert examine("gpu")["CUDA libraries"]["text"] == "cudart, cuBLAS, cuDNN load, for CUDA 13.0"


def test_an_onnxruntime_without_cuda_beside_a_card_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    pretend_driver(monkeypatch, driver=True)
    line = examine("gpu")["CUDA"]
    assert line["text"].endswith("is built without it, so that the NVIDIA card is not used")
    assert line["mend"].endswith("pip install onnxruntime-gpu")


def test_an_onnxruntime_without_cuda_is_no_fault_where_there_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    found = examine("gpu")
    assert found["CUDA"]["state"] == found["CUDA libraries"]["state"] == "note"


def test_nobody_needs_to_install_tensorrt() -> None:
    assert "nothing to install" in examine("gpu")["TensorRT"]["text"]


@dataclass(frozen=True)
class Tpu:
    """A plug-in that livestyle knows."""

    name = "tpu"
    title = "TPU"
    provider = "TpuExecutionProvider"
    module = "onnxruntime_ep_tpu"
    is_installed: bool = True


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this the one plug-in that livestyle knows, with what it answers."""

    def plug(answer: Answer | ProbeError, plugin: Tpu = Tpu()) -> None:
        def run(name: str) -> Answer:
            assert name == "tpu"
            if isinstance(answer, ProbeError):
                raise answer
            return answer

        monkeypatch.setattr(livestyle.doctor.providers, "known_plugins", lambda: {"tpu": plugin})
        monkeypatch.setattr(livestyle.doctor.providers, "run_apart", run)

    return plug


def test_a_plug_in_that_starts_is_said_with_its_device(plugged: Callable[..., None]) -> None:
    plugged(Answer(250.0, "TPU of Initech"))
    line = examine("gpu")["TPU"]
    assert line["text"] == "TPU of Initech: paints as the CPU does, 250 ms from nothing to the first frame"
    assert line["figures"] == {"provider": "TpuExecutionProvider", "device": "tpu", "starts": True}


def test_a_plug_in_that_does_not_start_is_said(plugged: Callable[..., None]) -> None:
    plugged(ProbeError("tpu does not start (there is no such device here): install it"))
    line = examine("gpu")["TPU"]
    assert line["state"] == "warning"
    assert line["text"] == "tpu does not start (there is no such device here)"
    assert line["mend"].startswith("pip uninstall onnxruntime-ep-tpu, if it is of no use here")


@pytest.mark.parametrize(("device", "code"), [("auto", 1), ("cpu", 0)])
def test_a_device_that_would_end_the_program_is_not_started_here(
    device: str, code: int, plugged: Callable[..., None]
) -> None:
    plugged(ProbeError("it ends the whole process (SIGSEGV)", fatal=True))
    found = examine("gpu", "model", "--device", device, code=code)
    assert found["TPU"]["text"] == "tpu does not start (it ends the whole process (SIGSEGV))"
    assert ("painting" in found) == (device == "cpu")
    if code:
        assert found["device"]["text"] == "TPU ends or hangs the program, see above"


def test_plug_ins_that_could_be_installed_are_named(plugged: Callable[..., None]) -> None:
    plugged(Answer(1.0), Tpu(is_installed=False))
    assert examine("gpu")["plug-ins"]["text"].endswith("faster than the CPU: tpu")


def test_a_plug_in_that_livestyle_does_not_know_is_said(
    pretend: Callable[[str, str], None], plugged: Callable[..., None]
) -> None:
    pretend("onnxruntime-ep-abacus", "1.0")
    plugged(Answer(1.0))
    line = examine("gpu")["onnxruntime-ep-abacus"]
    assert line["text"] == "1.0 is installed, and livestyle makes no use of it"
