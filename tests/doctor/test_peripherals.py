"""Sections cameras and screen: no display, missing libraries, OpenCV without windows, cameras that do not open."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from livestyle.media.capture.probe import DeviceInfo
from livestyle.media.sinks.virtual_camera import DRIVERS
from tests.ffmpeg import Make

from .conftest import examine

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems say it in other words")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these the cameras of this machine; files are played as cameras."""

    def plug(*sources: object) -> None:
        devices = [DeviceInfo(str(source), "A webcam") for source in sources]
        monkeypatch.setattr("livestyle.media.capture.probe.list_devices", lambda: devices)

    return plug


@linux
def test_no_display_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    line = examine("screen")["display"]
    assert line["state"] == "warning"
    assert line["text"].startswith("no display found")
    assert "--no-window --serve 8080" in line["mend"]


@linux
def test_wayland_without_x_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert examine("screen")["display"]["mend"].startswith("sudo apt install xwayland")


@linux
def test_a_library_that_windows_need_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugin = tmp_path / "qt" / "plugins" / "platforms" / "libqxcb.so"
    plugin.parent.mkdir(parents=True)
    plugin.touch()

    def load(name: str) -> Any:
        raise OSError("libxcb-cursor.so.0: cannot open shared object file" if "qxcb" in name else name)

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setattr(cv2, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(ctypes, "CDLL", load)
    line = examine("screen")["display"]
    assert "libxcb-cursor.so.0: cannot open" in line["text"]
    assert line["mend"] == "sudo apt install libgl1 libxcb-cursor0 libxkbcommon-x11-0"


@linux
def test_a_display_that_answers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("DISPLAY", ":5")
    assert examine("screen")["display"]["text"] == "answers at :5; closing the window, q or Esc ends the program"


def test_an_opencv_without_windows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    monkeypatch.setattr("livestyle.doctor.peripherals.opencv_packages", lambda: ["opencv-python-headless"])
    line = examine("screen")["windows"]
    assert line["state"] == "warning"
    assert "needs --no-window" in line["text"]
    assert line["mend"] == "pip uninstall -y opencv-python-headless && pip install opencv-python"


class Loopback:
    """A stand-in for pyvirtualcam's camera."""

    device = "/dev/video9"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def send(self, image: Any) -> None:
        pass

    def close(self) -> None:
        pass


class Pyvirtualcam:
    """A stand-in for the module."""

    class PixelFormat:
        """Of its frames."""

        BGR = 0

    def __init__(self, camera: Any) -> None:
        self.Camera = camera


def test_a_virtual_camera_without_a_driver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("'v4l2loopback' backend: No device found")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", Pyvirtualcam(fail))
    line = examine("screen")["virtual camera"]
    assert line["state"] == "warning"
    assert line["text"] == "no virtual camera starts ('v4l2loopback' backend: No device found)"
    assert line["mend"] == DRIVERS[sys.platform]


def test_a_virtual_camera_that_starts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", Pyvirtualcam(Loopback))
    assert examine("screen")["virtual camera"]["text"] == "starts as /dev/video9"


def test_a_virtual_camera_that_is_not_installed_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    line = examine("screen")["virtual camera"]
    assert line["state"] == "note"
    assert line["mend"] == f'pip install "livestyle[virtualcam]", and {DRIVERS[sys.platform]}'


def test_no_camera_is_a_note(plugged: Callable[..., None]) -> None:
    plugged()
    line = examine("cameras")["cameras"]
    assert (line["state"], line["text"]) == ("note", "none found")
    assert line["mend"].startswith("plug one in")


def test_cameras_are_named_without_being_opened(plugged: Callable[..., None]) -> None:
    plugged(7000, 7001)
    found = examine("cameras")
    assert found["camera 7000"]["text"] == found["camera 7001"]["text"] == "A webcam"
    assert found["camera 7000"]["mend"].startswith("livestyle doctor --cameras")


def test_a_camera_is_measured(plugged: Callable[..., None], make: Make) -> None:
    clip = make("clip.mp4", "-f", "lavfi", "-i", "testsrc=s=320x240:r=30:d=3")
    plugged(clip)
    line = examine("cameras", "--cameras")[f"camera {clip}"]
    (mode,) = line["figures"]["modes"]
    assert (mode["width"], mode["height"]) == (320, 240)
    assert 0 < mode["rate"] < 40
    assert line["text"].startswith("A webcam: opens in ")


def test_a_camera_that_is_slow_is_said(plugged: Callable[..., None], make: Make) -> None:
    clip = make("clip.mp4", "-f", "lavfi", "-i", "testsrc=s=320x240:r=5:d=3")
    plugged(clip)
    line = examine("cameras", "--cameras")[f"camera {clip}"]
    assert line["state"] == "warning"
    assert line["mend"].startswith("give it more light")


@linux
def test_a_camera_that_does_not_open_is_said(plugged: Callable[..., None]) -> None:
    plugged(7000)
    line = examine("cameras", "--cameras")["camera 7000"]
    assert line["state"] == "warning"
    assert line["text"].startswith("A webcam: camera 7000 does not open (")
    assert line["mend"].startswith("plug it in")


@linux
def test_a_camera_that_this_user_may_not_read_is_said(
    plugged: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged(7000)
    exists, access = Path.exists, os.access
    device = "/dev/video7000"
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == device or exists(path))
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != device and access(path, mode))
    line = examine("cameras", "--cameras")["camera 7000"]
    assert line["text"] == "A webcam: /dev/video7000 may not be read by this user"
    assert line["mend"] == 'sudo usermod -aG video "$USER", then log in again'
