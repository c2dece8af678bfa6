"""The training loop: stages, checkpoints that resume exactly, validation on held-out pictures."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from livestyle.errors import LivestyleError

from .data import LEAST_SIDE, CropSource, FeatureBank, choose, find_pictures, split_held_out, to_float
from .grow import grow
from .losses import (
    LossWeights,
    content_loss,
    noisy_window,
    out_of_range,
    stillness_loss,
    style_loss,
    total_variation,
)
from .networks import ClassicModel, ClassicStylizer, CompactModel, CompactStylizer, Model, build_model
from .optimizer import ConvolutionMuon
from .processes import Processes, WholeBatchNorm, check_processes
from .vgg import CHANNELS, EPSILON, LossNetwork, statistics_vector

if TYPE_CHECKING:
    from lightning.fabric import Fabric

CHECKPOINT_FORMAT = 1
LAST = "last.pt"
BEST = "best.pt"
"""The checkpoint of the last stage with the least validation loss."""
STAGE_END = "stage-{}-{}.pt"
"""The checkpoint at the end of a stage that another follows, which may do harm and be tried again from there."""
NORMALISING_CROPS = 64
GRADIENT_LIMIT = 5.0
LOG_EVERY = 20
MEASURING_BATCHES = 8
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
"""Options that may change when a run is resumed without its being another run."""
RANGE_WEIGHT = 50.0
STYLE_SEED = 1 << 32
"""What is added to the seed for style pictures."""
VIVID_SHARE = 0.25
"""Of the crops of style pictures, see `CropSource`."""
NOISE = 4 / 255
WARM_UP = 200
STYLE_SIDE_RATE = 0.25
JOINT_ENCODER_SHARE = 0.5
"""Of the learning rate: the style loss of single pictures would shake the style encoder out of what it learned."""
OPTIMIZERS = ("muon", "adamw")
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitOptions:
    """Everything that a run is made of; see ``python -m train fit --help`` for the meaning of each."""

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
    resume: bool = False
    device: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    precision: str = "32"
    seed: int = 1
    workers: int = 2


@dataclass(frozen=True)
class Stage:
    """A part of a run, from iteration ``start`` up to and without ``end``."""

    name: str
    start: int
    end: int


def parse_stages(text: str, max_iter: int, arch: str) -> list[Stage]:
    """Stages from ``frame:0.5,encoder:0.25,joint:0.25``: names and shares of the run.

    Raises:
        LivestyleError: an unknown name, or a share that is no positive number.
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
        if name not in {"frame", "encoder", "joint"} or not 0 < value < math.inf:
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


def rate_factor(step: int, stage: Stage, lr_decay: float | None) -> float:
    """What the learning rate is multiplied with at an iteration.

    With ``lr_decay``, ``1 / (1 + lr_decay * step)`` as in the AdaIN implementations; without, a warm-up and a cosine
    to a fiftieth within each stage.
    """
    if lr_decay is not None:
        return 1 / (1 + lr_decay * step)
    into, length = step - stage.start, stage.end - stage.start
    warm = min(1.0, (into + 1) / min(WARM_UP, max(1, length // 10)))
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * into / length)))


@dataclass
class Batch:
    """What one process sees of an iteration; features and statistics of the loss network come along.

    ``strengths`` are those of the whole batch, in which this process has the pairs from ``first`` on.
    """

    content: Tensor
    content_features: Tensor
    content_statistics: Tensor
    style: Tensor
    style_statistics: Tensor
    strengths: Tensor
    first: int

    def __len__(self) -> int:
        return self.content.shape[0]

    @property
    def strength(self) -> Tensor:
        return self.strengths[self.first : self.first + len(self)]


class TrainingStep(nn.Module):
    """A model with its losses: ``forward`` gives the loss terms of a batch by name, each a scalar.

    The terms of a whole batch are the means over the processes of those of its parts.
    """

    def __init__(self, model: Model, network: LossNetwork, weights: LossWeights) -> None:
        super().__init__()
        self.model = model
        self.network = network
        self.weights = weights

    def forward(self, batch: Batch, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        distilled: dict[str, Tensor] = {}
        if isinstance(self.model, ClassicModel):
            style = batch.style_statistics[:, -2 * CHANNELS["relu4_1"] :]
        elif stage == "frame":
            style = self.model.style_head(self.model.statistics_reader(batch.style_statistics))
        else:
            code = self.model.style_encoder(batch.style).float()
            distilled = self._distil(self.model, code, batch)
            style = self.model.style_head(code)
        if stage == "encoder":
            return distilled
        terms, painted = self._paint(batch, style)
        if distilled:
            # Keeps the encoder close to what the frame path was trained with, where the batch says little.
            terms["code"] = 0.3 * distilled["loss"]
            terms["loss"] = terms["loss"] + terms["code"]
        if self.weights.stillness > 0:
            terms["stillness"] = self._stillness(batch, style, painted, generator)
            terms["loss"] = terms["loss"] + self.weights.stillness * terms["stillness"]
        return terms

    def _distil(self, model: CompactModel, guess: Tensor, batch: Batch) -> dict[str, Tensor]:
        """How far the style encoder's codes are from those that the loss network's statistics give."""
        with torch.no_grad():
            code = model.statistics_reader(batch.style_statistics)
            target = model.style_head(code)
        in_code = (guess - code).square().mean()
        # The head is the measure here and not trained: it could make everything small otherwise.
        head = {name: p.detach() for name, p in model.style_head.named_parameters()}
        in_sites = (torch.func.functional_call(model.style_head, head, guess) - target).square().mean()
        return {"loss": in_code + 4 * in_sites, "code error": in_code, "site error": in_sites}

    def _paint(self, batch: Batch, style: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The loss terms but for stillness, and the paintings."""
        painted, _ = self.model.stylizer(batch.content, style, batch.strength)
        painted = painted.float()
        excess = out_of_range(painted).mean()
        # Straight through the clamp: what is cut off still gets a gradient.
        shown = painted + (painted.clamp(0, 1) - painted).detach()
        features = self.network(shown)
        strength = batch.strength
        target = torch.lerp(batch.content_statistics, batch.style_statistics, strength[:, None])
        full = strength == 1
        if isinstance(self.model, ClassicModel):
            # As in the paper: the AdaIN output is the target; the decoder alone is trained.
            goal = classic_target(batch.content_features, style, strength)
            content = content_loss(features["relu4_1"], goal)
            content_factor = torch.ones_like(strength)
        else:
            content = content_loss(features["relu4_1"], batch.content_features)
            # The weaker the style, the more of the content is asked for; at 0 the network has to give the picture back.
            content_factor = 1 + 2 * (1 - strength)
        styled = style_loss(features, target)
        pixel = (1 - strength) ** 2 * (painted - batch.content).abs().mean(dim=(1, 2, 3))
        variation = total_variation(painted)
        weights = self.weights
        loss = (
            weights.content * (content_factor * content).mean()
            # Far below any loss that is met, and keeps the slope at 0 finite.
            + weights.style * (styled + 1e-3).pow(weights.style_power).mean()
            + weights.tv * variation.mean()
            + 20 * pixel.mean()
            + RANGE_WEIGHT * excess
        )
        some = (batch.strengths == 1).float().sum().clamp(min=1) * (len(batch) / len(batch.strengths))
        terms = {
            "loss": loss,
            "content": (content * full).sum() / some,
            "style": (styled * full).sum() / some,
            "tv": variation.mean(),
            "excess": excess,
        }
        return terms, painted

    def _stillness(self, batch: Batch, style: Tensor, painted: Tensor, generator: torch.Generator) -> Tensor:
        """How far a noisy window of the pictures, painted on its own, is from that window of their paintings."""
        margin, whole = self.model.stylizer.multiple, len(batch.strengths)
        window, place = noisy_window(batch.content, NOISE, generator, margin, whole, batch.first)
        again = self.model.stylizer(window, style, batch.strength)[0].float()
        return stillness_loss(painted, again, place)


def classic_target(features: Tensor, style: Tensor, strength: Tensor) -> Tensor:
    """The AdaIN output that the paper's decoder is trained to invert: content features with the style's statistics."""
    features = features.float()
    mean = features.mean(dim=(2, 3), keepdim=True)
    deviation = (features.var(dim=(2, 3), keepdim=True) + EPSILON).sqrt()
    channels = features.shape[1]
    moved = (features - mean) / deviation * style[:, channels:, None, None] + style[:, :channels, None, None]
    return torch.lerp(features, moved, strength[:, None, None, None])


@dataclass(frozen=True)
class Sources:
    """Crops of the pictures of a run, by kind (content, style)."""

    training: dict[str, CropSource]
    held_out: dict[str, CropSource]

    @classmethod
    def find(cls, options: FitOptions) -> Sources:
        """Look for the pictures that the options name."""
        sources = cls({}, {})
        for kind, paths, size, zoom in (
            ("content", options.content_path, options.crop, (0.5, 1.6)),
            ("style", options.style_path, options.style_crop, (0.6, 1.5)),
        ):
            pictures, held = split_held_out(find_pictures(paths))
            if options.pictures:
                pictures = choose(pictures, options.pictures, options.seed)
            # Of its own, or each content picture would meet the same style in every epoch where there are as many.
            seed = options.seed + (kind == "style") * STYLE_SEED
            vivid = VIVID_SHARE if kind == "style" else 0.0
            sources.training[kind] = CropSource(pictures, size, zoom, seed, recolor=kind == "style", vivid=vivid)
            sources.held_out[kind] = CropSource(held, size, zoom, options.seed)
            log.info("%s: %d pictures, %d held out", kind, len(pictures), len(held))
        return sources


class Batches:
    """Numbered batches: batch ``n`` is the same in every run with the same options, so a run resumes exactly."""

    def __init__(
        self, options: FitOptions, sources: Sources, network: LossNetwork, fabric: Fabric, processes: Processes
    ) -> None:
        self.options = options
        self.network = network
        self.fabric = fabric
        self.device = device = fabric.device
        self.processes = processes
        self.sources = sources.training
        self.part = processes.part(options.batch_size)
        if options.vgg_weights is None:
            crops = self.sources["content"].crops(range(NORMALISING_CROPS))
            network.normalise(to_float(torch.stack(list(crops)), device))
        self._network_checksum = sha256(network.state_dict()["layers.29.weight"].cpu().numpy().tobytes()).hexdigest()
        kinds = ("content", "style")
        held = MEASURING_BATCHES * options.batch_size
        self.held_out = {k: self._bank(sources.held_out[k], held, f"held-out-{k}") for k in kinds}
        self.banks: dict[str, FeatureBank] = {}
        if options.cache:
            self.banks = {
                k: self._bank(self.sources[k], options.cache * len(self.sources[k].pictures), k).near(device)
                for k in kinds
            }

    def _bank(self, source: CropSource, count: int, name: str) -> FeatureBank:
        """The bank of a source, from the features' folder if it was made of the same things."""
        made_of = repr((
            [(p.name, p.size) for p in source.pictures],
            (source.size, source.zoom, source.seed, source.recolor, source.vivid, count),
            (self._network_checksum, self.options.precision),
        ))  # fmt: skip
        folder = self.options.features or self.options.checkpoint
        path = folder / f"{name}-{sha256(made_of.encode()).hexdigest()[:16]}.bank.pt"
        content = "content" in name

        def build() -> None:
            if not path.is_file():
                bank = FeatureBank.build(
                    source, range(count), self.network, self.device, content=content, autocast=self.fabric.autocast
                )
                bank.save(path)

        self.processes.first_does(build)
        if not path.is_file():
            raise LivestyleError(f"{path} is not here: {folder} has to be a folder that all machines share")
        return FeatureBank.load(path)

    def iterate(self, start: int, end: int) -> Iterator[Batch]:
        """This process's part of the batches ``start`` up to and without ``end``."""
        size = self.options.batch_size
        if self.banks:
            for step in range(start, end):
                random = self._generator(step)
                picks = [
                    torch.randint(len(self.banks[kind].crops), (size,), generator=random)[self.part]
                    for kind in ("content", "style")
                ]
                yield self._from_banks(self.banks, picks, self._strengths(random), self.part.start)
            return
        mine = range(size)[self.part]
        numbers = [step * size + place for step in range(start, end) for place in mine]
        threads = self.options.workers
        streams = [self.sources[kind].crops(numbers, threads) for kind in ("content", "style")]
        for step in range(start, end):
            crops = [torch.stack([next(stream) for _ in mine]) for stream in streams]
            yield self._computed(crops[0], crops[1], self._strengths(self._generator(step)), self.part.start)

    def measuring(self, banks: dict[str, FeatureBank]) -> Iterator[Batch]:
        """The same few batches of a content and a style bank every time, whole and at full strength."""
        size = self.options.batch_size
        for index in range(MEASURING_BATCHES):
            pick = torch.arange(index * size, (index + 1) * size)
            picks = [pick % len(banks[kind].crops) for kind in ("content", "style")]
            yield self._from_banks(banks, picks, torch.ones(size), 0)

    def generator(self, step: int) -> torch.Generator:
        """The source of an iteration's other random numbers."""
        return self._generator(step + (1 << 40))

    def skipped(self) -> int:
        """Damaged and tiny pictures met so far, by any process; to be called by all."""
        return len(self.processes.union({(kind, n) for kind, source in self.sources.items() for n in source.skipped}))

    def _generator(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.options.seed * 1_000_003 + number)

    def _strengths(self, random: torch.Generator) -> Tensor:
        size = self.options.batch_size
        partial = torch.rand(size, generator=random) < self.options.partial_strength
        return torch.where(partial, torch.rand(size, generator=random), torch.ones(size))

    def _from_banks(self, banks: dict[str, FeatureBank], picks: list[Tensor], strengths: Tensor, first: int) -> Batch:
        content, style = banks["content"], banks["style"]
        assert content.content is not None
        return Batch(
            to_float(content.crops[picks[0]], self.device),
            content.content[picks[0]].to(self.device),
            content.statistics[picks[0]].to(self.device),
            to_float(style.crops[picks[1]], self.device),
            style.statistics[picks[1]].to(self.device),
            strengths.to(self.device),
            first,
        )

    def _computed(self, content: Tensor, style: Tensor, strengths: Tensor, first: int) -> Batch:
        contents, styles = to_float(content, self.device), to_float(style, self.device)
        with torch.no_grad(), self.fabric.autocast():
            taps = self.network(contents)
            style_statistics = statistics_vector(self.network(styles))
        content_statistics = statistics_vector(taps)
        strengths = strengths.to(self.device)
        return Batch(contents, taps["relu4_1"], content_statistics, styles, style_statistics, strengths, first)


class Average:
    """An exponential moving average of a model's weights; the average is what is validated and exported."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        means: list[Tensor] = []
        now: list[Tensor] = []
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                means.append(self.values[name])
                now.append(value)
            else:
                self.values[name].copy_(value)
        # All at once, which a GPU needs.
        get_ema_multi_avg_fn(decay)(means, now, None)


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint beside its name and move it into place, so that a cut-off never leaves half of one.

    Raises:
        LivestyleError: it cannot be written there.
    """
    partial = path.with_suffix(".partial")
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        raise LivestyleError(f"cannot write the checkpoint {path}: {error}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint file, or the newest one of a checkpoint folder.

    Raises:
        LivestyleError: there is none, or the file is not one of ours.
    """
    file = path / LAST if path.is_dir() else path
    if not file.is_file():
        raise LivestyleError(f"there is no checkpoint at {file}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise LivestyleError(f"{file} is not a readable checkpoint: {error}") from error
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT_FORMAT:
        raise LivestyleError(f"{file} is not a checkpoint of this version of livestyle")
    return content


def average_checkpoints(first: Path, second: Path, share: float) -> dict[str, Any]:
    """A checkpoint between two of one run: its model is the weighted mean of theirs (Wortsman et al. 2022).

    Args:
        first, second: checkpoints of one run, a stage or two apart.
        share: of the second, 0..1.

    Raises:
        LivestyleError: they are not of one architecture.
    """
    start, end = load_checkpoint(first), load_checkpoint(second)
    if start["arch"] != end["arch"]:
        raise LivestyleError(f"{first} is a model of {start['arch']} and {second} one of {end['arch']}")
    for name, value in end["average"].items():
        if value.is_floating_point():
            end["average"][name] = torch.lerp(start["average"][name], value, share)
    return end


def load_model(path: Path) -> tuple[Model, dict[str, Any]]:
    """The averaged model of a checkpoint, in evaluation mode, and the checkpoint's other content.

    Args:
        path: a checkpoint, the folder of a run, or the safetensors file of a model folder.

    Raises:
        LivestyleError: the file is missing or no such thing.
    """
    if path.suffix == ".safetensors":
        return _load_shipped(path)
    checkpoint = load_checkpoint(path)
    try:
        model = build_model(checkpoint["arch"])
        model.load_state_dict(checkpoint["average"])
    except (KeyError, RuntimeError) as error:
        raise LivestyleError(f"{path} is not a checkpoint of this version of livestyle: {error}") from error
    return model.eval(), checkpoint


def _load_shipped(path: Path) -> tuple[Model, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        model, iteration = build_model(metadata["arch"]), int(metadata["iteration"])
        missing, unexpected = model.load_state_dict(values, strict=False)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise LivestyleError(f"{path} is not the checkpoint of a model folder: {error}") from error
    # What only training needs is not shipped.
    if unexpected or not all(name.startswith("statistics_reader.") for name in missing):
        raise LivestyleError(f"{path} is not the checkpoint of a model folder: other layers are in it")
    return model.eval(), {"arch": metadata["arch"], "iteration": iteration}


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where it starts and the CPU elsewhere.

    Raises:
        LivestyleError: ``cuda`` was asked for and does not start.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in {"cpu", "cuda"}:
        raise LivestyleError(f"there is no device {name!r}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise LivestyleError("CUDA does not start here: install PyTorch with CUDA and a driver, or use --device cpu")
    return torch.device(name)


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, in place of an exception in the middle of an iteration."""
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

    With ``devices`` above 1 it starts the command that it is part of once more for each other process.

    Attributes:
        iteration: how many are done.
        validation: the loss terms on held-out pictures when it was last saved after a validation, as the stage computes
            them.
    """

    def __init__(self, options: FitOptions) -> None:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy

        for name in ("lightning.fabric", "lightning.pytorch"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.options = options
        device = choose_device(options.device)
        self._check(device)
        self.stages = parse_stages(options.stages, options.max_iter, options.arch)
        torch.manual_seed(options.seed)
        self.model = build_model(options.arch)
        saved = self._saved()
        begun = None if saved is not None or options.start_from is None else self._begin_with(options.start_from)
        network, sources = LossNetwork(options.vgg_weights), Sources.find(options)
        several = options.devices * options.num_nodes > 1
        self.fabric = Fabric(
            accelerator=device.type,
            # A stage trains a part of the compact model; the whole decoder of the classic one is always trained.
            strategy=DDPStrategy(find_unused_parameters=options.arch != "classic") if several else "auto",
            devices=options.devices,
            num_nodes=options.num_nodes,
            precision=PRECISIONS[options.precision],  # type: ignore[arg-type]
        )
        # What can fail has failed by now, in one process.
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
            elif begun is None or "options" not in begun:
                # The other processes get the first one's weights when the step is set up.
                self.processes.first_does(partial(self._calibrate, self.model, network, imitate=begun is not None))
        if several and isinstance(self.model, CompactModel):
            self.model.style_encoder.norm = WholeBatchNorm(self.model.style_encoder.norm, self.fabric)
        self.model.to(self.device).to(memory_format=torch.channels_last)
        step = TrainingStep(self.model, network, options.weights)
        self.optimizer = ConvolutionMuon(self._groups(), lr=options.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.step, self.wrapped_optimizer = self.fabric.setup(step, self.optimizer)
        self.average = Average(self.model)
        self.iteration = 0
        self.best = math.inf
        self.overflows = 0
        self.validation: dict[str, float] = {}
        if saved is not None:
            self._restore(saved)

    def _check(self, device: torch.device) -> None:
        """Refuse, before anything is computed, what would fail hours later."""
        options = self.options
        if options.optimizer not in OPTIMIZERS:
            raise LivestyleError(f"--optimizer is one of {', '.join(OPTIMIZERS)}, not {options.optimizer!r}")
        if options.precision not in PRECISIONS:
            raise LivestyleError(f"--precision is one of {', '.join(PRECISIONS)}, not {options.precision!r}")
        multiple = ClassicStylizer.multiple if options.arch == "classic" else CompactStylizer.multiple
        if options.crop % multiple:
            raise LivestyleError(
                f"--crop {options.crop} is not a multiple of {multiple}: use {options.crop // multiple * multiple}"
            )
        if options.batch_size < 2 and options.arch != "classic":
            raise LivestyleError(
                "--batch-size 1 is too small: the style encoder is normalised over batches of 2 or more"
            )
        check_processes(options.devices, options.num_nodes, options.batch_size, device)
        for folder in (options.checkpoint, options.features or options.checkpoint):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LivestyleError(f"cannot make the folder {folder}: {error.strerror or error}") from error

    def _saved(self) -> dict[str, Any] | None:
        """The checkpoint to go on from, if there is one and it is asked for."""
        if not self.options.resume:
            return None
        if not (self.options.checkpoint / LAST).is_file():
            log.info("nothing to resume in %s: starting from the beginning", self.options.checkpoint)
            return None
        saved = load_checkpoint(self.options.checkpoint)
        if saved["arch"] != self.options.arch:
            raise LivestyleError(
                f"{self.options.checkpoint} holds a run of {saved['arch']}, not of {self.options.arch}"
            )
        changed = self._changed(saved)
        if changed:
            log.warning("going on with other options than before: %s", ", ".join(changed))
        return saved

    def _changed(self, saved: dict[str, Any]) -> list[str]:
        """The options that make another run than the one that was saved."""
        now = self._options_as_text()
        # A run from before there was an option had none of it, and AdamW.
        before = {"optimizer": "adamw", **saved["options"]}
        changed = {name for name, text in now.items() if before.get(name, text) != text}
        return sorted(changed - FREE_OPTIONS)

    def _options_as_text(self) -> dict[str, str]:
        return {key: str(value) for key, value in asdict(self.options).items()}

    def _groups(self) -> list[dict[str, Any]]:
        rate = self.options.learning_rate
        frame = {"base": rate, "side": "frame", "muon": self.options.optimizer == "muon"}
        if isinstance(self.model, ClassicModel):
            return [{"params": list(self.model.stylizer.decoder.parameters()), **frame}]
        side = [*self.model.style_head.parameters(), *self.model.statistics_reader.parameters()]
        return [
            {"params": list(self.model.stylizer.parameters()), **frame},
            {"params": side, "base": rate * STYLE_SIDE_RATE, "side": "style"},
            {"params": list(self.model.style_encoder.parameters()), "base": rate, "side": "encoder"},
        ]

    def _begin_with(self, path: Path) -> dict[str, Any]:
        """Take the weights of another run or of a model folder; gives what else is in its checkpoint."""
        folder_file = path / "model.safetensors"
        model, content = load_model(folder_file if folder_file.is_file() else path)
        if content["arch"] != self.options.arch:
            if not (isinstance(model, CompactModel) and isinstance(self.model, CompactModel)):
                raise LivestyleError(f"{path} is a model of {content['arch']}, not of {self.options.arch}")
            model = grow(model, self.options.arch, self.options.seed)
        self.model.load_state_dict(model.state_dict())
        return content

    def _calibrate(self, model: CompactModel, network: LossNetwork, imitate: bool) -> None:
        """Standardise the reader's input and, with ``imitate``, make it give what a trained style encoder gives."""
        if "style" in self.batches.banks:
            bank = self.batches.banks["style"]
        else:
            source = self.batches.sources["style"]
            count = min(4096 if imitate else 512, 4 * len(source.pictures))
            numbers, autocast = range(count), self.fabric.autocast
            if imitate:
                log.info("fitting the statistics reader, which does not ship, to %d style crops", count)
            bank = FeatureBank.build(source, numbers, network, self.device, content=False, autocast=autocast)
        model.statistics_reader.calibrate(bank.statistics)
        if imitate:
            encoder = model.style_encoder.to(self.device).eval()
            with torch.inference_mode(), self.fabric.autocast():
                codes = [encoder(to_float(crops, self.device)).float().cpu() for crops in bank.crops.split(16)]
            model.statistics_reader.imitate(bank.statistics.cpu(), torch.cat(codes))

    def _restore(self, saved: dict[str, Any]) -> None:
        self.model.load_state_dict(saved["model"])
        self.average.values = {name: value.to(self.device) for name, value in saved["average"].items()}
        bases = [group["base"] for group in self.optimizer.param_groups]
        changed = self._changed(saved)
        if "optimizer" not in changed:
            self.optimizer.load_state_dict(saved["optimizer"])
        for group, base in zip(self.optimizer.param_groups, bases, strict=True):
            group["base"] = base
        self.fabric.strategy.precision.load_state_dict(saved["precision"])
        torch.set_rng_state(saved["random"])
        self.iteration = saved["iteration"]
        # Losses of other options are no measure for what comes.
        self.best = math.inf if changed else saved["best"]
        self.validation = saved.get("validation", {})

    def _checkpoint(self) -> dict[str, Any]:
        return {
            "format": CHECKPOINT_FORMAT,
            "arch": self.options.arch,
            "options": self._options_as_text(),
            "iteration": self.iteration,
            "last_iteration": self.options.max_iter,
            "best": self.best,
            "validation": self.validation,
            "model": self.model.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": torch.get_rng_state(),
        }

    def run(self) -> None:
        """Train to the last iteration; a checkpoint, a validation loss and pictures every ``save_iter`` iterations."""
        self.run_until(self.options.max_iter)

    def run_until(self, end: int) -> int:
        """`run`, but no further than iteration ``end``, where it saves too; gives the iteration reached."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from torch.utils.tensorboard import SummaryWriter

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        folder = str(self.options.checkpoint / "tensorboard")
        speaks = self.processes.rank == 0
        with (
            SummaryWriter(folder, purge_step=self.iteration + 1) if speaks else nullcontext() as board,
            Progress(*columns, disable=not speaks) as progress,
            _interruption() as interrupted,
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
                    stopped = self.processes.anywhere(interrupted.is_set())
                    if self.iteration % self.options.save_iter == 0 or self.iteration in (end, stage.end):
                        self.processes.first_does(partial(self._save, stage, board))
                    elif stopped:
                        self.processes.first_does(self._save_last)
                    if stopped:
                        log.warning("stopped after iteration %d: go on with --resume", self.iteration)
                        # The first process says how the run ended.
                        raise KeyboardInterrupt if speaks else SystemExit
        skipped = self.batches.skipped()
        if skipped:
            log.warning("%d pictures were damaged or under %d pixels, and others were taken", skipped, LEAST_SIDE)
        if self.overflows:
            log.warning("%d batches changed nothing: their gradients were no finite numbers", self.overflows)
        return self.iteration

    def _iterate(self, stage: Stage, batch: Batch) -> dict[str, Tensor]:
        factor = rate_factor(self.iteration, stage, self.options.lr_decay)
        for group in self.optimizer.param_groups:
            share = JOINT_ENCODER_SHARE if stage.name == "joint" and group["side"] == "encoder" else 1.0
            group["lr"] = group["base"] * factor * share
        self.model.train()
        if isinstance(self.model, CompactModel) and self._knows_averages(stage):
            # Statistics of a small batch would be noise, worth twice the encoder's own error.
            self.model.style_encoder.norm.eval()
        self.wrapped_optimizer.zero_grad(set_to_none=True)
        terms: dict[str, Tensor] = self.step(batch, stage.name, self.batches.generator(self.iteration))
        self.fabric.backward(terms["loss"])
        norm = self.fabric.clip_gradients(
            self.step, self.wrapped_optimizer, max_norm=GRADIENT_LIMIT, error_if_nonfinite=False
        )
        assert norm is not None
        # float16 has a scaler, which skips such batches itself and has to hear of them.
        if norm.isfinite() or self.options.precision == "16":
            self.wrapped_optimizer.step()
        else:
            # What is left of nothing but rounding, in a picture of one colour, is amplified by one site after another.
            self.overflows += 1
        self.iteration += 1
        self.average.update(self.model, self.iteration)
        return {name: value.detach() for name, value in terms.items()}

    def _knows_averages(self, stage: Stage) -> bool:
        """Whether the style encoder's normalisation has good averages of its inputs, which no longer change much."""
        if stage.name != "encoder":
            return True
        first = next(other for other in self.stages if other.name == "encoder")
        begins = self.options.start_from is None and stage == first
        return not begins or self.iteration >= (stage.start + stage.end) / 2

    @contextmanager
    def averaged(self) -> Iterator[Model]:
        """The model with its averaged weights, in evaluation mode and without gradients; afterwards it trains on."""
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
            for index, batch in enumerate(self.batches.measuring(banks)):
                # Past the wrapper, which would wait for the other processes.
                with self.fabric.autocast():
                    terms = self.step.module(batch, stage, self.batches.generator(-1 - index))
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(value) / MEASURING_BATCHES
        return sums

    def _validate(self, stage: Stage, board: Any) -> None:
        self.validation = terms = self.measure(self.batches.held_out, stage.name)
        for name, value in terms.items():
            board.add_scalar(f"validation/{name}", value, self.iteration)
        with self.averaged():
            batch = next(self.batches.measuring(self.batches.held_out))
            board.add_image("pictures", self._grid(batch, stage), self.iteration)
        log.info("iteration %d, held-out pictures: %s", self.iteration, {k: round(v, 4) for k, v in terms.items()})

    def _grid(self, batch: Batch, stage: Stage) -> Tensor:
        """Rows of content, style and result, uint8 [3, H, W]."""
        from torchvision.utils import make_grid

        if isinstance(self.model, CompactModel) and stage.name == "frame":
            style = self.model.style_head(self.model.statistics_reader(batch.style_statistics))
        else:
            style = self.model.encode_style(batch.style)
        painted, _ = self.model.stylizer(batch.content, style, batch.strength)
        shown = nn.functional.interpolate(batch.style, batch.content.shape[2:], mode="area")
        rows = torch.cat([batch.content, shown, painted.float().clamp(0, 1)])
        return (make_grid(rows, nrow=len(batch)) * 255).byte().cpu()

    def _save(self, stage: Stage, board: Any) -> None:
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
