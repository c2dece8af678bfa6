#!/usr/bin/env bash
# Software: Chromium 156 (Debian 12), driven by playwright-core 1.65.1; ffprobe of FFmpeg 5.1.
# Behaviour: MediaRecorder on canvas.captureStream(30) of a canvas that nobody draws on for three seconds makes a video of one
#   frame that lasts for less than a tenth of a second: 30 is the most, not the rate, and time without a new frame is not
#   part of the file. Drawing the same pixels again, which changes nothing, makes a frame each time, and the file has its
#   three seconds. So what records a painting of a still picture has to draw it over and over.
# Output: frames and seconds of both files; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund playwright-core@1.65.1
cat > record.mjs <<'JS'
import { writeFileSync } from "node:fs";

import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
console.log(`Chromium ${browser.version()}`);
const page = await browser.newPage();
for (const redrawn of [false, true]) {
  const text = await page.evaluate(async (again) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 180];
    const draw = canvas.getContext("2d");
    const paint = () => {
      draw.fillStyle = "teal";
      draw.fillRect(0, 0, 320, 180);
    };
    paint();
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: "video/mp4" });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const timer = again ? setInterval(paint, 33) : 0;
    recorder.start();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    clearInterval(timer);
    await new Promise((resolve) => {
      recorder.onstop = resolve;
      recorder.stop();
    });
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }, redrawn);
  writeFileSync(redrawn ? "redrawn.mp4" : "still.mp4", Buffer.from(text, "base64"));
}
await browser.close();
JS
node record.mjs
frames() { ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0 "$1"; }
seconds() { ffprobe -v error -show_entries format=duration -of csv=p=0 "$1"; }
for file in still.mp4 redrawn.mp4; do echo "$file: $(frames $file) frames, $(seconds $file) s"; done
[ "$(frames still.mp4)" -le 2 ] && [ "$(frames redrawn.mp4)" -ge 10 ] &&
    awk -v still="$(seconds still.mp4)" -v redrawn="$(seconds redrawn.mp4)" 'BEGIN { exit !(still < 0.2 && redrawn > 2) }'
