"""Measures of stylizers: content and style loss, SSIM, LPIPS, temporal stability and rate, side by side."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from livestyle.errors import LivestyleError

from .adapters import StylizerAdapter, find_adapter
from .data import ImageFile, find_images
from .losses import content_loss, style_loss
from .vgg import LossNetwork, statistics_vector

QUALITY_SIDE = 512
QUALITY_LONGEST = 768
STABILITY_SIDE = 384
NOISE_LEVELS = 4.0
"""Standard deviation of the noise of a noisy still, in grey levels."""
BORDER = 16
"""Pixels along the edges that are left out where frames are compared, since padding affects them."""
SEQUENCE = 8
"""Frames of each test video."""
WARM_UP = 2
"""Frames at its start that are left out."""
RATE_SIZE = (640, 360)
RATE_ROUNDS = 20
THUMBNAIL_SIDE = 128


@dataclass(frozen=True)
class Report:
    """The figures of a stylizer. Their names are part of the format of report.json and of manifests.

    Attributes:
        pairs: number of content and style pairs measured.
        style_mean, style_median, style_p90: style loss over relu1_1 to relu4_1, over the pairs.
        content: content loss at relu4_1, mean over the pairs.
        ssim: structural similarity of the luma of output and content, mean over the pairs.
        noise_gain: frame-to-frame change of the output over that of the input, for a still with fresh noise in every
            frame, each stylized by itself.
        pan_error: mean absolute difference, in grey levels, of aligned consecutive outputs of a slow pan, each stylized
            by itself.
        film_noise_gain, film_pan_error: the same for frames stylized as a video, with the runtime's stabilisation;
            repeated unchanged for stylizers that do not stabilise.
        film_style_ratio: mean style loss of the last frame of the pan, stylized as a video, over that of the frame
            stylized by itself; above 1, stabilisation weakens the style.
        lpips: perceptual distance of output and content, mean over the pairs; None if it was not measured.
        milliseconds: median time of a frame of `RATE_SIZE`, bytes to bytes, with the style encoded before.
    """

    pairs: int
    style_mean: float
    style_median: float
    style_p90: float
    content: float
    ssim: float
    noise_gain: float
    pan_error: float
    film_noise_gain: float
    film_pan_error: float
    film_style_ratio: float
    milliseconds: float
    lpips: float | None = None


def prepare(file: ImageFile, side: int = QUALITY_SIDE) -> np.ndarray:
    """An image for measuring, uint8 [H, W, 3] RGB.

    Its short side is scaled to ``side`` (bicubic); then it is cropped at the bottom and on the right to multiples of 8
    and to at most `QUALITY_LONGEST`.
    """
    image = file.read()
    factor = side / min(image.size)
    size = (max(side, round(image.width * factor)), max(side, round(image.height * factor)))
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    height, width = (min(QUALITY_LONGEST, n) // 8 * 8 for n in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def evaluate(
    models: Sequence[str],
    content: Sequence[Path],
    style: Sequence[Path],
    vgg_weights: Path | None,
    every: int = 2,
    *,
    style_every: int | None = None,
    lpips: bool = False,
    sheet: Path | None = None,
    keep: Callable[[dict[str, Report]], None] | None = None,
) -> dict[str, Report]:
    """Measure stylizers side by side; their rates are measured interleaved.

    Args:
        models: see `find_adapter`.
        content: folders or tar files with content images that no model was trained on.
        style: the same for style images.
        vgg_weights: see `LossNetwork`.
        every: use every n-th image, sorted by name; 1 uses all.
        style_every: the same for styles, where it differs.
        lpips: measure LPIPS too, for which torchvision downloads its AlexNet.
        sheet: a folder for a contact sheet of each model.
        keep: called after each model with the reports so far, so that an interruption loses none of them.

    Returns:
        Reports by the names of the models.

    Raises:
        LivestyleError: a model or an image cannot be read, or LPIPS cannot be measured.
    """
    from rich.console import Console
    from rich.progress import Progress

    network = LossNetwork(vgg_weights).to(memory_format=torch.channels_last)
    adapters = [find_adapter(text, network) for text in models]
    names = [adapter.name for adapter in adapters]
    distance = _lpips() if lpips else None
    contents, styles = load_images(content)[::every], load_images(style)[:: style_every or every]
    stills = find_images(content)[::6]
    targets = [style_target(network, image) for image in styles]
    rates = _rates(adapters, contents[0], styles[0])
    reports: dict[str, Report] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for adapter in adapters:
            name = adapter.name if names.count(adapter.name) == 1 else f"{adapter.name} ({len(reports) + 1})"
            task = progress.add_task(name, total=len(contents) * len(styles))
            codes = [adapter.encode(image) for image in styles]
            figures: list[tuple[float, float, float, float]] = []
            thumbnails: list[np.ndarray] = []
            for image in contents:
                features = content_features(network, image)
                for code, target in zip(codes, targets, strict=True):
                    stylized = adapter.stylize(image, code)
                    if sheet is not None:
                        thumbnails.append(thumbnail(stylized))
                    apart = distance(stylized, image) if distance is not None else math.nan
                    figures.append((*measure_pair(network, stylized, image, features, target), apart))
                    progress.advance(task)
            single = video = stability(partial(_one_by_one, adapter), stills, codes)
            style_ratio = 1.0
            if adapter.stabilizes:
                video = stability(adapter.stylize_video, stills, codes)
                style_ratio = _video_style_ratio(adapter, stills, codes, targets, network)
            reports[name] = _report(np.array(figures), single, video, style_ratio, rates[len(reports)])
            if sheet is not None:
                _write_sheet(sheet / f"{name}.jpg", contents, styles, thumbnails)
            if keep is not None:
                keep(reports)
    return reports


def _one_by_one(adapter: StylizerAdapter, frames: Sequence[np.ndarray], code: Any) -> list[np.ndarray]:
    return [adapter.stylize(frame, code) for frame in frames]


def _report(
    figures: np.ndarray,
    single: tuple[float, float],
    video: tuple[float, float],
    style_ratio: float,
    milliseconds: float,
) -> Report:
    style, content, similarity, distance = figures.T
    return Report(
        pairs=len(figures),
        style_mean=float(style.mean()),
        style_median=float(np.median(style)),
        style_p90=float(np.percentile(style, 90)),
        content=float(content.mean()),
        ssim=float(similarity.mean()),
        lpips=None if np.isnan(distance).any() else float(distance.mean()),
        noise_gain=single[0],
        pan_error=single[1],
        film_noise_gain=video[0],
        film_pan_error=video[1],
        film_style_ratio=style_ratio,
        milliseconds=milliseconds,
    )


def markdown(reports: dict[str, Report]) -> str:
    """The reports as a Markdown table, with rates also as multiples of the slowest."""
    heads = ["", "style mean", "median", "p90", "content", "SSIM", "LPIPS", "noise gain", "pan error"]
    heads += ["noise gain in a video", "pan error in a video", "style in a video"]
    heads += [f"ms at {RATE_SIZE[0]}x{RATE_SIZE[1]}", "rate"]
    slowest = max(report.milliseconds for report in reports.values())
    rows = [
        [
            name,
            f"{report.style_mean:.3f}",
            f"{report.style_median:.3f}",
            f"{report.style_p90:.2f}",
            f"{report.content:.3f}",
            f"{report.ssim:.3f}",
            "not measured" if report.lpips is None else f"{report.lpips:.3f}",
            f"{report.noise_gain:.2f}",
            f"{report.pan_error:.1f}",
            f"{report.film_noise_gain:.2f}",
            f"{report.film_pan_error:.1f}",
            f"{report.film_style_ratio:.2f} x",
            f"{report.milliseconds:.1f}",
            f"{slowest / report.milliseconds:.1f} x",
        ]
        for name, report in reports.items()
    ]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _rates(adapters: Sequence[StylizerAdapter], content: np.ndarray, style: np.ndarray) -> list[float]:
    """Median milliseconds per frame of each stylizer, interleaved: one frame of each in turn."""
    import cv2

    frame = cv2.resize(content, RATE_SIZE, interpolation=cv2.INTER_AREA)
    codes = [adapter.encode(style) for adapter in adapters]
    times: list[list[float]] = [[] for _ in adapters]
    for round_number in range(RATE_ROUNDS + 1):
        for adapter, code, taken in zip(adapters, codes, times, strict=True):
            start = time.perf_counter()
            adapter.stylize(frame, code)
            # The first round is a warm-up.
            if round_number:
                taken.append(1000 * (time.perf_counter() - start))
    return [float(np.median(taken)) for taken in times]


def _lpips() -> Callable[[np.ndarray, np.ndarray], float]:
    """LPIPS (Zhang et al. 2018) with AlexNet between two uint8 RGB images."""
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    try:
        metric = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    except Exception as error:
        raise LivestyleError(
            f"LPIPS needs torchvision's AlexNet, which could not be downloaded ({error}): go without --lpips"
        ) from error

    def measure(first: np.ndarray, second: np.ndarray) -> float:
        return float(metric(_tensor(first), _tensor(second)))

    return measure


def thumbnail(image: np.ndarray, side: int = THUMBNAIL_SIDE) -> np.ndarray:
    """The central square of an image, scaled: uint8 [side, side, 3]."""
    import cv2

    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return cv2.resize(image[top : top + short, left : left + short], (side, side), interpolation=cv2.INTER_AREA)


def _write_sheet(
    path: Path, contents: Sequence[np.ndarray], styles: Sequence[np.ndarray], thumbnails: Sequence[np.ndarray]
) -> None:
    """Write a contact sheet: a row for each content, a column for each style."""
    blank = np.full((THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3), 255, np.uint8)
    rows = [np.hstack([blank, *map(thumbnail, styles)])]
    for number, image in enumerate(contents):
        rows.append(np.hstack([thumbnail(image), *thumbnails[number * len(styles) : (number + 1) * len(styles)]]))
    Image.fromarray(np.vstack(rows)).save(path, quality=90)


StylizeFrames = Callable[[Sequence[np.ndarray], Any], list[np.ndarray]]


def stability(stylize: StylizeFrames, stills: Sequence[ImageFile], codes: Sequence[Any]) -> tuple[float, float]:
    """Temporal stability, as noise gain and pan error, over pairs of stills and styles (every third style).

    Args:
        stylize: from the frames of a video (uint8 [H, W, 3] RGB) and an encoded style to the stylized frames.
        stills: the images of which the test videos are made.
        codes: the encoded styles.

    Returns:
        Noise gain: mean |y[t+1] - y[t]| over mean |x[t+1] - x[t]| for a still with fresh Gaussian noise of 4 grey
        levels. Pan error: mean |aligned y[t+1] - y[t]|, in grey levels, for a window that moves by one pixel right and
        down per frame.
    """
    random = np.random.default_rng(0)
    gains: list[float] = []
    errors: list[float] = []
    steps = range(WARM_UP, SEQUENCE - 1)
    inner = slice(BORDER, -BORDER)
    for file, code in itertools.product(stills, codes[::3]):
        still = prepare(file, STABILITY_SIDE + SEQUENCE)
        noisy = [
            np.clip(np.rint(still + random.normal(0, NOISE_LEVELS, still.shape)), 0, 255).astype(np.uint8)
            for _ in range(SEQUENCE)
        ]
        outputs = [frame.astype(np.float32) for frame in stylize(noisy, code)]
        moved = np.mean([np.abs(outputs[t + 1] - outputs[t]).mean() for t in steps])
        given = np.mean([np.abs(noisy[t + 1].astype(np.float32) - noisy[t]).mean() for t in steps])
        gains.append(float(moved / given))
        panned = [frame.astype(np.float32) for frame in stylize(_pan(still), code)]
        errors.append(
            float(np.mean([np.abs(panned[t + 1][:-1, :-1] - panned[t][1:, 1:])[inner, inner].mean() for t in steps]))
        )
    return float(np.mean(gains)), float(np.mean(errors))


def _pan(still: np.ndarray) -> list[np.ndarray]:
    """The frames of a pan: windows of a still that move by one pixel right and down per frame."""
    height, width = (n - SEQUENCE for n in still.shape[:2])
    return [np.ascontiguousarray(still[t : t + height, t : t + width]) for t in range(SEQUENCE)]


def _video_style_ratio(
    adapter: StylizerAdapter,
    stills: Sequence[ImageFile],
    codes: Sequence[Any],
    targets: Sequence[Tensor],
    network: LossNetwork,
) -> float:
    """The effect of stabilisation on the style loss, see `Report.film_style_ratio`."""
    in_video: list[float] = []
    single: list[float] = []
    for file in stills:
        frames = _pan(prepare(file, STABILITY_SIDE + SEQUENCE))
        for code, target in list(zip(codes, targets, strict=True))[::3]:
            outputs = adapter.stylize_video(frames, code)[-1], adapter.stylize(frames[-1], code)
            for losses, stylized in zip((in_video, single), outputs, strict=True):
                with torch.inference_mode():
                    losses.append(float(style_loss(network(_tensor(stylized)), target)))
    return float(np.mean(in_video) / np.mean(single))


def luma(image: np.ndarray) -> np.ndarray:
    """BT.601 luma of uint8 RGB, float64 in 0..255."""
    return image @ np.array([0.299, 0.587, 0.114])


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of two grey images in 0..255: 11x11 Gaussian window, sigma 1.5."""
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


def load_images(paths: Sequence[Path], side: int = QUALITY_SIDE) -> list[np.ndarray]:
    """The images of folders or tar files, sorted by name, as `prepare` makes them; refuses damaged ones."""
    try:
        return [prepare(p, side) for p in sorted(find_images(paths), key=lambda p: p.name)]
    except OSError as error:
        raise LivestyleError(f"a picture to measure on is damaged: {error}") from error


def _tensor(image: np.ndarray) -> Tensor:
    values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    return values.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def style_target(network: LossNetwork, image: np.ndarray) -> Tensor:
    """The loss network's statistics of a style image, uint8 [H, W, 3] RGB."""
    return statistics_vector(network(_tensor(image)))


@torch.inference_mode()
def content_features(network: LossNetwork, image: np.ndarray) -> Tensor:
    """relu4_1 of a content image, uint8 [H, W, 3] RGB."""
    return network(_tensor(image))["relu4_1"]


@torch.inference_mode()
def measure_pair(
    network: LossNetwork, stylized: np.ndarray, image: np.ndarray, features: Tensor, target: Tensor
) -> tuple[float, float, float]:
    """Style loss, content loss and SSIM of a stylized image.

    Args:
        network: the loss network.
        stylized: uint8 [H, W, 3] RGB.
        image: the content, likewise.
        features: its `content_features`.
        target: the `style_target` of the style image.
    """
    taps = network(_tensor(stylized))
    losses = float(style_loss(taps, target)), float(content_loss(taps["relu4_1"], features))
    return (*losses, ssim(luma(stylized), luma(image)))
