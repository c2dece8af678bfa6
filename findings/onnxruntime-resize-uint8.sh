#!/usr/bin/env bash
# Software: onnxruntime 1.31.1 on the CPU, onnx 1.23.2.
# Behaviour: Resize (linear) of uint8, as in a network that takes camera frames as they are, rounds down: the picture gets half a
#   level darker with each Resize, and even a flat one is not left alone: of 100, some pixels become 99, since the weights add
#   up to a little less than 1. With antialias=1 it rounds to the nearest, as onnx's own reference does in either case, and as
#   a Resize of float32 followed by a Round does.
# Output: the mean and the largest error against float32, and the values of a flat picture; the exit code is 1 where the
#   behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnxruntime==1.31.1 onnx==1.23.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

SIZE = (100, 150)


def model(kind, antialias):
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", antialias=antialias)
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", kind, [1, 1, 64, 96])],
        [helper.make_tensor_value_info("y", kind, [1, 1, *SIZE])],
        [helper.make_tensor("sizes", TensorProto.INT64, [4], [1, 1, *SIZE])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(made)
    return made


def run(made, image):
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": image})[0].astype(float)


noise = np.random.default_rng(0).integers(0, 256, (1, 1, 64, 96), dtype=np.uint8)
flat = np.full((1, 1, 64, 96), 100, np.uint8)
found = {}
for antialias in (0, 1):
    whole = model(TensorProto.UINT8, antialias)
    error = run(whole, noise) - run(model(TensorProto.FLOAT, antialias), noise.astype(np.float32))
    found[antialias] = round(error.mean(), 1), round(error.max(), 1), np.unique(run(whole, flat)).tolist()
    print(f"antialias={antialias}: error {error.mean():.3f} on average, {error.min():.3f} to {error.max():.3f}; "
          f"100 becomes {found[antialias][2]}")
small = np.array([[[[0, 3, 255, 0]] * 4]], np.uint8).repeat(16, 2).repeat(24, 3)
reference = ReferenceEvaluator(model(TensorProto.UINT8, 0)).run(None, {"x": small})[0].astype(float)
difference = run(model(TensorProto.UINT8, 0), small) - reference
print(f"against onnx's reference: {difference.min():.0f} to {difference.max():.0f}")
sys.exit(bool(found[0] != (-0.5, 0.0, [99.0, 100.0]) or abs(found[1][0]) > 0.1 or found[1][2] != [100.0] or difference.min() != -1))
PYTHON
