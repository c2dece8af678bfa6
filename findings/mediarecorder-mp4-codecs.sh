#!/usr/bin/env bash
# Software: Chromium 156 (Debian 12), driven by playwright-core 1.65.1.
# Behaviour: MediaRecorder of this Chromium says no to MP4 with H.264 and AAC, the pair that everything plays, and yes to
#   H.264 with Opus. Asked for "video/mp4" alone it takes VP9, although it can do H.264. So a page that tries
#   "avc1...,mp4a.40.2" and falls back to "video/mp4" records VP9 in MP4 without wanting it; it has to name H.264 with Opus,
#   or without sound, in between.
# Output: the answers, and the type that a recorder has taken; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund playwright-core@1.65.1
cat > types.mjs <<'JS'
import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
console.log(`Chromium ${browser.version()}`);
const page = await browser.newPage();
const found = await page.evaluate(async () => {
  const types = ["avc1.42E01F,mp4a.40.2", "avc1.42E01F,opus", "avc1.42E01F", "vp9,opus"].map((codecs) => `video/mp4;codecs=${codecs}`);
  const canvas = document.createElement("canvas");
  const draw = canvas.getContext("2d");
  const taken = {};
  for (const mimeType of ["video/mp4", "video/mp4;codecs=avc1.42E01F"]) {
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType });
    recorder.start();
    for (let n = 0; n < 20; n++) {
      draw.fillRect(0, 0, n, n);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    taken[mimeType] = recorder.mimeType;
    recorder.stop();
  }
  return { answers: Object.fromEntries(types.map((type) => [type, MediaRecorder.isTypeSupported(type)])), taken };
});
console.log(found);
await browser.close();
const [aac, opus] = Object.values(found.answers);
process.exitCode = !aac && opus && found.taken["video/mp4"].includes("vp9") ? 0 : 1;
JS
node types.mjs
