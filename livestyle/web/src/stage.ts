/** The canvas that a visitor sees, and that snapshots and recordings are taken of. */

import { context } from "./dom";
import type { Pixels } from "./messages";
import type { Settings } from "./settings";
import type { Source } from "./sources";

/** Box that is painted at full scale; what is shown may be larger. */
const PAINT_BOX = { video: [640, 480], picture: [1280, 1280] } as const;
const SHOW_BOX = [1280, 1280] as const;
export const MINIMUM_SIDE = 64;

/** Width and height that fit into a box, not enlarged. */
export function fitted(width: number, height: number, [across, down]: readonly [number, number]): [number, number] {
  const factor = Math.min(1, across / width, down / height);
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
}

/** Size to paint a frame at that is shown at `width` x `height`. */
export function paintSize(
  { width, height }: { width: number; height: number },
  kind: Source["kind"],
  stroke: number,
  scaleOf: (width: number, height: number) => number,
): [number, number] {
  const isPicture = kind === "picture";
  const full = fitted(width, height, PAINT_BOX[isPicture ? "picture" : "video"]);
  const factor = Math.min(1 / stroke, isPicture ? 1 : scaleOf(...full));
  // Each side by itself: a banner would become millions of pixels wide.
  return [Math.max(MINIMUM_SIDE, Math.round(full[0] * factor)), Math.max(MINIMUM_SIDE, Math.round(full[1] * factor))];
}

/** Copy what a source shows now to a canvas, not larger than is shown; false where there is nothing yet. */
export function grab(from: Source, to: HTMLCanvasElement): boolean {
  const [across, down] = [from.width(), from.height()];
  if (!across || !down) return false;
  const [width, height] = fitted(across, down, SHOW_BOX);
  if (to.width !== width || to.height !== height) [to.width, to.height] = [width, height];
  const draw = context(to);
  draw.imageSmoothingQuality = "high";
  // Transparency lies over white, as in the program.
  if (from.kind === "picture") {
    draw.fillStyle = "#fff";
    draw.fillRect(0, 0, width, height);
  }
  draw.drawImage(from.image, 0, 0, width, height);
  return true;
}

/** Shows frames and their paintings on a canvas. */
export class Stage {
  private readonly small = document.createElement("canvas");

  constructor(readonly canvas: HTMLCanvasElement) {}

  /** Show a frame and, over or beside it, its painting, which is mirrored already where the frame is to be. */
  show(frame: HTMLCanvasElement, painting: Pixels | null, { mirror, split, color }: Settings): void {
    const { width, height } = frame;
    const across = split ? 2 * width : width;
    if (this.canvas.width !== across || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [across, height];
    }
    const draw = context(this.canvas);
    draw.imageSmoothingQuality = "high";
    const keepsColors = painting !== null && color === "content";
    const places = split ? [0, width] : [0];
    if (painting && !keepsColors) places.pop();
    for (const left of places) {
      draw.setTransform(mirror ? -1 : 1, 0, 0, 1, left + (mirror ? width : 0), 0);
      draw.drawImage(frame, 0, 0);
    }
    draw.resetTransform();
    if (!painting) return;
    const { small } = this;
    if (small.width !== painting.width || small.height !== painting.height) {
      [small.width, small.height] = [painting.width, painting.height];
    }
    context(small).putImageData(new ImageData(painting.rgba, painting.width, painting.height), 0, 0);
    // The painting's luma with the frame's colours, as `keep_colors` of livestyle/render/color.py.
    if (keepsColors) draw.globalCompositeOperation = "luminosity";
    draw.drawImage(small, across - width, 0, width, height);
    draw.globalCompositeOperation = "source-over";
  }
}
