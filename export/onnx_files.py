"""The ONNX files of a model: traced by PyTorch, cleaned, and stored so that they share their large weights."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from livestyle.engine.devices import create_session
from livestyle.engine.model import (
    CHECKPOINT,
    MINIMUM_SIDE,
    REGIONS,
    REGIONS_FP16,
    STYLE,
    STYLIZE,
    STYLIZE_CONSTANT,
    STYLIZE_FP16,
    STYLIZE_INT8,
)
from train.networks import CompactStylizer, Model, measured_channels

from .constants import add_outputs, constant_graph
from .graphs import StyleGraph, stylize_graph
from .live import measure_activity
from .quantize import OPSET, quantized_graph

LEAST_HALVED = 8192
"""Number of values from which a tensor is stored in float16. Small ones save nothing, and variances need float32."""


def write_networks(model: Model, folder: Path) -> None:
    """Write style.onnx of a model, and stylize.onnx and stylize.regions.onnx in float32 and float16.

    If the model's checkpoint is in the folder, the weights that it also holds are read from there (external data).
    """
    size, state_size = 2 * sum(model.site_channels), 2 * sum(measured_channels(model))
    height, width = (torch.export.Dim(name, min=MINIMUM_SIDE, max=16384) for name in "HW")
    image = torch.zeros(MINIMUM_SIDE + 5, MINIMUM_SIDE + 14, 3, dtype=torch.uint8)
    _write(StyleGraph(model), (image,), folder / STYLE, ["image"], ["stats"], {"image": {0: height, 1: width}})
    frames = image.expand(2, -1, -1, -1).contiguous()
    inputs = (frames, torch.ones(size), torch.tensor(1.0), torch.zeros(state_size), torch.tensor(0.0))
    names = ["frames", "stats", "strength", "content_state", "momentum"]
    dims: dict[str, Any] = dict.fromkeys(names)
    dims["frames"] = {0: torch.export.Dim("N", min=1, max=256), 1: height, 2: width}
    outputs = ["stylized", "next_content_state"]
    for name, half in ((STYLIZE, False), (STYLIZE_FP16, True)):
        _write(stylize_graph(model.stylizer, half), inputs, folder / name, names, outputs, dims)
    two = (frames, torch.ones(2, size), *inputs[2:], frames[..., 0].contiguous())
    names, dims = [*names, "mask"], dims | {"mask": dims["frames"]}
    for name, half in ((REGIONS, False), (REGIONS_FP16, True)):
        _write(stylize_graph(model.stylizer, half), two, folder / name, names, outputs, dims)


def write_int8_network(stylizer: CompactStylizer, folder: Path, images: Iterable[np.ndarray]) -> None:
    """Write stylize.int8.onnx of a frame path and its constant form; see `write_networks`.

    Args:
        stylizer: the frame path.
        folder: of the model.
        images: uint8 [H, W, 3] BGR, in which channels of the encoder that never fire are looked for.
    """
    network = quantized_graph(stylizer, measure_activity(stylizer, images))
    add_outputs(network)
    # A copy: storing moves weights out of the graph.
    whole = copy.deepcopy(network)
    # Its weights are quantised in any case, so rounding them to float16 first does no harm.
    _store(network, folder / STYLIZE_INT8, exactly=False)
    session, size = create_session(folder / STYLIZE_INT8, "cpu"), 2 * sum(stylizer.site_channels)
    example = {
        "frames": np.zeros((1, MINIMUM_SIDE, MINIMUM_SIDE, 3), np.uint8),
        "stats": np.ones(size, np.float32),
        "strength": np.array(1, np.float32),
        "content_state": np.zeros(size, np.float32),
        "momentum": np.array(0, np.float32),
    }
    names = [output.name for output in session.get_outputs()]
    values = dict(zip(names, session.run(None, example), strict=True))
    constants = {name: value for name, value in values.items() if name not in ("stylized", "next_content_state")}
    (folder / STYLIZE_CONSTANT).write_bytes(constant_graph(whole, constants).SerializeToString())


def _write(
    graph: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: list[str],
    outputs: list[str],
    dims: dict[str, Any],
) -> None:
    """Trace a graph and write it as an ONNX file with dynamic sizes."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            inputs,
            input_names=names,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=dims,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    if "stylized" in outputs:
        # The exporter names output sizes by the expressions that compute them.
        for dim, name in zip(proto.graph.output[0].type.tensor_type.shape.dim, "NHW", strict=False):
            dim.dim_param = name
    # Source files and stack traces: a sixth of the file, and paths of this machine.
    del proto.graph.value_info[:], proto.graph.metadata_props[:], proto.metadata_props[:]
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    _store(proto, path)


def _store(proto: Any, path: Path, exactly: bool = True) -> None:
    store_in_float16(proto.graph, exactly)
    checkpoint = path.with_name(CHECKPOINT)
    if checkpoint.is_file():
        use_external_data(proto.graph, checkpoint)
    path.write_bytes(proto.SerializeToString())


def rounded_to_float16(model: Model) -> Model:
    """A model with its large weights rounded to float16, so that all files hold the same values in half the bytes."""
    rounded = copy.deepcopy(model)
    for value in rounded.state_dict().values():
        if value.numel() >= LEAST_HALVED:
            value.copy_(value.half())
    return rounded


def write_safetensors(model: Model, arch: str, iteration: int, path: Path) -> None:
    """Write the checkpoint of a model folder: all that ships, large weights in float16."""
    from safetensors.torch import save_file

    values = {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("statistics_reader.")}
    values = {k: v.half() if v.numel() >= LEAST_HALVED else v for k, v in values.items()}
    save_file(values, path, {"arch": arch, "iteration": str(iteration)})
    path.chmod(0o644)


def store_in_float16(graph: Any, exactly: bool) -> None:
    """Store large float32 constants of an ONNX graph in float16, with a Cast that onnxruntime folds when it loads them.

    With ``exactly``, constants that float16 does not hold exactly stay in float32; these were computed from several of
    the rounded weights.
    """
    from onnx import TensorProto, helper, numpy_helper

    large = [t for t in graph.initializer if t.data_type == TensorProto.FLOAT and np.prod(t.dims) >= LEAST_HALVED]
    casts = []
    for tensor in large:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        halves = values.astype(np.float16)
        if not exactly or np.array_equal(halves, values):
            tensor.CopyFrom(numpy_helper.from_array(halves, f"{name}.float16"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def use_external_data(graph: Any, checkpoint: Path) -> None:
    """Replace the float16 constants of an ONNX graph that a safetensors file holds by references into it.

    The networks of a folder share most of their weights, which would otherwise be stored five times.
    """
    from onnx import TensorProto

    data = checkpoint.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    places = {}
    for name, tensor in json.loads(data[8:start]).items():
        if name != "__metadata__" and tensor["dtype"] == "F16":
            first, last = (start + offset for offset in tensor["data_offsets"])
            places[data[first:last]] = {"location": checkpoint.name, "offset": first, "length": last - first}
    for constant in graph.initializer:
        place = places.get(constant.raw_data)
        if place is not None and constant.data_type == TensorProto.FLOAT16:
            constant.ClearField("raw_data")
            constant.data_location = TensorProto.EXTERNAL
            for key, value in place.items():
                constant.external_data.add(key=key, value=str(value))
