"""The networks as the runtime sees them: bytes in, bytes out, any size (the contract of `livestyle.model`)."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.networks import ClassicStylizer, CompactStylizer, Model, Running


class StyleGraph(nn.Module):
    """image uint8 [H, W, 3] BGR -> stats float32 [S]."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        rgb = image.permute(2, 0, 1).flip(0)[None].float() / 255
        return self.model.encode_style(rgb)[0]


class PlainStylizeGraph(nn.Module):
    """frames uint8 [N, H, W, 3] BGR, stats, strength, content_state, momentum -> stylized, next_content_state.

    The trained network as it is: what `CompactStylizeGraph` is compared with, and what `classic` is exported as. Sizes
    that are no multiple of what the network halves are mirrored below and on the right, and cropped back.
    """

    def __init__(self, stylizer: ClassicStylizer | CompactStylizer, half: bool = False) -> None:
        super().__init__()
        self.stylizer = copy.deepcopy(stylizer)
        self.dtype = torch.float16 if half else torch.float32
        self.stylizer.to(self.dtype)

    def forward(
        self, frames: Tensor, stats: Tensor, strength: Tensor, content_state: Tensor, momentum: Tensor
    ) -> tuple[Tensor, Tensor]:
        height, width = frames.shape[1], frames.shape[2]
        x = frames.permute(0, 3, 1, 2).flip(1).to(self.dtype) / 255
        multiple = self.stylizer.multiple
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="reflect")
        painted, state = self.stylizer(x, stats, strength, Running(content_state, momentum))
        assert state is not None
        levels = (painted * 255).clamp(0, 255).round().to(torch.uint8)
        return levels[:, :, :height, :width].flip(1).permute(0, 2, 3, 1), state


class CompactStylizeGraph(nn.Module):
    """`PlainStylizeGraph` of a compact network, made quick: everything at full resolution happens on bytes.

    The scaling of bytes and the order of the colours move into the weights of the first and the last convolution.
    """

    def __init__(self, stylizer: CompactStylizer, half: bool = False) -> None:
        super().__init__()
        self.stylizer = copy.deepcopy(stylizer)
        self.dtype = torch.float16 if half else torch.float32
        self._fold()
        self.stylizer.to(self.dtype)

    @torch.no_grad()
    def _fold(self) -> None:
        first, last = self.stylizer.stem.conv, self.stylizer.out.conv
        assert first.bias is not None
        assert last.bias is not None
        # The network is fed (byte / 255 - 0.5) * 4 and gives 4 * (byte / 255 - 0.5).
        first.bias -= 2 * first.weight.sum(dim=(1, 2, 3))
        first.weight *= 4 / 255
        last.weight *= 255 / 4
        last.bias.copy_(last.bias * 255 / 4 + 127.5)
        # Space-to-depth keeps a colour's four pixels together, so colours are exchanged in fours.
        first.weight.copy_(first.weight.unflatten(1, (3, 4)).flip(1).flatten(1, 2))
        last.weight.copy_(last.weight.unflatten(0, (3, 4)).flip(0).flatten(0, 1))
        last.bias.copy_(last.bias.unflatten(0, (3, 4)).flip(0).flatten())

    def forward(
        self, frames: Tensor, stats: Tensor, strength: Tensor, content_state: Tensor, momentum: Tensor
    ) -> tuple[Tensor, Tensor]:
        count, height, width = frames.shape[0], frames.shape[1], frames.shape[2]
        multiple = self.stylizer.multiple
        rows, columns = (mirrored_index(n, multiple) for n in (height, width))
        padded = frames.index_select(1, rows).index_select(2, columns)
        half_height, half_width = rows.shape[0] // 2, columns.shape[0] // 2
        x = padded.reshape(count, half_height, 2, half_width, 2, 3).permute(0, 5, 2, 4, 1, 3)
        x = x.reshape(count, 12, half_height, half_width).to(self.dtype)
        x, state = self.stylizer.paint(x, stats, strength, Running(content_state, momentum))
        assert state is not None
        levels = x.clamp(0, 255).round().to(torch.uint8)
        levels = levels.reshape(count, 3, 2, 2, half_height, half_width).permute(0, 4, 2, 5, 3, 1)
        levels = levels.reshape(count, 2 * half_height, 2 * half_width, 3)
        return levels[:, :height, :width], state


def mirrored_index(size: int, multiple: int) -> Tensor:
    """0 to ``size`` - 1, then backwards without repeating the last, until the length divides by ``multiple``: int64."""
    index = torch.arange(size + -size % multiple)
    return torch.minimum(index, 2 * (size - 1) - index)


def stylize_graph(stylizer: ClassicStylizer | CompactStylizer, half: bool = False) -> nn.Module:
    """The graph that is exported for a network, in float32 or with float16 convolutions."""
    if isinstance(stylizer, CompactStylizer):
        return CompactStylizeGraph(stylizer, half)
    return PlainStylizeGraph(stylizer, half)
