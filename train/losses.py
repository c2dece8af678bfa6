"""The losses of AdaIN (Huang & Belongie 2017), and what else training asks for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .vgg import channel_statistics, split_statistics


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts in the sum; see the functions of this module."""

    content: float = 1.0
    style: float = 5.0
    tv: float = 0.0
    stillness: float = 0.0


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of relu4_1, one value a picture: [N]."""
    return (features.float() - target.float()).square().mean(dim=(1, 2, 3))


def style_loss(features: dict[str, Tensor], target: Tensor) -> Tensor:
    """Sum over the taps of the mean squared differences of channel means and deviations, one a picture: [N].

    Args:
        features: of the output, by tap name.
        target: `statistics_vector` of the style picture, [N, 1920].
    """
    total = torch.zeros(target.shape[0], device=target.device)
    for name, (mean, deviation) in split_statistics(target).items():
        own_mean, own_deviation = channel_statistics(features[name])
        total = total + (own_mean - mean).square().mean(1) + (own_deviation - deviation).square().mean(1)
    return total


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, one value a picture: [N]."""
    across = (images[..., :, 1:] - images[..., :, :-1]).square().mean(dim=(1, 2, 3))
    down = (images[..., 1:, :] - images[..., :-1, :]).square().mean(dim=(1, 2, 3))
    return across + down


def out_of_range(images: Tensor) -> Tensor:
    """Mean square of what 0..1 cuts off, one value a picture: [N]."""
    return (images - images.clamp(0, 1)).square().mean(dim=(1, 2, 3))


def shifted_pair(
    images: Tensor,
    shift: tuple[int, int],
    noise: float,
    generator: torch.Generator,
    margin: int,
    batch_size: int,
    first: int,
) -> tuple[Tensor, Tensor]:
    """Two noisy windows of the same pictures, ``shift`` pixels apart, ``margin`` pixels smaller each way.

    Args:
        images: float [N, 3, H, W] in 0..1.
        shift: rows and columns, each from -``margin`` to ``margin``.
        noise: standard deviation of the noise of each window, in 0..1.
        generator: of the noise.
        margin: in pixels.
        batch_size: pairs of the whole batch, for which the noise is drawn.
        first: place of the first of ``images`` in the whole batch.
    """
    height, width = images.shape[2] - margin, images.shape[3] - margin
    windows = []
    for row, column in ((max(0, -shift[0]), max(0, -shift[1])), (max(0, shift[0]), max(0, shift[1]))):
        window = images[:, :, row : row + height, column : column + width]
        random = torch.randn((batch_size, *window.shape[1:]), generator=generator)[first : first + len(images)]
        windows.append(window + noise * random.to(window.device))
    return windows[0], windows[1]


def stillness_loss(first: Tensor, second: Tensor, shift: tuple[int, int], border: int = 4) -> Tensor:
    """Mean absolute difference of two outputs of `shifted_pair` where they show the same thing, a scalar.

    Args:
        first, second: outputs for the two windows, float [N, 3, H, W] in 0..1.
        shift: as given to `shifted_pair`.
        border: rows and columns at the rim that are left out, since mirrored borders differ.
    """
    rows, columns = shift
    height, width = first.shape[2:]
    a = first[:, :, max(0, rows) : height + min(0, rows), max(0, columns) : width + min(0, columns)]
    b = second[:, :, max(0, -rows) : height + min(0, -rows), max(0, -columns) : width + min(0, -columns)]
    inner = slice(border, -border)
    return F.l1_loss(a[:, :, inner, inner], b[:, :, inner, inner])
