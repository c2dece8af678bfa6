"""The forward pass of an iteration: from a batch to the loss terms of its stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .batches import Batch
from .losses import (
    LossWeights,
    content_loss,
    noisy_window,
    out_of_range,
    stillness_loss,
    style_loss,
    total_variation,
)
from .networks import ClassicModel, CompactModel, Model
from .vgg import EPSILON, LossNetwork

RANGE_WEIGHT = 50.0
"""Weight of the penalty on values outside 0..1."""
NOISE = 4 / 255
"""Standard deviation of the noise of the stillness loss."""


class TrainingStep(nn.Module):
    """A model with its losses: ``forward`` returns the loss terms of a batch by name, each a scalar.

    The terms of a whole batch are the means over the processes of the terms of their shares.
    """

    def __init__(self, model: Model, network: LossNetwork, weights: LossWeights) -> None:
        super().__init__()
        self.model = model
        self.network = network
        self.weights = weights

    def forward(self, batch: Batch, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms by name; ``loss`` is the one to minimise, the others are reported."""
        distilled: dict[str, Tensor] = {}
        if isinstance(self.model, ClassicModel):
            style = batch.style_statistics[:, -2 * self.model.site_channels[0] :]
        elif stage == "frame":
            style = self.model.style_head(self.model.statistics_reader(batch.style_statistics))
        else:
            code = self.model.style_encoder(batch.style).float()
            distilled = self._distill(self.model, code, batch)
            style = self.model.style_head(code)
        if stage == "encoder":
            return distilled
        terms, stylized = self._stylize(batch, style)
        if distilled:
            # Regularises the encoder towards the codes that the frame path was trained with.
            terms["code"] = 0.3 * distilled["loss"]
            terms["loss"] = terms["loss"] + terms["code"]
        if self.weights.stillness > 0:
            terms["stillness"] = self._stillness(batch, style, stylized, generator)
            terms["loss"] = terms["loss"] + self.weights.stillness * terms["stillness"]
        return terms

    def _distill(self, model: CompactModel, guess: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Distillation (Hinton et al. 2015): the style encoder is to give the codes of the statistics reader."""
        with torch.no_grad():
            code = model.statistics_reader(batch.style_statistics)
            target = model.style_head(code)
        in_code = (guess - code).square().mean()
        # Detached: the head only measures here. Trained on this loss, it could make every difference small.
        head = {name: p.detach() for name, p in model.style_head.named_parameters()}
        in_sites = (torch.func.functional_call(model.style_head, head, guess) - target).square().mean()
        return {"loss": in_code + 4 * in_sites, "code error": in_code, "site error": in_sites}

    def _stylize(self, batch: Batch, style: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """All loss terms but stillness, and the stylized crops, float [n, 3, crop, crop], not clamped."""
        stylized, _ = self.model.stylizer(batch.content, style, batch.strength)
        stylized = stylized.float()
        excess = out_of_range(stylized).mean()
        # Straight-through estimator: values are clamped, gradients pass as if they were not.
        shown = stylized + (stylized.clamp(0, 1) - stylized).detach()
        features = self.network(shown)
        strength = batch.strength
        target = torch.lerp(batch.content_statistics, batch.style_statistics, strength[:, None])
        full = strength == 1
        if isinstance(self.model, ClassicModel):
            # As in the paper: the AdaIN output is the content target, and only the decoder is trained.
            goal = adain_target(batch.content_features, style, strength)
            content = content_loss(features["relu4_1"], goal)
            content_factor = torch.ones_like(strength)
        else:
            content = content_loss(features["relu4_1"], batch.content_features)
            # At strength 0 the network has to reproduce the content, so its weight rises as the strength falls.
            content_factor = 1 + 2 * (1 - strength)
        styled = style_loss(features, target)
        pixel = (1 - strength) ** 2 * (stylized - batch.content).abs().mean(dim=(1, 2, 3))
        variation = total_variation(stylized)
        weights = self.weights
        loss = (
            weights.content * (content_factor * content).mean()
            # The small constant keeps the gradient of a power below 1 finite at 0.
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
        return terms, stylized

    def _stillness(self, batch: Batch, style: Tensor, stylized: Tensor, generator: torch.Generator) -> Tensor:
        """The difference between a noisy window of the content, stylized by itself, and that window of ``stylized``."""
        margin, whole = self.model.stylizer.multiple, len(batch.strengths)
        window, place = noisy_window(batch.content, NOISE, generator, margin, whole, batch.first)
        again = self.model.stylizer(window, style, batch.strength)[0].float()
        return stillness_loss(stylized, again, place)


def adain_target(features: Tensor, style: Tensor, strength: Tensor) -> Tensor:
    """The AdaIN output that the paper's decoder is trained to invert: content features with the style's statistics.

    Args:
        features: relu4_1 of the content, [N, C, h, w].
        style: channel means, then deviations, of relu4_1 of the style, [N, 2 C].
        strength: [N] in 0..1; 0 returns the content features.
    """
    features = features.float()
    mean = features.mean(dim=(2, 3), keepdim=True)
    deviation = (features.var(dim=(2, 3), keepdim=True) + EPSILON).sqrt()
    channels = features.shape[1]
    moved = (features - mean) / deviation * style[:, channels:, None, None] + style[:, :channels, None, None]
    return torch.lerp(features, moved, strength[:, None, None, None])
