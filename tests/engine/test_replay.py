"""CUDA graphs: what is captured is compared with what the network paints. Stand-ins replay here, without a GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident
from types import SimpleNamespace
from typing import Any
from weakref import ref

import numpy as np
import pytest

from livestyle import Stabilizer, Style, Stylizer
from livestyle.engine import devices
from livestyle.engine.devices import Device, session_providers
from livestyle.engine.model import Model
from livestyle.engine.sequence import stylize_sequence
from livestyle.engine.session import CUDA_BATCH, UNUSABLE, NetworkSession
from livestyle.engine.style import StyleStats
from livestyle.errors import DeviceError

THREADS: list[int] = []


class Replayed:
    """A session that was captured: it may replay old inputs, or fail."""

    def __init__(self, binding: Any, fault: str) -> None:
        self.binding = binding
        self.fault = fault
        self.first: Any = None

    def run(self, *given: Any) -> Any:
        THREADS.append(get_ident())
        if self.fault == "fails":
            raise DeviceError("it cannot be captured")
        painted, state = self.binding.run(*given)
        if self.fault == "stale painting":
            self.first = painted if self.first is None else self.first
            return self.first, state
        if self.fault == "stale statistics":
            self.first = state if self.first is None else self.first
            return painted, self.first
        return painted, state


@pytest.fixture
def network(identity: Stylizer) -> NetworkSession:
    """A network for CUDA, which is run by the CPU, with a session for each shape."""
    network = NetworkSession(Model.load(identity.model.folder), Device("cuda", ""), None)
    assert (network.fast_form, network.batch) == ("graph", CUDA_BATCH)
    network._device = "cpu"
    return network


def given(network: NetworkSession, strength: float = 1.0) -> tuple[Any, ...]:
    """Inputs of the network behind the frames."""
    stats = StyleStats(np.ones(network._sizes["stats"], np.float32))
    return [stats], strength, np.zeros(network.state_size, np.float32), 0.0, None


def with_fault(network: NetworkSession, fault: str, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Let captured sessions have a fault; gives for each session that is made whether it is captured."""
    made: list[bool] = []
    binding = network._binding

    def make(shape: tuple[int, ...], graph: bool = False) -> Any:
        made.append(graph)
        return Replayed(binding(shape), fault) if graph else binding(shape)

    monkeypatch.setattr(network, "_binding", make)
    monkeypatch.setattr("livestyle.engine.session.measured_speedup", lambda *_: 1.5)
    return made


def test_cuda_is_asked_to_capture_a_graph() -> None:
    (_, plain), (_, graph) = (session_providers("cuda", wanted)[0] for wanted in (False, True))  # type: ignore[index]
    assert "enable_cuda_graph" not in plain
    assert graph["enable_cuda_graph"] == "1"


@pytest.mark.parametrize(
    ("fault", "speedup"),
    [("none", 1.5), ("fails", UNUSABLE), ("stale painting", UNUSABLE), ("stale statistics", UNUSABLE)],
)
def test_a_graph_that_paints_something_else_is_not_used(
    network: NetworkSession, monkeypatch: pytest.MonkeyPatch, fault: str, speedup: float
) -> None:
    with_fault(network, fault, monkeypatch)
    assert network.measured_speedup() == speedup


@pytest.mark.parametrize(("fault", "made"), [("none", [True]), ("fails", [True, False])])
def test_a_size_that_cannot_be_captured_is_painted_without_a_graph(
    network: NetworkSession, monkeypatch: pytest.MonkeyPatch, frame: np.ndarray, fault: str, made: list[bool]
) -> None:
    expected = network.run(frame[None], *given(network))[0]
    network._bound.clear()
    seen = with_fault(network, fault, monkeypatch)
    network.replays = True
    for _ in range(2):
        assert np.array_equal(network.run(frame[None], *given(network))[0], expected)
    assert seen == made
    # Nothing is captured in vain again.
    assert network.replays is (fault == "none")


def test_the_form_of_a_stylizer_says_whether_it_replays(
    identity: Stylizer, network: NetworkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path))
    with_fault(network, "none", monkeypatch)
    stylizer = Stylizer(identity.model.folder, device="cpu")
    monkeypatch.setattr(stylizer, "_network", network)
    stylizer._take_speedup(None)
    assert (stylizer.form, network.replays) == ("computed", False)
    stylizer.settle_form()
    assert (stylizer.form, network.replays) == ("graph", True)
    stylizer.use_form("computed")
    assert (stylizer.form, network.replays) == ("computed", False)


def test_a_size_that_is_bound_already_takes_the_other_form_too(
    network: NetworkSession, monkeypatch: pytest.MonkeyPatch, frame: np.ndarray
) -> None:
    made = with_fault(network, "none", monkeypatch)
    for network.replays in (False, True, False, True):
        network.run(frame[None], *given(network))
    assert made == [False, True]
    assert [graph for _, graph in network._bound] == [False, True]


def test_all_runs_of_a_graph_are_on_one_thread(
    identity: Stylizer,
    network: NetworkSession,
    monkeypatch: pytest.MonkeyPatch,
    dusk: Style,
    demo_frames: list[np.ndarray],
) -> None:
    """Otherwise onnxruntime captures it anew on each, and another thread gets no memory meanwhile."""
    THREADS.clear()
    with_fault(network, "none", monkeypatch)
    stylizer = Stylizer(identity.model.folder, device="cpu")
    monkeypatch.setattr(stylizer, "_network", network)
    network.measured_speedup()
    stylizer.use_form("graph")
    small = np.stack([frame[:90, :160] for frame in demo_frames[:6]])
    state = Stabilizer()
    for _ in range(2):
        stylizer.stylize(small, dusk.stats, state=state)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: stylizer.stylize(small[0], dusk.stats), range(4)))
    assert len(THREADS) > 8
    assert set(THREADS) == {devices.cuda_thread().submit(get_ident).result()}


def test_a_session_that_failed_leaves_its_memory_to_the_next(
    network: NetworkSession, monkeypatch: pytest.MonkeyPatch, frame: np.ndarray
) -> None:
    class Short:
        def run(self, *_: Any) -> Any:
            raise DeviceError("there is not enough memory")

    binding = network._binding
    failed: list[Any] = []
    alive: list[int] = []

    def make(shape: tuple[int, ...], graph: bool = False) -> Any:
        alive.append(sum(each() is not None for each in failed))
        if not graph and shape[0] == 1:
            return binding(shape)
        short = Short()
        failed.append(ref(short))
        return short

    monkeypatch.setattr(network, "_binding", make)
    network.replays = True
    state, frames = Stabilizer(), np.stack([frame] * CUDA_BATCH)
    styles = given(network)[0]
    stylize_sequence(network, frames, styles, 1.0, state, None)
    # Twice a graph, a batch and a single frame.
    stylize_sequence(network, frames, styles, 1.0, state, None)
    assert len(failed) == 2
    assert not any(alive)


@pytest.mark.parametrize(
    ("name", "version", "key"), [(b"H200", 13000, "H200, driver 13000"), (b"L4", 12080, "L4, driver 12080")]
)
def test_what_was_measured_is_that_gpus_alone(
    identity: Stylizer, monkeypatch: pytest.MonkeyPatch, name: bytes, version: int, key: str
) -> None:
    def named(buffer: Any, _length: int, gpu: Any) -> int:
        assert gpu.value == 7
        buffer.value = name
        return 0

    def numbered(pointer: Any, number: int) -> int:
        pointer._obj.value = 7 if number == 1 else 0
        return 0

    def versioned(pointer: Any) -> int:
        pointer._obj.value = version
        return 0

    driver = SimpleNamespace(
        cuInit=lambda _: 0, cuDriverGetVersion=versioned, cuDeviceGet=numbered, cuDeviceGetName=named
    )
    monkeypatch.setattr(devices, "_cuda_driver", lambda: driver)
    network = NetworkSession(Model.load(identity.model.folder), Device("cuda:1", ""), None)
    assert f", {key}, " in network.form_key
