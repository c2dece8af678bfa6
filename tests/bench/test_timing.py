"""The order in which candidates are timed, and when a warm-up ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from livestyle.bench.plan import LEAST_RUNS, WARM_UP
from livestyle.bench.timing import WarmUp, percentiles, time_in_rounds


class Recorded:
    """A candidate that writes down when it was called."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self._name, self._calls = name, calls

    def warm_up(self) -> None:
        self._calls.append(f"warm {self._name}")

    def run(self) -> None:
        self._calls.append(self._name)


def frames_until_the_end(stylizer: Any) -> int:
    warm_up = WarmUp(stylizer)
    return next(number for number in range(1, 10**6) if warm_up.ends())


def test_candidates_run_in_turn_after_all_are_warm() -> None:
    calls: list[str] = []
    times = time_in_rounds([Recorded("a", calls), Recorded("b", calls)], 1e-9)
    assert calls == ["warm a", "warm b", *["a", "b"] * LEAST_RUNS]
    assert [len(taken) for taken in times] == [LEAST_RUNS, LEAST_RUNS]


def test_rounds_go_on_until_the_time_of_one_candidate_is_over() -> None:
    times = time_in_rounds([Recorded("a", [])], 0.01)
    assert len(times[0]) > LEAST_RUNS
    assert sum(times[0]) >= 10 > sum(times[0][:-1])


def test_the_form_of_the_network_is_settled_before_the_warm_up() -> None:
    settled: list[bool] = []
    assert frames_until_the_end(SimpleNamespace(settle_form=lambda: settled.append(True))) == WARM_UP
    assert settled == [True]


def test_percentiles_are_those_of_the_times() -> None:
    assert percentiles([float(number) for number in range(101)]) == {"p10": 10, "p50": 50, "p90": 90, "p99": 99}
