from __future__ import annotations

import numpy as np
import pytest

from livestyle import ContentState, Stylizer
from livestyle.engine import SHAPES_KEPT, StyleStats
from livestyle.errors import InputError, StyleError
from livestyle.styles import Style, StyleLibrary


@pytest.fixture
def style(library: StyleLibrary) -> Style:
    return library.first()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 131), (90, 67), (121, 203)])
def test_any_size_comes_back_as_it_went_in(
    stylizer: Stylizer, style: Style, frame: np.ndarray, height: int, width: int
) -> None:
    given = np.resize(frame, (height, width, 3))
    painted = stylizer.stylize(given, style.stats)
    assert painted.shape == given.shape
    assert painted.dtype == np.uint8


def test_a_style_changes_the_picture(stylizer: Stylizer, library: StyleLibrary, frame: np.ndarray) -> None:
    painted = [stylizer.stylize(frame, s.stats).astype(int) for s in list(library.presets.values())[:2]]
    assert abs(painted[0] - frame).mean() > 10
    assert abs(painted[0] - painted[1]).mean() > 10


def test_strength_zero_gives_the_frame_back(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    assert np.array_equal(stylizer.stylize(frame, style.stats, 0), frame)


def test_a_little_strength_stays_nearer_to_the_frame_than_all_of_it(
    stylizer: Stylizer, style: Style, frame: np.ndarray
) -> None:
    faint, full = (abs(stylizer.stylize(frame, style.stats, s).astype(int) - frame).mean() for s in (0.1, 1.0))
    assert faint < full


def test_several_frames_are_painted_as_each_alone(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    frames = np.stack([frame, frame[::-1]])
    together = stylizer.stylize(frames, style.stats)
    alone = [stylizer.stylize(f, style.stats) for f in frames]
    assert abs(together.astype(int) - np.stack(alone)).max() <= 1


def test_a_painted_frame_stays_as_it_is_when_the_next_is_painted(
    stylizer: Stylizer, style: Style, frame: np.ndarray
) -> None:
    painted = stylizer.stylize(frame, style.stats)
    kept = painted.copy()
    stylizer.stylize(255 - frame, style.stats)
    assert np.array_equal(painted, kept)


def test_frames_of_changing_sizes_are_painted_as_each_alone(
    stylizer: Stylizer, style: Style, frame: np.ndarray
) -> None:
    # More sizes than are kept set up.
    sizes = [frame[: 121 - n, : 203 - 2 * n].copy() for n in range(SHAPES_KEPT + 2)]
    alone = [Stylizer(device="cpu").stylize(image, style.stats) for image in sizes]
    for image, expected in [*zip(sizes, alone, strict=True), *zip(sizes, alone, strict=True)]:
        assert np.array_equal(stylizer.stylize(image, style.stats), expected)


def test_running_statistics_hold_a_still_object_when_the_light_changes(
    stylizer: Stylizer, style: Style, film: list[np.ndarray]
) -> None:
    bright = film[0][:180, :240]
    dark = bright.copy()
    dark[:, 120:] -= dark[:, 120:] // 4
    alone = [stylizer.stylize(f, style.stats).astype(int) for f in (bright, dark)]
    state = ContentState(momentum=0.9)
    held = [stylizer.stylize(f, style.stats, state=state).astype(int) for f in (bright, dark)]
    still = (slice(16, -16), slice(16, 80))
    assert abs(held[1] - held[0])[still].mean() < abs(alone[1] - alone[0])[still].mean()


def test_a_scene_cut_forgets_the_scene_before(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    state = ContentState()
    stylizer.stylize(frame, style.stats, state=state)
    after_cut = stylizer.stylize(255 - frame, style.stats, state=state)
    assert np.array_equal(after_cut, stylizer.stylize(255 - frame, style.stats))


def test_noise_is_averaged_away_where_nothing_moves(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    random = np.random.default_rng(0)
    noisy = [np.clip(frame + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for _ in range(6)]
    alone = [stylizer.stylize(f, style.stats).astype(int) for f in noisy]
    state = ContentState()
    film = [stylizer.stylize(f, style.stats, state=state).astype(int) for f in noisy]
    assert abs(film[-1] - film[-2]).mean() < abs(alone[-1] - alone[-2]).mean() / 2


def test_what_moves_leaves_no_trail() -> None:
    state = ContentState()
    dark, bright = np.full((64, 96, 3), 60, np.uint8), np.full((64, 96, 3), 60, np.uint8)
    bright[16:48, 16:48] = 200
    state.steady(bright)
    assert abs(state.steady(dark).astype(int) - dark).max() <= 1


def test_a_film_in_a_batch_is_painted_as_frame_by_frame(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    frames = np.stack([frame, np.roll(frame, 3, axis=1)])
    first, second = ContentState(), ContentState()
    together = stylizer.stylize(frames, style.stats, state=first)
    assert np.array_equal(together, np.stack([stylizer.stylize(f, style.stats, state=second) for f in frames]))


def test_a_style_picture_of_any_size_has_statistics(stylizer: Stylizer) -> None:
    assert stylizer.encode_style(np.full((3, 7, 3), 90, np.uint8)).values.shape == (stylizer.stats_size,)


@pytest.mark.parametrize("strength", [-0.1, 7, float("nan")])
def test_a_strength_out_of_range_is_refused(
    stylizer: Stylizer, style: Style, frame: np.ndarray, strength: float
) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        stylizer.stylize(frame, style.stats, strength)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (np.zeros((80, 80, 3), np.float32), "uint8"),
        (np.zeros((80, 80), np.uint8), "uint8 array"),
        (np.zeros((40, 80, 3), np.uint8), "64 pixels"),
        (np.zeros((0, 80, 80, 3), np.uint8), "64 pixels"),
    ],
)
def test_what_is_no_frame_is_refused(stylizer: Stylizer, style: Style, bad: np.ndarray, text: str) -> None:
    with pytest.raises(InputError, match=text):
        stylizer.stylize(bad, style.stats)


def test_a_style_of_another_model_is_refused(stylizer: Stylizer, frame: np.ndarray) -> None:
    with pytest.raises(StyleError, match="encode the style with this model"):
        stylizer.stylize(frame, StyleStats(np.ones(5, np.float32)))
