"""The training loop: stages, validation on held-out images, checkpoints that resume exactly."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from livestyle.errors import LivestyleError

from .batches import VALIDATION_BATCHES, Batch, Batches, ImageSources
from .checkpoints import BEST, CHECKPOINT_FORMAT, LAST, STAGE_END, load_checkpoint, load_model, save_checkpoint
from .data import LEAST_SIDE, FeatureBank, to_float
from .net2net import enlarge
from .networks import ClassicModel, CompactModel, Model, build_model, vgg_divisor
from .optimizer import ConvolutionMuon, WeightAverage
from .options import PRECISIONS, TrainingOptions, choose_device
from .processes import Processes, WholeBatchNorm
from .schedule import Stage, learning_rate_factor, parse_stages
from .training_step import TrainingStep
from .vgg import LossNetwork

GRADIENT_LIMIT = 5.0
"""Gradients are clipped to this norm."""
LOG_EVERY = 20
STYLE_SIDE_RATE = 0.25
"""Learning rate of style head and statistics reader, as a factor on that of the frame path."""
JOINT_ENCODER_RATE = 0.5
"""Factor on the style encoder's learning rate in the joint stage, where the noisy style loss of single images could
undo the distillation."""

log = logging.getLogger(__name__)


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, instead of raising KeyboardInterrupt in the middle of an iteration."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


class Trainer:
    """One training run; `run` takes it to its last iteration.

    With several ``devices`` it starts the current command once more for each further process.

    Attributes:
        iteration: number of iterations done.
        cpu_seconds: time of all cores that the run took before this process, less what the process took before it.
        validation: loss terms on held-out images at the last validation, as its stage computes them.

    Raises:
        LivestyleError: an option, a path or a file is not usable, or a checkpoint does not fit the options.
    """

    def __init__(self, options: TrainingOptions) -> None:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy

        for name in ("lightning.fabric", "lightning.pytorch"):
            logging.getLogger(name).setLevel(logging.WARNING)
        options.validate()
        self.options = options
        self._make_folders()
        self.stages = parse_stages(options.stages, options.max_iter, options.arch)
        network = LossNetwork(options.vgg_weights)
        torch.manual_seed(options.seed)
        self.model = build_model(options.arch, network.divisor)
        saved = self._saved()
        start = None if saved is not None or options.start_from is None else self._start_from(options.start_from)
        if saved is None and options.encoder_from is not None:
            self._take_encoder(options.encoder_from)
        sources = ImageSources.find(options)
        several = options.devices * options.num_nodes > 1
        self.fabric = Fabric(
            accelerator=choose_device(options.device).type,
            # A stage trains a part of the compact models; of the classic one, the whole decoder is always trained.
            strategy=DDPStrategy(find_unused_parameters=options.arch != "classic") if several else "auto",
            devices=options.devices,
            num_nodes=options.num_nodes,
            precision=PRECISIONS[options.precision],  # type: ignore[arg-type]
        )
        # Launch only now, so that an error above is raised, and reported, in one process.
        self.fabric.launch()
        self.device = self.fabric.device
        # Every iteration has the same shapes.
        torch.backends.cudnn.benchmark = self.device.type == "cuda"
        self.processes = Processes(self.fabric)
        network = network.to(self.device).to(memory_format=torch.channels_last)
        self.batches = Batches(options, sources, network, self.fabric, self.processes)
        if saved is None:
            if isinstance(self.model, ClassicModel):
                self.model.stylizer.encoder.load_state_dict(network.layers.state_dict())
            elif self._reads_statistics() and (
                start is None or "options" not in start or options.encoder_from is not None
            ):
                # DDP broadcasts the first process's weights when the step is set up.
                fit = start is not None or options.encoder_from is not None
                self.processes.run_on_first(partial(self._calibrate, self.model, network, fit=fit))
        if several and isinstance(self.model, CompactModel):
            self.model.style_encoder.norm = WholeBatchNorm(self.model.style_encoder.norm, self.fabric)
        self.model.to(self.device).to(memory_format=torch.channels_last)
        teacher = None if options.teacher is None else load_model(options.teacher, network.divisor)[0]
        step = TrainingStep(self.model, network, options.weights, teacher)
        self.optimizer = ConvolutionMuon(self._groups(), lr=options.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.step, self.wrapped_optimizer = self.fabric.setup(step, self.optimizer)
        self.average = WeightAverage(self.model)
        self.iteration = 0
        self.cpu_seconds = -time.process_time()
        self.best = math.inf
        self.overflows = 0
        self.validation: dict[str, float] = {}
        if saved is not None:
            self._restore(saved)

    def _make_folders(self) -> None:
        for folder in (self.options.checkpoint, self.options.features or self.options.checkpoint):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LivestyleError(f"cannot make the folder {folder}: {error.strerror or error}") from error

    def _saved(self) -> dict[str, Any] | None:
        """The checkpoint to resume from, if there is one and ``--resume`` is given."""
        folder = self.options.checkpoint
        if not self.options.resume:
            return None
        if not (folder / LAST).is_file():
            log.info("nothing to resume in %s: starting from the beginning", folder)
            return None
        saved = load_checkpoint(folder)
        if saved["arch"] != self.options.arch:
            raise LivestyleError(f"{folder} holds a run of {saved['arch']}, not of {self.options.arch}")
        self._check_divisor(vgg_divisor(saved["model"]), folder)
        changed = self.options.changed_since(saved["options"])
        if changed:
            log.warning("going on with other options than before: %s", ", ".join(changed))
        return saved

    def _check_divisor(self, divisor: int, path: Path) -> None:
        if divisor != self.model.vgg_divisor:
            raise LivestyleError(f"{path} was trained with a loss network of other widths: give --vgg-weights that one")

    def _reads_statistics(self) -> bool:
        """Whether a stage uses the statistics reader; calibrating it takes minutes."""
        return any(stage.name not in {"frozen", "distill"} for stage in self.stages)

    def _groups(self) -> list[dict[str, Any]]:
        """The optimizer's parameter groups, with their base learning rates."""
        rate = self.options.learning_rate
        frame = {"base": rate, "side": "frame", "muon": self.options.optimizer == "muon"}
        if isinstance(self.model, ClassicModel):
            return [{"params": list(self.model.stylizer.decoder.parameters()), **frame}]
        head = self.model.style_head
        # The correction starts at zero, and has to catch up.
        quick = [] if head.correction is None else list(head.correction.parameters())
        known = {id(parameter) for parameter in quick}
        side = [p for p in (*head.parameters(), *self.model.statistics_reader.parameters()) if id(p) not in known]
        return [
            {"params": [*self.model.stylizer.parameters(), *quick], **frame},
            {"params": side, "base": rate * STYLE_SIDE_RATE, "side": "style"},
            {"params": list(self.model.style_encoder.parameters()), "base": rate, "side": "encoder"},
        ]

    def _start_from(self, path: Path) -> dict[str, Any]:
        """Take the weights of a checkpoint or a model folder, enlarged if need be; returns its other content."""
        model, content = load_model(path, self.model.vgg_divisor)
        if content["arch"] != self.options.arch:
            if not (isinstance(model, CompactModel) and isinstance(self.model, CompactModel)):
                raise LivestyleError(f"{path} is a model of {content['arch']}, not of {self.options.arch}")
            model = enlarge(model, self.options.arch, self.options.seed)
        self._check_divisor(model.vgg_divisor, path)
        self.model.load_state_dict(model.state_dict())
        return content

    def _take_encoder(self, path: Path) -> None:
        """Take the style encoder of a checkpoint or a model folder."""
        other, _ = load_model(path, self.model.vgg_divisor)
        if not (isinstance(other, CompactModel) and isinstance(self.model, CompactModel)):
            raise LivestyleError(f"the models of {path} and of {self.options.arch} have no style encoder in common")
        try:
            self.model.style_encoder.load_state_dict(other.style_encoder.state_dict())
        except RuntimeError as error:
            raise LivestyleError(
                f"the style encoder of {path} is of another size than that of {self.options.arch}"
            ) from error

    def _calibrate(self, model: CompactModel, network: LossNetwork, fit: bool) -> None:
        """Standardise the statistics reader's input and, with ``fit``, fit it to a trained style encoder's codes."""
        if "style" in self.batches.banks:
            bank = self.batches.banks["style"]
        else:
            source = self.batches.sources["style"]
            count = min(4096 if fit else 512, 4 * len(source.images))
            numbers, autocast = range(count), self.fabric.autocast
            if fit:
                log.info("fitting the statistics reader, which does not ship, to %d style crops", count)
            bank = FeatureBank.build(source, numbers, network, self.device, content=False, autocast=autocast)
        model.statistics_reader.calibrate(bank.statistics)
        if fit:
            encoder = model.style_encoder.to(self.device).eval()
            with torch.inference_mode(), self.fabric.autocast():
                codes = [encoder(to_float(crops, self.device)).float().cpu() for crops in bank.crops.split(16)]
            model.statistics_reader.fit(bank.statistics.cpu(), torch.cat(codes))

    def _restore(self, saved: dict[str, Any]) -> None:
        """Take the state of a checkpoint; the options decide the base learning rates."""
        self.model.load_state_dict(saved["model"])
        self.average.values = {name: value.to(self.device) for name, value in saved["average"].items()}
        bases = [group["base"] for group in self.optimizer.param_groups]
        changed = self.options.changed_since(saved["options"])
        if "optimizer" not in changed:
            self.optimizer.load_state_dict(saved["optimizer"])
        for group, base in zip(self.optimizer.param_groups, bases, strict=True):
            group["base"] = base
        self.fabric.strategy.precision.load_state_dict(saved["precision"])
        torch.set_rng_state(saved["random"])
        self.iteration = saved["iteration"]
        self.cpu_seconds += saved.get("cpu_seconds", 0.0)
        # A loss under other options does not compare with those to come.
        self.best = math.inf if changed else saved["best"]
        self.validation = saved.get("validation", {})

    def _checkpoint(self) -> dict[str, Any]:
        return {
            "format": CHECKPOINT_FORMAT,
            "arch": self.options.arch,
            "options": self.options.as_text(),
            "iteration": self.iteration,
            "last_iteration": self.options.max_iter,
            "cpu_seconds": self.cpu_seconds + time.process_time(),
            "best": self.best,
            "validation": self.validation,
            "model": self.model.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": torch.get_rng_state(),
        }

    def run(self) -> None:
        """Train to the last iteration, with a checkpoint and a validation every ``save_iter`` iterations."""
        self.run_until(self.options.max_iter)

    def run_until(self, end: int) -> int:
        """Train as `run` does, but only to iteration ``end``, and save there; returns the iteration reached.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; the iteration in hand is finished and saved first.
        """
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from torch.utils.tensorboard import SummaryWriter

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        folder = str(self.options.checkpoint / "tensorboard")
        is_first = self.processes.rank == 0
        with (
            SummaryWriter(folder, purge_step=self.iteration + 1) if is_first else nullcontext() as board,
            Progress(*columns, disable=not is_first) as progress,
            _deferred_interrupt() as interrupted,
        ):
            task = progress.add_task("training", total=self.options.max_iter, completed=self.iteration)
            for stage in self.stages:
                for batch in self.batches.iterate(max(stage.start, self.iteration), min(stage.end, end)):
                    terms = self._iterate(stage, batch)
                    progress.advance(task)
                    if self.iteration % LOG_EVERY == 0:
                        values = self.processes.mean(terms)
                        text = " ".join(f"{name} {value:.3f}" for name, value in values.items())
                        progress.update(task, description=f"{stage.name}: {text}")
                        if board is not None:
                            for name, value in values.items():
                                board.add_scalar(f"train/{name}", value, self.iteration)
                    stopped = self.processes.any(interrupted.is_set())
                    if self.iteration % self.options.save_iter == 0 or self.iteration in (end, stage.end):
                        self.processes.run_on_first(partial(self._save, stage, board))
                    elif stopped:
                        self.processes.run_on_first(self._save_last)
                    if stopped:
                        log.warning("stopped after iteration %d: go on with --resume", self.iteration)
                        # Only the first process reports how the run ended.
                        raise KeyboardInterrupt if is_first else SystemExit
        skipped = self.batches.skipped()
        if skipped:
            log.warning("%d pictures were damaged or under %d pixels, and others were taken", skipped, LEAST_SIDE)
        if self.overflows:
            log.warning("%d batches changed nothing: their gradients were no finite numbers", self.overflows)
        return self.iteration

    def _iterate(self, stage: Stage, batch: Batch) -> dict[str, Tensor]:
        factor = learning_rate_factor(self.iteration, stage, self.options.lr_decay)
        for group in self.optimizer.param_groups:
            own = JOINT_ENCODER_RATE if stage.name == "joint" and group["side"] == "encoder" else 1.0
            group["lr"] = group["base"] * factor * own
        self.model.train()
        if isinstance(self.model, CompactModel) and self._norm_is_settled(stage):
            # The batch statistics of a small batch are noise that would double the encoder's error.
            self.model.style_encoder.norm.eval()
        self.wrapped_optimizer.zero_grad(set_to_none=True)
        terms: dict[str, Tensor] = self.step(batch, stage.name, self.batches.generator(self.iteration))
        self.fabric.backward(terms["loss"])
        norm = self.fabric.clip_gradients(
            self.step, self.wrapped_optimizer, max_norm=GRADIENT_LIMIT, error_if_nonfinite=False
        )
        assert norm is not None
        # The gradient scaler of float16 skips such batches by itself, and has to see them to lower its scale.
        if norm.isfinite() or self.options.precision == "16":
            self.wrapped_optimizer.step()
        else:
            # In an image of one colour only rounding errors are left to normalise, and every AdaIN site amplifies them.
            self.overflows += 1
        self.iteration += 1
        self.average.update(self.model, self.iteration)
        return {name: value.detach() for name, value in terms.items()}

    def _norm_is_settled(self, stage: Stage) -> bool:
        """Whether the style encoder's batch normalisation uses its running statistics instead of the batch's.

        It does except in the first half of the first encoder stage of a run that starts from nothing.
        """
        if stage.name != "encoder":
            return True
        first = next(other for other in self.stages if other.name == "encoder")
        is_new = self.options.start_from is None and stage == first
        return not is_new or self.iteration >= (stage.start + stage.end) / 2

    @contextmanager
    def averaged(self) -> Iterator[Model]:
        """The model with its averaged weights, in evaluation mode, without gradients; restored on exit."""
        kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average.values)
        try:
            with torch.no_grad():
                yield self.model.eval()
        finally:
            self.model.load_state_dict(kept)

    def measure(self, banks: dict[str, FeatureBank], stage: str) -> dict[str, float]:
        """The loss terms of the averaged model on a content and a style bank, as a stage computes them."""
        sums: dict[str, float] = {}
        with self.averaged():
            for index, batch in enumerate(self.batches.validation(banks)):
                # Bypass the DDP wrapper, which would wait for the other processes.
                with self.fabric.autocast():
                    terms = self.step.module(batch, stage, self.batches.generator(-1 - index))
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(value) / VALIDATION_BATCHES
        return sums

    def _validate(self, stage: Stage, board: Any) -> None:
        self.validation = terms = self.measure(self.batches.held_out, stage.name)
        for name, value in terms.items():
            board.add_scalar(f"validation/{name}", value, self.iteration)
        with self.averaged():
            batch = next(self.batches.validation(self.batches.held_out))
            board.add_image("pictures", self._grid(batch, stage), self.iteration)
        log.info("iteration %d, held-out pictures: %s", self.iteration, {k: round(v, 4) for k, v in terms.items()})

    def _grid(self, batch: Batch, stage: Stage) -> Tensor:
        """Rows of contents, styles and stylized contents, uint8 [3, H, W] RGB."""
        from torchvision.utils import make_grid

        if isinstance(self.model, CompactModel) and stage.name == "frame":
            style = self.model.style_head(self.model.statistics_reader(batch.style_statistics))
        else:
            style = self.model.encode_style(batch.style)
        stylized, _ = self.model.stylizer(batch.content, style, batch.strength)
        shown = nn.functional.interpolate(batch.style, batch.content.shape[2:], mode="area")
        rows = torch.cat([batch.content, shown, stylized.float().clamp(0, 1)])
        return (make_grid(rows, nrow=len(batch)) * 255).byte().cpu()

    def _save(self, stage: Stage, board: Any) -> None:
        """Validate, and write the checkpoints that are due."""
        self._validate(stage, board)
        better = stage == self.stages[-1] and self.validation["loss"] < self.best
        if better:
            self.best = self.validation["loss"]
        content = self._save_last()
        if better:
            save_checkpoint(self.options.checkpoint / BEST, content)
        if self.iteration == stage.end and stage != self.stages[-1]:
            save_checkpoint(
                self.options.checkpoint / STAGE_END.format(self.stages.index(stage) + 1, stage.name), content
            )

    def _save_last(self) -> dict[str, Any]:
        content = self._checkpoint()
        save_checkpoint(self.options.checkpoint / LAST, content)
        return content
