"""Plan of a bench run: what is measured, of which models, at which sizes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from livestyle.engine.model import DEFAULT_MODEL
from livestyle.errors import InputError
from livestyle.limits import LIMITS, check

WARM_UP = 20
"""Frames before the first one that counts."""
LEAST_RUNS = 20
"""Frames of each candidate that count, at least."""
NOISE = 2.0
"""Standard deviation of the noise on the engine's frames, in grey levels."""
SECONDS = 3.0
"""Time limit of a candidate after its warm-up, once it has `LEAST_RUNS`."""
SIZES = ((320, 180), (640, 360), (1280, 720))


class Scope(StrEnum):
    """How much of the program a measurement takes in."""

    ENGINE = "engine"
    """Bytes of a frame in, bytes of its painting out."""
    VIDEO = "video"
    """A video file painted into another one: decode, render, encode."""
    LIVE = "live"
    """The live loop: a file in place of the camera, as fast as it goes, without a window."""


@dataclass(frozen=True)
class Plan:
    """What a bench run measures: every scope at every size, of every model on every device.

    Attributes:
        scopes: how much of the program.
        sizes: width and height of the frames in pixels.
        models: names of models that ship, or model folders.
        devices: as `Stylizer` takes them.
        threads: of the CPU; None is every core that this process may use.
        peers: foreign ONNX stylizers, see `livestyle.bench.peer.Peer`; measured on the CPU, in the scope ``engine``.
        seconds: time limit of a candidate after its warm-up; it has `LEAST_RUNS` all the same.

    Raises:
        InputError: there is nothing to measure, or a number is out of range.
    """

    scopes: tuple[Scope, ...] = tuple(Scope)
    sizes: tuple[tuple[int, int], ...] = SIZES
    models: tuple[str, ...] = (DEFAULT_MODEL,)
    devices: tuple[str, ...] = ("auto",)
    threads: int | None = None
    peers: tuple[str, ...] = ()
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        if self.threads is not None:
            check("threads", self.threads, f"the number of threads is between 1 and {LIMITS['threads'].high}")
        check("seconds", self.seconds, "the seconds of a candidate are above 0 and up to 3600")
        if self.peers and Scope.ENGINE not in self.scopes:
            raise InputError("peers are measured as engines only: measure the engine too, or leave the peers out")
