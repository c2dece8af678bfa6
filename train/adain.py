"""AdaIN sites (Huang & Belongie 2017): where a network exchanges its channel statistics for those of a style."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from .operations import channel_moments

SITE_EPSILON = 1e-5


@dataclass(frozen=True)
class Running:
    """Running content statistics of a video, an exponential moving average over its frames.

    Attributes:
        state: float32 [K], mean then deviation of every site's channels, in the order of the sites.
        momentum: float32 scalar in 0..1; 0 discards the frames before (a scene cut), 0.9 keeps nine tenths of them.
    """

    state: Tensor
    momentum: Tensor


def running_statistics(statistics: Tensor, state: Tensor, momentum: Tensor) -> Tensor:
    """The exponential moving average after each frame of a batch, for all frames at once.

    Args:
        statistics: [N, C], one row per frame, in the order of time.
        state: [C], the average before the first of them.
        momentum: scalar m; each frame makes the average ``m * average + (1 - m) * its own statistics``.

    Returns:
        [N, C]: row n is the average after frame n.
    """
    index = torch.arange(statistics.shape[0], device=statistics.device, dtype=statistics.dtype)
    age = index[:, None] - index[None, :]
    weights = (1 - momentum) * torch.pow(momentum, age.clamp(min=0)) * (age >= 0).to(statistics.dtype)
    return weights @ statistics + torch.pow(momentum, index + 1)[:, None] * state[None, :]


class SitePass:
    """One pass of a batch through a network's AdaIN sites: each call is the next site, in their order.

    The running state holds the statistics of the sites that are called, one after another; `target` and `normalize` are
    for sites that do not measure the frame, and have none.

    With a mask, two styles share each frame, as in the spatial control of Huang & Belongie (2017, section 7.2): scale
    and shift are interpolated for each pixel by the mask, which may be soft. Unlike theirs, both regions are normalised
    with the statistics of the whole frame instead of each with its own: tiny or empty regions do no harm, a moving
    border changes no statistics, and the running statistics are those of one frame.

    Args:
        style: style statistics, [S] for one style or [N, S] for one per frame; with a mask [2, S].
        strength: scalar or [N] in 0..1: 0 re-applies the content's own statistics, 1 applies the style's.
        running: running content statistics, or None to use each frame's own.
        masks: for each site at its resolution, [N, 1, h, w] in 0..1, the share of the first style; the rest is the
            second's. None for no mask.
    """

    def __init__(
        self, style: Tensor, strength: Tensor, running: Running | None, masks: Iterable[Tensor] | None = None
    ) -> None:
        self.style = style if style.dim() == 2 else style[None]
        if masks is not None:
            # Both styles for every frame: [2, 1, S].
            self.style = self.style[:, None]
        self.strength = strength.reshape(-1, 1)
        self.running = running
        self.next_states: list[Tensor] = []
        self._shares = None if masks is None else iter([torch.cat([mask, 1 - mask], dim=1) for mask in masks])
        self._offset = self._state_offset = 0

    def __call__(self, x: Tensor) -> Tensor:
        return self.measured(x)[0]

    def measured(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output of the next site, and the statistics that it was given: means, then deviations."""
        own = torch.cat(site_statistics(x), dim=1)
        if self.running is not None:
            start, self._state_offset = self._state_offset, self._state_offset + own.shape[1]
            state = self.running.state[start : self._state_offset]
            own = running_statistics(own, state, self.running.momentum)
            self.next_states.append(own[-1])
        target = self.target(own)
        return self.normalize(x, own, target), target

    def target(self, own: Tensor) -> Tensor:
        """The statistics of the next site, between ``own`` (at strength 0) and the style's: means, then deviations."""
        start, self._offset = self._offset, self._offset + own.shape[-1]
        return own + self.strength * (self.style[..., start : self._offset] - own)

    def normalize(self, x: Tensor, own: Tensor, target: Tensor) -> Tensor:
        """``x`` with statistics ``own`` scaled and shifted to ``target``, or to both styles' with a mask."""
        mean, deviation = own.chunk(2, dim=-1)
        target_mean, target_deviation = target.chunk(2, dim=-1)
        scale = target_deviation / deviation
        shift = target_mean - mean * scale
        if self._shares is None:
            return x * scale[:, :, None, None].to(x.dtype) + shift[:, :, None, None].to(x.dtype)
        shares = next(self._shares).flatten(2).to(x.dtype)
        return x * blend_styles(scale, shares).reshape(x.shape) + blend_styles(shift, shares).reshape(x.shape)

    def next_state(self) -> Tensor:
        """Float32 [K]: the running statistics after the last frame of the batch."""
        return torch.cat(self.next_states)


def blend_styles(values: Tensor, shares: Tensor) -> Tensor:
    """Channel values of two styles, [2, N, C], blended for every pixel by their shares, [N, 2, P]: [N, C, P]."""
    return values.permute(1, 2, 0).to(shares.dtype) @ shares


def site_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel means and deviations of an AdaIN site, in float32 whatever the precision of ``x``."""
    mean, variance = channel_moments(x)
    return mean, (variance + SITE_EPSILON).sqrt()
