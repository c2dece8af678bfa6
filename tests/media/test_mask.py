"""`Mask` over time: what the jobs that use it do not test."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from livestyle.media.mask import Mask, reopened
from tests.ffmpeg import Make


@pytest.fixture
def mask(make: Make) -> Iterator[Mask]:
    """A video of 0.8 s, 5 frames a second: white on the left for half of it, then on the right."""
    sides = [
        ("-f", "lavfi", "-i", f"color=white:size=48x24:rate=5:duration=0.4,pad=96:24:{x}:0:black") for x in (0, 48)
    ]
    join = ("-filter_complex", "[0][1]concat", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p")
    with Mask(make("mask.mp4", *sides[0], *sides[1], *join)) as mask:
        yield mask


def is_left(mask: np.ndarray) -> bool:
    return bool(mask[:, :8].mean() > 250 and mask[:, -8:].mean() < 5)


def test_time_0_is_where_the_mask_starts(mask: Mask) -> None:
    with Mask(mask.path, Fraction(3, 10)) as cut:
        assert [is_left(cut.at(Fraction(n, 10), 32, 16)) for n in range(3)] == [True, False, False]


def test_the_mask_is_the_same_array_until_it_changes(mask: Mask) -> None:
    first = mask.at(0, 32, 16)
    assert mask.at(Fraction(1, 10), 32, 16) is first
    assert mask.at(Fraction(3, 10), 32, 16) is not first
    last = mask.at(5, 32, 16)
    assert mask.at(60, 32, 16) is last


def test_a_mask_that_is_reopened_begins_again_and_leaves_the_other_alone(mask: Mask) -> None:
    assert not is_left(mask.at(5, 32, 16))
    with reopened(mask) as own:
        assert is_left(own.at(0, 32, 16))
    assert not is_left(mask.at(6, 32, 16))


def test_a_mask_that_is_reopened_starts_where_it_did_and_where_its_job_does(mask: Mask) -> None:
    with (
        Mask(str(mask.path), Fraction(2, 10)) as later,
        reopened(later) as own,
        reopened(later, Fraction(2, 10)) as cut,
    ):
        assert [is_left(own.at(Fraction(n, 10), 32, 16)) for n in range(3)] == [True, True, False]
        assert not is_left(cut.at(0, 32, 16))


def test_no_mask_stays_none() -> None:
    with reopened(None) as own:
        assert own is None
