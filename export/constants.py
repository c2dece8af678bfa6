"""The constant form of the 8-bit network: its graph cut where weights, biases and scales enter the convolutions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from livestyle.engine.network_file import GIVEN

CONVOLUTION = "QLinearConv"
CUTS = {3: "weight", 4: "scale", 8: "bias"}
"""Inputs of a `QLinearConv` that the computed form computes for every frame, by their place."""


def add_outputs(model: onnx.ModelProto) -> None:
    """Make the computed weights, scales and biases of the convolutions outputs of the 8-bit network.

    They are called ``weight0``, ``scale0``, ``bias0`` and so on, by the convolution.

    Args:
        model: the 8-bit network; it is changed.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    names: dict[str, str] = {}
    convolutions = [node for node in model.graph.node if node.op_type == CONVOLUTION]
    for number, node in enumerate(convolutions):
        for place, kind in CUTS.items():
            if node.input[place] not in constants:
                names.setdefault(node.input[place], f"{kind}{number}")
    for node in model.graph.node:
        for values in (node.input, node.output):
            for place, name in enumerate(values):
                values[place] = names.get(name, name)
    shapes = {value.name: value for value in onnx.shape_inference.infer_shapes(model).graph.value_info}
    model.graph.output.extend(shapes[name] for name in names.values())


def constant_graph(model: onnx.ModelProto, constants: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Graph of `stylize.int8.constant.onnx`: what is left of the 8-bit network where its constants are given.

    Args:
        model: the 8-bit network with the outputs of `add_outputs`.
        constants: these outputs by name, of any frame. Their types and shapes become those of external initializers,
            whose values each session is given.
    """
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    graph = cut.graph
    del graph.output[1:]
    makers = {name: node for node in graph.node for name in node.output}
    for name in constants:
        del makers[name]
    needed: list[onnx.NodeProto] = []
    waiting = [graph.output[0].name]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node not in needed:
            needed.append(node)
            waiting += node.input
    nodes = [node for node in graph.node if node in needed]
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    inputs = [value for value in graph.input if value.name in used]
    for field, values in ((graph.node, nodes), (graph.initializer, kept), (graph.input, inputs)):
        del field[:]
        field.extend(values)
    graph.initializer.extend(_placeholder(name, value) for name, value in constants.items())
    return cut


def _placeholder(name: str, value: np.ndarray) -> TensorProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    tensor = TensorProto(name=name, data_type=kind, data_location=TensorProto.EXTERNAL, dims=value.shape)
    # There is no such file: a session whose values are missing fails.
    tensor.external_data.add(key="location", value=GIVEN)
    return tensor
