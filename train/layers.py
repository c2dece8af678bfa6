"""Convolutions with reflection padding and residual blocks, of which the stylizers and the style encoders are made."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .adain import SitePass
from .operations import reflect_pad


class ReflectConv(nn.Module):
    """A convolution with reflection padding; zero padding would give frames a dark or light rim.

    An even kernel is for an even stride, and pads as the odd kernel below it.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, bias: bool = True) -> None:
        super().__init__()
        self.pad = (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(reflect_pad(x, self.pad))


class UpsampleConv(ReflectConv):
    """Nearest-neighbour upsampling to twice the size, then the convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2, mode="nearest"))


class ResidualBlock(nn.Module):
    """Two convolutions and a skip connection; with ``sites``, each convolution is followed by an AdaIN site."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ReflectConv(channels, channels)
        self.second = ReflectConv(channels, channels)

    def forward(self, x: Tensor, sites: SitePass | None = None) -> Tensor:
        y = self.first(x)
        if sites is not None:
            y = sites(y)
        y = self.second(F.relu(y))
        if sites is not None:
            y = sites(y)
        return x + y
