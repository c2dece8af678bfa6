"""What can be measured: model folders, checkpoints, and other people's stylizers as ONNX files, behind one face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from livestyle.engine.devices import CPU_FLOAT32, create_session
from livestyle.engine.model import find_model
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.stylizer import Stylizer, scale_style_image
from livestyle.errors import LivestyleError

from .vgg import CHANNELS, LossNetwork, channel_statistics


class Candidate(Protocol):
    """A stylizer to measure. Pictures are uint8 [H, W, 3] RGB, sides multiples of 8."""

    name: str
    holds_still: ClassVar[bool] = False
    """Whether `film` gives other paintings than `stylize`."""

    def encode(self, style: np.ndarray) -> Any:
        """What `stylize` takes for a style picture."""

    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        """The painting, uint8, the size of ``content``."""

    def film(self, frames: Sequence[np.ndarray], code: Any) -> list[np.ndarray]:
        """The paintings of frames that follow each other."""
        return [self.stylize(frame, code) for frame in frames]


def find_candidate(text: str, network: LossNetwork) -> Candidate:
    """The stylizer that a text names.

    Args:
        text: a model folder or the name of a model that ships, with ``:float32`` behind it for its float32 network even
            where it has one in 8-bit integers; a checkpoint or the folder of a run; or the ONNX file of another
            stylizer, for a style network and a stylizing network both of them with a + between.
        network: gives the statistics of style pictures to stylizers that take those of the paper's VGG-19.

    Raises:
        LivestyleError: it is none of these.
    """
    paths = [Path(part) for part in text.split("+")]
    if all(path.suffix == ".onnx" for path in paths):
        return OnnxCandidate(paths, network)
    path = Path(text)
    if path.suffix in {".pt", ".safetensors"} or (path.is_dir() and any(path.glob("*.pt"))):
        return CheckpointCandidate(path)
    return ModelCandidate(text)


class ModelCandidate(Candidate):
    """A model folder, as people run it on the CPU."""

    holds_still = True

    def __init__(self, text: str) -> None:
        folder = text.removesuffix(":float32")
        find_model(folder)
        self.name = Path(text).name.replace(":", " ")
        self._stylizer = Stylizer(folder, "cpu" if folder == text else CPU_FLOAT32)

    def encode(self, style: np.ndarray) -> Any:
        return self._stylizer.encode_style(_flip(style))

    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        return _flip(self._stylizer.stylize(_flip(content), code))

    def film(self, frames: Sequence[np.ndarray], code: Any) -> list[np.ndarray]:
        state = Stabilizer()
        return [_flip(self._stylizer.stylize(_flip(frame), code, state=state)) for frame in frames]


class CheckpointCandidate(Candidate):
    """A checkpoint's averaged weights in PyTorch, its output rounded to bytes as an exported model does."""

    def __init__(self, path: Path) -> None:
        from .fit import load_model

        self._model, content = load_model(path)
        self._model.to(memory_format=torch.channels_last)
        self.name = f"{content['arch']} at iteration {content['iteration']}"

    @torch.inference_mode()
    def encode(self, style: np.ndarray) -> Any:
        return self._model.encode_style(_tensor(_flip(scale_style_image(_flip(style)))))

    @torch.inference_mode()
    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        painted, _ = self._model.stylizer(_tensor(content), code, torch.ones(1))
        return _bytes(painted.numpy())


class OnnxCandidate(Candidate):
    """Another stylizer: float pictures [1, 3, H, W], RGB in 0..1, in and out.

    Three kinds are told by their inputs: ``content`` with ``style_mean`` and ``style_std`` of relu4_1, as pytorch-AdaIN
    has them; a content and a style picture at once; and two files, the first from a style picture to what the second
    takes beside the content, as those of MicroAST.
    """

    def __init__(self, paths: Sequence[Path], network: LossNetwork) -> None:
        for path in paths:
            if not path.is_file():
                raise LivestyleError(f"there is no ONNX file {path}")
        if len(paths) > 2:
            raise LivestyleError("a stylizer is one ONNX file, or two with a + between: style.onnx+stylize.onnx")
        self.name = paths[-1].stem.removesuffix("-stylize")
        self._network = network
        self._encoder = create_session(paths[0], "cpu") if len(paths) == 2 else None
        self._session = create_session(paths[-1], "cpu")
        self._content, *self._others = [value.name for value in self._session.get_inputs()]
        pictures = [value.name for value in self._session.get_inputs() if value.shape[1:2] == [3]]
        for path, session in zip(paths, filter(None, (self._encoder, self._session)), strict=True):
            for value in session.get_inputs():
                if value.shape[1:2] == [3] and any(isinstance(side, int) for side in value.shape[2:]):
                    height, width = value.shape[2:]
                    raise LivestyleError(
                        f"{path} takes pictures of {width}x{height} alone, and contents are of several sizes: "
                        "export it with height and width left free"
                    )
        self._takes_statistics = set(self._others) == {"style_mean", "style_std"}
        known = self._takes_statistics or self._encoder is not None or len(pictures) == 2
        if not known or pictures[:1] != [self._content]:
            inputs = ", ".join(f"{value.name} {value.shape}" for value in self._session.get_inputs())
            raise LivestyleError(
                f"{paths[-1]} is no stylizer that can be measured, its inputs are {inputs}: first comes the content "
                "[1, 3, H, W], then style_mean and style_std of relu4_1, a style picture, or what a style network gives"
            )

    def encode(self, style: np.ndarray) -> Any:
        picture = _planes(style)
        if self._takes_statistics:
            with torch.inference_mode():
                features = self._network(torch.from_numpy(picture))["relu4_1"]
                mean, deviation = channel_statistics(features)
            shape = (1, CHANNELS["relu4_1"], 1, 1)
            return {"style_mean": mean.reshape(shape).numpy(), "style_std": deviation.reshape(shape).numpy()}
        if self._encoder is None:
            return {self._others[0]: picture}
        names = [value.name for value in self._encoder.get_outputs()]
        values = self._encoder.run(names, {self._encoder.get_inputs()[0].name: picture})
        return dict(zip(names, values, strict=True))

    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        painted = self._session.run(None, {self._content: _planes(content), **code})[0]
        return _bytes(painted)[: content.shape[0], : content.shape[1]]


def _flip(image: np.ndarray) -> np.ndarray:
    """RGB to BGR, and back."""
    import cv2

    # NumPy takes a twentieth of the time that `lite` paints in, and would be measured with it.
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def _planes(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(_planes(image)).contiguous(memory_format=torch.channels_last)


def _bytes(planes: np.ndarray) -> np.ndarray:
    pixels = np.rint(np.clip(planes[0].transpose(1, 2, 0), 0, 1) * 255)
    return np.ascontiguousarray(pixels.astype(np.uint8))
