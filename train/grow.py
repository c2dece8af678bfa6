"""A larger compact model that begins as a smaller one, instead of from nothing.

Net2Net (Chen, Goodfellow & Shlens 2016): every channel of the small network is there several times in the large one,
and what reads it shares its weight out to the copies, in shares drawn at random, so that copies do not stay copies.
Blocks that the small network lacks begin as identities. The large network paints what the small one does until it
learns more.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from livestyle.errors import LivestyleError

from .networks import (
    STYLE_CODE_SIZE,
    CompactModel,
    CompactStylizer,
    ReflectConv,
    ResidualBlock,
    StyleEncoder,
    StyleHead,
)

DRAWN = (0.6, 1.4)
"""Between which the copies' shares of a weight are drawn, before they are made to sum to one."""
ADDED_DEVIATION_BIAS = -2.8
"""Of the style head at the last site of a new block: a deviation of 0.1 hardly shows, and still gets gradients."""


def grow(small: CompactModel, arch: str, seed: int = 1) -> CompactModel:
    """A model of a larger architecture that gives nearly what ``small`` gives.

    Args:
        small: where to begin; its ``statistics_reader`` comes along as it is.
        arch: ``lite`` or ``full``.
        seed: of the shares, and of those weights of new blocks that do not show yet.

    Raises:
        LivestyleError: the architecture is smaller than ``small`` in something.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        large = CompactModel(arch)
        if any(new < old for old, new in zip(_sizes(small), _sizes(large), strict=True)):
            raise LivestyleError(f"{arch} is smaller than the model to start from, and a model can only grow")
        _grow_stylizer(small.stylizer, large.stylizer)
        _grow_style_encoder(small.style_encoder, large.style_encoder)
        _grow_style_head(small.style_head, large.style_head)
        large.statistics_reader.load_state_dict(small.statistics_reader.state_dict())
    return large


def _sizes(model: CompactModel) -> list[int]:
    stylizer = model.stylizer
    channels = [stylizer.site_channels[0], stylizer.site_channels[-1]]
    blocks = [len(stylizer.encoder), len(stylizer.decoder)]
    return [*channels, *blocks, *_widths(model.style_encoder), len(model.style_encoder.convs[-1])]  # type: ignore[arg-type]


def _widths(encoder: StyleEncoder) -> list[int]:
    return [level[-1].conv.out_channels for level in encoder.convs]  # type: ignore[index]


def _copies(old: int, new: int) -> Tensor:
    """Which of ``old`` channels each of ``new`` is a copy of: [new]."""
    return torch.arange(new) % old


def _grow_layer(small: nn.Module, large: nn.Module, inputs: Tensor, outputs: Tensor) -> None:
    """Fill in a convolution or a linear layer between channels that are copies."""
    if isinstance(small, ReflectConv) and isinstance(large, ReflectConv):
        small, large = small.conv, large.conv
    assert isinstance(small, nn.Conv2d | nn.Linear)
    assert isinstance(large, nn.Conv2d | nn.Linear)
    drawn = torch.empty(len(outputs), len(inputs)).uniform_(*DRAWN)
    totals = torch.zeros(len(outputs), small.weight.shape[1]).index_add_(1, inputs, drawn)
    shares = drawn / totals[:, inputs]
    weight = small.weight[outputs][:, inputs]
    large.weight.copy_(weight * shares.reshape(*shares.shape, *(1,) * (weight.dim() - 2)))
    assert small.bias is not None
    assert large.bias is not None
    large.bias.copy_(small.bias[outputs])


def _grow_stylizer(small: CompactStylizer, large: CompactStylizer) -> None:
    quarter, half = (_copies(small.site_channels[i], large.site_channels[i]) for i in (0, -1))
    pixels = torch.arange(small.stem.conv.in_channels)
    _grow_layer(small.stem, large.stem, pixels, half)
    _grow_layer(small.down, large.down, half, quarter)
    for few, many in ((small.encoder, large.encoder), (small.decoder, large.decoder)):
        for index, block in enumerate(many):
            assert isinstance(block, ResidualBlock)
            if index < len(few):
                for name in ("first", "second"):
                    _grow_layer(getattr(few[index], name), getattr(block, name), quarter, quarter)
            elif many is large.encoder:
                # An identity; behind a site, in the decoder, `_grow_style_head` makes it one.
                block.second.conv.weight.zero_()
                block.second.conv.bias.zero_()  # type: ignore[union-attr]
    _grow_layer(small.up, large.up, quarter, half)
    _grow_layer(small.out, large.out, half, pixels)


def _grow_style_encoder(small: StyleEncoder, large: StyleEncoder) -> None:
    widths = [_copies(old, new) for old, new in zip(_widths(small), _widths(large), strict=True)]
    colours = torch.arange(3)
    for level, (inputs, outputs) in enumerate(pairwise([colours, *widths])):
        given = inputs
        few, many = small.convs[level], large.convs[level]
        assert isinstance(few, nn.ModuleList)
        assert isinstance(many, nn.ModuleList)
        for old, new in zip(few, many, strict=False):
            _grow_layer(old, new, given, outputs)
            given = outputs
        for new in many[len(few) :]:
            # An identity, since what comes in has passed a ReLU.
            nn.init.dirac_(new.conv.weight)  # type: ignore[union-attr, arg-type]
            nn.init.zeros_(new.conv.bias)  # type: ignore[union-attr, arg-type]
    # Means and deviations of each level follow each other.
    starts = torch.tensor([0, *_widths(small)]).cumsum(0) * 2
    features = torch.cat(
        [
            part
            for copies, start, old in zip(widths, starts, _widths(small), strict=False)
            for part in (start + copies, start + old + copies)
        ]
    )
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(large.norm, name).copy_(getattr(small.norm, name)[features])
    code = torch.arange(STYLE_CODE_SIZE)
    _grow_layer(small.mlp[0], large.mlp[0], features, code)
    large.mlp[2].load_state_dict(small.mlp[2].state_dict())


def _grow_style_head(small: StyleHead, large: StyleHead) -> None:
    old_rows = torch.arange(small.linear.out_features).split([c for c in small.site_channels for _ in range(2)])
    new_rows = torch.arange(large.linear.out_features).split([c for c in large.site_channels for _ in range(2)])
    # New sites come before the last one.
    added = range(len(small.site_channels) - 1, len(large.site_channels) - 1)
    for site, channels in enumerate(large.site_channels):
        mean, deviation = new_rows[2 * site : 2 * site + 2]
        if site not in added:
            known = site if site < added.start else len(small.site_channels) - 1
            for rows, old in zip((mean, deviation), old_rows[2 * known : 2 * known + 2], strict=True):
                taken = old[_copies(len(old), channels)]
                large.linear.weight[rows] = small.linear.weight[taken]
                large.linear.bias[rows] = small.linear.bias[taken]
        elif (site - added.start) % 2 == 1:
            large.linear.weight[torch.cat([mean, deviation])] = 0
            large.linear.bias[deviation] = ADDED_DEVIATION_BIAS
