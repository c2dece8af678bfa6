"""Sessions of a model's stylizing network: one file on one device, with its buffers bound once a frame shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from livestyle.errors import DeviceError, ModelError

from .contract import CONSTANT, check_contract, explained, stylizing
from .devices import Device, buffer_device, create_session, cuda_index, cuda_thread, default_threads, gpu_name
from .forms import form_key, measured_speedup
from .model import REGIONS, REGIONS_FP16, STYLIZE, STYLIZE_CONSTANT, STYLIZE_FP16, STYLIZE_INT8, Model
from .plugins import LEAST_PSNR, psnr
from .style import StyleStats

if TYPE_CHECKING:
    from .constant import Paint

MEASURED_SIZE = 180, 320
"""Height and width of the frames that the forms of the network are timed with."""
CUDA_BATCH = 4
"""Frames of a video in one run of the network on CUDA."""
UNUSABLE = 0.01
"""Speedup that is remembered of a form that must not be used."""
SHAPES_KEPT = 4
"""Frame shapes whose bindings are kept, those used last."""

T = TypeVar("T")


class NetworkSession:
    """Inference sessions of one stylizing network, by the shape of the frames.

    On the CPU one session takes all shapes; on other devices each shape has its own, which takes seconds to create, see
    `livestyle.engine.devices.create_session`.

    Args:
        model: whose network.
        device: that runs it; the CPU takes ``stylize.int8.onnx`` where the model has it, unless float32 was asked for.
        threads: of the CPU.
        regions: take ``stylize.regions.onnx``, the network for two styles and a mask.

    Attributes:
        samples: whether this is the 8-bit network, which takes one frame at a time and estimates the frame's statistics
            from a sample of its pixels, so that small objects on an even background are missed.
        batch: number of a sequence's frames to paint in one run, see `livestyle.engine.sequence`.
        state_size: K, the number of floats in the running content statistics.
        fast_form: the form of the network that may be faster here than the plain one: ``constant`` (the CPU's 8-bit
            network), ``graph`` (a CUDA graph, which is launched at once instead of kernel by kernel), or empty.
        replays: whether the next frames are painted by a CUDA graph; a capture that fails ends it.

    Raises:
        ModelError: the model has no such network.
    """

    def __init__(self, model: Model, device: Device, threads: int | None, *, regions: bool = False) -> None:
        single, half = (REGIONS, REGIONS_FP16) if regions else (STYLIZE, STYLIZE_FP16)
        name = single if device.kind == "cpu" else half
        if name == STYLIZE and not device.exact and STYLIZE_INT8 in model.manifest.files:
            name = STYLIZE_INT8
        self.samples = name == STYLIZE_INT8
        gpu = cuda_index(device.kind)
        self.batch = 1 if gpu is None else CUDA_BATCH
        self.state_size = model.manifest.state_size
        self.replays = False
        if name not in model.manifest.files:
            raise ModelError(
                f"the model in {model.folder} cannot paint in two styles at once, for it has no {name}: "
                "export it again with python -m export, or leave the background out"
            )
        self._path = model.file(name)
        self._device = device.kind
        stats = model.manifest.stats_size
        self._sizes: dict[str, list[int]] = {
            "stats": [2, stats] if regions else [stats],
            "content_state": [self.state_size],
        }
        self._model = model
        self._contract = stylizing(model, regions=regions)
        self._session: Any = None
        if device.kind == "cpu":
            self._session = create_session(self._path, device.kind, threads)
            check_contract(self._session, self._contract, name, model)
        self._bound: dict[tuple[tuple[int, ...], bool], _Binding] = {}
        """By the shape of the frames, and whether it is a CUDA graph."""
        # Data race: threads of a web server share a stylizer, and with it the bound buffers.
        self._lock = Lock()
        self._thread = None if gpu is None else cuda_thread()
        self._threads = threads
        self._constant_path = None
        self.fast_form = self.form_key = ""
        """Key of the speedup of the fast form, see `form_key`; empty where there is none."""
        if self.samples and STYLIZE_CONSTANT in model.manifest.files:
            self._constant_path = model.file(STYLIZE_CONSTANT)
            self._maker = ThreadPoolExecutor(1, "constant form")
            self.fast_form = "constant"
            self.form_key = form_key(model.manifest.files[name], f"{threads or default_threads()} threads")
        elif gpu is not None and not regions:
            self.fast_form = "graph"
            # Another GPU or driver may take another form.
            self.form_key = form_key(model.manifest.files[name], gpu_name(gpu) or device.kind)

    def run_for_constants(
        self, frames: np.ndarray, styles: Sequence[StyleStats], strength: float, state: np.ndarray, momentum: float
    ) -> tuple[np.ndarray, np.ndarray, Future[Paint]]:
        """As `run`, and the network with the weights, biases and scales of this frame, made on another thread."""
        values = _inputs(frames, styles[0].values, strength, state, momentum)
        with explained(frames):
            found = dict(zip(self._output_names, self._session.run(None, values), strict=True))
        stylized, next_state = found.pop("stylized"), found.pop("next_content_state")
        return stylized, next_state, self._maker.submit(self._with_constants, found, frames.shape)

    def measured_speedup(self) -> float:
        """Speedup of the fast form on this machine, on small frames of noise; takes a second or less on the CPU.

        `UNUSABLE` for a CUDA graph that cannot be captured, or that paints something else.
        """
        if self.fast_form == "graph":
            return self._alone(self._measured_replay)
        frames = np.random.default_rng(0).integers(0, 256, (1, *MEASURED_SIZE, 3), np.uint8)
        state = np.zeros(self._sizes["content_state"], np.float32)
        values = _inputs(frames, np.ones(self._sizes["stats"], np.float32), 1.0, state, 0.0)
        with explained(frames):
            found = dict(zip(self._output_names, self._session.run(None, values), strict=True))
        outputs = ["stylized", "next_content_state"]
        constants = {name: value for name, value in found.items() if name not in outputs}
        paint = self._with_constants(constants, frames.shape)
        # Not by a binding, whose buffers the painting thread may be using.
        with explained(frames):
            return measured_speedup(lambda: self._session.run(outputs, values), lambda: paint(frames))

    def _measured_replay(self) -> float:
        """As `measured_speedup`; nothing is trusted untested, and a graph that was captured wrongly raises no error."""
        shape = (1, *MEASURED_SIZE, 3)
        random = np.random.default_rng(0)
        plain, replayed = self._binding(shape), None
        # Each run with other inputs: a replay of old ones must be noticed.
        for strength in (1.0, 0.3, 0.8):
            stats = np.abs(random.normal(0.5, 0.2, self._sizes["stats"])).astype(np.float32)
            state = random.normal(0.5, 0.1, self.state_size).astype(np.float32)
            frames = random.integers(0, 256, shape, np.uint8)
            given = (frames, (StyleStats(stats),), strength, state, strength / 2, None)
            painted, found = plain.run(*given)
            try:
                replayed = replayed or self._binding(shape, graph=True)
                painting, statistics = replayed.run(*given)
            except DeviceError:
                return UNUSABLE
            if psnr(painting, painted) < LEAST_PSNR or not np.allclose(statistics, found, 0.02, 0.02):
                return UNUSABLE
        assert replayed is not None
        return measured_speedup(lambda: plain.run(*given), lambda: replayed.run(*given))

    def _binding(self, shape: tuple[int, ...], graph: bool = False) -> _Binding:
        session = self._session
        if session is None:
            session = create_session(self._path, self._device, shape=(shape[0], shape[1], shape[2]), graph=graph)
            check_contract(session, self._contract, self._path.name, self._model)
        return _Binding(session, buffer_device(self._device), shape, self._sizes)

    def _with_constants(self, constants: dict[str, np.ndarray], shape: tuple[int, ...]) -> Paint:
        assert self._constant_path is not None
        fixed = create_session(self._constant_path, "cpu", self._threads, (1, shape[1], shape[2]), constants)
        check_contract(fixed, CONSTANT, self._constant_path.name, self._model)

        def paint(frames: np.ndarray) -> np.ndarray:
            with explained(frames):
                stylized: np.ndarray = fixed.run(["stylized"], {"frames": frames})[0]
            return stylized

        return paint

    @property
    def _output_names(self) -> list[str]:
        return [output.name for output in self._session.get_outputs()]

    def run(
        self,
        frames: np.ndarray,
        styles: Sequence[StyleStats],
        strength: float,
        state: np.ndarray,
        momentum: float,
        mask: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Stylized frames and the next running content statistics; shapes as in `livestyle.engine.model`.

        Raises:
            DeviceError: the device cannot run the network at this size, for instance for want of memory.
        """
        return self._alone(self._run, frames, tuple(styles), strength, state, momentum, mask)

    def _run(self, frames: np.ndarray, *given: Any) -> tuple[np.ndarray, np.ndarray]:
        if self.replays:
            try:
                # Captured by its first run, which may fail for what this size takes.
                return self._run_bound(True, frames, *given)
            except DeviceError:
                self.replays = False
        return self._run_bound(False, frames, *given)

    def _run_bound(self, graph: bool, frames: np.ndarray, *given: Any) -> tuple[np.ndarray, np.ndarray]:
        shape = frames.shape
        binding = self._bound.pop((shape, graph), None)
        if binding is None:
            if len(self._bound) == SHAPES_KEPT:
                # LRU: a dict keeps the order of insertion, so the first shape is the one used longest ago.
                del self._bound[next(iter(self._bound))]
            binding = self._binding(shape, graph)
        painted = binding.run(frames, *given)
        # Not after a failure: the next try, of fewer frames or without a graph, needs the memory that it holds.
        self._bound[shape, graph] = binding
        return painted

    def _alone(self, work: Callable[..., T], *given: Any) -> T:
        """Result of work that no other thread disturbs, see `livestyle.engine.devices.cuda_thread`."""
        if self._thread is not None:
            return self._thread.submit(work, *given).result()
        with self._lock:
            return work(*given)


class _Binding:
    """I/O binding of a session to buffers that stay on the device, for frames of one shape."""

    def __init__(
        self, session: Any, device: tuple[str, int], shape: tuple[int, ...], lengths: dict[str, list[int]]
    ) -> None:
        import onnxruntime as ort

        self._session = session
        self._styles: tuple[StyleStats, ...] = ()
        state = (tuple(lengths["content_state"]), np.float32)
        sizes: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            "frames": (shape, np.uint8),
            "mask": (shape[:3], np.uint8),
            "stats": (tuple(lengths["stats"]), np.float32),
            "strength": ((), np.float32),
            "content_state": state,
            "momentum": ((), np.float32),
            "stylized": (shape, np.uint8),
            "next_content_state": state,
        }
        inputs = [value.name for value in session.get_inputs()]
        # Of the 8-bit network more are there, and cost nothing where nobody asks for them.
        outputs = ["stylized", "next_content_state"]
        self._buffers: dict[str, Any] = {
            name: ort.OrtValue.ortvalue_from_shape_and_type(*sizes[name], *device) for name in (*inputs, *outputs)
        }
        self._binding = session.io_binding()
        for name in inputs:
            self._binding.bind_ortvalue_input(name, self._buffers[name])
        for name in outputs:
            self._binding.bind_ortvalue_output(name, self._buffers[name])

    def run(
        self,
        frames: np.ndarray,
        styles: tuple[StyleStats, ...],
        strength: float,
        state: np.ndarray,
        momentum: float,
        mask: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        self._set("frames", frames)
        if mask is not None:
            self._set("mask", mask)
        if styles != self._styles:
            self._set("stats", np.reshape([style.values for style in styles], self._buffers["stats"].shape()))
            self._styles = styles
        self._set("strength", np.float32(strength))
        self._set("content_state", state)
        self._set("momentum", np.float32(momentum))
        with explained(frames):
            self._session.run_with_iobinding(self._binding)
        # Copies: on the CPU these are views of the bound buffers, which the next frame overwrites.
        return self._buffers["stylized"].numpy().copy(), self._buffers["next_content_state"].numpy().copy()

    def _set(self, name: str, value: Any) -> None:
        self._buffers[name].update_inplace(np.asarray(value, order="C"))


def _inputs(
    frames: np.ndarray, stats: np.ndarray, strength: float, state: np.ndarray, momentum: float
) -> dict[str, np.ndarray]:
    """Inputs of the network in one style, by name."""
    return {
        "frames": frames,
        "stats": stats,
        "strength": np.array(strength, np.float32),
        "content_state": state,
        "momentum": np.array(momentum, np.float32),
    }
