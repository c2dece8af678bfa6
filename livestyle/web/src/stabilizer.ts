/** Temporal stabilisation, the same as `livestyle/engine/stabilizer.py`, where each constant is explained. */

export const MOMENTUM = 0.8;
const CUT_THRESHOLD = 28;
const SAMPLES = 32;
export const FLAT_DEVIATION = 0.5;
const SPARSE_KURTOSIS = [14, 18] as const;
const STILL_SHARE = 0.25;
const STILL_LEVELS = 8;
const MOVING_LEVELS = 20;
const LONE_LEVELS = 16;

/** Weight of a new frame in the recursive mean by the difference around a pixel. */
const SHARES = Float32Array.from({ length: 256 }, (_, level) => {
  const moving = Math.min(1, Math.max(0, (level - STILL_LEVELS) / (MOVING_LEVELS - STILL_LEVELS)));
  return STILL_SHARE + (1 - STILL_SHARE) * moving;
});

/** Mean over a window of 5 x 5 by its sum, rounded. */
const BOX_MEANS = Uint8Array.from({ length: 25 * 255 + 1 }, (_, sum) => Math.floor(sum / 25 + 0.5));

/** OpenCV's blendLinear divides by the sum of the weights and 1e-5. */
const WEIGHTS = 1 + 1e-5;

/** A frame of a sequence: BGR bytes, row by row. */
export interface Frame {
  pixels: Uint8Array<ArrayBuffer>;
  width: number;
  height: number;
}

/** Mean and standard deviation of each colour channel: three means, three deviations. */
export function moments(pixels: ArrayLike<number>): number[] {
  const sums = [0, 0, 0];
  const squares = [0, 0, 0];
  for (let i = 0; i < pixels.length; i += 3) {
    for (let channel = 0; channel < 3; channel++) {
      const level = pixels[i + channel];
      sums[channel] += level;
      squares[channel] += level * level;
    }
  }
  const count = pixels.length / 3;
  const means = sums.map((sum) => sum / count);
  return [...means, ...squares.map((square, c) => Math.sqrt(Math.max(0, square / count - means[c] ** 2)))];
}

/** State that keeps one sequence of frames still; each frame updates it, and a scene cut resets it. */
export class Stabilizer {
  /** Running content statistics; null before the first frame. */
  values: Float32Array<ArrayBuffer> | null = null;
  /** Frames painted since `values` were updated: the constant form leaves them as they are. */
  framesSince = 0;
  /** Whether the last frame has one colour. */
  isFlat = false;
  /** Whether the last frame has small objects on an even background. */
  isSparse = false;
  private lastSamples: Float32Array | null = null;
  private mean: Float32Array<ArrayBuffer> | null = null;
  private width = 0;
  /** Largest difference of each pixel, and its sums over windows: kept, for making them takes as long as filling them. */
  private scratch = { lone: new Uint8Array(), sums: new Uint16Array() };

  reset(): void {
    this.resetStatistics();
    this.isSparse = false;
    this.lastSamples = null;
    this.mean = null;
  }

  resetStatistics(): void {
    this.values = null;
    this.framesSince = 0;
  }

  get nextMomentum(): number {
    return this.values ? MOMENTUM ** (1 + this.framesSince) : 0;
  }

  /** Whether there is a scene cut before a frame; everything is reset where there is. */
  detectSceneCut({ pixels, width, height }: Frame): boolean {
    const small = new Float32Array(SAMPLES * SAMPLES * 3);
    for (let y = 0, at = 0; y < SAMPLES; y++) {
      for (let x = 0; x < SAMPLES; x++, at += 3) {
        const from = 3 * (Math.floor((y * height) / SAMPLES) * width + Math.floor((x * width) / SAMPLES));
        small[at] = pixels[from];
        small[at + 1] = pixels[from + 1];
        small[at + 2] = pixels[from + 2];
      }
    }
    let difference = 0;
    if (this.lastSamples) for (let i = 0; i < small.length; i++) difference += Math.abs(small[i] - this.lastSamples[i]);
    const cut = difference / small.length > CUT_THRESHOLD;
    if (cut) this.reset();
    this.isFlat = Math.max(...moments(small).slice(3)) < FLAT_DEVIATION;
    if (this.isFlat) this.resetStatistics();
    this.lastSamples = small;
    return cut;
  }

  /** Update `isSparse` by the kurtosis of a frame's grey levels. */
  detectSparsity({ pixels }: Frame): void {
    const counts = new Uint32Array(3 * 256);
    for (let i = 0; i < pixels.length; i += 3) {
      counts[pixels[i]]++;
      counts[256 + pixels[i + 1]]++;
      counts[512 + pixels[i + 2]]++;
    }
    const total = pixels.length / 3;
    let most = 0;
    for (let channel = 0; channel < 3; channel++) {
      const of = counts.subarray(256 * channel, 256 * channel + 256);
      let mean = 0;
      let variance = 0;
      let fourth = 0;
      for (let level = 0; level < 256; level++) mean += (level * of[level]) / total;
      for (let level = 0; level < 256; level++) {
        const square = (level - mean) ** 2;
        variance += (square * of[level]) / total;
        fourth += (square * square * of[level]) / total;
      }
      most = Math.max(most, fourth / Math.max(variance, FLAT_DEVIATION ** 2) ** 2);
    }
    this.isSparse = most > SPARSE_KURTOSIS[this.isSparse ? 0 : 1];
  }

  /** Motion-adaptive temporal noise reduction of the next frame; another size restarts it. */
  reduceNoise(frame: Frame): Frame {
    const { pixels, width, height } = frame;
    if (!this.mean || this.mean.length !== pixels.length || this.width !== width) {
      this.width = width;
      this.mean = Float32Array.from(pixels);
      this.scratch = { lone: new Uint8Array(width * height), sums: new Uint16Array(width * height) };
      return frame;
    }
    const mean = this.mean;
    const { lone, sums } = this.scratch;
    for (let i = 0, at = 0; i < lone.length; i++, at += 3) {
      const blue = Math.abs(pixels[at] - halfEven(mean[at]));
      const green = Math.abs(pixels[at + 1] - halfEven(mean[at + 1]));
      const red = Math.abs(pixels[at + 2] - halfEven(mean[at + 2]));
      const most = blue > green ? blue : green;
      lone[i] = most > red ? most : red;
    }
    boxSums(lone, width, height, sums);
    const reduced = new Uint8Array(pixels.length);
    for (let i = 0, at = 0; i < lone.length; i++, at += 3) {
      const around = BOX_MEANS[sums[i]];
      const alone = lone[i] - LONE_LEVELS;
      const share = SHARES[around > alone ? around : alone];
      const rest = 1 - share;
      const blue = (mean[at] = (pixels[at] * share + mean[at] * rest) / WEIGHTS);
      const green = (mean[at + 1] = (pixels[at + 1] * share + mean[at + 1] * rest) / WEIGHTS);
      const red = (mean[at + 2] = (pixels[at + 2] * share + mean[at + 2] * rest) / WEIGHTS);
      reduced[at] = halfEven(Math.fround(blue));
      reduced[at + 1] = halfEven(Math.fround(green));
      reduced[at + 2] = halfEven(Math.fround(red));
    }
    return { pixels: reduced, width, height };
  }
}

/** A number of at most 2^31 rounded to the nearest integer, halves to the even one, as the CPU adds. */
export function halfEven(value: number): number {
  return value + 6755399441055744 - 6755399441055744;
}

/** Sums over a window of 5 x 5 around each pixel, mirrored at the edges without their own pixel. */
function boxSums(values: Uint8Array, width: number, height: number, sums: Uint16Array): void {
  // Sums of columns, with two more columns on either side that mirror those within.
  const columns = new Uint16Array(width + 4);
  for (let y = 0; y < height; y++) {
    const [a, b, c, d, e] = [-2, -1, 0, 1, 2].map((step) => width * reflected(y + step, height));
    for (let x = 0; x < width; x++) {
      columns[x + 2] = values[a + x] + values[b + x] + values[c + x] + values[d + x] + values[e + x];
    }
    for (const x of [-2, -1, width, width + 1]) columns[x + 2] = columns[reflected(x, width) + 2];
    let sum = columns[0] + columns[1] + columns[2] + columns[3];
    for (let x = 0, at = y * width; x < width; x++, at++) {
      sum += columns[x + 4];
      sums[at] = sum;
      sum -= columns[x];
    }
  }
}

/** A place beside an image, mirrored at the edge without its own pixel. */
export function reflected(place: number, size: number): number {
  if (place < 0) return -place;
  return place < size ? place : 2 * size - 2 - place;
}
