"""How old the pictures of live sources are, over minutes: a clock in the picture, sent for real on loopback.

    python -m tests.soak.latency --minutes 10

Each source runs for that long, one after the other, and in the middle nobody takes a frame for 5 seconds. A line for
each says how many seconds old its frames are: the median, and the 99th percentile before and after that. The exit code
is 1 where one of them is 0.3 or more.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from livestyle.errors import InputError
from livestyle.media.capture.camera import Camera
from tests.media.clock_picture import X264, ClockSender, RtspSender, age, free_port

LATE_SECONDS = 0.3
STILL_SECONDS = 5
SERVER = Path(__file__).parents[1] / "media" / "rtsp_server.py"
SOURCES = {
    "rtmp": ("rtmp://127.0.0.1:{}/live/key", (*X264, "-f", "flv", "-listen", "1")),
    "mpegts": ("http://127.0.0.1:{}/live", (*X264, "-f", "mpegts", "-listen", "1")),
    "mjpeg": ("http://127.0.0.1:{}/live", ("-c:v", "mjpeg", "-f", "mpjpeg", "-listen", "1")),
}


def begin(name: str) -> tuple[str, AbstractContextManager[object]]:
    """Address and sender of a source."""
    if name == "rtsp":
        sender = RtspSender("/usr/bin/python3", SERVER)
        return sender.address, sender
    pattern, options = SOURCES[name]
    address = pattern.format(free_port())
    return address, ClockSender(shutil.which("ffmpeg") or "ffmpeg", *options, address)


def opened(address: str) -> Camera:
    """A camera that gives frames, as soon as its sender listens."""
    while True:
        camera = Camera(address)
        try:
            camera.wait_open()
        except InputError:
            camera.close()
            time.sleep(0.2)
        else:
            return camera


def ages(camera: Camera, seconds: float) -> list[float]:
    """How many seconds old the frames are that come in the next seconds."""
    frame, found, end = None, list[float](), time.monotonic() + seconds
    while time.monotonic() < end:
        newer = camera.latest(after=frame)
        if newer is None:
            print(f"  {camera.notice or 'no frame for 5 seconds'}", flush=True)
        else:
            frame = newer
            found.append(age(frame.image))
    return found


def measure(name: str, seconds: float) -> bool:
    """Print a line on a source; whether it kept up."""
    address, sender = begin(name)
    with sender, opened(address) as camera:
        # What was sent before somebody watched.
        ages(camera, 2)
        before = ages(camera, seconds / 2)
        time.sleep(STILL_SECONDS)
        after = ages(camera, seconds / 2)
    both = [*before, *after]
    late = [float(np.percentile(part, 99)) for part in (before, after)]
    print(
        f"{name}: {len(both)} frames, median {np.median(both):.3f} s, 99 % {late[0]:.3f} s before and {late[1]:.3f} s "
        f"after {STILL_SECONDS} s of standing still, first then {after[0]:.3f} s, largest {max(both):.3f} s",
        flush=True,
    )
    return max(float(np.median(both)), after[0], *late) < LATE_SECONDS


def main() -> int:
    """Exit code of the command line."""
    parser = argparse.ArgumentParser(description="Measure how old the pictures of live sources are.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("sources", nargs="*", default=[*SOURCES, "rtsp"])
    arguments = parser.parse_args()
    kept_up = [measure(name, 60 * arguments.minutes) for name in arguments.sources]
    return 0 if all(kept_up) else 1


if __name__ == "__main__":
    sys.exit(main())
