/** The float32 network on WebGPU, which is used only where it has painted the same as WebAssembly. */

import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";

import { Gpu, type Networks, type Read, StylizeNetwork } from "./networks";

/** Sizes of the frames that are compared and timed. */
const COMPARED = [128, 72] as const;
const TIMED = [320, 180] as const;
const ROUNDS = 5;
const SLOW_MILLISECONDS = 300;
/** Grey levels, and the share of bytes that may differ by more. */
const LEVELS = 1;
const SHARE = 0.001;

interface WebGpu {
  requestAdapter(): Promise<{ info?: { isFallbackAdapter?: boolean } } | null>;
}

/** Try the GPU; see `Requests.gpu`. */
export async function tryGpu(
  networks: Networks,
  stats: Float32Array,
  wanted: boolean,
  from: { read: Read; wasm: (url: string) => Promise<Uint8Array>; lost: (reason: string) => void },
): Promise<string> {
  const gpu = (navigator as { gpu?: WebGpu }).gpu;
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!adapter) return "WebGPU: not there";
  if (adapter.info?.isFallbackAdapter && !wanted) return "WebGPU: in software only, and not used";
  const ort = await import("onnxruntime-web/webgpu");
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = (await from.wasm(wasmUrl)) as Uint8Array<ArrayBuffer>;
  const network = await StylizeNetwork.open(ort, from.read, "float32", "webgpu");

  const run = ([width, height]: readonly [number, number], which: StylizeNetwork) => {
    const pixels = new Uint8Array(width * height * 3);
    for (let i = 0; i < pixels.length; i++) {
      const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
      pixels[i] = 128 + 90 * Math.sin(x / 17 + (i % 3)) * Math.cos(y / 23) + ((i * 7919) % 13);
    }
    return which.run({ pixels, width, height }, stats, 1, new Float32Array(stats.length), 0);
  };
  const ours = (await run(COMPARED, network)).pixels;
  const theirs = (await run(COMPARED, await networks.get("float32"))).pixels;
  let different = 0;
  for (let i = 0; i < ours.length; i++) if (Math.abs(ours[i] - theirs[i]) > LEVELS) different++;
  if (different > SHARE * ours.length) return "WebGPU: it paints otherwise, and is not used";

  if (!wanted) {
    const int8 = await networks.get("int8");
    const [theirs, ours] = [await fastest(() => run(TIMED, network)), await fastest(() => run(TIMED, int8))];
    if (theirs >= ours) return `WebGPU: slower (${theirs.toFixed(0)} to ${ours.toFixed(0)} ms), and not used`;
  }
  const gpuNetwork = new Gpu(network);
  const device = (await ort.env.webgpu.device) as { lost: Promise<{ message: string; reason: string }> };
  void device.lost.then(({ message, reason }) => {
    networks.gpu = null;
    gpuNetwork.lose();
    from.lost(message || reason);
  });
  networks.gpu = gpuNetwork;
  return "WebGPU: in use";
}

/** Milliseconds of the fastest of some runs, or of the first two where they are slow. */
async function fastest(run: () => Promise<unknown>): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const begin = performance.now();
    await run();
    best = Math.min(best, performance.now() - begin);
    // Of the first run, the shaders are compiled.
    if (round === 1 && best > SLOW_MILLISECONDS) break;
  }
  return best;
}
