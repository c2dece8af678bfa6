"""Published AdaIN weights: the files of pytorch-AdaIN, and decoders that others have trained with its code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from livestyle.errors import LivestyleError
from train.networks import ClassicModel
from train.vgg import CHANNELS

WRAPPERS = ("state_dict", "decoder", "model")
"""Keys under which training scripts keep the weights beside other things."""
PREFIXES = ("module.", "decoder.", "net.", "vgg.")
"""What wrappers put before the names of layers: ``module.`` is that of `torch.nn.DataParallel`."""


def load_published(decoder: Path, vgg: Path) -> ClassicModel:
    """The paper's model with the weights of two published files.

    Args:
        decoder: ``decoder.pth`` of pytorch-AdaIN, or ``decoder_iter_N.pth.tar`` of its training.
        vgg: ``vgg_normalised.pth``, the encoder that the decoder was trained with; the layers behind relu4_1 are not
            needed. Also .safetensors.

    Raises:
        LivestyleError: a file cannot be read, or lacks layers, which the error names.
    """
    encoder_weights, decoder_weights = _read(vgg), _read(decoder)
    first = encoder_weights.get("2.weight")
    width = len(first) if first is not None and first.dim() else 0
    full = CHANNELS["relu1_1"]
    model = ClassicModel(full // width if width and full % width == 0 else 1)
    stylizer = model.stylizer
    _fill(stylizer.encoder, encoder_weights, vgg, "VGG-19 up to relu4_1")
    _fill(stylizer.decoder, decoder_weights, decoder, "decoder")
    return model.eval()


def holds_decoder(path: Path) -> bool:
    """Whether a file holds such a decoder, and so needs a VGG beside it."""
    try:
        weights = _read(path)
    except LivestyleError:
        return False
    return {"1.weight", "28.weight"} <= weights.keys()


def _read(path: Path) -> dict[str, Tensor]:
    """The weights of a file by the names of pytorch-AdaIN's layers."""
    if not path.is_file():
        raise LivestyleError(f"there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: object = load_file(path)
        else:
            # Only tensors: a pickle from elsewhere could run code.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise LivestyleError(
            f"{path} holds more than weights, and is not opened: save the state_dict of the decoder alone"
        ) from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LivestyleError(f"{path} is not a readable file of weights: {reason}") from error
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise LivestyleError(
            f"{path} holds no weights by the names of layers: save the state_dict of the decoder alone"
        )
    weights: dict[str, Tensor] = {}
    for name, value in content.items():
        short = str(name)
        while prefix := next((p for p in PREFIXES if short.startswith(p)), None):
            short = short.removeprefix(prefix)
        weights[short] = value
    return weights


def _fill(layers: torch.nn.Sequential, weights: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Fill layers with weights; those that they do not have are ignored, as VGG-19's behind relu4_1."""
    wanted = layers.state_dict()
    missing = [name for name in wanted if name not in weights]
    if missing:
        raise LivestyleError(f"{path} is not the {what} of pytorch-AdaIN: it lacks {_listed(missing)}")
    others = [
        f"{name} is {_shape(weights[name])} instead of {_shape(value)}"
        for name, value in wanted.items()
        if weights[name].shape != value.shape
    ]
    if others:
        raise LivestyleError(f"{path} is not the {what} of pytorch-AdaIN: {_listed(others)}")
    spoilt = [name for name in wanted if not weights[name].isfinite().all()]
    if spoilt:
        raise LivestyleError(f"{path} holds numbers that are not finite, in {_listed(spoilt)}: train again or copy it")
    layers.load_state_dict({name: weights[name] for name in wanted})


def _listed(items: list[str]) -> str:
    shown = ", ".join(items[:4])
    return f"{shown} and {len(items) - 4} more" if len(items) > 4 else shown


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape))
