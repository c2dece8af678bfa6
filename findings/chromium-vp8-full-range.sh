#!/usr/bin/env bash
# Software: Chromium 156 (Debian 12), driven by playwright-core 1.65.1; PyAV 18.1.0 with its FFmpeg 8.1.
# Behaviour: MediaRecorder records a canvas in the full range and BT.709, not in the limited range as cameras do. VP8, its codec
#   for "video/webm;codecs=vp8", has no bit for either, so that only the header of the WebM says it (Colour). Chromium goes by
#   the header, and shows the colours that were drawn. FFmpeg's decoder of VP8 marks each frame as limited BT.601, whatever
#   the header says: PyAV, and whatever else goes by the frame, gets too much contrast and other hues, while ffprobe names the
#   right tags of the stream. VP9 and H.264 say it in the bitstream, and come out right.
# Output: the tags of stream and frame, and the colours by PyAV and by Chromium; the exit code is 1 where that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install av==18.1.0 numpy
npm install --silent --no-audit --no-fund playwright-core@1.65.1
cat > record.mjs <<'JS'
import { writeFileSync } from "node:fs";

import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
console.log(`Chromium ${browser.version()}`);
const page = await browser.newPage();
const shown = {};
for (const codec of ["vp8", "vp9"]) {
  const { text, pixel } = await page.evaluate(async (name) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 180];
    const draw = canvas.getContext("2d", { alpha: false });
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: `video/webm;codecs=${name}` });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.start();
    const timer = setInterval(() => {
      draw.fillStyle = "rgb(200 30 60)";
      draw.fillRect(0, 0, 320, 180);
    }, 33);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    clearInterval(timer);
    await new Promise((resolve) => {
      recorder.onstop = resolve;
      recorder.stop();
    });
    const blob = new Blob(parts);
    const video = document.createElement("video");
    video.muted = true;
    video.src = URL.createObjectURL(blob);
    await new Promise((resolve) => (video.onloadeddata = resolve));
    draw.drawImage(video, 0, 0);
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return {
      text: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")),
      pixel: [...draw.getImageData(160, 90, 1, 1).data].slice(0, 3),
    };
  }, codec);
  writeFileSync(`${codec}.webm`, Buffer.from(text, "base64"));
  shown[codec] = pixel;
}
await browser.close();
writeFileSync("shown.json", JSON.stringify(shown));
JS
node record.mjs
venv/bin/python - <<'PYTHON'
import json
import sys

import av

DRAWN = (200, 30, 60)
RANGES, MATRICES = {0: "no", 1: "limited", 2: "full"}, {1: "BT.709", 2: "no", 5: "BT.601", 6: "BT.601"}
with open("shown.json") as file:
    shown = json.load(file)
found = {}
for codec in ("vp8", "vp9"):
    with av.open(f"{codec}.webm") as container:
        context = container.streams.video[0].codec_context
        stream = RANGES[context.color_range], MATRICES[context.colorspace]
        frame = list(container.decode(video=0))[-1]
    tags = RANGES[frame.color_range], MATRICES[frame.colorspace]
    pixel = frame.to_ndarray(format="rgb24")[90, 160].tolist()
    errors = [max(abs(a - b) for a, b in zip(rgb, DRAWN)) for rgb in (pixel, shown[codec])]
    found[codec] = stream, tags, errors[0] > 15, errors[1] > 15
    print(f"{codec}: {', '.join(stream)} by the stream, {', '.join(tags)} by the frame; {DRAWN} becomes {pixel} in PyAV, "
          f"{shown[codec]} in Chromium")
right, limited = ("full", "BT.709"), ("limited", "BT.601")
sys.exit(found != {"vp8": (right, limited, True, False), "vp9": (right, right, False, False)})
PYTHON
