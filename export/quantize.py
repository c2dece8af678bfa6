"""8-bit quantisation of a compact network's stylizer for the CPU, with ranges found anew for each frame.

All tensors are uint8 in channels-last order. Each channel of each tensor has its own *window*, a zero point and a step:
byte q stands for ``low + step * q``. The window of a convolution's input is folded into its weights and bias, that of
its output into the scale and bias with which QLinearConv requantises its sums. Padding repeats bytes, which is exact. A
ReLU is a window whose low is not negative.

The quantisation is dynamic: the graph computes each convolution on a sample of positions first, to find the window of
its output. From the first AdaIN site on, the sample also estimates the site's statistics. Normalisation, style, ReLU
and window are then all part of the scale and bias of the convolution, so that the only passes over the whole frame are
the convolutions; everything else is arithmetic on vectors and weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from train.adain import SITE_EPSILON
from train.layers import ResidualBlock, UpsampleConv
from train.networks import CompactStylizer

from .graphs import CompactStylizeGraph, MergedUpsampleConv, merged_out, paired
from .live import Activity, live_channels
from .nodes import Moments, Nodes, Sums, Window

OPSET = 18
WEIGHT_LIMIT = 63
"""Greatest absolute weight: CPUs without VNNI sum two products of uint8 and int8 in 16 bits, which 127 overflows."""
LEAST_EXTENT = 1e-4
"""Least extent of a window, so that no step is zero."""
MARGIN = 0.1
"""Margin on either side of the range of a sample, as a share of it."""
REACH = 8.0
"""Half the extent of a window that is derived from mean and deviation, in deviations."""
SAMPLES = 900
"""Approximate number of positions sampled at quarter resolution, or all of a small frame."""


def quantized_graph(stylizer: CompactStylizer, activity: Activity) -> onnx.ModelProto:
    """The graph of stylize.int8.onnx, with the contract of stylize.onnx for one frame at a time.

    Args:
        stylizer: the frame path.
        activity: of its encoder.
    """
    return _Builder(stylizer, activity).model()


class _Builder(Nodes):
    """Builds the graph of a compact network. Strings are names of tensors, float32 [C] where no shape is stated."""

    def __init__(self, stylizer: CompactStylizer, activity: Activity) -> None:
        super().__init__()
        self.stylizer = stylizer
        self.activity = activity
        self.indices: dict[tuple[int, int], str] = {}
        self.states: Iterator[str] = iter(())
        self.styles: Iterator[str] = iter(())
        self.next_states: list[str] = []

    def quantized_weights(self, weight: Tensor, bias: Tensor, source: Window) -> tuple[str, str, str]:
        """Quantised weights for an input in a window, with unit and offset of the sums, see `Sums`."""
        steps = self.op("Reshape", source.step, self.ints(1, -1, 1, 1))
        effective = self.op("Mul", self.constant(weight), steps)
        greatest = self.op("ReduceMax", self.op("Abs", effective), self.ints(1, 2, 3), keepdims=0)
        unit = self.op("Mul", greatest, self.constant(1 / WEIGHT_LIMIT))
        quantized = self.op("QuantizeLinear", effective, unit, self.constant(np.zeros(len(weight)), np.int8), axis=0)
        lows = self.op("MatMul", source.low, self.constant(weight.sum((2, 3)).T))
        return quantized, unit, self.op("Add", lows, self.constant(bias))

    def sums(self, x: str, parameters: tuple[Tensor, Tensor], source: Window, scale: int = 1) -> Sums:
        """A convolution of padded bytes at ``scale`` times a quarter of the frame's resolution."""
        quantized, unit, offset = self.quantized_weights(*parameters, source)
        outputs, inputs, kernel, _ = parameters[0].shape
        columns = self.op("Transpose", quantized, perm=[2, 3, 1, 0])
        columns = self.op("Reshape", columns, self.ints(kernel * kernel * inputs, outputs))
        sums = self.op(
            "Cast", self.op("MatMulInteger", self.sample(x, inputs, kernel, scale), columns), to=TensorProto.FLOAT
        )
        return Sums(x, quantized, unit, offset, self.op("Add", self.op("Mul", sums, unit), offset))

    def sample(self, x: str, channels: int, kernel: int, scale: int = 1) -> str:
        """The neighbourhoods of a grid of positions in bytes [1, H, W, C]: [n, kernel^2 C]."""
        if (kernel, scale) not in self.indices:
            self.indices[kernel, scale] = self.sample_indices(kernel, scale)
        return self.gather(x, channels, self.indices[kernel, scale])

    def sample_indices(self, kernel: int, scale: int, rows_each: int = 1) -> str:
        """Indices into all pixels of a tensor, padded for a kernel above 1, that `sample` gathers: [n, kernel^2].

        With ``rows_each``, every row of positions consists of so many rows of pixels: [n, rows_each kernel^2].
        """
        first, end, step = (
            self.op("Mul", value, self.ints(scale))
            for value in (self.first_sample, self.quarter_size, self.sample_step)
        )
        rows, columns = (
            self.op("Range", *(self.op("Gather", value, self.constant(axis, np.int64)) for value in (first, end, step)))
            for axis in range(2)
        )
        width = self.op("Add", self.op("Gather", end, self.ints(1)), self.ints(0 if kernel == 1 else 2))
        rows = self.op("Mul", self.op("Unsqueeze", rows, self.ints(1)), self.ints(rows_each))
        middle = self.op("Add", self.op("Mul", rows, width), columns)
        around = np.indices((rows_each * kernel, kernel)).reshape(2, -1)
        down, right = (self.ints(*values) for values in around.tolist())
        offsets = self.op("Add", self.op("Mul", down, width), right)
        return self.op("Add", self.op("Reshape", middle, self.ints(-1, 1)), offsets)

    def dequantized_sample(self, x: str, window: Window) -> str:
        """A sample of dequantised values: [n, C]."""
        sample = self.op("Cast", self.sample(x, self.stylizer.site_channels[0], 1), to=TensorProto.FLOAT)
        return self.op("Add", self.op("Mul", sample, window.step), window.low)

    def requantize(
        self,
        sums: Sums,
        scale: str | None,
        shift: str | None,
        target: Window,
        stride: int = 1,
        phases: int = 1,
        **attributes: Any,
    ) -> str:
        """``scale * output + shift`` of a convolution, quantised in a window; without a scale, its output.

        With ``phases``, the channels of the convolution are those of the window so many times.
        """
        if scale is None or shift is None:
            gain, shift = self.op("Reciprocal", target.step), self.op("Neg", target.low)
        else:
            gain = self.op("Div", scale, target.step)
            shift = self.op("Div", self.op("Sub", shift, target.low), scale)
        bias = self.op("Round", self.op("Div", self.op("Add", sums.offset, shift), sums.unit))
        bias = self.op("Cast", bias, to=TensorProto.INT32)
        each = [self.op("Mul", sums.unit, gain), bias]
        if phases > 1:
            each = [self.op("Tile", value, self.ints(phases)) for value in each]
        return self.qlinear_conv(sums.x, sums.weight, each[0], each[1], stride, **attributes)

    def add(self, x: str, y: str, source: Window, branch: Window, target: Window) -> str:
        """The sum of two quantised tensors, by a depthwise convolution of one above the other as rows of an image."""
        channels = self.stylizer.site_channels[0]
        steps = self.op("Reshape", self.op("Concat", source.step, branch.step, axis=0), self.ints(2, 1, 1, -1))
        steps = self.op("Transpose", steps, perm=[3, 1, 0, 2])
        unit = self.op("Mul", self.op("Max", source.step, branch.step), self.constant(1 / WEIGHT_LIMIT))
        quantized = self.op("QuantizeLinear", steps, unit, self.constant(np.zeros(channels), np.int8), axis=0)
        rows = self.op("Reshape", self.op("Concat", x, y, axis=1), self.ints(1, 2, -1, channels))
        sums = Sums(rows, quantized, unit, self.op("Add", source.low, branch.low), "")
        added = self.requantize(sums, None, None, target, group=channels)
        return self.image(added, self.quarter_size, channels)

    # Before the first site.

    def sampled_window(self, y: str, relu: bool = False) -> Window:
        """The window of a tensor, from the range of a sample [n, C].

        Steps are rounded up to half octaves and lows down to multiples of the step: windows that moved a little in
        every frame would round differently in every frame, which flickers.
        """
        low, high = (self.op(kind, y, self.ints(0), keepdims=0) for kind in ("ReduceMin", "ReduceMax"))
        extent = self.op("Add", self.op("Sub", high, low), self.constant(LEAST_EXTENT))
        low = self.op("Sub", low, self.op("Mul", extent, self.constant(MARGIN)))
        if relu:
            low, high = self.op("Relu", low), self.op("Relu", high)
            extent = self.op("Add", self.op("Sub", high, low), self.constant(LEAST_EXTENT))
        # 254 steps, since rounding down the low may take one.
        step = self.op("Mul", extent, self.constant((1 + 2 * MARGIN) / 254))
        leap = self.constant(np.log(2) / 2)
        step = self.op("Exp", self.op("Mul", self.op("Ceil", self.op("Div", self.op("Log", step), leap)), leap))
        return Window(step, self.op("Mul", self.op("Floor", self.op("Div", low, step)), step))

    def convolution(
        self, x: str, parameters: tuple[Tensor, Tensor], source: Window, relu: bool, scale: int = 1, stride: int = 1
    ) -> tuple[str, Window]:
        """A convolution of padded bytes and, with ``relu``, a ReLU: bytes and their window."""
        sums = self.sums(x, parameters, source, scale)
        target = self.sampled_window(sums.sample, relu)
        return self.requantize(sums, None, None, target, stride), target

    def stem(self, x: str) -> tuple[str, Window]:
        """The first convolution, of a frame [1, H, W, 3] in blocks of 2x2 pixels: [1, H / 2, W / 2, C].

        Space-to-depth would move six bytes at a time. Instead, two blocks side by side are one pixel of four columns
        as they lie in memory, and two outputs are the channels of one pixel: a 6x2 kernel covers both their 3x3 blocks.
        """
        stem = CompactStylizeGraph(self.stylizer).stem
        assert stem.bias is not None
        # The input is bytes, so the weights depend on no window.
        units = stem.weight.detach().abs().amax((1, 2, 3)) / WEIGHT_LIMIT
        unit, offset = self.constant(units), self.constant(stem.bias)
        # [output, colour, row, block, column in block]
        blocks = (stem.weight.detach() / units[:, None, None, None]).round().unflatten(3, (3, 2)).to(torch.int8).numpy()
        outputs = len(blocks)
        half = self.op("Div", self.padded_size, self.ints(2))
        rows, columns = (self.op("Gather", half, self.ints(i)) for i in range(2))
        shape = self.op("Concat", self.ints(1), rows, self.ints(2), columns, self.ints(6), axis=0)
        # Reflection of whole blocks.
        x = self.op("Reshape", x, shape)
        x = self.op("Pad", x, self.ints(0, 1, 0, 1, 0, 0, 1, 0, 1, 0), mode="reflect")

        columns_of_sample = self.constant(blocks.transpose(2, 3, 4, 1, 0).reshape(-1, outputs), np.int8)
        sample = self.op("MatMulInteger", self.gather(x, 6, self.sample_indices(3, 2, rows_each=2)), columns_of_sample)
        sample = self.op("Mul", self.op("Cast", sample, to=TensorProto.FLOAT), unit)
        target = self.sampled_window(self.op("Add", sample, offset), relu=True)

        weight = self.constant(paired(blocks), np.int8)
        size = self.op("Mul", self.op("Add", self.quarter_size, self.ints(1)), self.ints(4, 1))
        sums = Sums(self.image(x, size, 12), weight, unit, offset, "")
        x = self.requantize(sums, None, None, target, phases=2, strides=[2, 1])
        return self.image(x, half, outputs), target

    def encoder(self, x: str) -> tuple[str, Window]:
        """All before the first site; of ReLUs that never fire, zeros are taken and not computed.

        What is computed is ``x``, in the channels ``kept``; to it and to the others, zeros, ``rest`` is to be added.
        """
        network, channels = self.stylizer, self.stylizer.site_channels[0]
        kept, rest = self.activity.kept_channels(), torch.zeros(channels)
        weight, bias = _parameters(network.down)
        x, source = self.stem(x)
        x, source = self.convolution(self.pad(x), (weight[kept], bias[kept]), source, relu=True, scale=2, stride=2)
        for block, greatest in zip(network.encoder, self.activity.first, strict=True):
            assert isinstance(block, ResidualBlock)
            if not (greatest > 0).any():
                rest = rest + _parameters(block.second)[1]
                continue
            weight, bias = _parameters(block.first)
            bias = bias + weight.sum((2, 3)) @ rest
            live = live_channels(greatest)
            if len(kept) < channels:
                x, source = self.narrow_block(x, block, (weight[live][:, kept], bias[live]), source, kept, live, rest)
                kept, rest = torch.arange(channels), torch.zeros(channels)
                continue
            y, inner = self.convolution(self.pad(x), (weight[live], bias[live]), source, relu=True)
            weight, bias = _parameters(block.second)
            y, branch = self.convolution(self.pad(y), (weight[:, live], bias), inner, relu=False)
            both = self.op("Add", self.dequantized_sample(x, source), self.dequantized_sample(y, branch))
            target = self.sampled_window(both)
            x, source = self.add(x, y, source, branch, target), target
        return x, Window(source.step, self.op("Add", source.low, self.constant(rest)))

    def narrow_block(
        self,
        x: str,
        block: ResidualBlock,
        first: tuple[Tensor, Tensor],
        source: Window,
        kept: Tensor,
        live: Tensor,
        rest: Tensor,
    ) -> tuple[str, Window]:
        """A residual block of which few channels are live: its input is handed through, and added by convolution."""
        count, channels = len(kept), len(rest)
        centre = torch.zeros(count, count, 3, 3)
        centre[range(count), range(count), 1, 1] = 1
        weight, bias = torch.cat([centre, first[0]]), torch.cat([torch.zeros(count), first[1]])
        sums = self.sums(self.pad(x), (weight, bias), source)
        fresh = self.op("Slice", sums.sample, self.ints(count), self.ints(count + len(live)), self.ints(1))
        window = self.sampled_window(fresh, relu=True)
        names = zip((source.step, source.low), (window.step, window.low), strict=True)
        inner = Window(*(self.op("Concat", *pair, axis=0) for pair in names))
        y = self.requantize(sums, None, None, inner)
        weight, bias = _parameters(block.second)
        through = torch.zeros(channels, count, 3, 3)
        through[kept, range(count), 1, 1] = 1
        return self.convolution(self.pad(y), (torch.cat([through, weight[:, live]], 1), bias + rest), inner, relu=False)

    # From the first site on.

    def moments(self, y: str) -> Moments:
        """Means and deviations of the columns of floats [n, C]."""
        mean = self.op("ReduceMean", y, self.ints(0), keepdims=0)
        centred = self.op("Sub", y, mean)
        variance = self.op("ReduceMean", self.op("Mul", centred, centred), self.ints(0), keepdims=0)
        return Moments(mean, self.op("Sqrt", self.op("Add", variance, self.constant(SITE_EPSILON))))

    def site(self, found: Moments) -> tuple[str, str, Moments]:
        """The next AdaIN site: its scale, its shift, and the moments of its output.

        In a video, these moments follow from the running statistics rather than from the frame's, so that windows
        change little between frames, which avoids flicker.
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

    def moments_window(self, moments: Moments, relu: bool) -> Window:
        """The window of a tensor, from its moments."""
        reach = self.op("Mul", moments.deviation, self.constant(REACH))
        low, high = self.op("Sub", moments.mean, reach), self.op("Add", moments.mean, reach)
        if relu:
            low = self.op("Max", low, self.constant(0))
            # A channel that the ReLU sets to zero everywhere gets a small window above zero.
            high = self.op("Max", high, self.op("Add", low, self.constant(1e-3)))
        return Window(self.op("Mul", self.op("Sub", high, low), self.constant(1 / 255)), low)

    def site_convolution(
        self, x: str, parameters: tuple[Tensor, Tensor], source: Window, relu: bool, phases: int = 1
    ) -> tuple[str, Window, Moments]:
        """A convolution of padded bytes, its AdaIN site and, with ``relu``, a ReLU: bytes, window and moments.

        With ``phases``, the convolution has so many output pixels per input pixel, one after another in its channels.
        """
        sums = self.sums(x, parameters, source)
        channels = len(parameters[1]) // phases
        scale, shift, moments = self.site(self.moments(self.op("Reshape", sums.sample, self.ints(-1, channels))))
        target = self.moments_window(moments, relu)
        each = [scale, shift, target.step, target.low]
        if phases > 1:
            each = [self.op("Tile", value, self.ints(phases)) for value in each]
        return self.requantize(sums, each[0], each[1], Window(each[2], each[3])), target, moments

    def decoder(self, x: str, source: Window) -> str:
        """From bytes at quarter resolution to the 4x4 pixels of each position: [1, H / 4, W / 4, 48]."""
        network = self.stylizer
        scale, shift, moments = self.site(self.moments(self.dequantized_sample(x, source)))
        low = self.op("Add", self.op("Mul", source.low, scale), shift)
        source = Window(self.op("Mul", source.step, scale), low)
        last = len(network.decoder) - 1
        for index, block in enumerate(network.decoder):
            y, inner, _ = self.site_convolution(self.pad(x), _parameters(block.first), source, relu=True)
            y, branch, added = self.site_convolution(self.pad(y), _parameters(block.second), inner, relu=False)
            squares = (self.op("Mul", part.deviation, part.deviation) for part in (moments, added))
            deviation = self.op("Sqrt", self.op("Add", *squares))
            moments = Moments(self.op("Add", moments.mean, added.mean), deviation)
            target = self.moments_window(moments, relu=index == last)
            x, source = self.add(x, y, source, branch, target), target
        assert isinstance(network.up, UpsampleConv)
        up = MergedUpsampleConv(network.up)
        half = network.site_channels[-1]
        # [channel, row, column] -> [row, column, channel]
        weight, bias = (value.unflatten(0, (half, 4)).transpose(0, 1).flatten(0, 1) for value in _parameters(up))
        x, source, _ = self.site_convolution(self.pad(x, "edge"), (weight, bias), source, relu=True, phases=4)
        four = Window(self.op("Tile", source.step, self.ints(4)), self.op("Tile", source.low, self.ints(4)))
        quantized, unit, offset = self.quantized_weights(*merged_out(self.stylizer), four)
        levels = Window(self.constant(np.ones(48)), self.constant(np.zeros(48)))
        return self.requantize(Sums(x, quantized, unit, offset, ""), None, None, levels)

    def pixels(self, x: str) -> None:
        """Arrange bytes [1, H / 4, W / 4, 48], ordered row, column, colour, as the output frame."""
        x = self.op("Transpose", self.image(x, self.quarter_size, 4, 12), perm=[0, 1, 3, 2, 4])
        x = self.image(x, self.padded_size, 3)
        self.op("Slice", x, self.ints(0, 0), self.frame_size, self.ints(1, 2), outputs=["stylized"])

    def sizes(self) -> str:
        """Compute all sizes from the frame's, and return it padded to whole positions: [1, H, W, 3]."""
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
        return x

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
        value, floats, uint8 = helper.make_tensor_value_info, TensorProto.FLOAT, TensorProto.UINT8
        inputs = [value("frames", uint8, frames), value("stats", floats, [size]), value("strength", floats, [])]
        inputs += [value("content_state", floats, [size]), value("momentum", floats, [])]
        outputs = [value("stylized", uint8, frames), value("next_content_state", floats, [size])]
        graph = helper.make_graph(self.nodes, "stylize", inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _parameters(layer: Any) -> tuple[Tensor, Tensor]:
    return layer.conv.weight.detach(), layer.conv.bias.detach()
