"""Which device runs the networks, and how onnxruntime is told so that it cannot do otherwise."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle.errors import DeviceError, ModelError

from .model import MINIMUM_SIDE

if TYPE_CHECKING:
    import onnxruntime as ort

# Has to be said before it is imported, or it gives this machine a lasting number and reports what runs here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

CPU_FLOAT32 = "cpu-float32"
DEVICES = ("auto", "cpu", CPU_FLOAT32, "cuda")

CUDA_HINT = (
    'install the CUDA libraries with pip install ".[cuda]" in the folder of livestyle, and an NVIDIA driver that '
    "supports CUDA 13 (Turing cards or newer), or use the CPU"
)

_preloading = threading.Lock()
"""What is printed is held back for the whole process, and two threads would not give it back."""


@dataclass(frozen=True)
class Device:
    """A device on which sessions were seen to start.

    Attributes:
        kind: ``cpu`` or ``cuda``.
        text: what runs, for people: one line.
        exact: whether the CPU paints in float32, even where the model has 8-bit integers.
    """

    kind: str
    text: str
    exact: bool = False

    @property
    def name(self) -> str:
        """What to ask for to get it again."""
        return CPU_FLOAT32 if self.exact else self.kind


def has_nvidia_driver() -> bool:
    """Whether the system's CUDA driver library can be loaded."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def default_threads() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def session_options(
    kind: str, threads: int | None = None, shape: tuple[int, int, int] | None = None
) -> ort.SessionOptions:
    """Options under which a session on ``kind`` runs there or fails; see `create_session`."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    # What goes wrong is said once, by the error that is raised.
    options.log_severity_level = 4
    if kind == "cuda":
        # onnxruntime otherwise puts the whole network on the CPU and says so on stderr only.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    else:
        options.intra_op_num_threads = threads or default_threads()
        # Threads that spin while they wait take the cores that capture, display and encoding need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, size in zip("NHW", shape or (), strict=False):
        options.add_free_dimension_override_by_name(name, size)
    return options


def session_providers(kind: str) -> list[Any]:
    """The list of providers of a session on ``kind``: that one alone."""
    if kind == "cuda":
        return [("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC", "prefer_nhwc": "1"})]
    return ["CPUExecutionProvider"]


def create_session(
    path: Path, kind: str, threads: int | None = None, shape: tuple[int, int, int] | None = None
) -> ort.InferenceSession:
    """A session of the network in ``path`` on ``kind``, and nowhere else.

    Args:
        path: of the ONNX file.
        kind: ``cpu`` or ``cuda``.
        threads: of the CPU; None is all the cores this process may use.
        shape: N, H and W of the frames, where they will not change. CUDA needs them: the arithmetic on sizes, which
            onnxruntime would put on the CPU, is then done once, while the session is made.

    Raises:
        DeviceError: CUDA does not start.
        ModelError: the CPU cannot run the network: the file is damaged or of another kind.
    """
    import onnxruntime as ort

    if kind == "cuda":
        preload_cuda()
    # Providers log what they miss on stderr before any session has a level of its own.
    ort.set_default_logger_severity(4)
    try:
        # Without enable_fallback=0, onnxruntime tries the CPU next and reports that failure instead of the first.
        session = ort.InferenceSession(
            path, session_options(kind, threads, shape), session_providers(kind), enable_fallback=0
        )
    except Exception as error:
        reason = first_line(error)
        if kind != "cuda":
            raise ModelError(f"{path} cannot be run ({reason}): copy or export the model again") from error
        if "fallback to CPU EP has been explicitly disabled" in reason:
            reason = "its CUDA or cuDNN libraries are missing or too old"
        raise DeviceError(f"cuda does not start ({reason}): {CUDA_HINT}", setting="device") from error
    finally:
        ort.set_default_logger_severity(2)
    return session


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def preload_cuda() -> None:
    """Load the CUDA libraries that pip installed, before the first session looks for them."""
    import onnxruntime as ort

    if hasattr(ort, "preload_dlls"):
        # It prints what it misses and never raises; the session says the same more clearly.
        with _preloading, contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


def choose_device(name: str, probe: Path, threads: int | None = None, has_int8: bool = False) -> Device:
    """Decide where networks run, by starting one.

    Args:
        name: one of `DEVICES`.
        probe: a network that is started to see whether CUDA works.
        threads: of the CPU; None is all the cores this process may use.
        has_int8: whether the model can be painted with in 8-bit integers.

    Raises:
        DeviceError: ``cuda`` was asked for and does not start; it never becomes the CPU in silence.
    """
    if name not in DEVICES:
        raise DeviceError(f"there is no device {name!r}: choose {', '.join(DEVICES)}")
    count = threads or default_threads()
    cpu_text = f"CPU, {count} thread{'s' if count != 1 else ''}"
    if name == CPU_FLOAT32:
        return Device("cpu", f"{cpu_text}, float32 (as asked)", exact=True)
    if has_int8:
        cpu_text += ", 8-bit integers"
    if name == "cpu":
        return Device("cpu", f"{cpu_text} (as asked)")
    if not has_nvidia_driver():
        if name == "cuda":
            raise DeviceError(f"cuda does not start (no NVIDIA driver found): {CUDA_HINT}", setting="device")
        return Device("cpu", f"{cpu_text} (no NVIDIA driver found)")
    try:
        create_session(probe, "cuda", shape=(1, MINIMUM_SIDE, MINIMUM_SIDE))
    except DeviceError as error:
        if name == "cuda":
            raise
        return Device("cpu", f"{cpu_text} ({error})")
    return Device("cuda", "CUDA, float16 networks with float32 statistics")
