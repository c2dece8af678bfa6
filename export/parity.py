"""Numerical parity: how far onnxruntime's output is from PyTorch's, on real images at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from livestyle.engine.devices import create_session
from livestyle.engine.model import REGIONS, REGIONS_FP16, STYLE, STYLIZE, STYLIZE_FP16, STYLIZE_INT8
from livestyle.engine.style import scale_style_image
from livestyle.errors import LivestyleError
from train.networks import Model, measured_channels
from train.programs import with_progress

from .graphs import PlainStylizeGraph, StyleGraph

PARITY_SIZES = ((360, 640), (64, 64), (241, 317), (126, 99), (512, 383), (67, 66))
"""Height and width of the frames that are compared."""
LARGEST_DIFFERENCE = 1
"""Greatest difference allowed of any byte of the float32 networks, in grey levels."""
LEAST_FP16_PSNR = 40.0
"""Least PSNR allowed of the float16 networks, in dB."""
LEAST_INT8_PSNR = 28.0
"""Least PSNR of the 8-bit network, in dB; below it, the network is left out."""
STATE_TOLERANCE = 1e-4
"""Relative tolerance of running content statistics of the float32 networks. Channels near zero have rounding errors
like the largest of their site; their absolute tolerance is a twentieth of this, relative to the largest."""
LARGEST_FP16_STATE_ERROR = 2e-3
"""Greatest relative error (in the L2 norm) allowed of running content statistics of the float16 networks."""
LARGEST_INT8_STATE_ERROR = 0.1
"""The same of the 8-bit network; above it, the network is left out."""


@dataclass(frozen=True)
class Parity:
    """The differences of a model folder's networks from PyTorch, on the same frames and styles.

    Attributes:
        largest: greatest difference of a byte of the float32 networks from the model with rounded weights.
        style: greatest difference of a style statistic from the model as it was trained.
        fp16_psnr: least PSNR of the float16 networks against the model as it was trained, in dB.
        int8_psnr: the same of the 8-bit network; None where there is none.
        int8_state_error: relative error of its running content statistics, see `LARGEST_INT8_STATE_ERROR`.
    """

    largest: int
    style: float
    fp16_psnr: float
    int8_psnr: float | None
    int8_state_error: float = 0.0

    @property
    def has_int8(self) -> bool:
        """Whether there is an 8-bit network that is close enough to ship."""
        return (
            self.int8_psnr is not None
            and self.int8_psnr >= LEAST_INT8_PSNR
            and self.int8_state_error <= LARGEST_INT8_STATE_ERROR
        )


def compare(model: Model, rounded: Model, folder: Path, images: Sequence[np.ndarray]) -> Parity:
    """Compare a folder's networks with PyTorch on real images, at several sizes, strengths and momenta.

    Args:
        model: as it was trained, the reference for style statistics and PSNR.
        rounded: as it was exported, the reference for bytes and running statistics, see `rounded_to_float16`.
        folder: of the networks.
        images: uint8 [H, W, 3] BGR.

    Raises:
        LivestyleError: the float32 or float16 networks differ by more than the constants of this module allow.
    """
    names = (STYLE, STYLIZE, STYLIZE_FP16, REGIONS, REGIONS_FP16)
    sessions = {name: create_session(folder / name, "cpu") for name in names}
    int8 = create_session(folder / STYLIZE_INT8, "cpu") if (folder / STYLIZE_INT8).is_file() else None
    largest, style_error, psnr, int8_psnr, int8_state_error = 0, 0.0, float("inf"), float("inf"), 0.0
    style_graph = StyleGraph(model).eval()
    trained, reference = (PlainStylizeGraph(m.stylizer).eval() for m in (model, rounded))
    state = np.zeros(2 * sum(measured_channels(model)), np.float32)
    for index, (height, width) in enumerate(with_progress(PARITY_SIZES, "comparing with PyTorch")):
        frame = cv2.resize(images[index % len(images)], (width, height), interpolation=cv2.INTER_AREA)
        frames = np.stack([frame, np.ascontiguousarray(frame[:, ::-1])])
        stats = []
        first = scale_style_image(images[(index + 1) % len(images)])
        # The second style is the negative of the first: with two alike, the mask would make no difference.
        for image in (first, 255 - first):
            stats.append(sessions[STYLE].run(None, {"image": image})[0])
            with torch.inference_mode():
                expected_stats = style_graph(torch.from_numpy(image)).numpy()
            # np.maximum keeps a NaN, max() would lose it.
            style_error = float(np.maximum(style_error, np.abs(stats[-1] - expected_stats).max()))
        feeds = {
            "frames": frames,
            "stats": stats[0],
            "strength": np.array(1.0 if index % 2 == 0 else 0.6, np.float32),
            "content_state": state,
            "momentum": np.array(0.0 if index == 0 else 0.5, np.float32),
        }
        # Any image serves as a mask with soft and hard edges.
        regions = feeds | {"stats": np.stack(stats), "mask": np.ascontiguousarray(frames[..., 1])}
        for name, half_name, given in ((REGIONS, REGIONS_FP16, regions), (STYLIZE, STYLIZE_FP16, feeds)):
            expected, expected_state = _in_pytorch(reference, given)
            unrounded = _in_pytorch(trained, given)[0]
            stylized, next_state = sessions[name].run(None, given)
            largest = max(largest, int(np.abs(stylized.astype(np.int16) - expected).max()))
            halved, half_state = sessions[half_name].run(None, given)
            psnr = min(psnr, _psnr(halved, unrounded))
            if (
                not _is_same_state(next_state, expected_state, measured_channels(model))
                or not _state_error(half_state, expected_state) <= LARGEST_FP16_STATE_ERROR
            ):
                raise LivestyleError(
                    "onnxruntime's running content statistics differ from PyTorch's: nothing was written"
                )
            if int8 is not None and name == STYLIZE:
                one = given | {"frames": frames[:1]}
                expected_state = _in_pytorch(reference, one)[1]
                int8_state_error = float(
                    np.maximum(int8_state_error, _state_error(int8.run(None, one)[1], expected_state))
                )
                # The 8-bit windows are derived from the running statistics, which have to be those of the same video.
                one["content_state"] = next_state
                int8_psnr = min(int8_psnr, _psnr(int8.run(None, one)[0], _in_pytorch(trained, one)[0]))
        state = next_state
    if largest > LARGEST_DIFFERENCE or not style_error <= 1e-2:
        raise LivestyleError(
            f"onnxruntime's output differs from PyTorch's by {largest} grey levels "
            f"(style statistics: {style_error:.2g}): "
            "nothing was written"
        )
    if not psnr >= LEAST_FP16_PSNR:
        raise LivestyleError(f"the float16 network is only {psnr:.1f} dB from the float32 one: nothing was written")
    return Parity(largest, style_error, psnr, None if int8 is None else int8_psnr, int8_state_error)


def _in_pytorch(graph: nn.Module, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        stylized, state = graph(**{name: torch.from_numpy(value) for name, value in feeds.items()})
    return stylized.numpy(), state.numpy()


def _is_same_state(state: np.ndarray, expected: np.ndarray, site_channels: Sequence[int]) -> bool:
    """Whether running content statistics agree up to rounding, site by site."""
    ends = np.cumsum([2 * channels for channels in site_channels])[:-1]
    return all(
        np.allclose(own, other, rtol=STATE_TOLERANCE, atol=STATE_TOLERANCE / 20 * np.abs(other).max())
        for own, other in zip(np.split(state, ends), np.split(expected, ends), strict=True)
    )


def _state_error(state: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(state - expected) / np.linalg.norm(expected))


def _psnr(stylized: np.ndarray, expected: np.ndarray) -> float:
    """Peak signal-to-noise ratio of bytes, in dB."""
    error = np.square(stylized.astype(np.float64) - expected).mean()
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))
