"""Probes: short training runs of equal length, compared on the same pairs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .adapters import CheckpointAdapter
from .checkpoints import load_model
from .cost import multiply_accumulates
from .data import find_images, to_float
from .evaluate import content_features, load_images, measure_pair, stability, style_target
from .networks import ClassicModel
from .vgg import LossNetwork

RESAMPLES = 2000
INTERVAL = (5, 95)
"""Percentiles of the intervals."""
STILLS = 12
"""Stability is measured on every so-manieth content image."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """The figures of a run; losses are means over the pairs but for the median.

    Attributes:
        arch: its architecture.
        gmac: billions of multiply-accumulates of a frame of 640x360; 0 for ``classic``.
        iterations: of the run.
        cpu_minutes: time of all cores that they took; 0 where the checkpoint does not say.
        style, style_median, content, ssim, noise_gain, pan_error: as in `train.evaluate.Report`.
        style_ratio, content_ratio: mean loss as a multiple of the first run's, with the interval in which it lies in
            nine of ten draws of contents and styles. How much another seed would change is not in it.
    """

    arch: str
    gmac: float
    iterations: int
    cpu_minutes: float
    style: float
    style_median: float
    content: float
    ssim: float
    noise_gain: float
    pan_error: float
    style_ratio: tuple[float, float, float]
    content_ratio: tuple[float, float, float]


def probe(
    runs: Sequence[Path],
    content: Sequence[Path],
    style: Sequence[Path],
    vgg_weights: Path | None,
    *,
    every: int = 3,
    side: int = 256,
) -> dict[str, Probe]:
    """Measure runs on all pairs of some content and style images.

    Args:
        runs: folders of runs, checkpoints or model folders; the first is the reference.
        content: folders or tar files with content images that no run was trained on.
        style: the same for style images.
        vgg_weights: see `LossNetwork`.
        every: use every n-th image, sorted by name.
        side: short side to which they are scaled, in pixels.

    Returns:
        Probes by the names of the runs.

    Raises:
        LivestyleError: a run or an image cannot be read.
    """
    network = LossNetwork(vgg_weights).to(memory_format=torch.channels_last)
    contents, styles = load_images(content, side)[::every], load_images(style, side)[::every]
    stills = sorted(find_images(content), key=lambda file: file.name)[::STILLS]
    features = [content_features(network, image) for image in contents]
    targets = [style_target(network, image) for image in styles]
    names = [run.name for run in runs]
    probes: dict[str, Probe] = {}
    reference: np.ndarray | None = None
    for run in runs:
        adapter = CheckpointAdapter(run)
        model, saved = load_model(run)
        # Not `adapter.encode`, which enlarges them to the size of styles in use: the targets are those of this size.
        with torch.inference_mode():
            codes = [model.encode_style(_planes(image)) for image in styles]
        # [contents, styles, (style loss, content loss, SSIM)]
        figures = np.array([
            [
                measure_pair(network, adapter.stylize(image, code), image, known, target)
                for code, target in zip(codes, targets, strict=True)
            ]
            for image, known in zip(contents, features, strict=True)
        ])  # fmt: skip
        gain, error = stability(adapter.stylize_video, stills, codes)
        reference = figures if reference is None else reference
        is_compact = not isinstance(model, ClassicModel)
        name = run.name if names.count(run.name) == 1 else f"{run.parent.name}/{run.name}"
        probes[name] = Probe(
            arch=saved["arch"],
            gmac=round(multiply_accumulates(model.stylizer) / 1e9, 2) if is_compact else 0.0,
            iterations=saved["iteration"],
            cpu_minutes=round(saved.get("cpu_seconds", 0.0) / 60, 1),
            style=float(figures[..., 0].mean()),
            style_median=float(np.median(figures[..., 0])),
            content=float(figures[..., 1].mean()),
            ssim=float(figures[..., 2].mean()),
            noise_gain=gain,
            pan_error=error,
            style_ratio=ratio(figures[..., 0], reference[..., 0]),
            content_ratio=ratio(figures[..., 1], reference[..., 1]),
        )
        log.info("%s: style %.3f, content %.3f", name, probes[name].style, probes[name].content)
    return probes


def _planes(image: np.ndarray) -> Tensor:
    return to_float(torch.from_numpy(image.copy()).permute(2, 0, 1)[None], torch.device("cpu"))


def ratio(losses: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """Mean loss as a multiple of the reference's, with the ends of its interval, by the bootstrap (Efron 1979).

    Args:
        losses: of a run, [contents, styles].
        reference: of the reference on the same pairs.
    """
    random = np.random.default_rng(0)
    rows, columns = losses.shape
    drawn = []
    for _ in range(RESAMPLES):
        # Contents and styles are drawn, not pairs: pairs with one style in common are hard or easy together.
        pick = np.ix_(random.integers(rows, size=rows), random.integers(columns, size=columns))
        drawn.append(losses[pick].mean() / reference[pick].mean())
    low, high = np.percentile(drawn, INTERVAL)
    return float(losses.mean() / reference.mean()), float(low), float(high)


def markdown(probes: dict[str, Probe]) -> str:
    """Probes as a Markdown table."""
    heads = ["run", "GMAC", "iterations", "CPU minutes", "style", "median", "content", "SSIM", "noise gain"]
    heads += ["pan error", "style, multiple of the first", "content, likewise"]
    rows = [
        [
            name,
            f"{found.gmac:.1f}",
            str(found.iterations),
            f"{found.cpu_minutes:.0f}" if found.cpu_minutes else "",
            f"{found.style:.3f}",
            f"{found.style_median:.3f}",
            f"{found.content:.3f}",
            f"{found.ssim:.3f}",
            f"{found.noise_gain:.2f}",
            f"{found.pan_error:.1f}",
            "{:.2f} ({:.2f} to {:.2f})".format(*found.style_ratio),
            "{:.2f} ({:.2f} to {:.2f})".format(*found.content_ratio),
        ]
        for name, found in probes.items()
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *rows]) + "\n"
