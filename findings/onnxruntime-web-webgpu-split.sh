#!/usr/bin/env bash
# Software: onnxruntime-web 1.30.0, Chromium 156 (Debian 12) with its WebGPU in software (SwiftShader), onnx 1.22.
# Behaviour: of a Split into 12 outputs, WebGPU makes a session without a word, and fails in run(): one shader writes all
#   outputs, and an adapter gives a shader 8 or 10 storage buffers. Nothing falls back to WebAssembly, though "wasm" is named
#   as the second provider. A Split into 4 runs, and in WebAssembly both do. So a page has to run a network on WebGPU once
#   before it relies on it.
# Output: what became of session and run for each; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install onnx==1.22.0
npm install --silent --no-audit --no-fund onnxruntime-web@1.30.0 playwright-core@1.65.1
venv/bin/python - <<'PYTHON'
import onnx
from onnx import TensorProto, helper

for parts in (4, 12):
    outputs = [helper.make_tensor_value_info(f"y{n}", TensorProto.FLOAT, [1, 8]) for n in range(parts)]
    graph = helper.make_graph(
        [helper.make_node("Split", ["x"], [o.name for o in outputs], axis=0, num_outputs=parts)],
        "split",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [parts, 8])],
        outputs,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, f"split{parts}.onnx")
PYTHON
cat > page.html <<'HTML'
<!doctype html>
<script type="module">
  import * as ort from "./node_modules/onnxruntime-web/dist/ort.webgpu.min.mjs";
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  window.tried = async (parts, executionProviders) => {
    let session;
    try {
      session = await ort.InferenceSession.create(`split${parts}.onnx`, { executionProviders });
    } catch (error) {
      return `no session: ${error.message}`;
    }
    try {
      const x = new ort.Tensor("float32", Float32Array.from({ length: 8 * parts }, (_, i) => i), [parts, 8]);
      const results = await session.run({ x });
      return results[`y${parts - 1}`].data[0] === 8 * (parts - 1) ? "right" : "wrong values";
    } catch (error) {
      return `run fails: ${error.message}`;
    }
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
const limit = await page.evaluate(async () => (await navigator.gpu.requestAdapter()).limits.maxStorageBuffersPerShaderStage);
console.log(`storage buffers of a shader: ${limit}`);
const found = {};
for (const [parts, providers] of [[4, ["webgpu"]], [12, ["wasm"]], [12, ["webgpu", "wasm"]]]) {
  const name = `Split into ${parts} on ${providers.join(", ")}`;
  found[name] = await page.evaluate(([n, p]) => window.tried(n, p), [parts, providers]);
  console.log(`${name}: ${found[name].slice(0, 300)}`);
}
await browser.close();
server.close();
const [four, wasm, twelve] = Object.values(found);
process.exitCode = four === "right" && wasm === "right" && twelve.startsWith("run fails") ? 0 : 1;
JS
node try.mjs
