"""The graphs that are exported: bytes in, bytes out, any size (the contract of `livestyle.engine.model`)."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.adain import Running
from train.eighth import EighthStylizer
from train.layers import UpsampleConv
from train.networks import ClassicStylizer, CompactStylizer, Model


class StyleGraph(nn.Module):
    """Graph of style.onnx: image uint8 [H, W, 3] BGR -> stats float32 [S]."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        rgb = image.permute(2, 0, 1).flip(0)[None].float() / 255
        return self.model.encode_style(rgb)[0]


class PlainStylizeGraph(nn.Module):
    """Graph of stylize.onnx, without optimisations: the reference for parity, and the graph that ships of
    ``classic`` and of the second design.

    frames uint8 [N, H, W, 3] BGR, stats, strength, content_state, momentum -> stylized, next_content_state. With a
    mask, uint8 [N, H, W], ``stats`` are those of two styles, [2, S]; see `livestyle.engine.model`.

    Frames are padded by reflection at the bottom and on the right to multiples of what the network needs, and the
    output is cropped back.
    """

    def __init__(self, stylizer: ClassicStylizer | CompactStylizer | EighthStylizer, half: bool = False) -> None:
        super().__init__()
        self.stylizer = copy.deepcopy(stylizer)
        self.dtype = torch.float16 if half else torch.float32
        self.stylizer.to(self.dtype)

    def forward(
        self,
        frames: Tensor,
        stats: Tensor,
        strength: Tensor,
        content_state: Tensor,
        momentum: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        height, width = frames.shape[1], frames.shape[2]
        rows, columns = (reflected_index(n, self.stylizer.multiple) for n in (height, width))
        x = frames.index_select(1, rows).index_select(2, columns)
        x = x.permute(0, 3, 1, 2).flip(1).to(self.dtype) / 255
        shares = None if mask is None else mask_shares(mask, self.stylizer.multiple)
        stylized, state = self.stylizer(x, stats, strength, Running(content_state, momentum), shares)
        assert state is not None
        levels = (stylized * 255).clamp(0, 255).round().to(torch.uint8)
        return levels[:, :, :height, :width].flip(1).permute(0, 2, 3, 1), state


class CompactStylizeGraph(nn.Module):
    """`PlainStylizeGraph` of a compact network, optimised by folding operations into convolutions.

    Space-to-depth and the stem's convolution become one convolution of stride 2. The scaling of bytes, BGR to RGB, and
    the order of the output bytes are folded into the weights of the first and the last convolution, so that padding,
    cropping and reordering work on bytes. Upsampling is merged into the convolution that follows.
    """

    def __init__(self, stylizer: CompactStylizer, half: bool = False) -> None:
        super().__init__()
        self.stylizer = copy.deepcopy(stylizer)
        self.dtype = torch.float16 if half else torch.float32
        with torch.no_grad():
            self.stem = self._byte_stem()
            self._fold_output()
            assert isinstance(self.stylizer.up, UpsampleConv)
            self.stylizer.up = MergedUpsampleConv(self.stylizer.up)
        self.to(self.dtype)

    def _byte_stem(self) -> nn.Conv2d:
        conv = self.stylizer.stem.conv
        assert conv.bias is not None
        outputs = conv.out_channels
        stem = nn.Conv2d(3, outputs, 6, stride=2)
        # The network's input is (byte / 255 - 0.5) * 4.
        stem.bias = nn.Parameter(conv.bias - 2 * conv.weight.sum(dim=(1, 2, 3)))
        # [colour, row in block, column in block, block row, block column] -> [colour, row, column], BGR
        weight = conv.weight.unflatten(1, (3, 2, 2)).permute(0, 1, 4, 2, 5, 3).reshape(outputs, 3, 6, 6)
        stem.weight = nn.Parameter(weight.flip(1) * (4 / 255))
        return stem

    def _fold_output(self) -> None:
        conv = self.stylizer.out.conv
        assert conv.bias is not None
        # Its output is 4 * (byte / 255 - 0.5). [colour, row, column] -> [row, column, colour], BGR.
        weight = conv.weight.unflatten(0, (3, 2, 2)).flip(0).permute(1, 2, 0, 3, 4, 5).flatten(0, 2)
        bias = conv.bias.unflatten(0, (3, 2, 2)).flip(0).permute(1, 2, 0).flatten()
        conv.weight.copy_(weight * (255 / 4))
        conv.bias.copy_(bias * (255 / 4) + 127.5)

    def forward(
        self,
        frames: Tensor,
        stats: Tensor,
        strength: Tensor,
        content_state: Tensor,
        momentum: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        count, height, width = frames.shape[0], frames.shape[1], frames.shape[2]
        rows, columns = (stem_index(n, self.stylizer.multiple) for n in (height, width))
        x = frames.index_select(1, rows).index_select(2, columns).permute(0, 3, 1, 2).to(self.dtype)
        shares = None if mask is None else mask_shares(mask, self.stylizer.multiple)
        x, state = self.stylizer.stylize_features(
            self.stem(x), stats, strength, Running(content_state, momentum), shares
        )
        assert state is not None
        half_height, half_width = x.shape[2], x.shape[3]
        levels = x.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        levels = levels.reshape(count, half_height, half_width, 2, 6).permute(0, 1, 3, 2, 4)
        levels = levels.reshape(count, 2 * half_height, 2 * half_width, 3)
        return levels[:, :height, :width], state


def mask_shares(mask: Tensor, multiple: int) -> Tensor:
    """A mask, uint8 [N, H, W], as float32 [N, 1, H', W'] in 0..1, padded by reflection to multiples of ``multiple``."""
    rows, columns = (reflected_index(n, multiple) for n in (mask.shape[1], mask.shape[2]))
    return mask.index_select(1, rows).index_select(2, columns)[:, None].float() / 255


class MergedUpsampleConv(nn.Module):
    """`UpsampleConv` as a convolution at the resolution of its input, with 2.25 times fewer multiplications.

    After nearest-neighbour upsampling, a 3x3 kernel covers a 2x2 neighbourhood of the input, with each pixel repeated.
    So each of the four output pixels per input pixel is a 2x2 convolution with summed weights (a sub-pixel convolution,
    Shi et al. 2016).
    """

    def __init__(self, up: UpsampleConv) -> None:
        super().__init__()
        conv = up.conv
        assert conv.bias is not None
        # Which rows (or columns) of the 3x3 kernel fall on which of two input rows: [output, input row, kernel row].
        # One output is the lower half of the first input row, the other the upper half of the second.
        rows = conv.weight.new_tensor([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])
        weight = torch.einsum("ocyx,pay,qbx->opqcab", conv.weight, rows, rows)
        self.conv = nn.Conv2d(conv.in_channels, 4 * conv.out_channels, 2)
        self.conv.weight = nn.Parameter(weight.flatten(0, 2))
        self.conv.bias = nn.Parameter(conv.bias.repeat_interleave(4))

    def forward(self, x: Tensor) -> Tensor:
        # Reflection padding by one pixel after upsampling equals replicating the border before.
        x = F.pixel_shuffle(self.conv(F.pad(x, (1, 1, 1, 1), mode="replicate")), 2)
        return x[:, :, 1:-1, 1:-1]


def reflected_index(size: int, multiple: int) -> Tensor:
    """Indices, int64, that pad ``size`` rows (or columns) at the end by reflection to a multiple of ``multiple``."""
    index = torch.arange((size + multiple - 1) // multiple * multiple)
    return torch.minimum(index, 2 * (size - 1) - index)


def stem_index(size: int, multiple: int) -> Tensor:
    """Indices, int64, that pad ``size`` rows (or columns) of a frame for the stem's convolution of stride 2.

    First as `reflected_index`, then by the stem's own reflection padding, which is of blocks of two rows, as the stem
    follows space-to-depth.
    """
    padded = size + -size % multiple
    blocks = torch.arange(-1, padded // 2 + 1).abs()
    blocks = torch.minimum(blocks, padded - 2 - blocks)
    rows = (2 * blocks[:, None] + torch.arange(2)).flatten()
    return torch.minimum(rows, 2 * (size - 1) - rows)


def stylize_graph(stylizer: ClassicStylizer | CompactStylizer | EighthStylizer, half: bool = False) -> nn.Module:
    """The graph of stylize.onnx for a network, in float32 or with float16 convolutions."""
    if isinstance(stylizer, CompactStylizer):
        return CompactStylizeGraph(stylizer, half)
    return PlainStylizeGraph(stylizer, half)


def merged_out(stylizer: CompactStylizer) -> tuple[Tensor, Tensor]:
    """The last convolution, on the output of `MergedUpsampleConv` before its border is cropped.

    2x2 pixels at half resolution are the channels of one input and of one output pixel, with the output shifted by
    one pixel, so that a 2x2 kernel covers the 4x4 pixels of their 3x3 kernels. At the edges it reads that border
    in place of reflection padding.
    """
    out = CompactStylizeGraph(stylizer).stylizer.out.conv
    assert out.bias is not None
    weight, bias = out.weight.detach(), out.bias.detach()
    # 1 where a kernel row falls on an input row: [output row, kernel row, row of the 2x2 kernel, row in the input].
    rows = torch.zeros(2, 3, 4)
    for output in range(2):
        for kernel in range(3):
            rows[output, kernel, output + kernel] = 1
    rows = rows.unflatten(2, (2, 2))
    # [pixel row, pixel column, colour] of each -> 4x4 pixels
    weight = weight.unflatten(0, (2, 2, 3))
    merged = torch.einsum("yxbcij,uikp,vjlq->uyvxbpqckl", weight, rows, rows)
    return merged.flatten(5, 7).flatten(0, 4), bias.unflatten(0, (2, 1, 2, 3)).expand(2, 2, 2, 2, 3).flatten()


def paired(blocks: np.ndarray) -> np.ndarray:
    """Weights for two outputs side by side, on pixels that are four columns of the frame: [2 O, 12, 6, 2].

    Args:
        blocks: of a convolution of 3x3 blocks of 2x2 pixels: [O, colour, row, block, column in block].
    """
    outputs = len(blocks)
    both = np.zeros((2, outputs, 2, 2, 3, 6, 2), blocks.dtype)
    for phase, block in np.ndindex(2, 3):
        place = phase + block
        both[phase, :, place % 2, :, :, :, place // 2] = blocks[:, :, :, block].transpose(0, 3, 1, 2)
    return both.reshape(2 * outputs, 12, 6, 2)
