"""The controller that holds a frame rate, fed with the times of a machine whose cost grows with the pixels."""

from __future__ import annotations

from itertools import pairwise

import pytest

from livestyle.live.adaptive_resolution import CALM_SECONDS, LEAST_SIDE, AdaptiveResolution

RATE = 25.0


def run(resolution: AdaptiveResolution, full_cost: float, seconds: float, start: float = 0.0) -> list[float]:
    """The scales at which frames are rendered for a while; a frame at full scale takes ``full_cost`` seconds."""
    scales, now = [], start
    while now < start + seconds:
        scales.append(resolution.scale)
        cost = full_cost * resolution.scale**2
        now += max(cost, 1 / RATE)
        resolution.update(cost, now)
    return scales


@pytest.mark.parametrize("full_cost", [0.05, 0.1, 0.2, 0.4])
def test_a_rate_is_held_at_the_largest_scale_that_has_room(full_cost: float) -> None:
    resolution = AdaptiveResolution(RATE)
    run(resolution, full_cost, 5)
    assert full_cost * resolution.scale**2 <= 1 / RATE
    assert full_cost * (resolution.scale * 1.4) ** 2 > 0.6 / RATE


def test_a_frame_that_takes_far_too_long_is_not_waited_for_again_and_again() -> None:
    resolution = AdaptiveResolution(RATE)
    scales = run(resolution, 3.0, 8)
    assert scales.count(1.0) == 2


def test_it_begins_where_an_estimate_fits() -> None:
    resolution = AdaptiveResolution(RATE)
    resolution.start(0.1)
    assert set(run(resolution, 0.1, 3)) == {0.5}


def test_enough_time_changes_nothing() -> None:
    assert set(run(AdaptiveResolution(RATE), 0.02, 30)) == {1.0}


def test_the_scale_goes_up_again_when_the_machine_is_free() -> None:
    resolution = AdaptiveResolution(RATE)
    run(resolution, 0.2, 5)
    assert set(run(resolution, 0.01, CALM_SECONDS / 2, 5)) == {resolution.scale}
    run(resolution, 0.01, 60, 10)
    assert resolution.scale == 1.0


def test_a_machine_at_the_edge_does_not_make_the_picture_pump() -> None:
    resolution = AdaptiveResolution(RATE)
    run(resolution, 0.1, 10)
    for cost in (0.09, 0.1, 0.11):
        assert len(set(run(resolution, cost, 60, 10))) <= 2
    changes = run(resolution, 0.1, 300, 1000)
    assert sum(a != b for a, b in pairwise(changes)) <= 4


def test_single_slow_frames_change_nothing() -> None:
    resolution, now = AdaptiveResolution(RATE), 0.0
    for number in range(200):
        now += 0.04
        resolution.update(0.3 if number % 9 == 0 else 0.03, now)
    assert resolution.scale == 1.0


def test_rate_0_paints_at_full_scale_always() -> None:
    assert set(run(AdaptiveResolution(0), 5.0, 100)) == {1.0}


def test_the_short_side_keeps_enough_pixels_to_see_something() -> None:
    resolution = AdaptiveResolution(RATE)
    resolution.start(10.0)
    assert resolution.scale == 0.25
    assert resolution.scale_of(1920, 1080) == 0.25
    assert resolution.scale_of(640, 360) == LEAST_SIDE / 360
    assert resolution.scale_of(96, 72) == 1.0
