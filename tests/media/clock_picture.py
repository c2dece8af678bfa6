"""A clock in the picture: a sender that draws the time into every frame, and how old a frame is that arrives."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 240, 96
BITS = 24
COLUMNS = BITS // 2
BLOCK = WIDTH // COLUMNS
INPUT = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25")
"""An encoder that keeps no frame to itself, as cameras do."""


def draw_time() -> np.ndarray:
    """The milliseconds of `time.monotonic` in black and white blocks: uint8 [96, 240]."""
    now = int(time.monotonic() * 1000)
    bits = np.array([now >> n & 1 for n in range(BITS)], np.uint8).reshape(2, COLUMNS)
    return np.kron(bits * 219 + 16, np.ones((HEIGHT // 2, BLOCK), np.uint8)).astype(np.uint8)


def age(image: np.ndarray) -> float:
    """Seconds since an image was drawn."""
    now = int(time.monotonic() * 1000)
    small = cv2.resize(image, (COLUMNS, 2), interpolation=cv2.INTER_AREA).mean(axis=2) > 128
    drawn = sum(1 << n for n, bit in enumerate(small.ravel()) if bit)
    late = (now - drawn) % (1 << BITS)
    # A clock that is read wrongly gives anything.
    return (late - (1 << BITS) if late > 1 << (BITS - 1) else late) / 1000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class ClockSender:
    """ffmpeg, fed with pictures of the clock in real time.

    Args:
        ffmpeg: the program.
        output: its arguments after the input.
        rate: frames per second.
        before: its arguments before the input.
    """

    def __init__(self, ffmpeg: str, *output: str, rate: int = 25, before: tuple[str, ...] = ()) -> None:
        command = [ffmpeg, "-v", "error", *before, *INPUT, "-r", str(rate), "-i", "-", *output]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._rate = rate
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        assert self._process.stdin is not None
        due = time.monotonic()
        with suppress(OSError):
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                due = max(due + 1 / self._rate, time.monotonic())
                self._process.stdin.write(draw_time().tobytes())
                self._process.stdin.flush()

    def __enter__(self) -> ClockSender:
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped.set()
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
