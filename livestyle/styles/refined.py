"""Refined statistics of the user's own presets, kept beside their images (``NAME.refined.json``)."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from livestyle.engine.model import STYLE, STYLIZE
from livestyle.engine.style import StyleStats
from livestyle.errors import OutputError
from livestyle.files import atomic_write, read_json, read_regular

if TYPE_CHECKING:
    from livestyle.engine.model import Model


MAX_IMAGE_BYTES = 64 << 20
"""Of a preset's image; those that livestyle writes have 2 MiB at most."""


def refined_path(image: Path) -> Path:
    """File of the refined statistics of a preset's image."""
    return image.with_suffix(".refined.json")


def read_refined(image: Path, model: Model) -> StyleStats | None:
    """Refined statistics of a preset's image for a model.

    None where there are none: it was not refined for this model, or another image is there now.
    """
    values = _read(image).get(_model_key(model))
    try:
        stats = np.asarray(values, np.float32)
    except (ValueError, TypeError):
        return None
    if stats.shape != (model.manifest.stats_size,) or not np.isfinite(stats).all():
        return None
    return StyleStats(stats)


def write_refined(image: Path, model: Model, stats: StyleStats) -> None:
    """Keep refined statistics of a preset's image, beside those for other models.

    Raises:
        OutputError: the file cannot be written.
    """
    models = _read(image) | {_model_key(model): [float(f"{value:.6g}") for value in stats.values]}
    content = {"image": _checksum(image), "models": models}
    path = refined_path(image)
    try:
        with atomic_write(path) as file:
            file.write(json.dumps(content).encode())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def forget_refined(image: Path) -> None:
    """Delete the refined statistics of a preset's image, if there are any."""
    with suppress(OSError):
        refined_path(image).unlink(missing_ok=True)


def _read(image: Path) -> dict[str, Any]:
    """Refined statistics by model; empty where there are none for this very image."""
    try:
        content = read_json(refined_path(image))
        models = content["models"] if content["image"] == _checksum(image) else {}
        return dict(models)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _checksum(image: Path) -> str:
    return hashlib.sha256(read_regular(image, MAX_IMAGE_BYTES)).hexdigest()


def _model_key(model: Model) -> str:
    """Key of a model: of its style encoder and its frame path, for both of which statistics are refined."""
    files = model.manifest.files
    return hashlib.sha256(f"{files[STYLE]} {files[STYLIZE]}".encode()).hexdigest()
