"""The frame path of a compact network in 8-bit integers, for the CPU.

Everything between the bytes that enter and the bytes that leave is unsigned bytes in channels-last order. Each channel
of each tensor has a *window* of its own: byte q stands for ``low + step * q``. Steps and lows of a convolution's input
move into its weights and bias, those of its output into the scale and the bias that bring its sums back to bytes;
padding repeats bytes, so that is exact at the border too. A ReLU is a window that begins at zero or above it.

Before the first AdaIN site the windows depend on the frame alone and are calibrated on pictures. Behind it they depend
on the style, so the graph finds them as it runs: a sample of a convolution's outputs, at every few rows and columns,
is computed first and gives the statistics of its site. So normalisation, style, ReLU and window are all in the scale
and the bias with which the convolution ends, and no pass over the whole frame is left but the convolutions.

Everything that depends on the style is a few operations on vectors and weights, not on the frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from train.networks import SITE_EPSILON, CompactStylizer, ResidualBlock, UpsampleConv

from .graphs import CompactStylizeGraph, MergedUpsampleConv

OPSET = 18
WEIGHT_LIMIT = 63
"""Greatest weight. CPUs without VNNI add two products of a byte and a weight in 16 bits, which 127 would overflow."""
MARGIN = 0.1
"""What is added to either side of a window that was seen, as a share of it."""
REACH = 8.0
"""How many deviations to either side of its mean a window reaches, where it is known by these."""
SAMPLES = 1600
"""About so many positions at quarter resolution are sampled, or all of a small frame."""


@dataclass(frozen=True)
class Window:
    """What bytes stand for: the names of two tensors [C], or their values. Byte q is ``low + step * q``."""

    step: Any
    low: Any


@dataclass(frozen=True)
class Moments:
    """The means and deviations of the channels of a tensor: the names of two tensors [C]."""

    mean: str
    deviation: str


def calibrate(stylizer: CompactStylizer, pictures: Sequence[np.ndarray]) -> dict[str, tuple[Tensor, Tensor]]:
    """The least and greatest value of each channel before the first site.

    Args:
        stylizer: the network.
        pictures: uint8 [H, W, 3]. Their negatives are looked at as well, for pictures are never all that a camera sees.

    Returns:
        float32 [C] and [C] by the name of a tensor, see `_encode`.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    with torch.inference_mode():
        for picture in pictures:
            height, width = (n // 4 * 4 for n in picture.shape[:2])
            rgb = picture[:height, :width, ::-1]
            for pixels in (rgb, 255 - rgb):
                frame = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
                for name, x in _encode(stylizer, frame):
                    low, high = x.amin((0, 2, 3)), x.amax((0, 2, 3))
                    if name in seen:
                        low, high = torch.minimum(low, seen[name][0]), torch.maximum(high, seen[name][1])
                    seen[name] = low, high
    return seen


def _encode(stylizer: CompactStylizer, frame: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What is quantised before the first site, by name."""
    x = F.relu(stylizer.stem(F.pixel_unshuffle((frame - 0.5) * 4, 2)))
    yield "stem", x
    x = F.relu(stylizer.down(x))
    yield "down", x
    for index, block in enumerate(stylizer.encoder):
        assert isinstance(block, ResidualBlock)
        inner = F.relu(block.first(x))
        yield f"inner{index}", inner
        y = block.second(inner)
        yield f"branch{index}", y
        x = x + y
        yield f"sum{index}", x


def quantized_graph(stylizer: CompactStylizer, pictures: Sequence[np.ndarray]) -> onnx.ModelProto:
    """The graph of `stylize.int8.onnx`: the contract of `stylize.onnx` with one frame at a time.

    Args:
        stylizer: the network.
        pictures: to calibrate on, uint8 [H, W, 3] BGR; the more they differ, the better.
    """
    return _Builder(stylizer, calibrate(stylizer, pictures)).model()


class _Builder:
    """Writes the graph node by node. Names of tensors are strings; those with no shape given are float32 [C]."""

    def __init__(self, stylizer: CompactStylizer, seen: dict[str, tuple[Tensor, Tensor]]) -> None:
        self.stylizer = stylizer
        self.seen = seen
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.sampled: dict[tuple[int, int], tuple[str, str]] = {}
        """Where samples begin and end, by their place in the neighbourhood."""
        self.states: Iterator[str] = iter(())
        self.styles: Iterator[str] = iter(())
        self.next_states: list[str] = []

    # Building blocks.

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

    def pad(self, x: str, mode: str = "reflect") -> str:
        return self.op("Pad", x, self.ints(0, 1, 1, 0, 0, 1, 1, 0), mode=mode)

    def convolve(self, x: str, weight: str, scale: str, bias: str, outputs: Sequence[str] = (), stride: int = 1) -> str:
        """Bytes of bytes: ``(sum + bias) * scale``, rounded and clipped; ``bias`` is int32, in units of the sum."""
        count = self.constant(np.float32(1)), self.constant(0, np.uint8)
        return self.op("QLinearConv", x, *count, weight, scale, self.constant(0, np.int8), *count, bias,
                       outputs=outputs, domain="com.microsoft", channels_last=1, strides=[stride, stride])  # fmt: skip

    # Before the first site: everything is known when the graph is built.

    def window(self, name: str, relu: bool = False) -> Window:
        low, high = self.seen[name]
        margin = MARGIN * (high - low) + 1e-4
        low = torch.zeros_like(low) if relu else low - margin
        return Window((high + margin - low) / 255, low)

    def static(self, x: str, weight: Tensor, bias: Tensor, given: Window, gives: Window, stride: int = 1) -> str:
        effective = weight * given.step[None, :, None, None] / gives.step[:, None, None, None]
        offset = (bias + weight.sum((2, 3)) @ given.low - gives.low) / gives.step
        scale = effective.abs().amax((1, 2, 3)) / WEIGHT_LIMIT
        weights = self.constant((effective / scale[:, None, None, None]).round(), np.int8)
        bias_name = self.constant((offset / scale).round(), np.int32)
        return self.convolve(x, weights, self.constant(scale), bias_name, stride=stride)

    def encoder(self, x: str) -> tuple[str, Window]:
        network = self.stylizer
        stem = CompactStylizeGraph(network).stem
        # [colour, row in block, column in block] of the bytes -> [row, column, colour]
        weight = stem.weight.detach().unflatten(3, (3, 2)).unflatten(2, (3, 2)).permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
        assert stem.bias is not None
        given = Window(torch.ones(12), torch.zeros(12))
        gives = self.window("stem", relu=True)
        x = self.static(self.pad(x), weight, stem.bias.detach(), given, gives)
        given, gives = gives, self.window("down", relu=True)
        x = self.static(self.pad(x), *_parameters(network.down), given, gives, stride=2)
        for index, block in enumerate(network.encoder):
            given, inner, branch = gives, self.window(f"inner{index}", relu=True), self.window(f"branch{index}")
            y = self.static(self.pad(x), *_parameters(block.first), given, inner)
            y = self.static(self.pad(y), *_parameters(block.second), inner, branch)
            gives = self.window(f"sum{index}")
            x = self.op("Concat", x, y, axis=3)
            channels = len(given.low)
            both = Window(torch.cat([given.step, branch.step]), torch.cat([given.low, branch.low]))
            eye = torch.eye(channels).repeat(1, 2)[:, :, None, None]
            x = self.static(x, eye, torch.zeros(channels), both, gives)
        return x, Window(self.constant(gives.step), self.constant(gives.low))

    # From the first site on: steps, lows and weights are tensors of the graph.

    def sample(self, x: str, kernel: int) -> str:
        """Every few positions of bytes [1, H, W, C] with their neighbourhoods: [n, kernel^2 C]."""
        axes = self.ints(1, 2)
        parts = []
        for row in range(kernel):
            for column in range(kernel):
                if (row, column) not in self.sampled:
                    ends = self.first_sample, self.quarter_size
                    shifted = [self.op("Add", end, self.ints(row, column)) for end in ends]
                    self.sampled[row, column] = shifted[0], shifted[1]
                parts.append(self.op("Slice", x, *self.sampled[row, column], axes, self.sample_step))
        joined = parts[0] if kernel == 1 else self.op("Concat", *parts, axis=3)
        return self.op("Flatten", joined, axis=3)

    def moments(self, y: str) -> Moments:
        """Means and deviations of the columns of floats [n, C]."""
        mean = self.op("ReduceMean", y, self.ints(0), keepdims=0)
        centred = self.op("Sub", y, mean)
        variance = self.op("ReduceMean", self.op("Mul", centred, centred), self.ints(0), keepdims=0)
        return Moments(mean, self.op("Sqrt", self.op("Add", variance, self.constant(SITE_EPSILON))))

    def site(self, found: Moments) -> tuple[str, str, Moments]:
        """The next AdaIN site: its scale, its shift, and the moments of its output.

        In a film these are the running average's and not quite the frame's, so that windows stand still: bytes that
        were rounded at other places in each frame would flicker.
        """
        own, target = [], []
        for value in (found.mean, found.deviation):
            kept, style = next(self.states), next(self.styles)
            change = self.op("Mul", "momentum", self.op("Sub", kept, value))
            own.append(self.op("Add", value, change))
            change = self.op("Mul", "strength", self.op("Sub", style, own[-1]))
            target.append(self.op("Add", own[-1], change))
        self.next_states += own
        scale = self.op("Div", target[1], own[1])
        shift = self.op("Sub", target[0], self.op("Mul", own[0], scale))
        return scale, shift, Moments(*target)

    def around(self, moments: Moments, relu: bool) -> Window:
        """The window of a tensor of known moments."""
        reach = self.op("Mul", moments.deviation, self.constant(REACH))
        low, high = self.op("Sub", moments.mean, reach), self.op("Add", moments.mean, reach)
        if relu:
            low = self.op("Max", low, self.constant(0))
            # A channel that the ReLU closes everywhere keeps a window, in which it is zero.
            high = self.op("Max", high, self.op("Add", low, self.constant(1e-3)))
        return Window(self.op("Mul", self.op("Sub", high, low), self.constant(1 / 255)), low)

    def weights(self, weight: Tensor, bias: Tensor, given: Window) -> tuple[str, str, str]:
        """8-bit weights for bytes in a window, what a unit of their sums is worth [O], and the bias [O]."""
        steps = self.op("Reshape", given.step, self.ints(1, -1, 1, 1))
        effective = self.op("Mul", self.constant(weight), steps)
        greatest = self.op("ReduceMax", self.op("Abs", effective), self.ints(1, 2, 3), keepdims=0)
        unit = self.op("Mul", greatest, self.constant(1 / WEIGHT_LIMIT))
        quantized = self.op("QuantizeLinear", effective, unit, self.constant(np.zeros(len(weight)), np.int8), axis=0)
        lows = self.op("MatMul", given.low, self.constant(weight.sum((2, 3)).T))
        return quantized, unit, self.op("Add", lows, self.constant(bias))

    def bias(self, value: str, unit: str) -> str:
        """A bias in units of the sums: int32."""
        return self.op("Cast", self.op("Round", self.op("Div", value, unit)), to=TensorProto.INT32)

    def styled(
        self, x: str, weight: Tensor, bias: Tensor, given: Window, relu: bool, phases: int = 1
    ) -> tuple[str, Window, Moments]:
        """A convolution of padded bytes, the site after it and, where asked for, a ReLU: bytes, window and moments.

        ``phases`` pixels leave for each that enters; their channels follow each other.
        """
        outputs, inputs, kernel, _ = weight.shape
        quantized, unit, offset = self.weights(weight, bias, given)
        columns = self.op("Transpose", quantized, perm=[2, 3, 1, 0])
        columns = self.op("Reshape", columns, self.ints(kernel * kernel * inputs, outputs))
        sums = self.op("Cast", self.op("MatMulInteger", self.sample(x, kernel), columns), to=TensorProto.FLOAT)
        y = self.op("Add", self.op("Mul", sums, unit), offset)
        scale, shift, moments = self.site(self.moments(self.op("Reshape", y, self.ints(-1, outputs // phases))))
        window = self.around(moments, relu)
        # scale * (unit * sum + offset) + shift, as bytes of the window
        shift = self.op("Div", self.op("Sub", shift, window.low), scale)
        gain = self.op("Div", scale, window.step)
        if phases > 1:
            shift, gain = (self.op("Tile", value, self.ints(phases)) for value in (shift, gain))
        value = self.bias(self.op("Add", offset, shift), unit)
        return self.convolve(x, quantized, self.op("Mul", unit, gain), value), window, moments

    def add(self, x: str, y: str, given: Window, branch: Window, gives: Window) -> str:
        """The sum of two tensors of bytes, by a 1x1 convolution."""
        channels = self.stylizer.site_channels[0]
        both = Window(
            *(self.op("Concat", *pair, axis=0) for pair in ((given.step, branch.step), (given.low, branch.low)))
        )
        eye = torch.eye(channels).repeat(1, 2)[:, :, None, None]
        quantized, unit, offset = self.weights(eye, torch.zeros(channels), both)
        value = self.bias(self.op("Sub", offset, gives.low), unit)
        return self.convolve(self.op("Concat", x, y, axis=3), quantized, self.op("Div", unit, gives.step), value)

    def decoder(self, x: str, given: Window) -> str:
        """From bytes at quarter resolution to 4x4 pixels for each of them: [1, H / 4, W / 4, 48]."""
        network = self.stylizer
        values = self.op("Cast", self.sample(x, 1), to=TensorProto.FLOAT)
        values = self.op("Add", self.op("Mul", values, given.step), given.low)
        scale, shift, moments = self.site(self.moments(values))
        low = self.op("Add", self.op("Mul", given.low, scale), shift)
        given = Window(self.op("Mul", given.step, scale), low)
        last = len(network.decoder) - 1
        for index, block in enumerate(network.decoder):
            y, inner, _ = self.styled(self.pad(x), *_parameters(block.first), given, relu=True)
            y, branch, added = self.styled(self.pad(y), *_parameters(block.second), inner, relu=False)
            squares = (self.op("Mul", part.deviation, part.deviation) for part in (moments, added))
            deviation = self.op("Sqrt", self.op("Add", *squares))
            moments = Moments(self.op("Add", moments.mean, added.mean), deviation)
            gives = self.around(moments, relu=index == last)
            x, given = self.add(x, y, given, branch, gives), gives
        assert isinstance(network.up, UpsampleConv)
        up = MergedUpsampleConv(network.up)
        half = network.site_channels[-1]
        # [channel, row, column] -> [row, column, channel]
        weight, bias = (value.unflatten(0, (half, 4)).transpose(0, 1).flatten(0, 1) for value in _parameters(up))
        x, given, _ = self.styled(self.pad(x, "edge"), weight, bias, given, relu=True, phases=4)
        four = Window(*(self.op("Tile", value, self.ints(4)) for value in (given.step, given.low)))
        quantized, unit, offset = self.weights(*self.merged_out(), four)
        return self.convolve(x, quantized, unit, self.bias(offset, unit))

    def merged_out(self) -> tuple[Tensor, Tensor]:
        """The last convolution on what `MergedUpsampleConv` gives before its border is cut off.

        Four pixels at half resolution enter as one and leave as one, shifted by one pixel, so a 2x2 kernel sees the
        4x4 that their 3x3 kernels do. Outside the frame it sees the border that is there instead of a mirrored one.
        """
        weight, bias = _parameters(CompactStylizeGraph(self.stylizer).stylizer.out)
        # Which row of the 3x3 kernel, for the upper and the lower row that leaves, is a row that enters:
        # [leaves, kernel, row of the 2x2, row in the pixel of four]
        rows = torch.zeros(2, 3, 4)
        for leaves in range(2):
            for kernel in range(3):
                rows[leaves, kernel, leaves + kernel] = 1
        rows = rows.unflatten(2, (2, 2))
        # [pixel row, pixel column, colour] of each -> 4x4 pixels
        weight = weight.unflatten(0, (2, 2, 3))
        merged = torch.einsum("yxbcij,uikp,vjlq->uyvxbpqckl", weight, rows, rows)
        return merged.flatten(5, 7).flatten(0, 4), bias.unflatten(0, (2, 1, 2, 3)).expand(2, 2, 2, 2, 3).flatten()

    def pixels(self, x: str) -> None:
        """Bytes [1, H / 4, W / 4, 48], in the order row, column, colour, to the frame that leaves."""
        rows, columns = (self.op("Gather", self.quarter_size, self.ints(i)) for i in range(2))
        one = self.ints(1)
        x = self.op("Reshape", x, self.op("Concat", one, rows, columns, self.ints(4, 12), axis=0))
        x = self.op("Transpose", x, perm=[0, 1, 3, 2, 4])
        x = self.op("Reshape", x, self.op("Concat", one, self.padded_size, self.ints(3), axis=0))
        self.op("Slice", x, self.ints(0, 0), self.frame_size, self.ints(1, 2), outputs=["stylized"])

    def sizes(self) -> str:
        """Name what follows from the size of the frame, and give its blocks of 2x2 pixels: [1, H / 2, W / 2, 12]."""
        self.frame_size = self.op("Shape", "frames", start=1, end=3)
        multiple = self.ints(self.stylizer.multiple)
        missing = self.op("Mod", self.op("Neg", self.frame_size), multiple)
        x = self.op(
            "Pad", "frames", self.op("Concat", self.ints(0, 0, 0, 0, 0), missing, self.ints(0), axis=0), mode="reflect"
        )
        self.padded_size = self.op("Add", self.frame_size, missing)
        self.quarter_size = self.op("Div", self.padded_size, multiple)
        positions = self.op("ReduceProd", self.op("Cast", self.quarter_size, to=TensorProto.FLOAT), keepdims=1)
        step = self.op("Sqrt", self.op("Mul", positions, self.constant(1 / SAMPLES)))
        step = self.op("Cast", self.op("Max", step, self.constant(1)), to=TensorProto.INT64)
        self.sample_step = self.op("Concat", step, step, axis=0)
        self.first_sample = self.op("Div", self.sample_step, self.ints(2))
        half = self.op("Div", self.padded_size, self.ints(2))
        rows, columns = (self.op("Gather", half, self.ints(i)) for i in range(2))
        one = self.ints(1)
        x = self.op("Reshape", x, self.op("Concat", one, rows, self.ints(2), columns, self.ints(6), axis=0))
        x = self.op("Transpose", x, perm=[0, 1, 3, 2, 4])
        return self.op("Reshape", x, self.op("Concat", one, half, self.ints(12), axis=0))

    def model(self) -> onnx.ModelProto:
        channels = self.stylizer.site_channels
        sizes = self.ints(*(c for c in channels for _ in range(2)))
        for name, values in (("content_state", "states"), ("stats", "styles")):
            parts = [f"{name}{i}" for i in range(2 * len(channels))]
            self.op("Split", name, sizes, outputs=parts)
            setattr(self, values, iter(parts))
        self.pixels(self.decoder(*self.encoder(self.sizes())))
        self.op("Concat", *self.next_states, axis=0, outputs=["next_content_state"])
        size = 2 * sum(channels)
        frames: list[int | str] = [1, "H", "W", 3]

        def value(name: str, kind: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, shape)

        graph = helper.make_graph(
            self.nodes,
            "stylize",
            [
                value("frames", TensorProto.UINT8, frames),
                value("stats", TensorProto.FLOAT, [size]),
                value("strength", TensorProto.FLOAT, []),
                value("content_state", TensorProto.FLOAT, [size]),
                value("momentum", TensorProto.FLOAT, []),
            ],
            [value("stylized", TensorProto.UINT8, frames), value("next_content_state", TensorProto.FLOAT, [size])],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _parameters(layer: Any) -> tuple[Tensor, Tensor]:
    return layer.conv.weight.detach(), layer.conv.bias.detach()
