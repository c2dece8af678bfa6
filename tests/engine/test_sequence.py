"""Several frames of a sequence in one run of the network, as CUDA paints videos: here by the CPU in float32."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import Stabilizer, Style, StyleLibrary, Stylizer
from livestyle.engine.session import NetworkSession
from livestyle.errors import DeviceError

SIZE = 96, 64


@pytest.fixture
def batching(exact_stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> Stylizer:
    """A stylizer that paints three frames of a sequence in one run."""
    monkeypatch.setattr(exact_stylizer._network, "batch", 3)
    monkeypatch.setattr(exact_stylizer._network_of_regions(), "batch", 3)
    # The noise of one batch is reduced while another is painted.
    assert exact_stylizer.batch == 6
    return exact_stylizer


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of frames of all runs of networks, in their order."""
    seen: list[int] = []

    def noting(run: Callable[..., Any]) -> Callable[..., Any]:
        def note(network: NetworkSession, frames: np.ndarray, *given: Any) -> Any:
            seen.append(len(frames))
            return run(network, frames, *given)

        return note

    monkeypatch.setattr(NetworkSession, "run", noting(NetworkSession.run))
    return seen


@pytest.fixture
def scenes(demo_frames: list[np.ndarray]) -> np.ndarray:
    """Two scenes with a camera's noise and frames of one colour between them, uint8 [14, 64, 96, 3]."""
    random = np.random.default_rng(0)
    first = cv2.resize(demo_frames[0], SIZE, interpolation=cv2.INTER_AREA)
    black = np.zeros_like(first)
    frames = [first] * 5 + [black] * 2 + [255 - first] * 7
    return np.stack([np.clip(f + random.normal(0, 3, f.shape) * f.any(), 0, 255).astype(np.uint8) for f in frames])


def one_by_one(stylizer: Stylizer, frames: np.ndarray, style: Style, state: Stabilizer, **options: Any) -> np.ndarray:
    return np.stack([stylizer.stylize(frame, style.stats, state=state, **options) for frame in frames])


def alike(painted: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two paintings differ by rounding alone: a batch sums up the moving average in another order."""
    return int(abs(painted.astype(int) - expected).max()) <= 1


def test_batches_are_painted_as_frame_by_frame_and_end_at_scene_cuts(
    batching: Stylizer, style: Style, scenes: np.ndarray, sizes: list[int]
) -> None:
    first, second = Stabilizer(), Stabilizer()
    together = batching.stylize(scenes, style.stats, state=first)
    # The first of a scene alone, since it has no statistics before it; what is no whole batch one by one.
    assert sizes == [1, 3, 1, 1, 1, 1, 3, 3]
    assert alike(together, one_by_one(batching, scenes, style, second))
    assert first.values is not None
    assert second.values is not None
    assert np.allclose(first.values, second.values, rtol=1e-5)


def test_a_sequence_goes_on_from_batch_to_batch(batching: Stylizer, style: Style, scenes: np.ndarray) -> None:
    first, second = Stabilizer(), Stabilizer()
    together = [batching.stylize(part, style.stats, state=first) for part in (scenes[:2], scenes[2:6], scenes[6:])]
    assert alike(np.concatenate(together), one_by_one(batching, scenes, style, second))


def test_frames_of_a_batch_have_their_masks(batching: Stylizer, library: StyleLibrary, scenes: np.ndarray) -> None:
    masks = np.zeros(scenes.shape[:3], np.uint8)
    for place, mask in enumerate(masks):
        mask[:, 5 * place :] = 255
    styles = library["scream"], library["ink-sea"]
    together = batching.stylize(scenes, styles[0].stats, state=Stabilizer(), mask=masks, background=styles[1].stats)
    state = Stabilizer()
    for frame, mask, painted in zip(scenes, masks, together, strict=True):
        alone = batching.stylize(frame, styles[0].stats, state=state, mask=mask, background=styles[1].stats)
        assert alike(painted, alone)


def test_frames_without_a_state_are_painted_in_batches_too(
    batching: Stylizer, style: Style, scenes: np.ndarray, sizes: list[int]
) -> None:
    together = batching.stylize(scenes[:8], style.stats)
    assert sizes == [3, 3, 1, 1]
    assert alike(together, np.stack([batching.stylize(frame, style.stats) for frame in scenes[:8]]))


@pytest.mark.parametrize("stabilise", [True, False])
def test_without_memory_for_a_batch_its_frames_are_painted_one_by_one(
    batching: Stylizer, style: Style, scenes: np.ndarray, monkeypatch: pytest.MonkeyPatch, stabilise: bool
) -> None:
    first, second = (Stabilizer(), Stabilizer()) if stabilise else (None, None)
    expected = np.stack([batching.stylize(frame, style.stats, state=first) for frame in scenes])
    run = NetworkSession.run

    def short_of_memory(network: NetworkSession, frames: np.ndarray, *given: Any) -> Any:
        if len(frames) > 1:
            raise DeviceError("memory is short")
        return run(network, frames, *given)

    monkeypatch.setattr(NetworkSession, "run", short_of_memory)
    assert np.array_equal(batching.stylize(scenes, style.stats, state=second), expected)
    assert batching.batch == 1


def test_nothing_behind_a_failure_is_painted(
    batching: Stylizer, style: Style, scenes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C comes to the main thread while another runs the network."""
    painting, ended = Event(), Event()
    runs: list[int] = []
    run = NetworkSession.run

    def slow(network: NetworkSession, frames: np.ndarray, *given: Any) -> Any:
        runs.append(len(frames))
        painting.set()
        assert ended.wait(60)
        return run(network, frames, *given)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, **more: Any) -> None:
            super().shutdown(wait=False, **more)
            ended.set()
            super().shutdown(wait)

    class Interrupted(Stabilizer):
        def reduce_noise(self, frame: np.ndarray) -> np.ndarray:
            if np.array_equal(frame, scenes[-1]):
                assert painting.wait(60)
                raise KeyboardInterrupt
            return super().reduce_noise(frame)

    monkeypatch.setattr(NetworkSession, "run", slow)
    monkeypatch.setattr("livestyle.engine.sequence.ThreadPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt):
        batching.stylize(scenes, style.stats, state=Interrupted())
    assert runs == [1]


def test_a_device_that_cannot_paint_a_single_frame_is_an_error(
    batching: Stylizer, style: Style, scenes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise DeviceError("memory is short")

    monkeypatch.setattr(NetworkSession, "run", fails)
    with pytest.raises(DeviceError, match="memory is short"):
        batching.stylize(scenes, style.stats, state=Stabilizer())
