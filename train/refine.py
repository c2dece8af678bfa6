"""Refinement of a style: its statistics optimised against the losses, with all networks as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from livestyle.engine.model import package_folder
from livestyle.engine.style import scale_style_image
from livestyle.errors import LivestyleError

from .checkpoints import load_model
from .data import CropSource, find_images, random_crop, to_float
from .losses import content_loss, noisy_window, stillness_loss, style_loss
from .networks import CompactModel
from .options import choose_device
from .training_step import NOISE
from .vgg import LossNetwork, statistics_vector

STYLE_WEIGHT, STILLNESS_WEIGHT = 8.0, 220.0
"""Weights of the style loss and of flicker, see `stillness_loss`; that of the content loss is 1."""
MOST_CONTENT = 1.1
"""Content loss that refined statistics may have on the held-out crops, as a multiple of the encoder's: the optimum of
harsh styles costs faces more than it gains."""
LEARNING_RATE = 0.05
ZOOM = (0.5, 1.6)

Progress = Callable[[float], None]
"""Called with the share that is done, 0..1."""


@dataclass(frozen=True)
class Effort:
    """What a refinement may cost.

    Attributes:
        crop: side of the content crops in pixels.
        batch_size: crops of a step.
        steps: of the optimiser, at most.
        seconds: after which the steps end, wherever they are; about 20 more go into networks and features.
        trained: crops that the statistics are optimised on.
        held_out: crops that the gain is measured on.
    """

    crop: int = 192
    batch_size: int = 4
    steps: int = 100
    seconds: float = 100.0
    trained: int = 40
    held_out: int = 8


@dataclass(frozen=True)
class Refined:
    """Style statistics of an image before and after refinement, and their losses on held-out content crops.

    Attributes:
        values: the better statistics of the two, float32 [S].
        style, content: losses with the encoder's statistics, then with ``values``.
    """

    values: np.ndarray
    style: tuple[float, float]
    content: tuple[float, float]


class Refiner:
    """Optimiser of style statistics for a model, on crops of contents.

    A style encoder answers in one pass for every style there is. For a single one there is a better answer: the
    minimum of the losses over the statistics alone, which costs frames nothing.

    Args:
        model: a model folder, or the name of one that ships.
        vgg_weights: see `LossNetwork`.
        content: folders or tar files of photographs; none takes the bundled clip.
        device: ``auto``, ``cpu`` or ``cuda``.
        effort: that each style is worth.

    Raises:
        LivestyleError: a file cannot be read, or the model's statistics are those of the loss network itself
            (``classic``).
    """

    def __init__(
        self,
        model: Path,
        vgg_weights: Path | None = None,
        content: Sequence[Path] = (),
        device: str = "auto",
        effort: Effort | None = None,
    ) -> None:
        self.effort = effort or Effort()
        self.device = choose_device(device)
        network = LossNetwork(vgg_weights)
        loaded, _ = load_model(model, network.divisor)
        if not isinstance(loaded, CompactModel):
            raise LivestyleError("a style of this architecture is the statistics of VGG-19: there is nothing to refine")
        self.model = loaded.to(self.device).to(memory_format=torch.channels_last).requires_grad_(False)
        crops = to_float(torch.stack(content_crops(content, self.effort)), self.device)
        if vgg_weights is None:
            network.normalize(crops)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.contents = crops
        with torch.inference_mode(), self._autocast():
            self.features = torch.cat([self.network(crop)["relu4_1"] for crop in crops.split(self.effort.batch_size)])

    def refine(self, image: np.ndarray, progress: Progress | None = None) -> Refined:
        """Refined statistics of a style image; never worse than the encoder's on the held-out crops.

        Args:
            image: uint8 [H, W, 3] BGR, of any size.
            progress: told how far it is; the learning rate falls to zero until the end.
        """
        pixels = torch.from_numpy(np.ascontiguousarray(scale_style_image(image)[:, :, ::-1]))
        effort = self.effort
        style_image = to_float(pixels.permute(2, 0, 1)[None], self.device)
        with torch.inference_mode():
            first = self.model.encode_style(style_image)[0].float().cpu()
            target = statistics_vector(self.network(style_image))
        # Clones: inference tensors take no part in autograd.
        first, target = first.clone().to(self.device), target.clone()
        mean, deviation = self._parts(first)
        change = torch.zeros(2, len(mean), device=self.device, requires_grad=True)
        optimizer = torch.optim.Adam([change], lr=LEARNING_RATE, betas=(0.9, 0.99))
        random = torch.Generator().manual_seed(1)
        start, done = time.perf_counter(), 0.0
        step = 0
        while done < 1:
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1 - done)
            picks = torch.randint(effort.trained, (effort.batch_size,), generator=random)
            # Relative to its deviation, each statistic has the same scale.
            values = self._joined(mean + deviation * change[0], deviation * change[1].exp())
            stylized = self._paint(self.contents[picks], values)
            styled, kept = self._losses(stylized, target, picks)
            window, place = noisy_window(
                self.contents[picks], NOISE, random, self.model.stylizer.multiple, effort.batch_size, first=0
            )
            flicker = stillness_loss(stylized, self._paint(window, values), place)
            optimizer.zero_grad(set_to_none=True)
            (STYLE_WEIGHT * styled + kept + STILLNESS_WEIGHT * flicker).backward()
            optimizer.step()
            step += 1
            done = min(1.0, max(step / effort.steps, (time.perf_counter() - start) / effort.seconds))
            if progress is not None:
                progress(done)
        with torch.inference_mode():
            values = self._joined(mean + deviation * change[0], deviation * change[1].exp())
            before, after = (self._held_out(v, target) for v in (first, values))
            values, after = self._limited(first, values, before, after, target)
        # Negated, so that NaN is no gain.
        if not STYLE_WEIGHT * after[0] + after[1] < STYLE_WEIGHT * before[0] + before[1]:
            values, after = first, before
        return Refined(values.cpu().numpy(), (before[0], after[0]), (before[1], after[1]))

    def _limited(
        self, first: Tensor, last: Tensor, before: tuple[float, float], after: tuple[float, float], target: Tensor
    ) -> tuple[Tensor, tuple[float, float]]:
        """Statistics as far on the way from ``first`` to ``last`` as `MOST_CONTENT` allows, and their losses."""
        values, share = last, 1.0
        while after[1] > MOST_CONTENT * before[1] and share > 0.1:
            # Linear interpolation, and a little less, so that few rounds are enough.
            share *= max(0.5, 0.95 * (MOST_CONTENT - 1) * before[1] / (after[1] - before[1]))
            values = torch.lerp(first, last, share)
            after = self._held_out(values, target)
        return values, after

    def _parts(self, stats: Tensor) -> tuple[Tensor, Tensor]:
        """Style statistics as the means of all sites, and their deviations."""
        parts = stats.split([count for count in self.model.site_channels for _ in range(2)])
        return torch.cat(parts[::2]), torch.cat(parts[1::2])

    def _joined(self, mean: Tensor, deviation: Tensor) -> Tensor:
        means, deviations = (part.split(self.model.site_channels) for part in (mean, deviation))
        return torch.cat([part for pair in zip(means, deviations, strict=True) for part in pair])

    def _paint(self, frames: Tensor, stats: Tensor) -> Tensor:
        with self._autocast():
            stylized: Tensor = self.model.stylizer(frames, stats, torch.ones(len(frames), device=self.device))[0]
        return stylized.float()

    def _losses(self, stylized: Tensor, target: Tensor, picks: Tensor) -> tuple[Tensor, Tensor]:
        """Mean style and content loss of content crops, stylized."""
        with self._autocast():
            taps = self.network(stylized.clamp(0, 1))
        styled = style_loss(taps, target.expand(len(picks), -1))
        return styled.mean(), content_loss(taps["relu4_1"], self.features[picks]).mean()

    def _held_out(self, stats: Tensor, target: Tensor) -> tuple[float, float]:
        effort = self.effort
        crops = torch.arange(effort.trained, effort.trained + effort.held_out)
        losses = [
            self._losses(self._paint(self.contents[picks], stats), target, picks)
            for picks in crops.split(effort.batch_size)
        ]
        style, content = torch.tensor(losses).mean(0).tolist()
        return style, content

    def _autocast(self) -> torch.autocast:
        has_bf16 = self.device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=has_bf16)


def content_crops(paths: Sequence[Path], effort: Effort) -> list[Tensor]:
    """Content crops, uint8 [3, crop, crop] RGB: ``trained`` to optimise on, and then ``held_out`` of other pictures.

    Without paths they are of the bundled clip, with colours exchanged, and the last ones are of its last frames.
    """
    if paths:
        images = find_images(paths)
        last = max(1, len(images) * effort.held_out // (effort.trained + effort.held_out))
        parts = [(images[:-last] or images, effort.trained), (images[-last:], effort.held_out)]
        return [c for some, count in parts for c in CropSource(some, effort.crop, ZOOM, seed=1).crops(range(count), 2)]
    capture = cv2.VideoCapture(str(package_folder("assets") / "demo.mp4"))
    frames: list[np.ndarray] = []
    while (read := capture.read())[0]:
        frames.append(read[1][:, :, ::-1])
    if not frames:
        raise LivestyleError("the bundled clip cannot be read: name a folder of photographs", setting="contents")
    rng = np.random.default_rng(1)
    crops: list[Tensor] = []
    for place in np.linspace(0, len(frames) - 1, effort.trained + effort.held_out):
        crop = random_crop(Image.fromarray(frames[int(place)]), effort.crop, rng, ZOOM)
        crops.append(crop[torch.from_numpy(rng.permutation(3))] if rng.random() < 0.5 else crop)
    return crops
