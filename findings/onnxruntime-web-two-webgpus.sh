#!/usr/bin/env bash
# Software: onnxruntime-web 1.30.0, Chromium 156 (Debian 12) with its WebGPU in software (SwiftShader), onnx 1.23.2.
# Behaviour: the package has two execution providers of one name. With "webgpu", `import "onnxruntime-web"` (and "/all") runs
#   shaders written in JavaScript, `import "onnxruntime-web/webgpu"` those of onnxruntime itself, and their results differ. By the
#   first one, an Einsum that sums over two axes, as the Gram matrix of neural style transfer ("bchw,bdhw->bcd"), is wrong, and
#   Resize by scales rounds sizes to the nearest, where ONNX rounds them down (9 * 0.5 becomes 5, not 4). No error, and a
#   warning about the size at most. The second one, and "wasm" in both, are right.
# Output: whether each of them is right; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install onnx==1.23.2 numpy
npm install --silent --no-audit --no-fund onnxruntime-web@1.30.0 playwright-core@1.65.1
venv/bin/python - <<'PYTHON'
import json

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 0.5, 0.5])
cases = {
    "Gram matrix": ([helper.make_node("Einsum", ["x", "x"], ["y"], equation="bchw,bdhw->bcd")], [], [1, 3, 4, 5]),
    "Resize": ([helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")], [scales], [1, 1, 7, 9]),
}
tests = []
for number, (name, (nodes, constants, shape)) in enumerate(cases.items()):
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * (3 if name == "Gram matrix" else 4))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, f"case{number}.onnx")
    x = np.random.default_rng(number).normal(0, 1, shape).astype(np.float32)
    (y,) = ReferenceEvaluator(model).run(None, {"x": x})
    tests.append({"name": name, "x": x.ravel().tolist(), "shape": shape, "y": y.ravel().tolist(), "dims": list(y.shape)})
with open("tests.json", "w") as file:
    json.dump(tests, file)
PYTHON
for build in bundle webgpu.bundle; do cat > "$build.html" <<HTML; done
<!doctype html>
<script type="module">
  import * as ort from "./node_modules/onnxruntime-web/dist/ort.$build.min.mjs";
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  window.tried = async (number, { x, shape, y, dims }, provider) => {
    const session = await ort.InferenceSession.create(\`case\${number}.onnx\`, { executionProviders: [provider] });
    const result = (await session.run({ x: new ort.Tensor("float32", Float32Array.from(x), shape) })).y;
    if (String(result.dims) !== String(dims)) return \`\${result.dims.join("x")} instead of \${dims.join("x")}\`;
    const error = Math.max(...y.map((value, i) => Math.abs(value - result.data[i])));
    return error < 0.01 ? "right" : \`wrong by \${error.toFixed(2)}\`;
  };
</script>
HTML
cat > try.mjs <<'JS'
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
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
const tests = JSON.parse(readFileSync("tests.json"));
const found = [];
for (const [build, entry] of [["bundle", "onnxruntime-web"], ["webgpu.bundle", "onnxruntime-web/webgpu"]]) {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/${build}.html`);
  await page.waitForFunction(() => window.tried);
  for (const provider of ["webgpu", "wasm"]) {
    for (const [number, test] of tests.entries()) {
      const answer = await page.evaluate(([n, t, p]) => window.tried(n, t, p), [number, test, provider]);
      console.log(`${entry}, ${provider}: ${test.name} ${answer}`);
      found.push(answer === "right");
    }
  }
}
await browser.close();
server.close();
process.exitCode = found.every((right, i) => right === i >= tests.length) ? 0 : 1;
JS
node try.mjs
