/** The worker that paints: WebAssembly blocks the thread that it runs on. */

import * as ort from "onnxruntime-web/wasm";
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import files, { sizes } from "virtual:model-files";

import type { Kind, Pixels, Reply, Request, Requests } from "./messages";
import { type ModelFile, Networks, StyleEncoder } from "./networks";
import { Painter, toBgr, toRgba } from "./painter";

// The worker lies in assets/, beside models/.
const ROOT = new URL(/* @vite-ignore */ "../", import.meta.url);

let loaded = 0;

/** Bytes that the first painting needs. */
const NEEDED = sizes.wasm + sizes["stylize.int8.onnx"] + sizes["stylize.int8.constant.onnx"];

/** The bytes of a file of this page, which are those that it was built with. */
async function verified(url: URL, sha256: string): Promise<Uint8Array<ArrayBuffer>> {
  const name = url.pathname.split("/").pop();
  // A copy in the browser's cache may be of another version, or cut off.
  for (const cache of ["default", "reload"] as const) {
    const bytes = await downloaded(url, cache);
    if (bytes && (await digestOf(bytes)) === sha256) return bytes;
  }
  throw new Error(`${name} is damaged, or of another version: reload the page.`);
}

async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes of a file; null where the connection ended in the middle of it. */
async function downloaded(url: URL, cache: RequestCache): Promise<Uint8Array<ArrayBuffer> | null> {
  const name = url.pathname.split("/").pop();
  let response: Response;
  try {
    response = await fetch(url, { cache });
  } catch {
    throw new Error(`${name} could not be downloaded: are you connected? Press Camera, Demo clip or Open a file to try again.`);
  }
  if (!response.ok || !response.body) throw new Error(`${name} could not be downloaded (${response.status}).`);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  try {
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      reply({ loaded, progress: Math.min(1, loaded / NEEDED) });
    }
  } catch {
    return null;
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const read = (file: ModelFile) => verified(new URL(`models/${file}`, ROOT), files[file]);

let starting: Promise<void> | null = null;

/** Load onnxruntime's WebAssembly, once. */
function start(): Promise<void> {
  starting ??= (async () => {
    const wasm = new URL(wasmUrl, import.meta.url);
    // The first time it is downloaded with its progress shown. What the service worker keeps is compared already.
    const kept = await self.caches?.match(wasm.href).catch(() => undefined);
    if (!kept) await verified(wasm, files.wasm);
    // onnxruntime then fetches it itself, for a browser keeps the machine code only of what it compiles as it comes.
    const { fetch } = self;
    const integrity = `sha256-${btoa(String.fromCharCode(...Uint8Array.from(files.wasm.match(/../g)!, (hex) => parseInt(hex, 16))))}`;
    self.fetch = (input, init) => fetch(input, String(input) === wasm.href ? { ...init, integrity } : init);
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmPaths = { wasm: wasm.href };
  })();
  starting.catch(() => (starting = null));
  return starting;
}

let opening: Promise<{ networks: Networks; main: Painter; single: Painter }> | null = null;

async function open() {
  await Promise.all([start(), warm("stylize.int8.onnx"), warm("stylize.int8.constant.onnx")]);
  const networks = new Networks(ort, warm);
  await networks.get("int8");
  return { networks, main: new Painter(networks), single: new Painter(networks) };
}

const warmed: Partial<Record<ModelFile, Promise<Uint8Array<ArrayBuffer>>>> = {};

/** A file whose download has begun before it is needed, once. */
function warm(file: ModelFile) {
  const reading = (warmed[file] ??= read(file));
  reading.catch(() => delete warmed[file]);
  return reading;
}

let encoder: Promise<StyleEncoder> | null = null;

let scratch: OffscreenCanvas | null = null;

function pixelsOf(image: ImageBitmap | Pixels): Pixels {
  if (!(image instanceof ImageBitmap)) return image;
  const { width, height } = image;
  if (scratch?.width !== width || scratch.height !== height) scratch = new OffscreenCanvas(width, height);
  const context = scratch.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(image, 0, 0);
  image.close();
  return { rgba: context.getImageData(0, 0, width, height).data as Uint8ClampedArray<ArrayBuffer>, width, height };
}

const handlers: { [K in Kind]: (ask: Requests[K]["ask"]) => Promise<Requests[K]["answer"]> } = {
  async open() {
    opening ??= open();
    opening.catch(() => (opening = null));
    await opening;
    return null;
  },

  async paint({ image, look, single }) {
    await handlers.open(null);
    const painter = (await opening!)[single ? "single" : "main"];
    const begin = performance.now();
    const { rgba, width, height } = pixelsOf(image);
    const painted = await painter.paint({ pixels: toBgr(rgba), width, height }, look);
    return { rgba: toRgba(painted), width, height, form: painter.form, seconds: (performance.now() - begin) / 1000 };
  },

  async encode(image) {
    await start();
    encoder ??= StyleEncoder.open(ort, read);
    encoder.catch(() => (encoder = null));
    const { rgba, width, height } = pixelsOf(image);
    return (await encoder).encode({ pixels: toBgr(rgba), width, height });
  },

  async gpu({ wanted, stats }) {
    await handlers.open(null);
    const { networks } = await opening!;
    const { tryGpu } = await import("./gpu");
    return tryGpu(networks, stats, wanted, {
      read: warm,
      wasm: (url) => verified(new URL(url, import.meta.url), files.gpuWasm),
      lost: (reason) => reply({ lost: reason }),
    });
  },

  async reset() {
    (await opening)?.main.reset();
    return null;
  },
};

function reply(message: Reply, transfer: Transferable[] = []) {
  self.postMessage(message, { transfer });
}

// One at a time, in their order: a session runs one frame at a time.
let last = Promise.resolve();

self.onmessage = ({ data: { id, kind, ask } }: MessageEvent<Request>) => {
  const run = async () => {
    try {
      const answer = await (handlers[kind] as (ask: unknown) => Promise<unknown>)(ask);
      const rgba = (answer as { rgba?: Uint8ClampedArray<ArrayBuffer> } | null)?.rgba;
      reply({ id, answer }, rgba ? [rgba.buffer] : []);
    } catch (error) {
      reply({ id, error: error instanceof Error ? error.message : String(error) });
    }
  };
  // Painting goes on while the GPU is tried.
  if (kind === "gpu") void run();
  else last = last.then(run);
};
