"""The cost of a stylizer: multiply-accumulates of its convolutions."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .layers import ReflectConv, UpsampleConv


def multiply_accumulates(stylizer: nn.Module, width: int = 640, height: int = 360) -> int:
    """Multiply-accumulates of a compact stylizer's convolutions for a frame, as it is exported.

    The export merges upsampling into the convolution behind it, which leaves 4 of 9 products
    (`export.graphs.MergedUpsampleConv`). Sites and statistics are not counted.

    Args:
        stylizer: a `CompactStylizer` or an `EighthStylizer`.
        width, height: of the frame, multiples of the stylizer's `multiple`.
    """
    total = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, ReflectConv)
        weight = module.conv.weight
        products = output.shape[2] * output.shape[3] * weight.numel()
        total += products * 4 // 9 if isinstance(module, UpsampleConv) else products

    # The meta device computes shapes alone.
    measured = copy.deepcopy(stylizer).to("meta")
    for module in measured.modules():
        if isinstance(module, ReflectConv):
            module.register_forward_hook(count)
    size = 2 * sum(measured.site_channels)  # type: ignore[arg-type]
    frame = torch.empty(1, 3, height, width, device="meta")
    measured(frame, torch.empty(size, device="meta"), torch.empty((), device="meta"))
    return total
