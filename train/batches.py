"""Batches of content and style crops with their loss-network features, numbered so that a run resumes exactly."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from livestyle.errors import LivestyleError

from .data import CropSource, FeatureBank, choose, find_images, split_held_out, to_float
from .options import TrainingOptions
from .processes import Processes
from .vgg import LossNetwork, statistics_vector

if TYPE_CHECKING:
    from lightning.fabric import Fabric

NORMALIZATION_CROPS = 64
"""Content crops over which torchvision's VGG-19 is normalised."""
VALIDATION_BATCHES = 8
STYLE_SEED = 1 << 32
"""Added to the seed of the run for style crops."""
VIVID_SHARE = 0.25
"""Share of the style crops whose contrast and saturation are raised, see `CropSource`."""

log = logging.getLogger(__name__)


@dataclass
class Batch:
    """One process's share of a batch: float RGB crops in 0..1, with features and statistics of the loss network.

    Attributes:
        content: [n, 3, crop, crop].
        content_features: relu4_1 of the content crops, [n, 512, crop / 8, crop / 8].
        content_statistics: `statistics_vector` of the content crops, [n, 1920].
        style: [n, 3, style_crop, style_crop].
        style_statistics: `statistics_vector` of the style crops, [n, 1920].
        strengths: style strengths in 0..1 of the whole batch, which all processes share.
        first: index in the whole batch of this process's first pair.
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
        """Style strengths of this process's pairs, [n]."""
        return self.strengths[self.first : self.first + len(self)]


@dataclass(frozen=True)
class ImageSources:
    """The crop sources of a run, by kind (``content``, ``style``)."""

    training: dict[str, CropSource]
    held_out: dict[str, CropSource]

    @classmethod
    def find(cls, options: TrainingOptions) -> ImageSources:
        """The sources over the images of the paths in the options.

        Raises:
            LivestyleError: see `find_images`.
        """
        sources = cls({}, {})
        for kind, paths, size, zoom in (
            ("content", options.content_path, options.crop, (0.5, 1.6)),
            ("style", options.style_path, options.style_crop, (0.6, 1.5)),
        ):
            images, held = split_held_out(find_images(paths))
            if options.pictures:
                images = choose(images, options.pictures, options.seed)
            # With one seed for both, equally many images of each kind would form the same pairs in every epoch.
            seed = options.seed + (kind == "style") * STYLE_SEED
            vivid = VIVID_SHARE if kind == "style" else 0.0
            sources.training[kind] = CropSource(images, size, zoom, seed, recolor=kind == "style", vivid=vivid)
            sources.held_out[kind] = CropSource(held, size, zoom, options.seed)
            log.info("%s: %d pictures, %d held out", kind, len(images), len(held))
        return sources


class Batches:
    """The batches of a run: batch ``n`` is the same in every run with the same options.

    With ``--cache``, batches are drawn from feature banks, which are computed once; without, crops are fresh and their
    features are computed for each batch.
    """

    def __init__(
        self,
        options: TrainingOptions,
        sources: ImageSources,
        network: LossNetwork,
        fabric: Fabric,
        processes: Processes,
    ) -> None:
        self.options = options
        self.network = network
        self.fabric = fabric
        self.device = device = fabric.device
        self.processes = processes
        self.sources = sources.training
        self.share = processes.share(options.batch_size)
        if options.vgg_weights is None:
            crops = self.sources["content"].crops(range(NORMALIZATION_CROPS))
            network.normalize(to_float(torch.stack(list(crops)), device))
        self._network_checksum = sha256(network.state_dict()["layers.29.weight"].cpu().numpy().tobytes()).hexdigest()
        kinds = ("content", "style")
        held = VALIDATION_BATCHES * options.batch_size
        self.held_out = {k: self._bank(sources.held_out[k], held, f"held-out-{k}") for k in kinds}
        self.banks: dict[str, FeatureBank] = {}
        if options.cache:
            self.banks = {
                k: self._bank(self.sources[k], options.cache * len(self.sources[k].images), k).to_gpu_if_it_fits(device)
                for k in kinds
            }

    def _bank(self, source: CropSource, count: int, name: str) -> FeatureBank:
        """The feature bank of a source, read from its file if one was built from the same images and settings."""
        # Changing what is hashed here makes every run compute its banks again.
        built_from = repr((
            [(image.name, image.size) for image in source.images],
            (source.size, source.zoom, source.seed, source.recolor, source.vivid, count),
            (self._network_checksum, self.options.precision),
        ))  # fmt: skip
        folder = self.options.features or self.options.checkpoint
        path = folder / f"{name}-{sha256(built_from.encode()).hexdigest()[:16]}.bank.pt"
        content = "content" in name

        def build() -> None:
            if not path.is_file():
                bank = FeatureBank.build(
                    source, range(count), self.network, self.device, content=content, autocast=self.fabric.autocast
                )
                bank.save(path)

        self.processes.run_on_first(build)
        if not path.is_file():
            raise LivestyleError(f"{path} is not here: {folder} has to be a folder that all machines share")
        return FeatureBank.load(path)

    def iterate(self, start: int, end: int) -> Iterator[Batch]:
        """This process's shares of the batches from ``start`` up to but not including ``end``."""
        size = self.options.batch_size
        if self.banks:
            for step in range(start, end):
                random = self._generator(step)
                picks = [
                    torch.randint(len(self.banks[kind].crops), (size,), generator=random)[self.share]
                    for kind in ("content", "style")
                ]
                yield self._from_banks(self.banks, picks, self._strengths(random), self.share.start)
            return
        own = range(size)[self.share]
        numbers = [step * size + place for step in range(start, end) for place in own]
        threads = self.options.workers
        streams = [self.sources[kind].crops(numbers, threads) for kind in ("content", "style")]
        for step in range(start, end):
            crops = [torch.stack([next(stream) for _ in own]) for stream in streams]
            yield self._computed(crops[0], crops[1], self._strengths(self._generator(step)), self.share.start)

    def validation(self, banks: dict[str, FeatureBank]) -> Iterator[Batch]:
        """`VALIDATION_BATCHES` whole batches of a content and a style bank at full strength, always the same ones."""
        size = self.options.batch_size
        for index in range(VALIDATION_BATCHES):
            pick = torch.arange(index * size, (index + 1) * size)
            picks = [pick % len(banks[kind].crops) for kind in ("content", "style")]
            yield self._from_banks(banks, picks, torch.ones(size), 0)

    def generator(self, step: int) -> torch.Generator:
        """The random generator of an iteration, for all that is random but the choice of the batch."""
        return self._generator(step + (1 << 40))

    def skipped(self) -> int:
        """The number of damaged and tiny images met so far by any process; a collective call."""
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
