"""The loss network: the normalised VGG-19 of the AdaIN paper up to relu4_1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from livestyle.errors import LivestyleError

from .operations import channel_moments, reflect_pad

TAPS = {"relu1_1": 3, "relu2_1": 10, "relu3_1": 17, "relu4_1": 30}
"""Index in `build_layers` of each layer whose features the losses use."""
CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512}
STATISTICS_SIZE = 2 * sum(CHANNELS.values())
EPSILON = 1e-5

_WIDTHS: list[int | str] = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512]
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class ReflectPad(nn.Module):
    """Reflection padding by one pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return reflect_pad(x, 1)


def build_layers(divisor: int = 1) -> nn.Sequential:
    """The layers from RGB in 0..1 to relu4_1, with random weights.

    As in the AdaIN paper: a 1x1 convolution for the colours first, reflection padding, max-pooling with ceil.

    Args:
        divisor: divides the width of every layer; 1 is VGG-19, 8 a network for tests.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    channels = 3
    for width in _WIDTHS:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            continue
        layers += [ReflectPad(), nn.Conv2d(channels, width // divisor, 3), nn.ReLU()]
        channels = width // divisor
    return nn.Sequential(*layers)


def _torchvision_state(layers: nn.Sequential) -> dict[str, Tensor]:
    from torchvision.models import VGG19_Weights, vgg19

    try:
        features = vgg19(weights=VGG19_Weights.IMAGENET1K_V1).features
    except OSError as error:
        raise LivestyleError(
            f"torchvision's VGG-19 cannot be downloaded ({error}): give --vgg-weights a file"
        ) from error
    source = [m for m in features if isinstance(m, nn.Conv2d)]
    state = layers.state_dict()
    std = torch.tensor(_IMAGENET_STD)
    state["0.weight"] = torch.diag(1 / std)[:, :, None, None]
    state["0.bias"] = -torch.tensor(_IMAGENET_MEAN) / std
    ours = [name for name, m in layers.named_children() if isinstance(m, nn.Conv2d)][1:]
    for name, conv in zip(ours, source, strict=False):
        state[f"{name}.weight"] = conv.weight.detach()
        assert conv.bias is not None
        state[f"{name}.bias"] = conv.bias.detach()
    return state


def channel_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Channel means and standard deviations of features [N, C, H, W]: two float32 tensors [N, C].

    The deviation is ``sqrt(unbiased variance + 1e-5)``, as in the AdaIN paper's code.
    """
    mean, variance = channel_moments(features)
    pixels = features.shape[2] * features.shape[3]
    return mean, (variance * (pixels / (pixels - 1)) + EPSILON).sqrt()


class LossNetwork(nn.Module):
    """Frozen VGG-19 to relu4_1 (Simonyan & Zisserman 2015; used as in Huang & Belongie 2017).

    Args:
        weights: a file with the layers of `build_layers`, whose shapes decide the widths: .safetensors, or
            pytorch-AdaIN's ``vgg_normalised.pth``, of which the layers behind relu4_1 are left out; without one,
            torchvision's ImageNet VGG-19, which torchvision downloads on first use and `normalize` has to normalise.

    Attributes:
        divisor: that of `build_layers`; 1 for VGG-19.

    Raises:
        LivestyleError: the file is missing or is not such a network, or the download fails.
    """

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        state = None if weights is None else _read_weights(weights)
        self.divisor = 1 if state is None else _width_divisor(state)
        self.layers = build_layers(self.divisor)
        if state is None:
            state = _torchvision_state(self.layers)
        known = self.layers.state_dict()
        state = {name: value for name, value in state.items() if name in known}
        try:
            self.layers.load_state_dict(state)
        except RuntimeError as error:
            raise LivestyleError(f"{weights} is not a VGG-19 up to relu4_1: {error}") from error
        self.requires_grad_(False)
        self.eval()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features of ``image`` (float [N, 3, H, W], RGB in 0..1) by tap name."""
        taps = {index: name for name, index in TAPS.items()}
        features: dict[str, Tensor] = {}
        x = image
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in taps:
                features[taps[index]] = x
        return features

    @torch.no_grad()
    def normalize(self, images: Tensor) -> None:
        """Scale each channel of each convolution so that its mean activation over ``images`` is 1 (Gatys et al. 2016).

        Features change by these scales only. The losses, and the weights that balance them, expect a normalised
        network.

        Args:
            images: float [N, 3, H, W], RGB in 0..1: some dozens of photographs.
        """
        x = images
        scale = torch.ones(3, device=images.device)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer is not self.layers[0]:
                assert layer.bias is not None
                layer.weight.mul_(scale[None, :, None, None])
                activation = layer(x).relu().mean(dim=(0, 2, 3))
                # A channel that is inactive on all of these images keeps its scale.
                scale = torch.where(activation > 1e-6, activation, torch.ones_like(activation))
                layer.weight.div_(scale[:, None, None, None])
                layer.bias.div_(scale)
            x = layer(x)

    def train(self, mode: bool = True) -> LossNetwork:
        """Stays in evaluation mode: the loss network is never trained."""
        return super().train(False)


def statistics_vector(features: dict[str, Tensor]) -> Tensor:
    """Means then deviations of each tap, in the order of `TAPS`: float32 [N, 1920] for VGG-19."""
    parts: list[Tensor] = []
    for name in TAPS:
        parts += channel_statistics(features[name])
    return torch.cat(parts, dim=1)


def split_statistics(vector: Tensor, channels: Sequence[int]) -> dict[str, tuple[Tensor, Tensor]]:
    """The inverse of `statistics_vector` for taps of so many channels: (means, deviations) by tap name."""
    parts = vector.split([c for c in channels for _ in range(2)], dim=-1)
    return {name: (parts[2 * i], parts[2 * i + 1]) for i, name in enumerate(TAPS)}


def _width_divisor(state: Mapping[str, Tensor]) -> int:
    """The divisor of the widths of a network, from its first layer; whether the others fit is found when it loads."""
    first = state.get("2.weight")
    width = first.shape[0] if first is not None and first.dim() else 0
    return CHANNELS["relu1_1"] // width if width and CHANNELS["relu1_1"] % width == 0 else 1


def _read_weights(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise LivestyleError(f"there is no loss network at {path}: give --vgg-weights a .safetensors or .pth file")
    if path.suffix == ".pth":
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise LivestyleError(f"{path} is not a readable file of weights: {error}") from error
        if isinstance(content, Mapping) and all(isinstance(value, Tensor) for value in content.values()):
            return content
        raise LivestyleError(f"{path} holds no weights by the names of layers")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise LivestyleError(f"{path} is not a readable safetensors file: {error}") from error
