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

/** A frame that has been taken from a source. */
interface Taken {
  source: Source;
  shown: HTMLCanvasElement;
  /** The frame at the size to be painted at; null where it is shown without a painting. */
  image: Promise<ImageBitmap> | null;
}

/** A frame that is being painted, or is shown as it is. */
interface Work extends Taken {
  settings: Settings;
  begin: number;
  painted: Promise<Painted> | null;
}

/** What the page gives to the loop. */
export interface Wishes {
  settings(): Settings;
  stats(): Stats;
  /** What is to be done beside painting, with the frame that has just been shown. */
  beside(frame: HTMLCanvasElement, source: Source): void;
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
  private isNew = false;
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
    this.isNew = true;
    this.drop();
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
    if (!grab(source, shown)) return;
    this.drop();
    let image: Promise<ImageBitmap> | null = null;
    if (this.ready && !this.plain) {
      const { stroke } = this.wishes.settings();
      const [resizeWidth, resizeHeight] = paintSize(shown, source.kind, stroke, (...full) => this.adaptive.scaleOf(...full));
      // Made while the worker paints the frame before.
      image = createImageBitmap(shown, { resizeWidth, resizeHeight, resizeQuality: "medium" });
      image.catch(() => undefined);
    }
    this.waiting = { source, shown, image };
  }

  /** Forget the frame that waits. */
  private drop(): void {
    this.waiting?.image?.then((image) => image.close(), () => undefined);
    this.waiting = null;
  }

  /** Begin with the newest frame, if there is one that has not been painted. */
  private begin(): Work | null {
    const { source } = this;
    if (!source || document.hidden) return null;
    // Something has changed since it was taken, its size for instance.
    if (this.dirty) this.take(source);
    this.dirty = false;
    const taken = this.waiting;
    this.waiting = null;
    if (!taken) return null;
    this.canvases.reverse();
    const settings = this.wishes.settings();
    const begin = now();
    // Of another source something is seen at once.
    if (this.isNew) this.stage.show(taken.shown, null, settings);
    this.isNew = false;
    if (!taken.image) return { ...taken, settings, begin, painted: null };
    const { strength, sharpness, mirror, exact } = settings;
    const stats = this.crossfade.at(this.wishes.stats(), settings.fade, begin);
    const stabilise = settings.stabilise && source.kind !== "picture";
    const look: Look = { stats, strength, sharpness, mirror, exact, stabilise };
    const painted = taken.image.then((image) => this.client.call("paint", { image, look, single: false }, [image]));
    painted.catch(() => undefined);
    return { ...taken, settings, begin, painted };
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let work = this.begin(); work; ) {
      let following: Work | null = null;
      try {
        const painted = await work.painted;
        // The worker has the next frame before this one is shown.
        following = this.begin();
        await null;
        this.show(work, painted);
      } catch (error) {
        failed(error);
        // What fails once a frame would flood the page.
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
      work = following ?? this.begin();
    }
    this.running = false;
  }

  private show({ source, shown, settings, begin }: Work, painted: Painted | null): void {
    // Another source is shown, or the plain frame is wanted, since it was begun.
    if (source !== this.source || (painted && this.plain)) return;
    this.stage.show(shown, painted, settings);
    if (!painted) return;
    this.count(painted, now() - begin, source);
    // A picture has no next frame in which a fade would go on.
    if (this.crossfade.fading) this.dirty = true;
    this.wishes.beside(shown, source);
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
