/** The painter with the real model and the real WebAssembly, in Node. */

import * as ort from "onnxruntime-web/wasm";
import { beforeAll, expect, test } from "vitest";

import presets from "../../../weights/lite/presets.json";
import { type ModelFile, Networks } from "../src/networks";
import { fadeFaint, type Look, Painter, toBgr, toRgba } from "../src/painter";
import { modelFiles } from "../vite.config";

const [WIDTH, HEIGHT] = [96, 64];
const LOOK: Look = {
  stats: Float32Array.from(presets["starry-night"]), strength: 1, sharpness: 0, stabilise: true, mirror: false, exact: false,
};

let networks: Networks;

beforeAll(() => {
  ort.env.wasm.numThreads = 1;
  const files = modelFiles();
  networks = new Networks(ort, async (name: ModelFile) => Uint8Array.from(files[name]));
});

/** A frame whose picture moves a little with each step. */
function frame(step = 0, level = 128) {
  const pixels = new Uint8Array(WIDTH * HEIGHT * 3);
  for (let i = 0; i < pixels.length; i++) {
    const place = Math.floor(i / 3);
    pixels[i] = level + 90 * Math.sin((place % WIDTH) / 9 + (i % 3)) * Math.cos(place / WIDTH / 7 + step / 50);
  }
  return { pixels, width: WIDTH, height: HEIGHT };
}

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

test("a sequence at rest is painted by the constant form, which paints the same", async () => {
  const [painter, other] = [new Painter(networks), new Painter(networks)];
  const forms = [];
  for (let step = 0; step < 12; step++) {
    await painter.paint(frame(), LOOK);
    forms.push(painter.form);
  }
  expect(forms).toEqual([...Array(6).fill("computed"), ...Array(6).fill("constant")]);
  const constant = await painter.paint(frame(), LOOK);
  let computed = constant;
  // As many frames as the constants were taken after.
  for (let step = 0; step < 6; step++) computed = await other.paint(frame(), LOOK);
  expect(largestDifference(constant, computed)).toBe(0);
});

test("another style, strength, size or scene paints by the computed form again", async () => {
  const painter = new Painter(networks);
  const rest = async () => {
    for (let step = 0; step < 9; step++) await painter.paint(frame(), LOOK);
    expect(painter.form).toBe("constant");
  };
  for (const look of [{ stats: Float32Array.from(presets.scream) }, { strength: 0.5 }]) {
    await rest();
    await painter.paint(frame(), { ...LOOK, ...look });
    expect(painter.form).toBe("computed");
  }
  await rest();
  const dark = frame();
  dark.pixels = dark.pixels.map((level) => 255 - level);
  await painter.paint(dark, LOOK);
  expect(painter.form).toBe("computed");
});

test("strength 0 gives the frame", async () => {
  const painter = new Painter(networks);
  expect(await painter.paint(frame(), { ...LOOK, strength: 0 })).toEqual(frame().pixels);
});

test("a small thing on an even ground is painted in float32, for the 8-bit network may miss it", async () => {
  const painter = new Painter(networks);
  const night = { pixels: new Uint8Array(WIDTH * HEIGHT * 3).fill(10), width: WIDTH, height: HEIGHT };
  night.pixels.fill(250, 3000, 3030);
  await painter.paint(night, LOOK);
  expect(painter.form).toBe("float32");
});

test("an even frame stays as it is, and one with a little contrast nearly", () => {
  const even = new Uint8Array(300).fill(70);
  const painted = new Uint8Array(300).map((_, i) => i % 200);
  fadeFaint(even, painted);
  expect(painted).toEqual(even);
});

test("bytes change their order there and back", () => {
  const rgba = Uint8ClampedArray.of(1, 2, 3, 255, 4, 5, 6, 255);
  expect([...toBgr(rgba)]).toEqual([3, 2, 1, 6, 5, 4]);
  expect(toRgba(toBgr(rgba))).toEqual(rgba);
});
