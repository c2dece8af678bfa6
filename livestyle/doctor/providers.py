"""Section ``gpu``: onnxruntime's execution providers as they really start, the NVIDIA driver and CUDA's libraries."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from livestyle.engine.devices import CUDA_HINT, has_nvidia_driver, preload_cuda
from livestyle.errors import first_line

from .finding import Finding, Section, State
from .packages import installed, requirement
from .probe import Answer, ProbeError, run_apart

PROBE = base64.b64decode(
    "CAgSADqoAQoiCgF4CgF3EgFjIgRDb252KhEKBHBhZHNAAUABQAFAAaABBwoMCgFjEgF5IgRSZWx1EgVwcm9iZSozCAEIAQgDCAMQAUIBd0okAACAPwAA"
    "gD8AAIA/AACAPwAAgD8AAIA/AACAPwAAgD8AAIA/WhsKAXgSFgoUCAESEAoCCAEKAggBCgIICAoCCAhiGwoBeRIWChQIARIQCgIIAQoCCAEKAggICgII"
    "CEIECgAQEQ=="
)
"""An ONNX network of 181 bytes: float32 x [1, 1, 8, 8] -> y of that shape, a sum over 3x3 pixels, then ReLU."""
PROVIDERS = {
    "CPUExecutionProvider": "CPU",
    "CUDAExecutionProvider": "CUDA",
    "TensorrtExecutionProvider": "TensorRT",
    "CoreMLExecutionProvider": "CoreML",
    "DmlExecutionProvider": "DirectML",
    "OpenVINOExecutionProvider": "OpenVINO",
}
"""Names for people. Not among them: Azure's, which computes nothing on this machine."""
LIBRARIES = {
    "cudart": ("libcudart.so.{cuda}", "cudart64_{cuda}.dll"),
    "cuBLAS": ("libcublasLt.so.{cuda}", "cublasLt64_{cuda}.dll"),
    "cuDNN": ("libcudnn.so.9", "cudnn64_9.dll"),
}
"""Libraries of CUDA on Linux and on Windows; ``{cuda}`` is the major version that onnxruntime was built for."""
NVIDIA = "0x10de"
DISPLAY_CLASS = "0x03"
"""PCI's vendor NVIDIA and class of display controllers, as sysfs writes them."""


class WrongProviderError(Exception):
    """A session that does not run where it was told to, or computes something else there."""


def check_gpu() -> Iterator[Finding]:
    """Findings on each execution provider, the driver, CUDA's libraries, TensorRT and plug-in providers."""
    import onnxruntime as ort

    preload_cuda()
    names = [name for name in ort.get_available_providers() if name != "AzureExecutionProvider"]
    driver, card = has_nvidia_driver(), has_nvidia_card()
    plugins = {plugin.provider for plugin in known_plugins().values()}
    yield _driver(driver, card, cuda_version())
    if "CUDAExecutionProvider" in names:
        yield _libraries(cuda_version(), wanted=driver or card)
    else:
        yield Finding(Section.GPU, "CUDA libraries", State.NOTE, "not looked for, since onnxruntime would not use them")
    # The one that everything falls back to first.
    for name in sorted(names, key=lambda n: n != "CPUExecutionProvider"):
        # CoreML's is on the list below, since it is compared with the CPU before it is used.
        if name != "TensorrtExecutionProvider" and name not in plugins:
            yield _provider(name, wanted=driver or card)
    yield _tensorrt()
    if "CUDAExecutionProvider" not in names:
        yield _no_cuda(ort.__version__, wanted=driver or card)
    yield from _plugins()


def _no_cuda(version: str, wanted: bool) -> Finding:
    text = f"onnxruntime {version} is built without it"
    if not wanted:
        return Finding(Section.GPU, "CUDA", State.NOTE, text)
    mend = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    return Finding(Section.GPU, "CUDA", State.WARNING, f"{text}, so that the NVIDIA card is not used", mend)


def has_nvidia_card() -> bool:
    """Whether Linux sees an NVIDIA card on the PCI bus, with or without a driver; False on other systems."""
    for device in Path("/sys/bus/pci/devices").glob("*"):
        with contextlib.suppress(OSError):
            vendor, kind = (device / "vendor").read_text().strip(), (device / "class").read_text()
            if vendor == NVIDIA and kind.startswith(DISPLAY_CLASS):
                return True
    return False


def cuda_version() -> str:
    """Version of CUDA that this onnxruntime was built for, such as ``13.0``; empty where it has none."""
    try:
        found = importlib.import_module("onnxruntime.capi.build_and_package_info")
    except ImportError:
        return ""
    return str(getattr(found, "cuda_version", "") or "")


def driver_version() -> tuple[int, int] | None:
    """Newest version of CUDA that the NVIDIA driver supports; None where it does not tell."""
    version = ctypes.c_int(0)
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        if library.cuDriverGetVersion(ctypes.byref(version)):
            return None
    except (OSError, AttributeError):
        return None
    return version.value // 1000, version.value % 1000 // 10


def run_probe(provider: str, session: Any = None) -> float:
    """Milliseconds from nothing to the first result of the tiny network on one provider.

    Args:
        provider: onnxruntime's name of it.
        session: that runs the network, already created; None creates one without any fall-back.

    Raises:
        WrongProviderError: the session runs elsewhere, or its result is wrong.
        Exception: whatever onnxruntime raises where it does not start.
    """
    import numpy as np
    import onnxruntime as ort

    start = perf_counter()
    ort.set_default_logger_severity(4)
    try:
        if session is None:
            session = ort.InferenceSession(PROBE, _options(provider), [provider], enable_fallback=0)
        running = session.get_providers()
        result = session.run(None, {"x": np.ones((1, 1, 8, 8), np.float32)})[0]
    finally:
        ort.set_default_logger_severity(2)
    if provider not in running:
        raise WrongProviderError(f"the session runs on {running[0] if running else 'nothing'} instead")
    expected = np.full((8, 8), 9, np.float32)
    expected[[0, -1]], expected[:, [0, -1]] = 6, 6
    expected[::7, ::7] = 4
    if not np.allclose(result[0, 0], expected, atol=0.05):
        raise WrongProviderError("it computes wrong numbers")
    return 1000 * (perf_counter() - start)


def _options(provider: str) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    if provider != "CPUExecutionProvider":
        # Without it, a session that asks for a GPU comes back on the CPU in silence.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _provider(name: str, wanted: bool) -> Finding:
    shown = PROVIDERS.get(name, name.removesuffix("ExecutionProvider"))
    try:
        # A driver may end or hang the process that starts it, and the page with it.
        apart = wanted and name != "CPUExecutionProvider"
        milliseconds = run_apart(name).milliseconds if apart else run_probe(name)
    # Each provider has exceptions of its own.
    except Exception as error:
        reason = first_line(error)
        if name == "CPUExecutionProvider":
            text = f"does not run a network ({reason})"
            mend = f'pip install --force-reinstall "{requirement("onnxruntime")}"'
            return Finding(Section.GPU, shown, State.BROKEN, text, mend)
        if "fallback to CPU EP has been explicitly disabled" in reason:
            reason = "its driver or one of its libraries is missing or too old"
        state = State.WARNING if wanted or isinstance(error, WrongProviderError) else State.NOTE
        mend = CUDA_HINT if name == "CUDAExecutionProvider" else ""
        text = f"does not start ({reason}); the CPU paints instead"
        figures = {"provider": name, "device": shown.lower(), "starts": False, "fatal": getattr(error, "fatal", False)}
        return Finding(Section.GPU, shown, state, text, mend, figures)
    text = f"starts and computes right numbers, {milliseconds:.0f} ms from nothing to the first result"
    return Finding(Section.GPU, shown, State.OK, text, figures={"provider": name, "starts": True})


def _tensorrt() -> Finding:
    """TensorRT's libraries; livestyle does not use them, and many think that a GPU needs them."""
    text = "not used: livestyle runs on CUDA without it, so there is nothing to install"
    if "tensorrt-rtx" in known_plugins():
        text += "; TensorRT RTX is a plug-in, which one pip install brings with its libraries"
    return Finding(Section.GPU, "TensorRT", State.NOTE, text)


def _driver(driver: bool, card: bool, cuda: str) -> Finding:
    name = "NVIDIA driver"
    if not driver:
        if card:
            text = "there is an NVIDIA card, but its driver does not load"
            mend = "sudo ubuntu-drivers install, elsewhere as your distribution says; then restart"
            return Finding(Section.GPU, name, State.WARNING, text, mend)
        return Finding(Section.GPU, name, State.NOTE, "none found, and no NVIDIA card: the CPU paints")
    newest = driver_version()
    if newest is None:
        text = "its library loads, but does not tell its version: the kernel module may be of another version"
        return Finding(Section.GPU, name, State.WARNING, text, "restart the computer, then run nvidia-smi")
    text = f"supports CUDA up to {newest[0]}.{newest[1]}"
    figures = {"cuda": f"{newest[0]}.{newest[1]}"}
    if cuda and newest[0] < int(cuda.partition(".")[0]):
        text += f", and onnxruntime needs {cuda}: the GPU cannot be used"
        return Finding(Section.GPU, name, State.WARNING, text, "install a newer NVIDIA driver, then restart", figures)
    return Finding(Section.GPU, name, State.OK, text, figures=figures)


def _libraries(cuda: str, wanted: bool) -> Finding:
    missing = []
    for name, files in LIBRARIES.items():
        file = files[sys.platform == "win32"].format(cuda=cuda.partition(".")[0])
        try:
            ctypes.CDLL(file)
        except OSError:
            missing.append(f"{name} ({file})")
    title = "CUDA libraries"
    if missing:
        state = State.WARNING if wanted else State.NOTE
        text = f"onnxruntime is built for CUDA {cuda or 'of unknown version'} and does not find {', '.join(missing)}"
        return Finding(Section.GPU, title, state, text, 'pip install "livestyle[cuda]"', {"missing": missing})
    return Finding(Section.GPU, title, State.OK, f"{', '.join(LIBRARIES)} load, for CUDA {cuda}")


def known_plugins() -> dict[str, Any]:
    """Plug-in providers that livestyle can use, by the name that ``--device`` takes."""
    try:
        return dict(importlib.import_module("livestyle.engine.plugins").PLUGINS)
    except ImportError:
        return {}


def start_plugin(name: str) -> Answer:
    """Paint a frame of the default model on a plug-in's device, and compare it with the CPU's painting.

    Raises:
        DeviceError: it does not start, or paints something else.
        ModelError: there is no default model.
    """
    from livestyle.engine.devices import choose_device
    from livestyle.engine.model import STYLIZE_FP16, find_model

    start = perf_counter()
    device = choose_device(name, find_model() / STYLIZE_FP16)
    return Answer(1000 * (perf_counter() - start), device.text)


def _plugins() -> Iterator[Finding]:
    """Plug-in providers that are installed: those that livestyle uses are started, the others are named."""
    known = known_plugins()
    modules = {plugin.module for plugin in known.values()}
    installed_ones = [plugin for plugin in known.values() if plugin.is_installed]
    for plugin in installed_ones:
        yield _plugin(plugin)
    if known and not installed_ones:
        text = f"none installed; on some GPUs they are faster than the CPU: {', '.join(known)}"
        mend = 'pip install "livestyle[webgpu]", for instance' if "webgpu" in known else ""
        yield Finding(Section.GPU, "plug-ins", State.NOTE, text, mend)
    for name, version in sorted(installed().items()):
        if name.startswith("onnxruntime-ep-") and name.replace("-", "_") not in modules:
            yield Finding(Section.GPU, name, State.NOTE, f"{version} is installed, and livestyle makes no use of it")


def _plugin(plugin: Any) -> Finding:
    figures: dict[str, object] = {"provider": plugin.provider, "device": plugin.name, "starts": False}
    try:
        answer = run_apart(plugin.name)
    except ProbeError as error:
        text, colon, mend = str(error).rpartition("): ")
        text = f"{text})" if colon else f"{plugin.name} does not start ({mend})"
        mend = f"pip uninstall {plugin.module.replace('_', '-')}" if plugin.module else ""
        mend += ", if it is of no use here; else install the newest driver of your graphics card" if mend else ""
        return Finding(Section.GPU, plugin.title, State.WARNING, text, mend, figures | {"fatal": error.fatal})
    text = f"{answer.text}: paints as the CPU does, {answer.milliseconds:.0f} ms from nothing to the first frame"
    return Finding(Section.GPU, plugin.title, State.OK, text, figures=figures | {"starts": True})
