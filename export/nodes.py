"""Nodes of an ONNX graph of quantised images, added one by one, and what names of its tensors stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """The quantisation of a tensor, ``low + step * byte``: the names of two tensors [C]."""

    step: str
    low: str


@dataclass(frozen=True)
class Moments:
    """The means and deviations of the channels of a tensor: the names of two tensors [C]."""

    mean: str
    deviation: str


@dataclass(frozen=True)
class Sums:
    """A convolution before requantisation: its output is ``unit * integer sum + offset``.

    Attributes:
        x: the padded input bytes.
        weight: int8 [O, I, kernel, kernel].
        unit: scale of the integer sums, [O].
        offset: [O].
        sample: a sample of its outputs, float32 [n, O].
    """

    x: str
    weight: str
    unit: str
    offset: str
    sample: str


class Nodes:
    """Nodes and constants of a graph. Methods return the names of tensors.

    Attributes:
        nodes: in the order in which they run.
        constants: by name.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        array = np.asarray(value.detach() if isinstance(value, Tensor) else value, dtype)
        name = f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def op(self, kind: str, *inputs: str, outputs: Sequence[str] = (), domain: str = "", **attributes: Any) -> str:
        names = list(outputs) or [f"{kind.lower()}{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0]

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def image(self, x: str, size: str, *channels: int) -> str:
        """A tensor as an image of a size, int64 [2], with so many channels: [1, H, W, C]."""
        return self.op("Reshape", x, self.op("Concat", self.ints(1), size, self.ints(*channels), axis=0))

    def pad(self, x: str, mode: str = "reflect") -> str:
        return self.op("Pad", x, self.ints(0, 1, 1, 0, 0, 1, 1, 0), mode=mode)

    def qlinear_conv(self, x: str, weight: str, scale: str, bias: str, stride: int = 1, **attributes: Any) -> str:
        """QLinearConv, uint8 to uint8: ``(sum + bias) * scale``, rounded and clipped; ``bias`` is int32."""
        plain = self.constant(1), self.constant(0, np.uint8)
        inputs = [x, *plain, weight, scale, self.constant(0, np.int8), *plain, bias]
        attributes = {"channels_last": 1, "strides": [stride, stride], **attributes}
        return self.op("QLinearConv", *inputs, domain="com.microsoft", **attributes)

    def gather(self, x: str, channels: int, indices: str) -> str:
        """Pixels of an image, by indices [n, m] into all of them: [n, m C]."""
        return self.op("Flatten", self.op("Gather", self.op("Reshape", x, self.ints(-1, channels)), indices), axis=1)
