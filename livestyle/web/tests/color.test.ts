import { expect, test } from "vitest";

import { matchColors } from "../src/color";
import { toBgr, toRgba } from "../src/painter";
import { sharpen } from "../src/sharpen";
import vectors from "./vectors.json";

const { width, height } = vectors;
const picture = (text: string) => ({ data: toRgba(Uint8Array.from(Buffer.from(text, "base64"))), width, height });

test("a style picture takes on the colours that Python gives it", () => {
  const { content, style, matched } = vectors.colors;
  const found = toBgr(matchColors(picture(style), picture(content)).data);
  const wanted = Buffer.from(matched, "base64");
  // OpenCV's arithmetic is in fixed point.
  expect(found.every((level, i) => Math.abs(level - wanted[i]) <= 1)).toBe(true);
  expect(found.filter((level, i) => level !== wanted[i]).length).toBeLessThan(0.05 * wanted.length);
});

test("a painting is sharpened as Python does it", () => {
  const pixels = Uint8Array.from(Buffer.from(vectors.colors.content, "base64"));
  sharpen({ pixels, width, height }, 0.75);
  const wanted = Buffer.from(vectors.sharpened, "base64");
  expect(Buffer.from(pixels).equals(wanted)).toBe(true);
});

test("a style picture of one colour takes on the mean, and a grey content makes it grey", () => {
  const even = { data: new Uint8ClampedArray(4 * 100).fill(90), width: 10, height: 10 };
  const grey = { ...even, data: even.data.map((_, i) => (i % 4 === 3 ? 255 : 40 + (i >> 2))) };
  const [mean] = matchColors(even, grey).data;
  expect(Math.abs(mean - 89.5)).toBeLessThanOrEqual(1);
  const colored = { ...even, data: even.data.map((_, i) => (i * 37) % 256) };
  const { data } = matchColors(colored, grey);
  for (let i = 0; i < data.length; i += 4) expect(Math.abs(data[i] - data[i + 1])).toBeLessThanOrEqual(1);
});
