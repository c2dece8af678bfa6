"""Timing: frames of several candidates in turn, and percentiles of what each took."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from .plan import LEAST_RUNS, WARM_UP

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer

PERCENTILES = (10, 50, 90, 99)


class Candidate(Protocol):
    """Something whose frames are timed in turn with those of others."""

    def warm_up(self) -> None:
        """Run until a frame takes what the next one will take."""

    def run(self) -> None:
        """One frame, from its bytes to the bytes of its painting."""


class WarmUp:
    """Rule for the end of a warm-up: `WARM_UP` frames, in the form of the network that paints a sequence at rest.

    Args:
        stylizer: that is warmed up.
    """

    def __init__(self, stylizer: Stylizer) -> None:
        # Which form is the faster one here is settled first: it is measured once on each machine.
        stylizer.settle_form()
        self._frames = 0

    def ends(self) -> bool:
        """Count a frame; whether it was the last one of the warm-up."""
        self._frames += 1
        return self._frames >= WARM_UP


def form_of(stylizer: Stylizer) -> str:
    """Form in which a stylizer's network painted its last frame: ``computed`` weights, or ``constant`` ones."""
    return stylizer.form


def time_in_rounds(candidates: Sequence[Candidate], seconds: float) -> list[list[float]]:
    """Milliseconds of every frame of each candidate, one frame of each in turn.

    In turn, so that whatever else the machine does meanwhile falls on all of them alike.

    Args:
        candidates: not warmed up yet.
        seconds: the rounds end when one candidate has taken so long, but not before there are `LEAST_RUNS`.
    """
    for candidate in candidates:
        candidate.warm_up()
    times: list[list[float]] = [[] for _ in candidates]
    totals = [0.0] * len(candidates)
    while len(times[0]) < LEAST_RUNS or max(totals) < seconds:
        for number, candidate in enumerate(candidates):
            start = perf_counter()
            candidate.run()
            taken = perf_counter() - start
            times[number].append(1000 * taken)
            totals[number] += taken
    return times


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """The `PERCENTILES` of times, by name: p10, p50 and so on."""
    import numpy as np

    values: Any = np.percentile(milliseconds, PERCENTILES)
    return {f"p{percent}": round(float(value), 3) for percent, value in zip(PERCENTILES, values, strict=True)}
