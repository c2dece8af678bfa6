"""Devices that run the networks, and onnxruntime sessions on exactly the device that was asked for."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle.errors import DeviceError, ModelError, first_line
from livestyle.limits import shown

from .model import MINIMUM_SIDE
from .network_file import check_network
from .plugins import PLUGINS, TESTED_SIZE, add_to_options, check_painting, described, failure

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime as ort

# Before onnxruntime is imported: its telemetry assigns this machine a persistent identifier and reports usage.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

CPU_FLOAT32 = "cpu-float32"
DEVICES = ("auto", "cpu", CPU_FLOAT32, "cuda", *PLUGINS)

CUDA_HINT = (
    'install the CUDA libraries with pip install "livestyle[cuda]", and an NVIDIA driver that supports CUDA 13 '
    "(Turing cards or newer), or use the CPU"
)

_preloading = threading.Lock()
"""`contextlib.redirect_stdout` is not thread-safe: of two threads that overlap, one would leave stdout redirected."""


@dataclass(frozen=True)
class Device:
    """Device on which a session was found to start.

    Attributes:
        kind: ``cpu``, ``cuda``, ``cuda:1`` and so on, or one of `PLUGINS`.
        text: description for people, one line.
        exact: whether the CPU runs the float32 network even where the model has an 8-bit one.
    """

    kind: str
    text: str
    exact: bool = False

    @property
    def name(self) -> str:
        """Name that selects this device again, one of `DEVICES`."""
        return CPU_FLOAT32 if self.exact else self.kind


def cuda_index(kind: str) -> int | None:
    """Number of the GPU of ``cuda`` (0) or ``cuda:N``; None of another kind of device."""
    name, _, number = kind.partition(":")
    if name != "cuda" or not ((number.isascii() and number.isdigit() and len(number) < 4) or kind == "cuda"):
        return None
    return int(number or 0)


def buffer_device(kind: str) -> tuple[str, int]:
    """Memory of the inputs and outputs of sessions on a kind of device: its name and number for onnxruntime.

    Plug-ins copy those of the CPU themselves.
    """
    index = cuda_index(kind)
    return ("cpu", 0) if index is None else ("cuda", index)


@cache
def cuda_thread() -> ThreadPoolExecutor:
    """The one thread of this process that creates and runs CUDA sessions.

    onnxruntime captures a CUDA graph anew for each thread that runs a session, and keeps all of them until the session
    ends. While it captures, the CUDA runtime refuses memory to every other thread (``cudaStreamCaptureModeGlobal``).
    """
    return ThreadPoolExecutor(1, "cuda")


def has_nvidia_driver() -> bool:
    """Whether the system's CUDA driver library can be loaded."""
    try:
        _cuda_driver()
    except OSError:
        return False
    return True


def gpu_name(index: int) -> str:
    """Name of a GPU and version of its driver in one line; empty where the driver does not tell.

    Args:
        index: see `cuda_index`; ``CUDA_VISIBLE_DEVICES`` applies, as it does to sessions.
    """
    name, version, gpu = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    try:
        driver = _cuda_driver()
        failed = (
            driver.cuInit(0)
            or driver.cuDriverGetVersion(ctypes.byref(version))
            or driver.cuDeviceGet(ctypes.byref(gpu), index)
            or driver.cuDeviceGetName(name, len(name), gpu)
        )
    except (OSError, AttributeError):
        return ""
    return "" if failed else f"{name.value.decode(errors='replace')}, driver {version.value}"


def _cuda_driver() -> ctypes.CDLL:
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def default_threads() -> int:
    """Number of CPU cores that this process may use (its affinity mask where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def session_options(
    kind: str, threads: int | None = None, shape: tuple[int, int, int] | None = None
) -> ort.SessionOptions:
    """Session options that forbid another device than ``kind``; arguments are those of `create_session`."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    # Fatal only: the exception says what went wrong, and once is enough.
    options.log_severity_level = 4
    if cuda_index(kind) is not None:
        # onnxruntime otherwise falls back to the CPU for the whole network, with a warning on stderr only.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    elif kind in PLUGINS:
        add_to_options(options, PLUGINS[kind])
    else:
        options.intra_op_num_threads = threads or default_threads()
        # Spin waits would take the cores that capture, display and encoding need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # One arena for all sessions: those of the two forms are never at work at once.
        share_cpu_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
    for name, size in zip("NHW", shape or (), strict=False):
        options.add_free_dimension_override_by_name(name, size)
    return options


@cache
def share_cpu_arena() -> None:
    """Create the CPU memory arena that sessions share where they are told to; once a process."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    # As much as is asked for: the default doubles the arena each time, and the peak with it.
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, 1, -1, -1))


def session_providers(kind: str, graph: bool = False) -> list[Any] | None:
    """Execution providers of a session on ``kind``: that one alone, so that there is no fallback.

    None for plug-ins, whose devices are among the session options. With ``graph``, CUDA captures the first run as a
    CUDA graph, and replays it.
    """
    if kind in PLUGINS:
        plugin = PLUGINS[kind]
        return None if plugin.module else [(plugin.provider, dict(plugin.options))]
    index = cuda_index(kind)
    if index is not None:
        options = {"device_id": str(index), "cudnn_conv_algo_search": "HEURISTIC", "prefer_nhwc": "1"}
        if graph:
            options["enable_cuda_graph"] = "1"
        return [("CUDAExecutionProvider", options)]
    return ["CPUExecutionProvider"]


def create_session(
    path: Path,
    kind: str,
    threads: int | None = None,
    shape: tuple[int, int, int] | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
    graph: bool = False,
) -> ort.InferenceSession:
    """Session of a network on one device, without fallback to another.

    Args:
        path: of the ONNX file.
        kind: ``cpu``, ``cuda``, ``cuda:N`` or one of `PLUGINS`.
        threads: of the CPU; None is `default_threads`.
        shape: N, H and W of the frames, where they are fixed. All but the CPU need them: shape arithmetic, which
            onnxruntime places on the CPU, is then folded into constants when the session is created.
        constants: values of the network's external initializers, by name.
        graph: see `session_providers`.

    Raises:
        DeviceError: the device does not start, or cannot run all of the network.
        ModelError: the CPU cannot run the network: the file is damaged or no such network.
    """
    import numpy as np
    import onnxruntime as ort

    check_network(path)
    if cuda_index(kind) is not None:
        preload_cuda()
    # Providers log missing libraries on stderr before the session's own log level applies.
    ort.set_default_logger_severity(4)
    options = session_options(kind, threads, shape)
    if constants:
        # onnxruntime puts them into the graph before it optimises it, so kernels see constants.
        values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)) for value in constants.values()]
        options.add_external_initializers(list(constants), values)
        # Smaller shares of an operator, so that a thread whose core is taken by decoding or encoding is not waited for.
        # Here only: all is in integers, whose results do not depend on how the work is shared out.
        options.add_session_config_entry("session.dynamic_block_base", "4")
    try:
        # Without enable_fallback=0, onnxruntime tries the CPU next and raises that failure, which hides the first.
        session = ort.InferenceSession(path, options, session_providers(kind, graph), enable_fallback=0)
    except Exception as error:
        reason = first_line(error)
        if kind in PLUGINS:
            if "fallback to CPU EP has been explicitly disabled" in reason:
                reason = "it would leave part of the network to the CPU"
            raise failure(PLUGINS[kind], reason) from error
        if cuda_index(kind) is None:
            raise ModelError(f"{path} cannot be run ({reason}): copy or export the model again") from error
        if "fallback to CPU EP has been explicitly disabled" in reason:
            reason = "its CUDA or cuDNN libraries are missing or too old"
        raise DeviceError(f"{kind} does not start ({reason}): {CUDA_HINT}", setting="device") from error
    finally:
        ort.set_default_logger_severity(2)
    return session


def preload_cuda() -> None:
    """Load the CUDA and cuDNN libraries of pip packages, before the first session looks for them."""
    import onnxruntime as ort

    if hasattr(ort, "preload_dlls"):
        # It prints what is missing and never raises; the session's error says the same more clearly.
        with _preloading, contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


def choose_device(name: str, probe: Path, threads: int | None = None, has_int8: bool = False) -> Device:
    """Device for a name; all but the CPU are probed by starting a session, and plug-ins by painting a frame too.

    Args:
        name: one of `DEVICES`, or ``cuda:1`` and so on for other GPUs than the first; ``auto`` is CUDA where it starts,
            else the first plug-in that is installed and starts, else the CPU.
        probe: path of a network to start on the device.
        threads: of the CPU; None is `default_threads`.
        has_int8: whether the model has a network of 8-bit integers, for the description.

    Raises:
        DeviceError: there is no such name; or another device than the CPU was asked for and does not start (no silent
            fallback).
    """
    is_cuda = isinstance(name, str) and cuda_index(name) is not None
    if name not in DEVICES and not is_cuda:
        raise DeviceError(f"there is no device {shown(name)}: choose {', '.join(DEVICES)}")
    if name in PLUGINS:
        return _plugin_device(name, probe, threads)
    count = threads or default_threads()
    cpu_text = f"CPU, {count} thread{'s' if count != 1 else ''}"
    if name == CPU_FLOAT32:
        return Device("cpu", f"{cpu_text}, float32 (as asked)", exact=True)
    if has_int8:
        cpu_text += ", 8-bit integers"
    if name == "cpu":
        return Device("cpu", f"{cpu_text} (as asked)")
    try:
        return _cuda_device(name if is_cuda else "cuda", probe)
    except DeviceError as error:
        if is_cuda:
            raise
        reasons = [str(error) if has_nvidia_driver() else "no NVIDIA driver found"]
    for plugin in PLUGINS.values():
        if plugin.is_installed:
            try:
                return _plugin_device(plugin.name, probe, threads)
            except DeviceError as error:
                # Without the hint: the CPU is used already.
                reasons.append(str(error).rpartition("): ")[0] + ")")
    return Device("cpu", f"{cpu_text} ({'; '.join(reasons)})")


def _cuda_device(kind: str, probe: Path) -> Device:
    if not has_nvidia_driver():
        raise DeviceError(f"{kind} does not start (no NVIDIA driver found): {CUDA_HINT}", setting="device")
    cuda_thread().submit(create_session, probe, kind, shape=(1, MINIMUM_SIDE, MINIMUM_SIDE)).result()
    which = f" GPU {kind.partition(':')[2]}" if ":" in kind else ""
    return Device(kind, f"CUDA{which}, float16 networks with float32 statistics")


def _plugin_device(name: str, probe: Path, threads: int | None) -> Device:
    check_painting(PLUGINS[name], lambda kind: create_session(probe, kind, threads, (1, *TESTED_SIZE)))
    return Device(name, described(PLUGINS[name]))
