"""What a model is worth: AdaIN's content and style losses, structure kept, and stillness, on held-back pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from livestyle.engine import StyleStats, Stylizer
from livestyle.errors import LivestyleError

from .data import PictureFile, find_pictures
from .losses import content_loss, style_loss
from .vgg import LossNetwork, statistics_vector

QUALITY_SIDE = 512
QUALITY_LONGEST = 768
STILLNESS_SIDE = 384
NOISE_LEVELS = 4.0
BORDER = 16
SEQUENCE = 8
WARM_UP = 2


@dataclass(frozen=True)
class Report:
    """The figures of a model.

    Attributes:
        pairs: content and style pairs measured.
        style_mean, style_median, style_p90: style loss over relu1_1 to relu4_1, over the pairs.
        content: content loss at relu4_1, mean over the pairs.
        ssim: structural similarity of the luma of output and content, mean over the pairs.
        noise_gain: change between outputs over change between inputs, for a still with fresh noise.
        pan_error: grey levels between aligned outputs of a slow pan.
    """

    pairs: int
    style_mean: float
    style_median: float
    style_p90: float
    content: float
    ssim: float
    noise_gain: float
    pan_error: float


def prepare(picture: PictureFile, side: int = QUALITY_SIDE) -> np.ndarray:
    """A picture for measuring: short side ``side`` (bicubic), its top left cropped to multiples of 8, uint8 RGB."""
    image = picture.read()
    factor = side / min(image.size)
    size = (max(side, round(image.width * factor)), max(side, round(image.height * factor)))
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    height, width = (min(QUALITY_LONGEST, n) // 8 * 8 for n in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def evaluate(
    model: str, content: Sequence[Path], style: Sequence[Path], vgg_weights: Path | None, every: int = 2
) -> Report:
    """Measure a model folder.

    Args:
        model: a model folder or the name of one that ships.
        content: folders or tar files with the content pictures, none of which the model was trained on.
        style: the same of the style pictures.
        vgg_weights: as in `LossNetwork`.
        every: each picture so many, sorted by name, is used; 1 uses all.

    Raises:
        LivestyleError: the model or a picture cannot be read.
    """
    from rich.progress import track

    stylizer = Stylizer(model, "cpu")
    network = LossNetwork(vgg_weights).to(memory_format=torch.channels_last)
    contents = _load(content)
    styles = _load(style)
    encoded = [(stylizer.encode_style(_bgr(image)), _statistics(network, image)) for image in styles[::every]]
    content_losses: list[float] = []
    style_losses: list[float] = []
    similarities: list[float] = []
    for image in track(contents[::every], description="quality"):
        features = network(_tensor(image))["relu4_1"]
        for stats, target in encoded:
            painted = _bgr(stylizer.stylize(_bgr(image), stats))
            taps = network(_tensor(painted))
            content_losses.append(float(content_loss(taps["relu4_1"], features)))
            style_losses.append(float(style_loss(taps, target)))
            similarities.append(ssim(luma(painted), luma(image)))
    gain, error = stillness(stylizer, find_pictures(content)[::6], [s for s, _ in encoded])
    return Report(
        pairs=len(style_losses),
        style_mean=float(np.mean(style_losses)),
        style_median=float(np.median(style_losses)),
        style_p90=float(np.percentile(style_losses, 90)),
        content=float(np.mean(content_losses)),
        ssim=float(np.mean(similarities)),
        noise_gain=gain,
        pan_error=error,
    )


def stillness(stylizer: Stylizer, pictures: Sequence[PictureFile], styles: Sequence[StyleStats]) -> tuple[float, float]:
    """Noise gain and pan error over pairs of stills and styles (each third style), every frame on its own.

    Returns:
        Mean |y[t+1] - y[t]| over mean |x[t+1] - x[t]| for a still with fresh Gaussian noise of 4 grey levels, and
        the mean |aligned y[t+1] - y[t]| in grey levels for a window that moves a pixel right and down a frame.
    """
    random = np.random.default_rng(0)
    gains: list[float] = []
    errors: list[float] = []
    for picture, style in itertools.product(pictures, styles[::3]):
        still = _bgr(prepare(picture, STILLNESS_SIDE + SEQUENCE))
        noisy = [
            np.clip(np.rint(still + random.normal(0, NOISE_LEVELS, still.shape)), 0, 255).astype(np.uint8)
            for _ in range(SEQUENCE)
        ]
        painted = [stylizer.stylize(frame, style).astype(np.float32) for frame in noisy]
        steps = range(WARM_UP, SEQUENCE - 1)
        moved = np.mean([np.abs(painted[t + 1] - painted[t]).mean() for t in steps])
        given = np.mean([np.abs(noisy[t + 1].astype(np.float32) - noisy[t]).mean() for t in steps])
        gains.append(float(moved / given))
        height, width = (n - SEQUENCE for n in still.shape[:2])
        windows = [np.ascontiguousarray(still[t : t + height, t : t + width]) for t in range(SEQUENCE)]
        panned = [stylizer.stylize(frame, style).astype(np.float32) for frame in windows]
        inner = slice(BORDER, -BORDER)
        errors.append(
            float(np.mean([np.abs(panned[t + 1][:-1, :-1] - panned[t][1:, 1:])[inner, inner].mean() for t in steps]))
        )
    return float(np.mean(gains)), float(np.mean(errors))


def luma(image: np.ndarray) -> np.ndarray:
    """BT.601 luma of uint8 RGB, float64 in 0..255."""
    return image @ np.array([0.299, 0.587, 0.114])


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two grey pictures in 0..255: 11x11 Gaussian window, sigma 1.5."""
    import cv2

    def blur(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (11, 11), 1.5)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = blur(first), blur(second)
    var_a = blur(first * first) - mean_a**2
    var_b = blur(second * second) - mean_b**2
    covariance = blur(first * second) - mean_a * mean_b
    score = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(score.mean())


def _load(paths: Sequence[Path]) -> list[np.ndarray]:
    try:
        return [prepare(p) for p in sorted(find_pictures(paths), key=lambda p: p.name)]
    except OSError as error:
        raise LivestyleError(f"a picture to measure on is damaged: {error}") from error


def _bgr(image: np.ndarray) -> np.ndarray:
    """RGB to BGR, and back."""
    return np.ascontiguousarray(image[:, :, ::-1])


def _tensor(image: np.ndarray) -> Tensor:
    values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    return values.contiguous(memory_format=torch.channels_last)


def _statistics(network: LossNetwork, image: np.ndarray) -> Tensor:
    with torch.inference_mode():
        return statistics_vector(network(_tensor(image)))
