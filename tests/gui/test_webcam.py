from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle.app.hud import YELLOW
from livestyle.app.webcam import CROSSFADE_SECONDS, NOTICE_SECONDS, Look
from livestyle.engine import StyleStats
from livestyle.media.camera import Camera

from .conftest import CLIP_SIZE, Display, Program, wait_for

WINDOW_SIZE = (640, 360)
"""At which the window opens for the clip, in the screen's top left corner."""
Start = Callable[..., Program]
SAME = 6.0
"""Mean difference of two pictures, in grey levels, below which they show the same scene (the clip is JPEG inside)."""
EQUAL = 0.3
"""The same of two paintings of one scene: less is the same style at the same strength."""


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float32) - other).mean())


def settled(program: Program, *unlike: np.ndarray) -> np.ndarray:
    """A snapshot that is like none of the pictures given, after the crossfade."""
    program.wait_for_snapshot(lambda image: all(distance(image, u) > EQUAL for u in unlike), "something else")
    time.sleep(2 * CROSSFADE_SECONDS)
    last = program.snapshot()

    def rests(image: np.ndarray) -> bool:
        nonlocal last
        difference, last = distance(image, last), image
        return difference == 0

    return program.wait_for_snapshot(rests, "a picture at rest")


def becomes(program: Program, image: np.ndarray, most: float = EQUAL) -> None:
    """Wait until snapshots show a picture."""
    program.wait_for_snapshot(lambda snapshot: distance(snapshot, image) < most, "the expected picture")


@pytest.fixture
def first(running: Program) -> np.ndarray:
    """The painting in the first style at full strength, to which the running program has been set."""
    running.press("1", *["plus"] * 10)
    return settled(running)


# -- keys -------------------------------------------------------------------------------------------------------------


def test_the_window_shows_the_painting_in_its_own_shape(running: Program, first: np.ndarray) -> None:
    assert first.shape[1::-1] == CLIP_SIZE

    def is_on_screen() -> bool:
        # Away from the overlay's corner.
        part = (slice(0, 200), slice(320, 640))
        return distance(running.display.screenshot()[part], cv2.resize(first, WINDOW_SIZE)[part]) < SAME

    wait_for(is_on_screen, "the painting on the screen")


def test_digits_n_and_p_choose_styles(running: Program, first: np.ndarray) -> None:
    running.press("2")
    second = settled(running, first)
    running.press("n")
    third = settled(running, first, second)
    running.press("n")
    becomes(running, first)
    running.press("p")
    becomes(running, third)
    running.press("KP_2")
    becomes(running, second)
    running.press("9")  # There are three styles.
    time.sleep(2 * CROSSFADE_SECONDS)
    becomes(running, second)


def test_plus_and_minus_change_the_strength_between_plain_and_full(
    running: Program, first: np.ndarray, scene: np.ndarray
) -> None:
    running.press(*["minus"] * 5)
    half = settled(running, first)
    running.press(*["KP_Subtract"] * 7)
    becomes(running, scene, SAME)
    running.press(*["equal"] * 3, "KP_Add", "plus")
    becomes(running, half)
    running.press(*["plus"] * 7)
    becomes(running, first)


def test_0_shows_the_plain_camera_and_back(running: Program, first: np.ndarray, scene: np.ndarray) -> None:
    running.press("0")
    becomes(running, scene, SAME)
    running.press("0")
    becomes(running, first)


@pytest.mark.usefixtures("first")
def test_m_mirrors(running: Program, scene: np.ndarray) -> None:
    running.press("0", "m")
    becomes(running, scene[:, ::-1], SAME)
    running.press("m")
    becomes(running, scene, SAME)


@pytest.mark.usefixtures("first")
def test_h_shows_help_that_no_snapshot_has(running: Program, scene: np.ndarray) -> None:
    running.press("0")
    corner = (slice(10, 250), slice(10, 200))
    plain = cv2.resize(scene, WINDOW_SIZE)[corner]

    def brightness() -> float:
        return float(running.display.screenshot()[corner].mean() / plain.mean())

    wait_for(lambda: brightness() > 0.9, "the plain picture")
    running.press("h")
    wait_for(lambda: brightness() < 0.7, "the help's dark panel")
    assert distance(running.snapshot(), scene) < SAME
    running.press("h")
    wait_for(lambda: brightness() > 0.9, "the help to go")


@pytest.mark.usefixtures("first")
def test_s_saves_one_more_file_each_time_and_says_where(running: Program) -> None:
    before = {path: path.read_bytes() for path in running.snapshots()}
    for _ in range(3):
        running.snapshot()
    new = set(running.snapshots()) - set(before)
    assert len(new) == 3
    assert all(path.read_bytes() == content for path, content in before.items())
    wait_for(lambda: all(f"saved {path.resolve()}" in running.output() for path in new), "its word in the terminal")

    def has_notice() -> bool:
        running.press("0", "s")
        row = running.display.screenshot()[295:318, :400]
        return int((np.abs(row - np.array(YELLOW, np.float32)).max(axis=2) < 30).sum()) > 50

    wait_for(has_notice, "its yellow word in the window")


def test_f_leaves_the_program_alive(running: Program) -> None:
    # Without a window manager nothing fills the screen.
    running.press("f", "f")
    assert running.snapshot().shape[1::-1] == CLIP_SIZE


def test_a_picture_that_stands_still_costs_next_to_nothing(running: Program) -> None:
    time.sleep(NOTICE_SECONDS + 0.5)  # The notice of the snapshot goes.

    def cpu_seconds() -> float:
        fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    start, clock = cpu_seconds(), time.monotonic()
    time.sleep(2)
    assert (cpu_seconds() - start) / (time.monotonic() - clock) < 0.4


def test_what_runs_is_said_in_one_line(running: Program) -> None:
    line = running.output().strip().splitlines()[0]
    assert "CPU" in line or "CUDA" in line
    assert "lite" in line
    assert "192x108" in line


def test_a_snapshot_that_cannot_be_written_is_said_and_nothing_ends(
    start: Start, still_clip: Path, style_folder: Path
) -> None:
    program = start("--camera", str(still_clip), "--style", str(style_folder))
    program.wait_until_painted()

    def folder_is_gone() -> bool:
        # A snapshot may still be on its way.
        shutil.rmtree(program.folder, ignore_errors=True)
        return not program.folder.exists()

    wait_for(folder_is_gone, "the folder to go")
    program.press("s")
    wait_for(lambda: "cannot write a snapshot" in program.output(), "the notice")
    program.press("q")
    assert program.ends() == 0
    assert "Traceback" not in program.output()


# -- endings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["q", "Escape", "close button", "Ctrl+C"])
def test_it_ends_cleanly(how: str, start: Start, display: Display, still_clip: Path, style_folder: Path) -> None:
    program = start("--camera", str(still_clip), "--style", str(style_folder))
    if how == "close button":
        display.press_close_button(program.window)
    elif how == "Ctrl+C":
        program.interrupt()
    else:
        program.press(how)
    assert program.ends() == 0
    assert "Traceback" not in program.output()


def run_to_its_end(display_name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "QT_QPA_PLATFORM"}}
    if display_name:
        environment["DISPLAY"] = display_name
    command = [sys.executable, "-m", "livestyle", "webcam", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["", ":98765"])
def test_without_a_display_it_says_so(name: str, still_clip: Path) -> None:
    result = run_to_its_end(name, "--camera", str(still_clip))
    assert result.returncode == 1
    assert "no display found" in result.stderr
    assert "livestyle video" in result.stderr
    assert "Traceback" not in result.stderr


# -- cameras ----------------------------------------------------------------------------------------------------------


class MjpegServer:
    """A network camera, as cheap ones are: JPEG pictures one after the other over HTTP."""

    def __init__(self, image: np.ndarray) -> None:
        self.sending = threading.Event()
        self.sending.set()
        self.stopped = threading.Event()
        jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while not server.stopped.is_set():
                    server.sending.wait(0.1)
                    if not server.sending.is_set():
                        continue
                    try:
                        self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                        self.wfile.write(b"Content-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg))
                    except OSError:
                        return
                    time.sleep(0.04)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/stream.mjpg"

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(scene: np.ndarray) -> Iterator[MjpegServer]:
    stream = MjpegServer(scene)
    yield stream
    stream.stop()


def test_a_network_camera_that_stops_ends_it_with_an_error(
    start: Start, server: MjpegServer, scene: np.ndarray, style_folder: Path
) -> None:
    program = start("--camera", server.address, "--style", str(style_folder), "--size", "128x128")
    program.wait_until_painted()
    program.press("0")
    picture = program.wait_for_snapshot(
        lambda image: distance(image, cv2.resize(scene, (128, 72))) < SAME, "the stream"
    )
    assert picture.shape == (72, 128, 3)
    server.stopped.set()
    assert program.ends() == 1
    assert "stopped giving pictures" in program.output()
    assert "Traceback" not in program.output()


def test_it_ends_while_a_network_camera_is_silent(start: Start, server: MjpegServer, style_folder: Path) -> None:
    program = start("--camera", server.address, "--style", str(style_folder))
    program.wait_until_painted()
    server.sending.clear()
    program.press("q")
    assert program.ends() == 0


@pytest.mark.parametrize("camera", ["97", "/dev/video97", "missing.mp4", "notes.mp4", "http://127.0.0.1:9/stream"])
def test_a_camera_that_does_not_open_is_named(camera: str, display: Display, tmp_path: Path) -> None:
    if camera == "notes.mp4":
        (tmp_path / camera).write_text("no video")
    source = str(tmp_path / camera) if camera.endswith(".mp4") else camera
    result = run_to_its_end(display.name, "--camera", source)
    assert result.returncode == 1
    assert source in result.stderr
    assert len(result.stderr.strip().splitlines()) < 6
    assert "Traceback" not in result.stderr


def test_a_file_plays_at_its_own_rate_and_starts_again(still_clip: Path) -> None:
    with Camera(str(still_clip)) as camera:
        start = time.monotonic()
        for _ in islice(camera, 40):
            pass
    # The clip has 30 frames, 15 a second.
    assert 2.2 < time.monotonic() - start < 12


# -- without a window -------------------------------------------------------------------------------------------------


def test_a_switch_of_style_is_a_mix_that_moves_with_time() -> None:
    before, after = StyleStats(np.zeros(4, np.float32)), StyleStats(np.ones(4, np.float32))
    look = Look(after, before=before, since=100.0)
    middle = look.stats(100.0 + CROSSFADE_SECONDS / 2).values
    assert np.allclose(look.stats(100.0).values, 0)
    assert np.allclose(middle, 0.5)
    assert look.stats(100.0 + CROSSFADE_SECONDS) is after


SHOW = "import sys; from livestyle.app.window import show_video; print(show_video(sys.argv[1]))"


@pytest.mark.parametrize("screen", [True, False])
def test_a_video_is_shown_where_there_is_a_display(screen: bool, display: Display, still_clip: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    if screen:
        environment["DISPLAY"] = display.name
    command = [sys.executable, "-c", SHOW, str(still_clip)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == str(screen)
