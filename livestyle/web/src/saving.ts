/** What a visitor takes along: snapshots and recordings, as downloads. */

import { context } from "./dom";

/** A file name with the time, such as `livestyle-2026-11-28-201530.png`. */
export function fileName(extension: string, now = new Date()): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `livestyle-${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}.${extension}`;
}

export function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** H.264 before all, which phones and editors play; what Chromium calls video/mp4 alone may be VP9. */
const TYPES = [
  "video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/mp4;codecs=avc1.42E01F,opus", "video/webm;codecs=vp9,opus", "video/webm",
  "video/mp4",
];
const RATE = 30;
const BITS_PER_SECOND = 6e6;

/** Size of a recording: even sides, which H.264 needs. */
export const recordedSize = ({ width, height }: { width: number; height: number }) =>
  [width, height].map((side) => Math.max(2, side - (side % 2))) as [number, number];

/**
 * A recording of a canvas, with the microphone if wanted.
 *
 * It is made of a copy that keeps the size of the beginning, with black bars where the canvas changes its shape, and is
 * drawn at a steady rate: of a canvas that nobody draws on, MediaRecorder makes a file of one frame.
 */
export class Recording {
  private readonly parts: Blob[] = [];
  private readonly timer = setInterval(() => this.draw(), 1000 / RATE);
  private readonly ended: Promise<void>;

  private constructor(
    private readonly from: HTMLCanvasElement,
    private readonly copy: HTMLCanvasElement,
    private readonly recorder: MediaRecorder,
    private readonly microphone: MediaStream | null,
  ) {
    recorder.ondataavailable = ({ data }) => this.parts.push(data);
    this.ended = new Promise((resolve) => (recorder.onstop = () => resolve()));
    this.draw();
    // In parts, so that an error loses a second at most.
    recorder.start(1000);
  }

  static async start(from: HTMLCanvasElement, sound: boolean): Promise<Recording> {
    const type = typeof MediaRecorder === "undefined" ? undefined : TYPES.find((t) => MediaRecorder.isTypeSupported(t));
    if (!type) throw new Error("This browser cannot record.");
    let microphone: MediaStream | null = null;
    if (sound) {
      try {
        microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
      } catch {
        throw new Error("The microphone was not allowed, or none was found: record without it, or allow it and try again.");
      }
    }
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = recordedSize(from);
    const stream = copy.captureStream(RATE);
    for (const track of microphone?.getAudioTracks() ?? []) stream.addTrack(track);
    const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: BITS_PER_SECOND });
    return new Recording(from, copy, recorder, microphone);
  }

  private draw(): void {
    if (this.recorder.state === "paused") return;
    const { from, copy } = this;
    const draw = context(copy);
    const factor = Math.min(copy.width / from.width, copy.height / from.height);
    // What rounding to even sides costs is cut off, and not scaled away.
    const [width, height] = factor > 0.99 && factor < 1 ? [from.width, from.height] : [from.width * factor, from.height * factor];
    draw.fillRect(0, 0, copy.width, copy.height);
    draw.drawImage(from, (copy.width - width) / 2, (copy.height - height) / 2, width, height);
  }

  /** Leave out what comes while the page is hidden. */
  pause(paused: boolean): void {
    if (paused && this.recorder.state === "recording") this.recorder.pause();
    if (!paused && this.recorder.state === "paused") this.recorder.resume();
  }

  /** End it, give it to the visitor, and tell its name. */
  async stop(): Promise<string> {
    clearInterval(this.timer);
    if (this.recorder.state !== "inactive") this.recorder.stop();
    await this.ended;
    for (const track of this.recorder.stream.getTracks()) track.stop();
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
    const type = this.recorder.mimeType.split(";")[0];
    const name = fileName(type.endsWith("mp4") ? "mp4" : "webm");
    download(new Blob(this.parts, { type }), name);
    return name;
  }
}
