"""The real program in a real window: a display of its own (Xvfb), keys pressed by xdotool."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.program import IDENTITY
from tests.waiting import PATIENCE, wait_for

SCREEN = (1024, 768)


class Display:
    """A screen in memory."""

    def __init__(self, folder: Path) -> None:
        for tool in ("Xvfb", "xdotool"):
            assert shutil.which(tool), f"{tool} is missing: apt-get install xdotool xvfb"
        reading, writing = os.pipe()
        size = "x".join(map(str, SCREEN))
        self._process = subprocess.Popen(
            [
                "Xvfb",
                "-displayfd",
                str(writing),
                "-screen",
                "0",
                f"{size}x24",
                "-fbdir",
                str(folder),
                "-nolisten",
                "tcp",
                # It would start anew, and lose those who just connect, whenever the last window is closed.
                "-noreset",
            ],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            self.name = f":{pipe.readline().strip()}"
        self._pixels = folder / "Xvfb_screen0"

    def screenshot(self) -> np.ndarray:
        """The screen, uint8 [H, W, 3] BGR: Xvfb keeps it in a file in the format of xwd."""
        data = np.fromfile(self._pixels, np.uint8)
        header = data[:100].view(">u4")
        start = int(header[0] + 12 * header[19])
        width, height, row = int(header[4]), int(header[5]), int(header[12])
        return data[start : start + height * row].reshape(height, row // 4, 4)[:, :width, :3].copy()

    def xdotool(self, *words: str) -> str:
        environment = {**os.environ, "DISPLAY": self.name}
        result = subprocess.run(["xdotool", *words], env=environment, capture_output=True, text=True, timeout=PATIENCE)
        return result.stdout.strip()

    def press_close_button(self, window: str) -> None:
        """Ask a window to close, as a window manager does."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        connection = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        protocols = x11.XInternAtom(connection, b"WM_PROTOCOLS", 0)
        delete = x11.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)
        client_message = 33
        event = _ClientMessage(
            client_message, 0, 1, connection, int(window), protocols, 32, (ctypes.c_long * 5)(delete)
        )
        x11.XSendEvent(connection, ctypes.c_ulong(int(window)), 0, ctypes.c_long(0), ctypes.byref(event))
        x11.XFlush(connection)
        x11.XCloseDisplay(connection)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


class _ClientMessage(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("sent", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 24),
    )


class Program:
    """A running ``livestyle webcam``."""

    def __init__(self, display: Display, folder: Path, *arguments: str) -> None:
        self.display = display
        self.folder = folder
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "livestyle", "webcam", *arguments],
            cwd=folder,
            env={**os.environ, "DISPLAY": display.name, "LIVESTYLE_SETTINGS": str(folder / "settings.toml")},
            stdout=self._log,
            stderr=self._log,
        )
        self.window = wait_for(self._find_window, "the window")

    def _find_window(self) -> str:
        assert self.process.poll() is None, self.output()
        # Named by its process too: another program's window may still be there.
        process = str(self.process.pid)
        windows = self.display.xdotool("search", "--onlyvisible", "--all", "--pid", process, "--name", "^livestyle$")
        return windows.partition("\n")[0]

    def output(self) -> str:
        """What it has printed so far."""
        return os.pread(self._log.fileno(), 1_000_000, 0).decode()

    def screenshot(self) -> np.ndarray:
        """The screen, where the window is in the top left corner."""
        return self.display.screenshot()

    def is_on_screen(self) -> bool:
        """Whether the window shows anything.

        Where there is no window manager, some windows of OpenCV's Qt stay black, even those of a program that does
        nothing else.
        """
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if self.screenshot()[:360, :640].mean() > 10:
                return True
            time.sleep(0.05)
        return False

    def press(self, *keys: str) -> None:
        for key in keys:
            self.display.xdotool("key", "--window", self.window, key)
            # Of keys that come faster than its loop turns, OpenCV gives the last only.
            time.sleep(0.05)

    def snapshots(self) -> list[Path]:
        return sorted(self.folder.glob("livestyle-*.png"))

    def snapshot(self) -> np.ndarray:
        """Press s and read what it saved."""
        before = set(self.snapshots())
        self.press("s")
        (path,) = wait_for(lambda: set(self.snapshots()) - before, "a snapshot")
        image = cv2.imread(str(path))
        assert image is not None
        return image

    def wait_until_painted(self) -> None:
        """Past the warm-up, after which keys do something."""

        def is_painted() -> bool:
            assert self.process.poll() is None, self.output()
            return "; press h in the window" in self.output()

        wait_for(is_painted, "the first painting")

    def ends(self) -> int:
        """Wait for the end and give the exit code."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it does not end; {self.output()}")

    def cpu_seconds(self) -> float:
        """Of all its threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


@pytest.fixture(scope="session", autouse=True)
def style_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own for all programs of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVESTYLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LIVESTYLE_PRESETS", str(tmp_path_factory.mktemp("presets")))
        yield


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    screen = Display(tmp_path_factory.mktemp("screen"))
    yield screen
    screen.close()


@pytest.fixture
def start(display: Display, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start the program with arguments; it is ended with the test."""
    programs: list[Program] = []

    def begin(*arguments: str) -> Program:
        programs.append(Program(display, tmp_path, "--model", str(IDENTITY), *arguments))
        return programs[-1]

    yield begin
    for program in programs:
        program.close()


def start_visibly(begin: Callable[[], Program]) -> Program:
    """Start until the window is one that shows something, for tests that look at it."""
    for _ in range(8):
        program = begin()
        program.wait_until_painted()
        if program.is_on_screen():
            return program
        program.close()
    pytest.fail("every window stayed black")


@pytest.fixture(scope="module")
def running(display: Display, still_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program for all tests that press keys and leave it running, with the real model."""
    folder = tmp_path_factory.mktemp("running")
    # On a loaded machine, paintings at other resolutions would come in between.
    arguments = ("--camera", str(still_clip), "--fps", "0")
    program = start_visibly(lambda: Program(display, folder, *arguments))
    yield program
    program.close()
