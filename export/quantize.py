"""The frame path of a compact network in 8-bit integers, for the CPU.

Everything between the bytes that enter and the bytes that leave is unsigned bytes in channels-last order. Each channel
of each tensor has a *window* of its own: byte q stands for ``low + step * q``. Steps and lows of a convolution's input
move into its weights and bias, those of its output into the scale and the bias that bring its sums back to bytes;
padding repeats bytes, so that is exact at the border too. A ReLU is a window that begins at zero or above it.

The graph finds the windows as it runs: a sample of a convolution's outputs, at every few rows and columns, is computed
first. Behind the first AdaIN site it also gives the statistics of the next one, and since normalisation, style, ReLU
and window are all in the scale and the bias with which a convolution ends, no pass over the whole frame is left but the
convolutions. All else is a few operations on vectors and weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from train.networks import SITE_EPSILON, CompactStylizer, UpsampleConv

from .graphs import CompactStylizeGraph, MergedUpsampleConv

OPSET = 18
WEIGHT_LIMIT = 63
"""Greatest weight. CPUs without VNNI add two products of a byte and a weight in 16 bits, which 127 would overflow."""
LEAST_EXTENT = 1e-4
"""What a window spans at least, so that no step is zero."""
MARGIN = 0.1
"""What is added to either side of a window that was seen, as a share of it."""
REACH = 8.0
"""How many deviations to either side of its mean a window reaches, where it is known by these."""
SAMPLES = 900
"""About so many positions at quarter resolution are sampled, or all of a small frame."""


@dataclass(frozen=True)
class Window:
    """What the bytes of a tensor stand for, ``low + step * byte``: the names of two tensors [C]."""

    step: str
    low: str


@dataclass(frozen=True)
class Moments:
    """The means and deviations of the channels of a tensor: the names of two tensors [C]."""

    mean: str
    deviation: str


@dataclass(frozen=True)
class Sums:
    """A convolution of bytes whose weights are known.

    Attributes:
        x: the padded bytes.
        weight: int8 [O, I, kernel, kernel].
        unit: what one of the sum is worth, [O].
        offset: what is added to the sum, [O].
        sample: of its outputs, float32 [n, O].
    """

    x: str
    weight: str
    unit: str
    offset: str
    sample: str


def quantized_graph(stylizer: CompactStylizer) -> onnx.ModelProto:
    """The graph of `stylize.int8.onnx`: the contract of `stylize.onnx` with one frame at a time."""
    return _Builder(stylizer).model()


class _Builder:
    """Writes the graph node by node. Names of tensors are strings; those with no shape given are float32 [C]."""

    def __init__(self, stylizer: CompactStylizer) -> None:
        self.stylizer = stylizer
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.places: dict[tuple[int, int], str] = {}
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

    def convolve(self, x: str, weight: str, scale: str, bias: str, stride: int = 1) -> str:
        """Bytes of bytes: ``(sum + bias) * scale``, rounded and clipped; ``bias`` is int32, in units of the sum."""
        plain = self.constant(1), self.constant(0, np.uint8)
        inputs = [x, *plain, weight, scale, self.constant(0, np.int8), *plain, bias]
        return self.op("QLinearConv", *inputs, domain="com.microsoft", channels_last=1, strides=[stride, stride])

    def weights(self, weight: Tensor, bias: Tensor, given: Window | None) -> tuple[str, str, str]:
        """Weights for bytes in a window, what one of their sum is worth, and what is added to it, see `Sums`.

        Without a window, bytes are what they stand for.
        """
        if given is None:
            units = weight.abs().amax((1, 2, 3)) / WEIGHT_LIMIT
            rounded = self.constant((weight / units[:, None, None, None]).round(), np.int8)
            return rounded, self.constant(units), self.constant(bias)
        steps = self.op("Reshape", given.step, self.ints(1, -1, 1, 1))
        effective = self.op("Mul", self.constant(weight), steps)
        greatest = self.op("ReduceMax", self.op("Abs", effective), self.ints(1, 2, 3), keepdims=0)
        unit = self.op("Mul", greatest, self.constant(1 / WEIGHT_LIMIT))
        quantized = self.op("QuantizeLinear", effective, unit, self.constant(np.zeros(len(weight)), np.int8), axis=0)
        lows = self.op("MatMul", given.low, self.constant(weight.sum((2, 3)).T))
        return quantized, unit, self.op("Add", lows, self.constant(bias))

    def sums(self, x: str, parameters: tuple[Tensor, Tensor], given: Window | None, scale: int = 1) -> Sums:
        """A convolution of padded bytes whose resolution is ``scale`` times a quarter of the frame's."""
        quantized, unit, offset = self.weights(*parameters, given)
        outputs, inputs, kernel, _ = parameters[0].shape
        columns = self.op("Transpose", quantized, perm=[2, 3, 1, 0])
        columns = self.op("Reshape", columns, self.ints(kernel * kernel * inputs, outputs))
        sums = self.op(
            "Cast", self.op("MatMulInteger", self.sample(x, inputs, kernel, scale), columns), to=TensorProto.FLOAT
        )
        return Sums(x, quantized, unit, offset, self.op("Add", self.op("Mul", sums, unit), offset))

    def sample(self, x: str, channels: int, kernel: int, scale: int = 1) -> str:
        """Every few positions of bytes [1, H, W, C] with their neighbourhoods, if any: [n, kernel^2 C]."""
        if (kernel, scale) not in self.places:
            self.places[kernel, scale] = self.sampled_places(kernel, scale)
        pixels = self.op("Reshape", x, self.ints(-1, channels))
        return self.op("Flatten", self.op("Gather", pixels, self.places[kernel, scale]), axis=1)

    def sampled_places(self, kernel: int, scale: int) -> str:
        """Where `sample` looks among all pixels of a tensor, padded where there is a neighbourhood: [n, kernel^2]."""
        first, end, step = (
            self.op("Mul", value, self.ints(scale))
            for value in (self.first_sample, self.quarter_size, self.sample_step)
        )
        rows, columns = (
            self.op("Range", *(self.op("Gather", value, self.constant(axis, np.int64)) for value in (first, end, step)))
            for axis in range(2)
        )
        width = self.op("Add", self.op("Gather", end, self.ints(1)), self.ints(0 if kernel == 1 else 2))
        middle = self.op("Add", self.op("Mul", self.op("Unsqueeze", rows, self.ints(1)), width), columns)
        down, right = (self.ints(*values) for values in np.indices((kernel, kernel)).reshape(2, -1).tolist())
        around = self.op("Add", self.op("Mul", down, width), right)
        return self.op("Add", self.op("Reshape", middle, self.ints(-1, 1)), around)

    def values(self, x: str, window: Window) -> str:
        """A sample of what bytes stand for: [n, C]."""
        sample = self.op("Cast", self.sample(x, self.stylizer.site_channels[0], 1), to=TensorProto.FLOAT)
        return self.op("Add", self.op("Mul", sample, window.step), window.low)

    def finish(self, sums: Sums, scale: str | None, shift: str | None, gives: Window, stride: int = 1) -> str:
        """``scale * output + shift`` of a convolution as bytes of a window; without a scale, its output."""
        if scale is None or shift is None:
            gain, shift = self.op("Reciprocal", gives.step), self.op("Neg", gives.low)
        else:
            gain = self.op("Div", scale, gives.step)
            shift = self.op("Div", self.op("Sub", shift, gives.low), scale)
        bias = self.op("Round", self.op("Div", self.op("Add", sums.offset, shift), sums.unit))
        bias = self.op("Cast", bias, to=TensorProto.INT32)
        return self.convolve(sums.x, sums.weight, self.op("Mul", sums.unit, gain), bias, stride)

    def add(self, x: str, y: str, given: Window, branch: Window, gives: Window) -> str:
        """The sum of two tensors of bytes, by a 1x1 convolution."""
        channels = self.stylizer.site_channels[0]
        step = self.op("Concat", given.step, branch.step, axis=0)
        both = Window(step, self.op("Concat", given.low, branch.low, axis=0))
        eye = torch.eye(channels).repeat(1, 2)[:, :, None, None]
        quantized, unit, offset = self.weights(eye, torch.zeros(channels), both)
        return self.finish(Sums(self.op("Concat", x, y, axis=3), quantized, unit, offset, ""), None, None, gives)

    # Before the first site.

    def seen(self, y: str, relu: bool = False) -> Window:
        """The window of a tensor of which [n, C] are a sample.

        It moves in leaps, the step by half octaves and the low by steps, for bytes that were rounded at other places in
        each frame would flicker.
        """
        low, high = (self.op(kind, y, self.ints(0), keepdims=0) for kind in ("ReduceMin", "ReduceMax"))
        extent = self.op("Add", self.op("Sub", high, low), self.constant(LEAST_EXTENT))
        low = self.op("Sub", low, self.op("Mul", extent, self.constant(MARGIN)))
        if relu:
            low, high = self.op("Relu", low), self.op("Relu", high)
            extent = self.op("Add", self.op("Sub", high, low), self.constant(LEAST_EXTENT))
        # One of the 255 steps is lost where the low is rounded down.
        step = self.op("Mul", extent, self.constant((1 + 2 * MARGIN) / 254))
        leap = self.constant(np.log(2) / 2)
        step = self.op("Exp", self.op("Mul", self.op("Ceil", self.op("Div", self.op("Log", step), leap)), leap))
        return Window(step, self.op("Mul", self.op("Floor", self.op("Div", low, step)), step))

    def plain(
        self,
        x: str,
        parameters: tuple[Tensor, Tensor],
        given: Window | None,
        relu: bool,
        scale: int = 1,
        stride: int = 1,
    ) -> tuple[str, Window]:
        """A convolution of padded bytes and, where asked for, a ReLU: bytes and their window."""
        sums = self.sums(x, parameters, given, scale)
        gives = self.seen(sums.sample, relu)
        return self.finish(sums, None, None, gives, stride), gives

    def encoder(self, x: str) -> tuple[str, Window]:
        network = self.stylizer
        stem = CompactStylizeGraph(network).stem
        # [colour, row in block, column in block] of the bytes -> [row, column, colour]
        weight = stem.weight.detach().unflatten(3, (3, 2)).unflatten(2, (3, 2)).permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
        assert stem.bias is not None
        x, given = self.plain(self.pad(x), (weight, stem.bias.detach()), None, relu=True, scale=2)
        x, given = self.plain(self.pad(x), _parameters(network.down), given, relu=True, scale=2, stride=2)
        for block in network.encoder:
            y, inner = self.plain(self.pad(x), _parameters(block.first), given, relu=True)
            y, branch = self.plain(self.pad(y), _parameters(block.second), inner, relu=False)
            gives = self.seen(self.op("Add", self.values(x, given), self.values(y, branch)))
            x, given = self.add(x, y, given, branch, gives), gives
        return x, given

    # From the first site on.

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

    def styled(
        self, x: str, parameters: tuple[Tensor, Tensor], given: Window, relu: bool, phases: int = 1
    ) -> tuple[str, Window, Moments]:
        """A convolution of padded bytes, the site after it and, where asked for, a ReLU: bytes, window and moments.

        ``phases`` pixels leave for each that enters; their channels follow each other.
        """
        sums = self.sums(x, parameters, given)
        channels = len(parameters[1]) // phases
        scale, shift, moments = self.site(self.moments(self.op("Reshape", sums.sample, self.ints(-1, channels))))
        gives = self.around(moments, relu)
        each = [scale, shift, gives.step, gives.low]
        if phases > 1:
            each = [self.op("Tile", value, self.ints(phases)) for value in each]
        return self.finish(sums, each[0], each[1], Window(each[2], each[3])), gives, moments

    def decoder(self, x: str, given: Window) -> str:
        """From bytes at quarter resolution to 4x4 pixels for each of them: [1, H / 4, W / 4, 48]."""
        network = self.stylizer
        scale, shift, moments = self.site(self.moments(self.values(x, given)))
        low = self.op("Add", self.op("Mul", given.low, scale), shift)
        given = Window(self.op("Mul", given.step, scale), low)
        last = len(network.decoder) - 1
        for index, block in enumerate(network.decoder):
            y, inner, _ = self.styled(self.pad(x), _parameters(block.first), given, relu=True)
            y, branch, added = self.styled(self.pad(y), _parameters(block.second), inner, relu=False)
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
        x, given, _ = self.styled(self.pad(x, "edge"), (weight, bias), given, relu=True, phases=4)
        four = Window(self.op("Tile", given.step, self.ints(4)), self.op("Tile", given.low, self.ints(4)))
        quantized, unit, offset = self.weights(*self.merged_out(), four)
        levels = Window(self.constant(np.ones(48)), self.constant(np.zeros(48)))
        return self.finish(Sums(x, quantized, unit, offset, ""), None, None, levels)

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
        amounts = self.op("Concat", self.ints(0, 0, 0, 0, 0), missing, self.ints(0), axis=0)
        x = self.op("Pad", "frames", amounts, mode="reflect")
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
        states, styles = ([f"{name}{i}" for i in range(2 * len(channels))] for name in ("state", "style"))
        self.op("Split", "content_state", sizes, outputs=states)
        self.op("Split", "stats", sizes, outputs=styles)
        self.states, self.styles = iter(states), iter(styles)
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
