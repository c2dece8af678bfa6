/** The loop that paints: the newest frame of a source as soon as the worker is free. */

import { AdaptiveResolution } from "./adaptive";
import type { Client } from "./client";
import { failed, now } from "./dom";
import type { Requests } from "./messages";
import type { Look } from "./painter";
import type { Settings } from "./settings";
import type { Source } from "./sources";
import { grab, paintSize, type Stage } from "./stage";
import { Crossfade, type Stats } from "./styles";

const RATE = 24;

type Painted = Requests["paint"]["answer"];

/** A frame that has been taken from a source, and is to be painted or is being painted. */
interface Taken {
  source: Source;
  shown: HTMLCanvasElement;
}

/** What the page gives to the loop. */
export interface Wishes {
  settings(): Settings;
  stats(): Stats;
  /** What is to be done between frames, with the frame that has just been shown. */
  between(frame: HTMLCanvasElement, source: Source): Promise<void>;
}

/** Figures of the last painting. */
export interface Figures {
  /** Frames a second, smoothed. */
  rate: number;
  /** When it was shown, in seconds; 0 where nothing is known yet. */
  last: number;
  /** Seconds that it took in the worker, and from being asked for to its answer. */
  seconds: number;
  turn: number;
  width: number;
  height: number;
  form: Painted["form"] | "";
}

/** Paints a source on a stage. */
export class Loop {
  source: Source | null = null;
  figures: Figures = { rate: 0, last: 0, seconds: 0, turn: 0, width: 0, height: 0, form: "" };
  /** Frames as they are, without a painting. */
  plain = false;
  /** Whether the worker is ready to paint; frames are shown as they are until it is. */
  ready = false;
  /** Called after each painting that is shown. */
  onPainted: () => void = () => undefined;
  private adaptive = new AdaptiveResolution(RATE);
  private readonly crossfade = new Crossfade();
  /** Two canvases: the frame that is being painted lies on one, and the newest that waits on the other. */
  private readonly canvases = [document.createElement("canvas"), document.createElement("canvas")];
  private waiting: Taken | null = null;
  private dirty = false;
  private running = false;
  private watched: Source | null = null;

  constructor(
    private readonly client: Client,
    private readonly stage: Stage,
    private readonly wishes: Wishes,
  ) {}

  get busy(): boolean {
    return this.running;
  }

  /** Paint another source from now on; the one before is closed. */
  use(source: Source): void {
    this.source?.close();
    this.source = source;
    this.plain = false;
    this.waiting = null;
    this.restart();
    this.wake();
  }

  /** Measure anew what a frame takes. */
  restart(): void {
    this.adaptive = new AdaptiveResolution(RATE);
    this.figures = { ...this.figures, rate: 0, last: 0 };
  }

  /** Paint what the source shows now once more, for something has changed. */
  wake(): void {
    this.dirty = true;
    this.watch();
    void this.run();
  }

  /** Take each frame of the source as it comes; a newer one replaces one that still waits. */
  private watch(): void {
    const { source } = this;
    if (!source?.next || this.watched === source || document.hidden) return;
    this.watched = source;
    source.next(() => {
      if (this.watched === source) this.watched = null;
      if (source !== this.source || document.hidden) return;
      this.take(source);
      this.watch();
      void this.run();
    });
  }

  private take(source: Source): void {
    const shown = this.canvases[1];
    if (grab(source, shown)) this.waiting = { source, shown };
  }

  private following(): Taken | null {
    const { source } = this;
    if (!source || document.hidden) return null;
    if (this.dirty && !this.waiting) this.take(source);
    this.dirty = false;
    const taken = this.waiting;
    this.waiting = null;
    if (taken) this.canvases.reverse();
    return taken;
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let taken = this.following(); taken; taken = this.following()) {
      try {
        await this.paint(taken);
      } catch (error) {
        failed(error);
        // What fails once a frame would flood the page.
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
    this.running = false;
  }

  private async paint({ source, shown }: Taken): Promise<void> {
    const settings = this.wishes.settings();
    if (this.plain || !this.ready) {
      this.stage.show(shown, null, settings);
      return;
    }
    const begin = now();
    const stats = this.crossfade.at(this.wishes.stats(), settings.fade, begin);
    const { strength, mirror, exact } = settings;
    const look: Look = { stats, strength, mirror, exact, stabilise: settings.stabilise && source.kind !== "picture" };
    const [width, height] = paintSize(shown, source.kind, settings.stroke, (...full) => this.adaptive.scaleOf(...full));
    const image = await createImageBitmap(shown, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
    const painted = await this.client.call("paint", { image, look, single: false }, [image]);
    // Another source is shown, or the plain frame is wanted, since it was begun.
    if (source !== this.source || this.plain) return;
    this.stage.show(shown, painted, settings);
    this.count(painted, now() - begin, source);
    // A picture has no next frame in which a fade would go on.
    if (this.crossfade.fading) this.dirty = true;
    await this.wishes.between(shown, source);
  }

  private count({ seconds, width, height, form }: Painted, turn: number, source: Source): void {
    const time = now();
    const passed = this.figures.last ? time - this.figures.last : 0;
    // The first frame also waits for the model.
    if (source.kind !== "picture" && this.figures.last) this.adaptive.update(turn, time);
    else this.adaptive.start(seconds);
    const rate = passed ? 1 / passed : 0;
    const smoothed = this.figures.rate ? 0.9 * this.figures.rate + 0.1 * rate : rate;
    this.figures = { rate: smoothed, last: time, seconds, turn, width, height, form };
    this.onPainted();
  }
}
