"""Options of a training run, and the one place where they are checked."""

from __future__ import annotations

from ast import literal_eval
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from livestyle.errors import LivestyleError

from .losses import LossWeights
from .networks import check_architecture, stylizer_multiple
from .processes import check_processes
from .schedule import parse_stages

OPTIMIZERS = ("muon", "adamw")
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
"""Lightning's names of the values of ``--precision``."""
FREE_OPTIONS = {
    "checkpoint",
    "vgg_weights",
    "features",
    "save_iter",
    "resume",
    "device",
    "devices",
    "num_nodes",
    "workers",
}
"""Options that a resumed run may change and still be the same run."""


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that defines a training run; ``python -m train fit --help`` describes each option.

    Checkpoints hold the options under these names (`as_text`), so renaming one breaks the comparison on ``--resume``.
    """

    arch: str
    content_path: list[Path]
    style_path: list[Path]
    checkpoint: Path
    vgg_weights: Path | None = None
    batch_size: int = 8
    weights: LossWeights = field(default_factory=LossWeights)
    optimizer: str = "muon"
    learning_rate: float = 1.5e-3
    lr_decay: float | None = None
    max_iter: int = 16000
    save_iter: int = 500
    crop: int = 128
    style_crop: int = 160
    pictures: int = 0
    cache: int = 0
    features: Path | None = None
    partial_strength: float = 0.15
    stages: str = "frame:0.5,encoder:0.25,joint:0.25"
    start_from: Path | None = None
    encoder_from: Path | None = None
    teacher: Path | None = None
    resume: bool = False
    device: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    precision: str = "32"
    seed: int = 1
    workers: int = 2

    def validate(self) -> None:
        """Refuse, before anything is computed, what would fail hours later.

        Raises:
            LivestyleError: an option has an unknown value, options contradict each other, or the machine lacks the
                device.
        """
        check_architecture(self.arch)
        if self.optimizer not in OPTIMIZERS:
            raise LivestyleError(f"--optimizer is one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.precision not in PRECISIONS:
            raise LivestyleError(f"--precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        multiple = stylizer_multiple(self.arch)
        if self.crop % multiple:
            raise LivestyleError(
                f"--crop {self.crop} is not a multiple of {multiple}: use {self.crop // multiple * multiple}"
            )
        if self.batch_size < 2 and self.arch != "classic":
            raise LivestyleError(
                "--batch-size 1 is too small: the style encoder is normalised over batches of 2 or more"
            )
        stages = parse_stages(self.stages, self.max_iter, self.arch)
        if self.teacher is None and any(stage.name == "distill" for stage in stages):
            raise LivestyleError("a stage distill needs a model to learn from: give --teacher one")
        check_processes(self.devices, self.num_nodes, self.batch_size, choose_device(self.device))

    def as_text(self) -> dict[str, str]:
        """Every option as text, as checkpoints hold them."""
        return {name: str(value) for name, value in asdict(self).items()}

    def changed_since(self, saved: dict[str, str]) -> list[str]:
        """Names of the options that differ from those of a checkpoint and make this another run than that one."""
        # Checkpoints from before --optimizer existed were trained with AdamW.
        before = {"optimizer": "adamw", **saved}
        # Nor do they name the weights of losses that came later.
        before["weights"] = str(asdict(LossWeights()) | literal_eval(before.get("weights", "{}")))
        changed = {name for name, text in self.as_text().items() if before.get(name, text) != text}
        return sorted(changed - FREE_OPTIONS)


def choose_device(name: str) -> torch.device:
    """The device of a name: ``auto`` is CUDA where PyTorch can use it and the CPU elsewhere.

    Raises:
        LivestyleError: the name is unknown, or ``cuda`` was asked for and is not usable.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in {"cpu", "cuda"}:
        raise LivestyleError(f"there is no device {name!r}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise LivestyleError("CUDA does not start here: install PyTorch with CUDA and a driver, or use --device cpu")
    return torch.device(name)
