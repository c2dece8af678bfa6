/** The page's side of the worker. */

import type { Kind, Reply, Requests } from "./messages";

interface Waiting {
  resolve: (answer: never) => void;
  reject: (error: Error) => void;
}

/** Calls into the worker; where it has crashed, the next call starts another. */
export class Client {
  /** Bytes that have been downloaded so far. */
  loaded = 0;
  /** Share of what the first painting needs, 0 to 1. */
  progress = 0;
  onProgress: () => void = () => undefined;
  /** Called when the GPU is gone. */
  onLost: (reason: string) => void = () => undefined;
  private worker: Worker | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 0;

  call<K extends Kind>(kind: K, ask: Requests[K]["ask"], transfer: Transferable[] = []): Promise<Requests[K]["answer"]> {
    const worker = (this.worker ??= this.start());
    return new Promise((resolve, reject) => {
      const id = this.nextId++;
      this.waiting.set(id, { resolve, reject });
      worker.postMessage({ id, kind, ask }, transfer);
    });
  }

  private start(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if ("loaded" in data) {
        [this.loaded, this.progress] = [data.loaded, data.progress];
        this.onProgress();
        return;
      }
      if ("lost" in data) {
        this.onLost(data.lost);
        return;
      }
      const waiting = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if ("error" in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.answer as never);
    };
    worker.onerror = (event) => this.end(event.message || "what paints could not be started: reload the page");
    return worker;
  }

  /** End the worker and what it was asked for; the next call starts another. */
  end(reason: string): void {
    this.worker?.terminate();
    this.worker = null;
    for (const { reject } of this.waiting.values()) reject(new Error(reason));
    this.waiting.clear();
  }
}

/** Whether WebAssembly with SIMD is there: a module with one SIMD instruction is valid. */
export function hasSimd(): boolean {
  const module = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  return typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.from(module));
}
