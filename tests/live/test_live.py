"""The live program without a window, as on a server: what it is for, how it ends, what it costs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from livestyle import StyleLibrary, Stylizer
from livestyle.engine.model import MANIFEST
from livestyle.media.video.reader import VideoReader

PATIENCE = 60.0
SIZE = (96, 72)

MAIN = "from livestyle.cli.main import main; main()"
Start = Callable[..., "subprocess.Popen[str]"]


def wait_for(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)


@pytest.fixture
def clip(tmp_path: Path, film: list[np.ndarray]) -> Path:
    """A second of a real film, small."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, SIZE)
    for image in film:
        writer.write(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA))
    writer.release()
    return path


@pytest.fixture
def start(clip: Path, tmp_path: Path) -> Iterator[Start]:
    """Start ``livestyle webcam`` on the clip where there is no display; it is ended with the test."""
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    environment["LIVESTYLE_SETTINGS"] = str(tmp_path / "settings.toml")
    programs: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, code: str = "") -> subprocess.Popen[str]:
        main = ["-c", code] if code else ["-m", "livestyle"]
        command = [sys.executable, *main, "webcam", "--camera", str(clip), "--no-window", *arguments]
        programs.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return programs[-1]

    yield begin
    for program in programs:
        program.kill()
        program.communicate()


def url_of(program: subprocess.Popen[str]) -> str:
    """Where it says that it serves."""
    assert program.stderr is not None
    for line in program.stderr:
        if line.startswith("serving at "):
            return line.split()[-1]
    pytest.fail("it does not say where it serves")


def picture_at(url: str) -> np.ndarray | None:
    try:
        with urlopen(f"{url}snapshot.jpg", timeout=PATIENCE) as answer:
            data = np.frombuffer(answer.read(), np.uint8)
    except OSError:
        return None
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_serves_paintings_until_a_signal_ends_it(start: Start, number: signal.Signals) -> None:
    program = start("--serve", "0", "--style", "scream")
    url = url_of(program)
    wait_for(lambda: picture_at(url) is not None, "a painting")
    picture = picture_at(url)
    assert picture is not None
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    program.send_signal(number)
    _, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0
    assert "Traceback" not in errors


def test_nohup_keeps_it_alive_when_the_terminal_closes(start: Start) -> None:
    program = start("--serve", "0", code="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + MAIN)
    url = url_of(program)
    program.send_signal(signal.SIGHUP)
    wait_for(lambda: picture_at(url) is not None, "a painting")
    assert program.poll() is None
    program.terminate()
    program.communicate(timeout=PATIENCE)


def test_record_makes_a_film_of_the_true_length(start: Start, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    program = start("--record", str(film))
    wait_for(film.exists, "the recording")
    begin = time.monotonic()
    time.sleep(2)
    program.terminate()
    _, errors = program.communicate(timeout=PATIENCE)
    length = time.monotonic() - begin
    assert program.returncode == 0, errors
    with VideoReader(film) as source:
        frames = list(source)
    assert 1.5 < float(frames[-1].time + frames[-1].duration) < length + 0.5


REGISTER = """
import sys
import pyvirtualcam

class Collector:
    def __init__(self, **options):
        self.size = (options["width"], options["height"])
    def close(self):
        print("closed")
    def device(self):
        return "a test's camera"
    def native_fourcc(self):
        return None
    def send(self, data):
        print("sent", self.size, bool(data.any()), flush=True)

pyvirtualcam.register_backend("collector", Collector)
from livestyle.cli.main import main
main()
"""


def test_it_is_a_virtual_camera(start: Start) -> None:
    program = start("--virtual-camera", code=REGISTER)
    assert program.stdout is not None
    wait_for(lambda: program.stdout is not None and program.stdout.readline() == f"sent {SIZE} True\n", "a picture")
    program.terminate()
    output, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0, errors
    assert output.endswith("closed\n")
    assert "a test's camera" in errors


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--serve"),
        (["--record", "clip.avi"], ".mp4"),
        (["--record", "no/such/folder/film.mp4"], "there is no folder"),
        (["--serve", "somewhere"], "not an address"),
        (["--serve", "0", "--strength", "2"], "between 0 and 1"),
        (["--serve", "0", "--size", "640x360", "--fps", "30"], "--size"),
        (["--serve", "0", "--style", "no-such-style"], "no-such-style"),
        (["--serve", "0", "--styles", "no-such-folder"], "no-such-folder"),
        (["--serve", "0", "--background", "scream"], "a background needs a mask"),
        (["--serve", "0", "--mask", "no-such-mask.png"], "there is no mask no-such-mask.png"),
        (["--serve", "0", "--mask", "clip.avi"], "clip.avi is a video: the mask of a camera is a picture"),
        (["--virtual-camera"], "virtual camera"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(start: Start, arguments: list[str], text: str) -> None:
    program = start(*arguments)
    _, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert text in last
    assert "Traceback" not in errors


def test_a_saved_style_that_is_gone_is_no_error(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('style = "no-such-style"\n')
    program = start("--serve", "0")
    url = url_of(program)
    wait_for(lambda: picture_at(url) is not None, "a painting")
    program.terminate()
    _, errors = program.communicate(timeout=PATIENCE)
    assert "no-such-style" in errors
    assert tomllib.loads(path.read_text()) == {"style": "no-such-style"}


def test_what_was_saved_is_named_but_for_what_is_asked_for(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("mirror = true\nstrength = 0.5\nfps = 0\n")
    program = start("--serve", "0", "--strength", "0.7")
    assert program.stderr is not None
    assert program.stderr.readline() == f"mirror, fps: as saved in {path}; --no-saved leaves that out\n"


def test_a_saved_mask_that_is_gone_is_no_error(start: Start, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('mask = "no-such-mask.png"\nbackground = "scream"\n')
    program = start("--serve", "0")
    url = url_of(program)
    wait_for(lambda: picture_at(url) is not None, "a painting")
    program.terminate()
    _, errors = program.communicate(timeout=PATIENCE)
    assert "the mask of your saved settings is left out: there is no mask no-such-mask.png" in errors


def test_a_saved_background_that_the_model_cannot_paint_is_no_error(
    start: Start, tmp_path: Path, stylizer: Stylizer
) -> None:
    model = tmp_path / "model"
    shutil.copytree(stylizer.model.folder, model)
    manifest = json.loads((model / MANIFEST).read_text())
    manifest["files"] = {name: digest for name, digest in manifest["files"].items() if "regions" not in name}
    (model / MANIFEST).write_text(json.dumps(manifest))
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / "settings.toml").write_text('mask = "mask.png"\nbackground = "scream"\n')

    program = start("--serve", "0", "--model", str(model))
    url = url_of(program)
    wait_for(lambda: picture_at(url) is not None, "a painting")
    program.terminate()
    _, errors = program.communicate(timeout=PATIENCE)

    assert "the mask of your saved settings is left out: the model in" in errors


def test_a_saved_mask_is_left_out_by_the_name_none(start: Start, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('mask = "no-such-mask.png"\nbackground = "scream"\n')

    program = start("--serve", "0", "--mask", "none")
    url = url_of(program)
    wait_for(lambda: picture_at(url) is not None, "a painting")
    program.terminate()
    _, errors = program.communicate(timeout=PATIENCE)

    assert "saved settings" not in errors


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("background", ["original", "ink-sea"])
def test_a_mask_divides_the_picture_and_is_mirrored_with_it(
    start: Start, tmp_path: Path, film: list[np.ndarray], stylizer: Stylizer, library: StyleLibrary,
    background: str, mirror: bool,
) -> None:  # fmt: skip
    image = cv2.resize(film[0], (192, 144), interpolation=cv2.INTER_AREA)
    mask = np.zeros((12, 16), np.uint8)
    mask[:, :8] = 255
    for name, picture in (("still.png", image), ("mask.png", mask)):
        cv2.imwrite(str(tmp_path / name), picture)
    program = start(
        *("--camera", "still.png", "--serve", "0", "--fps", "0", "--style", "scream"),
        *("--mask", "mask.png", "--background", background, "--mirror" if mirror else "--no-mirror"),
    )
    url = url_of(program)
    wait_for(lambda: picture_at(url) is not None, "a painting")
    shown = picture_at(url)
    assert shown is not None
    if mirror:
        image = np.ascontiguousarray(image[:, ::-1])
    foreground = stylizer.stylize(image, library.presets["scream"].stats)
    behind = image if background == "original" else stylizer.stylize(image, library.presets[background].stats)
    sides = [slice(0, 64), slice(128, None)]
    for side, own, other in zip(sides, (foreground, behind), (behind, foreground), strict=True):
        place = sides[1 - sides.index(side)] if mirror else side
        far, near = (abs(shown.astype(int) - picture)[:, place].mean() for picture in (other, own))
        assert near < far / 3


MANY_FRAMES = """
import os, sys, threading
from livestyle.live import outputs
from livestyle.cli.main import main

count = 0
measured = {}
write = outputs.Outputs.write

def memory():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def counting(self, image, time):
    global count
    write(self, image, time)
    count += 1
    if count in (1000, 10000):
        measured[count] = (memory(), threading.active_count())
    if count == 10000:
        print(*measured[1000], *measured[10000], flush=True)
        os.kill(os.getpid(), 15)

outputs.Outputs.write = counting
main()
"""


def watch(url: str) -> int:
    """Read the stream until it ends; gives the bytes."""
    count = 0
    with suppress(OSError), urlopen(f"{url}stream.mjpg", timeout=PATIENCE) as answer:
        while data := answer.read(65536):
            count += len(data)
    return count


def test_ten_thousand_frames_leave_memory_and_threads_as_they_were(
    start: Start, tmp_path: Path, film: list[np.ndarray]
) -> None:
    path = tmp_path / "fast.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 1000.0, (64, 64))
    for image in film * 20:
        writer.write(cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA))
    writer.release()
    program = start(
        *("--camera", str(path), "--serve", "0", "--record", str(tmp_path / "film.mp4")),
        *("--fps", "0", "--cycle", "0.5", "--crossfade", "0.2"),
        code=MANY_FRAMES,
    )
    url = url_of(program)
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch, url)
        output, errors = program.communicate(timeout=600)
        assert watching.result() > 0
    assert program.returncode == 0, errors
    memory, threads, memory_after, threads_after = map(int, output.split())
    assert memory_after - memory < 20_000_000
    assert threads_after <= threads
