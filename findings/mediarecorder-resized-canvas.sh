#!/usr/bin/env bash
# Software: Chromium 156 (Debian 12), driven by playwright-core 1.65.1; ffprobe of FFmpeg 5.1.
# Behaviour: where a canvas gets another size while MediaRecorder records its stream, nothing is told: no error event, no
#   stop. The file goes on with frames of the new size, while its header keeps the first one: MP4 and WebM alike hold
#   frames of two sizes, which most players and editors stretch or refuse. So a recording has to be made of a copy that
#   keeps its size.
# Output: the size in the header and the sizes of the frames; the exit code is 1 where the behaviour has changed.
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
for (const [name, mimeType] of [["resized.mp4", "video/mp4"], ["resized.webm", "video/webm;codecs=vp8"]]) {
  const { text, events } = await page.evaluate(async (type) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 180];
    const draw = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: type });
    const [parts, told] = [[], []];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onerror = () => told.push("error");
    recorder.onstop = () => told.push("stop");
    let drawn = 0;
    const timer = setInterval(() => {
      if (++drawn === 30) canvas.width = 640;
      draw.fillStyle = `hsl(${7 * drawn} 90% 50%)`;
      draw.fillRect(0, 0, canvas.width, 180);
    }, 33);
    recorder.start();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    clearInterval(timer);
    const before = [...told];
    await new Promise((resolve) => {
      recorder.onstop = resolve;
      recorder.stop();
    });
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    return { text: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")), events: before };
  }, mimeType);
  writeFileSync(name, Buffer.from(text, "base64"));
  if (events.length) throw new Error(`${name}: told ${events}`);
}
await browser.close();
JS
node record.mjs
changed=0
for file in resized.mp4 resized.webm; do
    header=$(ffprobe -v error -select_streams v -show_entries stream=width,height -of csv=p=0 "$file")
    frames=$(ffprobe -v error -select_streams v -show_entries frame=width,height -of csv=p=0 "$file" | tr -s ',\n' | sort -u | tr '\n' ' ')
    echo "$file: header $header, frames $frames"
    [[ $header == 320,180* && $frames == *320,180* && $frames == *640,180* ]] || changed=1
done
exit "$changed"
