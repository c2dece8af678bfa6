"""The thread that renders a camera's latest frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import InputError, Look, Style, Stylizer, stylize_image
from livestyle.live.adaptive_resolution import LEAST_SIDE
from livestyle.live.render_thread import PREVIEW_SIDE, Painting, RenderThread
from livestyle.media.frames import Frame
from tests.waiting import PATIENCE, wait_for


class Camera:
    """Gives the frames that a test shows it, the latest one only."""

    def __init__(self, *frames: Frame) -> None:
        self._frames = list(frames)
        self._changed = threading.Condition()

    def show(self, frame: Frame) -> None:
        with self._changed:
            self._frames.append(frame)
            self._changed.notify_all()

    def latest(self, after: Frame | None = None, timeout: float | None = None) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._frames) and self._frames[-1] is not after, timeout)
            newest = self._frames[-1] if self._frames else None
            return None if newest is after else newest


class Written:
    """What was written: images and their times."""

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []
        self.times: list[float] = []

    def __call__(self, image: np.ndarray, time: float) -> None:
        self.images.append(image)
        self.times.append(time)

    def are(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.images) == count


Start = Callable[..., RenderThread]


def newest(thread: RenderThread, written: Written) -> Painting:
    """The painting that was written last; it is there a moment later than it is written."""

    def same() -> Painting | None:
        painting = thread.painting
        return painting if painting is not None and painting.image is written.images[-1] else None

    painting = wait_for(same, "the painting")
    assert painting is not None
    return painting


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def start(identity: Stylizer, written: Written) -> Iterator[Start]:
    """A running thread that begins with a look and ends with the test."""
    threads: list[RenderThread] = []

    def begin(camera: Any, look: Look, rate: float = 0.0) -> RenderThread:
        threads.append(RenderThread(lambda: (identity, look), camera, written, rate))
        threads[-1].start()
        return threads[-1]

    yield begin
    for thread in threads:
        thread.close()


@pytest.fixture
def look(dusk: Style) -> Look:
    return Look(dusk)


def test_each_frame_is_painted_at_its_own_time(
    start: Start, written: Written, look: Look, scene: np.ndarray, identity: Stylizer
) -> None:
    camera = Camera(Frame(scene, 5.0))
    start(camera, look)
    wait_for(written.are(1), "the first painting")
    camera.show(Frame(scene[::-1].copy(), 6.0))
    wait_for(written.are(2), "the second painting")
    assert written.times == [5, 6]
    assert (written.images[0] == stylize_image(scene, look, identity)).all()


def test_an_unchanged_frame_in_an_unchanged_look_is_painted_once(
    start: Start, written: Written, look: Look, scene: np.ndarray
) -> None:
    camera = Camera(Frame(scene, 5.0))
    thread = start(camera, look)
    wait_for(written.are(1), "the first painting")
    for number in range(5):
        camera.show(Frame(scene.copy(), 6.0 + number))
        time.sleep(0.03)
    # One that can be waited for, to know that all before have been seen.
    camera.show(Frame(scene[::-1].copy(), 20.0))
    wait_for(written.are(2), "the second painting")
    assert written.times == [5, 20]
    assert newest(thread, written).frame.time == 20


def test_the_same_frame_in_another_look_is_a_painting_of_now(
    start: Start, written: Written, look: Look, scene: np.ndarray
) -> None:
    thread = start(Camera(Frame(scene, 5.0)), look)
    wait_for(written.are(1), "the first painting")
    before = time.monotonic()
    thread.look = replace(look, mirror=True)
    wait_for(written.are(2), "the second painting")
    assert before <= written.times[1] <= time.monotonic()
    assert (written.images[1] == written.images[0][:, ::-1]).all()


def test_the_plain_camera_is_the_frame(start: Start, written: Written, look: Look, scene: np.ndarray) -> None:
    thread = start(Camera(Frame(scene, 5.0)), look)
    wait_for(written.are(1), "the first painting")
    thread.look = replace(look, plain=True)
    wait_for(written.are(2), "the plain camera")
    assert (written.images[1] == scene).all()
    assert newest(thread, written).size == (0, 0)


def test_a_rate_that_cannot_be_held_is_tried_at_a_lower_resolution(
    start: Start, written: Written, look: Look, scene: np.ndarray
) -> None:
    large = cv2.resize(scene, (640, 360)).astype(np.uint8)
    thread = start(Camera(Frame(large, 5.0)), look, rate=100_000)
    wait_for(written.are(1), "the painting")
    painting = newest(thread, written)
    assert painting.size == (LEAST_SIDE * 16 // 9, LEAST_SIDE)
    assert painting.image.shape == large.shape


def test_rate_0_renders_frames_at_their_own_size(start: Start, written: Written, look: Look, scene: np.ndarray) -> None:
    thread = start(Camera(Frame(scene, 5.0)), look)
    wait_for(written.are(1), "the painting")
    assert newest(thread, written).size == scene.shape[1::-1]


def test_previews_are_small_and_come_between_frames(
    start: Start, written: Written, look: Look, scene: np.ndarray, identity: Stylizer
) -> None:
    thread = start(Camera(Frame(scene, 5.0)), look)
    styles = [Style(str(number), identity.encode_style(np.full((64, 64, 3), number, np.uint8))) for number in range(3)]
    thread.request_previews(styles)
    wait_for(lambda: len(thread.previews) == 3, "the previews")
    assert set(thread.previews) == set(styles)
    assert {image.shape for image in thread.previews.values()} == {(PREVIEW_SIDE, PREVIEW_SIDE, 3)}
    assert len(written.images) == 1


def test_what_fails_on_the_thread_is_raised_where_paintings_are_taken(written: Written, scene: np.ndarray) -> None:
    def fail() -> tuple[Stylizer, Look]:
        raise InputError("there is no model")

    camera: Any = Camera(Frame(scene, 5.0))
    thread = RenderThread(fail, camera, written, 0.0)
    thread.start()
    with pytest.raises(InputError, match="there is no model"):
        thread.wait(None, PATIENCE)
    thread.close()


def test_it_ends_while_there_is_no_frame(start: Start, written: Written, look: Look) -> None:
    thread = start(Camera(), look)
    time.sleep(0.1)
    thread.close()
    assert written.images == []
    assert thread.painting is None
