"""The controller that holds a frame rate, fed with the times of a machine whose cost follows the pixels."""

from __future__ import annotations

from itertools import pairwise

import pytest

from livestyle.live.adaptive_resolution import CALM_SECONDS, Pace

RATE = 25.0


def run(pace: Pace, full_cost: float, seconds: float, start: float = 0.0) -> list[float]:
    """The scales at which frames are painted for a while; a frame at full scale takes ``full_cost`` seconds."""
    scales, now = [], start
    while now < start + seconds:
        scales.append(pace.scale)
        cost = full_cost * pace.scale**2
        now += max(cost, 1 / RATE)
        pace.tell(cost, now)
    return scales


@pytest.mark.parametrize("full_cost", [0.05, 0.1, 0.2, 0.4])
def test_a_rate_is_held_at_the_largest_scale_that_has_room(full_cost: float) -> None:
    pace = Pace(RATE)
    run(pace, full_cost, 5)
    assert full_cost * pace.scale**2 <= 1 / RATE
    assert full_cost * (pace.scale * 1.4) ** 2 > 0.6 / RATE


def test_a_frame_that_takes_far_too_long_is_not_waited_for_again_and_again() -> None:
    pace = Pace(RATE)
    scales = run(pace, 3.0, 8)
    assert scales.count(1.0) == 2


def test_it_begins_where_an_estimate_fits() -> None:
    pace = Pace(RATE)
    pace.begin(0.1)
    assert set(run(pace, 0.1, 3)) == {0.5}


def test_enough_time_changes_nothing() -> None:
    assert set(run(Pace(RATE), 0.02, 30)) == {1.0}


def test_the_scale_goes_up_again_when_the_machine_is_free() -> None:
    pace = Pace(RATE)
    run(pace, 0.2, 5)
    assert set(run(pace, 0.01, CALM_SECONDS / 2, 5)) == {pace.scale}
    run(pace, 0.01, 60, 10)
    assert pace.scale == 1.0


def test_a_machine_at_the_edge_does_not_make_the_picture_pump() -> None:
    pace = Pace(RATE)
    run(pace, 0.1, 10)
    for cost in (0.09, 0.1, 0.11):
        assert len(set(run(pace, cost, 60, 10))) <= 2
    changes = run(pace, 0.1, 300, 1000)
    assert sum(a != b for a, b in pairwise(changes)) <= 4


def test_single_slow_frames_change_nothing() -> None:
    pace, now = Pace(RATE), 0.0
    for number in range(200):
        now += 0.04
        pace.tell(0.3 if number % 9 == 0 else 0.03, now)
    assert pace.scale == 1.0


def test_rate_0_paints_at_full_scale_always() -> None:
    assert set(run(Pace(0), 5.0, 100)) == {1.0}
