"""Foreign ONNX stylizers as candidates, so that peers are measured in the same run, on the same frames."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from livestyle.engine.devices import session_options
from livestyle.engine.network_file import check_network
from livestyle.errors import InputError, ModelError, first_line

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

WARM_UP = 3
"""Frames before the first one that counts: nothing of a foreign network is made beside the frames."""
MOST_NUMBERS = 1 << 26
"""Of an input that is made up."""
STYLE_SIDE = 512
"""Side of the style image in pixels, for peers that take one."""


class Peer:
    """A foreign stylizer on the CPU: an ONNX network from an image, and what else it takes, to an image.

    Images are float32 [1, 3, H, W] in RGB, 0..1. The image that is painted is the input called ``content``, else the
    first image. Other inputs are computed once: they are outputs of the style network, where one is given, and random
    numbers otherwise, since the time does not depend on them. Frames come as bytes and paintings go as bytes, as with
    livestyle's own engine, and the conversion counts.

    Args:
        spec: path of the ONNX file; or two of them, ``FILE.onnx+STYLE.onnx``, of which the second takes a style image.
        threads: of the CPU; None is every core.
        frames: uint8 [H, W, 3] BGR.

    Raises:
        InputError: a file is missing, or is no such network.
    """

    def __init__(self, spec: str, threads: int | None, frames: list[BgrImage]) -> None:
        stylize, style = split_peer(spec)
        self.path = stylize
        self.name = stylize.stem
        self._frames = frames
        self._number = 0
        self._session = _open(stylize, threads)
        inputs = {value.name: value for value in self._session.get_inputs()}
        images = [name for name, value in inputs.items() if _is_image(value)]
        if not images:
            raise InputError(f"{stylize} is no stylizer to measure: it takes no image, float32 [1, 3, height, width]")
        self._content = next((name for name in images if "content" in name.lower()), images[0])
        given = {} if style is None else _encode_style(style, threads)
        self.inputs: dict[str, np.ndarray] = {
            name: given[name] if name in given else _random(value, stylize)
            for name, value in inputs.items()
            if name != self._content
        }
        """For the network, by name; with the first frame."""
        unused = set(given) - set(inputs)
        if unused:
            raise InputError(f"{style} gives {', '.join(sorted(unused))}, which {stylize} does not take")
        self.inputs[self._content] = to_network(frames[0])

    def warm_up(self) -> None:
        for _ in range(WARM_UP):
            self.run()

    def run(self) -> None:
        self._number += 1
        self.paint(self._frames[self._number % len(self._frames)])

    def paint(self, frame: BgrImage) -> BgrImage:
        """Painting of a frame, uint8 [H, W, 3] BGR; some networks round the size.

        Raises:
            InputError: the network does not take frames of this size, or gives no image.
        """
        try:
            painted = self._session.run(None, self.inputs | {self._content: to_network(frame)})[0]
        except Exception as error:
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise InputError(f"{self.path} cannot paint a frame of {size} ({first_line(error)})") from error
        if getattr(painted, "ndim", 0) != 4 or painted.shape[1] != 3:
            raise InputError(f"{self.path} is no stylizer to measure: it gives no image, float32 [1, 3, height, width]")
        return from_network(painted)


def split_peer(spec: str) -> tuple[Path, Path | None]:
    """Files of a peer: the stylizer, and the style network where ``spec`` names one after a plus sign.

    Raises:
        InputError: a file is missing.
    """
    # A plus sign may also be part of a name.
    first, plus, second = (spec, "", "") if Path(spec).is_file() else spec.partition("+")
    paths = [Path(first), *([Path(second)] if plus else [])]
    for path in paths:
        if not path.is_file():
            raise InputError(f"there is no ONNX file {path}")
    return paths[0], paths[1] if plus else None


def to_network(frame: BgrImage) -> np.ndarray:
    """Frame as most stylizers take it: float32 [1, 3, H, W], RGB, 0..1."""
    return np.asarray(cv2.dnn.blobFromImage(frame, 1 / 255, swapRB=True))


def from_network(painted: np.ndarray) -> BgrImage:
    """Bytes of a stylizer's image, float32 [1, 3, H, W], RGB, 0..1: uint8 [H, W, 3] BGR."""
    # convertScaleAbs rounds and saturates in one pass, but takes the absolute value first.
    red, green, blue = (cv2.convertScaleAbs(np.maximum(channel, 0), alpha=255) for channel in painted[0])
    return np.asarray(cv2.merge([blue, green, red]))


def _open(path: Path, threads: int | None) -> Any:
    import onnxruntime as ort

    # The options of livestyle's own sessions: threads that spin after a frame would slow down whoever comes next.
    options = session_options("cpu", threads)
    try:
        check_network(path)
    except ModelError as error:
        raise InputError(str(error)) from error
    try:
        return ort.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception as error:
        raise InputError(f"{path} is no network that onnxruntime can run ({first_line(error)})") from error


def _is_image(value: Any) -> bool:
    return value.type == "tensor(float)" and len(value.shape) == 4 and value.shape[1] == 3


def _encode_style(path: Path, threads: int | None) -> dict[str, np.ndarray]:
    """Outputs of a style network for a style image, by name."""
    session = _open(path, threads)
    inputs = {value.name: _random(value, path) for value in session.get_inputs()}
    try:
        return dict(zip((value.name for value in session.get_outputs()), session.run(None, inputs), strict=True))
    except Exception as error:
        raise InputError(f"{path} cannot encode a style image ({first_line(error)})") from error


def _random(value: Any, path: Path) -> np.ndarray:
    """Numbers for an input of a network; between 0.5 and 1.5, which fits means and standard deviations alike."""
    if value.type != "tensor(float)":
        raise InputError(f"{path} is no stylizer to measure: its input {value.name} is no tensor of float32")
    random = np.random.default_rng(0)
    if _is_image(value):
        sides = [side if isinstance(side, int) else STYLE_SIDE for side in value.shape[2:]]
        if not 0 < prod(sides) <= MOST_NUMBERS // 3:
            raise InputError(f"{path} is no stylizer to measure: its image {value.name} has {prod(sides)} pixels")
        return random.random((1, 3, *sides), np.float32)
    shape = [side if isinstance(side, int) else 1 for side in value.shape]
    if not 0 < prod(shape) <= MOST_NUMBERS:
        raise InputError(f"{path} is no stylizer to measure: its input {value.name} has {prod(shape)} numbers")
    return random.random(shape, np.float32) + np.float32(0.5)
