"""The losses of AdaIN (Huang & Belongie 2017), and what else training asks for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .vgg import channel_statistics, split_statistics


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts in the sum; see the functions of this module.

    Every pair's style loss is raised to ``style_power`` first: below 1, pairs that are nearly right count for more, and
    those that cannot be for less.
    """

    content: float = 1.0
    style: float = 5.0
    tv: float = 0.0
    stillness: float = 0.0
    style_power: float = 1.0


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


def noisy_window(
    images: Tensor, noise: float, generator: torch.Generator, margin: int, batch_size: int, first: int
) -> tuple[Tensor, tuple[int, int]]:
    """A window of pictures at a random place, with noise, and its place as (row, column).

    Args:
        images: float [N, 3, H, W] in 0..1.
        noise: standard deviation of the noise, in 0..1.
        generator: of place and noise.
        margin: how many rows and columns the window has less than the pictures, in pixels.
        batch_size: pairs of the whole batch, for which the noise is drawn.
        first: place of the first of ``images`` in the whole batch.
    """
    row, column = (int(v) for v in torch.randint(margin + 1, (2,), generator=generator))
    height, width = images.shape[2] - margin, images.shape[3] - margin
    window = images[:, :, row : row + height, column : column + width]
    if window.device.type != "cpu":
        # A GPU would wait for so many random numbers of the CPU.
        generator = torch.Generator(window.device).manual_seed(generator.initial_seed())
    random = torch.randn((batch_size, *window.shape[1:]), generator=generator, device=window.device)
    return window + noise * random[first : first + len(images)], (row, column)


def stillness_loss(whole: Tensor, window: Tensor, place: tuple[int, int], border: int = 4) -> Tensor:
    """Mean absolute difference of two paintings where they show the same thing, a scalar.

    Args:
        whole: of the pictures, float [N, 3, H, W] in 0..1.
        window: of a window of them.
        place: row and column of the window.
        border: rows and columns at the window's rim that are left out, since mirrored borders differ.
    """
    (row, column), (height, width) = place, window.shape[2:]
    same = whole[:, :, row : row + height, column : column + width]
    inner = slice(border, -border)
    return F.l1_loss(window[:, :, inner, inner], same[:, :, inner, inner])
