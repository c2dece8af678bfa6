/** Adaptive resolution, the same as `livestyle/live/adaptive_resolution.py`, where each constant is explained. */

const SCALES = [1, 0.85, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25];
const LEAST_SIDE = 144;
const SAMPLES = 8;
const FAR_OVER = 3;
const DOWN_SHARE = 0.85;
const UP_SHARE = 0.7;
const CALM_SECONDS = 4;
const MOST_CALM_SECONDS = 64;
const FAILED_SECONDS = 15;

/** Controller of the scale that frames are painted at, for a rate in frames per second. */
export class AdaptiveResolution {
  private readonly budget: number;
  private step = 0;
  private costs: number[] = [];
  private calmSince: number | null = null;
  private calmNeeded = CALM_SECONDS;
  private wentUp = -Infinity;

  constructor(rate: number) {
    this.budget = 1 / rate;
  }

  get scale(): number {
    return SCALES[this.step];
  }

  scaleOf(width: number, height: number): number {
    return Math.min(1, Math.max(this.scale, LEAST_SIDE / Math.min(width, height)));
  }

  /** Begin at the scale that fits, where a frame at full scale takes about `cost` seconds. */
  start(cost: number): void {
    if (cost > this.budget) this.go(this.fitting(cost));
  }

  /** Take into account that the last frame took `seconds` and was done at `now`, in seconds. */
  update(seconds: number, now: number): void {
    this.costs = [...this.costs.slice(1 - SAMPLES), seconds];
    const lastTwo = Math.min(...this.costs.slice(-2));
    if (this.costs.length >= 2 && lastTwo > FAR_OVER * this.budget) {
      this.go(this.fitting(lastTwo));
      return;
    }
    if (this.costs.length < SAMPLES) return;
    const sorted = [...this.costs].sort((a, b) => a - b);
    const cost = (sorted[SAMPLES / 2 - 1] + sorted[SAMPLES / 2]) / 2;
    if (cost > this.budget) {
      if (now - this.wentUp < FAILED_SECONDS) this.calmNeeded = Math.min(MOST_CALM_SECONDS, 2 * this.calmNeeded);
      this.go(this.fitting(cost));
    } else if (this.step > 0 && this.expected(cost, this.step - 1) < UP_SHARE * this.budget) {
      this.calmSince ??= now;
      if (now - this.calmSince >= this.calmNeeded) {
        this.wentUp = now;
        this.go(this.step - 1);
      }
    } else this.calmSince = null;
  }

  private expected(cost: number, step: number): number {
    return cost * (SCALES[step] / this.scale) ** 2;
  }

  private fitting(cost: number): number {
    for (let step = this.step + 1; step < SCALES.length; step++) {
      if (this.expected(cost, step) <= DOWN_SHARE * this.budget) return step;
    }
    return SCALES.length - 1;
  }

  private go(step: number): void {
    this.step = step;
    this.costs = [];
    this.calmSince = null;
  }
}
