"""The schedule of a training run: its stages, and the learning rate at each iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass

from livestyle.errors import LivestyleError

STAGES = ("frame", "encoder", "joint", "frozen", "distill")
WARM_UP = 200
"""Iterations over which the learning rate rises at the start of a stage, at most a tenth of the stage."""


@dataclass(frozen=True)
class Stage:
    """A part of a run, from iteration ``start`` up to but not including ``end``.

    ``frame`` trains the frame path on the loss network's statistics of the style image, ``encoder`` distils these into
    the style encoder, ``joint`` trains both together. ``frozen`` trains the frame path on the codes of a style encoder
    that stays as it is, ``distill`` does the same with the outputs of a teacher in place of the loss network.
    """

    name: str
    start: int
    end: int


def parse_stages(text: str, max_iter: int, arch: str) -> list[Stage]:
    """Stages from ``frame:0.5,encoder:0.25,joint:0.25``: names and their shares of the run.

    ``classic`` has no style encoder to train, so its run is one ``frame`` stage whatever ``text`` says.

    Raises:
        LivestyleError: a name is unknown, or a share is not a positive number.
    """
    if arch == "classic":
        return [Stage("frame", 0, max_iter)]
    parts: list[tuple[str, float]] = []
    for item in text.split(","):
        name, _, share = item.partition(":")
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        if name not in STAGES or not 0 < value < math.inf:
            raise LivestyleError(f"cannot read the stage {item!r}: write --stages frame:0.5,encoder:0.25,joint:0.25")
        parts.append((name, value))
    total = sum(value for _, value in parts)
    stages: list[Stage] = []
    done = 0.0
    for name, value in parts:
        start = round(done / total * max_iter)
        done += value
        stages.append(Stage(name, start, round(done / total * max_iter)))
    return stages


def learning_rate_factor(iteration: int, stage: Stage, lr_decay: float | None) -> float:
    """The factor on the base learning rate at an iteration.

    With ``lr_decay`` it is ``1 / (1 + lr_decay * iteration)``, as in the AdaIN implementations. Without, each stage has
    a linear warm-up and then a cosine decay to a fiftieth.
    """
    if lr_decay is not None:
        return 1 / (1 + lr_decay * iteration)
    into, length = iteration - stage.start, stage.end - stage.start
    warm = min(1.0, (into + 1) / min(WARM_UP, max(1, length // 10)))
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * into / length)))
