/** The page: it puts its parts together, and says what comes of them. */

import { Client, hasSimd } from "./client";
import { Controls } from "./controls";
import { $, button, failed, input, now, said, say, select, wordsOf } from "./dom";
import { listenToDrops, listenToKeys, listenToPicker, listenToSwipes } from "./gestures";
import type { Action } from "./keys";
import { type Figures, Loop } from "./loop";
import { download, fileName, Recording } from "./saving";
import { COLORS, steppedQuarter, steppedStroke, steppedTenth } from "./settings";
import { Shelf } from "./shelf";
import { listCameras, openCamera, openFile, openVideo, type Source } from "./sources";
import { Stage } from "./stage";
import type { Stats } from "./styles";

const CYCLE_MILLISECONDS = 8000;

const stage = new Stage($<HTMLCanvasElement>("stage"));
const client = new Client();
const shelf = new Shelf(client, (style) => controls.change({ style }));
const loop: Loop = new Loop(client, stage, {
  settings: () => controls.settings,
  stats: () => shelf.wanted(controls.settings),
  beside(frame, source) {
    void paintThumbnails(frame, source).catch(() => undefined);
    void shelf.match(controls.settings, frame).then((done) => done && loop.wake(), failed);
    void tryGpu();
  },
});
const controls: Controls = new Controls(
  (changes) => {
    if ("style" in changes || "strength" in changes) loop.plain = false;
    if ("style" in changes) shelf.mark(controls.settings.style);
    if (loop.source) loop.wake();
  },
  () => ({
    plain: loop.plain,
    cycle: cycling !== 0,
    record: recording !== null,
    figures: !$("figures").hidden,
    hasSource: loop.source !== null,
  }),
);

let recording: Recording | null = null;
let cycling = 0;
let gpuWords = "WebGPU: not tried yet";
let gpuTried = false;

// --- what is painted

/** Counts up with each source that is asked for: of two that are opened at once, the later one stays. */
let asked = 0;

async function use(promised: Promise<Source>): Promise<boolean> {
  const mine = ++asked;
  try {
    const source = await promised;
    if (mine !== asked) {
      source.close();
      return false;
    }
    loop.use(source);
  } catch (error) {
    if (mine === asked) failed(error);
    return false;
  }
  $("start").hidden = true;
  say("");
  controls.show();
  // What could not be downloaded at first may be there now.
  if (!loop.ready && !opening) void open();
  return true;
}

async function useCamera(): Promise<void> {
  say("Waiting for the camera ...");
  const events = {
    lost() {
      say("The camera is gone: plug it in, or allow it again, and press Camera.", true);
      // Plugged in again, it goes on by itself.
      navigator.mediaDevices.addEventListener("devicechange", again, { once: true });
    },
    muted: (muted: boolean) => say(muted ? "The camera gives no pictures at the moment." : ""),
  };
  if (await use(openCamera(select("facing").value, select("size").value, events))) {
    void nameCameras().catch(() => undefined);
    return;
  }
  if (loop.source) return;
  const reason = said();
  await useDemo();
  say(`${reason} The demo clip plays meanwhile.`, true);
}

function again(): void {
  if (loop.source?.kind === "camera") void useCamera();
}

/** Offer each camera by its name where there are several. */
async function nameCameras(): Promise<void> {
  const cameras = await listCameras();
  const facing = select("facing");
  for (const option of [...facing.options].slice(2)) {
    if (!cameras.some(({ id }) => id === option.value)) option.remove();
  }
  if (cameras.length < 2) return;
  for (const { id, name } of cameras) {
    if (![...facing.options].some(({ value }) => value === id)) facing.append(new Option(name, id));
  }
}

const useDemo = () => use(openVideo("demo.mp4"));

// --- the model and the GPU

/** How long the files for working offline wait for the preview. */
const PREVIEW_SECONDS = 10;

let opening = false;

async function open(): Promise<void> {
  opening = true;
  $("loading").hidden = false;
  client.onProgress = () => ($("loading").textContent = `Loading what paints: ${Math.round(100 * client.progress)} %`);
  try {
    await client.call("open", null);
  } catch (error) {
    failed(error);
    // onnxruntime does not begin twice in one worker.
    client.end("it could not be started");
    return;
  } finally {
    opening = false;
    $("loading").hidden = true;
  }
  loop.ready = true;
  loop.wake();
  // Where the clip does not load, as in a tab that nobody sees, the preview never comes.
  await Promise.race([preview().catch(() => undefined), new Promise((resolve) => setTimeout(resolve, PREVIEW_SECONDS * 1000))]);
  // Only then come the files for working offline, which a blocked storage does not take.
  await navigator.serviceWorker?.register("sw.js").catch(() => undefined);
}

/** Before anything is chosen, the strip shows the styles on the demo clip's first frame, and so does the stage. */
async function preview(): Promise<void> {
  if (loop.source || connection()?.saveData) return;
  const clip = await openVideo("demo.mp4");
  clip.pause(true);
  const frame = document.createElement("canvas");
  [frame.width, frame.height] = [clip.width(), clip.height()];
  frame.getContext("2d")!.drawImage(clip.image, 0, 0);
  clip.close();
  const { width, height } = frame;
  const image = await createImageBitmap(frame);
  const stats = shelf.wanted(controls.settings);
  const look = { stats, strength: 1, sharpness: 0, stabilise: false, mirror: false, exact: false };
  const painted = await client.call("paint", { image, look, single: true }, [image]);
  if (loop.source) return;
  stage.show(frame, { ...painted, width, height }, controls.settings);
  await paintThumbnails(frame, null);
}

/** Paint a frame, small, in each of the presets, for as long as its source is the one that is shown. */
async function paintThumbnails(frame: HTMLCanvasElement, source: Source | null): Promise<void> {
  while (loop.source === source && (await shelf.paintThumbnail(frame, source ?? "preview")));
}

const connection = () => (navigator as { connection?: { saveData?: boolean } }).connection;

/** Try the GPU once, when the first painting is there; the address's `?gpu=never` leaves it, and `?gpu=always` insists. */
async function tryGpu(): Promise<void> {
  if (gpuTried) return;
  gpuTried = true;
  const wanted = new URLSearchParams(location.search).get("gpu");
  if (wanted === "never" || (connection()?.saveData && wanted !== "always")) {
    gpuWords = "WebGPU: left out";
    return;
  }
  client.onLost = (reason) => {
    gpuWords = `WebGPU: lost (${reason})`;
    say("The GPU is gone; the painting goes on without it.");
    loop.restart();
  };
  try {
    gpuWords = await client.call("gpu", { wanted: wanted === "always", stats: shelf.wanted(controls.settings) });
    // What a frame takes is another matter now.
    if (gpuWords === "WebGPU: in use") loop.restart();
  } catch (error) {
    gpuWords = `WebGPU: ${wordsOf(error)}`;
  }
}

function showFigures(): void {
  if ($("figures").hidden) return;
  const { rate, seconds, turn, width, height, form } = loop.figures;
  $("figures").textContent = [
    `${rate.toFixed(1)} frames/s, ${(1000 * turn).toFixed(0)} ms each, ${(1000 * seconds).toFixed(0)} of them painting`,
    `${width}x${height} of ${stage.canvas.width}x${stage.canvas.height}`,
    form === "webgpu" ? "WebGPU, float32" : `WebAssembly, 1 thread, ${form === "float32" ? form : `8 bits, ${form}`}`,
    gpuWords,
    `${(client.loaded / 1e6).toFixed(1)} MB loaded`,
  ].join("\n");
}

// --- what a visitor takes along

function snapshot(): void {
  stage.canvas.toBlob((blob) => {
    if (!blob) return say("The picture could not be saved.", true);
    const name = fileName("png");
    download(blob, name);
    return say(`Saved ${name}.`);
  }, "image/png");
}

/** Asks before the page is left, and its recording with it. */
const beforeLeaving = (event: Event) => event.preventDefault();

async function record(): Promise<void> {
  try {
    if (recording) {
      const ending = recording;
      recording = null;
      removeEventListener("beforeunload", beforeLeaving);
      controls.show();
      say(`Saved ${await ending.stop()}.`);
    } else {
      recording = await Recording.start(stage.canvas, input("sound").checked);
      addEventListener("beforeunload", beforeLeaving);
      say("Recording: press Stop recording to save it.");
    }
  } catch (error) {
    failed(error);
  }
  controls.show();
}

async function fullScreen(): Promise<void> {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await $("viewer").requestFullscreen();
  } catch {
    say("This browser has no full screen for pages.", true);
  }
}

async function copyLink(): Promise<void> {
  const isOwn = !shelf.presets.includes(controls.settings.style);
  try {
    await navigator.clipboard.writeText(location.href);
    say(isOwn ? "Copied a link; your own picture is not part of it." : "Copied a link that holds these settings.");
  } catch {
    say(`The link: ${location.href}`);
  }
}

// --- actions

function chooseNext(step: number): void {
  const { names } = shelf;
  controls.change({ style: names[(names.indexOf(controls.settings.style) + step + names.length) % names.length] });
}

const step = (key: "strength" | "share", direction: 1 | -1) =>
  controls.change({ [key]: steppedTenth(controls.settings[key], direction) });
const turn = (key: "stabilise" | "mirror" | "split") => controls.change({ [key]: !controls.settings[key] });

const ACTIONS: Record<Action, (key: string) => void> = {
  style(key) {
    const style = shelf.names[Number(key) - 1];
    if (style) controls.change({ style });
  },
  next: () => chooseNext(1),
  previous: () => chooseNext(-1),
  cycle() {
    clearInterval(cycling);
    cycling = cycling ? 0 : window.setInterval(() => loop.source && !document.hidden && chooseNext(1), CYCLE_MILLISECONDS);
    controls.show();
  },
  plain() {
    loop.plain = !loop.plain;
    void client.call("reset", null).catch(() => undefined);
    loop.wake();
    controls.show();
  },
  stronger: () => step("strength", 1),
  weaker: () => step("strength", -1),
  broader: () => controls.change({ stroke: steppedStroke(controls.settings.stroke, 1) }),
  finer: () => controls.change({ stroke: steppedStroke(controls.settings.stroke, -1) }),
  sharper: () => controls.change({ sharpness: steppedQuarter(controls.settings.sharpness, 1) }),
  softer: () => controls.change({ sharpness: steppedQuarter(controls.settings.sharpness, -1) }),
  moreMixed: () => step("share", -1),
  moreStyle: () => step("share", 1),
  fade: () => controls.change({ fade: controls.settings.fade ? 0 : 0.6 }),
  color: () => controls.change({ color: COLORS[(COLORS.indexOf(controls.settings.color) + 1) % COLORS.length] }),
  stabilise: () => turn("stabilise"),
  mirror: () => turn("mirror"),
  split: () => turn("split"),
  snapshot: () => loop.source && snapshot(),
  record: () => loop.source && void record(),
  fullScreen: () => void fullScreen(),
  link: () => void copyLink(),
  figures() {
    $("figures").hidden = !$("figures").hidden;
    showFigures();
    controls.show();
  },
};

const BUTTONS: Record<string, Action> = {
  plain: "plain", mirror: "mirror", split: "split", cycle: "cycle", "full-screen": "fullScreen",
  snapshot: "snapshot", record: "record", link: "link", "show-figures": "figures",
};

function listen(): void {
  const addStyle = (file: File) => void shelf.addPicture(file).catch(failed);
  const show = (file: File) => {
    say(`Opening ${file.name} ...`);
    void use(openFile(file));
  };
  for (const [id, action] of Object.entries(BUTTONS)) button(id).onclick = () => ACTIONS[action]("");
  for (const id of ["start-camera", "camera"]) button(id).onclick = () => void useCamera();
  for (const id of ["start-demo", "demo"]) button(id).onclick = () => void useDemo();
  for (const id of ["facing", "size"]) select(id).onchange = again;
  listenToPicker("open", "file", show);
  listenToPicker("add-style", "style-file", addStyle);
  // A picture on the strip is a style, and everything else is painted.
  listenToDrops({ styles: addStyle, viewer: show });
  listenToKeys((action, key) => ACTIONS[action](key));
  listenToSwipes($("viewer"), chooseNext);
  loop.onPainted = showFigures;
  document.addEventListener("visibilitychange", () => {
    const { hidden } = document;
    loop.source?.pause(hidden);
    recording?.pause(hidden);
    loop.figures.last = 0;
    if (!hidden) loop.wake();
    if (!hidden && recording) say("The recording left out the time while this page was hidden.");
  });
}

async function begin(): Promise<void> {
  const buttons = [...document.querySelectorAll("button")];
  for (const each of buttons) each.disabled = true;
  try {
    if (!hasSimd()) {
      throw new Error("This browser lacks WebAssembly with SIMD, which the painting needs: take one of 2023 or later.");
    }
    if (!window.isSecureContext) {
      throw new Error("The address of this page is neither https nor of this machine itself (localhost), and so it cannot run.");
    }
    await shelf.readPresets();
  } catch (error) {
    failed(error);
    return;
  }
  for (const each of buttons) each.disabled = false;
  controls.read(shelf.presets);
  listen();
  await open();
}

declare global {
  interface Window {
    /** For the console and for tests. */
    livestyle: {
      client: Client;
      styles: Map<string, Stats>;
      figures: () => Figures;
      isBusy: () => boolean;
      gpu: () => string;
      now: () => number;
    };
  }
}
window.livestyle = { client, styles: shelf.stats, figures: () => loop.figures, isBusy: () => loop.busy, gpu: () => gpuWords, now };

void begin();
