"""Guided upsampling: edges lie where the frame has them, strokes stay, and the frame's texture stays out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from livestyle import Look, Renderer, StyleLibrary, Stylizer
from livestyle.media.resize import resize
from livestyle.render.upsampling import guided_upsample

HEIGHT, WIDTH = 180, 320
SCALES = (0.2, 0.33, 0.5)


@pytest.fixture
def edge() -> np.ndarray:
    """A slanted edge between dark and light, anti-aliased: uint8 [180, 320, 3]."""
    wide = np.full((4 * HEIGHT, 4 * WIDTH, 3), (60, 70, 80), np.uint8)
    corners = np.array([[[4 * 120, 0], [4 * WIDTH, 0], [4 * WIDTH, 4 * HEIGHT], [4 * 190, 4 * HEIGHT]]])
    cv2.fillPoly(wide, list(corners), (190, 180, 170))
    return resize(wide, WIDTH, HEIGHT)


def reduced(frame: np.ndarray, scale: float) -> np.ndarray:
    return resize(frame, round(WIDTH * scale), round(HEIGHT * scale))


def recolored(frame: np.ndarray) -> np.ndarray:
    """A painter without strokes, which turns dark into light, and blue more than red."""
    return np.stack([cv2.LUT(frame[..., c], np.linspace(230, 20 + 40 * c, 256).astype(np.uint8)) for c in range(3)], -1)


def position_error(image: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square, in pixels, of where the edge's ends (a tenth and nine tenths of it) are in each row."""

    def ends(image: np.ndarray) -> np.ndarray:
        rows = image[8:-8].astype(float).mean(axis=2)
        low, high = expected.mean(axis=2).min(), expected.mean(axis=2).max()
        shares = (rows - low) / (high - low)
        return np.array([[np.interp(share, row[::-1], np.arange(WIDTH)[::-1]) for share in (0.1, 0.9)]
                         for row in np.minimum.accumulate(shares, axis=1)])  # fmt: skip

    return float(np.sqrt(((ends(image) - ends(expected)) ** 2).mean()))


@pytest.mark.parametrize("scale", SCALES)
def test_an_edge_is_nearer_to_where_the_frame_has_it_than_with_bicubic(edge: np.ndarray, scale: float) -> None:
    small, expected = reduced(edge, scale), recolored(edge)
    painted = recolored(small)
    bicubic = position_error(resize(painted, WIDTH, HEIGHT), expected)
    assert position_error(guided_upsample(painted, small, edge), expected) < bicubic / 2


@pytest.mark.parametrize("scale", SCALES)
def test_a_painting_without_the_edge_gets_none(edge: np.ndarray, scale: float) -> None:
    small = reduced(edge, scale)
    even = np.full_like(small, 120)
    assert np.array_equal(guided_upsample(even, small, edge), np.full_like(edge, 120))


@pytest.mark.parametrize("scale", SCALES)
def test_strokes_that_the_frame_does_not_have_stay_as_they_are(scale: float) -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    small = reduced(frame, scale)
    painted = np.random.default_rng(0).integers(0, 256, small.shape, np.uint8)
    assert np.array_equal(guided_upsample(painted, small, frame), resize(painted, WIDTH, HEIGHT))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", ["noise", "weave"])
def test_fine_texture_of_the_frame_stays_out(scale: float, kind: str) -> None:
    """Broad strokes are there to paint it away: at most a tenth of what reducing has cost comes back."""
    texture = np.random.default_rng(0).normal(0, 12, (HEIGHT, WIDTH, 1))
    if kind == "weave":
        texture = 15.0 * (-1) ** np.indices((HEIGHT, WIDTH)).sum(axis=0)[..., None]
    frame = np.clip(np.full((HEIGHT, WIDTH, 3), 128) + texture, 0, 255).astype(np.uint8)
    small = reduced(frame, scale)
    bicubic = resize(small, WIDTH, HEIGHT).astype(int)
    added = guided_upsample(small, small, frame) - bicubic
    assert np.sqrt((added**2).mean()) < 0.1 * np.sqrt(((frame - bicubic) ** 2).mean())


def test_the_amount_scales_what_the_guide_adds(edge: np.ndarray) -> None:
    small = reduced(edge, 0.33)
    bicubic = resize(small, WIDTH, HEIGHT).astype(int)
    none, half, whole = (guided_upsample(small, small, edge, amount) - bicubic for amount in (0.0, 0.5, 1.0))
    assert not none.any()
    assert abs(whole).max() > 20
    assert abs(2 * half - whole).max() <= 2


def test_broad_strokes_and_smaller_paintings_keep_the_edges_of_the_frame(
    identity: Stylizer, identity_library: StyleLibrary, edge: np.ndarray
) -> None:
    """Through the renderer, with a network that leaves frames nearly as they are."""
    style = identity_library.first()
    whole = Renderer(identity).render(edge, Look(style))
    strokes = Renderer(identity).render(edge, Look(style, stroke_size=2.5))
    small = Renderer(identity).render(edge, Look(style), scale=0.4)
    bicubic = resize(identity.stylize(reduced(edge, 0.4), style.stats_at(0)), WIDTH, HEIGHT)
    assert np.array_equal(strokes, small)
    assert abs(small.astype(int) - whole).mean() < abs(bicubic.astype(int) - whole).mean() * 2 / 3
