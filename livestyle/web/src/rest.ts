/** When a sequence is painted by the constant form of the network, as `livestyle/engine/constant.py` decides it. */

import { moments } from "./stabilizer";

const SETTLING_FRAMES = 6;
const RENEWAL_FRAMES = 25;
const MAX_DRIFT = 1.5;
const QUICK_FRAMES = 2;

/** Paints BGR bytes with the constants of one frame. */
export interface ConstantForm {
  paint(pixels: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  release(): void;
}

/** How long a sequence has been at rest, and the constant form that is used while it is. */
export class Rest {
  private settled = 0;
  private used = 0;
  private moments: number[] = [];
  private drift = 0;
  private lastDrift = 0;
  private form: ConstantForm | null = null;

  constructor(private readonly key: string) {}

  fits(key: string): boolean {
    return key === this.key;
  }

  /** The painting of the next frame by the constant form; null where the computed form is to paint it. */
  async paint(pixels: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | null> {
    if (!this.form || this.used >= RENEWAL_FRAMES) return null;
    this.used++;
    // Extrapolation: a painting that would drift too far is rarely made for nothing.
    if (2 * this.drift - this.lastDrift <= MAX_DRIFT) {
      const painted = await this.form.paint(pixels);
      this.lastDrift = this.drift;
      this.drift = Math.max(...moments(painted).map((value, i) => Math.abs(value - this.moments[i])));
      if (this.drift <= MAX_DRIFT) return painted;
    }
    if (this.used <= QUICK_FRAMES) {
      this.release();
      this.settled = 0;
    }
    return null;
  }

  get wantsConstants(): boolean {
    return this.settled + 1 >= SETTLING_FRAMES;
  }

  computed(): void {
    this.settled++;
  }

  renew(painted: Uint8Array, form: ConstantForm): void {
    this.release();
    this.settled++;
    this.moments = moments(painted);
    this.drift = this.lastDrift = 0;
    this.form = form;
    this.used = 0;
  }

  release(): void {
    this.form?.release();
    this.form = null;
  }
}
