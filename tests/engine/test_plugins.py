"""Plug-in devices: registered for real where the wheel is installed, and compared with the CPU by stand-ins."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from livestyle import StyleStats, Stylizer
from livestyle.engine import devices, plugins
from livestyle.engine.devices import choose_device, create_session, session_options
from livestyle.engine.model import STYLIZE_FP16, Model
from livestyle.engine.plugins import PLUGINS, TESTED_SIZE, Plugin, check_painting, plugin_devices, psnr
from livestyle.errors import DeviceError

WEBGPU = PLUGINS["webgpu"]
Start = Callable[[str], Any]
has_gpu = any(listed.device.type.name != "CPU" for listed in ort.get_ep_devices())


@pytest.fixture(scope="module")
def network() -> Path:
    return Model.load("lite").file(STYLIZE_FP16)


@pytest.fixture(scope="module")
def cpu(network: Path) -> ort.InferenceSession:
    """The session that paintings are compared with."""
    return create_session(network, "cpu", shape=(1, *TESTED_SIZE))


class StandIn:
    """Session of a device that paints what the CPU paints, with a change.

    Args:
        session: on the CPU.
        change: of the painting.
        state: added to the running statistics.
    """

    def __init__(self, session: Any, change: Callable[[np.ndarray], np.ndarray], state: float = 0.0) -> None:
        self._session, self._change, self._state = session, change, state

    def run(self, names: list[str], values: dict[str, np.ndarray]) -> list[np.ndarray]:
        painted, state = self._session.run(names, values)
        return [self._change(painted), state + self._state]


def starting(device: Any, cpu: Any) -> Start:
    return lambda kind: cpu if kind == "cpu" else device


def noise(deviation: float) -> Callable[[np.ndarray], np.ndarray]:
    random = np.random.default_rng(1)
    return lambda image: np.clip(image + random.normal(0, deviation, image.shape), 0, 255).astype(np.uint8)


def test_a_device_that_paints_what_the_cpu_paints_is_used(cpu: ort.InferenceSession) -> None:
    check_painting(WEBGPU, starting(StandIn(cpu, lambda image: image), cpu))


def test_the_test_frame_has_all_levels_and_is_not_clipped(cpu: ort.InferenceSession) -> None:
    frames: list[np.ndarray] = []

    class Noting(StandIn):
        def run(self, names: list[str], values: dict[str, np.ndarray]) -> list[np.ndarray]:
            frames.append(values["frames"])
            return super().run(names, values)

    check_painting(WEBGPU, starting(Noting(cpu, lambda image: image), cpu))
    (frame,) = frames
    assert frame.shape == (1, *TESTED_SIZE, 3)
    for channel in np.moveaxis(frame, -1, 0):
        assert np.percentile(channel, 5) < 25
        assert np.percentile(channel, 95) > 75
        assert (channel == 255).mean() < 0.02
    # Colours, too: a device that swaps channels paints something else.
    assert np.unique(np.median(frame, axis=(0, 1, 2))).size == 3


def test_a_device_that_rounds_as_float16_does_is_used(cpu: ort.InferenceSession) -> None:
    check_painting(WEBGPU, starting(StandIn(cpu, noise(1.0)), cpu))


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (noise(4.0), 0.0),
        (lambda image: np.zeros_like(image), 0.0),
        (lambda image: np.roll(image, 1, axis=2), 0.0),
        (lambda image: image[:, :-1], 0.0),
        (lambda image: image, np.nan),
    ],
    ids=["noise", "black", "shifted", "another size", "statistics that are no numbers"],
)
def test_a_device_that_paints_something_else_is_refused(
    cpu: ort.InferenceSession, change: Callable[[np.ndarray], np.ndarray], state: float
) -> None:
    with pytest.raises(DeviceError, match=r"webgpu does not start \(.* dB from the CPU's, and 40 .*\): use another"):
        check_painting(WEBGPU, starting(StandIn(cpu, change, state), cpu))


def test_a_device_that_fails_while_it_paints_is_refused(cpu: ort.InferenceSession) -> None:
    def fail(_image: np.ndarray) -> np.ndarray:
        raise RuntimeError("device lost\nat a place in its source")

    with pytest.raises(DeviceError, match=r"webgpu does not start \(it fails with device lost\): use another"):
        check_painting(WEBGPU, starting(StandIn(cpu, fail), cpu))


def test_equal_images_have_a_finite_ratio() -> None:
    image = np.full((2, 2), 7, np.uint8)
    assert psnr(image, image) == 99
    assert psnr(image, image + 255) == pytest.approx(10 * np.log10(255**2))


@pytest.mark.skipif(importlib.util.find_spec(WEBGPU.module) is None, reason="the plug-in is not installed")
@pytest.mark.skipif(has_gpu, reason="it may start here")
def test_a_plug_in_without_a_device_is_registered_and_says_so() -> None:
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"^webgpu does not start \(there is no such device here\): use another"):
            Stylizer(device="webgpu")
    assert "webgpu does not start (there is no such device here)" in Stylizer(device="auto").device.text


@pytest.mark.parametrize("name", [name for name, plugin in PLUGINS.items() if plugin.module])
def test_a_plug_in_that_is_not_installed_is_an_error_that_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "find_spec", lambda _module: None)
    with pytest.raises(DeviceError, match=rf"^{name} does not start \(.* not installed\): .*\[{name}\]") as raised:
        Stylizer(device=name)
    assert raised.value.settings == ("device",)


@pytest.mark.skipif("CoreMLExecutionProvider" in ort.get_available_providers(), reason="it may start here")
def test_coreml_elsewhere_than_on_macos_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"^coreml does not start \(only onnxruntime for macOS has it\)"):
        Stylizer(device="coreml")


def test_a_library_that_cannot_be_loaded_is_an_error_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real: what onnxruntime says of a file that is no library."""
    library = tmp_path / "plugin.so"
    library.write_text("no library")
    (tmp_path / "broken_plug_in.py").write_text(f"def get_library_path(): return {str(library)!r}")
    monkeypatch.syspath_prepend(tmp_path)
    broken = Plugin("webgpu", "Broken", "BrokenExecutionProvider", "broken_plug_in")
    monkeypatch.setattr(plugins, "_registered", set())
    with pytest.raises(
        DeviceError, match=r"^webgpu does not start \(its plug-in cannot be loaded, .+\): use"
    ) as raised:
        plugin_devices(broken)
    assert "\n" not in str(raised.value)


def test_a_gpu_goes_before_an_npu_and_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ort.OrtHardwareDeviceType
    listed = [
        SimpleNamespace(ep_name=provider, device=SimpleNamespace(type=kind, vendor="Intel"))
        for provider, kind in [
            ("OpenVINOExecutionProvider", kinds.CPU),
            ("OpenVINOExecutionProvider", kinds.NPU),
            ("OpenVINOExecutionProvider", kinds.GPU),
            ("CPUExecutionProvider", kinds.GPU),
        ]
    ]
    monkeypatch.setattr(ort, "get_ep_devices", lambda: listed)
    monkeypatch.setattr(plugins, "find_spec", lambda _module: True)
    assert plugin_devices(PLUGINS["openvino"]) == [listed[2]]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> str:
    """WebGPU with onnxruntime's CPU provider in its place, through the same calls that add a plug-in's devices."""
    here = Plugin("webgpu", "WebGPU", "CPUExecutionProvider", "numpy")
    monkeypatch.setitem(PLUGINS, "webgpu", here)
    return "webgpu"


def test_a_network_that_would_be_left_to_the_cpu_is_refused(stand_in: str, network: Path) -> None:
    """Here onnxruntime itself refuses, for the stand-in is its own CPU."""
    assert session_options(stand_in).get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    with pytest.raises(DeviceError, match=r"^webgpu does not start \("):
        choose_device(stand_in, network)


@pytest.mark.parametrize("asked", ["webgpu", "auto"])
def test_a_device_that_passes_paints_frames_of_all_sizes(
    stand_in: str, monkeypatch: pytest.MonkeyPatch, stylizer: Stylizer, exact_stylizer: Stylizer, asked: str
) -> None:
    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(Plugin, "is_installed", property(lambda plugin: plugin.name == "webgpu"))
    add = plugins.add_to_options

    def add_without_the_rule(options: ort.SessionOptions, plugin: Plugin) -> None:
        add(options, plugin)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "0")

    monkeypatch.setattr(devices, "add_to_options", add_without_the_rule)
    there = Stylizer(device=asked)
    assert (there.device.kind, there.device.name) == ("webgpu", "webgpu")
    assert there.device.text.startswith("WebGPU on CPU of ")
    random = np.random.default_rng(0)
    style = StyleStats(random.uniform(0.1, 0.9, there.stats_size).astype(np.float32))
    for size in ((64, 96), (96, 64), (64, 96)):
        frame = random.integers(0, 256, (*size, 3), np.uint8)
        assert psnr(there.stylize(frame, style), exact_stylizer.stylize(frame, style)) > 40


def test_auto_becomes_the_cpu_where_a_plug_in_paints_something_else(
    monkeypatch: pytest.MonkeyPatch, network: Path
) -> None:
    def refuse(plugin: Plugin, _start: Start) -> None:
        raise plugins.failure(plugin, "its test painting is 12.0 dB from the CPU's, and 40 are the least")

    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(Plugin, "is_installed", property(lambda plugin: plugin.name == "openvino"))
    monkeypatch.setattr(devices, "check_painting", refuse)
    chosen = choose_device("auto", network)
    assert chosen.kind == "cpu"
    assert chosen.text.endswith(
        "(no NVIDIA driver found; openvino does not start (its test painting is 12.0 dB from the CPU's, "
        "and 40 are the least))"
    )
