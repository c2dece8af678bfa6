"""`VirtualCamera`, on a back end of pyvirtualcam that keeps what it is sent."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
import pyvirtualcam

from livestyle.errors import DeviceError
from livestyle.media.sinks.virtual_camera import VirtualCamera
from tests.waiting import wait_for


class Device:
    """What a program that uses the camera would see."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.sent: list[np.ndarray] = []
        self.broken: str | None = None
        self.closed = 0


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """The only back end that pyvirtualcam has."""
    device = Device()

    class Backend:
        def __init__(self, **options: Any) -> None:
            if device.broken:
                raise RuntimeError(device.broken)
            device.options = options

        def send(self, data: np.ndarray) -> None:
            if device.broken:
                raise OSError(device.broken)
            assert data.flags.c_contiguous
            device.sent.append(data.reshape(device.options["height"], device.options["width"], 3).copy())

        def close(self) -> None:
            device.closed += 1

        def device(self) -> str:
            return str(device.options["device"] or "first")

        def native_fourcc(self) -> int | None:
            return None

    monkeypatch.setattr("pyvirtualcam.camera.BACKENDS", {})
    pyvirtualcam.register_backend("test", Backend)
    return device


def picture(*colour: int) -> np.ndarray:
    return np.full((64, 96, 3), colour, np.uint8)


def test_the_camera_shows_the_picture_in_its_colours(device: Device) -> None:
    with VirtualCamera(96, 64) as camera:
        camera.write(picture(30, 90, 220), 0)
        wait_for(lambda: device.sent and device.sent[-1].any(), "a picture")
    assert (device.sent[-1] == (30, 90, 220)).all()
    assert device.options["fourcc"] == int.from_bytes(b"24BG", "little")


def test_a_picture_is_sent_again_at_the_rate(device: Device) -> None:
    with VirtualCamera(96, 64, rate=50) as camera:
        camera.write(picture(200), 0)
        wait_for(lambda: len(device.sent) > 5, "pictures")
        start, before = time.monotonic(), len(device.sent)
        time.sleep(0.4)
        sent, passed = len(device.sent) - before, time.monotonic() - start
    assert 3 <= sent <= 50 * passed + 2
    assert device.options["fps"] == 50


def test_the_camera_is_black_until_there_is_a_picture(device: Device) -> None:
    with VirtualCamera(96, 64):
        wait_for(lambda: device.sent, "a picture")
    assert device.sent[0].shape == (64, 96, 3)
    assert not device.sent[0].any()


def test_a_newer_picture_takes_the_place_of_one_that_was_not_sent(device: Device) -> None:
    with VirtualCamera(96, 64, rate=5) as camera:
        for grey in range(1, 201):
            camera.write(picture(grey), 0)
        wait_for(lambda: device.sent and device.sent[-1].max() == 200, "the newest picture")
    assert len(device.sent) < 100


def test_pictures_of_another_size_are_fitted_in(device: Device) -> None:
    with VirtualCamera(96, 64) as camera:
        camera.write(np.full((200, 100, 3), 200, np.uint8), 0)
        wait_for(lambda: device.sent and device.sent[-1].any(), "a picture")
    shown = device.sent[-1]
    assert (shown[:, :32] == 0).all()
    assert (shown[:, 32:64] == 200).all()
    assert (shown[:, 64:] == 0).all()


def test_the_device_keeps_its_size_and_rate_whatever_it_is_given(device: Device) -> None:
    with VirtualCamera() as camera:
        for height, width in ((360, 640), (180, 320), (720, 1280), (1080, 1920), (640, 360)):
            before = len(device.sent)
            camera.write(np.full((height, width, 3), 200, np.uint8), 0)
            wait_for(lambda before=before: len(device.sent) > before + 2, "more pictures")  # type: ignore[misc]
            shown = device.sent[-1]
            assert shown.shape == (720, 1280, 3)
            assert (shown[:, 640] == 200).all()
            assert (shown[:, 0] == (0 if height > width else 200)).all()
    assert (device.options["width"], device.options["height"], device.options["fps"]) == (1280, 720, 30)


def test_an_odd_size_gets_one_more_row_and_column(device: Device, frame: np.ndarray) -> None:
    with VirtualCamera(frame.shape[1], frame.shape[0]) as camera:
        camera.write(frame, 0)
        wait_for(lambda: device.sent and device.sent[-1].any(), "a picture")
    shown = device.sent[-1]
    assert shown.shape == (122, 204, 3)
    assert (shown[:121, :203] == frame).all()
    assert (shown[121, :203] == frame[120]).all()


def test_closing_leaves_neither_camera_nor_thread(device: Device) -> None:
    before = set(threading.enumerate())
    camera = VirtualCamera(96, 64, rate=0.1)
    camera.close()
    camera.close()
    assert device.closed == 1
    assert set(threading.enumerate()) <= before


def test_a_camera_that_breaks_down_is_reported(device: Device) -> None:
    camera = VirtualCamera(96, 64)
    wait_for(lambda: device.sent, "a picture")
    device.broken = "unplugged"
    wait_for(lambda: device.closed, "the end")
    with pytest.raises(DeviceError, match=r"virtual camera first has stopped \(unplugged\)"):
        camera.write(picture(200), 0)
    with pytest.raises(DeviceError, match="unplugged"):
        camera.close()


@pytest.mark.parametrize(
    ("system", "hint"), [("linux", "sudo modprobe v4l2loopback"), ("darwin", "OBS Studio"), ("win32", "UnityCapture")]
)
def test_without_a_driver_it_says_what_to_install(
    device: Device, monkeypatch: pytest.MonkeyPatch, system: str, hint: str
) -> None:
    device.broken = "no device found"
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(DeviceError, match=f"no device found.*{hint}"):
        VirtualCamera(96, 64)


def test_without_pyvirtualcam_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(DeviceError, match=r'pip install "livestyle\[virtualcam\]"'):
        VirtualCamera(96, 64)
