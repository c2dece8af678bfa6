/** What a visitor takes along: snapshots and recordings, as downloads. */

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

const TYPES = ["video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/mp4", "video/webm;codecs=vp9,opus", "video/webm"];

/** A recording of a canvas, with the microphone if wanted. */
export class Recording {
  private readonly parts: Blob[] = [];

  private constructor(
    private readonly recorder: MediaRecorder,
    private readonly microphone: MediaStream | null,
  ) {
    recorder.ondataavailable = ({ data }) => this.parts.push(data);
    recorder.start(1000);
  }

  static async start(canvas: HTMLCanvasElement, sound: boolean): Promise<Recording> {
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
    const stream = canvas.captureStream(30);
    for (const track of microphone?.getAudioTracks() ?? []) stream.addTrack(track);
    return new Recording(new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 6_000_000 }), microphone);
  }

  /** End it and give it to the visitor. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.recorder.onstop = () => {
        const type = this.recorder.mimeType.split(";")[0];
        download(new Blob(this.parts, { type }), fileName(type.endsWith("mp4") ? "mp4" : "webm"));
        resolve();
      };
      this.recorder.stop();
      for (const track of this.recorder.stream.getTracks()) track.stop();
      for (const track of this.microphone?.getTracks() ?? []) track.stop();
    });
  }
}
