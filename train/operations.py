"""Operations that PyTorch has, in a form that is several times as fast on CPUs or keeps to the precision given."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def mirrored(x: Tensor, pad: int) -> Tensor:
    """[N, C, H, W] with ``pad`` mirrored rows and columns on each side, in the precision of ``x``."""
    if x.is_cuda and pad == 1 and min(x.shape[2:]) > 3:
        return MirroredBySlices.apply(x)
    if x.dtype == torch.float32:
        return F.pad(x, (pad,) * 4, mode="reflect")
    # On CPUs autocast mirrors in float32, for which all of x is converted twice.
    with torch.autocast(x.device.type, enabled=False):
        return F.pad(x, (pad,) * 4, mode="reflect")


class MirroredBySlices(torch.autograd.Function):
    """`mirrored` by one pixel, for heights and widths above 3.

    Channels last, as PyTorch's own is not on GPUs, which spent most of their time on that and on copies from one layout
    to the other.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        bordered = x.new_empty((n, height + 2, width + 2, channels)).permute(0, 3, 1, 2)
        bordered[:, :, 1:-1, 1:-1] = x
        # First and last at once: a slice whose step leads from the one to the other.
        bordered[:, :, :: height + 1, 1:-1] = x[:, :, 1 :: height - 3][:, :, :2]
        bordered[..., :: width + 1] = bordered[..., 2 :: width - 3][..., :2]
        return bordered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        height, width = gradient.shape[2] - 2, gradient.shape[3] - 2
        rows = gradient[:, :, 1:-1].clone(memory_format=torch.channels_last)
        rows[:, :, 1 :: height - 3][:, :, :2] += gradient[:, :, :: height + 1]
        inner = rows[..., 1:-1].contiguous(memory_format=torch.channels_last)
        inner[..., 1 :: width - 3][..., :2] += rows[..., :: width + 1]
        return inner


def channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel means and biased variances of [N, C, H, W]: two [N, C] in float32, whatever the precision of ``x``."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _ChannelMoments.apply(x)
    return _moments(x)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    # Not mean(dtype=...): in ONNX that is a mean in the precision of x, converted afterwards.
    x = x.float()
    mean = x.mean(dim=(2, 3))
    centred = x - mean[:, :, None, None]
    # Neither var_mean(), many times as slow, nor square(), for which onnxruntime's CPU takes twice a product's time.
    return mean, (centred * centred).mean(dim=(2, 3))


class _ChannelMoments(torch.autograd.Function):
    """`_moments` whose gradient is one pass over ``x`` instead of many."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = _moments(x)
        ctx.save_for_backward(x, mean)
        return mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_mean: Tensor, by_variance: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        pixels = x.shape[2] * x.shape[3]
        scale = by_variance * (2 / pixels)
        shift = by_mean / pixels - scale * mean
        # In float32: where a channel's mean is far greater than its deviation, shift and product nearly cancel out.
        return torch.addcmul(shift[:, :, None, None], x.float(), scale[:, :, None, None]).to(x.dtype)
