"""Devices beside the CPU and CUDA: plug-in execution providers of onnxruntime, and CoreML.

None of them is trusted untested: before one is used, a frame is painted by it and by the CPU, see `check_painting`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from livestyle.errors import DeviceError, first_line

if TYPE_CHECKING:
    import onnxruntime as ort

LEAST_PSNR = 40.0
"""Least peak signal-to-noise ratio of a device's painting against the CPU's, in dB: that of the float16 networks."""
TESTED_SIZE = 96, 128
"""Height and width of the frame that is painted on both."""

_registering = Lock()


@dataclass(frozen=True)
class Plugin:
    """An execution provider that is no part of onnxruntime's wheels everywhere.

    Attributes:
        name: as ``--device`` takes it, and of livestyle's extra.
        title: for people.
        provider: onnxruntime's name of the execution provider.
        module: Python package with the provider's library; empty where the provider is part of onnxruntime's wheel.
        options: of the provider.
    """

    name: str
    title: str
    provider: str
    module: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def is_installed(self) -> bool:
        """Whether its library is there; nothing is loaded."""
        if self.module:
            return find_spec(self.module) is not None
        import onnxruntime as ort

        return self.provider in ort.get_available_providers()


PLUGINS: dict[str, Plugin] = {
    plugin.name: plugin
    for plugin in (
        Plugin("tensorrt-rtx", "TensorRT RTX", "NvTensorRTRTXExecutionProvider", "onnxruntime_ep_nv_tensorrt_rtx"),
        Plugin("webgpu", "WebGPU", "WebGpuExecutionProvider", "onnxruntime_ep_webgpu"),
        Plugin("openvino", "OpenVINO", "OpenVINOExecutionProvider", "onnxruntime_ep_openvino"),
        Plugin("coreml", "CoreML", "CoreMLExecutionProvider", options=(("ModelFormat", "MLProgram"),)),
    )
}
"""By their names; in this order ``auto`` tries those that are installed."""


def failure(plugin: Plugin, reason: str, hint: str = "use another device, such as the CPU") -> DeviceError:
    """The error that says why a device is not used, and what can be done, in one sentence."""
    return DeviceError(f"{plugin.name} does not start ({reason}): {hint}", setting="device")


def plugin_devices(plugin: Plugin) -> list[Any]:
    """Hardware to use of what a plug-in lists here, one `onnxruntime.OrtEpDevice`; none for CoreML, which lists none.

    A GPU goes before an NPU, and that before a CPU.

    Raises:
        DeviceError: the plug-in is not installed or cannot be loaded, or it lists no device.
    """
    if not plugin.is_installed and plugin.module:
        hint = f'install it with pip install "livestyle[{plugin.name}]", or use the CPU'
        raise failure(plugin, "its plug-in is not installed", hint)
    if not plugin.is_installed:
        raise failure(plugin, "only onnxruntime for macOS has it")
    if not plugin.module:
        return []
    import onnxruntime as ort

    found = _listed(plugin)
    if not found:
        _register(plugin)
        found = _listed(plugin)
    if not found:
        raise failure(plugin, "there is no such device here")
    kinds = ort.OrtHardwareDeviceType
    order = [kinds.GPU, kinds.NPU, kinds.CPU]
    return sorted(found, key=lambda listed: order.index(listed.device.type))[:1]


def _listed(plugin: Plugin) -> list[Any]:
    import onnxruntime as ort

    return [listed for listed in ort.get_ep_devices() if listed.ep_name == plugin.provider]


def _register(plugin: Plugin) -> None:
    """Load a plug-in's library into onnxruntime, once a process."""
    import onnxruntime as ort

    with _registering:
        if plugin.name in _registered:
            return
        try:
            # Importing some of them loads libraries of drivers.
            library = importlib.import_module(plugin.module).get_library_path()
            ort.register_execution_provider_library(f"livestyle {plugin.name}", library)
        except Exception as error:
            # "[ONNXRuntimeError] : 1 : FAIL : Failed to load library PATH with error: REASON"
            reason = first_line(error).rpartition("with error: ")[2]
            raise failure(plugin, f"its plug-in cannot be loaded, {reason}") from error
        _registered.add(plugin.name)


_registered: set[str] = set()


def add_to_options(options: ort.SessionOptions, plugin: Plugin) -> None:
    """Let a session run on a plug-in's device and on nothing else.

    Raises:
        DeviceError: see `plugin_devices`.
    """
    # A node that the device cannot run is an error, and not computed by the CPU.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if devices := plugin_devices(plugin):
        options.add_provider_for_devices(devices, dict(plugin.options))


def described(plugin: Plugin) -> str:
    """A device in one line."""
    vendor = "".join(f" on {listed.device.type.name} of {listed.device.vendor}" for listed in plugin_devices(plugin))
    return f"{plugin.title}{vendor}, float16 networks with float32 statistics"


def check_painting(plugin: Plugin, start: Callable[[str], Any]) -> None:
    """Paint one frame on a device and on the CPU, and compare the paintings.

    Args:
        plugin: of the device.
        start: gives a session of the stylizing network on ``cpu`` or on the plug-in, by its name, for one frame of
            `TESTED_SIZE`.

    Raises:
        DeviceError: the device does not start, fails, leaves part of the network to the CPU, or paints something else.
    """
    import numpy as np

    session, reference = start(plugin.name), start("cpu")
    random, (height, width) = np.random.default_rng(0), TESTED_SIZE
    ramp = np.linspace(0, 220, width)[None, :, None] * np.array([0.4, 0.7, 1.0])
    frame = np.clip(ramp + random.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    sizes = {value.name: value.shape for value in reference.get_inputs()}
    values = {
        "frames": frame[None],
        "stats": np.abs(random.normal(0.5, 0.2, sizes["stats"])).astype(np.float32),
        "strength": np.array(1, np.float32),
        "content_state": np.zeros(sizes["content_state"], np.float32),
        "momentum": np.array(0, np.float32),
    }
    try:
        painted, state = session.run(["stylized", "next_content_state"], values)
    except Exception as error:
        reason = first_line(error)
        raise failure(plugin, f"it fails with {reason}") from error
    expected = reference.run(["stylized"], values)[0]
    ratio = psnr(painted, expected) if painted.shape == expected.shape else 0.0
    if not (ratio >= LEAST_PSNR and np.isfinite(state).all()):
        raise failure(plugin, f"its test painting is {ratio:.1f} dB from the CPU's, and {LEAST_PSNR:g} are the least")


def psnr(image: Any, other: Any) -> float:
    """Peak signal-to-noise ratio of two uint8 images, in dB; 99 where they are equal."""
    import numpy as np

    error = float(np.square(image.astype(np.float64) - other).mean())
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
