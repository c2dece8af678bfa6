"""The live program without a window, as on a server: what it is for, how it ends, what it costs."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import pyvirtualcam

from livestyle import Look, Mask, OutputError, StyleLibrary, Stylizer, stylize_image
from livestyle.cli.main import main
from livestyle.engine.model import MANIFEST
from livestyle.live.app import run_webcam
from livestyle.live.config import SinkOptions
from livestyle.live.settings import Settings, load_settings
from livestyle.live.window import require_display, show_video
from livestyle.media.video.reader import VideoReader
from tests.media.clock_picture import free_port
from tests.media.test_mjpeg_server_guard import listen_everywhere
from tests.program import IDENTITY
from tests.waiting import PATIENCE, wait_for

from .conftest import CLIP_SIZE, Terminal, distance, write_clip

PROGRAM = "from livestyle.cli.main import run_program; run_program()"
SAME = 6.0
"""Mean difference of two images, in grey levels, below which they show one scene (they are JPEGs)."""

Serve = Callable[..., AbstractContextManager[str]]


def snapshot_at(url: str) -> np.ndarray | None:
    """What is served, uint8 [H, W, 3] BGR; None while there is nothing yet."""
    try:
        with urlopen(f"{url}snapshot.jpg", timeout=PATIENCE) as answer:
            data = np.frombuffer(answer.read(), np.uint8)
    except OSError:
        return None
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def first_painting(url: str) -> np.ndarray:
    found: list[np.ndarray] = []

    def is_there() -> bool:
        image = snapshot_at(url)
        if image is not None:
            found.append(image)
        return bool(found)

    wait_for(is_there, "a painting")
    return found[0]


@pytest.fixture
def serve(settings_file: Path, terminal: Terminal, still: Path) -> Serve:
    """Runs the program on a thread with settings, and the saved ones; gives the address that it serves at."""

    @contextmanager
    def run(asked: Settings | None = None, model: Path = IDENTITY, **sinks: Any) -> Iterator[str]:
        already = terminal.text.count("serving at ")
        asked, stop = Settings(camera=str(still)).updated(asked or Settings()), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            options = SinkOptions(window=False, serve="0", **sinks)
            program = pool.submit(run_webcam, asked, load_settings(), "cpu", model, options, stop)
            try:
                wait_for(lambda: program.done() or terminal.text.count("serving at ") > already, "its address")
                if program.done():
                    program.result()
                yield terminal.text.rpartition("serving at ")[2].split()[0]
            finally:
                stop.set()
            program.result(PATIENCE)
        assert "Traceback" not in terminal.text

    return run


# -- what it is for ---------------------------------------------------------------------------------------------------


def test_it_serves_paintings(serve: Serve, scene: np.ndarray, identity: Stylizer, terminal: Terminal) -> None:
    with serve(Settings(style="moss")) as url:
        image = first_painting(url)
    moss = StyleLibrary(identity).presets["moss"]
    assert distance(image, stylize_image(scene, Look(moss), identity)) < SAME
    assert f"still.png at {CLIP_SIZE[0]}x{CLIP_SIZE[1]}\n" in terminal.text
    assert "press h" not in terminal.text


def test_a_token_from_the_environment_guards_what_is_served(
    start: Start, still: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "correct-horse-battery"
    monkeypatch.setenv("LIVESTYLE_SERVE_TOKEN", token)
    url = url_of(start("--camera", str(still), "--model", str(IDENTITY)))
    assert url.endswith(f"/?token={token}")
    with pytest.raises(HTTPError, match="401"):
        urlopen(url.partition("?")[0], timeout=PATIENCE)
    with urlopen(url, timeout=PATIENCE) as answer:
        assert answer.status == 200


def test_a_server_for_the_network_prints_a_link_that_is_ready(
    still: Path, settings_file: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livestyle.media.sinks.mjpeg_server._listen", listen_everywhere)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        sinks = SinkOptions(window=False, serve="0.0.0.0:8080")
        program = pool.submit(run_webcam, Settings(camera=str(still)), None, "cpu", IDENTITY, sinks, stop)
        try:
            wait_for(terminal.shows("in place of localhost)"), "the link")
            link = terminal.text.rpartition("serving at ")[2].split()[0]
            assert "/?token=" in link
            with urlopen(link, timeout=PATIENCE) as answer:
                assert answer.status == 200
        finally:
            stop.set()
        program.result(PATIENCE)


def test_a_token_is_in_no_error(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESTYLE_SERVE_TOKEN", "far-too-short")
    assert main(["webcam", "--no-window", "--serve", "0"]) == 1
    assert "16 to 200 letters" in terminal.text
    assert "(--serve-token)" in terminal.text
    assert "far-too-short" not in terminal.text
    assert "far-too-short" not in repr(SinkOptions(serve_token="far-too-short"))


def test_record_makes_a_video_of_the_true_length(
    serve: Serve, moving_clip: Path, tmp_path: Path, terminal: Terminal
) -> None:
    path = tmp_path / "video.mp4"
    before = time.monotonic()
    with serve(Settings(camera=str(moving_clip)), record=path):
        while not path.exists():
            before = time.monotonic()
            time.sleep(0.01)
        wait_for(terminal.shows(f"recording to {path}"), "the recording")
        begun = time.monotonic()
        time.sleep(1)
        least = time.monotonic() - begun
    most = time.monotonic() - before
    with VideoReader(path) as video:
        frames = list(video)
    assert least - 0.01 < float(frames[-1].time + frames[-1].duration) < most + 0.01
    assert f"saved {path}, 0:0" in terminal.text


def test_it_is_a_virtual_camera(serve: Serve, monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    seen: list[tuple[int, int, float, bool]] = []
    closed: list[bool] = []

    class Backend:
        def __init__(self, **options: Any) -> None:
            self._mode = (options["width"], options["height"], options["fps"])

        def close(self) -> None:
            closed.append(True)

        def device(self) -> str:
            return "a test's camera"

        def native_fourcc(self) -> None:
            return None

        def send(self, data: np.ndarray) -> None:
            seen.append((*self._mode, bool(data.any())))

    monkeypatch.setattr("pyvirtualcam.camera.BACKENDS", {})
    pyvirtualcam.register_backend("test", Backend)
    with serve(virtual_camera=True):
        # Not the size of the camera, which may change.
        wait_for(lambda: (1280, 720, 30, True) in seen, "a painting")
    assert {frame[:3] for frame in seen} == {(1280, 720, 30)}
    assert closed == [True]
    assert "virtual camera: a test's camera" in terminal.text


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("background", ["original", "ink-sea"])
def test_a_mask_divides_the_image_and_is_mirrored_with_it(
    serve: Serve, tmp_path: Path, scene: np.ndarray, stylizer: Stylizer, background: str, mirror: bool
) -> None:
    mask = np.zeros((12, 16), np.uint8)
    mask[:, :8] = 255
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), mask)
    asked = Settings(style="scream", mask=str(path), background=background, fps=0.0, look={"mirror": mirror})
    with serve(asked, stylizer.model.folder) as url:
        shown = first_painting(url)
    presets = StyleLibrary(stylizer).presets
    with Mask(path) as opened:
        look = Look(presets["scream"], mirror=mirror, mask=opened, background=presets.get(background))
        assert distance(shown, stylize_image(scene, look, stylizer)) < SAME
    if mirror:
        scene = np.ascontiguousarray(scene[:, ::-1])
    foreground = stylize_image(scene, Look(presets["scream"]), stylizer)
    behind = scene if background == "original" else stylize_image(scene, Look(presets[background]), stylizer)
    sides = [slice(0, CLIP_SIZE[0] // 3), slice(CLIP_SIZE[0] * 2 // 3, None)]
    for side, own, other in zip(sides[:: -1 if mirror else 1], (foreground, behind), (behind, foreground), strict=True):
        assert distance(shown[:, side], own[:, side]) < distance(shown[:, side], other[:, side]) / 2


# -- saved settings ---------------------------------------------------------------------------------------------------


def test_saved_settings_are_used_and_what_is_asked_for_wins(
    serve: Serve, settings_file: Path, scene: np.ndarray, terminal: Terminal
) -> None:
    settings_file.write_text("mirror = true\nstrength = 0.0\nfps = 0\n")
    with serve() as url:
        assert distance(first_painting(url), scene[:, ::-1]) < SAME
    assert terminal.text.startswith(f"fps, mirror, strength: as saved in {settings_file}\n")
    with serve(Settings(look={"mirror": False})) as url:
        assert distance(first_painting(url), scene) < SAME
    assert f"\nfps, strength: as saved in {settings_file}\n" in terminal.text


def test_a_saved_style_that_is_gone_is_no_error(
    serve: Serve, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file.write_text('style = "no-such-style"\n')
    with serve() as url:
        first_painting(url)
    assert "no-such-style" in caplog.text
    assert tomllib.loads(settings_file.read_text()) == {"style": "no-such-style"}


def test_a_saved_folder_of_styles_that_is_gone_is_no_error(
    serve: Serve, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file.write_text('styles = "no-such-folder"\n')
    with serve() as url:
        first_painting(url)
    assert "the folder of styles of your saved settings is gone: no-such-folder" in caplog.text


def test_a_saved_mask_that_is_gone_is_no_error(
    serve: Serve, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file.write_text('mask = "no-such-mask.png"\nbackground = "moss"\n')
    with serve() as url:
        first_painting(url)
    assert "the mask of your saved settings is left out: there is no mask no-such-mask.png" in caplog.text


def test_a_saved_background_that_the_model_cannot_paint_is_no_error(
    serve: Serve, tmp_path: Path, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = tmp_path / "model"
    shutil.copytree(IDENTITY, model)
    manifest = json.loads((model / MANIFEST).read_text())
    manifest["files"] = {name: digest for name, digest in manifest["files"].items() if "regions" not in name}
    (model / MANIFEST).write_text(json.dumps(manifest))
    mask = tmp_path / "mask.png"
    cv2.imwrite(str(mask), np.zeros((8, 8), np.uint8))
    settings_file.write_text(f'mask = "{mask}"\nbackground = "moss"\n')
    with serve(model=model) as url:
        first_painting(url)
    assert "the mask of your saved settings is left out: the model in" in caplog.text


def test_a_saved_mask_is_left_out_by_the_name_none(
    serve: Serve, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings_file.write_text('mask = "no-such-mask.png"\nbackground = "moss"\n')
    with serve(Settings(mask="none")) as url:
        first_painting(url)
    assert "saved settings" not in caplog.text


# -- what cannot be ---------------------------------------------------------------------------------------------------


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
        (["--serve", "0", "--mask", "{clip}"], "{clip} is a video: the mask of a camera is a picture"),
        (["--virtual-camera"], "virtual camera"),
        (["--serve", "0", "--camera", "97"], "camera 97"),
        (["--serve", "0", "--camera", "/dev/video97"], "/dev/video97"),
        (["--serve", "0", "--camera", "missing.mp4"], "missing.mp4"),
        (["--serve", "0", "--camera", "{notes}"], "{notes}"),
        (["--serve", "0", "--camera", "http://127.0.0.1:9/stream"], "http://127.0.0.1:9/stream"),
    ],
)
@pytest.mark.usefixtures("settings_file")
def test_what_cannot_be_is_said_in_one_sentence(
    still_clip: Path,
    tmp_path: Path,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pyvirtualcam.camera.BACKENDS", {})
    (tmp_path / "notes.mp4").write_text("no video")
    names = {"clip": still_clip, "notes": tmp_path / "notes.mp4"}
    arguments = [argument.format_map(names) for argument in arguments]
    camera = [] if "--camera" in arguments else ["--camera", str(still_clip)]
    assert main(["webcam", "--model", str(IDENTITY), "--no-window", *camera, *arguments]) == 1
    lines = terminal.text.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert text.format_map(names) in lines[-1]
    assert len(lines) < 6
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("name", ["", ":98765"])
def test_without_a_display_it_says_so(
    name: str, still: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("DISPLAY", name)
    assert main(["webcam", "--no-saved", "--camera", str(still)]) == 1
    assert "no display found" in terminal.text
    assert "(--no-window, --serve, --record)" in terminal.text


def test_without_a_display_no_video_is_shown(still_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not show_video(still_clip)


def test_another_platform_of_qt_is_left_to_whoever_chose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    require_display()


def test_when_nothing_is_left_to_write_to_it_ends(
    moving_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    written: list[bool] = []

    def fail(*_: object) -> None:
        written.append(True)
        if len(written) > 2:
            raise OutputError("the disk is full")

    monkeypatch.setattr("livestyle.media.sinks.recorder.Recorder.write", fail)
    sinks = SinkOptions(window=False, record=tmp_path / "video.mp4")
    with pytest.raises(OutputError, match="nothing is left to write the paintings to"):
        run_webcam(Settings(camera=str(moving_clip)), None, "cpu", IDENTITY, sinks)
    assert "the disk is full" in terminal.text


# -- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_the_command_records_until_a_signal_ends_it(
    name: str, settings_file: Path, still_clip: Path, tmp_path: Path, terminal: Terminal
) -> None:
    path = tmp_path / "video.mp4"

    def interrupt() -> None:
        # From then on, the program handles signals.
        wait_for(terminal.shows("recording to"), "the recording")
        os.kill(os.getpid(), getattr(signal, name))

    before = signal.getsignal(getattr(signal, name))
    with ThreadPoolExecutor(1) as pool:
        interrupting = pool.submit(interrupt)
        arguments = ["--camera", str(still_clip), "--style", "moss", "--no-window", "--record", str(path), "--mirror"]
        assert main(["webcam", "--model", str(IDENTITY), "--no-saved", *arguments]) == 0
        interrupting.result()
    assert signal.getsignal(getattr(signal, name)) is before
    assert f"saved {path}" in terminal.text
    with VideoReader(path) as video:
        assert next(iter(video)).image.shape[1::-1] == CLIP_SIZE


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(still_clip: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts the real program on a clip where there is no display; it is ended with the test."""
    programs: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, code: str = PROGRAM) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        environment["LIVESTYLE_SETTINGS"] = str(tmp_path / "settings.toml")
        options = ["webcam", "--camera", str(still_clip), "--no-window", "--serve", "0", *arguments]
        programs.append(
            subprocess.Popen(
                [sys.executable, "-c", code, *options],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
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


def test_a_signal_ends_the_program_and_nohup_keeps_it_alive_when_the_terminal_closes(start: Start) -> None:
    program = start(code=f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); {PROGRAM}")
    url = url_of(program)
    program.send_signal(signal.SIGHUP)
    assert first_painting(url).shape == (*CLIP_SIZE[::-1], 3)
    assert program.poll() is None
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0
    assert "Traceback" not in errors


# -- what it tells ----------------------------------------------------------------------------------------------------


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The end to write to of a pipe that is full, and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(sys.platform == "win32", reason="written for a shell")
@pytest.mark.parametrize("redirection", ["2>&-", ">&- 2>&-", "2>/dev/full", "2> >(true)", "2>&{full_pipe}"])
def test_whatever_becomes_of_the_terminal_it_goes_on(
    still: Path, tmp_path: Path, full_pipe: int, redirection: str
) -> None:
    port = free_port()
    options = f"--model {IDENTITY} --device cpu --no-window --no-saved --serve {port} --camera {still}"
    line = f"sleep 0.2; exec {shlex.quote(sys.executable)} -m livestyle webcam {options} {redirection}"
    command = ["bash", "-c", line.format(full_pipe=full_pipe)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[full_pipe])
    try:
        url = f"http://127.0.0.1:{port}/"
        first_painting(url)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_a_sentence_that_cannot_be_said_from_python_ends_nothing(
    still: Path, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    port, stop = free_port(), threading.Event()
    for stream in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        stop.clear()
        with ThreadPoolExecutor(1) as pool:
            sinks = SinkOptions(window=False, serve=str(port))
            program = pool.submit(run_webcam, Settings(camera=str(still)), None, "cpu", IDENTITY, sinks, stop)
            try:
                first_painting(f"http://127.0.0.1:{port}/")
            finally:
                stop.set()
            program.result(PATIENCE)


# -- what it costs ----------------------------------------------------------------------------------------------------


MANY_FRAMES = """
import os, threading
from livestyle.live import outputs
from livestyle.cli.main import run_program

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
run_program()
"""


def watch(url: str) -> int:
    """Read the stream until it ends; gives the bytes."""
    count = 0
    with suppress(OSError), urlopen(f"{url}stream.mjpg", timeout=PATIENCE) as answer:
        while data := answer.read(65536):
            count += len(data)
    return count


@pytest.mark.slow
def test_ten_thousand_frames_leave_memory_and_threads_as_they_were(
    start: Start, tmp_path: Path, scene: np.ndarray
) -> None:
    images = [cv2.resize(np.roll(scene, n, axis=1), (64, 64), interpolation=cv2.INTER_AREA) for n in range(150)]
    path = write_clip(tmp_path / "fast.avi", images * 2, 1000.0)
    program = start(
        *("--camera", str(path), "--record", str(tmp_path / "video.mp4")),
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
