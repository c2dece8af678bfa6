from __future__ import annotations

import numpy as np
import pytest

from livestyle import StyleStats
from livestyle.styles.library import Style
from livestyle.styles.mixer import Mixer

A, B, C = (Style(name, StyleStats(np.eye(3, dtype=np.float32)[n])) for n, name in enumerate(("a", "b", "c")))


def shares(mixer: Mixer) -> list[float]:
    """Of a, b and c in what is on."""
    return [round(float(value), 4) for value in mixer.stats.values]


def test_a_choice_is_that_style_alone() -> None:
    mixer = Mixer(A)
    mixer.choose(B)
    assert mixer.stats is B.stats
    assert mixer.label == "b"


def test_a_style_is_mixed_with_what_is_held() -> None:
    mixer = Mixer(A)
    mixer.hold()
    assert mixer.stats is A.stats
    mixer.choose(B)
    assert shares(mixer) == [0.5, 0.5, 0]
    assert mixer.label == "50% a + 50% b"


@pytest.mark.parametrize(("steps", "share"), [([0.1], 0.6), ([-0.1, -0.1], 0.3), ([0.1] * 9, 1.0), ([-0.1] * 9, 0.0)])
def test_the_mix_moves_within_its_ends(steps: list[float], share: float) -> None:
    mixer = Mixer(A)
    mixer.hold()
    mixer.choose(B)
    for step in steps:
        mixer.move(step)
    assert shares(mixer)[1] == pytest.approx(share)


def test_a_mix_can_be_held_and_mixed_again() -> None:
    mixer = Mixer(A)
    for style in (B, C):
        mixer.hold()
        mixer.choose(style)
    assert shares(mixer) == [0.25, 0.25, 0.5]


def test_another_choice_takes_the_place_of_the_one_before_in_the_mix() -> None:
    mixer = Mixer(A)
    mixer.hold()
    mixer.choose(B)
    mixer.move(0.2)
    mixer.choose(C)
    assert shares(mixer) == [0.3, 0, 0.7]


def test_holding_twice_lets_go() -> None:
    mixer = Mixer(A)
    mixer.hold()
    mixer.choose(B)
    mixer.hold()
    mixer.hold()
    assert mixer.stats is B.stats


@pytest.mark.parametrize(
    ("changes", "expected"), [({A: C}, [0, 0.7, 0.3]), ({B: C}, [0.3, 0, 0.7]), ({C: A}, [0.3, 0.7, 0])]
)
def test_the_same_styles_with_other_statistics_keep_their_shares(
    changes: dict[Style, Style], expected: list[float]
) -> None:
    mixer = Mixer(A)
    mixer.hold()
    mixer.choose(B)
    mixer.move(0.2)
    mixer.replace(changes)
    assert shares(mixer) == expected
    assert mixer.current is changes.get(B, B)
