#!/usr/bin/env bash
# Software: OpenCV 5.0.0 (opencv-python-headless 5.0.0.93), onnxruntime 1.31.1, onnx 1.23.2.
# Behaviour: cv2.dnn takes an ONNX Resize with antialias=1, and leaves the antialiasing out: no error, no warning, and the picture
#   that a network sees is another one, with moiré. Where a Resize has scales and the size is odd, it takes the ratio of the sizes
#   in place of the scale (4/9 for 0.5), so that everything is moved, by up to a pixel at an edge. Even sizes
#   without antialiasing are right.
# Output: a line of what onnxruntime and OpenCV give; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install \
    "opencv-python-headless==5.0.0.93" onnxruntime==1.31.1 onnx==1.23.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper


def compare(name, image, antialias):
    height, width = image.shape
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear", antialias=antialias)
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, height, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, height // 2, width // 2])],
        [helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 0.5, 0.5])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(made)
    data = made.SerializeToString()
    x = image[None, None].astype(np.float32)
    right = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    net.setInput(x)
    given = net.forward().reshape(right.shape)
    print(f"{name}: onnxruntime {right[0, 0, 1].round(2).tolist()}, OpenCV {given[0, 0, 1].round(2).tolist()}")
    return float(np.abs(right - given).max())


stripes = np.tile(np.arange(12) % 3 == 0, (8, 1)) * 100.0
ramp = np.tile(np.arange(9) * 10.0, (7, 1))
errors = [
    compare("stripes, antialias=1", stripes, 1),
    compare("stripes, antialias=0", stripes, 0),
    compare("ramp of 9 columns", ramp, 0),
    compare("ramp of 8 columns", ramp[:6, :8], 0),
]
print("largest errors:", [round(error, 3) for error in errors])
sys.exit(not (errors[0] > 10 and errors[1] < 0.01 and errors[2] > 2 and errors[3] < 0.01))
PYTHON
