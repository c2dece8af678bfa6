/** The painter of one sequence of frames, as `livestyle.Renderer` and `livestyle.Stylizer` paint it. */

import type { Kind, Networks } from "./networks";
import { Rest } from "./rest";
import { sharpen } from "./sharpen";
import { type Frame, moments, Stabilizer } from "./stabilizer";

const FAINT_DEVIATION = 10;
export const MINIMUM_SIDE = 64;

/** How a frame is painted. */
export interface Look {
  stats: Float32Array<ArrayBuffer>;
  /** 0 (the frame as it is) to 1. */
  strength: number;
  /** 0 to 1, of unsharp masking of the painting. */
  sharpness: number;
  /** Whether the sequence is held still. */
  stabilise: boolean;
  /** Mirrored frames are another sequence. */
  mirror: boolean;
  /** The float32 network for all frames, which rounds nothing to 8 bits and is slower. */
  exact: boolean;
}

export type Form = "constant" | "computed" | "float32" | "webgpu" | "plain";

/** Paints frames in their order; one call at a time. */
export class Painter {
  /** Which form of the network painted the last frame. */
  form: Form = "plain";
  private readonly stabilizer = new Stabilizer();
  private rest: Rest | null = null;
  private inputs = "";
  private mirrored: boolean | null = null;

  constructor(private readonly networks: Networks) {}

  reset(): void {
    this.stabilizer.reset();
    this.forgetRest();
    this.inputs = "";
    this.mirrored = null;
  }

  /** The painting of the next frame: BGR bytes of the same size. */
  async paint(frame: Frame, look: Look): Promise<Uint8Array<ArrayBuffer>> {
    if (look.strength === 0) {
      // The network does not see these frames, so what it saw before will be out of date.
      this.reset();
      this.form = "plain";
      return frame.pixels.slice();
    }
    if (look.mirror !== this.mirrored || !look.stabilise) this.stabilizer.reset();
    this.mirrored = look.mirror;
    const inputs = `${look.strength} ${look.stats.join()}`;
    if (inputs !== this.inputs) this.stabilizer.resetStatistics();
    this.inputs = inputs;
    const painted = await this.stylize(frame, look, inputs);
    sharpen({ ...frame, pixels: painted }, look.sharpness);
    fadeFaint(frame.pixels, painted);
    return painted;
  }

  private async stylize(frame: Frame, look: Look, inputs: string): Promise<Uint8Array<ArrayBuffer>> {
    const state = this.stabilizer;
    const gpu = this.networks.gpu;
    let kind: Kind = look.exact || gpu ? "float32" : "int8";
    let seen = frame;
    if (look.stabilise) {
      state.detectSceneCut(frame);
      seen = state.reduceNoise(frame);
    }
    if (kind === "int8") {
      state.detectSparsity(seen);
      if (state.isSparse) kind = "float32";
    }
    const values = (look.stabilise && state.values) || new Float32Array(look.stats.length);
    const momentum = look.stabilise ? state.nextMomentum : 0;
    if (gpu) {
      this.forgetRest();
      try {
        const { pixels, nextValues } = await gpu.run(seen, look.stats, look.strength, values, momentum);
        this.keep(nextValues, look);
        this.form = "webgpu";
        return pixels;
      } catch {
        // A lost device, for instance: WebAssembly paints this frame and those after it.
        if (this.networks.gpu === gpu) this.networks.gpu = null;
      }
    }
    const network = await this.networks.get(kind);
    const rest = this.restOf(kind, seen, look, inputs);
    if (rest) {
      const painted = await rest.paint(seen.pixels);
      if (painted) {
        state.framesSince++;
        this.form = "constant";
        return painted;
      }
    }
    let result;
    if (rest?.wantsConstants) {
      const found = await network.runForConstants(seen, look.stats, look.strength, values, momentum);
      rest.renew(found.pixels, found.form);
      result = found;
    } else {
      result = await network.run(seen, look.stats, look.strength, values, momentum);
      rest?.computed();
    }
    this.keep(result.nextValues, look);
    this.form = kind === "int8" ? "computed" : "float32";
    return result.pixels;
  }

  private keep(nextValues: Float32Array<ArrayBuffer>, look: Look): void {
    if (!look.stabilise || this.stabilizer.isFlat) return;
    this.stabilizer.values = nextValues;
    this.stabilizer.framesSince = 0;
  }

  private restOf(kind: Kind, frame: Frame, look: Look, inputs: string): Rest | null {
    // Without running statistics (after a scene cut too) the sequence starts anew.
    if (kind !== "int8" || !look.stabilise || this.stabilizer.isFlat) this.forgetRest();
    else {
      const key = `${frame.width}x${frame.height} ${inputs}`;
      if (!this.stabilizer.values || !this.rest?.fits(key)) {
        this.forgetRest();
        this.rest = new Rest(key);
      }
    }
    return this.rest;
  }

  private forgetRest(): void {
    this.rest?.release();
    this.rest = null;
  }
}

/** Blend a painting, in place, with its frame where that has little contrast. */
export function fadeFaint(frame: Uint8Array, painted: Uint8Array): void {
  const contrast = Math.max(...moments(frame).slice(3)) / FAINT_DEVIATION;
  if (contrast >= 1) return;
  const share = contrast * contrast * (3 - 2 * contrast);
  for (let i = 0; i < painted.length; i++) painted[i] = Math.round(painted[i] * share + frame[i] * (1 - share));
}

/** BGR bytes of RGBA bytes. */
export function toBgr(rgba: Uint8ClampedArray | Uint8Array): Uint8Array<ArrayBuffer> {
  const bgr = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    bgr[to] = rgba[from + 2];
    bgr[to + 1] = rgba[from + 1];
    bgr[to + 2] = rgba[from];
  }
  return bgr;
}

/** Opaque RGBA bytes of BGR bytes. */
export function toRgba(bgr: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray((bgr.length / 3) * 4);
  for (let from = 0, to = 0; from < bgr.length; from += 3, to += 4) {
    rgba[to] = bgr[from + 2];
    rgba[to + 1] = bgr[from + 1];
    rgba[to + 2] = bgr[from];
    rgba[to + 3] = 255;
  }
  return rgba;
}
