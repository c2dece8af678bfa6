"""A clock in the picture: a sender that draws the time into every frame, and how old a frame is that arrives."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

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


class _Sender:
    """A process, fed with pictures of the clock in real time."""

    def __init__(self, command: list[str], rate: int, **pipes: Any) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, **pipes)
        self._rate = rate
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        assert self.process.stdin is not None
        due = time.monotonic()
        with suppress(OSError):
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                due = max(due + 1 / self._rate, time.monotonic())
                self.process.stdin.write(draw_time().tobytes())
                self.process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped.set()
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


class ClockSender(_Sender):
    """ffmpeg that sends the clock.

    Args:
        ffmpeg: the program.
        output: its arguments after the input.
        rate: frames per second.
    """

    def __init__(self, ffmpeg: str, *output: str, rate: int = 25) -> None:
        command = [ffmpeg, "-v", "error", *INPUT, "-r", str(rate), "-i", "-", *output]
        super().__init__(command, rate, stderr=subprocess.DEVNULL)


class RtspSender(_Sender):
    """GStreamer's RTSP server that sends the clock.

    Args:
        python: that has GStreamer.
        script: the server.
        rate: frames per second.
    """

    def __init__(self, python: str, script: Path, rate: int = 25) -> None:
        command = [python, str(script), "0", str(WIDTH), str(HEIGHT), str(rate)]
        super().__init__(command, rate, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()
