"""The constant form of the 8-bit network: when it paints, and that nobody sees it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import Look, Renderer, Stabilizer, Style, StyleLibrary, Stylizer
from livestyle.engine import forms
from livestyle.engine.constant import QUICK_FRAMES, RENEWAL_FRAMES, SETTLING_FRAMES, Paint, Rest
from livestyle.engine.model import MANIFEST, STYLIZE_CONSTANT, find_model
from livestyle.engine.session import NetworkSession
from livestyle.errors import ModelError
from livestyle.media.frames import Frame

SIZE = (160, 96)


@pytest.fixture
def constant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stylizer:
    """A stylizer on whose machine the constant form is the faster one."""
    return form("constant", monkeypatch, tmp_path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stylizer:
    """A stylizer on whose machine it is not."""
    return form("computed", monkeypatch, tmp_path)


def form(name: str, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Stylizer:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(cache / name))
    speedup = {"constant": 2.0, "computed": 0.5}[name]
    monkeypatch.setattr("livestyle.engine.session.measured_speedup", lambda *_: speedup)
    stylizer = Stylizer(device="cpu")
    stylizer.settle_form()
    assert stylizer.form == name
    return stylizer


@pytest.fixture
def style(library: StyleLibrary) -> Style:
    return library["scream"]


@pytest.fixture(scope="module")
def scene(demo_frames: list[np.ndarray]) -> np.ndarray:
    return cv2.resize(demo_frames[0], SIZE, interpolation=cv2.INTER_AREA)


def noisy(scene: np.ndarray, count: int, seed: int = 0) -> list[np.ndarray]:
    """The scene with a camera's noise."""
    random = np.random.default_rng(seed)
    return [np.clip(scene + random.normal(0, 2, scene.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def paint(stylizer: Stylizer, frames: list[np.ndarray], style: Style) -> list[np.ndarray]:
    state = Stabilizer()
    return [stylizer.stylize(frame, style.stats, state=state).astype(int) for frame in frames]


def test_the_frame_whose_constants_are_taken_is_painted_alike_by_both_forms(
    constant: Stylizer, style: Style, scene: np.ndarray
) -> None:
    # Noise is averaged away where nothing moves, so that the same frame follows itself.
    state = Stabilizer()
    painted = [constant.stylize(scene, style.stats, state=state) for _ in range(SETTLING_FRAMES + 1)]
    assert np.array_equal(painted[-1], painted[-2])


def test_of_a_sequence_at_rest_the_computed_form_paints_the_beginning_and_a_frame_now_and_then(
    constant: Stylizer, style: Style, scene: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def noting(run: Callable[..., Any]) -> Callable[..., Any]:
        def note(network: NetworkSession, *given: Any) -> Any:
            if network is constant._network:
                called.append(run.__name__)
            return run(network, *given)

        return note

    for name in ("run", "run_for_constants"):
        monkeypatch.setattr(NetworkSession, name, noting(getattr(NetworkSession, name)))
    paint(constant, [scene] * (SETTLING_FRAMES + 2 * RENEWAL_FRAMES + 2), style)
    assert called == ["run"] * (SETTLING_FRAMES - 1) + ["run_for_constants"] * 3


def test_a_sequence_at_rest_is_painted_nearly_as_by_the_computed_form(
    constant: Stylizer, computed: Stylizer, style: Style, scene: np.ndarray
) -> None:
    frames = noisy(scene, RENEWAL_FRAMES + 2 * SETTLING_FRAMES)
    ours, theirs = paint(constant, frames, style), paint(computed, frames, style)
    differences = [abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]
    assert differences[: SETTLING_FRAMES - 1] == [0] * (SETTLING_FRAMES - 1)
    assert max(differences) < 2


def test_light_that_changes_slowly_is_followed(
    constant: Stylizer, computed: Stylizer, style: Style, scene: np.ndarray
) -> None:
    frames = [(scene * (1 - 0.008 * n)).astype(np.uint8) for n in range(60)]
    ours, theirs = paint(constant, frames, style), paint(computed, frames, style)
    assert max(abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)) < 4


def test_constants_that_drift_away_at_once_are_not_taken_again_for_a_while(style: Style) -> None:
    rest, form = Rest((style.stats,), 1.0, (1, 96, 160, 3)), Future[Paint]()
    form.set_result(lambda frames: frames)
    dark, bright = (np.full((1, 96, 160, 3), level, np.uint8) for level in (50, 60))
    for _ in range(SETTLING_FRAMES - 1):
        assert not rest.wants_constants
        rest.computed()
    rest.renew(dark, form)
    assert rest.paint(dark) is not None
    assert rest.paint(bright) is None
    assert not rest.wants_constants
    # Those that held for some time are.
    for _ in range(SETTLING_FRAMES - 1):
        rest.computed()
    rest.renew(dark, form)
    for _ in range(QUICK_FRAMES):
        assert rest.paint(dark) is not None
    assert rest.paint(bright) is None
    assert rest.wants_constants


def test_constants_that_are_about_to_drift_away_are_not_painted_with(style: Style) -> None:
    rest, form = Rest((style.stats,), 1.0, (1, 96, 160, 3)), Future[Paint]()
    form.set_result(lambda frames: frames)
    dark, brighter = (np.full((1, 96, 160, 3), level, np.uint8) for level in (50, 51))
    rest.renew(dark, form)
    assert rest.paint(dark) is not None
    assert rest.paint(brighter) is not None
    # After a step of one level, another one would be too far.
    assert rest.paint(brighter) is None


def test_a_change_of_style_shows_with_its_first_frame(
    constant: Stylizer, computed: Stylizer, library: StyleLibrary, scene: np.ndarray
) -> None:
    def painted(stylizer: Stylizer) -> list[np.ndarray]:
        renderer = Renderer(stylizer)
        looks = [Look(library["scream"])] * 20 + [Look(library["ink-sea"])] * 3
        return [renderer.render(f, look) for f, look in zip(noisy(scene, 23), looks, strict=True)]

    ours, theirs = painted(constant), painted(computed)
    assert np.array_equal(ours[20], theirs[20])


def test_a_scene_cut_shows_with_its_first_frame(
    constant: Stylizer, computed: Stylizer, style: Style, scene: np.ndarray
) -> None:
    frames = [*noisy(scene, 20), 255 - scene]
    assert np.array_equal(paint(constant, frames, style)[-1], paint(computed, frames, style)[-1])


def test_a_sequence_comes_out_the_same_each_time(constant: Stylizer, style: Style, scene: np.ndarray) -> None:
    frames = [np.roll(frame, n // 4, axis=1) for n, frame in enumerate(noisy(scene, 80))]
    first, second = (np.stack(paint(constant, frames, style)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("stop", [SETTLING_FRAMES, SETTLING_FRAMES + 5, 30])
def test_a_restored_sequence_goes_on_to_the_same_bytes(
    constant: Stylizer, style: Style, scene: np.ndarray, stop: int
) -> None:
    frames, look = noisy(scene, 60), Look(style)
    whole, second = Renderer(constant), Renderer(constant)
    expected: list[np.ndarray] = []
    for number, image in enumerate(frames):
        expected.append(whole.render(Frame(image, Fraction(number)), look))
        if number == stop:
            second.restore(whole.snapshot())
    rest = [second.render(Frame(image, Fraction(n)), look) for n, image in enumerate(frames) if n > stop]
    assert np.array_equal(np.stack(rest), np.stack(expected[stop + 1 :]))


def test_a_model_without_the_constant_form_paints_as_before(
    computed: Stylizer, style: Style, scene: np.ndarray, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(find_model(), tmp_path / "lite"))
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"][STYLIZE_CONSTANT]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    without = Stylizer(folder, "cpu")
    without.settle_form()
    assert without.form == "computed"
    frames = noisy(scene, 12)
    assert np.array_equal(paint(without, frames, style), paint(computed, frames, style))


def test_float32_has_one_form(exact_stylizer: Stylizer) -> None:
    exact_stylizer.settle_form()
    assert exact_stylizer.form == "computed"
    exact_stylizer.use_form("constant")
    assert exact_stylizer.form == "computed"


# -- which form is faster ----------------------------------------------------------------------------------------------


def test_the_forms_are_measured_once_and_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path))
    runs: list[int] = []

    def measured(*_: object) -> float:
        runs.append(1)
        return 1.5

    monkeypatch.setattr("livestyle.engine.session.measured_speedup", measured)
    for _ in range(2):
        stylizer = Stylizer(device="cpu")
        stylizer.settle_form()
        assert stylizer.form == "constant"
    assert len(runs) == 1


def test_a_constant_form_that_fails_is_tried_once_while_frames_are_painted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path))
    tries = []

    def fails(*_: object) -> float:
        tries.append(1)
        raise ModelError("it does not fit")

    monkeypatch.setattr("livestyle.engine.session.measured_speedup", fails)
    stylizer = Stylizer(device="cpu")
    for _ in range(2):
        stylizer.settle_form(wait=False)
        for thread in threading.enumerate():
            if thread.name == "measuring forms":
                thread.join()
    assert len(tries) == 1
    assert stylizer.form == "computed"


@pytest.mark.parametrize("content", ["", "[]", "{]", '{"key": "fast"}', '{"key": null}'])
def test_a_damaged_memory_of_forms_is_measured_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path))
    forms.form_cache().write_text(content)
    assert forms.remembered_speedup("key") is None
    forms.remember_speedup("key", 2.34567)
    assert forms.remembered_speedup("key") == 2.346


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path / "file"))
    forms.remember_speedup("key", 2.0)
    assert forms.remembered_speedup("key") is None


def test_the_ratio_is_that_of_runs_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    now = [0.0]
    monkeypatch.setattr(forms, "perf_counter", lambda: now[0])

    def takes(seconds: float) -> object:
        now[0] += seconds
        return next(clock)

    assert forms.measured_speedup(lambda: takes(0.3), lambda: takes(0.1)) == pytest.approx(3)
