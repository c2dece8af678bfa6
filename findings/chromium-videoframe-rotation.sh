#!/usr/bin/env bash
# Software: Chromium 156 (Debian 12), driven by playwright-core 1.65.1; PyAV 18.1.0 makes the video.
# Behaviour: a VideoFrame of a video that its container turns by 90 degrees, as phones write them, says so (`rotation`), and its
#   display size is the upright one; but what one gets of it depends on the way. drawImage gives it upright. copyTo gives the
#   pixels as they are stored, lying. createImageBitmap turns the picture, and squeezes it into the size that it had before it
#   was turned: 96x160 comes out as 160x96, stretched; createImageBitmap of the <video> itself is right. So a network that is
#   fed from WebCodecs, or from a MediaStreamTrackProcessor, sees lying or squashed people where a canvas shows them upright.
# Output: size of each, and the size of the white corner of the picture; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install av==18.1.0 numpy
npm install --silent --no-audit --no-fund playwright-core@1.65.1
venv/bin/python - <<'PYTHON'
import struct

import av
import numpy as np

image = np.zeros((96, 160, 3), np.uint8)
image[:32, :48] = 255
with av.open("plain.mp4", "w") as container:
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    for _ in range(10):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    container.mux(stream.encode(None))
with open("plain.mp4", "rb") as file:
    data = file.read()
at = data.index(b"tkhd") + 44
matrix = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 96 << 16, 0, 1 << 30)
with open("phone.mp4", "wb") as file:
    file.write(data[:at] + matrix + data[at + 36 :])
PYTHON
cat > read.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { chromium } from "playwright-core";

const server = createServer((request, response) => {
  const isVideo = request.url === "/phone.mp4";
  response.writeHead(200, { "Content-Type": isVideo ? "video/mp4" : "text/html" });
  response.end(isVideo ? readFileSync("phone.mp4") : "<!doctype html>");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
console.log(`Chromium ${browser.version()}`);
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const found = await page.evaluate(async () => {
  const corner = (data, width, height) => {
    const [columns, rows] = [new Set(), new Set()];
    for (let i = 0; i < width * height; i++) {
      if (data[4 * i] > 128) {
        columns.add(i % width);
        rows.add(Math.floor(i / width));
      }
    }
    const [across, down] = [columns.has(2) ? "left" : "right", rows.has(2) ? "top" : "bottom"];
    return `${width}x${height}, ${down} ${across} ${Math.round(columns.size / 8) * 8}x${Math.round(rows.size / 8) * 8}`;
  };
  const drawn = (source, width, height) => {
    const draw = new OffscreenCanvas(width, height).getContext("2d");
    draw.drawImage(source, 0, 0);
    return corner(draw.getImageData(0, 0, width, height).data, width, height);
  };
  const video = document.createElement("video");
  video.muted = true;
  video.src = "/phone.mp4";
  await new Promise((resolve) => (video.onloadeddata = resolve));
  const frame = new VideoFrame(video);
  const copy = new Uint8Array(frame.allocationSize({ format: "RGBA" }));
  await frame.copyTo(copy, { format: "RGBA" });
  const bitmaps = [await createImageBitmap(video), await createImageBitmap(frame)];
  return {
    "the frame says": `${frame.displayWidth}x${frame.displayHeight}, rotation ${frame.rotation}`,
    "drawImage of the frame": drawn(frame, frame.displayWidth, frame.displayHeight),
    "createImageBitmap of the video": drawn(bitmaps[0], bitmaps[0].width, bitmaps[0].height),
    "copyTo of the frame": corner(copy, frame.visibleRect.width, frame.visibleRect.height),
    "createImageBitmap of the frame": drawn(bitmaps[1], bitmaps[1].width, bitmaps[1].height),
  };
});
await browser.close();
server.close();
console.log(found);
const upright = "96x160, top right 32x48";
const expected = ["96x160, rotation 90", upright, upright, "160x96, top left 48x32", "160x96, top right 56x32"];
process.exitCode = String(Object.values(found)) === String(expected) ? 0 : 1;
JS
node read.mjs
