import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { AxeBuilder } from "@axe-core/playwright";
import { type BrowserContext, chromium, expect, type Page, test as base } from "@playwright/test";

/** A page that logs no error, such as a violation of its policy, and asks no other host for anything. */
const test = base.extend<{ faults: string[] }>({
  faults: [
    async ({ page, baseURL }, use) => {
      const faults: string[] = [];
      page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("request", (request) => {
        const address = request.url();
        if (!/^(blob|data):/.test(address) && !address.startsWith(baseURL!)) faults.push(address);
      });
      await use(faults);
      expect(faults).toEqual([]);
    },
    { auto: true },
  ],
});

const CLIP = fileURLToPath(new URL("../../assets/demo.mp4", import.meta.url));

const message = (page: Page) => page.locator("#message");

/** Wait until so many frames more have been painted. */
async function painted(page: Page, frames = 1): Promise<void> {
  for (let n = 0; n < frames; n++) {
    const before = await page.evaluate(() => window.livestyle.figures().last);
    await page.waitForFunction((last) => window.livestyle.figures().last > last, before, { timeout: 60_000 });
  }
}

async function demo(page: Page, hash = ""): Promise<void> {
  await page.goto(`./${hash}`);
  await page.getByRole("button", { name: "Paint the demo clip" }).click();
  await painted(page);
}

/** How much the pixels of the painting vary. */
function contrast(page: Page): Promise<number> {
  return page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>("#stage")!;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    let [sum, squares, count] = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4, count++) {
      sum += data[i];
      squares += data[i] ** 2;
    }
    return Math.sqrt(squares / count - (sum / count) ** 2);
  });
}

/** A PNG of stripes, as a file to choose. */
async function picture(page: Page, name: string, width: number, height: number) {
  const data = await page.evaluate(
    ([w, h]) => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [w, h];
      const draw = canvas.getContext("2d")!;
      for (let x = 0; x < w; x += 10) {
        draw.fillStyle = `hsl(${x} 80% ${30 + (x % 50)}%)`;
        draw.fillRect(x, 0, 10, h);
      }
      return canvas.toDataURL("image/png").split(",")[1];
    },
    [width, height],
  );
  return { name, mimeType: "image/png", buffer: Buffer.from(data, "base64") };
}

test("a camera is painted", async ({ page }) => {
  await page.goto("./");
  await page.getByRole("button", { name: "Paint my camera" }).click();
  await painted(page, 3);
  expect(await contrast(page)).toBeGreaterThan(10);
  await expect(message(page)).toHaveText("");
});

test("the demo clip is painted, and comes to the constant form", async ({ page }) => {
  await demo(page);
  await page.waitForFunction(() => window.livestyle.figures().form === "constant");
  expect(await contrast(page)).toBeGreaterThan(20);
  await page.getByRole("button", { name: "Figures" }).click();
  await expect(page.locator("#figures")).toContainText("WebAssembly, 1 thread, 8 bits");
});

test("a picture is painted at its shape, and another as a style", async ({ page }) => {
  await page.goto("./");
  await page.locator("#file").setInputFiles(await picture(page, "photo.png", 300, 200));
  await painted(page);
  await expect(page.locator("#stage")).toHaveJSProperty("width", 300);
  await page.locator("#style-file").setInputFiles(await picture(page, "stripes.png", 640, 500));
  await expect(page.locator("#strip button").first()).toHaveAttribute("aria-checked", "true");
  await expect(page.locator("#strip button").first()).toContainText("stripes");
  await painted(page);
  expect(page.url()).not.toContain("stripes");
});

test("a dropped picture is painted, or becomes a style on the strip, and a banner is no trouble", async ({ page }) => {
  await page.goto("./");
  const drop = async (on: string, name: string, width: number, height: number) => {
    const { buffer } = await picture(page, name, width, height);
    const data = await page.evaluateHandle(
      ([text, called]) => {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], called, { type: "image/png" }));
        return transfer;
      },
      [buffer.toString("base64"), name],
    );
    await page.dispatchEvent(on, "drop", { dataTransfer: data });
  };
  await drop("#viewer", "banner.png", 4000, 12);
  await painted(page);
  await expect(page.locator("#stage")).toHaveJSProperty("width", 1280);
  await drop("#styles", "dropped.png", 600, 500);
  await expect(page).toHaveURL(/\/$/);
  await expect(message(page)).toContainText("dropped.png is a style now.");
});

test("a swipe on touch goes to the next style", async ({ page }) => {
  await page.goto("./");
  await expect(page.locator("#strip button").first()).toHaveAttribute("aria-checked", "true");
  await page.dispatchEvent("#viewer", "pointerdown", { pointerType: "touch", clientX: 200 });
  await page.dispatchEvent("#viewer", "pointerup", { pointerType: "touch", clientX: 90 });
  await expect(page).toHaveURL(/style=starry-night/);
});

test("a file that is no picture or video is one sentence", async ({ page }) => {
  await page.goto("./");
  const broken = Buffer.from("nothing that can be seen");
  await page.locator("#file").setInputFiles({ name: "broken.png", mimeType: "image/png", buffer: broken });
  await expect(message(page)).toContainText("broken.png is no picture that this browser can read");
  await page.locator("#file").setInputFiles({ name: "broken.mp4", mimeType: "video/mp4", buffer: broken });
  await expect(message(page)).toContainText("broken.mp4 cannot be played by this browser");
  await page.locator("#file").setInputFiles({ name: "IMG_1.HEIC", mimeType: "", buffer: broken });
  await expect(message(page)).toContainText("IMG_1.HEIC is a HEIC picture, which this browser cannot read");
  await page.locator("#style-file").setInputFiles({ name: "broken.jpg", mimeType: "image/jpeg", buffer: broken });
  await expect(message(page)).toContainText("broken.jpg is no picture");
});

test("keys change the painting, and a link holds what they changed", async ({ page }) => {
  await demo(page);
  for (const key of ["2", "m", "v", "-", "-", ".", "x"]) await page.keyboard.press(key);
  await expect(page).toHaveURL(/#style=starry-night&strength=0.8&stroke=1.5&fade=0&mirror=1&split=1$/);
  await painted(page, 2);
  await expect(page.locator("#stage")).toHaveJSProperty("width", 1280);
  await page.reload();
  await expect(page.getByRole("button", { name: "Mirror" })).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("#strength-value")).toHaveText("0.8");
  await page.keyboard.press("n");
  await expect(page).toHaveURL(/style=scream/);
});

test("it can be used by the keyboard alone: styles are one stop, and arrows go through them", async ({ page }) => {
  await page.goto("./");
  await page.getByRole("button", { name: "Paint the demo clip" }).focus();
  await page.keyboard.press("Enter");
  await painted(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("radio", { name: "two horses" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("radio", { name: "starry night" })).toBeFocused();
  await expect(page.getByRole("radio", { name: "starry night" })).toBeChecked();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Plain" })).toBeFocused();
});

test("going back to the page, it can be used as before", async ({ page }) => {
  await demo(page, "#style=scream");
  await page.goto("about:blank");
  await page.goBack();
  await expect(page.getByRole("radio", { name: "scream" })).toBeChecked();
  const start = page.getByRole("button", { name: "Paint the demo clip" });
  if (await start.isVisible()) await start.click();
  await painted(page, 2);
});

test("the plain picture is no painting", async ({ page }) => {
  await demo(page);
  await page.keyboard.press("0");
  await expect(page.getByRole("button", { name: "Plain" })).toHaveAttribute("aria-pressed", "true");
  await page.waitForFunction(() => !window.livestyle.isBusy());
  const last = await page.evaluate(() => window.livestyle.figures().last);
  await page.waitForTimeout(500);
  expect(await page.evaluate(() => window.livestyle.figures().last)).toBe(last);
});

test("a snapshot is a PNG, and a recording a video of one size, of a picture too", async ({ page }) => {
  await page.goto("./");
  await page.locator("#file").setInputFiles(await picture(page, "photo.png", 301, 201));
  await painted(page);
  let downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Snapshot" }).click();
  let file = await downloading;
  expect(file.suggestedFilename()).toMatch(/^livestyle-[\d-]+\.png$/);
  expect(statSync(await file.path()).size).toBeGreaterThan(10_000);
  await page.getByRole("button", { name: "Record", exact: true }).click();
  await page.waitForTimeout(800);
  // The canvas gets another shape, and the page is hidden for a while.
  await page.keyboard.press("v");
  await hide(page, true);
  await hide(page, false);
  await expect(message(page)).toContainText("The recording left out the time while this page was hidden.");
  await page.waitForTimeout(800);
  downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Stop recording" }).click();
  file = await downloading;
  expect(file.suggestedFilename()).toMatch(/\.(mp4|webm)$/);
  const sizes = execFileSync("ffprobe", [
    "-v", "error", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0", await file.path(),
  ]).toString().trim().split(/\s+/);
  expect(sizes.length).toBeGreaterThan(8);
  expect(new Set(sizes)).toEqual(new Set(["300,200"]));
});

function hide(page: Page, hidden: boolean): Promise<void> {
  return page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

test("a hidden tab paints nothing, and goes on when it is shown", async ({ page }) => {
  await demo(page);
  await hide(page, true);
  await page.waitForFunction(() => !window.livestyle.isBusy());
  const last = await page.evaluate(() => window.livestyle.figures().last);
  await page.waitForTimeout(1000);
  expect(await page.evaluate(() => window.livestyle.figures().last)).toBe(last);
  await hide(page, false);
  await painted(page);
});

test("a painting with the source's colours is grey where the source is, and is the program's", async ({ page }) => {
  await page.goto("./#color=content");
  await page.locator("#file").setInputFiles({ name: "grey.png", mimeType: "image/png", buffer: await greyPicture(page) });
  await painted(page);
  const largest = () =>
    page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>("#stage")!;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      let most = 0;
      for (let i = 0; i < data.length; i += 4) most = Math.max(most, Math.abs(data[i] - data[i + 2]));
      return most;
    });
  expect(await largest()).toBeLessThanOrEqual(2);
  await page.keyboard.press("c");
  await expect(page.locator("#color")).toHaveValue("match");
  await painted(page);
  expect(await largest()).toBeGreaterThan(20);
  // What the canvas does with colours is within rounding what `keep_colors` does.
  const difference = await page.evaluate(
    ({ width, height, colors: { content, style, kept } }) => {
      const bytes = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const canvasOf = (text: string) => {
        const canvas = new OffscreenCanvas(width, height);
        const image = new ImageData(width, height);
        const bgr = bytes(text);
        for (let i = 0; i < width * height; i++) image.data.set([bgr[3 * i + 2], bgr[3 * i + 1], bgr[3 * i], 255], 4 * i);
        canvas.getContext("2d")!.putImageData(image, 0, 0);
        return canvas;
      };
      const canvas = canvasOf(content);
      const draw = canvas.getContext("2d")!;
      draw.globalCompositeOperation = "luminosity";
      draw.drawImage(canvasOf(style), 0, 0);
      const { data } = draw.getImageData(0, 0, width, height);
      return bytes(kept).reduce((most, level, i) => Math.max(most, Math.abs(level - data[4 * Math.floor(i / 3) + 2 - (i % 3)])), 0);
    },
    JSON.parse(readFileSync(fileURLToPath(new URL("vectors.json", import.meta.url)), "utf8")),
  );
  expect(difference).toBeLessThanOrEqual(3);
});

async function greyPicture(page: Page): Promise<Buffer> {
  const data = await page.evaluate(() => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [160, 120];
    const draw = canvas.getContext("2d")!;
    for (let x = 0; x < 160; x += 8) {
      draw.fillStyle = `rgb(${x} ${x} ${x})`;
      draw.fillRect(x, (x * 7) % 60, 8, 90);
    }
    return canvas.toDataURL("image/png").split(",")[1];
  });
  return Buffer.from(data, "base64");
}

test("a picture too large is refused before it is decoded", async ({ page }) => {
  await page.goto("./");
  const huge = execFileSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "color=size=12000x9000", "-frames:v", "1",
    "-pix_fmt", "monob", "-c:v", "png", "-f", "image2pipe", "-"], { maxBuffer: 1 << 26 });
  await page.locator("#file").setInputFiles({ name: "huge.png", mimeType: "image/png", buffer: huge });
  await expect(message(page)).toContainText("huge.png is too large (12000x9000): 100 megapixels are the most.");
});

test("a style picture gets the source's colours, and one of a single pixel is a style too", async ({ page }) => {
  await page.goto("./#color=match");
  await page.locator("#file").setInputFiles(await picture(page, "photo.png", 200, 150));
  await painted(page);
  await page.locator("#style-file").setInputFiles(await picture(page, "dot.png", 1, 1));
  await expect(message(page)).toContainText("dot.png is a style now.");
  // Once as it is, and once matched.
  await painted(page, 2);
});

test("a video without sound that is turned is painted upright", async ({ page }, info) => {
  const [flat, turned] = ["flat.mp4", "turned.mp4"].map((name) => info.outputPath(name));
  execFileSync("ffmpeg", ["-v", "error", "-i", CLIP, "-t", "1", "-an", "-vf", "scale=160:90", flat]);
  execFileSync("ffmpeg", ["-v", "error", "-i", flat, "-c", "copy", "-metadata:s:v", "rotate=90", turned]);
  await page.goto("./");
  await page.locator("#file").setInputFiles(turned);
  await painted(page);
  expect(await page.evaluate(() => document.querySelector<HTMLCanvasElement>("#stage")!.width)).toBe(90);
});

test("a camera that is unplugged leaves its last picture, and comes back by itself", async ({ page }) => {
  await page.addInitScript(() => {
    const { mediaDevices } = navigator;
    const open = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      (window as unknown as { track: MediaStreamTrack }).track = stream.getVideoTracks()[0];
      return stream;
    };
  });
  await page.goto("./");
  await page.getByRole("button", { name: "Paint my camera" }).click();
  await painted(page);
  await page.evaluate(() => {
    const { track } = window as unknown as { track: MediaStreamTrack };
    track.stop();
    track.dispatchEvent(new Event("ended"));
  });
  await expect(message(page)).toContainText("The camera is gone: plug it in");
  await page.evaluate(() => navigator.mediaDevices.dispatchEvent(new Event("devicechange")));
  await expect(message(page)).toHaveText("");
  await painted(page, 2);
});

test("what could not be downloaded is tried again with the next click", async ({ page, faults }) => {
  await page.route("**/stylize.int8.onnx", (route) => route.abort());
  await page.goto("./");
  await expect(message(page)).toContainText("stylize.int8.onnx could not be downloaded: are you connected?");
  await page.unroute("**/stylize.int8.onnx");
  await page.getByRole("button", { name: "Paint the demo clip" }).click();
  await painted(page);
  // The browser's own words about the download.
  expect(faults.splice(0).every((fault) => fault.includes("ERR_FAILED"))).toBe(true);
});

test("a browser that does not tell of a video's frames paints them", async ({ page }) => {
  await page.addInitScript(() => Reflect.deleteProperty(HTMLVideoElement.prototype, "requestVideoFrameCallback"));
  await demo(page);
  await painted(page, 3);
});

test("a browser that blocks storage paints all the same", async ({ page }) => {
  await page.addInitScript(() => {
    const blocked = () => Promise.reject(new DOMException("blocked", "SecurityError"));
    navigator.serviceWorker.register = blocked;
    Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("blocked", "SecurityError"); } });
  });
  await demo(page);
  await expect(message(page)).toHaveText("");
});

test("a damaged model is noticed", async ({ page }) => {
  await page.route("**/stylize.int8.onnx", (route) => route.fulfill({ body: "nothing" }));
  await page.goto("./");
  await expect(message(page)).toContainText("stylize.int8.onnx is damaged, or of another version");
});

test("without WebAssembly SIMD the page says what is missing", async ({ page }) => {
  await page.addInitScript(() => (WebAssembly.validate = () => false));
  await page.goto("./");
  await expect(message(page)).toContainText("lacks WebAssembly with SIMD");
});

for (const [name, words] of [
  ["NotAllowedError", "The camera was not allowed."],
  ["NotFoundError", "No camera was found."],
  ["NotReadableError", "another program may be using it"],
]) {
  test(`without a camera (${name}) the demo clip plays`, async ({ page }) => {
    await page.addInitScript((error) => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", error));
    }, name);
    await page.goto("./");
    await page.getByRole("button", { name: "Paint my camera" }).click();
    await expect(message(page)).toContainText(words);
    await expect(message(page)).toContainText("The demo clip plays meanwhile.");
    await painted(page);
  });
}

for (const [device, width, height] of [["phone", 360, 740], ["desktop", 1440, 900]] as const) {
  test(`${device}: it can be used by everybody, light and dark, and nothing lies beside the screen`, async ({ page }) => {
    await page.setViewportSize({ width, height });
    await demo(page);
    await page.waitForTimeout(1500);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `test-results/${device}-${colorScheme}.png`, fullPage: true });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)])).toEqual([]);
    }
    // The narrowest that is sold.
    await page.setViewportSize({ width: 280, height });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(280);
  });
}

base("it works without a connection after the first visit", async ({ baseURL }, info) => {
  // A context that keeps its caches, as a visitor's browser does.
  const context: BrowserContext = await chromium.launchPersistentContext(info.outputPath("profile"), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  const page = await context.newPage();
  await page.goto(baseURL!);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null, null, { timeout: 60_000 });
  await context.setOffline(true);
  await page.reload();
  await page.getByRole("button", { name: "Paint the demo clip" }).click();
  await painted(page);
  await page.locator("#style-file").setInputFiles(await picture(page, "stripes.png", 600, 600));
  await expect(message(page)).toContainText("stripes.png is a style now.");
  await context.close();
});

base("the files for working offline come where the demo clip does not load", async ({ page, baseURL }) => {
  await page.addInitScript(() => {
    Object.defineProperty(HTMLMediaElement.prototype, "src", { set: () => undefined });
  });
  await page.goto(baseURL!);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null, null, { timeout: 60_000 });
});

base("a GPU is used after it has painted the same, and where it is lost WebAssembly goes on", async ({ baseURL }) => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // A GPU in software: too slow to be used by itself, and the same to the page.
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"],
  });
  const page = await browser.newPage();
  await page.goto(`${baseURL}?gpu=always`);
  const [worker] = await Promise.all([page.workers()[0] ?? page.waitForEvent("worker"), painted(page, 0)]);
  await worker.evaluate(() => {
    const { GPUAdapter } = globalThis as unknown as { GPUAdapter: { prototype: { requestDevice: Function } } };
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (...given: unknown[]) {
      return ((globalThis as { device?: unknown }).device = await requestDevice.apply(this, given));
    };
  });
  await page.locator("#file").setInputFiles(await picture(page, "photo.png", 100, 64));
  await page.waitForFunction(() => window.livestyle.gpu() === "WebGPU: in use", null, { timeout: 100_000 });
  await page.keyboard.press("n");
  await page.waitForFunction(() => window.livestyle.figures().form === "webgpu", null, { timeout: 60_000 });
  await worker.evaluate(() => (globalThis as unknown as { device: { destroy(): void } }).device.destroy());
  await expect(message(page)).toContainText("The GPU is gone; the painting goes on without it.");
  await page.keyboard.press("n");
  await page.waitForFunction(() => window.livestyle.figures().form === "computed");
  await browser.close();
});
