"""Channels of a frame path's encoder whose ReLU ever fires, since the others ("dying ReLU") need not be computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.layers import ResidualBlock
from train.networks import CompactStylizer

NOISE_CONTRASTS = 0.05, 0.3, 1.0
"""Contrasts of the frames of noise that are tried beside real ones."""
BLOCKS = 1, 4, 16
"""Sides of their pixels."""
MULTIPLE = 4
"""Number of channels of which onnxruntime's direct convolution takes multiples only."""


@dataclass(frozen=True)
class Activity:
    """The greatest input of each ReLU of the encoder in many frames, float [C]; a channel is live where it is positive.

    Attributes:
        down: of the strided convolution's.
        first: of the first convolution's in each residual block.
    """

    down: Tensor
    first: list[Tensor]

    def kept_channels(self) -> Tensor:
        """Channels of the strided convolution to compute: where most are dead, the live ones, up to the first block."""
        every = torch.arange(len(self.down))
        kept = live_channels(self.down)
        first = next((greatest for greatest in self.first if (greatest > 0).any()), None)
        if first is None or len(kept) + len(live_channels(first)) > len(every):
            return every
        return kept


def live_channels(greatest: Tensor) -> Tensor:
    """Indices of the live channels, in ascending order; those that came nearest to firing fill up a `MULTIPLE`.

    Args:
        greatest: see `Activity`.
    """
    count = min(len(greatest), -(-int((greatest > 0).sum()) // MULTIPLE) * MULTIPLE)
    return greatest.topk(count).indices.sort().values


@torch.inference_mode()
def measure_activity(stylizer: CompactStylizer, images: Iterable[np.ndarray]) -> Activity:
    """Activity of the encoder's ReLUs in images, in their negatives, and in noise.

    Args:
        stylizer: the frame path.
        images: uint8 [H, W, 3] BGR.
    """
    greatest: list[Tensor] = []
    for frames in _frames(images):
        inputs = _relu_inputs(stylizer, frames)
        greatest = [torch.maximum(one, two) for one, two in zip(greatest or inputs, inputs, strict=True)]
    return Activity(greatest[0], greatest[1:])


def _frames(images: Iterable[np.ndarray]) -> Iterator[Tensor]:
    """Float [1, 3, H, W] in 0..1, of sizes that the network takes."""
    for image in images:
        rows, columns = (side // 4 * 4 for side in image.shape[:2])
        frame = torch.from_numpy(image[:rows, :columns, ::-1].copy()).permute(2, 0, 1)[None] / 255
        yield from (frame, 1 - frame)
    random = torch.Generator().manual_seed(0)
    for contrast in NOISE_CONTRASTS:
        for block in BLOCKS:
            noise = 0.5 + (torch.rand(1, 3, 128 // block, 128 // block, generator=random) - 0.5) * contrast
            yield F.interpolate(noise, scale_factor=block)


def _relu_inputs(stylizer: CompactStylizer, frames: Tensor) -> list[Tensor]:
    x = stylizer.down(F.relu(stylizer.stem(F.pixel_unshuffle((frames - 0.5) * 4, 2))))
    found = [x]
    x = F.relu(x)
    for block in stylizer.encoder:
        assert isinstance(block, ResidualBlock)
        found.append(block.first(x))
        x = block(x)
    return [inputs.amax((0, 2, 3)) for inputs in found]
