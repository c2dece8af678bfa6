"""What a model is worth: AdaIN's content and style losses, structure kept, and stillness, on held-back pictures."""

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

from .candidates import Candidate, find_candidate
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
RATE_SIZE = (640, 360)
RATE_ROUNDS = 20
THUMBNAIL_SIDE = 128


@dataclass(frozen=True)
class Report:
    """The figures of a model.

    Attributes:
        pairs: content and style pairs measured.
        style_mean, style_median, style_p90: style loss over relu1_1 to relu4_1, over the pairs.
        content: content loss at relu4_1, mean over the pairs.
        ssim: structural similarity of the luma of output and content, mean over the pairs.
        noise_gain: change between outputs over change between inputs, for a still with fresh noise, every frame painted
            on its own.
        pan_error: grey levels between aligned outputs of a slow pan, the same.
        film_noise_gain, film_pan_error: the same for frames that are painted as those of one film, with all that
            the program does to hold it still; the same figures again for stylizers that do nothing.
        film_style_ratio: style loss of the pan's last frame in the film over that of the frame on its own, the mean of
            the one over the mean of the other.
        lpips: perceptual distance of output and content, mean over the pairs; None where it was not asked for.
        milliseconds: a frame of `RATE_SIZE`, bytes in and bytes out with the style known, median.
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


def prepare(picture: PictureFile, side: int = QUALITY_SIDE) -> np.ndarray:
    """A picture for measuring: short side ``side`` (bicubic), its top left cropped to multiples of 8, uint8 RGB."""
    image = picture.read()
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
    lpips: bool = False,
    sheet: Path | None = None,
    keep: Callable[[dict[str, Report]], None] | None = None,
) -> dict[str, Report]:
    """Measure stylizers side by side, the rate of all of them in turns.

    Args:
        models: see `find_candidate`.
        content: folders or tar files with the content pictures, none of which a model was trained on.
        style: the same of the style pictures.
        vgg_weights: as in `LossNetwork`.
        every: each picture so many, sorted by name, is used; 1 uses all.
        lpips: measure LPIPS too; torchvision downloads its AlexNet for that.
        sheet: a folder for a contact sheet of each model.
        keep: called with the reports so far whenever a model is done, so that what is cut off is not lost.

    Returns:
        Reports by the names of the models.

    Raises:
        LivestyleError: a model or a picture cannot be read, or LPIPS cannot be measured.
    """
    from rich.console import Console
    from rich.progress import Progress

    network = LossNetwork(vgg_weights).to(memory_format=torch.channels_last)
    candidates = [find_candidate(text, network) for text in models]
    names = [candidate.name for candidate in candidates]
    distance = _lpips() if lpips else None
    contents, styles = _load(content)[::every], _load(style)[::every]
    stills = find_pictures(content)[::6]
    targets = [_statistics(network, image) for image in styles]
    rates = _rates(candidates, contents[0], styles[0])
    reports: dict[str, Report] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for candidate in candidates:
            name = candidate.name if names.count(candidate.name) == 1 else f"{candidate.name} ({len(reports) + 1})"
            task = progress.add_task(name, total=len(contents) * len(styles))
            codes = [candidate.encode(image) for image in styles]
            figures: list[tuple[float, float, float, float]] = []
            paintings: list[np.ndarray] = []
            for image in contents:
                with torch.inference_mode():
                    features = network(_tensor(image))["relu4_1"]
                for code, target in zip(codes, targets, strict=True):
                    painted = candidate.stylize(image, code)
                    if sheet is not None:
                        paintings.append(thumbnail(painted))
                    with torch.inference_mode():
                        taps = network(_tensor(painted))
                        figures.append((
                            float(style_loss(taps, target)),
                            float(content_loss(taps["relu4_1"], features)),
                            ssim(luma(painted), luma(image)),
                            distance(painted, image) if distance is not None else math.nan,
                        ))  # fmt: skip
                    progress.advance(task)
            alone, film, film_style_ratio = stillness(partial(_one_by_one, candidate), stills, codes), None, 1.0
            if candidate.holds_still:
                film = stillness(candidate.film, stills, codes)
                film_style_ratio = _film_style_ratio(candidate, stills, codes, targets, network)
            reports[name] = _report(np.array(figures), alone, film or alone, film_style_ratio, rates[len(reports)])
            if sheet is not None:
                _write_sheet(sheet / f"{name}.jpg", contents, styles, paintings)
            if keep is not None:
                keep(reports)
    return reports


def _one_by_one(candidate: Candidate, frames: Sequence[np.ndarray], code: Any) -> list[np.ndarray]:
    return [candidate.stylize(frame, code) for frame in frames]


def _report(
    figures: np.ndarray,
    alone: tuple[float, float],
    film: tuple[float, float],
    film_style_ratio: float,
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
        noise_gain=alone[0],
        pan_error=alone[1],
        film_noise_gain=film[0],
        film_pan_error=film[1],
        film_style_ratio=film_style_ratio,
        milliseconds=milliseconds,
    )


def markdown(reports: dict[str, Report]) -> str:
    """The reports as a table, rates as multiples of the slowest."""
    heads = ["", "style mean", "median", "p90", "content", "SSIM", "LPIPS", "noise gain", "pan error"]
    heads += ["noise gain in a film", "pan error in a film", "style in a film"]
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


def _rates(candidates: Sequence[Candidate], content: np.ndarray, style: np.ndarray) -> list[float]:
    """Median milliseconds a frame, bytes in and bytes out with the style known, in rounds of one frame each."""
    import cv2

    frame = cv2.resize(content, RATE_SIZE, interpolation=cv2.INTER_AREA)
    codes = [candidate.encode(style) for candidate in candidates]
    times: list[list[float]] = [[] for _ in candidates]
    for round_number in range(RATE_ROUNDS + 1):
        for candidate, code, taken in zip(candidates, codes, times, strict=True):
            start = time.perf_counter()
            candidate.stylize(frame, code)
            # The first round is the warm-up.
            if round_number:
                taken.append(1000 * (time.perf_counter() - start))
    return [float(np.median(taken)) for taken in times]


def _lpips() -> Callable[[np.ndarray, np.ndarray], float]:
    """LPIPS (Zhang et al. 2018) with AlexNet between two uint8 RGB pictures."""
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
    """The middle square of a picture, uint8 [side, side, 3]."""
    import cv2

    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return cv2.resize(image[top : top + short, left : left + short], (side, side), interpolation=cv2.INTER_AREA)


def _write_sheet(
    path: Path, contents: Sequence[np.ndarray], styles: Sequence[np.ndarray], paintings: Sequence[np.ndarray]
) -> None:
    """The contents down the left, the styles along the top, what they give in between."""
    blank = np.full((THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3), 255, np.uint8)
    rows = [np.hstack([blank, *map(thumbnail, styles)])]
    for number, image in enumerate(contents):
        rows.append(np.hstack([thumbnail(image), *paintings[number * len(styles) : (number + 1) * len(styles)]]))
    Image.fromarray(np.vstack(rows)).save(path, quality=90)


Paint = Callable[[Sequence[np.ndarray], Any], list[np.ndarray]]


def stillness(paint: Paint, pictures: Sequence[PictureFile], codes: Sequence[Any]) -> tuple[float, float]:
    """Noise gain and pan error over pairs of stills and styles (each third style).

    Args:
        paint: the paintings of frames (uint8 [H, W, 3] RGB) that follow each other, in the style of a code.
        pictures: the stills.
        codes: of the styles.

    Returns:
        Mean |y[t+1] - y[t]| over mean |x[t+1] - x[t]| for a still with fresh Gaussian noise of 4 grey levels, and
        the mean |aligned y[t+1] - y[t]| in grey levels for a window that moves a pixel right and down a frame.
    """
    random = np.random.default_rng(0)
    gains: list[float] = []
    errors: list[float] = []
    steps = range(WARM_UP, SEQUENCE - 1)
    inner = slice(BORDER, -BORDER)
    for picture, code in itertools.product(pictures, codes[::3]):
        still = prepare(picture, STILLNESS_SIDE + SEQUENCE)
        noisy = [
            np.clip(np.rint(still + random.normal(0, NOISE_LEVELS, still.shape)), 0, 255).astype(np.uint8)
            for _ in range(SEQUENCE)
        ]
        painted = [frame.astype(np.float32) for frame in paint(noisy, code)]
        moved = np.mean([np.abs(painted[t + 1] - painted[t]).mean() for t in steps])
        given = np.mean([np.abs(noisy[t + 1].astype(np.float32) - noisy[t]).mean() for t in steps])
        gains.append(float(moved / given))
        panned = [frame.astype(np.float32) for frame in paint(_pan(still), code)]
        errors.append(
            float(np.mean([np.abs(panned[t + 1][:-1, :-1] - panned[t][1:, 1:])[inner, inner].mean() for t in steps]))
        )
    return float(np.mean(gains)), float(np.mean(errors))


def _pan(still: np.ndarray) -> list[np.ndarray]:
    """Windows that move a pixel right and down a frame."""
    height, width = (n - SEQUENCE for n in still.shape[:2])
    return [np.ascontiguousarray(still[t : t + height, t : t + width]) for t in range(SEQUENCE)]


def _film_style_ratio(
    candidate: Candidate,
    pictures: Sequence[PictureFile],
    codes: Sequence[Any],
    targets: Sequence[Tensor],
    network: LossNetwork,
) -> float:
    """What holding a film still does to the style loss, see `Report`; above 1 it washes the style out."""
    in_film: list[float] = []
    alone: list[float] = []
    for picture in pictures:
        frames = _pan(prepare(picture, STILLNESS_SIDE + SEQUENCE))
        for code, target in list(zip(codes, targets, strict=True))[::3]:
            paintings = candidate.film(frames, code)[-1], candidate.stylize(frames[-1], code)
            for losses, painted in zip((in_film, alone), paintings, strict=True):
                with torch.inference_mode():
                    losses.append(float(style_loss(network(_tensor(painted)), target)))
    return float(np.mean(in_film) / np.mean(alone))


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


def _tensor(image: np.ndarray) -> Tensor:
    values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    return values.contiguous(memory_format=torch.channels_last)


def _statistics(network: LossNetwork, image: np.ndarray) -> Tensor:
    with torch.inference_mode():
        return statistics_vector(network(_tensor(image)))
