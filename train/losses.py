"""The losses: content and style of AdaIN (Huang & Belongie 2017), total variation, range and stillness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .vgg import TAPS, channel_statistics, split_statistics

USUAL_ENERGY = 27.0
"""Mean over styles of the sum over taps of their statistics' mean squares."""
LEAST_DEVIATION = 0.1
"""Added to the deviations that features are normalised by: most channels are silent on most images."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses in the sum that is minimised; each is described by the function of its name.

    The style loss of each pair is first raised to ``style_power``. A power below 1 shifts weight from pairs with a high
    style loss to pairs with a low one.

    Attributes:
        style_octaves: sizes at which the style loss is taken, each half of the one before: 3 is 1, 1/2 and 1/4. Their
            mean counts.
        balanced_style: divide the style loss of each pair by `style_balance`.
        normalized_content: content loss on features whose channels are normalised, as in `normalized_features`.
        identity: weight of the difference from the content where the content is its own style.
    """

    content: float = 1.0
    style: float = 5.0
    tv: float = 0.0
    stillness: float = 0.0
    style_power: float = 1.0
    style_octaves: int = 1
    balanced_style: bool = False
    normalized_content: bool = False
    identity: float = 0.0


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of relu4_1, one value per image: [N]."""
    return (features.float() - target.float()).square().mean(dim=(1, 2, 3))


def style_loss(features: dict[str, Tensor], target: Tensor) -> Tensor:
    """Sum over the taps of the mean squared differences of channel means and deviations, one value per image: [N].

    Args:
        features: of the stylized images, by tap name.
        target: `statistics_vector` of the style images, [N, 1920] for VGG-19.
    """
    total = torch.zeros(target.shape[0], device=target.device)
    channels = [features[name].shape[1] for name in TAPS]
    for name, (mean, deviation) in split_statistics(target, channels).items():
        own_mean, own_deviation = channel_statistics(features[name])
        total = total + (own_mean - mean).square().mean(1) + (own_deviation - deviation).square().mean(1)
    return total


def style_balance(target: Tensor, channels: Sequence[int]) -> Tensor:
    """The scale of style losses for a style, relative to a style of `USUAL_ENERGY`, one value per image: [N].

    After the balanced loss of Cheng et al. (2021, "Style-aware normalized loss"): the style loss grows with the square
    of a style's statistics, so that without it a few harsh styles decide what is learned.

    Args:
        target: as for `style_loss`.
        channels: of the taps.
    """
    parts = split_statistics(target, channels).values()
    energy = sum(mean.square().mean(1) + deviation.square().mean(1) for mean, deviation in parts)
    assert isinstance(energy, Tensor)
    return energy / USUAL_ENERGY


def normalized_features(features: Tensor) -> Tensor:
    """Features with mean 0 and deviation 1 in each channel of each image, where content does not fight style."""
    mean, deviation = channel_statistics(features)
    return (features.float() - mean[:, :, None, None]) / (deviation[:, :, None, None] + LEAST_DEVIATION)


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, one value per image: [N]."""
    across = (images[..., :, 1:] - images[..., :, :-1]).square().mean(dim=(1, 2, 3))
    down = (images[..., 1:, :] - images[..., :-1, :]).square().mean(dim=(1, 2, 3))
    return across + down


def out_of_range(images: Tensor) -> Tensor:
    """Mean square of the excess over 0..1, one value per image: [N]."""
    return (images - images.clamp(0, 1)).square().mean(dim=(1, 2, 3))


def noisy_window(
    images: Tensor, noise: float, generator: torch.Generator, margin: int, batch_size: int, first: int
) -> tuple[Tensor, tuple[int, int]]:
    """A window of images at a random place with Gaussian noise, and its place as (row, column).

    Args:
        images: float [N, 3, H, W] in 0..1.
        noise: standard deviation of the noise, in 0..1.
        generator: random generator of place and noise.
        margin: by how many pixels the window is smaller than the images, in height and in width.
        batch_size: size of the whole batch, for which the noise is drawn, so that it does not depend on the processes.
        first: index in the whole batch of the first of ``images``.
    """
    row, column = (int(v) for v in torch.randint(margin + 1, (2,), generator=generator))
    height, width = images.shape[2] - margin, images.shape[3] - margin
    window = images[:, :, row : row + height, column : column + width]
    if window.device.type != "cpu":
        # Drawn on the GPU, which would otherwise wait for the CPU to draw and copy that many numbers.
        generator = torch.Generator(window.device).manual_seed(generator.initial_seed())
    random = torch.randn((batch_size, *window.shape[1:]), generator=generator, device=window.device)
    return window + noise * random[first : first + len(images)], (row, column)


def stillness_loss(whole: Tensor, window: Tensor, place: tuple[int, int], border: int = 4) -> Tensor:
    """Mean absolute difference of stylized images and a stylized window of them, where they overlap: a scalar.

    A low stillness loss means little flicker: the output ignores noise, and follows the content when it moves.

    Args:
        whole: the stylized images, float [N, 3, H, W] in 0..1.
        window: the stylized window, as `noisy_window` cuts it out.
        place: row and column of the window.
        border: pixels left out along the window's edges, where the padding makes a difference.
    """
    (row, column), (height, width) = place, window.shape[2:]
    same = whole[:, :, row : row + height, column : column + width]
    inner = slice(border, -border)
    return F.l1_loss(window[:, :, inner, inner], same[:, :, inner, inner])
