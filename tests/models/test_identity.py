"""The model of the tests keeps the contract of `livestyle.engine.model`, and its paintings tell how they were made."""

from __future__ import annotations

import numpy as np
import pytest

from livestyle import Style, StyleLibrary, Stylizer
from livestyle.engine.stabilizer import Stabilizer
from tests.program import IDENTITY


@pytest.fixture
def moss(identity_library: StyleLibrary) -> Style:
    return identity_library["moss"]


def moments(image: np.ndarray) -> np.ndarray:
    """What the model takes of a style's image: float [6]."""
    return np.concatenate([image.mean(axis=(0, 1)), image.std(axis=(0, 1))]) / 255


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_painting_has_the_moments_of_its_style_by_strength(
    identity: Stylizer, frame: np.ndarray, dusk: Style, share: float
) -> None:
    expected = moments(frame) + share * (dusk.stats.values - moments(frame))
    assert moments(identity.stylize(frame, dusk.stats, share)) == pytest.approx(expected, abs=0.02)


def test_an_image_is_encoded_to_its_moments(identity: Stylizer, frame: np.ndarray) -> None:
    image = np.tile(frame[:64, :64], (8, 8, 1))
    assert identity.encode_style(image).values == pytest.approx(moments(image), abs=1e-5)


def test_running_statistics_go_from_frame_to_frame(identity: Stylizer, frame: np.ndarray, dusk: Style) -> None:
    state, darker = Stabilizer(momentum=0.75), frame - frame // 8
    identity.stylize(frame, dusk.stats, state=state)
    assert state.values == pytest.approx(moments(frame), abs=1e-5)

    held = identity.stylize(darker, dusk.stats, state=state)

    # The recursive mean of the frames makes the second one a little lighter.
    assert state.values == pytest.approx(0.75 * moments(frame) + 0.25 * moments(darker), abs=0.01)
    assert held.mean() < identity.stylize(darker, dusk.stats).mean() - 1


def test_two_styles_meet_at_a_mask(identity: Stylizer, frame: np.ndarray, dusk: Style, moss: Style) -> None:
    mask = np.zeros(frame.shape[:2], np.uint8)
    mask[:, 100:] = 255
    both = identity.stylize(frame, dusk.stats, mask=mask, background=moss.stats)
    assert (both[:, 100:] == identity.stylize(frame, dusk.stats)[:, 100:]).all()
    assert (both[:, :100] == identity.stylize(frame, moss.stats)[:, :100]).all()


def test_frames_are_painted_alike_alone_in_a_batch_and_on_any_number_of_threads(
    identity: Stylizer, demo_frames: list[np.ndarray], dusk: Style
) -> None:
    batch = np.stack(demo_frames[:3])
    painted = Stylizer(IDENTITY, "cpu", threads=1).stylize(batch, dusk.stats)
    assert all((one == identity.stylize(image, dusk.stats)).all() for one, image in zip(painted, batch, strict=True))
