"""What needs a real window: that it shows and fits, that a keyboard reaches it, that it closes, and what it costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import StyleLibrary, Stylizer
from livestyle.live.app import NOTICE_SECONDS
from tests.live.conftest import CLIP_SIZE, distance
from tests.mjpeg import MjpegServer
from tests.waiting import wait_for

from .conftest import Display, Program

pytestmark = pytest.mark.gui

WINDOW_SIZE = (640, 360)
"""At which the window opens for the clip."""
SAME = 6.0
"""Mean difference of two images, in grey levels, below which they show one scene (the clip is JPEG inside)."""

Start = Callable[..., Program]


def test_the_window_shows_the_painting_in_its_own_shape(running: Program) -> None:
    painting = cv2.resize(running.snapshot(), WINDOW_SIZE)
    # Away from the words.
    part = (slice(0, 200), slice(320, 640))
    wait_for(lambda: distance(running.screenshot()[part], painting[part]) < SAME, "the painting on the screen")
    assert (running.screenshot()[: WINDOW_SIZE[1], WINDOW_SIZE[0] + 5 :] == 0).all()


def test_keys_of_a_real_keyboard_arrive(running: Program, stylizer: Stylizer) -> None:
    """Characters, those of the keypad and those with names."""
    path = running.folder / "settings.toml"
    running.press("KP_2", "KP_Subtract", "minus", "KP_Add", "period", "space", "KP_3", "bracketright", "M", "w")
    wait_for(lambda: f"saved {path}" in running.output(), "the settings")
    settings = tomllib.loads(path.read_text())
    second, third = list(StyleLibrary(stylizer).presets)[1:3]
    assert settings["style"] == f"{second}:0.4,{third}:0.6"
    assert (settings["strength"], settings["stroke_size"], settings["mirror"]) == (0.9, 1.5, True)


def test_the_keys_of_another_alphabet_arrive(running: Program) -> None:
    environment = {**os.environ, "DISPLAY": running.display.name}
    subprocess.run(["setxkbmap", "ru"], env=environment, check=True)
    try:
        # The key of s, by its number: xdotool would look for a letter in the layout.
        before = set(running.snapshots())
        running.press("39")
        wait_for(lambda: set(running.snapshots()) - before, "a snapshot")
        before = set(running.snapshots())
        running.press("Return")
        wait_for(lambda: set(running.snapshots()) - before, "a snapshot")
    finally:
        subprocess.run(["setxkbmap", "us"], env=environment, check=True)


def test_f_leaves_the_program_alive(running: Program) -> None:
    # Without a window manager nothing fills the screen.
    running.press("f")
    time.sleep(0.3)
    running.press("f")
    assert running.snapshot().shape[1::-1] == CLIP_SIZE


def test_an_image_that_stands_still_costs_next_to_nothing(running: Program) -> None:
    time.sleep(NOTICE_SECONDS + 0.3)  # The notice of the snapshot goes.
    start, clock = running.cpu_seconds(), time.monotonic()
    time.sleep(2)
    assert (running.cpu_seconds() - start) / (time.monotonic() - clock) < 0.12


@pytest.mark.parametrize("how", ["Escape", "close button"])
def test_it_ends_cleanly(how: str, start: Start, display: Display, still_clip: Path) -> None:
    program = start("--camera", str(still_clip))
    if how == "close button":
        display.press_close_button(program.window)
    else:
        program.press(how)
    assert program.ends() == 0
    assert "Traceback" not in program.output()


def test_the_window_opens_and_closes_while_a_network_camera_is_silent(start: Start, scene: np.ndarray) -> None:
    server = MjpegServer(scene)
    server.sending.clear()
    try:
        program = start("--camera", server.address)
        program.press("q")
        assert program.ends() == 0
    finally:
        server.stop()


# As livestyle demo does: PyAV, which comes with the jobs, has hung OpenCV's windows before.
SHOW = """
import sys
import livestyle.jobs.batch
from livestyle.live.window import show_video
print(show_video(sys.argv[1]))
"""


def test_a_video_is_shown_where_there_is_a_display(display: Display, moving_clip: Path) -> None:
    command = [sys.executable, "-c", SHOW, str(moving_clip)]
    environment = {**os.environ, "DISPLAY": display.name}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "True"
