"""CUDA graphs: what is captured is compared with what the network paints. Stand-ins replay here, without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle import Stylizer
from livestyle.engine.devices import Device, session_providers
from livestyle.engine.model import Model
from livestyle.engine.session import UNUSABLE, NetworkSession
from livestyle.engine.style import StyleStats
from livestyle.errors import DeviceError


class Replayed:
    """A session that was captured: it may replay old inputs, or fail."""

    def __init__(self, binding: Any, fault: str) -> None:
        self.binding = binding
        self.fault = fault
        self.first: Any = None

    def run(self, *given: Any) -> Any:
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
    """A network that makes a session for each shape, as on CUDA."""
    network = NetworkSession(Model.load(identity.model.folder), Device("cpu", "", exact=True), None)
    network._session, network.fast_form, network.form_key = None, "graph", "a GPU"
    return network


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
    given = [StyleStats(np.ones(network._sizes["stats"], np.float32))], 1.0, np.zeros(network.state_size, np.float32)
    expected = network.run(frame[None], *given, 0.0, None)[0]
    network._bound.clear()
    seen = with_fault(network, fault, monkeypatch)
    network.replays = True
    for _ in range(2):
        assert np.array_equal(network.run(frame[None], *given, 0.0, None)[0], expected)
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
