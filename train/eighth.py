"""The stylizer of the second design: its core works at an eighth of the frame's size, with demodulated sites."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .adain import Running, SitePass
from .demodulation import DemodulatedConv, Expected, MeasuredConv
from .layers import ReflectConv, ResidualBlock, UpsampleConv


@dataclass(frozen=True)
class EighthArchitecture:
    """The sizes of a compact model of the second design.

    Attributes:
        half, quarter, core: channels of the stylizer at half, quarter and eighth resolution.
        encoder_blocks, decoder_blocks: residual blocks of the core before and after the first site.
        fine_blocks: residual blocks at quarter resolution, on the way up.
        style_widths, style_depth: see `train.networks.Architecture`.
        demodulated: the sites behind the first two are demodulated; else they measure the frame as those do.
        last_measured: the last site, at half resolution, measures the frame in any case.
    """

    half: int
    quarter: int
    core: int
    encoder_blocks: int
    decoder_blocks: int
    fine_blocks: int
    style_widths: tuple[int, ...]
    style_depth: int
    demodulated: bool = False
    last_measured: bool = False


SiteConv = type[DemodulatedConv] | type[MeasuredConv]


class StyledBlock(nn.Module):
    """Two convolutions, each with a site behind it, and a skip connection."""

    def __init__(self, channels: int, kind: SiteConv) -> None:
        super().__init__()
        self.first = kind(ReflectConv(channels, channels, bias=False))
        self.second = kind(ReflectConv(channels, channels, bias=False))

    def forward(self, x: Tensor, sites: SitePass, expected: Expected) -> tuple[Tensor, Expected]:
        y, given = self.first(x, sites, expected)
        y, given = self.second(F.relu(y), sites, given.relu())
        return x + y, expected + given


class EighthStylizer(nn.Module):
    """The stylizer of the second design, with the interface of `train.networks.CompactStylizer`.

    Strokes need a wide field: most convolutions work at an eighth of the frame's size, where AdaIN's decoder begins.
    What a quarter of the size holds is added on the way up (a skip connection). The sites of the core's input and of
    the skip connection normalise by statistics of the frame; those behind do too, or are demodulated
    (`DemodulatedConv`). The way down is by 4x4 kernels, since 3x3 kernels of stride 2 see odd and even shifts
    differently.
    """

    multiple = 8

    def __init__(self, architecture: EighthArchitecture) -> None:
        super().__init__()
        half, quarter, core = architecture.half, architecture.quarter, architecture.core
        kind: SiteConv = DemodulatedConv if architecture.demodulated else MeasuredConv
        self.stem = ReflectConv(12, half)
        self.down_quarter = ReflectConv(half, quarter, kernel=4, stride=2)
        self.down_core = ReflectConv(quarter, core, kernel=4, stride=2)
        self.encoder = nn.ModuleList(ResidualBlock(core) for _ in range(architecture.encoder_blocks))
        self.decoder = nn.ModuleList(StyledBlock(core, kind) for _ in range(architecture.decoder_blocks))
        self.up_quarter = kind(UpsampleConv(core, quarter, bias=False))
        self.fine = nn.ModuleList(StyledBlock(quarter, kind) for _ in range(architecture.fine_blocks))
        last = MeasuredConv if architecture.last_measured else kind
        self.up_half = last(UpsampleConv(quarter, half, bias=False))
        self.out = ReflectConv(half, 12)
        first = [core, quarter]
        fine = [quarter] * (2 * architecture.fine_blocks)
        self.site_channels = [*first, *[core] * (2 * architecture.decoder_blocks), quarter, *fine, half]
        self.measured_channels = [*first, half] if architecture.last_measured else first
        if not architecture.demodulated:
            self.measured_channels = self.site_channels
        with torch.no_grad():
            # ICNR (Aitken et al. 2017): the four pixels of each block start out equal, which no weave has to unlearn.
            phases = self.out.conv.weight.unflatten(0, (3, 4))
            phases.copy_(phases[:, :1].expand_as(phases).clone())
            assert self.out.conv.bias is not None
            self.out.conv.bias.zero_()

    def forward(
        self,
        frames: Tensor,
        style: Tensor,
        strength: Tensor,
        running: Running | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """As `CompactStylizer.forward`; the running state is that of the sites of `measured_channels` alone."""
        masks = None
        if mask is not None:
            half, quarter, core = (F.avg_pool2d(mask, size) for size in (2, 4, 8))
            decoder = 2 * len(self.decoder)
            masks = [core, quarter, *[core] * decoder, *[quarter] * (1 + 2 * len(self.fine)), half]
        sites = SitePass(style, strength, running, masks)
        x = F.relu(self.stem(F.pixel_unshuffle((frames - 0.5) * 4, 2)))
        fine = F.relu(self.down_quarter(x))
        x = F.relu(self.down_core(fine))
        for block in self.encoder:
            x = block(x)
        x, target = sites.measured(x)
        expected = Expected.of_target(target)
        fine, target_fine = sites.measured(fine)
        for block in self.decoder:
            x, expected = block(x, sites, expected)
        x, expected = self.up_quarter(F.relu(x), sites, expected.relu())
        x, expected = x + fine, expected + Expected.of_target(target_fine)
        for block in self.fine:
            x, expected = block(x, sites, expected)
        x, _ = self.up_half(F.relu(x), sites, expected.relu())
        x = self.out(F.relu(x))
        return F.pixel_shuffle(x, 2) * 0.25 + 0.5, sites.next_state() if running is not None else None
