"""The losses of both forms of the 8-bit network, computed and constant (see `livestyle.engine.constant`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from livestyle.engine.constant import SETTLING_FRAMES
from livestyle.engine.model import STYLIZE_CONSTANT
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import LivestyleError

from .evaluate import NOISE_LEVELS, content_features, load_images, measure_pair, style_target
from .programs import with_progress
from .vgg import LossNetwork

FRAMES = SETTLING_FRAMES + 4
"""Of a still with fresh noise in each; the constants are those of the eighth, the last one is measured."""


@dataclass(frozen=True)
class FormLosses:
    """Style and content loss of a model's two forms, means over the same pairs.

    Attributes:
        pairs: number of pairs.
        constant_pairs: those whose last frame the constant form painted; the others drifted too far, or are flat.
        style, content: losses of the computed form, then of the constant one.
    """

    pairs: int
    constant_pairs: int
    style: tuple[float, float]
    content: tuple[float, float]


def compare_forms(
    models: Sequence[str], content: Sequence[Path], style: Sequence[Path], vgg_weights: Path | None, every: int
) -> dict[str, FormLosses]:
    """Paint every pair as a noisy still in both forms, and measure the last frame.

    Args:
        models: model folders, or names of models that ship.
        content: folders or tar files with contents.
        style: the same for styles.
        vgg_weights: see `LossNetwork`.
        every: use every n-th image, sorted by name.

    Returns:
        Losses by model.

    Raises:
        LivestyleError: a model or an image cannot be read, or a model has no constant form.
    """
    network = LossNetwork(vgg_weights).to(memory_format=torch.channels_last)
    contents, styles = load_images(content)[::every], load_images(style)[::every]
    targets = [style_target(network, image) for image in styles]
    results: dict[str, FormLosses] = {}
    for name in models:
        stylizers = [_in_form(name, form) for form in ("computed", "constant")]
        codes = [stylizers[0].encode_style(image[:, :, ::-1].copy()) for image in styles]
        losses: list[list[tuple[float, float]]] = []
        at_rest = 0
        for image in with_progress(contents, name):
            features, frames = content_features(network, image), noisy_still(image)
            for code, target in zip(codes, targets, strict=True):
                pair = []
                for stylizer in stylizers:
                    painted, is_constant = _last_of(stylizer, frames, code)
                    at_rest += is_constant
                    pair.append(measure_pair(network, painted, image, features, target)[:2])
                losses.append(pair)
        computed, constant = np.array(losses).mean(0)
        results[name] = FormLosses(
            len(losses), at_rest, (float(computed[0]), float(constant[0])), (float(computed[1]), float(constant[1]))
        )
    return results


def noisy_still(image: np.ndarray) -> list[np.ndarray]:
    """`FRAMES` frames of an image with fresh noise of 4 grey levels, the last without, uint8 [H, W, 3]."""
    random = np.random.default_rng(0)
    noisy = [image + random.normal(0, NOISE_LEVELS, image.shape) for _ in range(FRAMES - 1)]
    return [np.clip(np.rint(frame), 0, 255).astype(np.uint8) for frame in (*noisy, image)]


def table(results: dict[str, FormLosses]) -> str:
    """The losses as a Markdown table."""
    lines = [
        "| | pairs | style, computed | constant | ratio | content, computed | constant | ratio |",
        "|---" * 8 + "|",
    ]
    for name, found in results.items():
        cells = [name, f"{found.constant_pairs} of {found.pairs} at rest"]
        for computed, constant in (found.style, found.content):
            cells += [f"{computed:.4f}", f"{constant:.4f}", f"{constant / computed:.4f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _in_form(name: str, form: str) -> Stylizer:
    stylizer = Stylizer(name, "cpu")
    if STYLIZE_CONSTANT not in stylizer.model.manifest.files:
        raise LivestyleError(f"{name} has no constant form to compare: its network in 8-bit integers was left out")
    stylizer.use_form(form)
    return stylizer


def _last_of(stylizer: Stylizer, frames: Sequence[np.ndarray], code: Any) -> tuple[np.ndarray, bool]:
    """The last painted frame of a sequence, uint8 [H, W, 3] RGB, and whether the constant form painted it."""
    state = Stabilizer()
    before = 0
    painted = frames[0]
    for frame in frames:
        before = state.frames_since
        painted = stylizer.stylize(frame[:, :, ::-1].copy(), code, state=state)
    return painted[:, :, ::-1].copy(), state.rest is not None and state.frames_since > before
