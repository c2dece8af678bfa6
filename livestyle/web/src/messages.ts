/** What the page and its worker say to each other. */

import type { Form, Look } from "./painter";

/** A picture as RGBA bytes. */
export interface Pixels {
  rgba: Uint8ClampedArray<ArrayBuffer>;
  width: number;
  height: number;
}

export interface Requests {
  /** Load and warm up what paints. */
  open: { ask: null; answer: null };
  /** Paint the next frame of the sequence, or a single picture that is of none. */
  paint: {
    ask: { image: ImageBitmap | Pixels; look: Look; single: boolean };
    answer: Pixels & { form: Form; seconds: number };
  };
  /** Statistics of a style picture, which has the size to be encoded at. */
  encode: { ask: ImageBitmap | Pixels; answer: Float32Array<ArrayBuffer> };
  /**
   * Try the GPU, and paint with it from now on where it paints the same as WebAssembly and is faster, or anyway if it is
   * `wanted`; answers what came of it, in words.
   */
  gpu: { ask: { wanted: boolean; stats: Float32Array<ArrayBuffer> }; answer: string };
  /** Forget the frames before. */
  reset: { ask: null; answer: null };
}

export type Kind = keyof Requests;

export interface Request<K extends Kind = Kind> {
  id: number;
  kind: K;
  ask: Requests[K]["ask"];
}

export type Reply =
  | { id: number; answer: unknown }
  | { id: number; error: string }
  /** Bytes that have been downloaded so far, and the share, 0 to 1, of what the first painting needs. */
  | { loaded: number; progress: number }
  /** The GPU is gone, and WebAssembly goes on. */
  | { lost: string };
