/** Statistics of styles, mixes of two, and crossfades from one to the next. */

export type Stats = Float32Array<ArrayBuffer>;

/** Statistics between two: 0 is the first, 1 the second. */
export function between(first: Stats, second: Stats, share: number): Stats {
  if (share <= 0) return first;
  if (share >= 1) return second;
  return first.map((value, i) => value * (1 - share) + second[i] * share);
}

/** The statistics to paint with, which go from those before to the wanted ones in some seconds. */
export class Crossfade {
  private from: Stats | null = null;
  private to: Stats | null = null;
  private begun = 0;
  private seconds = 0;

  /** Statistics at a time in seconds, where `wanted` is to be reached in `seconds` after it was first asked for. */
  at(wanted: Stats, seconds: number, now: number): Stats {
    if (this.to !== wanted) {
      this.from = this.to && between(this.from ?? this.to, this.to, this.share(now));
      this.to = wanted;
      this.begun = now;
      this.seconds = seconds;
    }
    const share = this.share(now);
    if (!this.from || share >= 1) {
      this.from = null;
      return wanted;
    }
    return between(this.from, wanted, share);
  }

  get fading(): boolean {
    return this.from !== null;
  }

  private share(now: number): number {
    return this.from && this.seconds > 0 ? Math.min(1, (now - this.begun) / this.seconds) : 1;
  }
}

/** Size at which a style picture is encoded: its short side has 512 pixels, and of its long side the middle 1024. */
export function styleSize(width: number, height: number) {
  const short = Math.min(width, height);
  const factor = 512 / short;
  const longest = Math.floor(1024 / factor);
  const left = Math.floor(Math.max(0, width - longest) / 2);
  const top = Math.floor(Math.max(0, height - longest) / 2);
  const crop = { left, top, width: Math.min(width, longest), height: Math.min(height, longest) };
  return {
    crop,
    width: Math.max(512, Math.round(crop.width * factor)),
    height: Math.max(512, Math.round(crop.height * factor)),
  };
}
