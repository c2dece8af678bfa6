#!/usr/bin/env bash
# Software: onnxruntime-web 1.30.0 ("onnxruntime-web/webgpu"), Chromium 156 (Debian 12) with its WebGPU in software (SwiftShader),
#   onnx 1.23.2.
# Behaviour: InstanceNormalization and LayerNormalization on WebGPU take the variance as the mean of the squares less the square
#   of the mean. Of a channel with a small contrast around a large value, as feature maps have them, nothing is left of
#   float32's 24 bits: a mean of 100 with a deviation of 0.1 comes out wrong by one per cent and more, and one of 1000 far too
#   strong or too weak, or as NaN. In WebAssembly, which takes the mean off first, both are right, and
#   so are ReduceMean, Sub and Mul in that order on WebGPU.
# Output: the deviation of the result, which should be near 1, in each of them; the exit code is 1 where that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install onnx==1.23.2
npm install --silent --no-audit --no-fund onnxruntime-web@1.30.0 playwright-core@1.65.1
venv/bin/python - <<'PYTHON'
import onnx
from onnx import TensorProto, helper

tensor, node = helper.make_tensor, helper.make_node
one, none = (tensor(name, TensorProto.FLOAT, [1], [value]) for name, value in (("one", 1), ("none", 0)))
axes = tensor("axes", TensorProto.INT64, [2], [2, 3])
ones = tensor("ones", TensorProto.FLOAT, [64, 64], [1] * 4096)
epsilon = tensor("epsilon", TensorProto.FLOAT, [], [1e-5])
models = {
    "operator": ([node("InstanceNormalization", ["x", "one", "none"], ["y"], epsilon=1e-5)], [one, none]),
    "layer": ([node("LayerNormalization", ["x", "ones"], ["y"], axis=2)], [ones]),
    "parts": (
        [
            node("ReduceMean", ["x", "axes"], ["mean"]),
            node("Sub", ["x", "mean"], ["centred"]),
            node("Mul", ["centred", "centred"], ["square"]),
            node("ReduceMean", ["square", "axes"], ["variance"]),
            node("Add", ["variance", "epsilon"], ["positive"]),
            node("Sqrt", ["positive"], ["deviation"]),
            node("Div", ["centred", "deviation"], ["y"]),
        ],
        [axes, epsilon],
    ),
}
for name, (nodes, constants) in models.items():
    x, y = (helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, 1, 64, 64]) for value in "xy")
    model = helper.make_model(
        helper.make_graph(nodes, name, [x], [y], constants), opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )
    onnx.checker.check_model(model)
    onnx.save(model, f"{name}.onnx")
PYTHON
cat > page.html <<'HTML'
<!doctype html>
<script type="module">
  import * as ort from "./node_modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs";
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  window.tried = async (name, mean, provider) => {
    const session = await ort.InferenceSession.create(`${name}.onnx`, { executionProviders: [provider] });
    const x = Float32Array.from({ length: 4096 }, (_, i) => mean + 0.1 * Math.SQRT2 * Math.sin(12.9 * i));
    const { y } = await session.run({ x: new ort.Tensor("float32", x, [1, 1, 64, 64]) });
    const middle = y.data.reduce((sum, value) => sum + value, 0) / 4096;
    return Math.sqrt(y.data.reduce((sum, value) => sum + (value - middle) ** 2, 0) / 4096);
  };
</script>
HTML
cat > try.mjs <<'JS'
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";

import { chromium } from "playwright-core";

const types = { html: "text/html", mjs: "text/javascript", wasm: "application/wasm", onnx: "application/octet-stream" };
const server = createServer(async (request, response) => {
  try {
    const body = await readFile(`.${request.url}`);
    response.writeHead(200, { "Content-Type": types[request.url.split(".").pop()] });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"],
});
console.log(`Chromium ${browser.version()}`);
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/page.html`);
await page.waitForFunction(() => window.tried);
const found = {};
for (const [name, provider] of [["operator", "webgpu"], ["layer", "webgpu"], ["operator", "wasm"], ["parts", "webgpu"]]) {
  for (const mean of [0, 100, 1000]) {
    const deviation = await page.evaluate(([n, m, p]) => window.tried(n, m, p), [name, mean, provider]);
    console.log(`${name}, ${provider}, mean ${mean}: ${deviation.toFixed(3)}`);
    found[`${name} ${provider} ${mean}`] = Math.abs(deviation - 1);
  }
}
await browser.close();
server.close();
const wrong = ["operator webgpu 1000", "layer webgpu 1000"].every((name) => !(found[name] < 0.3));
const right = ["operator webgpu 0", "operator wasm 1000", "parts webgpu 1000"].every((name) => found[name] < 0.1);
process.exitCode = wrong && right ? 0 : 1;
JS
node try.mjs
