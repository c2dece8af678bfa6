"""Work of a network: multiply-accumulate operations of its convolutions for one frame."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


_WEIGHTS = {"Conv": 1, "QLinearConv": 3}
"""Number of the input that has the weights, by operator."""


def count_macs(path: Path, inputs: Mapping[str, np.ndarray]) -> int:
    """Multiply-accumulates of all convolutions of a network for these inputs; 0 where it has none or cannot run.

    The shapes are those that onnxruntime's profiler writes down while the graph runs once, as it is in the file.

    Args:
        path: of an ONNX file with convolutions in float32, or of 8-bit integers (``QLinearConv``).
        inputs: by name.
    """
    import onnxruntime as ort

    with TemporaryDirectory(prefix="livestyle-bench-") as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        # Fusion would turn convolutions into operators of onnxruntime's own.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
            session.run(None, dict(inputs))
        except Exception:
            # Without fusion a network takes more memory than it does when it is measured.
            return 0
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return sum(_macs(event["args"]) for event in events if event.get("args", {}).get("op_name") in _WEIGHTS)


def _macs(node: Mapping[str, Any]) -> int:
    """Of a convolution: every element of the output is a sum over one filter, weights [M, C / groups, kH, kW]."""
    if "output_type_shape" not in node:
        return 0
    shapes: list[list[list[int]]] = [
        [shape for tensor in node[side] for shape in tensor.values()]
        for side in ("input_type_shape", "output_type_shape")
    ]
    inputs, (output, *_) = shapes
    weights = inputs[_WEIGHTS[node["op_name"]]]
    return math.prod(output) * math.prod(weights[1:])
