"""Demodulated sites: convolutions whose outputs take a style's statistics without measuring the frame.

AdaIN divides each channel by its deviation in the frame. Weight demodulation (Karras et al. 2020, StyleGAN2) divides it
by the deviation that is expected from the weights and from the statistics of the input, which are known since a site
before gave them. So scale and shift are constants of weights and style: nothing flickers with the frame, faint frames
are not stretched, and the blobs that instance normalisation provokes have no cause.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .adain import SitePass
from .layers import ReflectConv

EXPECTED_EPSILON = 1e-4


@dataclass(frozen=True)
class Expected:
    """Channel means and variances that a tensor is expected to have, float32 [..., C] each.

    Channels are taken as Gaussian, white in space and independent of each other. They are not; what that misses is a
    factor for each channel, which the style's deviations learn.
    """

    mean: Tensor
    variance: Tensor

    @classmethod
    def of_target(cls, target: Tensor) -> Expected:
        """The moments of a site's output: ``target`` is its means, then deviations, [..., 2 C]."""
        mean, deviation = target.chunk(2, dim=-1)
        return cls(mean, deviation * deviation)

    def __add__(self, other: Expected) -> Expected:
        return Expected(self.mean + other.mean, self.variance + other.variance)

    def relu(self) -> Expected:
        """The moments of the positive part of a Gaussian."""
        deviation = (self.variance + EXPECTED_EPSILON).sqrt()
        ratio = self.mean / deviation
        share = 0.5 * (1 + torch.erf(ratio * math.sqrt(0.5)))
        density = torch.exp(-0.5 * ratio * ratio) / math.sqrt(2 * math.pi)
        mean = self.mean * share + deviation * density
        square = (self.mean * self.mean + deviation * deviation) * share + self.mean * deviation * density
        return Expected(mean, (square - mean * mean).clamp(min=0))

    def through(self, conv: nn.Conv2d) -> Expected:
        """The moments of the output of a convolution without bias."""
        weight = conv.weight.float()
        # Not matrix products, which autocast would compute in half precision.
        mean = (self.mean[..., None, :] * weight.sum(dim=(2, 3))).sum(-1)
        return Expected(mean, (self.variance[..., None, :] * weight.square().sum(dim=(2, 3))).sum(-1))


class MeasuredConv(nn.Module):
    """A convolution with an AdaIN site behind it, which measures the frame; the alternative to `DemodulatedConv`."""

    def __init__(self, layer: ReflectConv) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, sites: SitePass, _: Expected) -> tuple[Tensor, Expected]:
        """As `DemodulatedConv.forward`."""
        y, target = sites.measured(self.layer(x))
        return y, Expected.of_target(target)


class DemodulatedConv(nn.Module):
    """A convolution with a demodulated site behind it.

    Attributes:
        layer: the convolution, without bias, since the site sets the mean.
        neutral: means, then deviations, of the site at strength 0, [2 C]. An AdaIN site re-applies the content's
            statistics there; this one has none, so what leaves the content as it is has to be learned.
    """

    def __init__(self, layer: ReflectConv) -> None:
        super().__init__()
        self.layer = layer
        channels = layer.conv.out_channels
        self.neutral = nn.Parameter(torch.cat([torch.zeros(channels), torch.ones(channels)]))

    def forward(self, x: Tensor, sites: SitePass, expected: Expected) -> tuple[Tensor, Expected]:
        """The output, whose statistics are the style's as far as ``expected`` holds, and its expected moments."""
        given = expected.through(self.layer.conv)
        own = torch.cat([given.mean, (given.variance + EXPECTED_EPSILON).sqrt()], dim=-1)
        target = sites.target(self.neutral)
        return sites.normalize(self.layer(x), own, target), Expected.of_target(target)
