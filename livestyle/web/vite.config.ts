import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { defineConfig, type Plugin } from "vite";

import { withExternalTensors } from "./src/onnx.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const MODEL = join(HERE, "../../weights/lite");
const CLIP = join(HERE, "../assets/demo.mp4");
const RUNTIME = join(HERE, "node_modules/onnxruntime-web/dist");
const NETWORKS = ["stylize.onnx", "stylize.int8.onnx", "stylize.int8.constant.onnx", "style.onnx"];

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The files of a model as the page takes them: each network in one file, without what training needs. */
export function modelFiles(): Record<string, Uint8Array> {
  const data = readFileSync(join(MODEL, "model.safetensors"));
  const files: Record<string, Uint8Array> = {};
  for (const name of NETWORKS) {
    const model = readFileSync(join(MODEL, name));
    // The constant form's tensors have no place in a file: the page writes them in as it runs.
    files[name] = name.includes("constant")
      ? model
      : withExternalTensors(model, ({ entries }) => {
          const offset = Number(entries.offset);
          return data.subarray(offset, offset + Number(entries.length));
        });
  }
  return files;
}

/** Emits the model's files and their checksums. */
function model(emits: boolean): Plugin {
  const id = "\0model-files";
  const files = modelFiles();
  return {
    name: "livestyle-model",
    resolveId: (name) => (name === "virtual:model-files" ? id : undefined),
    load(name) {
      if (name !== id) return undefined;
      const all = {
        ...files,
        wasm: readFileSync(join(RUNTIME, "ort-wasm-simd-threaded.wasm")),
        gpuWasm: readFileSync(join(RUNTIME, "ort-wasm-simd-threaded.asyncify.wasm")),
      };
      const each = <T>(of: (bytes: Uint8Array) => T) =>
        JSON.stringify(Object.fromEntries(Object.entries(all).map(([file, bytes]) => [file, of(bytes)])));
      return `export default ${each(sha256)};\nexport const sizes = ${each((bytes) => bytes.length)};`;
    },
    generateBundle() {
      if (!emits) return;
      for (const [name, source] of Object.entries(files)) this.emitFile({ type: "asset", fileName: `models/${name}`, source });
      this.emitFile({ type: "asset", fileName: "models/presets.json", source: readFileSync(join(MODEL, "presets.json")) });
      this.emitFile({ type: "asset", fileName: "demo.mp4", source: readFileSync(CLIP) });
    },
  };
}

/** Lists all files with their checksums, for the service worker and for whoever wants to check a copy. */
function fileList(): Plugin {
  return {
    name: "livestyle-file-list",
    apply: "build",
    closeBundle() {
      const dist = join(HERE, "dist");
      const paths = readdirSync(dist, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(dist, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
        .filter((path) => !["sw.js", "files.json"].includes(path))
        .sort();
      const list = JSON.stringify(Object.fromEntries(paths.map((path) => [path, sha256(readFileSync(join(dist, path)))])), null, 1);
      writeFileSync(join(dist, "files.json"), `${list}\n`);
      // A browser looks for a new version by comparing this one file.
      const script = readFileSync(join(dist, "sw.js"), "utf8");
      writeFileSync(join(dist, "sw.js"), script.replace("__VERSION__", sha256(Buffer.from(list)).slice(0, 16)));
    },
  };
}

export default defineConfig({
  // Any folder of any host.
  base: "./",
  root: HERE,
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: join(HERE, "index.html"), sw: join(HERE, "src/sw.ts") },
      output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  worker: { format: "es", plugins: () => [model(false)] },
  plugins: [model(true), fileList()],
});
