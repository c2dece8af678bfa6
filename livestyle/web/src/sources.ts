/** What is painted: a camera, a video or a picture. */

const MAX_PICTURE_PIXELS = 100e6;

export interface Source {
  kind: "camera" | "clip" | "video" | "picture";
  image: HTMLVideoElement | ImageBitmap;
  width(): number;
  height(): number;
  /** Run `done` when the next frame is there. */
  next(done: () => void): void;
  pause(paused: boolean): void;
  close(): void;
}

/** A person can put it right; the message says how. */
export class SourceError extends Error {}

function videoSource(kind: Source["kind"], video: HTMLVideoElement, close: () => void): Source {
  return {
    kind,
    image: video,
    width: () => video.videoWidth,
    height: () => video.videoHeight,
    next(done) {
      if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(done);
      else requestAnimationFrame(done);
    },
    pause(paused) {
      if (paused) video.pause();
      else void video.play().catch(() => undefined);
    },
    close() {
      video.pause();
      video.srcObject = null;
      video.removeAttribute("src");
      close();
    },
  };
}

function newVideo(): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.loop = true;
  return video;
}

function played(video: HTMLVideoElement, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    video.onloadeddata = () => resolve();
    video.onerror = () => reject(new SourceError(words));
    video.play().catch(() => undefined);
  });
}

/** The visitor's camera. */
export async function openCamera(facing: string, size: string, lost: () => void): Promise<Source> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new SourceError("This browser gives a camera only to pages with https, or of this machine itself (localhost).");
  }
  const [width, height] = size.split("x").map(Number);
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: facing, width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } },
    });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") {
      throw new SourceError("The camera was not allowed. Allow it at the browser's address bar, then press Camera again.");
    }
    if (name === "NotFoundError" || name === "OverconstrainedError") throw new SourceError("No camera was found.");
    if (name === "NotReadableError") {
      throw new SourceError("The camera cannot be read: another program may be using it. Close that, then press Camera again.");
    }
    throw new SourceError(`The camera does not start (${name || String(error)}).`);
  }
  const video = newVideo();
  video.srcObject = stream;
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
  };
  for (const track of stream.getVideoTracks()) track.onended = lost;
  try {
    await played(video, "The camera gives no pictures.");
  } catch (error) {
    stop();
    throw error;
  }
  return videoSource("camera", video, stop);
}

/** A video by its address, or of a file. */
export async function openVideo(from: string | File, kind: "clip" | "video" = "video"): Promise<Source> {
  const video = newVideo();
  const url = typeof from === "string" ? from : URL.createObjectURL(from);
  const revoke = () => {
    if (typeof from !== "string") URL.revokeObjectURL(url);
  };
  video.src = url;
  const name = typeof from === "string" ? "The demo clip" : from.name;
  try {
    await played(video, `${name} cannot be played by this browser: try an MP4 with H.264, or WebM.`);
  } catch (error) {
    revoke();
    throw error;
  }
  return videoSource(kind, video, revoke);
}

/** The picture of a file, turned as its EXIF orientation says. */
export async function readPicture(file: File): Promise<ImageBitmap> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new SourceError(`${file.name} is no picture that this browser can read, or one too large for it: try JPEG or PNG.`);
  }
  if (bitmap.width * bitmap.height > MAX_PICTURE_PIXELS) {
    const size = `${bitmap.width}x${bitmap.height}`;
    bitmap.close();
    throw new SourceError(`${file.name} is too large (${size}): 100 megapixels are the most.`);
  }
  return bitmap;
}

export async function openFile(file: File): Promise<Source> {
  if (!file.type.startsWith("image/")) return openVideo(file);
  const bitmap = await readPicture(file);
  return {
    kind: "picture",
    image: bitmap,
    width: () => bitmap.width,
    height: () => bitmap.height,
    next: (done) => void requestAnimationFrame(done),
    pause: () => undefined,
    close: () => bitmap.close(),
  };
}
