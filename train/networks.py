"""The networks: the stylizers, which frames pass through, and the style encoders.

All follow the contract of `livestyle.engine.model`: a style is a flat vector of *style statistics*, the target mean and
standard deviation of every channel of every AdaIN site (Huang & Belongie 2017), so that strength, mixes and crossfades
are weighted means of such vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from livestyle.errors import LivestyleError

from .adain import Running, SitePass
from .eighth import EighthArchitecture, EighthStylizer
from .layers import ReflectConv, ResidualBlock, UpsampleConv
from .vgg import CHANNELS, STATISTICS_SIZE, ReflectPad, build_layers, channel_statistics

STYLE_CODE_SIZE = 256
HEAD_WIDTH = 512
"""Hidden units of the style head of the second design."""


@dataclass(frozen=True)
class Architecture:
    """The sizes of a compact model.

    Attributes:
        half, quarter: channels of the stylizer at half and at quarter resolution.
        encoder_blocks, decoder_blocks: residual blocks before and after the first AdaIN site.
        style_widths: channels of the style encoder at full, half, quarter and eighth resolution.
        style_depth: convolutions of the style encoder at each resolution but the full one, where there is one.
        head_correction: hidden units of the style head's correction, see `StyleHead`; 0: none.
    """

    half: int
    quarter: int
    encoder_blocks: int
    decoder_blocks: int
    style_widths: tuple[int, ...]
    style_depth: int
    head_correction: int = 0


ARCHITECTURES: dict[str, Architecture | EighthArchitecture] = {
    "lite": Architecture(24, 64, 2, 2, (32, 64, 128, 192), 3),
    "full": Architecture(96, 128, 4, 5, (48, 96, 192, 256), 3),
    # The same frame path, with a style head of two layers.
    "lite-deep": Architecture(24, 64, 2, 2, (32, 64, 128, 192), 3, head_correction=512),
    # The second design, which is not trained to its end: see docs/probes.
    "lite2": EighthArchitecture(16, 48, 96, 1, 2, 1, (32, 64, 128, 192), 3),
    "full2": EighthArchitecture(32, 96, 192, 1, 2, 1, (48, 96, 192, 256), 3),
    "tiny2": EighthArchitecture(8, 16, 16, 1, 1, 1, (8, 16, 24, 32), 2, demodulated=True),
    # Its variants, each one change away from the one before.
    "lite2-coarse": EighthArchitecture(16, 64, 96, 1, 2, 0, (32, 64, 128, 192), 3),
    "lite2-demodulated": EighthArchitecture(16, 64, 96, 1, 2, 0, (32, 64, 128, 192), 3, demodulated=True),
    "lite2-last": EighthArchitecture(16, 64, 96, 1, 2, 0, (32, 64, 128, 192), 3, demodulated=True, last_measured=True),
    # For tests and first tries: trains and exports in seconds, and is too small to stylize well.
    "tiny": Architecture(8, 32, 1, 1, (8, 16, 24, 32), 2),
}


class CompactStylizer(nn.Module):
    """The stylizer of the compact models: an AdaIN network that needs no VGG at run time.

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
        """Stylize frames.

        Args:
            frames: float [N, 3, H, W], RGB in 0..1; H and W are multiples of `multiple`.
            style: style statistics, float [S] or [N, S]; with a mask [2, S].
            strength: float scalar or [N] in 0..1.
            running: running content statistics, or None to use each frame's own.
            mask: float [N, 1, H, W] in 0..1: the share of the first of the two styles.

        Returns:
            The stylized frames, float [N, 3, H, W], not clamped, and the next running state ([K], or None).
        """
        x = self.stem(F.pixel_unshuffle((frames - 0.5) * 4, 2))
        x, state = self.stylize_features(x, style, strength, running, mask)
        return F.pixel_shuffle(x, 2) * 0.25 + 0.5, state

    def stylize_features(
        self, x: Tensor, style: Tensor, strength: Tensor, running: Running | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The part of `forward` from the output of ``stem`` to that of ``out``: [N, 12, H / 2, W / 2], in -2..2."""
        masks = None
        if mask is not None:
            # All sites but the last are at quarter resolution.
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
    """From a style code to style statistics: a mean and a positive deviation for each channel of each AdaIN site.

    Args:
        site_channels: channels of the AdaIN sites.
        hidden: units of a hidden layer; 0: none.
        correction: hidden units of a network whose output is added; 0: none. It starts at zero, so that a trained head
            goes on from where it is.
    """

    def __init__(self, site_channels: list[int], hidden: int = 0, correction: int = 0) -> None:
        super().__init__()
        self.site_channels = site_channels
        self.hidden = nn.Linear(STYLE_CODE_SIZE, hidden) if hidden else None
        self.linear = nn.Linear(hidden or STYLE_CODE_SIZE, 2 * sum(site_channels))
        with torch.no_grad():
            if self.hidden is not None:
                # Styles are to differ at the start as much as without the hidden layer.
                self.hidden.weight.mul_(4)
            self.linear.weight.mul_(0.3)
            self.linear.bias.zero_()
        self.correction: nn.Sequential | None = None
        if correction:
            last = nn.Linear(correction, 2 * sum(site_channels))
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.correction = nn.Sequential(nn.Linear(STYLE_CODE_SIZE, correction), nn.SiLU(), last)

    def forward(self, code: Tensor) -> Tensor:
        """Style statistics [N, S] of style codes [N, STYLE_CODE_SIZE]."""
        parts: list[Tensor] = []
        x = F.silu(code)
        if self.hidden is not None:
            x = F.silu(self.hidden(x))
        raw = self.linear(x).float()
        if self.correction is not None:
            raw = raw + self.correction(code).float()
        for index, part in enumerate(raw.split([c for c in self.site_channels for _ in range(2)], dim=1)):
            # The shifted softplus of 0 is a deviation of 1.
            parts.append(part if index % 2 == 0 else F.softplus(part + 0.5413) + 1e-3)
        return torch.cat(parts, dim=1)


class LossStatisticsReader(nn.Module):
    """From the loss network's statistics of a style image to a style code; used in training only.

    It reads standardised, clamped logarithms: the statistics themselves span orders of magnitude, and training on them
    diverges.

    Args:
        size: of the statistics; 1920 for VGG-19.
    """

    log_mean: Tensor
    log_std: Tensor

    def __init__(self, size: int = STATISTICS_SIZE) -> None:
        super().__init__()
        self.register_buffer("log_mean", torch.zeros(size))
        self.register_buffer("log_std", torch.ones(size))
        self.linear = nn.Linear(size, STYLE_CODE_SIZE)

    def calibrate(self, statistics: Tensor) -> None:
        """Take the standardisation from the loss-network statistics of many style images, [N, size]."""
        logs = torch.log(statistics + 1e-3)
        self.log_mean.copy_(logs.mean(0))
        self.log_std.copy_(logs.std(0) + 1e-3)

    @torch.no_grad()
    def fit(self, statistics: Tensor, codes: Tensor, ridge: float = 0.01) -> None:
        """Fit the linear layer to known style codes, by ridge regression in float64.

        Args:
            statistics: of the loss network, [N, size], on the CPU.
            codes: the code for each, [N, STYLE_CODE_SIZE].
            ridge: regularisation, as a share of the inputs' mean variance.
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
        """Style codes [N, STYLE_CODE_SIZE] of loss-network statistics [N, size]."""
        return self.linear(self._standardised(statistics))


class StyleEncoder(nn.Module):
    """From a style image to a style code: channel statistics of a small convolutional network at four scales."""

    def __init__(self, widths: tuple[int, ...], depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.ModuleList([ReflectConv(3, widths[0])])])
        for inputs, width in pairwise(widths):
            more = (ReflectConv(width, width) for _ in range(depth - 1))
            self.convs.append(nn.ModuleList([ReflectConv(inputs, width, stride=2), *more]))
        for module in self.convs.modules():
            if isinstance(module, nn.Conv2d):
                # PyTorch's default initialisation shrinks signals from layer to layer, and half of the deep channels
                # become dead ReLUs: negative for every image.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.norm = nn.BatchNorm1d(2 * sum(widths))
        self.mlp = nn.Sequential(
            nn.Linear(2 * sum(widths), STYLE_CODE_SIZE), nn.SiLU(), nn.Linear(STYLE_CODE_SIZE, STYLE_CODE_SIZE)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Style codes [N, STYLE_CODE_SIZE] of images, float [N, 3, H, W], RGB in 0..1."""
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
    """A model of one of `ARCHITECTURES`, with all that is trained.

    The frame path is the stylizer with the style head; the style encoder replaces the statistics reader that the frame
    path is trained with, and which does not ship.

    Args:
        arch: name of the architecture.
        divisor: width divisor of the loss network, see `train.vgg.build_layers`.
    """

    def __init__(self, arch: str, divisor: int = 1) -> None:
        super().__init__()
        architecture = ARCHITECTURES[arch]
        self.vgg_divisor = divisor
        self.stylizer: CompactStylizer | EighthStylizer
        if isinstance(architecture, EighthArchitecture):
            self.stylizer, head = EighthStylizer(architecture), {"hidden": HEAD_WIDTH}
        else:
            self.stylizer, head = CompactStylizer(architecture), {"correction": architecture.head_correction}
        self.style_encoder = StyleEncoder(architecture.style_widths, architecture.style_depth)
        self.style_head = StyleHead(self.stylizer.site_channels, **head)
        self.statistics_reader = LossStatisticsReader(STATISTICS_SIZE // divisor)

    @property
    def site_channels(self) -> list[int]:
        return self.stylizer.site_channels

    def encode_style(self, image: Tensor) -> Tensor:
        """Style statistics [N, S] of images, float [N, 3, H, W], RGB in 0..1."""
        return self.style_head(self.style_encoder(image))


class ClassicStylizer(nn.Module):
    """The AdaIN paper's network: VGG-19 to relu4_1, one AdaIN site, and a decoder that mirrors the encoder."""

    multiple = 8

    def __init__(self, divisor: int = 1) -> None:
        super().__init__()
        self.encoder = build_layers(divisor).requires_grad_(False)
        layers: list[nn.Module] = []
        one, two, three, four = (count // divisor for count in CHANNELS.values())
        plan: list[int | str] = [three, "up", three, three, three, two, "up", two, one, "up", one]
        channels = four
        for step in plan:
            if isinstance(step, str):
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
                continue
            layers += [ReflectPad(), nn.Conv2d(channels, step, 3), nn.ReLU()]
            channels = step
        layers += [ReflectPad(), nn.Conv2d(channels, 3, 3)]
        self.decoder = nn.Sequential(*layers)
        self.site_channels = [four]

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
        stylized = self.decoder(sites(self.encoder(frames)))
        return stylized, sites.next_state() if running is not None else None


class ClassicModel(nn.Module):
    """The paper's model with the methods of `CompactModel`; its style encoder is the VGG itself."""

    def __init__(self, divisor: int = 1) -> None:
        super().__init__()
        self.vgg_divisor = divisor
        self.stylizer = ClassicStylizer(divisor)

    @property
    def site_channels(self) -> list[int]:
        return self.stylizer.site_channels

    def encode_style(self, image: Tensor) -> Tensor:
        """Style statistics [N, 1024] of images: means, then deviations, of relu4_1."""
        return torch.cat(channel_statistics(self.stylizer.encoder(image)), dim=1)


Model = CompactModel | ClassicModel


def measured_channels(model: Model) -> list[int]:
    """Channels of the sites that normalise by statistics of the frame: those with a running state."""
    stylizer = model.stylizer
    return stylizer.measured_channels if isinstance(stylizer, EighthStylizer) else stylizer.site_channels


def check_architecture(arch: str) -> None:
    """Refuse a name that is no architecture.

    Raises:
        LivestyleError: it is none.
    """
    names = [*ARCHITECTURES, "classic"]
    if arch not in names:
        raise LivestyleError(f"there is no architecture {arch!r}: choose one of {', '.join(names)}")


def stylizer_multiple(arch: str) -> int:
    """The number of pixels of which the sides of an architecture's frames are multiples."""
    if arch == "classic":
        return ClassicStylizer.multiple
    is_new = isinstance(ARCHITECTURES[arch], EighthArchitecture)
    return EighthStylizer.multiple if is_new else CompactStylizer.multiple


def build_model(arch: str, divisor: int = 1) -> Model:
    """A new model of one of `ARCHITECTURES`, or ``classic``.

    Args:
        arch: name of the architecture.
        divisor: width divisor of the loss network, which decides the statistics reader and the widths of ``classic``.

    Raises:
        LivestyleError: there is no such architecture.
    """
    check_architecture(arch)
    return ClassicModel(divisor) if arch == "classic" else CompactModel(arch, divisor)


def vgg_divisor(state: Mapping[str, Tensor]) -> int:
    """The width divisor of the loss network that a model was trained with, from the shapes of its weights."""
    sizes = {"statistics_reader.log_mean": STATISTICS_SIZE, "stylizer.encoder.2.bias": CHANNELS["relu1_1"]}
    return next((size // max(1, len(state[name])) for name, size in sizes.items() if name in state), 1)
