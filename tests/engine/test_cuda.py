"""CUDA paints what the CPU paints: these run wherever CUDA starts."""

from __future__ import annotations

import numpy as np
import pytest

from livestyle import Stabilizer, StyleLibrary, Stylizer
from livestyle.engine.session import UNUSABLE
from livestyle.errors import DeviceError


def _cuda() -> Stylizer | None:
    try:
        return Stylizer(device="cuda")
    except DeviceError:
        return None


CUDA = _cuda()
pytestmark = pytest.mark.skipif(CUDA is None, reason="CUDA does not start here")


@pytest.fixture
def cuda() -> Stylizer:
    assert CUDA is not None
    return CUDA


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = np.square(first.astype(np.float64) - second).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def test_frames_of_changing_sizes_and_styles_are_those_of_the_cpu(
    cuda: Stylizer, exact_stylizer: Stylizer, library: StyleLibrary, demo_frames: list[np.ndarray]
) -> None:
    styles = list(library.presets.values())
    for number, size in enumerate([(360, 640), (121, 203), (360, 640)]):
        frame = np.ascontiguousarray(demo_frames[number][: size[0], : size[1]])
        stats = styles[number].stats
        assert psnr(cuda.stylize(frame, stats, 0.8), exact_stylizer.stylize(frame, stats, 0.8)) > 40


def test_a_film_with_running_statistics_is_that_of_the_cpu(
    cuda: Stylizer, exact_stylizer: Stylizer, library: StyleLibrary, changing_light: list[np.ndarray]
) -> None:
    stats = library.first().stats
    states = Stabilizer(), Stabilizer()
    for frame in changing_light:
        assert psnr(cuda.stylize(frame, stats, 1, states[0]), exact_stylizer.stylize(frame, stats, 1, states[1])) > 40


def test_two_styles_in_one_frame_are_those_of_the_cpu(
    cuda: Stylizer, exact_stylizer: Stylizer, library: StyleLibrary, demo_frames: list[np.ndarray]
) -> None:
    first, second = (style.stats for style in list(library.presets.values())[:2])
    mask = np.tile(np.linspace(0, 255, demo_frames[0].shape[1]).astype(np.uint8), (demo_frames[0].shape[0], 1))
    painted = [s.stylize(demo_frames[0], first, mask=mask, background=second) for s in (cuda, exact_stylizer)]
    assert psnr(*painted) > 40


def test_a_batch_of_a_video_is_painted_as_by_the_cpu(
    cuda: Stylizer, exact_stylizer: Stylizer, library: StyleLibrary, changing_light: list[np.ndarray]
) -> None:
    stats, states = library.first().stats, (Stabilizer(), Stabilizer())
    frames = np.stack([*changing_light, *changing_light])
    assert cuda.batch > 1
    together = cuda.stylize(frames, stats, 1, states[0])
    for frame, painted in zip(frames, together, strict=True):
        assert psnr(painted, exact_stylizer.stylize(frame, stats, 1, states[1])) > 40


def test_a_cuda_graph_paints_what_the_cpu_paints(
    exact_stylizer: Stylizer, library: StyleLibrary, demo_frames: list[np.ndarray]
) -> None:
    replayed = Stylizer(device="cuda")
    # Measured, and however fast it is, used.
    replayed.settle_form()
    assert replayed.speedup
    assert replayed.speedup > UNUSABLE
    replayed.use_form("graph")
    for frame, name in zip(demo_frames, ("scream", "ink-sea", "kiss"), strict=False):
        stats = library[name].stats_at(0)
        assert psnr(replayed.stylize(frame, stats), exact_stylizer.stylize(frame, stats)) > 40
