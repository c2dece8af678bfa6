"""Long runs of the live program: many switches of style in a folder that changes, and a camera that comes and goes."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import cv2
import numpy as np

from livestyle.engine.model import package_folder
from livestyle.live.app import App
from livestyle.live.config import Config, SinkOptions
from livestyle.live.outputs import Outputs
from livestyle.live.settings import Settings
from livestyle.media.capture.camera import Camera
from livestyle.media.capture.timeouts import Timeouts
from tests.mjpeg import MjpegServer

from .meter import Meter

PICTURES = 8
"""In the folder, on average."""


class SilentWindow:
    """A window without a screen, in which keys come from a generator; it closes when that ends."""

    def __init__(self, keys: Iterator[int | None]) -> None:
        self.is_open = True
        self.is_full_screen = False
        self._keys = keys

    def fit(self, width: int, height: int) -> None: ...

    def show(self, image: np.ndarray) -> None: ...

    def toggle_full_screen(self) -> None: ...

    def wait_key(self, milliseconds: int) -> int | None:
        time.sleep(0.005)
        key = next(self._keys, -1)
        if key == -1:
            self.is_open = False
        return None if key == -1 else key


def styles(meter: Meter, switches: int, seconds: float) -> None:
    """Switch between the styles of a folder whose pictures come, change and go all the time."""
    with tempfile.TemporaryDirectory() as name:
        folder, stop = Path(name), threading.Event()
        for number in range(PICTURES):
            _write_picture(folder, number)
        changing = threading.Thread(target=_change, args=(folder, stop), name="folder", daemon=True)
        changing.start()
        try:
            settings = Settings(camera=str(package_folder("assets") / "demo.mp4"), styles=name)
            _run(settings, SilentWindow(_next_style(switches, seconds)), meter)
        finally:
            stop.set()
            changing.join()


def camera(meter: Meter, times: int, seconds: float) -> None:
    """A network camera that hangs up and comes back."""
    images = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    port = 0
    servers: list[MjpegServer] = [MjpegServer(images)]
    port = servers[0].port
    done = threading.Event()

    def come_and_go() -> None:
        for _ in range(times):
            done.wait(seconds / times / 2)
            servers[0].stop()
            done.wait(seconds / times / 2)
            while not done.is_set():
                with suppress(OSError):
                    servers[0] = MjpegServer(images, port)
                    break
                time.sleep(0.05)
        done.set()

    def keys() -> Iterator[None]:
        while not done.is_set():
            yield None

    coming = threading.Thread(target=come_and_go, name="camera that comes and goes", daemon=True)
    coming.start()
    try:
        _run(Settings(camera=servers[0].address), SilentWindow(keys()), meter)
    finally:
        done.set()
        coming.join()
        with suppress(Exception):
            servers[0].stop()


def _run(
    settings: Settings, window: SilentWindow, meter: Meter, sinks: Callable[[Path], SinkOptions] | None = None
) -> None:
    config = Config.of(settings, Settings())
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Outputs()) as outputs,
        Camera(config.camera, config.size, timeouts=Timeouts(reconnect=0.1, longest_reconnect=0.2)) as source,
        closing(App(config, source, outputs, SinkOptions(folder=Path(folder)), "cpu")) as app,
        meter,
    ):
        app.run_in(window)


def _next_style(switches: int, seconds: float) -> Iterator[int | None]:
    for _ in range(switches):
        due = time.monotonic() + seconds / switches
        yield ord("n")
        while time.monotonic() < due:
            yield None


def _change(folder: Path, stop: threading.Event) -> None:
    dice = random.Random(1)
    while not stop.wait(0.5):
        number = dice.randrange(2 * PICTURES)
        path = _path(folder, number)
        if path.exists() and dice.random() < 0.5:
            path.unlink()
        else:
            _write_picture(folder, number)


def _write_picture(folder: Path, number: int) -> None:
    noise = np.random.default_rng(time.monotonic_ns()).integers(0, 256, (16, 16, 3), np.uint8)
    cv2.imwrite(str(_path(folder, number)), cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC))


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:02}.png"
