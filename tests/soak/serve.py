"""The frame rate of the live program while 500 readers that never read, half requests and garbage call its server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np

from livestyle.engine.model import package_folder
from livestyle.live.app import App
from livestyle.live.config import Config, SinkOptions
from livestyle.live.outputs import Outputs
from livestyle.live.settings import Settings
from livestyle.media.capture.camera import Camera
from livestyle.media.sinks.mjpeg_server import MjpegServer

from .meter import Meter

MOST_LOSS = 0.1
"""Of the frame rate, with the crowd; a busy machine needs long phases for a figure as fine as that."""


def serve(meter: Meter, phases: int, seconds: float) -> bool:
    """Alternate between phases with nobody but a viewer and phases with a crowd; whether the frame rate stayed."""
    stop = threading.Event()
    # At one size: the buffers of another, as the resolution adapts, are not the server's.
    config = Config.of(Settings(camera=str(package_folder("assets") / "demo.mp4"), fps=0), Settings())
    found: dict[str, list[float]] = {"quiet": [], "crowd": []}
    calls = 0
    viewer = _Viewer()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Outputs()) as outputs,
        Camera(config.camera) as camera,
        closing(App(config, camera, outputs, SinkOptions(folder=Path(folder)), "cpu", stop=stop)) as app,
        meter,
    ):
        server = MjpegServer("0")
        outputs.add(server)
        running = threading.Thread(target=app.run_without_window, name="program")
        running.start()
        watching = threading.Thread(target=viewer.watch, args=(server.url,), daemon=True)
        watching.start()
        while meter.frames < 100:
            time.sleep(0.1)
        for phase in range(2 * phases):
            name = "crowd" if phase % 2 else "quiet"
            crowd = _Crowd(server) if phase % 2 else None
            frames, begin = meter.frames, time.monotonic()
            time.sleep(seconds)
            found[name].append((meter.frames - frames) / (time.monotonic() - begin))
            if crowd is not None:
                calls += crowd.end()
                # Until the last of them is dropped.
                time.sleep(2)
        time.sleep(15)
        stop.set()
        running.join()
    quiet, crowded = (float(np.median(found[name])) for name in ("quiet", "crowd"))
    print(
        f"serve: {quiet:.1f} frames/s with a viewer, {crowded:.1f} with {calls} calls of strangers beside it "
        f"(each phase: {', '.join(f'{a:.1f}/{b:.1f}' for a, b in zip(*found.values(), strict=True))}); the viewer got "
        f"{viewer.pictures} pictures, longest wait {viewer.longest:.2f} s",
        flush=True,
    )
    return crowded > (1 - MOST_LOSS) * quiet


class _Crowd:
    def __init__(self, server: MjpegServer) -> None:
        command = [sys.executable, "-m", "tests.soak.crowd", str(urlsplit(server.url).port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def end(self) -> int:
        """How often they called."""
        return int(self._process.communicate()[0] or 0)


class _Viewer:
    """Reads the stream, as a browser does."""

    def __init__(self) -> None:
        self.pictures = 0
        self.longest = 0.0

    def watch(self, url: str) -> None:
        last = 0.0
        with suppress(OSError), urlopen(f"{url}stream.mjpg", timeout=60) as answer:
            while line := answer.readline():
                if line.startswith(b"Content-Length: "):
                    answer.read(int(line.split()[1]))
                    now = time.monotonic()
                    self.longest = max(self.longest, now - last if last else 0.0)
                    self.pictures, last = self.pictures + 1, now
