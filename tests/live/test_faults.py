"""Each stage of the live program is made to fail, to hang and to die, one after another, while all the others run.

``LIVESTYLE_HANG_SECONDS=10`` makes them hang for longer than by default.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import pyvirtualcam

from livestyle.errors import DeviceError
from livestyle.live import app as live_app
from livestyle.live import render_thread
from livestyle.live.app import App
from livestyle.live.config import Config, SinkOptions
from livestyle.live.outputs import Outputs
from livestyle.live.overlay import Overlay, draw
from livestyle.live.settings import Settings
from livestyle.media.capture.camera import Camera
from livestyle.media.capture.timeouts import Timeouts
from livestyle.media.sinks import newest_jpeg
from livestyle.media.sinks.mjpeg_server import MjpegServer
from livestyle.media.sinks.recorder import Recorder
from livestyle.media.sinks.virtual_camera import VirtualCamera
from livestyle.render.renderer import Renderer
from livestyle.styles.library import StyleLibrary
from livestyle.styles.watched_folder import WatchedFolder
from tests.ffmpeg import times
from tests.program import IDENTITY
from tests.waiting import PATIENCE

from .conftest import Terminal, write_clip
from .test_app import MemoryWindow, Person, until

HANG_SECONDS = float(os.environ.get("LIVESTYLE_HANG_SECONDS", "0.7"))
KINDS = ("fail", "hang", "die")


class Fault:
    """A fault that strikes once, when it is armed, whoever passes by next."""

    def __init__(self) -> None:
        self.kind = ""
        self.struck = threading.Event()
        self.over = threading.Event()

    def __call__(self) -> None:
        kind, self.kind = self.kind, ""
        if not kind:
            return
        self.struck.set()
        if kind == "hang":
            time.sleep(HANG_SECONDS)
            self.over.set()
        elif kind == "fail":
            raise RuntimeError("out of order")
        else:
            raise SystemExit("dead")


class Stage:
    """The whole program: a camera that moves, a folder of styles, a window, a recording, a server, a virtual camera."""

    def __init__(self, camera: Path, styles: Path, folder: Path, terminal: Terminal) -> None:
        self.fault = Fault()
        self.folder = folder
        self.recording = folder / "recording.mp4"
        self.terminal = terminal
        self.overlays: list[Overlay] = []
        self.breaks_virtual_camera = False
        self.sent = 0
        self.url = ""
        self.styles = styles
        self._camera = camera

    def run(self, person: Callable[[MemoryWindow], Person]) -> None:
        config = Config.of(Settings(camera=str(self._camera), styles=str(self.styles)), Settings())
        with closing(Outputs()) as outputs:
            server = MjpegServer("0")
            outputs.add(server)
            self.url = server.url
            outputs.add(VirtualCamera())
            sinks = SinkOptions(folder=self.folder, record=self.recording)
            with (
                Camera(config.camera, timeouts=Timeouts(reconnect=0.05)) as camera,
                closing(App(config, camera, outputs, sinks, "cpu", IDENTITY)) as app,
            ):
                window = MemoryWindow(person)
                app.run_in(window)
        if window.failure is not None:
            raise window.failure

    def snapshot(self) -> bytes:
        try:
            with urlopen(f"{self.url}snapshot.jpg", timeout=PATIENCE) as answer:
                data: bytes = answer.read()
                return data
        except OSError:
            return b""

    def watch(self) -> None:
        """Read the stream until it ends."""
        with suppress(OSError), urlopen(f"{self.url}stream.mjpg", timeout=PATIENCE) as answer:
            while answer.read(4096):
                pass

    def begin(self, kind: str) -> Person:
        """Wait until everything runs, and arm the fault."""
        yield from until(self.terminal.shows("recording to"), "the recording")
        yield from until(self.snapshot, "the server")
        self.fault.kind = kind

    def goes_on(self, window: MemoryWindow, *, but: tuple[str, ...] = ()) -> Person:
        """Keys are answered, and new pictures come everywhere but there."""
        before = window.is_full_screen
        yield "f"
        yield from until(lambda: window.is_full_screen is not before, "a key")
        for name, look in (
            ("window", lambda: window.image.tobytes()),
            ("server", self.snapshot),
            ("virtual camera", lambda: self.sent),
            ("recording", lambda: self.recording.stat().st_size),
        ):
            if name not in but:
                first = look()
                yield from until(lambda first=first, look=look: look() not in (first, b""), name)  # type: ignore[misc]

    def warned(self, words: str) -> Person:
        yield from until(lambda: any(words in overlay.warning for overlay in self.overlays), f"the warning {words}")


@pytest.fixture
def stage(
    scene: np.ndarray,
    style_folder: Path,
    tmp_path: Path,
    terminal: Terminal,
    settings_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    clip = write_clip(tmp_path / "moving.avi", [np.roll(scene, 3 * n, axis=1) for n in range(60)])
    stage = Stage(clip, style_folder, tmp_path, terminal)

    def drawn(image: np.ndarray, overlay: Overlay) -> np.ndarray:
        stage.overlays.append(overlay)
        return draw(image, overlay)

    class Backend:
        def __init__(self, **_: Any) -> None: ...
        def close(self) -> None: ...
        def device(self) -> str:
            return "a test's camera"

        def native_fourcc(self) -> None: ...
        def send(self, _: np.ndarray) -> None:
            if stage.breaks_virtual_camera:
                stage.fault()
            stage.sent += 1

    monkeypatch.setattr(live_app, "draw", drawn)
    monkeypatch.setattr("pyvirtualcam.camera.BACKENDS", {})
    pyvirtualcam.register_backend("test", Backend)
    yield stage
    assert "Traceback" not in terminal.text


def breaking(stage: Stage, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Let the fault strike before this function, on the thread that calls it."""
    function = getattr(owner, name)

    def broken(*arguments: Any, **options: Any) -> Any:
        stage.fault()
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, broken)


# -- what comes back by itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("owner", "name", "words"),
    [(Camera, "_keep", "moving.avi stopped giving pictures"), (Renderer, "render", "painting fails (")],
    ids=["capture", "network"],
)
def test_a_camera_and_a_network_come_back_and_meanwhile_all_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str, owner: type, name: str, words: str
) -> None:
    breaking(stage, monkeypatch, owner, name)

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin(kind)
        yield from until(stage.fault.struck.is_set, "the fault")
        if kind == "hang":
            # A key is answered while it hangs.
            yield "s"
            yield from until(lambda: list(stage.folder.glob("livestyle-*.png")), "a snapshot")
            yield from until(stage.fault.over.is_set, "its end")
        else:
            yield from stage.warned(words)
        yield from stage.goes_on(window)
        yield from until(lambda: not stage.overlays[-1].warning, "the end of the warning")

    stage.run(person)
    assert len(times(stage.recording)) > 1


def test_painting_that_fails_for_good_ends_with_a_sentence_and_a_recording(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_thread, "FAILING_SECONDS", 0.5)
    render = Renderer.render
    broken: list[bool] = []

    def fail(*arguments: Any, **options: Any) -> Any:
        if broken:
            raise RuntimeError("the card has fallen off the bus")
        return render(*arguments, **options)

    monkeypatch.setattr(Renderer, "render", fail)

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin("")
        broken.append(True)
        yield from until(lambda: False, "the end")

    with pytest.raises(DeviceError, match=r"painting has failed for \d+ seconds \(the card has fallen off the bus\)"):
        stage.run(person)
    assert len(times(stage.recording)) > 1


def test_a_device_that_hangs_is_said(monkeypatch: pytest.MonkeyPatch, scene: np.ndarray) -> None:
    from livestyle.media.capture import camera as module
    from livestyle.media.frames import Frame

    def frames(_: str, __: object, stop: threading.Event, *___: object) -> Iterator[Frame]:
        yield Frame(scene, time.monotonic())
        stop.wait()

    monkeypatch.setattr(module, "live_frames", lambda *arguments: frames(*arguments))
    with Camera("0", timeouts=Timeouts(hanging=0.2)) as camera:
        camera.wait_open()
        end = time.monotonic() + PATIENCE
        while not camera.notice:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert camera.notice == "camera 0 hangs: waiting for it ..."
        assert camera.latest() is not None


# -- what ends without the rest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorder_ends_alone_and_what_was_recorded_plays(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    breaking(stage, monkeypatch, Recorder, "_encode")

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin("")
        yield from until(lambda: stage.recording.stat().st_size > 20_000, "a second of the recording")
        stage.fault.kind = kind
        yield from until(stage.fault.struck.is_set, "the fault")
        yield from stage.goes_on(window, but=("recording",))
        if kind == "hang":
            yield from until(stage.fault.over.is_set, "its end")
            yield from stage.goes_on(window)
        else:
            yield from until(stage.terminal.shows("recording.mp4 any more ("), "the message")
            assert "what was recorded before is kept" in stage.terminal.text

    stage.run(person)
    assert len(times(stage.recording)) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_that_does_not_begin_ends_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from stage.begin("")
        yield "r"
        yield from until(stage.terminal.shows("saved"), "the end of the first recording")
        breaking(stage, monkeypatch, Recorder, "__init__")
        stage.fault.kind = kind
        yield "r"
        yield from until(stage.fault.struck.is_set, "the fault")
        yield from stage.goes_on(window, but=("recording",))
        words = "recording to" if kind == "hang" else "the recording failed ("
        yield from until(lambda: words in stage.terminal.text.rpartition("saved")[2], "what becomes of it")

    stage.run(person)
    assert len(times(stage.recording)) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_ends_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    breaking(stage, monkeypatch, newest_jpeg, "encode")

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin(kind)
        threading.Thread(target=stage.watch, daemon=True).start()
        yield from until(stage.fault.struck.is_set, "the fault")
        if kind == "hang":
            yield from stage.goes_on(window, but=("server",))
            yield from until(stage.fault.over.is_set, "its end")
        else:
            yield from until(stage.terminal.shows("the server "), "the message")
        yield from stage.goes_on(window, but=() if kind == "hang" else ("server",))

    stage.run(person)
    assert len(times(stage.recording)) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_virtual_camera_ends_alone(stage: Stage, kind: str) -> None:
    stage.breaks_virtual_camera = True

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin(kind)
        yield from until(stage.fault.struck.is_set, "the fault")
        if kind == "hang":
            yield from until(stage.fault.over.is_set, "its end")
        else:
            yield from until(stage.terminal.shows("the virtual camera a test's camera has stopped ("), "the message")
        yield from stage.goes_on(window, but=() if kind == "hang" else ("virtual camera",))

    stage.run(person)
    assert len(times(stage.recording)) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("key", "owner", "name", "failed", "saved"),
    [
        ("s", live_app, "save_snapshot", "the snapshot failed (", "livestyle-"),
        ("w", live_app, "save_settings", "the settings failed (", "settings.toml"),
    ],
    ids=["snapshot", "settings"],
)
def test_what_is_saved_holds_nothing_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str, key: str, owner: Any, name: str, failed: str, saved: str
) -> None:
    breaking(stage, monkeypatch, owner, name)

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin(kind)
        yield key
        yield from until(stage.fault.struck.is_set, "the fault")
        yield from stage.goes_on(window)
        if kind != "hang":
            yield from until(stage.terminal.shows(failed), "the message")
            yield key
        yield from until(lambda: saved in stage.terminal.text.rpartition("saved ")[2], "what is saved")

    stage.run(person)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_styles_is_watched_on(
    stage: Stage, style_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("livestyle.styles.watched_folder.RETRY_SECONDS", 0.1)
    breaking(stage, monkeypatch, WatchedFolder, "_scan")
    styles = stage.folder / "styles"
    styles.mkdir()
    stage.styles = styles
    shutil.copyfile(style_folder / "1-blue.png", styles / "a.png")

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin(kind)
        yield from until(stage.fault.struck.is_set, "the fault")
        if kind != "hang":
            words = "the folder styles cannot be watched ("
            yield from until(lambda: any(words in overlay.notice for overlay in stage.overlays), "the notice")
        yield from stage.goes_on(window)
        shutil.copyfile(style_folder / "2-green.png", styles / "b.png")
        yield from until(lambda: any("added b" in overlay.notice for overlay in stage.overlays), "a new style")

    stage.run(person)


@pytest.mark.parametrize("kind", KINDS)
def test_colours_that_cannot_be_matched_end_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    breaking(stage, monkeypatch, StyleLibrary, "matched")

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin(kind)
        yield "c"
        yield "c"
        yield from until(stage.fault.struck.is_set, "the fault")
        yield from stage.goes_on(window)
        if kind != "hang":
            words = "the colours cannot be matched ("
            yield from until(lambda: any(words in overlay.notice for overlay in stage.overlays), "the notice")

    stage.run(person)


# -- the window -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["draw", "help_rows"])
def test_words_that_cannot_be_written_leave_the_picture(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    breaking(stage, monkeypatch, live_app, name)

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin("fail")
        yield "h"
        yield from until(
            stage.terminal.shows("nothing can be written over the picture any more (out of"), "the message"
        )
        yield from stage.goes_on(window)

    stage.run(person)


def test_a_window_that_hangs_holds_nothing_else_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(stage, monkeypatch, MemoryWindow, "show")

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin("")
        sent, stage.fault.kind = stage.sent, "hang"
        yield from until(stage.fault.over.is_set, "its end")
        assert stage.sent > sent
        yield from stage.goes_on(window)

    stage.run(person)
    assert len(times(stage.recording)) > 1


def test_a_window_that_fails_ends_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(stage, monkeypatch, MemoryWindow, "show")
    seen: list[bool] = []

    def person(window: MemoryWindow) -> Person:
        yield from stage.begin("fail")
        yield from until(lambda: False, "the end")

    def watch() -> None:
        stage.fault.struck.wait(PATIENCE)
        # Nobody is left to press a key: this takes the part of Ctrl+C.
        try:
            for _ in range(2):
                first, end = stage.snapshot(), time.monotonic() + PATIENCE
                while stage.snapshot() in (first, b"") and time.monotonic() < end:
                    time.sleep(0.05)
                seen.append(stage.snapshot() not in (first, b""))
        finally:
            stop.set()

    stop = threading.Event()
    monkeypatch.setattr(live_app.App, "__init__", _stopped_by(stop, live_app.App.__init__))
    watcher = threading.Thread(target=watch)
    watcher.start()
    stage.run(person)
    watcher.join()
    assert seen == [True, True]
    assert "the window has failed (out of order): the rest goes on, Ctrl+C ends it" in stage.terminal.text
    assert len(times(stage.recording)) > 1


def _stopped_by(stop: threading.Event, init: Callable[..., None]) -> Callable[..., None]:
    def init_with_stop(self: App, *arguments: Any) -> None:
        init(self, *arguments, stop=stop)

    return init_with_stop


def test_a_window_that_fails_with_nothing_beside_it_ends_the_program(
    still_clip: Path, tmp_path: Path, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no display any more")

    monkeypatch.setattr(MemoryWindow, "show", fail)
    config = Config.of(Settings(camera=str(still_clip)), Settings())
    with (
        closing(Outputs()) as outputs,
        Camera(config.camera) as camera,
        closing(App(config, camera, outputs, SinkOptions(folder=tmp_path), "cpu", IDENTITY)) as app,
        pytest.raises(DeviceError, match=r"the window has failed \(no display any more\)"),
    ):
        app.run_in(MemoryWindow(lambda window: iter(lambda: None, 1)))  # type: ignore[arg-type,return-value]
