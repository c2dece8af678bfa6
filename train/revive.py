"""Begin dead channels of a style encoder anew.

A channel that no picture makes positive passes nothing on behind its ReLU and gets no gradient, so it never learns
again. It is given new weights in, whose outputs are spread around zero, and weights of zero out: the encoder gives what
it gave before, and has that much more to learn with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .networks import STATISTICS_OFFSET, ReflectConv, StyleEncoder
from .vgg import channel_statistics


@torch.no_grad()
def revive(encoder: StyleEncoder, images: Tensor, seed: int = 1) -> int:
    """Begin the dead channels of an encoder anew, in place; gives how many there were.

    Args:
        encoder: in evaluation mode.
        images: style pictures, float [N, 3, H, W], RGB in 0..1; what none of these makes positive is dead.
        seed: of the new weights.
    """
    random = torch.Generator().manual_seed(seed)
    batches = [(batch - 0.5) * 4 for batch in images.split(16)]
    none = torch.zeros(images.shape[1], dtype=torch.bool)
    fresh, count, start = none, 0, 0
    for level in encoder.convs:
        assert isinstance(level, nn.ModuleList)
        for conv in level:
            assert isinstance(conv, ReflectConv)
            # What reads a revived channel begins without it.
            conv.conv.weight[:, fresh] = 0
            fresh = torch.stack([conv(x).amax(dim=(0, 2, 3)) for x in batches]).amax(0) <= 0
            if fresh.any():
                _draw(conv, batches, fresh, random)
            batches = [conv(x).relu_() for x in batches]
            count += int(fresh.sum())
        width = len(fresh)
        if fresh.any():
            columns = start + fresh.nonzero()[:, 0]
            before = channel_statistics(torch.zeros(1, 1, 2, 2))
            after = (torch.cat(part)[:, fresh] for part in zip(*map(channel_statistics, batches), strict=True))
            for offset, old, new in zip((0, width), before, after, strict=True):
                _read_anew(encoder, offset + columns, *(torch.log(x + STATISTICS_OFFSET) for x in (old, new)))
        start += 2 * width
    return count


def _draw(conv: ReflectConv, batches: list[Tensor], fresh: Tensor, random: torch.Generator) -> None:
    """New weights for some of a convolution's outputs, which are zero in the mean, with a deviation of one."""
    layer = conv.conv
    assert layer.bias is not None
    layer.weight[fresh] = torch.randn(layer.weight[fresh].shape, generator=random)
    layer.bias[fresh] = 0
    outputs = torch.cat([conv(x)[:, fresh].transpose(0, 1).flatten(1) for x in batches], dim=1)
    deviation = outputs.std(dim=1) + 1e-6
    layer.weight[fresh] /= deviation[:, None, None, None]
    layer.bias[fresh] = -outputs.mean(dim=1) / deviation


def _read_anew(encoder: StyleEncoder, columns: Tensor, before: Tensor, after: Tensor) -> None:
    """Let nothing read some of the statistics yet, and normalise them by what they are now.

    Args:
        encoder: whose.
        columns: which of them.
        before: [1, 1], what a dead channel always gave, which had its share in the sums.
        after: [N, columns], what they give for N pictures.
    """
    norm, linear = encoder.norm, encoder.mlp[0]
    assert isinstance(linear, nn.Linear)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    linear.bias.add_(linear.weight[:, columns] @ norm(before.expand(1, norm.num_features))[0, columns])
    linear.weight[:, columns] = 0
    norm.weight[columns], norm.bias[columns] = 1, 0
    norm.running_mean[columns], norm.running_var[columns] = after.mean(0), after.var(0)
