// npm run bench: what a painting takes in Chromium, and how long a visitor waits for the first one.
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "@playwright/test";

import { browser, launch, served } from "./server.mjs";

const ROUNDS = 3;

/** Milliseconds of each form at 320x180, in turns, so that a busy moment falls on all of them. */
async function forms(page, rounds) {
  return page.evaluate(async (turns) => {
    const { client, styles } = window.livestyle;
    await client.call("open", null);
    const [width, height] = [320, 180];
    const found = {};
    for (let turn = 0; turn < turns; turn++) {
      for (const [form, exact, stabilise, frames] of [["constant", false, true, 45], ["computed", false, false, 20], ["float32", true, false, 10]]) {
        await client.call("reset", null);
        for (let n = 0; n < frames; n++) {
          const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
          for (let i = 0; i < rgba.length; i++) {
            const [x, y] = [(i >> 2) % width, Math.floor((i >> 2) / width)];
            if (i % 4 < 3) rgba[i] = 128 + 90 * Math.sin(x / 17 + (i % 4)) * Math.cos(y / 23 + n / 80) + ((i * 7919 + n * 31) % 9);
          }
          const look = { stats: styles.get("starry-night"), strength: 1, sharpness: 0, stabilise, mirror: false, exact };
          const painted = await client.call("paint", { image: { rgba, width, height }, look, single: false });
          if (painted.form === form) (found[form] ??= []).push(1000 * painted.seconds);
        }
      }
    }
    return found;
  }, rounds);
}

/** The demo clip at half its size, 320x180, for some seconds. */
async function live(page, url) {
  await page.goto(`${url}?gpu=never#stroke=2`);
  await page.getByRole("button", { name: "Paint the demo clip" }).click();
  await page.waitForFunction(() => window.livestyle.figures().form === "constant", null, { timeout: 120_000 });
  return page.evaluate(async () => {
    const [begin, counted] = [performance.now(), new Set()];
    const { seconds, turn } = { seconds: [], turn: [] };
    while (performance.now() - begin < 10_000) {
      await new Promise((resolve) => setTimeout(resolve, 4));
      const { last, ...figures } = window.livestyle.figures();
      if (counted.has(last)) continue;
      counted.add(last);
      seconds.push(1000 * figures.seconds);
      turn.push(1000 * figures.turn);
    }
    const { width, height } = window.livestyle.figures();
    return { rate: counted.size / 10, seconds, turn, size: `${width}x${height}` };
  });
}

/** Seconds from the click to the first painting, where the click comes so many seconds after the page was asked for. */
async function first(context, url, wait) {
  const page = await context.newPage();
  const asked = Date.now();
  await page.goto(url);
  await page.waitForTimeout(Math.max(0, 1000 * wait - (Date.now() - asked)));
  const clicked = Date.now();
  await page.getByRole("button", { name: "Paint the demo clip" }).click();
  await page.waitForFunction(() => window.livestyle.figures().last > 0, null, { timeout: 120_000, polling: 10 });
  const seconds = (Date.now() - clicked) / 1000;
  await page.close();
  return seconds;
}

const show = (times) => {
  const sorted = [...times].sort((a, b) => a - b);
  return `least ${sorted[0].toFixed(1)} ms, median ${sorted[sorted.length >> 1].toFixed(1)} ms (${sorted.length} frames)`;
};

await served(async (url) => {
  console.log(`load of the machine (1 minute): ${loadavg()[0].toFixed(1)}`);
  const chrome = await browser();
  console.log(`Chromium ${chrome.version()}`);
  const page = await chrome.newPage();
  await page.goto(`${url}?gpu=never`);
  await page.waitForFunction(() => window.livestyle.styles.size > 0);
  for (const [form, times] of Object.entries(await forms(page, ROUNDS))) console.log(`${form} 320x180: ${show(times)}`);
  const { rate, seconds, turn, size } = await live(await chrome.newPage(), url);
  console.log(`demo clip (25 frames/s) at ${size}: ${rate.toFixed(1)} frames/s`);
  console.log(`  in the worker: ${show(seconds)}`);
  console.log(`  from asking to showing: ${show(turn)}`);
  await chrome.close();
  const profile = mkdtempSync(join(tmpdir(), "livestyle-web-"));
  try {
    const open = () => chromium.launchPersistentContext(profile, launch());
    let context = await open();
    console.log(`first visit, click at once: ${(await first(context, url, 0)).toFixed(1)} s to the first painting`);
    const waiting = await context.newPage();
    await waiting.goto(url);
    // Not its controller: a page that was asked for just before the worker was active may stay without one.
    const kept = async () => !!(await navigator.serviceWorker.getRegistration())?.active;
    await waiting.waitForFunction(kept, null, { timeout: 120_000, polling: 100 });
    await context.close();
    context = await open();
    console.log(`warm cache, click at once: ${(await first(context, url, 0)).toFixed(1)} s`);
    console.log(`warm cache, click after 3 s: ${(await first(context, url, 3)).toFixed(1)} s`);
    await context.close();
  } finally {
    rmSync(profile, { recursive: true });
  }
  console.log(`load of the machine (1 minute): ${loadavg()[0].toFixed(1)}`);
});
