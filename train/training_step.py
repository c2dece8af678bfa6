"""The forward pass of an iteration: from a batch to the loss terms of its stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .batches import Batch
from .losses import (
    LossWeights,
    content_loss,
    noisy_window,
    normalized_features,
    out_of_range,
    stillness_loss,
    style_balance,
    style_loss,
    total_variation,
)
from .networks import ClassicModel, CompactModel, Model
from .vgg import CHANNELS, EPSILON, LossNetwork, statistics_vector

RANGE_WEIGHT = 50.0
"""Weight of the penalty on values outside 0..1."""
IMITATION_WEIGHT = 20.0
"""Weight of the difference from the teacher."""
NOISE = 4 / 255
"""Standard deviation of the noise of the stillness loss."""


class TrainingStep(nn.Module):
    """A model with its losses: ``forward`` returns the loss terms of a batch by name, each a scalar.

    The terms of a whole batch are the means over the processes of the terms of their shares.

    Args:
        model: the model that is trained.
        network: the loss network.
        weights: of the losses.
        teacher: the model whose outputs the stage ``distill`` learns.
    """

    def __init__(self, model: Model, network: LossNetwork, weights: LossWeights, teacher: Model | None = None) -> None:
        super().__init__()
        self.teacher = None if teacher is None else teacher.eval().requires_grad_(False)
        self.model = model
        self.network = network
        self.weights = weights

    def forward(self, batch: Batch, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms by name; ``loss`` is the one to minimise, the others are reported."""
        distilled: dict[str, Tensor] = {}
        if isinstance(self.model, ClassicModel):
            style = batch.style_statistics[:, -2 * self.model.site_channels[0] :]
        elif stage == "frame":
            style = self._read_style(self.model, batch.style_statistics)
        elif stage in {"frozen", "distill"}:
            style = self._frozen_style(self.model, batch.style)
        else:
            code = self.model.style_encoder(batch.style).float()
            distilled = self._distill(self.model, code, batch)
            style = self.model.style_head(code)
        if stage == "encoder":
            return distilled
        terms, stylized = self._imitate(batch, style) if stage == "distill" else self._stylize(batch, style)
        if self.weights.identity > 0 and isinstance(self.model, CompactModel):
            terms["identity"] = self._identity(self.model, batch, stage)
            terms["loss"] = terms["loss"] + self.weights.identity * terms["identity"]
        if distilled:
            # Regularises the encoder towards the codes that the frame path was trained with.
            terms["code"] = 0.3 * distilled["loss"]
            terms["loss"] = terms["loss"] + terms["code"]
        if self.weights.stillness > 0:
            terms["stillness"] = self._stillness(batch, style, stylized, generator)
            terms["loss"] = terms["loss"] + self.weights.stillness * terms["stillness"]
        return terms

    @staticmethod
    def _read_style(model: CompactModel, statistics: Tensor) -> Tensor:
        """Style statistics of loss-network statistics."""
        return model.style_head(model.statistics_reader(statistics))

    @staticmethod
    def _frozen_style(model: CompactModel, images: Tensor) -> Tensor:
        """Style statistics of images, by a style encoder that is not trained."""
        with torch.no_grad():
            code = model.style_encoder(images).float()
        return model.style_head(code)

    def _imitate(self, batch: Batch, style: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Distillation of the frame path: the difference from the teacher's outputs, and the stylized crops."""
        assert self.teacher is not None
        with torch.no_grad():
            wanted = self.teacher.stylizer(batch.content, self.teacher.encode_style(batch.style), batch.strength)[0]
        stylized = self.model.stylizer(batch.content, style, batch.strength)[0].float()
        # Colours count beside details: the mean of a patch is learned before its strokes.
        difference = stylized - wanted.float().clamp(0, 1)
        imitation = difference.abs().mean() + nn.functional.avg_pool2d(difference, 8).abs().mean()
        excess = out_of_range(stylized).mean()
        loss = IMITATION_WEIGHT * imitation + RANGE_WEIGHT * excess
        return {"loss": loss, "imitation": imitation, "excess": excess}, stylized

    def _identity(self, model: CompactModel, batch: Batch, stage: str) -> Tensor:
        """The mean absolute difference from the content where the content is its own style (Park & Lee 2019)."""
        if stage == "frame":
            style = self._read_style(model, batch.content_statistics)
        else:
            style = self._frozen_style(model, batch.content)
        again = model.stylizer(batch.content, style, torch.ones_like(batch.strength))[0].float()
        return (again - batch.content).abs().mean()

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
            content = kept = content_loss(features["relu4_1"], goal)
            content_factor = torch.ones_like(strength)
        else:
            given, goal = features["relu4_1"], batch.content_features
            content = kept = content_loss(given, goal)
            if self.weights.normalized_content:
                kept = content_loss(normalized_features(given), normalized_features(goal))
            # At strength 0 the network has to reproduce the content, so its weight rises as the strength falls.
            content_factor = 1 + 2 * (1 - strength)
        styled = style_loss(features, target)
        counted = self._counted_style(styled, shown, target, batch)
        pixel = (1 - strength) ** 2 * (stylized - batch.content).abs().mean(dim=(1, 2, 3))
        variation = total_variation(stylized)
        weights = self.weights
        loss = (
            weights.content * (content_factor * kept).mean()
            # The small constant keeps the gradient of a power below 1 finite at 0.
            + weights.style * (counted + 1e-3).pow(weights.style_power).mean()
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

    def _counted_style(self, styled: Tensor, shown: Tensor, target: Tensor, batch: Batch) -> Tensor:
        """The style loss of each pair as it counts in the sum: at all octaves, and balanced."""
        weights = self.weights
        levels = [styled]
        for level in range(1, weights.style_octaves):
            small, style = (nn.functional.avg_pool2d(x, 2**level) for x in (shown, batch.style))
            with torch.no_grad():
                wanted = statistics_vector(self.network(style))
            at_level = style_loss(self.network(small), wanted)
            # Between content and style the target is known at full size alone.
            levels.append(torch.where(batch.strength == 1, at_level, styled))
        counted = torch.stack(levels).mean(0)
        if weights.balanced_style:
            channels = [count // self.network.divisor for count in CHANNELS.values()]
            counted = counted / style_balance(target, channels)
        return counted

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
