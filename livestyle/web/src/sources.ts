/** What is painted: a camera, a video or a picture. */

import { fitted } from "./stage";

/** Pixels that a browser decodes at 4 bytes each: a phone has no more memory for a page. */
const MAX_PICTURE_PIXELS = 100e6;
/** What is kept of a picture. */
const KEPT_BOX = [2560, 2560] as const;

export interface Source {
  kind: "camera" | "clip" | "video" | "picture";
  image: HTMLVideoElement | ImageBitmap;
  width(): number;
  height(): number;
  /** Run `done` when the next frame is there; a picture has none. */
  next?(done: () => void): void;
  pause(paused: boolean): void;
  close(): void;
}

/** A person can put it right; the message says how. */
export class SourceError extends Error {}

function videoSource(kind: Source["kind"], video: HTMLVideoElement, close: () => void): Source {
  let seen = -1;
  return {
    kind,
    image: video,
    width: () => video.videoWidth,
    height: () => video.videoHeight,
    next(done) {
      // TypeScript knows no browser without it.
      if (typeof (video as Partial<HTMLVideoElement>).requestVideoFrameCallback === "function") {
        video.requestVideoFrameCallback(done);
        return;
      }
      // The screen's frames, of which several show the same one.
      const look = () => {
        if (video.currentTime === seen) {
          requestAnimationFrame(look);
          return;
        }
        seen = video.currentTime;
        done();
      };
      requestAnimationFrame(look);
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

const CAMERA_WORDS: Record<string, string> = {
  NotAllowedError: "The camera was not allowed. Allow it at the browser's address bar, then press Camera again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera cannot be read: another program may be using it. Close that, then press Camera again.",
};

/** What is told of a camera that is in use. */
export interface CameraEvents {
  /** It was unplugged, or is no longer allowed. */
  lost(): void;
  /** It gives no pictures for a while, or gives them again: a lid, a switch, another program. */
  muted(muted: boolean): void;
}

/**
 * The visitor's camera.
 *
 * @param which - `user` (front), `environment` (back), or the identifier of a device.
 * @param size - such as `640x480`, which the camera comes near to.
 */
export async function openCamera(which: string, size: string, events: CameraEvents): Promise<Source> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new SourceError("This browser gives a camera only to pages with https, or of this machine itself (localhost).");
  }
  const [width, height] = size.split("x").map(Number);
  const place = which === "user" || which === "environment" ? { facingMode: which } : { deviceId: { exact: which } };
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { ...place, width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } },
    });
  } catch (error) {
    let name = error instanceof DOMException ? error.name : "";
    if (name === "SecurityError") name = "NotAllowedError";
    if (name === "OverconstrainedError") name = "NotFoundError";
    throw new SourceError(CAMERA_WORDS[name] ?? `The camera does not start (${name || String(error)}).`);
  }
  const video = newVideo();
  video.srcObject = stream;
  const tracks = stream.getVideoTracks();
  for (const track of tracks) {
    track.onended = () => events.lost();
    track.onmute = () => events.muted(true);
    track.onunmute = () => events.muted(false);
  }
  const stop = () => tracks.forEach((track) => track.stop());
  try {
    await played(video, "The camera gives no pictures.");
  } catch (error) {
    stop();
    throw error;
  }
  const source = videoSource("camera", video, stop);
  return {
    ...source,
    pause(paused) {
      // Some cameras put their light out.
      for (const track of tracks) track.enabled = !paused;
      source.pause(paused);
    },
  };
}

/** Cameras by their identifiers, once the visitor has allowed one; before that they have no names. */
export async function listCameras(): Promise<{ id: string; name: string }[]> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter(({ kind, deviceId, label }) => kind === "videoinput" && deviceId && label)
    .map(({ deviceId, label }) => ({ id: deviceId, name: label }));
}

/** A video by its address, or of a file. */
export async function openVideo(from: string | File): Promise<Source> {
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
  return videoSource(typeof from === "string" ? "clip" : "video", video, revoke);
}

/** Width and height of a picture, as its header has them; null where the browser does not know its format. */
async function sizeOf(file: File): Promise<{ width: number; height: number } | null> {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/** The picture of a file, turned as its EXIF orientation says. */
export async function readPicture(file: File): Promise<ImageBitmap> {
  // Before it is decoded: a file of some kilobytes may be a picture of gigabytes.
  const size = await sizeOf(file);
  if (size && size.width * size.height > MAX_PICTURE_PIXELS) {
    throw new SourceError(`${file.name} is too large (${size.width}x${size.height}): 100 megapixels are the most.`);
  }
  try {
    return await createImageBitmap(file);
  } catch {
    // Windows knows no type for them.
    const isHeic = /hei[cf]/i.test(file.type) || /\.hei[cf]$/i.test(file.name);
    const words = isHeic
      ? "is a HEIC picture, which this browser cannot read: save it as JPEG (on an iPhone: Settings, Camera, Formats, Most Compatible)."
      : "is no picture that this browser can read, or one too large for it: try JPEG or PNG.";
    throw new SourceError(`${file.name} ${words}`);
  }
}

/** A picture or a video of the visitor. */
export async function openFile(file: File): Promise<Source> {
  if (file.type.startsWith("video/")) return openVideo(file);
  let whole: ImageBitmap;
  try {
    whole = await readPicture(file);
  } catch (error) {
    // Files of some kinds come without a type.
    if (file.type || /\.hei[cf]$/i.test(file.name)) throw error;
    return openVideo(file);
  }
  const [resizeWidth, resizeHeight] = fitted(whole.width, whole.height, KEPT_BOX);
  const image = await createImageBitmap(whole, { resizeWidth, resizeHeight, resizeQuality: "high" });
  whole.close();
  return {
    kind: "picture",
    image,
    width: () => image.width,
    height: () => image.height,
    pause: () => undefined,
    close: () => image.close(),
  };
}
