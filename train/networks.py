"""The networks: what a frame passes through, and what reads a style picture.

All of them speak the contract of `livestyle.engine.model`: a style is a flat vector of *style statistics*, the target
mean and standard deviation of every channel of every AdaIN site (Huang & Belongie 2017), so that strength, mixes and
crossfades are weighted means of such vectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livestyle.errors import LivestyleError

from .operations import channel_moments, mirrored
from .vgg import CHANNELS, STATISTICS_SIZE, Mirror, build_layers, channel_statistics

SITE_EPSILON = 1e-5
STYLE_CODE_SIZE = 256


@dataclass(frozen=True)
class Running:
    """Running content statistics of a film: what the frames before left behind, and how much of it to keep.

    Attributes:
        state: float32 [K], mean then deviation of every site's channels, in the order of the sites.
        momentum: float32 scalar in 0..1; 0 forgets the frames before (a new scene), 0.9 keeps nine tenths of them.
    """

    state: Tensor
    momentum: Tensor


def running_statistics(statistics: Tensor, state: Tensor, momentum: Tensor) -> Tensor:
    """The moving average after each frame of a batch, all frames at once.

    Args:
        statistics: [N, C], one row a frame, in the order of time.
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
    """One walk of a batch through a network's AdaIN sites, in their order.

    With a mask, two styles share each frame, as in the spatial control of Huang & Belongie (2017, section 7.2), and
    scale and shift are mixed for each pixel by the mask, which may be soft. Unlike theirs, both regions are normalised
    with the statistics of the whole frame and not each with its own: a tiny or empty region does no harm, nothing jumps
    where a region's border moves, and the running statistics stay those of one frame.

    Args:
        style: style statistics, [S] for one style or [N, S] for one a frame; with a mask [2, S].
        strength: scalar or [N] in 0..1: 0 re-applies the content's own statistics, 1 the style's.
        running: running content statistics, or None to take each frame's own.
        masks: for each site at its resolution, [N, 1, h, w] in 0..1: the share of the first style, the rest is the
            second's; None for no mask.
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
        self._offset = 0

    def __call__(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        start, self._offset = self._offset, self._offset + 2 * channels
        own = torch.cat(site_statistics(x), dim=1)
        if self.running is not None:
            own = running_statistics(own, self.running.state[start : self._offset], self.running.momentum)
            self.next_states.append(own[-1])
        target = own + self.strength * (self.style[..., start : self._offset] - own)
        scale = target[..., channels:] / own[:, channels:]
        shift = target[..., :channels] - own[:, :channels] * scale
        if self._shares is None:
            return x * scale[:, :, None, None].to(x.dtype) + shift[:, :, None, None].to(x.dtype)
        shares = next(self._shares).flatten(2).to(x.dtype)
        return x * spread(scale, shares).reshape(x.shape) + spread(shift, shares).reshape(x.shape)

    def next_state(self) -> Tensor:
        """Float32 [K]: the running statistics after the last frame of the batch."""
        return torch.cat(self.next_states)


def spread(values: Tensor, shares: Tensor) -> Tensor:
    """Values of two styles mixed for every pixel: [2, N, C] and their shares [N, 2, P] give [N, C, P]."""
    return values.permute(1, 2, 0).to(shares.dtype) @ shares


def site_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel means and deviations of an AdaIN site, in float32 whatever the precision of ``x``."""
    mean, variance = channel_moments(x)
    return mean, (variance + SITE_EPSILON).sqrt()


class ReflectConv(nn.Module):
    """A convolution whose border is mirrored, so that no frame gets a dark or light rim."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.pad = kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(mirrored(x, self.pad))


class UpsampleConv(ReflectConv):
    """Nearest upsampling to twice the size, then the convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2, mode="nearest"))


class ResidualBlock(nn.Module):
    """Two convolutions around a skip connection; an AdaIN site after each where ``sites`` is given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ReflectConv(channels, channels)
        self.second = ReflectConv(channels, channels)

    def forward(self, x: Tensor, sites: SitePass | None = None) -> Tensor:
        y = self.first(x)
        if sites is not None:
            y = sites(y)
        y = self.second(F.relu(y))
        if sites is not None:
            y = sites(y)
        return x + y


@dataclass(frozen=True)
class Architecture:
    """The sizes of a compact network: channels at half and quarter resolution, residual blocks, style encoder.

    The style encoder has one convolution at the picture's resolution and ``style_depth`` at each that follows.
    """

    half: int
    quarter: int
    encoder_blocks: int
    decoder_blocks: int
    style_widths: tuple[int, ...]
    style_depth: int


ARCHITECTURES = {
    "lite": Architecture(24, 64, 2, 2, (32, 64, 128, 192), 3),
    "full": Architecture(96, 128, 4, 5, (48, 96, 192, 256), 3),
}


class CompactStylizer(nn.Module):
    """The frame path of `lite` and `full`: an AdaIN network of our own that needs no VGG at run time.

    Frames enter and leave by space-to-depth (2x2), so that no convolution runs at full resolution. Normalisation
    is AdaIN (Huang & Belongie 2017) at several sites, each with its own target statistics, as in conditional instance
    normalisation (Dumoulin et al. 2017).
    """

    multiple = 4

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        half, quarter = architecture.half, architecture.quarter
        self.stem = ReflectConv(12, half)
        self.down = ReflectConv(half, quarter, stride=2)
        self.encoder = nn.ModuleList(ResidualBlock(quarter) for _ in range(architecture.encoder_blocks))
        self.decoder = nn.ModuleList(ResidualBlock(quarter) for _ in range(architecture.decoder_blocks))
        self.up: nn.Module = UpsampleConv(quarter, half)
        self.out = ReflectConv(half, 12)
        self.site_channels = [quarter] * (1 + 2 * architecture.decoder_blocks) + [half]

    def forward(
        self,
        frames: Tensor,
        style: Tensor,
        strength: Tensor,
        running: Running | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Paint frames.

        Args:
            frames: float [N, 3, H, W], RGB in 0..1; H and W are multiples of `multiple`.
            style: style statistics, float [S] or [N, S]; with a mask [2, S].
            strength: float scalar or [N] in 0..1.
            running: running content statistics, or None to use each frame's own.
            mask: float [N, 1, H, W] in 0..1: where it is 1, the first of the two styles, where it is 0, the second.

        Returns:
            The stylized frames, float [N, 3, H, W], not clamped, and the next running state ([K], or None).
        """
        x = self.stem(F.pixel_unshuffle((frames - 0.5) * 4, 2))
        x, state = self.paint(x, style, strength, running, mask)
        return F.pixel_shuffle(x, 2) * 0.25 + 0.5, state

    def paint(
        self, x: Tensor, style: Tensor, strength: Tensor, running: Running | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """`forward` from the output of `stem` to that of `out`: [N, 12, H / 2, W / 2] in the network's own range."""
        masks = None
        if mask is not None:
            # All sites but the last are at a quarter of the resolution.
            quarter, half = F.avg_pool2d(mask, 4), F.avg_pool2d(mask, 2)
            masks = [quarter] * (len(self.site_channels) - 1) + [half]
        sites = SitePass(style, strength, running, masks)
        x = F.relu(self.down(F.relu(x)))
        for block in self.encoder:
            x = block(x)
        x = sites(x)
        for block in self.decoder:
            x = block(x, sites)
        x = self.out(F.relu(sites(self.up(F.relu(x)))))
        return x, sites.next_state() if running is not None else None


class StyleHead(nn.Module):
    """From a style code to style statistics: a mean and a positive deviation for each channel of each site."""

    def __init__(self, site_channels: list[int]) -> None:
        super().__init__()
        self.site_channels = site_channels
        self.linear = nn.Linear(STYLE_CODE_SIZE, 2 * sum(site_channels))
        with torch.no_grad():
            self.linear.weight.mul_(0.3)
            self.linear.bias.zero_()

    def forward(self, code: Tensor) -> Tensor:
        """Style statistics [N, S] of style codes [N, STYLE_CODE_SIZE]."""
        parts: list[Tensor] = []
        raw = self.linear(F.silu(code)).float()
        for index, part in enumerate(raw.split([c for c in self.site_channels for _ in range(2)], dim=1)):
            # Softplus shifted so that a zero gives a deviation of one.
            parts.append(part if index % 2 == 0 else F.softplus(part + 0.5413) + 1e-3)
        return torch.cat(parts, dim=1)


class LossStatisticsReader(nn.Module):
    """From the loss network's statistics of a style picture to a style code; used in training only.

    Logarithms, standardised and clamped: the raw statistics spread over orders of magnitude, and training on
    them diverges.
    """

    log_mean: Tensor
    log_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("log_mean", torch.zeros(STATISTICS_SIZE))
        self.register_buffer("log_std", torch.ones(STATISTICS_SIZE))
        self.linear = nn.Linear(STATISTICS_SIZE, STYLE_CODE_SIZE)

    def calibrate(self, statistics: Tensor) -> None:
        """Take the standardisation from loss-network statistics [N, 1920] of many style pictures."""
        logs = torch.log(statistics + 1e-3)
        self.log_mean.copy_(logs.mean(0))
        self.log_std.copy_(logs.std(0) + 1e-3)

    @torch.no_grad()
    def imitate(self, statistics: Tensor, codes: Tensor, ridge: float = 0.01) -> None:
        """Take the weights that give known codes best, by ridge regression in float64.

        Args:
            statistics: of the loss network, [N, 1920], on the CPU.
            codes: what to give for them, [N, STYLE_CODE_SIZE].
            ridge: how much large weights are avoided, as a share of the inputs' mean variance.
        """
        inputs = self._standardised(statistics).double()
        middle, target_middle = inputs.mean(0), codes.double().mean(0)
        inputs -= middle
        covariance = inputs.T @ inputs / len(inputs)
        covariance.diagonal().add_(ridge * covariance.diagonal().mean())
        weight = torch.linalg.solve(covariance, inputs.T @ (codes.double() - target_middle) / len(inputs))
        self.linear.weight.copy_(weight.T)
        self.linear.bias.copy_(target_middle - middle @ weight)

    def _standardised(self, statistics: Tensor) -> Tensor:
        logs = (torch.log(statistics + 1e-3) - self.log_mean) / self.log_std
        return logs.clamp(-3, 3)

    def forward(self, statistics: Tensor) -> Tensor:
        """Style codes [N, STYLE_CODE_SIZE] of loss-network statistics [N, 1920]."""
        return self.linear(self._standardised(statistics))


class StyleEncoder(nn.Module):
    """From a style picture to a style code: channel statistics of a small convolutional network at four scales."""

    def __init__(self, widths: tuple[int, ...], depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.ModuleList([ReflectConv(3, widths[0])])])
        for inputs, width in pairwise(widths):
            more = (ReflectConv(width, width) for _ in range(depth - 1))
            self.convs.append(nn.ModuleList([ReflectConv(inputs, width, stride=2), *more]))
        for module in self.convs.modules():
            if isinstance(module, nn.Conv2d):
                # With PyTorch's own beginning signals shrink from layer to layer, until half of the deep channels are
                # negative for every picture and never learn.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.norm = nn.BatchNorm1d(2 * sum(widths))
        self.mlp = nn.Sequential(
            nn.Linear(2 * sum(widths), STYLE_CODE_SIZE), nn.SiLU(), nn.Linear(STYLE_CODE_SIZE, STYLE_CODE_SIZE)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Style codes [N, STYLE_CODE_SIZE] of pictures, float [N, 3, H, W], RGB in 0..1."""
        parts: list[Tensor] = []
        x = (image - 0.5) * 4
        for level in self.convs:
            assert isinstance(level, nn.ModuleList)
            for conv in level:
                x = F.relu(conv(x))
            mean, deviation = channel_statistics(x)
            parts += [torch.log(mean + 1e-2), torch.log(deviation + 1e-2)]
        return self.mlp(self.norm(torch.cat(parts, dim=1)))


class CompactModel(nn.Module):
    """`lite` or `full` with everything that is trained: frame path, style encoder and what trains them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        architecture = ARCHITECTURES[name]
        self.stylizer = CompactStylizer(architecture)
        self.style_encoder = StyleEncoder(architecture.style_widths, architecture.style_depth)
        self.style_head = StyleHead(self.stylizer.site_channels)
        self.statistics_reader = LossStatisticsReader()

    @property
    def site_channels(self) -> list[int]:
        return self.stylizer.site_channels

    def encode_style(self, image: Tensor) -> Tensor:
        """Style statistics [N, S] of pictures, float [N, 3, H, W], RGB in 0..1."""
        return self.style_head(self.style_encoder(image))


class ClassicStylizer(nn.Module):
    """The AdaIN paper's network: VGG-19 to relu4_1, one AdaIN site, and the mirrored decoder."""

    multiple = 8

    def __init__(self) -> None:
        super().__init__()
        self.encoder = build_layers().requires_grad_(False)
        layers: list[nn.Module] = []
        plan: list[int | str] = [256, "up", 256, 256, 256, 128, "up", 128, 64, "up", 64]
        channels = CHANNELS["relu4_1"]
        for step in plan:
            if isinstance(step, str):
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
                continue
            layers += [Mirror(), nn.Conv2d(channels, step, 3), nn.ReLU()]
            channels = step
        layers += [Mirror(), nn.Conv2d(channels, 3, 3)]
        self.decoder = nn.Sequential(*layers)
        self.site_channels = [CHANNELS["relu4_1"]]

    def forward(
        self,
        frames: Tensor,
        style: Tensor,
        strength: Tensor,
        running: Running | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """As `CompactStylizer.forward`."""
        masks = None if mask is None else [F.avg_pool2d(mask, self.multiple)]
        sites = SitePass(style, strength, running, masks)
        painted = self.decoder(sites(self.encoder(frames)))
        return painted, sites.next_state() if running is not None else None


class ClassicModel(nn.Module):
    """The paper's model behind the same methods as `CompactModel`; the style encoder is the VGG itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stylizer = ClassicStylizer()

    @property
    def site_channels(self) -> list[int]:
        return self.stylizer.site_channels

    def encode_style(self, image: Tensor) -> Tensor:
        """Style statistics [N, 1024] of pictures: means, then deviations, of relu4_1."""
        return torch.cat(channel_statistics(self.stylizer.encoder(image)), dim=1)


Model = CompactModel | ClassicModel


def build_model(arch: str) -> Model:
    """A new model of architecture ``lite``, ``full`` or ``classic``.

    Raises:
        LivestyleError: there is no such architecture.
    """
    if arch in ARCHITECTURES:
        return CompactModel(arch)
    if arch == "classic":
        return ClassicModel()
    raise LivestyleError(f"there is no architecture {arch!r}: choose one of {', '.join([*ARCHITECTURES, 'classic'])}")
