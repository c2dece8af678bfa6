#!/usr/bin/env bash
# Software: s3fs 2026.9.0 with fsspec 2026.9.0, PyAV 18.1.0 with its FFmpeg 8.1; moto 5.2.5 stands in for S3.
# Behaviour: an error in the middle of `with fs.open("s3://...", "wb")` does not abort the upload, though S3's multipart uploads exist
#   for that, and an object on S3 appears as a whole or not at all: the end of the `with` completes it. Where a video was
#   being written, its beginning takes the place of the whole video of that name, without an error of its own, and plays: a
#   fragmented MP4 has no end that could be missing. Within `with fs.transaction` nothing is replaced.
# Output: frames of the object before and after the error; the exit code is 1 where the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install s3fs==2026.9.0 fsspec==2026.9.0 "moto[s3,server]==5.2.5" av==18.1.0 numpy
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import logging
import sys

import av
import numpy as np
import s3fs
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
COUNT, NAME = 100, "videos/film.mp4"


def write(file, fails_at):
    options = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(file, "w", format="mp4", options=options) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 192, "yuv420p", 10
        for number in range(COUNT):
            if number == fails_at:
                raise RuntimeError("the network that paints has failed")
            image = np.random.default_rng(number).integers(0, 255, (192, 320, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def frames(fs):
    fs.invalidate_cache()
    with fs.open(NAME, "rb") as file, av.open(file) as container:
        return sum(1 for _ in container.decode(video=0))


server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
_, port = server.get_host_and_port()
fs = s3fs.S3FileSystem(endpoint_url=f"http://127.0.0.1:{port}")
fs.mkdir("videos")
found = []
for fails_at, transaction in ((None, False), (60, False), (None, False), (60, True)):
    with contextlib.suppress(RuntimeError), fs.transaction if transaction else contextlib.nullcontext():
        with fs.open(NAME, "wb") as file:
            write(file, fails_at)
    found.append(frames(fs))
    what = "whole" if fails_at is None else f"failed at frame {fails_at}" + (", in a transaction" if transaction else "")
    print(f"{what}: the object has {found[-1]} frames")
server.stop()
sys.exit(not (found[0] == found[2] == found[3] == COUNT and 0 < found[1] <= 60))
PYTHON
