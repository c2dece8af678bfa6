"""Checkpoint files: written atomically, read with checks, averaged; and the models inside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from livestyle.engine.model import CHECKPOINT
from livestyle.errors import LivestyleError

from .networks import Model, build_model, vgg_divisor

CHECKPOINT_FORMAT = 1
LAST = "last.pt"
BEST = "best.pt"
"""The checkpoint of the last stage with the lowest validation loss."""
STAGE_END = "stage-{}-{}.pt"
"""The checkpoint at the end of each stage but the last, from which the stage that follows can be tried again."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically: to a temporary name, which is then moved into place.

    Raises:
        LivestyleError: it cannot be written there.
    """
    partial = path.with_suffix(".partial")
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        raise LivestyleError(f"cannot write the checkpoint {path}: {error}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file, or of the newest one in the folder of a run.

    Raises:
        LivestyleError: there is none, or the file is not a checkpoint of this format.
    """
    file = path / LAST if path.is_dir() else path
    if not file.is_file():
        raise LivestyleError(f"there is no checkpoint at {file}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise LivestyleError(f"{file} is not a readable checkpoint: {error}") from error
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT_FORMAT:
        raise LivestyleError(f"{file} is not a checkpoint of this version of livestyle")
    return content


def average_checkpoints(first: Path, second: Path, share: float) -> dict[str, Any]:
    """A checkpoint whose averaged weights are the weighted mean of two of one run (Wortsman et al. 2022).

    Args:
        first: an earlier checkpoint.
        second: a later one; everything but the averaged weights is taken from it.
        share: weight of the second, 0..1.

    Raises:
        LivestyleError: a file cannot be read, or they differ in architecture.
    """
    start, end = load_checkpoint(first), load_checkpoint(second)
    if start["arch"] != end["arch"]:
        raise LivestyleError(f"{first} is a model of {start['arch']} and {second} one of {end['arch']}")
    for name, value in end["average"].items():
        if value.is_floating_point():
            end["average"][name] = torch.lerp(start["average"][name], value, share)
    return end


def load_model(path: Path, divisor: int = 1) -> tuple[Model, dict[str, Any]]:
    """The model with the averaged weights of a checkpoint, in evaluation mode, and the checkpoint's content.

    Args:
        path: a checkpoint, the folder of a run, or a model folder or its safetensors file.
        divisor: width divisor of the loss network (see `train.vgg`) that the statistics reader is built for, where the
            file has no statistics reader: that of a model folder.

    Raises:
        LivestyleError: the file is missing or is neither.
    """
    shipped = path / CHECKPOINT if (path / CHECKPOINT).is_file() else path
    if shipped.suffix == ".safetensors":
        return _load_shipped(shipped, divisor)
    checkpoint = load_checkpoint(path)
    try:
        model = build_model(checkpoint["arch"], vgg_divisor(checkpoint["average"]))
        model.load_state_dict(checkpoint["average"])
    except (KeyError, RuntimeError) as error:
        raise LivestyleError(f"{path} is not a checkpoint of this version of livestyle: {error}") from error
    return model.eval(), checkpoint


def _load_shipped(path: Path, divisor: int) -> tuple[Model, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
        model, iteration = build_model(metadata["arch"], divisor), int(metadata["iteration"])
        missing, unexpected = model.load_state_dict(values, strict=False)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise LivestyleError(f"{path} is not the checkpoint of a model folder: {error}") from error
    # The statistics reader serves training only and does not ship.
    if unexpected or not all(name.startswith("statistics_reader.") for name in missing):
        raise LivestyleError(f"{path} is not the checkpoint of a model folder: other layers are in it")
    return model.eval(), {"arch": metadata["arch"], "iteration": iteration}
