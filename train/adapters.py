"""Adapters: model folders, checkpoints, and ONNX files of other stylizers behind one interface for measuring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from livestyle.engine.devices import CPU_FLOAT32, create_session
from livestyle.engine.model import find_model
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.style import scale_style_image
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import LivestyleError

from .checkpoints import load_model
from .vgg import LossNetwork, channel_statistics


class StylizerAdapter(Protocol):
    """A stylizer to measure. Images are uint8 [H, W, 3] RGB, with sides that are multiples of 8."""

    name: str
    stabilizes: ClassVar[bool] = False
    """Whether `stylize_video` stabilises, so that its results differ from those of `stylize`."""

    def encode(self, style: np.ndarray) -> Any:
        """A style image, encoded as `stylize` takes it."""

    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        """The stylized image, of the size of ``content``."""

    def stylize_video(self, frames: Sequence[np.ndarray], code: Any) -> list[np.ndarray]:
        """The stylized frames of a video."""
        return [self.stylize(frame, code) for frame in frames]


def find_adapter(text: str, network: LossNetwork) -> StylizerAdapter:
    """The adapter for a stylizer.

    Args:
        text: names the stylizer: a model folder or a shipped model's name, either with ``:float32`` appended to measure
            its float32 network although it has an 8-bit one; a checkpoint or the folder of a run; an ONNX file of
            another stylizer, or two joined by ``+``, the style network first.
        network: computes the style statistics for ONNX files that take those of the paper's VGG-19.

    Raises:
        LivestyleError: it is none of these.
    """
    paths = [Path(part) for part in text.split("+")]
    if all(path.suffix == ".onnx" for path in paths):
        return OnnxAdapter(paths, network)
    path = Path(text)
    if path.suffix in {".pt", ".safetensors"} or (path.is_dir() and any(path.glob("*.pt"))):
        return CheckpointAdapter(path)
    return ModelFolderAdapter(text)


class ModelFolderAdapter(StylizerAdapter):
    """A model folder, run by the runtime's own `Stylizer` on the CPU."""

    stabilizes = True

    def __init__(self, text: str) -> None:
        folder = text.removesuffix(":float32")
        find_model(folder)
        self.name = Path(text).name.replace(":", " ")
        self._stylizer = Stylizer(folder, "cpu" if folder == text else CPU_FLOAT32)

    def encode(self, style: np.ndarray) -> Any:
        return self._stylizer.encode_style(_flip(style))

    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        return _flip(self._stylizer.stylize(_flip(content), code))

    def stylize_video(self, frames: Sequence[np.ndarray], code: Any) -> list[np.ndarray]:
        state = Stabilizer()
        return [_flip(self._stylizer.stylize(_flip(frame), code, state=state)) for frame in frames]


class CheckpointAdapter(StylizerAdapter):
    """The averaged weights of a checkpoint in PyTorch, with output rounded to bytes as in an exported model."""

    def __init__(self, path: Path) -> None:
        self._model, content = load_model(path)
        self._model.to(memory_format=torch.channels_last)
        self.name = f"{content['arch']} at iteration {content['iteration']}"

    @torch.inference_mode()
    def encode(self, style: np.ndarray) -> Any:
        return self._model.encode_style(_tensor(_flip(scale_style_image(_flip(style)))))

    @torch.inference_mode()
    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        stylized, _ = self._model.stylizer(_tensor(content), code, torch.ones(1))
        return _bytes(stylized.numpy())


class OnnxAdapter(StylizerAdapter):
    """ONNX files of another stylizer: float images [1, 3, H, W], RGB in 0..1, in and out.

    Three kinds are distinguished by their inputs: the content with ``style_mean`` and ``style_std`` of relu4_1, as in
    pytorch-AdaIN; the content with the style image; and two files, of which the first turns a style image into the
    further inputs of the second, as in MicroAST.
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
        images = [value.name for value in self._session.get_inputs() if value.shape[1:2] == [3]]
        for path, session in zip(paths, filter(None, (self._encoder, self._session)), strict=True):
            for value in session.get_inputs():
                if value.shape[1:2] == [3] and any(isinstance(side, int) for side in value.shape[2:]):
                    height, width = value.shape[2:]
                    raise LivestyleError(
                        f"{path} takes pictures of {width}x{height} alone, and contents are of several sizes: "
                        "export it with height and width left free"
                    )
        self._takes_statistics = set(self._others) == {"style_mean", "style_std"}
        known = self._takes_statistics or self._encoder is not None or len(images) == 2
        if not known or images[:1] != [self._content]:
            inputs = ", ".join(f"{value.name} {value.shape}" for value in self._session.get_inputs())
            raise LivestyleError(
                f"{paths[-1]} is no stylizer that can be measured, its inputs are {inputs}: first comes the content "
                "[1, 3, H, W], then style_mean and style_std of relu4_1, a style picture, or what a style network gives"
            )

    def encode(self, style: np.ndarray) -> Any:
        image = _planes(style)
        if self._takes_statistics:
            with torch.inference_mode():
                features = self._network(torch.from_numpy(image))["relu4_1"]
                mean, deviation = channel_statistics(features)
            shape = (*mean.shape, 1, 1)
            return {"style_mean": mean.reshape(shape).numpy(), "style_std": deviation.reshape(shape).numpy()}
        if self._encoder is None:
            return {self._others[0]: image}
        names = [value.name for value in self._encoder.get_outputs()]
        values = self._encoder.run(names, {self._encoder.get_inputs()[0].name: image})
        return dict(zip(names, values, strict=True))

    def stylize(self, content: np.ndarray, code: Any) -> np.ndarray:
        stylized = self._session.run(None, {self._content: _planes(content), **code})[0]
        return _bytes(stylized)[: content.shape[0], : content.shape[1]]


def _flip(image: np.ndarray) -> np.ndarray:
    """RGB to BGR, and back."""
    import cv2

    # NumPy would take a twentieth of the time of `lite`, and is within what is measured.
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def _planes(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(_planes(image)).contiguous(memory_format=torch.channels_last)


def _bytes(planes: np.ndarray) -> np.ndarray:
    pixels = np.rint(np.clip(planes[0].transpose(1, 2, 0), 0, 1) * 255)
    return np.ascontiguousarray(pixels.astype(np.uint8))
