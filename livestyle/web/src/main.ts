/** The page: what its controls do, and the loop that paints. */

import { AdaptiveResolution } from "./adaptive";
import { Client, hasSimd } from "./client";
import { type Action, actionOf, KEYMAP } from "./keys";
import type { Look } from "./painter";
import { download, fileName, Recording } from "./saving";
import { readHash, type Settings, steppedStroke, steppedTenth, STROKES, writeHash } from "./settings";
import { openCamera, openFile, openVideo, readPicture, type Source } from "./sources";
import { between, Crossfade, type Stats, styleSize } from "./styles";

const RATE = 24;
const CYCLE_SECONDS = 8;
const SWIPE_PIXELS = 50;
/** Box that is painted at full scale; what is shown may be larger. */
const PAINT_BOX = { video: [640, 480], picture: [1280, 1280] } as const;
const SHOW_BOX = [1280, 1280] as const;
const THUMBNAIL = [128, 80] as const;
const MINIMUM_SIDE = 64;

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const button = (id: string) => $<HTMLButtonElement>(id);
const input = (id: string) => $<HTMLInputElement>(id);
const select = (id: string) => $<HTMLSelectElement>(id);
const context = (canvas: HTMLCanvasElement) => canvas.getContext("2d")!;

const viewer = $("viewer");
const stage = $<HTMLCanvasElement>("stage");
const shown = document.createElement("canvas");
const small = document.createElement("canvas");

const client = new Client();
const styles = new Map<string, Stats>();
const chips = new Map<string, HTMLButtonElement>();
const crossfade = new Crossfade();
let presets: string[] = [];
let settings: Settings = readHash("", []);
let source: Source | null = null;
let adaptive = new AdaptiveResolution(RATE);
let recording: Recording | null = null;
let plain = false;
let cycling = 0;
let busy = false;
let dirty = true;
let waiting: Source | null = null;
let thumbnailsOf: Source | null = null;
let thumbnailQueue: string[] = [];
let gpuWords = "WebGPU: not tried yet";
let gpuTried = false;
let figures = { rate: 0, last: 0, seconds: 0, width: 0, height: 0, form: "" };

function say(text: string, isError = false): void {
  $("message").textContent = text;
  $("message").classList.toggle("error", isError);
}

const failed = (error: unknown) => say(error instanceof Error ? error.message : String(error), true);

const now = () => performance.now() / 1000;

/** Width and height that fit into a box, not enlarged. */
function fitted(width: number, height: number, [across, down]: readonly [number, number]): [number, number] {
  const factor = Math.min(1, across / width, down / height);
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
}

function wantedStats(): Stats {
  const style = styles.get(settings.style)!;
  const mixed = styles.get(settings.mix);
  return mixed ? mixOf(mixed, style, settings.share) : style;
}

let mixCache: { first: Stats; second: Stats; share: number; stats: Stats } | null = null;

function mixOf(first: Stats, second: Stats, share: number): Stats {
  // The same array for as long as nothing changes, so that the painter need not start anew.
  if (mixCache?.first !== first || mixCache.second !== second || mixCache.share !== share) {
    mixCache = { first, second, share, stats: between(first, second, share) };
  }
  return mixCache.stats;
}

function lookOf(stats: Stats): Look {
  const { strength, stabilise, mirror, exact } = settings;
  return { stats, strength, stabilise: stabilise && source?.kind !== "picture", mirror, exact };
}

/** The frame as it is shown beside or under its painting: scaled and mirrored, on the canvas `shown`. */
function grab(from: Source): boolean {
  const [across, down] = [from.width(), from.height()];
  if (!across || !down) return false;
  const [width, height] = fitted(across, down, SHOW_BOX);
  if (shown.width !== width || shown.height !== height) [shown.width, shown.height] = [width, height];
  const draw = context(shown);
  draw.setTransform(settings.mirror ? -1 : 1, 0, 0, 1, settings.mirror ? width : 0, 0);
  draw.imageSmoothingQuality = "high";
  draw.drawImage(from.image, 0, 0, width, height);
  return true;
}

function paintSize(): [number, number] {
  const isPicture = source!.kind === "picture";
  const full = fitted(shown.width, shown.height, PAINT_BOX[isPicture ? "picture" : "video"]);
  const scale = isPicture ? 1 : adaptive.scaleOf(...full);
  const factor = Math.min(1 / settings.stroke, scale);
  // Each side by itself: a banner would become millions of pixels wide.
  return [Math.max(MINIMUM_SIDE, Math.round(full[0] * factor)), Math.max(MINIMUM_SIDE, Math.round(full[1] * factor))];
}

/** Show what the canvas `shown` has and, over or beside it, a painting of it. */
function show(painting: HTMLCanvasElement | null): void {
  const { width, height } = shown;
  const across = settings.split ? 2 * width : width;
  if (stage.width !== across || stage.height !== height) [stage.width, stage.height] = [across, height];
  const draw = context(stage);
  draw.imageSmoothingQuality = "high";
  if (settings.split || !painting) draw.drawImage(shown, 0, 0);
  if (painting || settings.split) draw.drawImage(painting ?? shown, across - width, 0, width, height);
}

async function tick(from: Source): Promise<void> {
  waiting = null;
  if (from !== source || document.hidden) return;
  try {
    const isStill = from.kind === "picture";
    if (!isStill || dirty || crossfade.fading) {
      dirty = false;
      await paintFrame(from);
    } else if (thumbnailQueue.length) await paintThumbnail();
    if (cycling && now() - cycling > CYCLE_SECONDS) {
      cycling = now();
      chooseNext(1);
    }
  } catch (error) {
    failed(error);
    // What fails once a frame would flood the page.
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  follow();
}

async function paintFrame(from: Source): Promise<void> {
  if (!grab(from)) return;
  if (plain) {
    show(null);
    return;
  }
  busy = true;
  try {
    const stats = crossfade.at(wantedStats(), settings.fade, now());
    const [width, height] = paintSize();
    const image = await createImageBitmap(shown, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
    const painted = await client.call("paint", { image, look: lookOf(stats), single: false }, [image]);
    if (from !== source) return;
    if (small.width !== width || small.height !== height) [small.width, small.height] = [width, height];
    context(small).putImageData(new ImageData(painted.rgba, width, height), 0, 0);
    show(small);
    count(painted.seconds, width, height, painted.form, from);
    if (thumbnailQueue.length && Math.random() < 0.5) await paintThumbnail();
    queueThumbnails(from);
    void tryGpu();
  } finally {
    busy = false;
  }
}

function count(seconds: number, width: number, height: number, form: string, from: Source): void {
  const time = now();
  const passed = figures.last ? time - figures.last : 0;
  // The first frame also waits for the model.
  if (from.kind !== "picture" && figures.last) adaptive.update(seconds, time);
  else adaptive.start(seconds);
  const rate = passed ? 1 / passed : 0;
  figures = { rate: figures.rate ? 0.9 * figures.rate + 0.1 * rate : rate, last: time, seconds, width, height, form };
  if (!$("figures").hidden) {
    $("figures").textContent = [
      `${figures.rate.toFixed(1)} frames/s, ${(1000 * seconds).toFixed(0)} ms each`,
      `${width}x${height} of ${shown.width}x${shown.height}`,
      form === "webgpu" ? "WebGPU, float32" : `WebAssembly, 1 thread, ${form === "float32" ? form : `8 bits, ${form}`}`,
      gpuWords,
      `${(client.loaded / 1e6).toFixed(1)} MB loaded`,
    ].join("\n");
  }
}

/** Try the GPU once, when the first painting is there; the link's `?gpu=never` leaves it, and `?gpu=always` insists. */
async function tryGpu(): Promise<void> {
  if (gpuTried) return;
  gpuTried = true;
  const wanted = new URLSearchParams(location.search).get("gpu");
  const saves = (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;
  if (wanted === "never" || (saves && wanted !== "always")) {
    gpuWords = "WebGPU: left out";
    return;
  }
  client.onLost = (reason) => {
    gpuWords = `WebGPU: lost (${reason})`;
    say("The GPU is gone; the painting goes on without it.");
    adaptive = new AdaptiveResolution(RATE);
  };
  try {
    gpuWords = await client.call("gpu", { wanted: wanted === "always", stats: wantedStats() });
  } catch (error) {
    gpuWords = `WebGPU: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function queueThumbnails(from: Source): void {
  if (thumbnailsOf === from) return;
  thumbnailsOf = from;
  thumbnailQueue = [...presets];
}

/** Paint what is shown now, small, in the next style that has no such picture yet. */
async function paintThumbnail(): Promise<void> {
  const name = thumbnailQueue.shift()!;
  const [width, height] = THUMBNAIL;
  const image = await createImageBitmap(shown, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
  const look: Look = { stats: styles.get(name)!, strength: 1, stabilise: false, mirror: false, exact: false };
  const { rgba } = await client.call("paint", { image, look, single: true }, [image]);
  context(chips.get(name)!.querySelector("canvas")!).putImageData(new ImageData(rgba, width, height), 0, 0);
}

/** Paint the next frame when it is there. */
function follow(): void {
  if (source && waiting !== source && !document.hidden) {
    const next = (waiting = source);
    next.next(() => void tick(next));
  }
}

async function use(opening: Promise<Source>): Promise<boolean> {
  try {
    const opened = await opening;
    source?.close();
    source = opened;
  } catch (error) {
    failed(error);
    return false;
  }
  $("start").hidden = true;
  adaptive = new AdaptiveResolution(RATE);
  figures = { ...figures, rate: 0, last: 0 };
  dirty = true;
  plain = false;
  say("");
  render();
  follow();
  return true;
}

async function useCamera(): Promise<void> {
  const lost = () => {
    say("The camera is gone: plug it in again, then press Camera. The demo clip plays meanwhile.");
    void useDemo(false);
  };
  say("Waiting for the camera ...");
  const size = select("size").value;
  if (await use(openCamera(select("facing").value, size, lost))) return;
  const reason = $("message").textContent;
  if (!source) {
    await useDemo(false);
    say(`${reason} The demo clip plays meanwhile.`, true);
  }
}

async function useDemo(clears = true): Promise<void> {
  const before = $("message").textContent ?? "";
  if (await use(openVideo("demo.mp4", "clip")) && !clears) say(before, true);
}

async function addStyle(file: File): Promise<void> {
  try {
    const picture = await readPicture(file);
    say(`Looking at ${file.name} ...`);
    const { crop, width, height } = styleSize(picture.width, picture.height);
    const image = await createImageBitmap(picture, crop.left, crop.top, crop.width, crop.height, {
      resizeWidth: width, resizeHeight: height, resizeQuality: "high",
    });
    const name = freeName(file.name.replace(/\.[^.]+$/, "") || "picture");
    const chip = newChip(name);
    context(chip.querySelector("canvas")!).drawImage(picture, 0, 0, ...THUMBNAIL);
    picture.close();
    const stats = await client.call("encode", image, [image]);
    styles.set(name, stats);
    chips.set(name, chip);
    $("strip").prepend(chip);
    select("mix").append(new Option(name, name));
    say(`${file.name} is a style now.`);
    change({ style: name });
  } catch (error) {
    failed(error);
  }
}

function freeName(wanted: string): string {
  let name = wanted;
  for (let n = 2; styles.has(name); n++) name = `${wanted} ${n}`;
  return name;
}

function newChip(name: string): HTMLButtonElement {
  const chip = document.createElement("button");
  chip.type = "button";
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = THUMBNAIL;
  chip.append(canvas, name);
  chip.onclick = () => change({ style: name });
  return chip;
}

function chooseNext(step: number): void {
  const names = [...chips.keys()];
  change({ style: names[(names.indexOf(settings.style) + step + names.length) % names.length] });
}

function change(changes: Partial<Settings>): void {
  settings = { ...settings, ...changes };
  dirty = true;
  if ("style" in changes || "strength" in changes) plain = false;
  const hash = writeHash(settings, presets);
  history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
  render();
}

function render(): void {
  for (const [name, chip] of chips) chip.setAttribute("aria-pressed", String(name === settings.style));
  reveal(chips.get(settings.style));
  const pressed = {
    plain, mirror: settings.mirror, split: settings.split, cycle: cycling > 0, record: recording !== null,
    "show-figures": !$("figures").hidden,
  };
  for (const [id, value] of Object.entries(pressed)) button(id).setAttribute("aria-pressed", String(value));
  button("record").textContent = recording ? "Stop recording" : "Record";
  input("strength").value = String(settings.strength);
  input("stroke").value = String(Math.max(0, STROKES.findLastIndex((stroke) => stroke <= settings.stroke)));
  input("fade").value = String(settings.fade);
  input("share").value = String(settings.share);
  input("share").disabled = !settings.mix;
  input("stabilise").checked = settings.stabilise;
  input("exact").checked = settings.exact;
  select("mix").value = settings.mix;
  $("strength-value").textContent = settings.strength.toFixed(1);
  $("stroke-value").textContent = `${settings.stroke} times`;
  $("fade-value").textContent = `${settings.fade.toFixed(1)} s`;
  $("share-value").textContent = settings.mix ? `${Math.round(100 * settings.share)} %` : "";
  for (const id of ["snapshot", "record"]) button(id).disabled = !source;
}

/** Scroll the strip, and nothing but it, to a style. */
function reveal(chip: HTMLElement | undefined): void {
  if (!chip) return;
  const [outer, inner] = [$("strip").getBoundingClientRect(), chip.getBoundingClientRect()];
  if (inner.left < outer.left) $("strip").scrollLeft += inner.left - outer.left;
  else if (inner.right > outer.right) $("strip").scrollLeft += inner.right - outer.right;
}

function snapshot(): void {
  stage.toBlob((blob) => {
    if (!blob) return say("The picture could not be saved.", true);
    const name = fileName("png");
    download(blob, name);
    return say(`Saved ${name}.`);
  }, "image/png");
}

async function record(): Promise<void> {
  try {
    if (recording) {
      const ending = recording;
      recording = null;
      await ending.stop();
      say("The recording is saved.");
    } else {
      recording = await Recording.start(stage, input("sound").checked);
      say("Recording: press Stop recording to save it.");
    }
  } catch (error) {
    failed(error);
  }
  render();
}

async function fullScreen(): Promise<void> {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await viewer.requestFullscreen();
  } catch {
    say("This browser has no full screen for pages.", true);
  }
}

async function copyLink(): Promise<void> {
  const ownStyle = styles.size && !presets.includes(settings.style);
  try {
    await navigator.clipboard.writeText(location.href);
    say(ownStyle ? "Copied a link; your own picture is not part of it." : "Copied a link that holds these settings.");
  } catch {
    say(`The link: ${location.href}`);
  }
}

const ACTIONS: Record<Action, (key: string) => void> = {
  style: (key) => {
    const name = [...chips.keys()][Number(key) - 1];
    if (name) change({ style: name });
  },
  next: () => chooseNext(1),
  previous: () => chooseNext(-1),
  cycle: () => {
    cycling = cycling ? 0 : now();
    render();
  },
  plain: () => {
    plain = !plain;
    dirty = true;
    void client.call("reset", null);
    render();
  },
  stronger: () => change({ strength: steppedTenth(settings.strength, 1) }),
  weaker: () => change({ strength: steppedTenth(settings.strength, -1) }),
  broader: () => change({ stroke: steppedStroke(settings.stroke, 1) }),
  finer: () => change({ stroke: steppedStroke(settings.stroke, -1) }),
  moreMixed: () => change({ share: steppedTenth(settings.share, -1) }),
  moreStyle: () => change({ share: steppedTenth(settings.share, 1) }),
  fade: () => change({ fade: settings.fade ? 0 : 0.6 }),
  stabilise: () => change({ stabilise: !settings.stabilise }),
  mirror: () => change({ mirror: !settings.mirror }),
  split: () => change({ split: !settings.split }),
  snapshot: () => {
    if (source) snapshot();
  },
  record: () => {
    if (source) void record();
  },
  fullScreen: () => void fullScreen(),
  link: () => void copyLink(),
  figures: () => {
    $("figures").hidden = !$("figures").hidden;
    render();
  },
};

function listen(): void {
  const clicks: Record<string, Action> = {
    plain: "plain", mirror: "mirror", split: "split", cycle: "cycle", "full-screen": "fullScreen",
    snapshot: "snapshot", record: "record", link: "link", "show-figures": "figures",
  };
  for (const [id, action] of Object.entries(clicks)) button(id).onclick = () => ACTIONS[action]("");
  for (const id of ["start-camera", "camera"]) button(id).onclick = () => void useCamera();
  for (const id of ["start-demo", "demo"]) button(id).onclick = () => void useDemo();
  for (const id of ["facing", "size"]) {
    select(id).onchange = () => {
      if (source?.kind === "camera") void useCamera();
    };
  }
  const pick = (opener: string, picker: string, take: (file: File) => void) => {
    button(opener).onclick = () => input(picker).click();
    input(picker).onchange = () => {
      const file = input(picker).files?.[0];
      input(picker).value = "";
      if (file) take(file);
    };
  };
  pick("open", "file", (file) => void use(openFile(file)));
  pick("add-style", "style-file", (file) => void addStyle(file));
  for (const id of ["strength", "fade", "share"] as const) {
    input(id).oninput = () => change({ [id]: Number(input(id).value) });
  }
  input("stroke").oninput = () => change({ stroke: STROKES[Number(input("stroke").value)] });
  for (const id of ["stabilise", "exact"] as const) input(id).onchange = () => change({ [id]: input(id).checked });
  select("mix").onchange = () => change({ mix: select("mix").value });

  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const action = actionOf(event);
    if (!action || !styles.size || target.matches("select, input:not([type=range], [type=checkbox])")) return;
    event.preventDefault();
    ACTIONS[action](event.key);
  });
  document.addEventListener("visibilitychange", () => {
    source?.pause(document.hidden);
    figures.last = 0;
    dirty = true;
    follow();
  });
  addEventListener("hashchange", () => {
    settings = readHash(location.hash, presets);
    dirty = true;
    render();
  });

  let touched: number | null = null;
  viewer.addEventListener("pointerdown", (event) => (touched = event.pointerType === "touch" ? event.clientX : null));
  viewer.addEventListener("pointerup", (event) => {
    const moved = touched === null ? 0 : event.clientX - touched;
    if (Math.abs(moved) > SWIPE_PIXELS && styles.size) chooseNext(moved < 0 ? 1 : -1);
    touched = null;
  });

  const drops: [string, (file: File) => void][] = [
    // A picture on the strip is a style, and everything else is painted.
    ["styles", (file) => void addStyle(file)],
    ["viewer", (file) => void use(openFile(file))],
  ];
  for (const [id, take] of drops) {
    $(id).addEventListener("dragover", () => $(id).classList.add("over"));
    $(id).addEventListener("dragleave", () => $(id).classList.remove("over"));
    $(id).addEventListener("drop", (event) => {
      $(id).classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (file) take(file);
    });
  }
  // Elsewhere a drop would leave the page.
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());

  for (const { keys, help } of KEYMAP) {
    const term = document.createElement("dt");
    term.textContent = keys.length > 2 ? `${keys[0]}-${keys.at(-1)}` : keys.join(" ");
    const what = document.createElement("dd");
    what.textContent = help;
    $("keys").append(term, what);
  }
}

async function readPresets(): Promise<void> {
  const response = await fetch("models/presets.json");
  if (!response.ok) throw new Error(`The styles could not be downloaded (${response.status}): reload the page.`);
  const found: Record<string, number[]> = await response.json();
  for (const [name, values] of Object.entries(found)) {
    styles.set(name, Float32Array.from(values));
    const chip = newChip(name);
    chips.set(name, chip);
    $("strip").append(chip);
    select("mix").append(new Option(name, name));
  }
  presets = Object.keys(found);
}

async function begin(): Promise<void> {
  const starts = ["start-camera", "start-demo", "camera", "demo", "open", "add-style"];
  for (const id of starts) button(id).disabled = true;
  listen();
  if (!hasSimd()) {
    say("This browser lacks WebAssembly with SIMD, which the painting needs: take one of 2023 or later.", true);
    return;
  }
  if (!window.isSecureContext) {
    say("The address of this page is neither https nor of this machine itself (localhost), and so it cannot run.", true);
    return;
  }
  try {
    await readPresets();
  } catch (error) {
    failed(error);
    return;
  }
  settings = readHash(location.hash, presets);
  for (const id of starts) button(id).disabled = false;
  render();
  // The model is there when a visitor clicks; only then come the files for working offline.
  client.call("open", null).then(() => navigator.serviceWorker?.register("sw.js").catch(() => undefined), failed);
}

declare global {
  interface Window {
    /** For the console and for tests. */
    livestyle: { client: Client; styles: Map<string, Stats>; figures: () => typeof figures; isBusy: () => boolean; gpu: () => string };
  }
}
window.livestyle = { client, styles, figures: () => figures, isBusy: () => busy, gpu: () => gpuWords };

void begin();
