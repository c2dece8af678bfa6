#!/usr/bin/env bash
# Software: PyAV 18.1.0, with the FFmpeg 8.1 of its wheel.
# Behaviour: motion JPEG over HTTP (multipart/x-mixed-replace) whose parts say "image/jpg", or nothing, opens as format
#   mpjpeg with one mjpeg stream, as if all were well; the first read then fails with "Invalid data found when processing
#   input". The same pictures in parts that say "image/jpeg" are read. FFmpeg's format "data" on the same address gives the
#   bytes as they come, so that the pictures can be found by their own markers.
# Output: one line for each content type; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install av==18.1.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np

encoder = av.CodecContext.create("mjpeg", "w")
encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 160, 96, "yuvj420p", 25
encoder.time_base = Fraction(1, 25)
frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 90, np.uint8), format="rgb24").reformat(format="yuvj420p")
picture = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
KINDS = {"jpeg": b"Content-Type: image/jpeg\r\n", "jpg": b"Content-Type: image/jpg\r\n", "nothing": b""}


class Camera(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"--frame\r\n" + KINDS[self.path[1:]] + b"\r\n" + picture + b"\r\n")
                time.sleep(0.04)
        except OSError:
            pass

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
found = {}
for kind in KINDS:
    with av.open(f"http://127.0.0.1:{server.server_port}/{kind}", timeout=(10, 5)) as container:
        opened = container.format.name, len(container.streams.video)
        try:
            found[kind] = opened, next(packet.size for packet in container.demux() if packet.size)
        except av.InvalidDataError:
            found[kind] = opened, "invalid data"
    print(f"{kind}: opened as {opened[0]} with {opened[1]} video, first packet: {found[kind][1]}", flush=True)
with av.open(f"http://127.0.0.1:{server.server_port}/jpg", format="data", timeout=(10, 5)) as container:
    data = b"".join(bytes(packet) for _, packet in zip(range(40), container.demux()))
print(f"jpg as data: {data.count(picture)} whole pictures")
mpjpeg = ("mpjpeg", 1)
expected = {"jpeg": (mpjpeg, len(picture)), "jpg": (mpjpeg, "invalid data"), "nothing": (mpjpeg, "invalid data")}
sys.exit(found != expected or data.count(picture) < 2)
PYTHON
