"""The renderer, with the model that ships."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import (
    ColorMode,
    Cue,
    InputError,
    Look,
    ModelError,
    Renderer,
    Style,
    StyleLibrary,
    StyleStats,
    Stylizer,
    Timeline,
)
from livestyle.engine.model import MANIFEST, REGIONS, find_model
from livestyle.media.frames import Frame
from livestyle.media.resize import resize
from livestyle.render.color import keep_colors
from livestyle.render.upsampling import guided_upsample


class Still:
    """A mask that does not change."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask

    def at(self, _time: Fraction | float, _width: int, _height: int) -> np.ndarray:
        return self.mask


@pytest.fixture
def style(library: StyleLibrary) -> Style:
    """A style of much contrast, in which noise shows."""
    return library["starry-night"]


@pytest.fixture
def other(library: StyleLibrary) -> Style:
    """A style far from that."""
    return library["ink-sea"]


@pytest.fixture
def left(frame: np.ndarray) -> np.ndarray:
    """A mask of the left half, uint8 [121, 203]."""
    mask = np.zeros(frame.shape[:2], np.uint8)
    mask[:, :100] = 255
    return mask


@pytest.fixture
def noisy(frame: np.ndarray) -> list[np.ndarray]:
    """A still scene with a camera's noise."""
    random = np.random.default_rng(0)
    return [np.clip(frame + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for _ in range(12)]


def paint(stylizer: Stylizer, frame: np.ndarray, style: Any, **choices: Any) -> np.ndarray:
    """One frame by itself."""
    return Renderer(stylizer).render(frame, Look(style, **choices))


def render(stylizer: Stylizer, frames: list[np.ndarray], look: Look) -> list[np.ndarray]:
    """Frames of one sequence, a second apart."""
    renderer = Renderer(stylizer)
    return [renderer.render(Frame(image, Fraction(n)), look).astype(int) for n, image in enumerate(frames)]


def test_a_frame_is_what_the_stylizer_makes_of_it(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    assert np.array_equal(paint(stylizer, frame, style), stylizer.stylize(frame, style.stats))


def test_a_fade_to_black_and_back_is_one_in_paint(
    stylizer: Stylizer, style: Style, demo_frames: list[np.ndarray]
) -> None:
    shares = (0.2, 0.1, 0.05, 0, 0, 0.05, 0.1, 0.2)
    light = [p.mean() for p in render(stylizer, [(demo_frames[0] * s).astype(np.uint8) for s in shares], Look(style))]
    assert light[0] > light[1] > light[2] > light[3] == light[4] == 0
    assert light[4] < light[5] < light[6] < light[7]


def test_an_even_wall_does_not_boil(stylizer: Stylizer, style: Style) -> None:
    random, wall = np.random.default_rng(0), np.full((96, 160, 3), (120, 130, 140), np.int16)
    walls = [(wall + random.integers(-2, 3, wall.shape)).astype(np.uint8) for _ in range(4)]
    *_, before, after = render(stylizer, walls, Look(style))
    assert np.abs(after - before).mean() < 2 * np.abs(walls[-1].astype(int) - walls[-2]).mean()


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(0, None, 9), slice(1, None, 9), slice(0, 60)])
def test_how_faint_a_frame_is_does_not_depend_on_which_rows_have_the_contrast(
    identity: Stylizer, identity_library: StyleLibrary, rows: slice
) -> None:
    """Painted in full from a standard deviation of 10 grey levels on, wherever these are."""
    frame = np.full((90, 120, 3), 100, np.uint8)
    frame[rows, ::2] = 220
    style = identity_library.first()
    contrast = frame.std(axis=(0, 1)).max() / 10
    share = 1 if contrast >= 1 else contrast**2 * (3 - 2 * contrast)
    expected = share * identity.stylize(frame, style.stats_at(0)) + (1 - share) * frame
    assert abs(paint(identity, frame, style, stabilise=False) - expected).max() <= 0.51


@pytest.mark.parametrize("stroke_size", [1.6, 2])
def test_broad_strokes_are_those_of_a_smaller_frame_enlarged(
    stylizer: Stylizer, style: Style, frame: np.ndarray, stroke_size: float
) -> None:
    """From about half the width on with the frame as the guide."""
    large = resize(frame, 200, 160)
    painted = paint(stylizer, large, style, stroke_size=stroke_size)
    reduced = resize(large, round(200 / stroke_size), round(160 / stroke_size))
    smaller = stylizer.stylize(reduced, style.stats)
    bicubic = cv2.resize(smaller, (200, 160), interpolation=cv2.INTER_CUBIC)
    expected = bicubic if stroke_size < 2 else guided_upsample(smaller, reduced, large)
    assert np.array_equal(painted, expected)
    assert abs(painted.astype(int) - bicubic).mean() < 1


def test_a_scale_paints_as_broad_strokes_do(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    """So the live program, which paints smaller to keep up, broadens no stroke twice."""
    large = cv2.resize(frame, (200, 160), interpolation=cv2.INTER_CUBIC)
    by_scale = Renderer(stylizer).render(large, Look(style, stroke_size=1.5), scale=0.5)
    assert np.array_equal(by_scale, paint(stylizer, large, style, stroke_size=2))


def test_broad_strokes_at_little_strength_keep_the_detail_of_the_frame(
    stylizer: Stylizer, style: Style, frame: np.ndarray
) -> None:
    large = cv2.resize(frame, (200, 160), interpolation=cv2.INTER_CUBIC) // 2 + 60
    large += np.random.default_rng(0).integers(0, 20, large.shape, np.uint8)
    half = cv2.resize(large, (100, 80), interpolation=cv2.INTER_AREA)
    alone = cv2.resize(stylizer.stylize(half, style.stats, 0.02), (200, 160), interpolation=cv2.INTER_CUBIC)
    painted = paint(stylizer, large, style, strength=0.02, stroke_size=2)
    lost = large.astype(int) - cv2.resize(half, (200, 160), interpolation=cv2.INTER_CUBIC)
    added = painted.astype(int) - alone
    assert np.corrcoef(lost.ravel(), added.ravel())[0, 1] > 0.95
    assert np.polyfit(lost.ravel(), added.ravel(), 1)[0] == pytest.approx(1 - 0.02, abs=0.05)


@pytest.mark.parametrize("size", [(1, 1), (20, 33), (65, 3), (64, 64)])
def test_a_frame_of_any_size_comes_back_at_its_size(stylizer: Stylizer, style: Style, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert paint(stylizer, image, style).shape == image.shape


def test_sharpness_makes_edges_steeper_and_leaves_even_parts(
    stylizer: Stylizer, style: Style, frame: np.ndarray
) -> None:
    soft, half, full = (paint(stylizer, frame, style, sharpness=s).astype(int) for s in (0.0, 0.5, 1.0))
    steep = [np.abs(np.diff(image, axis=1)).mean() for image in (soft, half, full)]
    assert steep[0] < steep[1] < steep[2]
    assert abs(soft.mean() - full.mean()) < 3


def test_mirroring_paints_the_mirrored_frame_and_mask(
    stylizer: Stylizer, style: Style, frame: np.ndarray, left: np.ndarray
) -> None:
    mirrored = paint(stylizer, frame, style, mirror=True, mask=Still(left))
    flipped = paint(stylizer, frame[:, ::-1].copy(), style, mask=Still(left[:, ::-1].copy()))
    assert np.array_equal(mirrored, flipped)


def test_side_by_side_has_the_frame_on_the_left(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    both = paint(stylizer, frame, style, side_by_side=True, mirror=True)
    assert np.array_equal(both[:, :203], frame[:, ::-1])
    assert np.array_equal(both[:, 203:], paint(stylizer, frame, style, mirror=True))


def test_the_colours_of_the_content_are_kept(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    kept = paint(stylizer, frame, style, color=ColorMode.CONTENT)
    assert np.array_equal(kept, keep_colors(frame, paint(stylizer, frame, style)))


def test_a_plain_look_leaves_the_frame(stylizer: Stylizer, style: Style, frame: np.ndarray) -> None:
    assert np.array_equal(paint(stylizer, frame, style, plain=True), frame)


def test_without_a_background_the_frame_stays_outside_the_mask(
    stylizer: Stylizer, style: Style, frame: np.ndarray, left: np.ndarray
) -> None:
    left[:, 100] = 128
    painted, alone = paint(stylizer, frame, style, mask=Still(left)), paint(stylizer, frame, style)
    assert np.array_equal(painted[:, :100], alone[:, :100])
    assert np.array_equal(painted[:, 101:], frame[:, 101:])
    middle = (alone[:, 100].astype(int) * 128 + frame[:, 100].astype(int) * 127) / 255
    assert abs(painted[:, 100] - middle).max() <= 1


def test_each_side_of_a_mask_is_in_its_own_style_with_broad_strokes(
    stylizer: Stylizer, library: StyleLibrary, other: Style, frame: np.ndarray, left: np.ndarray
) -> None:
    style = library["scream"]
    painted = paint(stylizer, frame, style, mask=Still(left), background=other, stroke_size=1.5).astype(int)
    near, far = (np.abs(painted - paint(stylizer, frame, s, stroke_size=1.5)).mean(axis=2) for s in (style, other))
    assert np.all([(near < far)[left == 255].mean() > 0.9, (near > far)[left == 0].mean() > 0.9])


@pytest.mark.parametrize(
    "bad", [np.zeros((121, 200), np.uint8), np.zeros((121, 203), np.float32), np.zeros((121, 203, 3), np.uint8)]
)
def test_a_mask_that_does_not_fit_the_frame_is_refused(
    stylizer: Stylizer, style: Style, frame: np.ndarray, bad: np.ndarray
) -> None:
    with pytest.raises(InputError, match=r"the mask of a frame of 203x121 is a uint8 array \[121, 203\]"):
        paint(stylizer, frame, style, mask=Still(bad))


def test_a_model_without_the_network_for_two_styles_paints_one_and_says_so(
    tmp_path: Path, style: Style, other: Style, frame: np.ndarray, left: np.ndarray
) -> None:
    folder = Path(shutil.copytree(find_model(), tmp_path / "model"))
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"][REGIONS]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    stylizer = Stylizer(folder, "cpu")
    assert paint(stylizer, frame, style, mask=Still(left)).shape == frame.shape
    with pytest.raises(ModelError, match=f"cannot paint in two styles at once, for it has no {REGIONS}"):
        paint(stylizer, frame, style, mask=Still(left), background=other)


def test_a_repeated_frame_is_painted_once(stylizer: Stylizer, style: Style, noisy: list[np.ndarray]) -> None:
    renderer, look = Renderer(stylizer), Look(style)
    renderer.render(noisy[0], look)
    assert renderer.render(noisy[1], look) is renderer.render(noisy[1].copy(), look)


def test_a_buffer_that_is_read_into_again_is_another_frame(
    stylizer: Stylizer, style: Style, noisy: list[np.ndarray]
) -> None:
    renderer, look, buffer = Renderer(stylizer), Look(style, stabilise=False), noisy[0].copy()
    renderer.render(buffer, look)
    buffer[:] = 255 - noisy[0]
    assert np.array_equal(renderer.render(buffer, look), paint(stylizer, 255 - noisy[0], style))


# -- what is carried from frame to frame -------------------------------------------------------------------------------


def test_a_sequence_is_held_still(stylizer: Stylizer, style: Style, noisy: list[np.ndarray]) -> None:
    held, alone = (render(stylizer, noisy, Look(style, stabilise=on)) for on in (True, False))
    assert abs(held[-1] - held[-2]).mean() < abs(alone[-1] - alone[-2]).mean() / 2


def test_without_the_stabiliser_frames_know_nothing_of_each_other(
    stylizer: Stylizer, style: Style, noisy: list[np.ndarray]
) -> None:
    painted = render(stylizer, noisy[:3], Look(style, stabilise=False))
    for frame, image in zip(noisy, painted, strict=False):
        assert np.array_equal(image, paint(stylizer, frame, style))


@pytest.mark.parametrize("crossfade", [0, 4])
def test_after_a_change_of_style_frames_are_painted_as_if_it_had_always_been_this(
    stylizer: Stylizer, style: Style, other: Style, noisy: list[np.ndarray], crossfade: float
) -> None:
    """Running statistics of another style would be off by up to 30 grey levels, see docs/rendering.md."""
    changing = Timeline("both", (Cue(0, style), Cue(6, other, crossfade)))
    painted = render(stylizer, noisy, Look(changing))
    for number in (6, 7, 9):
        now = changing.stats_at(number)
        always = render(stylizer, noisy[: number + 1], Look(now))[number]
        assert abs(painted[number] - always).mean() < 3


def test_a_change_of_style_keeps_the_noise_out(
    stylizer: Stylizer, style: Style, other: Style, noisy: list[np.ndarray]
) -> None:
    painted = render(stylizer, noisy, Look(Timeline("both", (Cue(0, style), Cue(8, other)))))
    alone = [paint(stylizer, frame, other).astype(int) for frame in noisy[8:]]
    assert abs(painted[9] - painted[8]).mean() < abs(alone[1] - alone[0]).mean() / 2


def test_a_mirrored_frame_is_another_sequence(stylizer: Stylizer, style: Style, noisy: list[np.ndarray]) -> None:
    renderer = Renderer(stylizer)
    renderer.render(noisy[0], Look(style))
    assert np.array_equal(
        renderer.render(noisy[1], Look(style, mirror=True)), paint(stylizer, noisy[1], style, mirror=True)
    )


@pytest.mark.parametrize("cut", [5, 6])
def test_a_restored_renderer_goes_on_to_the_same_bytes(
    stylizer: Stylizer, style: Style, other: Style, noisy: list[np.ndarray], cut: int
) -> None:
    """Also where the style changes with the first frame after the snapshot, or with the last one before it."""
    look = Look(Timeline("both", (Cue(0, style), Cue(6, other))))
    whole, first, second = (Renderer(stylizer) for _ in range(3))
    expected = []
    for n, image in enumerate(noisy):
        expected.append(whole.render(image, look, time=n))
        if n == cut:
            whole.snapshot()
    for n, image in enumerate(noisy[: cut + 1]):
        first.render(image, look, time=n)
    second.restore(first.snapshot())
    rest = [second.render(image, look, time=n) for n, image in enumerate(noisy) if n > cut]
    assert np.array_equal(np.stack(rest), np.stack(expected[cut + 1 :]))


# -- looks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"strength": -0.1}, "strength is between 0 and 1"),
        ({"strength": float("nan")}, "strength is between 0 and 1"),
        ({"stroke_size": 0.9}, "the stroke size is between 1 and 16"),
        ({"stroke_size": 17}, "the stroke size is between 1 and 16"),
        ({"stroke_size": float("nan")}, "the stroke size is between 1 and 16"),
        ({"sharpness": 1.1}, "sharpness is between 0 and 1"),
        ({"color": "grey"}, "color is one of style, content, match"),
        ({"background": StyleStats(np.ones(3))}, "needs a mask"),
        ({"background": "ink-sea"}, r"'ink-sea' is no style: take StyleLibrary"),
    ],
)
def test_a_look_that_cannot_be_is_refused(style: Style, choices: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Look(style, **choices)


def test_a_colour_mode_may_be_its_text(style: Style) -> None:
    assert Look(style, color="content").color is ColorMode.CONTENT  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "before", "step", "after"),
    [
        ("strength", 0.5, 1, 0.6),
        ("strength", 1.0, 1, 1.0),
        ("strength", 0.0, -1, 0.0),
        ("strength", 0.25, -1, 0.2),
        ("stroke_size", 1.0, 1, 1.5),
        ("stroke_size", 16.0, -1, 4.0),
        ("sharpness", 0.0, 1, 0.25),
        ("mirror", False, 1, True),
        ("stabilise", True, 1, False),
        ("color", ColorMode.STYLE, 1, ColorMode.CONTENT),
        ("color", ColorMode.MATCH, 1, ColorMode.STYLE),
    ],
)
def test_a_choice_goes_through_its_steps(style: Style, name: str, before: Any, step: int, after: Any) -> None:
    look = Look(style, **{name: before}).stepped(name, step)
    assert getattr(look, name) == after


def test_a_stronger_look_shows_the_painting(style: Style) -> None:
    assert not Look(style, plain=True).stepped("strength", -1).plain
    assert Look(style, plain=True).stepped("mirror", 1).plain


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"mirror": True, "stroke_size": 1.5},
        {"color": ColorMode.CONTENT, "sharpness": 0.5, "strength": 0.7},
        {"mask": True},
        {"mask": True, "background": "ink-sea"},
        {"plain": True},
        {"timeline": True},
        {"stabilise": False},
    ],
    ids=lambda change: " ".join(change) or "as it is",
)
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_a_batch_is_painted_as_frame_by_frame(
    exact_stylizer: Stylizer,
    library: StyleLibrary,
    demo_frames: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    deep: bool,
) -> None:
    monkeypatch.setattr(exact_stylizer._network, "batch", 3)
    monkeypatch.setattr(exact_stylizer._network_of_regions(), "batch", 3)
    small = [cv2.resize(image, (96, 54), interpolation=cv2.INTER_AREA) for image in demo_frames[:6]]
    # One comes again, and a scene of another size follows.
    images = [*small[:3], small[2].copy(), *small[3:], np.ascontiguousarray(small[0][:, :80])]
    frames = [
        Frame(image.astype(np.uint16) * 257 if deep else image, Fraction(n, 25)) for n, image in enumerate(images)
    ]
    first = library["scream"]
    style: Style | Timeline = first
    change = dict(change)
    if change.pop("timeline", False):
        style = Timeline("both", (Cue(0, first), Cue(0.12, library["ink-sea"])))
    if "background" in change:
        change["background"] = library[change["background"]]
    if change.pop("mask", False):
        change["mask"] = Corner()
    look = Look(style, **change)
    each, together = Renderer(exact_stylizer), Renderer(exact_stylizer)
    expected = [each.render(frame, look) for frame in frames]
    # Parts as a video job gives them.
    painted = [image for part in (frames[:3], frames[3:6], frames[6:]) for image in together.render_batch(part, look)]
    most = 257 * 2 if deep else 2
    assert [image.shape for image in painted] == [image.shape for image in expected]
    assert max(int(abs(a.astype(int) - b).max()) for a, b in zip(painted, expected, strict=True)) <= most


class Corner:
    """A mask of any size."""

    def at(self, _time: Fraction | float, width: int, height: int) -> np.ndarray:
        mask = np.zeros((height, width), np.uint8)
        mask[: height // 2, : width // 2] = 255
        return mask
