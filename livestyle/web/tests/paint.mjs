// Paints frames in Chromium, for tests/web/test_web.py: node paint.mjs URL ASKED.json; prints the paintings' BGR bytes in
// base64, the first frame as a single picture and then all of them as a sequence.
import { readFileSync } from "node:fs";

import { chromium } from "@playwright/test";

const [url, file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(() => window.livestyle?.styles.size > 0);
  const painted = await page.evaluate(async ({ frames, width, height, style, strength, exact }) => {
    const { client, styles } = window.livestyle;
    const paint = async (text, stabilise) => {
      const bgr = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
      for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) rgba[4 * i + c] = bgr[3 * i + 2 - c];
      const look = { stats: styles.get(style), strength, sharpness: 0, stabilise, mirror: false, exact };
      const answer = await client.call("paint", { image: { rgba, width, height }, look, single: !stabilise });
      let letters = "";
      for (let i = 0; i < width * height; i++) {
        for (let c = 0; c < 3; c++) letters += String.fromCharCode(answer.rgba[4 * i + 2 - c]);
      }
      return btoa(letters);
    };
    const results = [await paint(frames[0], false)];
    for (const frame of frames) results.push(await paint(frame, true));
    return results;
  }, JSON.parse(readFileSync(file, "utf8")));
  console.log(JSON.stringify(painted));
} finally {
  await browser.close();
}
