"""The runs of a study: small training runs that show the effect of iterations, images, loss weights and stages."""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from livestyle.errors import LivestyleError

from .checkpoints import LAST, load_checkpoint
from .data import ImageFile, find_images, split_held_out, to_float
from .evaluate import prepare, thumbnail
from .losses import LossWeights
from .networks import ARCHITECTURES, CompactModel
from .options import FREE_OPTIONS, TrainingOptions
from .trainer import Trainer
from .vgg import LossNetwork, statistics_vector

EIGHTHS = 8
"""Points of the curve of a run, one after each eighth of its iterations."""
STYLE_WEIGHTS = (1.0, 2.5, 5.0, 10.0, 25.0)
USUAL_WEIGHT = 5.0
STAGED = "frame:4,encoder:2,joint:2"
UNJOINED = "frame:6,encoder:2"
TOGETHER = "joint:1"
SHOWN_PAIRS = 4
SHOWN_SIDE = 256

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyOptions:
    """Everything that defines a study; ``python -m train study --help`` describes each option."""

    content_path: list[Path]
    style_path: list[Path]
    checkpoint: Path
    arch: str = "lite"
    vgg_weights: Path | None = None
    show_content: Path | None = None
    show_style: Path | None = None
    max_iter: int = 800
    pictures: int = 512
    cache: int = 2
    batch_size: int = 4
    crop: int = 64
    device: str = "auto"
    precision: str = "32"
    seed: int = 1
    workers: int = 2

    def command(self) -> str:
        """The command line that repeats the study, with files and folders by name instead of by path."""
        words = ["python", "-m", "train", "study"]
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in {"device", "workers"} or value == option.default:
                continue
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{option.name.replace('_', '-')}", one.name if isinstance(one, Path) else str(one)]
        return shlex.join(words)


class Losses(NamedTuple):
    """Content loss at relu4_1 and style loss over the four layers, at full strength."""

    content: float
    style: float

    @property
    def total(self) -> float:
        """Their sum with the default weights."""
        return self.content + USUAL_WEIGHT * self.style


@dataclass(frozen=True)
class Point:
    """The losses of a model at one iteration of its run, on held-out images and, in a curve, on training images.

    As long as only the frame path is trained, the style comes from the loss network's statistics of the style image;
    later from the style encoder.
    """

    iteration: int
    held_out: Losses
    training: Losses | None


@dataclass(frozen=True)
class Run:
    """A training run of the study.

    Attributes:
        options: of the run.
        measured: the iterations after which it is measured; the last of them is its end.
        curve: measure the loss on training images too.
    """

    options: TrainingOptions
    measured: tuple[int, ...]
    curve: bool = False

    @property
    def key(self) -> str:
        """The name of its folder, a hash of the options that define the run."""
        kept = {name: str(value) for name, value in asdict(self.options).items() if name not in FREE_OPTIONS}
        return sha256(repr(sorted(kept.items())).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        options = self.options
        return (
            f"{options.max_iter} iterations, {options.pictures} pictures, "
            f"style weight {options.weights.style:g}, stages {options.stages}"
        )


@dataclass(frozen=True)
class Result:
    """The measured points of a run, and the folder with its checkpoint and thumbnails."""

    run: Run
    points: list[Point]
    folder: Path

    @property
    def end(self) -> Point:
        return self.points[-1]

    def thumbnails(self, iteration: int | None = None) -> np.ndarray:
        """Thumbnails of the stylized `ShownPairs` after an iteration or at the end, in a column: uint8 [H, W, 3]."""
        with Image.open(self.folder / f"{self.end.iteration if iteration is None else iteration}.png") as image:
            return np.asarray(image)


Questions = dict[str, dict[str, Run]]
"""By question, the runs that answer it, by their labels in tables and figures."""
Answers = dict[str, dict[str, Result]]
"""By question and label, the results of the runs."""


def plan_study(options: StudyOptions) -> Questions:
    """The runs that answer the four questions: iterations, images, weights, stages.

    Raises:
        LivestyleError: `EIGHTHS` does not divide the iterations, a path holds no images, or the architecture has no
            stages to compare.
    """
    if options.arch not in ARCHITECTURES:
        raise LivestyleError(f"--arch of a study is one of {', '.join(ARCHITECTURES)}, not {options.arch!r}")
    length = options.max_iter
    if length % EIGHTHS:
        near = max(1, round(length / EIGHTHS)) * EIGHTHS
        raise LivestyleError(f"--max-iter {length} is not a multiple of {EIGHTHS}: use {near}")
    there = [len(split_held_out(find_images(paths))[0]) for paths in (options.content_path, options.style_path)]
    most = min(options.pictures, *there)
    base = TrainingOptions(
        arch=options.arch,
        content_path=options.content_path,
        style_path=options.style_path,
        checkpoint=options.checkpoint,
        vgg_weights=options.vgg_weights,
        batch_size=options.batch_size,
        weights=LossWeights(style=USUAL_WEIGHT),
        # docs/study was measured with AdamW.
        optimizer="adamw",
        max_iter=length,
        save_iter=length,
        crop=options.crop,
        style_crop=max(64, options.crop * 5 // 4),
        pictures=most,
        cache=options.cache,
        features=options.checkpoint / "features",
        stages="frame:1",
        device=options.device,
        precision=options.precision,
        seed=options.seed,
        workers=options.workers,
    )

    def run(*measured: int, **changed: object) -> Run:
        return Run(replace(base, max_iter=measured[-1], **changed), measured)  # type: ignore[arg-type]

    eighths = [length * n // EIGHTHS for n in range(1, EIGHTHS + 1)]
    half = length // 2
    counts = sorted({max(2, most // share) for share in (64, 16, 4, 1)})
    return {
        "iterations": {str(n): run(n) for n in (length // EIGHTHS, length // 4, half, length)},
        "pictures": {str(n): replace(run(*eighths, pictures=n), curve=True) for n in counts},
        "weights": {f"{weight:g}": run(half, weights=LossWeights(style=weight)) for weight in STYLE_WEIGHTS},
        "stages": {
            STAGED: run(half, 3 * length // 4, length, stages=STAGED),
            UNJOINED: run(length, stages=UNJOINED),
            TOGETHER: run(length, stages=TOGETHER),
        },
    }


@dataclass(frozen=True)
class ShownPairs:
    """The content and style pairs that every model stylizes for the report: uint8 [H, W, 3] RGB, see `SHOWN_SIDE`."""

    contents: list[np.ndarray]
    styles: list[np.ndarray]
    _statistics: list[Tensor] = field(default_factory=list, init=False)

    @classmethod
    def find(cls, options: StudyOptions) -> ShownPairs:
        """Images of the folders in the options, or held-out ones where the options name none."""
        found: list[list[np.ndarray]] = []
        for shown, paths in ((options.show_content, options.content_path), (options.show_style, options.style_path)):
            images = split_held_out(find_images(paths))[1] if shown is None else find_images([shown])
            ordered = sorted(images, key=lambda image: image.name)
            found.append([_prepared(ordered[n * len(ordered) // SHOWN_PAIRS]) for n in range(SHOWN_PAIRS)])
        return cls(*found)

    def statistics(self, network: LossNetwork, device: torch.device) -> list[Tensor]:
        """The loss network's statistics of the styles, cached, since all runs have the same network."""
        if not self._statistics:
            self._statistics.extend(statistics_vector(network(_tensor(style, device))) for style in self.styles)
        return self._statistics


def _prepared(file: ImageFile) -> np.ndarray:
    try:
        return prepare(file, SHOWN_SIDE)
    except OSError as error:
        raise LivestyleError(f"the picture {file.name} is to be shown and is damaged: {error}") from error


def carry_out(questions: Questions, folder: Path, shown: ShownPairs) -> Answers:
    """Train and measure the runs that answer the questions.

    Args:
        questions: see `plan_study`.
        folder: where each run has its own folder; runs that are finished there are not repeated.
        shown: the pairs that each model stylizes.

    Raises:
        LivestyleError: see `Trainer`.
    """
    results: dict[str, Result] = {}
    runs = _merged(run for runs in questions.values() for run in runs.values())
    for number, run in enumerate(runs, 1):
        log.info("run %d of %d: %s", number, len(runs), run)
        results[run.key] = _train_and_measure(run, folder / run.key, shown)
    return {question: {label: results[run.key] for label, run in runs.items()} for question, runs in questions.items()}


def _merged(runs: Iterable[Run]) -> list[Run]:
    """The distinct runs, each measured at the union of the iterations that are asked for."""
    merged: dict[str, Run] = {}
    for run in runs:
        same = merged.get(run.key, run)
        measured = tuple(sorted({*same.measured, *run.measured}))
        merged[run.key] = replace(run, measured=measured, curve=same.curve or run.curve)
    return list(merged.values())


def _train_and_measure(run: Run, folder: Path, shown: ShownPairs) -> Result:
    """Train a run to its end and measure it on the way, resuming an earlier call."""
    record = folder / "points.json"
    done: dict[int, Point] = {}
    if record.is_file():
        for iteration, held_out, training in json.loads(record.read_text(encoding="utf-8")):
            done[iteration] = Point(iteration, Losses(*held_out), Losses(*training) if training else None)
    todo = [i for i in run.measured if i not in done or (run.curve and done[i].training is None)]
    if todo:
        # An earlier study with fewer points may have trained past the next one: then the run starts again.
        resume = (folder / LAST).is_file() and load_checkpoint(folder)["iteration"] <= todo[0]
        trainer = Trainer(replace(run.options, checkpoint=folder, resume=resume))
        for iteration in todo:
            trainer.run_until(iteration)
            stage = next(stage.name for stage in trainer.stages if iteration <= stage.end)
            route = "frame" if stage == "frame" else "joint"
            # The encoder stage does not stylize, and so its validation has no style loss.
            held_out = trainer.measure(trainer.batches.held_out, route) if stage == "encoder" else trainer.validation
            training = _losses(trainer.measure(trainer.batches.banks, route)) if run.curve else None
            Image.fromarray(_thumbnails(trainer, route, shown)).save(folder / f"{iteration}.png")
            done[iteration] = Point(iteration, _losses(held_out), training)
            partial = record.with_suffix(".partial")
            lines = [(p.iteration, p.held_out, p.training) for p in done.values()]
            partial.write_text(json.dumps(lines), encoding="utf-8")
            os.replace(partial, record)
    return Result(run, [done[iteration] for iteration in run.measured], folder)


def _losses(terms: dict[str, float]) -> Losses:
    return Losses(terms["content"], terms["style"])


def _thumbnails(trainer: Trainer, route: str, shown: ShownPairs) -> np.ndarray:
    """Thumbnails of the pairs, stylized by the averaged model, in a column: uint8 [H, W, 3] RGB."""
    thumbnails: list[np.ndarray] = []
    with trainer.averaged() as model:
        assert isinstance(model, CompactModel)
        if route == "frame":
            read = shown.statistics(trainer.batches.network, trainer.device)
            codes = [model.style_head(model.statistics_reader(statistics)) for statistics in read]
        else:
            codes = [model.encode_style(_tensor(style, trainer.device)) for style in shown.styles]
        for content, code in zip(shown.contents, codes, strict=True):
            frame = _tensor(content, trainer.device)
            stylized, _ = model.stylizer(frame, code, torch.ones(1, device=trainer.device))
            pixels = (stylized[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
            thumbnails.append(thumbnail(pixels.cpu().numpy()))
    return np.vstack(thumbnails)


def _tensor(image: np.ndarray, device: torch.device) -> Tensor:
    return to_float(torch.from_numpy(image.copy()).permute(2, 0, 1)[None], device)
