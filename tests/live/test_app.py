"""The live program in a window in memory, whose keys a test presses."""

from __future__ import annotations

import os
import shutil
import time
import tomllib
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import Look, Style, StyleLibrary, Stylizer, stylize_image
from livestyle.live.app import App
from livestyle.live.config import Config, SinkOptions
from livestyle.live.outputs import Outputs
from livestyle.live.overlay import DARK_RED, READABLE_SIDE, RED, TILE, YELLOW
from livestyle.live.settings import Settings
from livestyle.media.capture.camera import Camera
from livestyle.media.capture.timeouts import Timeouts
from livestyle.media.video.reader import VideoReader
from tests.mjpeg import MjpegServer
from tests.program import IDENTITY
from tests.waiting import PATIENCE

from .conftest import CLIP_SIZE, Terminal, distance

SAME = 6.0
"""Mean difference of two images, in grey levels, below which they show one scene (clips are JPEGs inside)."""
SHOWN_SIZE = (CLIP_SIZE[0] * READABLE_SIDE // CLIP_SIZE[1], READABLE_SIDE)
"""At which the window shows the scene: it is enlarged for the words on it."""

Person = Generator[str | None, None, None]
"""Whoever sits in front of the window: gives the keys to press, and None to wait."""


class MemoryWindow:
    """A window without a screen.

    Args:
        person: who presses keys in it; the window closes when that ends.
    """

    def __init__(self, person: Callable[[MemoryWindow], Person]) -> None:
        self.image = np.zeros((1, 1, 3), np.uint8)
        self.is_open = True
        self.is_full_screen = False
        self.failure: Exception | None = None
        """Of the person: what was waited for in vain."""
        self._person = person(self)

    def fit(self, width: int, height: int) -> None:
        self.shape = (width, height)

    def show(self, image: np.ndarray) -> None:
        self.image = image

    def toggle_full_screen(self) -> None:
        self.is_full_screen = not self.is_full_screen

    def wait_key(self, milliseconds: int) -> int | None:
        time.sleep(0.002)
        try:
            key = next(self._person, "closed")
        except Exception as error:
            # Whatever a window raises, the program may go on without it.
            self.failure = error
            key = "closed"
        if key == "closed":
            self.is_open = False
            return None
        return None if key is None else {"Space": 32, "Esc": 27}.get(key) or ord(key)


def until(condition: Callable[[], object], what: str) -> Person:
    """Wait in front of the window."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        yield None


class Live:
    """Runs the program with settings, and a person in front of its window."""

    def __init__(self, camera: Path | str, folder: Path, terminal: Terminal) -> None:
        self.folder = folder
        self.terminal = terminal
        self._camera = str(camera)

    def run(
        self, person: Callable[[MemoryWindow], Person], asked: Settings | None = None, model: Path = IDENTITY
    ) -> MemoryWindow:
        config = Config.of((asked or Settings()).updated(Settings(camera=self._camera)), Settings(fps=0.0))
        window = MemoryWindow(person)
        with (
            closing(Outputs()) as outputs,
            Camera(config.camera, config.size, every_frame=True, timeouts=Timeouts(reconnect=0.05)) as camera,
            closing(App(config, camera, outputs, SinkOptions(folder=self.folder), "cpu", model)) as app,
        ):
            app.run_in(window)
        if window.failure is not None:
            raise window.failure
        assert "Traceback" not in self.terminal.text
        return window

    def painted(self) -> Person:
        """Wait for the first painting."""
        yield from until(self.terminal.shows("; press h in the window"), "the first painting")

    def snapshots(self) -> list[Path]:
        return sorted(self.folder.glob("livestyle-*.png"))

    def snapshot(self) -> Generator[str | None, None, np.ndarray]:
        """Press s and read what it saved."""
        before = set(self.snapshots())
        yield "s"
        yield from until(lambda: set(self.snapshots()) - before, "a snapshot")
        (path,) = set(self.snapshots()) - before
        image = cv2.imread(str(path))
        assert image is not None
        return image

    def snapshot_of(
        self, fits: Callable[[np.ndarray], bool], what: str, key: str | None = None
    ) -> Generator[str | None, None, np.ndarray]:
        """Snapshots until one fits, before each of which a key is pressed."""
        end = time.monotonic() + PATIENCE
        while True:
            yield key
            image = yield from self.snapshot()
            if fits(image):
                return image
            assert time.monotonic() < end, f"no snapshot: {what}"


@pytest.fixture
def live(still: Path, tmp_path: Path, terminal: Terminal, settings_file: Path) -> Live:
    """The program in front of the scene, which stands still."""
    return Live(still, tmp_path, terminal)


@pytest.fixture(scope="session")
def first(identity: Stylizer) -> Style:
    """The style that the program begins with."""
    return StyleLibrary(identity).first()


def brightness(window: MemoryWindow, rows: slice, columns: slice) -> float:
    return float(window.image[rows, columns].mean())


def has_color(window: MemoryWindow, rows: slice, color: tuple[int, int, int], least: int) -> bool:
    near = np.abs(window.image[rows].astype(int) - np.array(color)).max(axis=2) < 30
    return int(near.sum()) > least


def test_the_window_shows_the_painting_in_its_shape_and_what_runs_is_said(
    live: Live, scene: np.ndarray, first: Style, identity: Stylizer
) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        assert window.shape == CLIP_SIZE
        painting = stylize_image(scene, Look(first), identity)
        # Away from the words.
        part = (slice(0, 200), slice(320, 640))
        yield from until(
            lambda: distance(window.image[part], cv2.resize(painting, SHOWN_SIZE)[part]) < SAME, "the painting"
        )

    live.run(person)
    engine, camera = live.terminal.text.splitlines()[:2]
    assert engine.startswith("CPU, ")
    assert engine.endswith("; model identity")
    assert "at 192x108; press h in the window for the keys" in camera


def test_a_snapshot_is_the_painting_to_the_bit(live: Live, scene: np.ndarray, stylizer: Stylizer) -> None:
    """Also with the real model: what `stylize_image` makes of the frame."""
    scream = StyleLibrary(stylizer).presets["scream"]

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        image = yield from live.snapshot()
        assert (image == stylize_image(scene, Look(scream, sharpness=0.5), stylizer)).all()

    live.run(person, Settings(style="scream", look={"sharpness": 0.5}), stylizer.model.folder)


def test_keys_reach_the_painting(live: Live, scene: np.ndarray, first: Style, identity: Stylizer) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "m"
        mirrored = stylize_image(scene, Look(first, mirror=True), identity)
        yield from live.snapshot_of(lambda image: distance(image, mirrored) == 0, "it mirrored")
        yield "v"
        both = yield from live.snapshot_of(lambda image: image.shape[1] == 2 * CLIP_SIZE[0], "two images")
        assert (both == np.hstack([scene[:, ::-1], mirrored])).all()
        yield "v"
        yield "0"
        yield from live.snapshot_of(lambda image: distance(image, scene[:, ::-1]) == 0, "the plain camera")
        assert window.shape == CLIP_SIZE

    live.run(person)


def test_another_style_fades_in_and_its_strip_shows_for_a_while(live: Live, style_folder: Path) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        before = yield from live.snapshot()
        # The images of the folder become styles one after the other.
        after = yield from live.snapshot_of(lambda image: distance(image, before) > 1, "the other style", key="2")
        yield from until(lambda: has_color(window, slice(250, 330), YELLOW, 200), "the frame of the current style")
        yield "1"
        yield from live.snapshot_of(lambda image: distance(image, before) == 0, "the first style")
        assert distance(after, before) > 1

    live.run(person, Settings(styles=str(style_folder), crossfade=0.1))


def test_presets_are_shown_by_what_they_make_of_the_camera(live: Live) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "n"

        def letters() -> bool:
            """Whether a tile that stands in for a preview is in the strip."""
            return int((window.image[265:320, 10:180] == TILE).all(axis=2).sum()) > 300

        yield from until(letters, "the strip")
        yield from until(lambda: not letters(), "the previews")
        assert has_color(window, slice(250, 330), YELLOW, 200)

    live.run(person)


def test_colours_are_matched_while_the_program_goes_on(
    live: Live, style_folder: Path, scene: np.ndarray, identity: Stylizer
) -> None:
    library = StyleLibrary(identity)
    blue = library.from_image(style_folder / "1-blue.png")

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        matched = stylize_image(scene, Look(library.matched(blue, scene)), identity)
        yield from live.snapshot_of(lambda image: distance(image, matched) == 0, "matched colours")
        yield "c"
        own = stylize_image(scene, Look(blue), identity)
        assert distance(own, matched) > 1
        yield from live.snapshot_of(lambda image: distance(image, own) == 0, "its own colours")

    settings = Settings(styles=str(style_folder), crossfade=0.0, look={"color": "match", "stabilise": False})
    live.run(person, settings)


def test_h_shows_help_and_figures_that_no_snapshot_has(live: Live, scene: np.ndarray) -> None:
    corner = (slice(10, 250), slice(10, 200))

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "0"
        plain = float(cv2.resize(scene, SHOWN_SIZE)[corner].mean())
        yield from until(lambda: brightness(window, *corner) > 0.9 * plain, "the plain camera")
        yield "h"
        yield from until(lambda: brightness(window, *corner) < 0.7 * plain, "the help's dark panel")
        image = yield from live.snapshot()
        assert (image == scene).all()
        yield "h"
        yield from until(lambda: brightness(window, *corner) > 0.9 * plain, "the help to go")

    live.run(person)


def test_s_saves_one_more_file_each_time_and_says_where(live: Live) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        contents: dict[Path, bytes] = {}
        for _ in range(3):
            yield from live.snapshot()
            contents = {path: contents.get(path, path.read_bytes()) for path in live.snapshots()}
            yield from until(lambda: has_color(window, slice(290, 322), YELLOW, 50), "its yellow words")
        assert len(contents) == 3
        assert all(path.read_bytes() == content for path, content in contents.items())

    live.run(person)
    assert all(f"saved {path.resolve()}\n" in live.terminal.text for path in live.snapshots())


def test_a_snapshot_that_cannot_be_written_is_said_and_nothing_ends(live: Live) -> None:
    live.folder = live.folder / "gone"

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "s"
        yield from until(live.terminal.shows("cannot write to"), "the error")
        yield "r"
        yield from until(lambda: live.terminal.text.count("cannot write to") == 2, "the other error")
        yield "m"

    live.run(person)


def test_r_records_what_is_painted_and_nothing_else(live: Live, scene: np.ndarray) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "0"
        yield from live.snapshot_of(lambda image: distance(image, scene) == 0, "the plain camera")
        yield "h"
        yield "r"
        yield from until(live.terminal.shows("recording to"), "the recording")
        yield from until(lambda: has_color(window, slice(0, 60), RED, 30), "the red dot")
        end = time.monotonic() + 0.7
        yield from until(lambda: time.monotonic() > end, "a while")
        yield "r"
        yield from until(live.terminal.shows(".mp4, 0:0"), "the end of the recording")

    live.run(person)
    (path,) = live.folder.glob("livestyle-*.mp4")
    assert f"saved {path.resolve()}, 0:0" in live.terminal.text
    with VideoReader(path) as video:
        frames = list(video)
        assert video.damage is None
    assert all(distance(frame.image, scene) < SAME for frame in frames)
    assert 0.6 < float(frames[-1].time + frames[-1].duration) < 30


def test_a_recording_is_completed_when_the_program_ends(live: Live) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "r"
        yield from until(live.terminal.shows("recording to"), "the recording")
        yield "q"
        pytest.fail("it goes on")

    live.run(person)
    (path,) = live.folder.glob("livestyle-*.mp4")
    assert f"saved {path.resolve()}" in live.terminal.text
    with VideoReader(path) as video:
        assert list(video)


@pytest.mark.parametrize("key", ["q", "Q", "Esc"])
def test_q_and_esc_quit_at_any_time(live: Live, key: str) -> None:
    def person(window: MemoryWindow) -> Person:
        yield key
        pytest.fail("it goes on")

    live.run(person)


def test_keys_are_answered_before_the_first_painting_and_while_the_camera_is_silent(
    live: Live, scene: np.ndarray
) -> None:
    server = MjpegServer(scene)
    server.sending.clear()
    try:
        waiting = Live(server.address, live.folder, live.terminal)

        def person(window: MemoryWindow) -> Person:
            yield "s"
            yield from until(lambda: has_color(window, slice(280, 322), YELLOW, 50), "the word that it is too early")
            server.sending.set()
            yield from waiting.painted()
            assert waiting.snapshots() == []
            server.sending.clear()
            yield "q"
            pytest.fail("it waits for the camera")

        waiting.run(person)
    finally:
        server.stop()


def test_a_network_camera_that_stops_is_waited_for(live: Live, scene: np.ndarray) -> None:
    server = MjpegServer(scene)
    watching = Live(server.address, live.folder, live.terminal)
    small = cv2.resize(scene, (128, 72))

    def person(window: MemoryWindow) -> Person:
        yield from watching.painted()
        yield "0"
        image = yield from watching.snapshot_of(lambda image: distance(image, small) < SAME, "the stream")
        assert image.shape == (72, 128, 3)
        server.stop()
        yield from until(lambda: has_color(window, slice(10, 60), DARK_RED, 200), "the warning")
        last = yield from watching.snapshot()
        assert distance(last, small) < SAME
        again = MjpegServer(scene[:, ::-1], server.port)
        try:
            yield from watching.snapshot_of(lambda image: distance(image, small[:, ::-1]) < SAME, "the stream again")
            yield from until(lambda: not has_color(window, slice(10, 60), DARK_RED, 200), "the warning to go")
        finally:
            again.stop()

    watching.run(person, Settings(size="128x128"))


def test_an_image_that_is_dropped_into_the_folder_is_a_style_until_it_goes(live: Live, style_folder: Path) -> None:
    folder = live.folder / "styles"
    folder.mkdir()
    shutil.copy(style_folder / "1-blue.png", folder / "b.png")

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        first = yield from live.snapshot()
        shutil.copy(style_folder / "2-green.png", folder / "c.png")
        yield from live.snapshot_of(lambda image: distance(image, first) > 1, "the new style", key="2")
        (folder / "c.png").unlink()
        yield from live.snapshot_of(lambda image: distance(image, first) == 0, "the old style")

    live.run(person, Settings(styles=str(folder), crossfade=0.0, look={"stabilise": False}))


def test_f_fills_the_screen_and_goes_back(live: Live) -> None:
    def person(window: MemoryWindow) -> Person:
        assert window.is_full_screen
        yield "f"
        yield None
        assert not window.is_full_screen

    live.run(person, Settings(full_screen=True))


def test_w_saves_what_the_keys_have_set_and_leaves_the_rest(
    live: Live, style_folder: Path, settings_file: Path
) -> None:
    settings_file.write_text('fps = 15.0\nsomething = "else"\n')

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        first = yield from live.snapshot()
        yield from live.snapshot_of(lambda image: distance(image, first) > 1, "the second style", key="2")
        yield from "-.kmfx"
        yield "w"
        yield from until(live.terminal.shows(f"saved {settings_file}"), "the settings")

    live.run(person, Settings(styles=str(style_folder)))
    settings = tomllib.loads(settings_file.read_text())
    expected = {
        "style": str(style_folder / "2-green.png"),
        "styles": str(style_folder),
        "strength": 0.9,
        "stroke_size": 1.5,
        "sharpness": 0.25,
        "color": "style",
        "mirror": True,
        "side_by_side": False,
        "stabilise": True,
        "full_screen": True,
        "crossfade": 0.0,
        "fps": 15.0,
        "something": "else",
    }
    assert settings == settings | expected


def test_settings_that_are_damaged_are_said_and_left_alone(live: Live, settings_file: Path) -> None:
    settings_file.write_text("mirror = yes\n")

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "w"
        yield from until(live.terminal.shows("are damaged"), "the error")

    live.run(person)
    assert settings_file.read_text() == "mirror = yes\n"


def test_m_mirrors_a_mask_and_w_saves_it(live: Live, scene: np.ndarray, settings_file: Path) -> None:
    mask = np.zeros_like(scene)
    mask[:, : scene.shape[1] // 2] = 255
    path = live.folder / "mask.png"
    cv2.imwrite(str(path), mask)

    def painted_halves(image: np.ndarray, before: np.ndarray) -> list[bool]:
        middle = image.shape[1] // 2
        return [distance(image[:, half], before[:, half]) > 1 for half in (slice(middle), slice(middle, None))]

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        image = yield from live.snapshot()
        assert painted_halves(image, scene) == [True, False]
        yield "m"
        yield from live.snapshot_of(lambda i: painted_halves(i, scene[:, ::-1]) == [False, True], "it mirrored")
        yield "w"
        yield from until(live.terminal.shows(f"saved {settings_file}"), "the settings")

    live.run(person, Settings(mask=str(path)))
    settings = tomllib.loads(settings_file.read_text())
    assert settings["mask"] == str(path)
    assert "background" not in settings


def test_w_saves_where_the_image_of_the_background_is(
    live: Live, style_folder: Path, scene: np.ndarray, settings_file: Path
) -> None:
    mask, behind = live.folder / "mask.png", style_folder / "2-green.png"
    cv2.imwrite(str(mask), scene)

    def person(window: MemoryWindow) -> Person:
        yield from live.painted()
        yield "w"
        yield from until(live.terminal.shows(f"saved {settings_file}"), "the settings")

    live.run(person, Settings(mask=str(mask), background=os.path.relpath(behind)))
    assert tomllib.loads(settings_file.read_text())["background"] == str(behind)


def test_styles_change_by_themselves_until_a_stops_that(live: Live, style_folder: Path) -> None:
    seen: list[np.ndarray] = []

    def person(window: MemoryWindow) -> Person:
        def is_the_third(image: np.ndarray) -> bool:
            if all(distance(image, other) > 1 for other in seen):
                seen.append(image)
            return len(seen) == 3

        yield from live.painted()
        yield from live.snapshot_of(is_the_third, "three styles")
        yield "a"
        last = yield from live.snapshot()
        end = time.monotonic() + 0.6
        yield from until(lambda: time.monotonic() > end, "a while")
        image = yield from live.snapshot()
        assert distance(image, last) == 0

    live.run(person, Settings(styles=str(style_folder), cycle=0.25, crossfade=0.0))


def test_a_camera_that_does_not_open_ends_the_program(live: Live) -> None:
    def person(window: MemoryWindow) -> Person:
        yield from until(lambda: False, "the end")

    camera = Live("http://127.0.0.1:9/stream", live.folder, live.terminal)
    with pytest.raises(Exception, match=r"the stream http://127.0.0.1:9/stream does not open"):
        camera.run(person)
