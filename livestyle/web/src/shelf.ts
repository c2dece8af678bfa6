/** The strip of styles: presets, and pictures of the visitor. */

import { Client } from "./client";
import { matchColors, type Picture } from "./color";
import { $, context, say, select } from "./dom";
import type { Look } from "./painter";
import type { Settings } from "./settings";
import { readPicture, SourceError } from "./sources";
import { between, type Stats, styleSize } from "./styles";

/** After which the memory of what encodes style pictures is given back. */
const IDLE_MILLISECONDS = 30_000;
const THUMBNAIL = [128, 80] as const;

/** All styles, each with a button on the strip. */
export class Shelf {
  readonly stats = new Map<string, Stats>();
  presets: string[] = [];
  private readonly chips = new Map<string, HTMLButtonElement>();
  /** The visitor's pictures at the size at which they are encoded. */
  private readonly pictures = new Map<string, Picture>();
  private readonly matched = new Map<string, Stats>();
  private mixed: { first: Stats; second: Stats; share: number; stats: Stats } | null = null;
  private matching = false;
  private readonly encoder = new Client();
  private idle = 0;
  private thumbnailsOf: unknown = null;
  private unpainted: string[] = [];
  private painting = false;

  constructor(
    private readonly client: Client,
    private readonly choose: (name: string) => void,
  ) {}

  get names(): string[] {
    return [...this.chips.keys()];
  }

  async readPresets(): Promise<void> {
    let response: Response;
    try {
      response = await fetch("models/presets.json");
    } catch {
      throw new SourceError("The styles could not be downloaded: are you connected? Reload the page to try again.");
    }
    if (!response.ok) throw new SourceError(`The styles could not be downloaded (${response.status}): reload the page.`);
    const found: Record<string, number[]> = await response.json();
    for (const [name, values] of Object.entries(found)) this.add(name, Float32Array.from(values), this.newChip(name));
    this.presets = Object.keys(found);
  }

  private add(name: string, stats: Stats, chip: HTMLButtonElement): void {
    const isOwn = this.pictures.has(name);
    this.stats.set(name, stats);
    this.chips.set(name, chip);
    if (isOwn) $("strip").prepend(chip);
    else $("strip").append(chip);
    select("mix").append(new Option(name, name));
  }

  /** Make a picture a style, and choose it. */
  async addPicture(file: File): Promise<void> {
    const picture = await readPicture(file);
    say(`Looking at ${file.name} ...`);
    const { crop, width, height } = styleSize(picture.width, picture.height);
    const bitmap = await createImageBitmap(picture, crop.left, crop.top, crop.width, crop.height, {
      resizeWidth: width, resizeHeight: height, resizeQuality: "high",
    });
    const name = this.freeName(file.name.replace(/\.[^.]+$/, "") || "picture");
    const chip = this.newChip(name);
    context(chip.querySelector("canvas")!).drawImage(picture, 0, 0, ...THUMBNAIL);
    picture.close();
    const canvas = new OffscreenCanvas(width, height);
    const draw = canvas.getContext("2d", { willReadFrequently: true })!;
    draw.fillStyle = "#fff";
    draw.fillRect(0, 0, width, height);
    draw.drawImage(bitmap, 0, 0);
    bitmap.close();
    const pixels = draw.getImageData(0, 0, width, height) as Picture;
    const stats = await this.encode(pixels);
    this.pictures.set(name, pixels);
    this.add(name, stats, chip);
    say(`${file.name} is a style now.`);
    this.choose(name);
  }

  /** Statistics of a style picture, in a worker of its own: it takes a second or two, and painting goes on. */
  private async encode({ data, width, height }: Picture): Promise<Stats> {
    clearTimeout(this.idle);
    try {
      return await this.encoder.call("encode", { rgba: data, width, height });
    } finally {
      clearTimeout(this.idle);
      this.idle = window.setTimeout(() => this.encoder.end("not needed for a while"), IDLE_MILLISECONDS);
    }
  }

  private freeName(wanted: string): string {
    let name = wanted;
    for (let n = 2; this.stats.has(name); n++) name = `${wanted} ${n}`;
    return name;
  }

  private newChip(name: string): HTMLButtonElement {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.role = "radio";
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = THUMBNAIL;
    const label = document.createElement("span");
    label.textContent = name.replaceAll("-", " ");
    chip.append(canvas, label);
    chip.onclick = () => this.choose(name);
    return chip;
  }

  /** What is to be painted in. */
  wanted({ style, mix, share, color }: Settings): Stats {
    const of = (name: string) => (color === "match" && this.matched.get(name)) || this.stats.get(name);
    const second = of(style)!;
    const first = of(mix);
    if (!first) return second;
    // The same array for as long as nothing changes, so that the painter need not start anew.
    const { mixed } = this;
    if (mixed?.first === first && mixed.second === second && mixed.share === share) return mixed.stats;
    const stats = between(first, second, share);
    this.mixed = { first, second, share, stats };
    return stats;
  }

  /**
   * Give the pictures among the chosen styles the colours of a frame, where that is wanted and has not been done since
   * it was last wanted, and tell whether that has been done; presets are statistics only, and stay as they are.
   */
  async match({ style, mix, color }: Settings, frame: HTMLCanvasElement): Promise<boolean> {
    if (color !== "match") {
      this.matched.clear();
      return false;
    }
    const name = [style, mix].find((each) => this.pictures.has(each) && !this.matched.has(each));
    if (!name || this.matching) return false;
    this.matching = true;
    try {
      const content = context(frame).getImageData(0, 0, frame.width, frame.height) as Picture;
      this.matched.set(name, await this.encode(matchColors(this.pictures.get(name)!, content)));
    } finally {
      this.matching = false;
    }
    return true;
  }

  /** Show which style is chosen, and scroll the strip, and nothing but it, to it. */
  mark(chosen: string): void {
    for (const [name, chip] of this.chips) {
      chip.ariaChecked = String(name === chosen);
      // One stop of the tab key for all of them; arrows go from one to the next.
      chip.tabIndex = name === chosen ? 0 : -1;
    }
    const chip = this.chips.get(chosen);
    if (!chip) return;
    if ($("strip").contains(document.activeElement)) chip.focus({ preventScroll: true });
    const [outer, inner] = [$("strip").getBoundingClientRect(), chip.getBoundingClientRect()];
    if (inner.left < outer.left) $("strip").scrollLeft += inner.left - outer.left;
    else if (inner.right > outer.right) $("strip").scrollLeft += inner.right - outer.right;
  }

  /** Paint, one at a time, the presets' small pictures anew where the source is another one; false where all are. */
  async paintThumbnail(frame: HTMLCanvasElement, of: unknown): Promise<boolean> {
    if (this.thumbnailsOf !== of) {
      this.thumbnailsOf = of;
      this.unpainted = [...this.presets];
    }
    const name = this.unpainted[0];
    if (!name || this.painting) return false;
    this.unpainted.shift();
    this.painting = true;
    try {
      const [width, height] = THUMBNAIL;
      const image = await createImageBitmap(frame, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
      const stats = this.stats.get(name)!;
      const look: Look = { stats, strength: 1, sharpness: 0, stabilise: false, mirror: false, exact: false };
      const { rgba } = await this.client.call("paint", { image, look, single: true }, [image]);
      context(this.chips.get(name)!.querySelector("canvas")!).putImageData(new ImageData(rgba, width, height), 0, 0);
    } finally {
      this.painting = false;
    }
    return true;
  }
}
