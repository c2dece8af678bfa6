"""Cameras of this computer, which are a stand-in for OpenCV's here: what they are asked for, and what they do wrong."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle.errors import InputError
from livestyle.media.capture import device
from livestyle.media.capture.device import device_frames
from livestyle.media.capture.timeouts import Timeouts
from livestyle.media.frames import Frame

AT_ONCE = Timeouts(open=0, failing=0, retry=0, permission=0)
"""For what has no more to give."""
IMAGES = [np.full((2, 2, 3), level, np.uint8) for level in range(3)]
MJPG = cv2.VideoWriter.fourcc(*"MJPG")


class Capture:
    """A camera that gives these pictures; of None, and of an error, there is none."""

    def __init__(self, pictures: Sequence[object] | None) -> None:
        self._is_open = pictures is not None
        self._pictures = iter(pictures or ())
        self._picture: object = None
        self.wishes: list[tuple[int, float]] = []
        self.is_released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self._is_open

    def set(self, name: int, value: float) -> None:
        self.wishes.append((name, value))

    def grab(self) -> bool:
        self._picture = next(self._pictures, None)
        return self._picture is not None

    def retrieve(self) -> tuple[bool, object]:
        if isinstance(self._picture, Exception):
            raise self._picture
        return True, self._picture

    def release(self) -> None:
        self.is_released = True


Plug = Callable[..., list[Any]]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Let OpenCV open these cameras, one after another; what it is called with lands in the list."""

    def plug(*cameras: Capture) -> list[Any]:
        calls: list[Any] = []
        remaining = iter(cameras)

        def open_next(*words: Any) -> Capture:
            calls.append(words)
            return next(remaining)

        monkeypatch.setattr(cv2, "VideoCapture", open_next)
        return calls

    monkeypatch.setattr(device, "device_backends", lambda: [cv2.CAP_V4L2, cv2.CAP_GSTREAMER])
    return plug


def frames(size: tuple[int, int] | None = None, timeouts: Timeouts = AT_ONCE) -> list[Frame]:
    return list(device_frames("0", size, threading.Event(), timeouts))


def levels(found: list[Frame]) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in found]


def test_a_camera_gives_its_pictures_until_it_is_gone(plug: Plug) -> None:
    camera = Capture(IMAGES)
    calls = plug(camera)
    assert levels(frames()) == [0, 1, 2]
    assert calls == [(0, cv2.CAP_V4L2)]
    assert camera.is_released


def test_it_is_asked_for_jpegs_before_its_size(plug: Plug) -> None:
    camera = Capture(IMAGES)
    plug(camera)
    frames((1920, 1080))
    assert camera.wishes == [
        (cv2.CAP_PROP_FOURCC, MJPG),
        (cv2.CAP_PROP_FRAME_WIDTH, 1920),
        (cv2.CAP_PROP_FRAME_HEIGHT, 1080),
        (cv2.CAP_PROP_FPS, 30.0),
        (cv2.CAP_PROP_BUFFERSIZE, 2),
    ]


@pytest.mark.parametrize("lost", [None, cv2.error("damaged")])
def test_a_lost_picture_is_not_the_end(plug: Plug, lost: object) -> None:
    plug(Capture([IMAGES[0], lost, IMAGES[1]]))
    found = device_frames("0", None, threading.Event(), Timeouts(retry=0))
    assert levels([next(found), next(found)]) == [0, 1]


def test_what_opens_without_a_picture_is_tried_in_another_way(plug: Plug) -> None:
    silent = Capture([])
    calls = plug(silent, Capture(IMAGES))
    assert levels(frames()) == [0, 1, 2]
    assert calls == [(0, cv2.CAP_V4L2), (0, cv2.CAP_GSTREAMER)]
    assert silent.is_released


def test_a_camera_that_nothing_opens_says_what_was_tried(plug: Plug) -> None:
    plug(Capture([]), Capture(None))
    with pytest.raises(InputError, match=r"V4L2: it opens but gives no picture; GSTREAMER: ") as raised:
        frames()
    assert raised.value.settings == ("camera",)


def test_nothing_is_read_any_more_once_it_is_to_stop(plug: Plug) -> None:
    stop = threading.Event()
    plug(Capture(IMAGES))
    found = device_frames("/dev/video0", None, stop, AT_ONCE)
    next(found)
    stop.set()
    assert list(found) == []


@pytest.mark.parametrize("takes_wishes", [True, False])
def test_on_windows_a_camera_hears_the_wishes_as_it_opens(
    plug: Plug, monkeypatch: pytest.MonkeyPatch, takes_wishes: bool
) -> None:
    camera = Capture(IMAGES)
    calls = plug(*([] if takes_wishes else [Capture(None)]), camera)
    monkeypatch.setattr(sys, "platform", "win32")
    assert levels(frames((640, 480))) == [0, 1, 2]
    wishes = [cv2.CAP_PROP_FOURCC, MJPG, cv2.CAP_PROP_FRAME_WIDTH, 640, cv2.CAP_PROP_FRAME_HEIGHT, 480]
    assert calls[0] == (0, cv2.CAP_V4L2, [*wishes, cv2.CAP_PROP_FPS, 30])
    # Of one that refuses them, whatever it gives.
    assert calls[1:] == ([] if takes_wishes else [(0, cv2.CAP_V4L2)])
    assert camera.wishes == []


@pytest.mark.parametrize(("backend", "time"), [(cv2.CAP_DSHOW, 5), (cv2.CAP_V4L2, 0)])
def test_of_directshow_the_time_is_that_after_the_picture_has_come(
    plug: Plug, monkeypatch: pytest.MonkeyPatch, backend: int, time: float
) -> None:
    now = [0]

    class Slow(Capture):
        def retrieve(self) -> tuple[bool, object]:
            now[0] += 5
            return super().retrieve()

    plug(Slow(IMAGES))
    monkeypatch.setattr(device, "device_backends", lambda: [backend])
    monkeypatch.setattr(device, "time", SimpleNamespace(monotonic=lambda: now[0]))
    assert next(device_frames("0", None, threading.Event(), AT_ONCE)).time == time


@pytest.mark.parametrize(("system", "words"), [("win32", "privacy settings"), ("linux", "there is no /dev/video97")])
def test_why_it_may_not_open_is_said_in_words_of_the_system(
    plug: Plug, monkeypatch: pytest.MonkeyPatch, system: str, words: str
) -> None:
    plug(*[Capture(None) for _ in range(4)])
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(InputError, match=words):
        list(device_frames("97", None, threading.Event(), AT_ONCE))


UNASKED, DENIED, ALLOWED = range(3)


@pytest.mark.parametrize(
    ("before", "answer", "asked"), [(ALLOWED, ALLOWED, 0), (UNASKED, ALLOWED, 1), (UNASKED, DENIED, 1)]
)
def test_macos_is_asked_for_the_camera_once(
    plug: Plug, monkeypatch: pytest.MonkeyPatch, before: int, answer: int, asked: int
) -> None:
    status = [before]
    asking: list[object] = []

    def ask(kind: object, answered: Callable[[bool], None]) -> None:
        asking.append(kind)
        status[0] = answer
        answered(answer == ALLOWED)

    camera = SimpleNamespace(
        authorizationStatusForMediaType_=lambda _: status[0], requestAccessForMediaType_completionHandler_=ask
    )
    framework: Any = SimpleNamespace(
        AVCaptureDevice=camera,
        AVMediaTypeVideo="video",
        AVAuthorizationStatusNotDetermined=UNASKED,
        AVAuthorizationStatusAuthorized=ALLOWED,
    )
    monkeypatch.setitem(sys.modules, "AVFoundation", framework)
    monkeypatch.setattr(sys, "platform", "darwin")
    plug(Capture(IMAGES))
    if answer == DENIED:
        with pytest.raises(InputError, match="macOS does not let this program use the camera"):
            frames()
    else:
        assert levels(frames()) == [0, 1, 2]
    assert asking == ["video"] * asked
