/** Everything that a visitor can choose, and the link that holds it. */

export const COLORS = ["style", "content", "match"] as const;
export const STROKES = [1, 1.5, 2, 3, 4];

export interface Settings {
  /** A preset's name, or that of a picture of the visitor. */
  style: string;
  /** Another one that is mixed in, or empty. */
  mix: string;
  /** Share of the style beside the one mixed in, 0 to 1. */
  share: number;
  strength: number;
  stroke: number;
  sharpness: number;
  /** Whose colours: the style's, the content's own, or those of a style picture matched to the content's. */
  color: (typeof COLORS)[number];
  /** Seconds from style to style. */
  fade: number;
  mirror: boolean;
  split: boolean;
  stabilise: boolean;
  exact: boolean;
}

export const DEFAULTS: Settings = {
  style: "two-horses", mix: "", share: 0.5, strength: 1, stroke: 1, sharpness: 0, color: "style", fade: 0.6,
  mirror: false, split: false, stabilise: true, exact: false,
};

const RANGES = { share: [0, 1], strength: [0, 1], stroke: [1, 4], sharpness: [0, 1], fade: [0, 5] } as const;

/** Settings of a link's hash; what is missing, misspelt or out of range is as in `DEFAULTS`. */
export function readHash(hash: string, presets: readonly string[]): Settings {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const settings: Settings = { ...DEFAULTS };
  for (const key of ["style", "mix"] as const) {
    const name = given.get(key);
    if (name && presets.includes(name)) settings[key] = name;
  }
  for (const [key, [low, high]] of Object.entries(RANGES) as [keyof typeof RANGES, readonly [number, number]][]) {
    const text = given.get(key);
    const value = Number(text);
    if (text && value >= low && value <= high) settings[key] = value;
  }
  const color = COLORS.find((each) => each === given.get("color"));
  if (color) settings.color = color;
  for (const key of ["mirror", "split", "stabilise", "exact"] as const) {
    const text = given.get(key);
    if (text === "0" || text === "1") settings[key] = text === "1";
  }
  return settings;
}

/** The hash of a link for settings: only what differs from `DEFAULTS`, and no picture of the visitor. */
export function writeHash(settings: Settings, presets: readonly string[]): string {
  const given = new URLSearchParams();
  for (const key of Object.keys(DEFAULTS) as (keyof Settings)[]) {
    const value = settings[key];
    if (value === DEFAULTS[key]) continue;
    if ((key === "style" || key === "mix") && !presets.includes(value as string)) continue;
    if (key === "share" && !settings.mix) continue;
    given.set(key, typeof value === "boolean" ? String(Number(value)) : String(value));
  }
  const text = given.toString();
  return text && `#${text}`;
}

/** The next (1) or previous (-1) of the stroke sizes. */
export function steppedStroke(stroke: number, direction: 1 | -1): number {
  const others = STROKES.filter((other) => (other - stroke) * direction > 0);
  return others.length ? (direction > 0 ? Math.min(...others) : Math.max(...others)) : stroke;
}

/** Sharpness after a step of a quarter, kept in 0 to 1. */
export function steppedQuarter(value: number, direction: 1 | -1): number {
  return Math.min(1, Math.max(0, Math.round(4 * value + direction) / 4));
}

/** Strength or share after a step of tenths, kept in 0 to 1. */
export function steppedTenth(value: number, direction: 1 | -1): number {
  return Math.min(1, Math.max(0, Math.round(10 * value + direction) / 10));
}
