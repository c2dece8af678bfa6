"""Checkpoint files: written atomically, read with checks, averaged; and the models inside them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from livestyle.engine.model import CHECKPOINT
from livestyle.errors import LivestyleError, first_line
from livestyle.files import open_archive
from livestyle.memory import is_memory_error

from .networks import Model, build_model, vgg_divisor

CHECKPOINT_FORMAT = 1
MOST_BYTES = 16 << 30
"""Size limit of a checkpoint."""
MOST_MEMBERS = 10_000
"""Tensors of a checkpoint, about."""
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
        _check_archive(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = "there is not enough memory" if is_memory_error(error) else first_line(error)
        raise LivestyleError(f"{file} is not a readable checkpoint: {reason}") from error
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT_FORMAT:
        raise LivestyleError(f"{file} is not a checkpoint of this version of livestyle")
    # Each is a mapping of tensors by their names; all else is looked at by whoever takes it.
    average = content.get("average")
    if not isinstance(content.get("arch"), str) or not isinstance(average, dict):
        raise LivestyleError(f"{file} is not a checkpoint of this version of livestyle")
    if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in average.items()):
        raise LivestyleError(f"{file} is not a checkpoint of this version of livestyle")
    return content


def _check_archive(file: Path) -> None:
    """Raise a `ValueError` for a file that is not as torch.save writes it: a zip archive that is not compressed.

    Zip bombs: torch.load unpacks what is compressed, however large it becomes.
    """
    with open_archive(file, MOST_BYTES, MOST_MEMBERS) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise ValueError("it is compressed")


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
        before = start["average"].get(name)
        if before is None or before.shape != value.shape:
            raise LivestyleError(f"{first} and {second} are not of one run: {name} differs")
        if value.is_floating_point():
            end["average"][name] = torch.lerp(before, value, share)
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
    if shipped.suffix == ".safetensors" and shipped.is_file():
        return _load_shipped(shipped, divisor)
    checkpoint = load_checkpoint(path)
    try:
        model = build_model(checkpoint["arch"], vgg_divisor(checkpoint["average"]))
        model.load_state_dict(checkpoint["average"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise LivestyleError(f"{path} is not a checkpoint of this version of livestyle: {first_line(error)}") from error
    return model.eval(), checkpoint


def _load_shipped(path: Path, divisor: int) -> tuple[Model, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
        model, iteration = build_model(metadata["arch"], divisor), int(metadata["iteration"])
        missing, unexpected = model.load_state_dict(values, strict=False)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, TypeError, LivestyleError) as error:
        raise LivestyleError(f"{path} is not the checkpoint of a model folder: {first_line(error)}") from error
    # The statistics reader serves training only and does not ship.
    if unexpected or not all(name.startswith("statistics_reader.") for name in missing):
        raise LivestyleError(f"{path} is not the checkpoint of a model folder: other layers are in it")
    return model.eval(), {"arch": metadata["arch"], "iteration": iteration}
