from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle import Stabilizer, Stylizer
from livestyle.engine.model import MANIFEST, STYLIZE_INT8, find_model
from livestyle.engine.session import SHAPES_KEPT
from livestyle.engine.style import StyleStats, mix
from livestyle.errors import InputError, StyleError
from livestyle.styles.library import Style, StyleLibrary


@pytest.fixture
def style(library: StyleLibrary) -> Style:
    """A style of much contrast, in which noise shows."""
    return library["starry-night"]


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


def test_the_larger_model_paints_in_the_same_presets_and_in_another_way(
    stylizer: Stylizer, library: StyleLibrary, frame: np.ndarray, tmp_path: Path
) -> None:
    larger = Stylizer("full", "cpu")
    presets = StyleLibrary(larger, tmp_path).presets
    assert list(presets) == list(library.presets)
    name = next(iter(presets))
    painted = larger.stylize(frame, presets[name].stats).astype(int)
    assert abs(painted - frame).mean() > 10
    assert abs(painted - stylizer.stylize(frame, library.presets[name].stats)).mean() > 5


def test_strength_zero_gives_the_frame_back(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    assert np.array_equal(stylizer.stylize(frame, style.stats, 0), frame)


def test_a_little_strength_stays_nearer_to_the_frame_than_all_of_it(
    stylizer: Stylizer, style: Style, frame: np.ndarray
) -> None:
    faint, full = (abs(stylizer.stylize(frame, style.stats, s).astype(int) - frame).mean() for s in (0.1, 1.0))
    assert faint < full


def test_the_cpu_paints_in_8_bit_integers_nearly_what_it_paints_in_float32(
    stylizer: Stylizer, exact_stylizer: Stylizer, library: StyleLibrary, frame: np.ndarray
) -> None:
    for style in library.presets.values():
        painted, exact = (s.stylize(frame, style.stats, 0.9).astype(float) for s in (stylizer, exact_stylizer))
        assert 0 < np.square(painted - exact).mean() < 255**2 / 10 ** (30 / 10)


def test_a_dark_frame_is_painted_in_8_bit_integers_nearly_as_in_float32(
    stylizer: Stylizer, exact_stylizer: Stylizer, library: StyleLibrary, demo_frames: list[np.ndarray]
) -> None:
    # Its channels span a small part of what those of a bright frame span, and the first AdaIN site stretches them.
    dark = demo_frames[0] // 4
    for style in library.presets.values():
        painted, exact = (s.stylize(dark, style.stats).astype(float) for s in (stylizer, exact_stylizer))
        assert np.square(painted - exact).mean() < 255**2 / 10 ** (28 / 10)


def test_small_things_on_an_even_ground_are_painted_in_float32(
    stylizer: Stylizer, exact_stylizer: Stylizer, style: Style
) -> None:
    """Of titles that roll, a sample of the pixels sees another part in each frame."""
    states = Stabilizer(), Stabilizer()
    for top in (40, 38, 36):
        titles = np.zeros((96, 160, 3), np.uint8)
        titles[top : top + 6, 50:90:3] = 255
        assert np.array_equal(stylizer.stylize(titles, style.stats), exact_stylizer.stylize(titles, style.stats))
        painted, exact = (
            s.stylize(titles, style.stats, state=state)
            for s, state in zip((stylizer, exact_stylizer), states, strict=True)
        )
        assert np.array_equal(painted, exact)


def test_a_scene_cut_between_colours_of_one_grey_forgets_the_scene_before(stylizer: Stylizer, style: Style) -> None:
    blue, red = (np.full((64, 96, 3), color, np.uint8) for color in ((150, 40, 40), (40, 40, 150)))
    blue[20:30], red[20:30] = 90, 90
    state = Stabilizer()
    stylizer.stylize(blue, style.stats, state=state)
    in_film = stylizer.stylize(red, style.stats, state=state)
    assert np.array_equal(in_film, stylizer.stylize(red, style.stats, state=Stabilizer()))


def test_a_film_in_8_bit_integers_is_nearly_that_in_float32(
    stylizer: Stylizer, exact_stylizer: Stylizer, style: Style, changing_light: list[np.ndarray]
) -> None:
    states = Stabilizer(), Stabilizer()
    for image in changing_light:
        painted, exact = (
            s.stylize(image, style.stats, 1, state).astype(float)
            for s, state in zip((stylizer, exact_stylizer), states, strict=True)
        )
        assert np.square(painted - exact).mean() < 255**2 / 10 ** (30 / 10)


def test_a_model_without_8_bit_integers_paints_in_float32(
    exact_stylizer: Stylizer, style: Style, frame: np.ndarray, tmp_path: Path
) -> None:
    shutil.copytree(find_model(None), tmp_path / "lite")
    manifest = json.loads((tmp_path / "lite" / MANIFEST).read_text())
    del manifest["files"][STYLIZE_INT8]
    (tmp_path / "lite" / MANIFEST).write_text(json.dumps(manifest))
    without = Stylizer(tmp_path / "lite", "cpu")
    assert "8-bit" not in without.device.text
    assert np.array_equal(without.stylize(frame, style.stats), exact_stylizer.stylize(frame, style.stats))


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


def test_threads_that_share_a_stylizer_get_each_their_own_painting(
    stylizer: Stylizer, style: Style, frame: np.ndarray
) -> None:
    frames = [np.roll(frame, 17 * number, axis=1) for number in range(4)]
    alone = [stylizer.stylize(image, style.stats) for image in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda n: stylizer.stylize(frames[n % 4], style.stats), range(40)))
    assert all(np.array_equal(image, alone[n % 4]) for n, image in enumerate(together))


def test_running_statistics_hold_a_still_object_when_the_light_changes(
    stylizer: Stylizer, style: Style, changing_light: list[np.ndarray]
) -> None:
    alone = [stylizer.stylize(f, style.stats).astype(int) for f in changing_light[:2]]
    state = Stabilizer(momentum=0.9)
    held = [stylizer.stylize(f, style.stats, state=state).astype(int) for f in changing_light[:2]]
    still = (slice(16, -16), slice(16, 80))
    assert abs(held[1] - held[0])[still].mean() < abs(alone[1] - alone[0])[still].mean()


def test_a_scene_cut_forgets_the_scene_before(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    state = Stabilizer()
    stylizer.stylize(frame, style.stats, state=state)
    after_cut = stylizer.stylize(255 - frame, style.stats, state=state)
    assert np.array_equal(after_cut, stylizer.stylize(255 - frame, style.stats))


def test_noise_is_averaged_away_where_nothing_moves(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    random = np.random.default_rng(0)
    noisy = [np.clip(frame + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for _ in range(6)]
    alone = [stylizer.stylize(f, style.stats).astype(int) for f in noisy]
    state = Stabilizer()
    film = [stylizer.stylize(f, style.stats, state=state).astype(int) for f in noisy]
    assert abs(film[-1] - film[-2]).mean() < abs(alone[-1] - alone[-2]).mean() / 2


@pytest.mark.parametrize(
    ("rows", "color"),
    [(slice(16, 48), (200, 200, 200)), (slice(16, 48), (130, 60, 60)), (slice(32, 33), (100, 100, 100))],
    ids=["a block", "a block of another blue", "a thin line"],
)
def test_what_moves_leaves_no_trail(rows: slice, color: tuple[int, int, int]) -> None:
    state = Stabilizer()
    empty = np.full((64, 96, 3), 60, np.uint8)
    shown = empty.copy()
    shown[rows, 16:48] = color
    state.reduce_noise(shown)
    assert abs(state.reduce_noise(empty).astype(int) - empty).max() <= 1


def test_a_film_in_a_batch_is_painted_as_frame_by_frame(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    frames = np.stack([frame, np.roll(frame, 3, axis=1)])
    first, second = Stabilizer(), Stabilizer()
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
        (np.zeros((80, 80, 3), np.float32), r"a uint8 array .* not float32 \[80, 80, 3\]$"),
        (np.zeros((80, 80), np.uint8), r"a uint8 array .* not uint8 \[80, 80\]$"),
        ("photo.jpg", r"a uint8 array .* not str \[\]$"),
        (np.zeros((40, 80, 3), np.uint8), "64 pixels"),
        (np.zeros((0, 80, 80, 3), np.uint8), "64 pixels"),
    ],
)
def test_what_is_no_frame_is_refused(stylizer: Stylizer, style: Style, bad: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        stylizer.stylize(bad, style.stats)


def test_a_style_of_another_model_is_refused(stylizer: Stylizer, frame: np.ndarray) -> None:
    with pytest.raises(StyleError, match="encode the style with this model"):
        stylizer.stylize(frame, StyleStats(np.ones(5, np.float32)))


def test_a_state_of_another_model_is_refused(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    state = Stabilizer()
    state.values = np.zeros(5, np.float32)
    with pytest.raises(InputError, match="another model has painted: take a new Stabilizer for this one"):
        stylizer.stylize(frame, style.stats, state=state)


def test_styles_of_two_models_cannot_be_mixed() -> None:
    with pytest.raises(StyleError, match="of one model"):
        mix([StyleStats(np.ones(5)), StyleStats(np.ones(6))], [1, 1])


@pytest.fixture
def two(library: StyleLibrary) -> tuple[StyleStats, StyleStats]:
    """Two styles that are far apart."""
    return library.presets["scream"].stats, library.presets["ink-sea"].stats


@pytest.fixture
def left(frame: np.ndarray) -> np.ndarray:
    """A mask of the left half, uint8 [121, 203]."""
    mask = np.zeros(frame.shape[:2], np.uint8)
    mask[:, :100] = 255
    return mask


@pytest.mark.parametrize("value", [255, 0])
def test_a_mask_that_is_all_one_style_paints_that_style_alone(
    exact_stylizer: Stylizer, two: tuple[StyleStats, StyleStats], frame: np.ndarray, value: int
) -> None:
    mask = np.full(frame.shape[:2], value, np.uint8)
    painted = exact_stylizer.stylize(frame, two[0], 0.8, mask=mask, background=two[1])
    alone = exact_stylizer.stylize(frame, two[0] if value else two[1], 0.8)
    assert abs(painted.astype(int) - alone).max() <= 1


def test_each_side_of_a_mask_is_in_its_own_style(
    stylizer: Stylizer, two: tuple[StyleStats, StyleStats], frame: np.ndarray, left: np.ndarray
) -> None:
    painted = stylizer.stylize(frame, two[0], mask=left, background=two[1]).astype(int)
    alone = [stylizer.stylize(frame, style) for style in two]
    # Away from the border, where both reach.
    for side, own, other in ((slice(0, 70), 0, 1), (slice(130, None), 1, 0)):
        distance = [abs(painted - image)[:, side].mean() for image in alone]
        assert distance[own] < distance[other] / 3


def test_half_a_mask_mixes_the_two_styles(
    exact_stylizer: Stylizer, two: tuple[StyleStats, StyleStats], frame: np.ndarray
) -> None:
    even = np.full(frame.shape[:2], 127, np.uint8)
    mixed = exact_stylizer.stylize(frame, mix(two, [127, 128]))
    painted = exact_stylizer.stylize(frame, two[0], mask=even, background=two[1])
    assert abs(painted.astype(int) - mixed).max() <= 1


def test_frames_of_a_batch_have_masks_of_their_own(
    stylizer: Stylizer, two: tuple[StyleStats, StyleStats], frame: np.ndarray, left: np.ndarray
) -> None:
    frames, masks = np.stack([frame, frame[::-1]]), np.stack([left, 255 - left])
    together = stylizer.stylize(frames, two[0], mask=masks, background=two[1])
    alone = [stylizer.stylize(f, two[0], mask=m, background=two[1]) for f, m in zip(frames, masks, strict=True)]
    assert abs(together.astype(int) - np.stack(alone)).max() <= 1
    states = Stabilizer(), Stabilizer()
    together = stylizer.stylize(frames, two[0], 1, states[0], mask=left, background=two[1])
    alone = [stylizer.stylize(f, two[0], 1, states[1], mask=left, background=two[1]) for f in frames]
    assert np.array_equal(together, np.stack(alone))


def test_an_empty_region_keeps_the_running_statistics_of_the_frame(
    exact_stylizer: Stylizer, two: tuple[StyleStats, StyleStats], frame: np.ndarray
) -> None:
    states = Stabilizer(), Stabilizer()
    nothing = np.zeros(frame.shape[:2], np.uint8)
    for image in (frame, np.roll(frame, 3, axis=1)):
        painted = exact_stylizer.stylize(image, two[0], 1, states[0], mask=nothing, background=two[1])
        alone = exact_stylizer.stylize(image, two[1], 1, states[1])
        assert abs(painted.astype(int) - alone).max() <= 1


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (np.zeros((121, 200), np.uint8), "uint8 [121, 200]"),
        (np.zeros((121, 203), np.float32), "float32 [121, 203]"),
        (np.zeros((121, 203, 3), np.uint8), "uint8 [121, 203, 3]"),
        ("mask.png", "str []"),
    ],
)
def test_a_mask_that_does_not_fit_the_frame_is_refused(
    stylizer: Stylizer, style: Style, frame: np.ndarray, bad: Any, found: str
) -> None:
    words = f"the mask of a frame of 203x121 is a uint8 array [121, 203], not {found}"
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        stylizer.stylize(frame, style.stats, mask=bad, background=style.stats)


def test_a_background_without_a_mask_is_refused(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    with pytest.raises(InputError, match="needs a mask"):
        stylizer.stylize(frame, style.stats, background=style.stats)
