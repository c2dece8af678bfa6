"""PyTorch operations re-implemented for speed, or to keep the precision of their input."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def reflect_pad(x: Tensor, pad: int) -> Tensor:
    """Reflection padding of [N, C, H, W] by ``pad`` pixels on each side, in the precision of ``x``."""
    if x.is_cuda and pad == 1 and min(x.shape[2:]) > 3:
        return ReflectPadBySlices.apply(x)
    if x.dtype == torch.float32:
        return F.pad(x, (pad,) * 4, mode="reflect")
    # On CPUs autocast runs the padding in float32, which converts all of x twice.
    with torch.autocast(x.device.type, enabled=False):
        return F.pad(x, (pad,) * 4, mode="reflect")


class ReflectPadBySlices(torch.autograd.Function):
    """Reflection padding by one pixel, for heights and widths above 3, that keeps the channels-last layout.

    PyTorch's own returns contiguous tensors on GPUs, where padding and the conversions of the layout took most of the
    time of an iteration.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        padded = x.new_empty((n, height + 2, width + 2, channels)).permute(0, 3, 1, 2)
        padded[:, :, 1:-1, 1:-1] = x
        # First and last row in one copy: a slice whose step leads from the one to the other.
        padded[:, :, :: height + 1, 1:-1] = x[:, :, 1 :: height - 3][:, :, :2]
        padded[..., :: width + 1] = padded[..., 2 :: width - 3][..., :2]
        return padded

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
    # Not mean(dtype=...): it is exported to ONNX as a mean in the precision of x, converted afterwards.
    x = x.float()
    mean = x.mean(dim=(2, 3))
    centred = x - mean[:, :, None, None]
    # var_mean() is many times slower, and square() takes onnxruntime's CPU twice the time of a product.
    return mean, (centred * centred).mean(dim=(2, 3))


class _ChannelMoments(torch.autograd.Function):
    """`_moments` with a gradient that is computed in one pass over ``x``."""

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
        # In float32: shift and product nearly cancel where a channel's mean is far greater than its deviation.
        return torch.addcmul(shift[:, :, None, None], x.float(), scale[:, :, None, None]).to(x.dtype)
