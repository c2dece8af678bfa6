/** Unsharp masking of a painting, the same as in livestyle/render/renderer.py, where each constant is explained. */

import { type Frame, halfEven, reflected } from "./stabilizer";

const RADIUS = 1 / 360;
const AMOUNT = 1.5;

/** Sharpen a painting in place; `sharpness` is 0 to 1. */
export function sharpen({ pixels, width, height }: Frame, sharpness: number): void {
  if (!sharpness) return;
  const kernel = gaussian(Math.max(1, RADIUS * Math.min(width, height)));
  const amount = AMOUNT * sharpness;
  const across = new Float32Array(pixels.length);
  for (let x = 0; x < width; x++) {
    const columns = Int32Array.from(kernel, (_, k) => 3 * reflected(x + k - (kernel.length >> 1), width));
    for (let row = 0, at = 3 * x; row < pixels.length; row += 3 * width, at += 3 * width) {
      let [blue, green, red] = [0, 0, 0];
      for (let k = 0; k < kernel.length; k++) {
        const from = row + columns[k];
        blue += kernel[k] * pixels[from];
        green += kernel[k] * pixels[from + 1];
        red += kernel[k] * pixels[from + 2];
      }
      across[at] = blue;
      across[at + 1] = green;
      across[at + 2] = red;
    }
  }
  const stride = 3 * width;
  for (let y = 0; y < height; y++) {
    const rows = Int32Array.from(kernel, (_, k) => stride * reflected(y + k - (kernel.length >> 1), height));
    for (let x = 0, at = y * stride; x < stride; x++, at++) {
      let blurred = 0;
      for (let k = 0; k < kernel.length; k++) blurred += kernel[k] * across[rows[k] + x];
      const level = pixels[at] * (1 + amount) - Math.round(blurred) * amount;
      pixels[at] = level < 0 ? 0 : level > 255 ? 255 : halfEven(level);
    }
  }
}

/** OpenCV's kernel for images of 8 bits: three standard deviations to either side, in 256ths. */
function gaussian(deviation: number): Float64Array {
  const size = Math.round(6 * deviation + 1) | 1;
  const middle = size >> 1;
  const weights = Float64Array.from({ length: size }, (_, k) => Math.exp(-((k - middle) ** 2) / (2 * deviation ** 2)));
  const sum = weights.reduce((whole, weight) => whole + weight, 0);
  const rounded = weights.map((weight) => Math.round((256 * weight) / sum) / 256);
  rounded[middle] += 1 - rounded.reduce((whole, weight) => whole + weight, 0);
  return rounded;
}
