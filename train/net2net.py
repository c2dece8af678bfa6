"""Net2Net (Chen, Goodfellow & Shlens 2016): a larger compact model that starts out as the function of a smaller one.

Widening (Net2WiderNet) copies channels, and divides the weight with which a channel is read among its copies, in random
shares, so that the copies diverge in training. Deepening (Net2DeeperNet) adds blocks that start as identities.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from livestyle.errors import LivestyleError

from .layers import ReflectConv, ResidualBlock
from .networks import (
    ARCHITECTURES,
    STYLE_CODE_SIZE,
    Architecture,
    CompactModel,
    CompactStylizer,
    StyleEncoder,
    StyleHead,
)

SHARES = (0.6, 1.4)
"""Range of the random shares of the copies of a channel, before they are normalised to a sum of 1."""
ADDED_DEVIATION_BIAS = -2.8
"""Bias of the style head at the last site of a new block: a deviation of 0.1 is nearly an identity, with gradients."""


def enlarge(small: CompactModel, arch: str, seed: int = 1) -> CompactModel:
    """A model of a larger architecture that computes nearly the same as ``small``.

    Args:
        small: the model to start from; its ``statistics_reader`` is taken unchanged.
        arch: name of the larger architecture.
        seed: of the shares, and of the weights of new blocks that have no effect yet.

    Raises:
        LivestyleError: one of the two is of the second design, or the architecture is smaller than that of ``small`` in
            some respect.
    """
    if not (isinstance(ARCHITECTURES[arch], Architecture) and isinstance(small.stylizer, CompactStylizer)):
        raise LivestyleError("a model of the second design starts from none of another architecture")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        large = CompactModel(arch, small.vgg_divisor)
        if any(new < old for old, new in zip(_sizes(small), _sizes(large), strict=True)):
            raise LivestyleError(f"{arch} is smaller than the model to start from, and a model can only grow")
        assert isinstance(large.stylizer, CompactStylizer)
        _enlarge_stylizer(small.stylizer, large.stylizer)
        _enlarge_style_encoder(small.style_encoder, large.style_encoder)
        _enlarge_style_head(small.style_head, large.style_head)
        large.statistics_reader.load_state_dict(small.statistics_reader.state_dict())
    return large


def _sizes(model: CompactModel) -> list[int]:
    stylizer = model.stylizer
    assert isinstance(stylizer, CompactStylizer)
    channels = [stylizer.site_channels[0], stylizer.site_channels[-1]]
    blocks = [len(stylizer.encoder), len(stylizer.decoder)]
    return [*channels, *blocks, *_widths(model.style_encoder), len(model.style_encoder.convs[-1])]  # type: ignore[arg-type]


def _widths(encoder: StyleEncoder) -> list[int]:
    return [level[-1].conv.out_channels for level in encoder.convs]  # type: ignore[index]


def _copies(old: int, new: int) -> Tensor:
    """For each of ``new`` channels, the index of the one of ``old`` that it copies: [new]."""
    return torch.arange(new) % old


def _widen_layer(small: nn.Module, large: nn.Module, inputs: Tensor, outputs: Tensor) -> None:
    """Net2WiderNet for a convolution or linear layer, whose new inputs and outputs copy the given old ones."""
    if isinstance(small, ReflectConv) and isinstance(large, ReflectConv):
        small, large = small.conv, large.conv
    assert isinstance(small, nn.Conv2d | nn.Linear)
    assert isinstance(large, nn.Conv2d | nn.Linear)
    random = torch.empty(len(outputs), len(inputs)).uniform_(*SHARES)
    totals = torch.zeros(len(outputs), small.weight.shape[1]).index_add_(1, inputs, random)
    shares = random / totals[:, inputs]
    weight = small.weight[outputs][:, inputs]
    large.weight.copy_(weight * shares.reshape(*shares.shape, *(1,) * (weight.dim() - 2)))
    assert small.bias is not None
    assert large.bias is not None
    large.bias.copy_(small.bias[outputs])


def _enlarge_stylizer(small: CompactStylizer, large: CompactStylizer) -> None:
    quarter, half = (_copies(small.site_channels[i], large.site_channels[i]) for i in (0, -1))
    pixels = torch.arange(small.stem.conv.in_channels)
    _widen_layer(small.stem, large.stem, pixels, half)
    _widen_layer(small.down, large.down, half, quarter)
    for few, many in ((small.encoder, large.encoder), (small.decoder, large.decoder)):
        for index, block in enumerate(many):
            assert isinstance(block, ResidualBlock)
            if index < len(few):
                for name in ("first", "second"):
                    _widen_layer(getattr(few[index], name), getattr(block, name), quarter, quarter)
            elif many is large.encoder:
                # An identity. In the decoder, where a site follows, `_enlarge_style_head` makes it one.
                block.second.conv.weight.zero_()
                block.second.conv.bias.zero_()  # type: ignore[union-attr]
    _widen_layer(small.up, large.up, quarter, half)
    _widen_layer(small.out, large.out, half, pixels)


def _enlarge_style_encoder(small: StyleEncoder, large: StyleEncoder) -> None:
    widths = [_copies(old, new) for old, new in zip(_widths(small), _widths(large), strict=True)]
    colours = torch.arange(3)
    for level, (inputs, outputs) in enumerate(pairwise([colours, *widths])):
        given = inputs
        few, many = small.convs[level], large.convs[level]
        assert isinstance(few, nn.ModuleList)
        assert isinstance(many, nn.ModuleList)
        for old, new in zip(few, many, strict=False):
            _widen_layer(old, new, given, outputs)
            given = outputs
        for new in many[len(few) :]:
            # An identity, since the input is the output of a ReLU.
            nn.init.dirac_(new.conv.weight)  # type: ignore[union-attr, arg-type]
            nn.init.zeros_(new.conv.bias)  # type: ignore[union-attr, arg-type]
    # The features are the means, then the deviations, of each level.
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
    _widen_layer(small.mlp[0], large.mlp[0], features, code)
    large.mlp[2].load_state_dict(small.mlp[2].state_dict())


def _enlarge_style_head(small: StyleHead, large: StyleHead) -> None:
    old_rows = torch.arange(small.linear.out_features).split([c for c in small.site_channels for _ in range(2)])
    new_rows = torch.arange(large.linear.out_features).split([c for c in large.site_channels for _ in range(2)])
    # New sites are inserted before the last one.
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
