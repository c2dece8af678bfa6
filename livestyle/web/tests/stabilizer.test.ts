import { expect, test } from "vitest";

import { AdaptiveResolution } from "../src/adaptive";
import { Stabilizer } from "../src/stabilizer";
import vectors from "./vectors.json";

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "base64"));

test("the stabiliser makes of frames what Python's makes of them", () => {
  const { width, height } = vectors;
  const stabilizer = new Stabilizer();
  for (const step of vectors.steps) {
    const frame = { pixels: bytes(step.frame), width, height };
    stabilizer.values = new Float32Array(1);
    stabilizer.detectSceneCut(frame);
    const reduced = stabilizer.reduceNoise(frame);
    stabilizer.detectSparsity(reduced);
    const found = {
      forgets: stabilizer.values === null,
      flat: stabilizer.isFlat,
      sparse: stabilizer.isSparse,
    };
    expect(found).toEqual({ forgets: step.forgets, flat: step.flat, sparse: step.sparse });
    expect(Buffer.from(reduced.pixels).toString("base64")).toBe(step.reduced);
  }
});

test("the resolution adapts as Python's does", () => {
  const adaptive = new AdaptiveResolution(24);
  const scales = vectors.costs.map((cost, n) => {
    adaptive.update(cost, n / 24);
    return adaptive.scale;
  });
  expect(scales).toEqual(vectors.scales);
});

test("a frame of another size restarts the noise reduction", () => {
  const stabilizer = new Stabilizer();
  stabilizer.reduceNoise({ pixels: new Uint8Array(64 * 64 * 3), width: 64, height: 64 });
  for (const [width, height] of [[64, 65], [65, 64]]) {
    // As a phone is turned: as many pixels.
    const other = { pixels: new Uint8Array(width * height * 3).fill(9), width, height };
    expect(stabilizer.reduceNoise(other)).toBe(other);
  }
});
