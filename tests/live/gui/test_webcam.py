from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle.engine.stylizer import StyleStats
from livestyle.live.app import NOTICE_SECONDS
from livestyle.live.config import CROSSFADE_SECONDS
from livestyle.live.overlay import DARK_RED, YELLOW
from livestyle.live.render_thread import Look
from livestyle.media.video.reader import VideoReader
from tests.mjpeg import MjpegServer

from .conftest import CLIP_SIZE, Display, Program, start_visibly, wait_for

WINDOW_SIZE = (640, 360)
"""At which the window opens for the clip."""
Start = Callable[..., Program]
SAME = 6.0
"""Mean difference of two pictures, in grey levels, below which they show the same scene (the clip is JPEG inside)."""
EQUAL = 0.3
"""The same of two paintings of one scene: less is the same style at the same strength."""


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float32) - other).mean())


def roughness(image: np.ndarray) -> float:
    """The mean difference of neighbouring pixels, in grey levels."""
    return distance(image[:, 1:], image[:, :-1])


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
        return distance(running.screenshot()[part], cv2.resize(first, WINDOW_SIZE)[part]) < SAME

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


def test_full_stop_and_comma_make_strokes_broader_and_finer(running: Program, first: np.ndarray) -> None:
    running.press(*["period"] * 3)
    broad = settled(running, first)
    assert roughness(broad) < 0.7 * roughness(first)
    running.press(*["comma"] * 4)
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
def test_v_shows_the_camera_beside_its_painting(running: Program, first: np.ndarray, scene: np.ndarray) -> None:
    running.press("v")
    width = CLIP_SIZE[0]
    both = running.wait_for_snapshot(lambda image: image.shape[1] == 2 * width, "two pictures")
    assert distance(both[:, :width], scene) < SAME
    assert distance(both[:, width:], first) < EQUAL
    running.press("v")
    running.wait_for_snapshot(lambda image: image.shape[1] == width, "one picture")


def chroma(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)[..., 1:])


def test_c_goes_through_the_colour_modes(running: Program, first: np.ndarray, scene: np.ndarray) -> None:
    running.press("c")
    content = settled(running, first)
    # What the JPEGs of the clip and paler colours in dark places leave.
    assert distance(chroma(content), chroma(scene)) < 0.5 * distance(chroma(first), chroma(scene))
    running.press("c")
    settled(running, first, content)
    running.press("c")
    becomes(running, first)


def test_space_and_brackets_mix_styles(running: Program, first: np.ndarray) -> None:
    running.press("2")
    second = settled(running, first)
    running.press("1")
    becomes(running, first)
    running.press("space", "2")
    settled(running, first, second)
    running.press(*["bracketright"] * 5)
    becomes(running, second)
    running.press(*["bracketleft"] * 10)
    becomes(running, first)
    # Held as it is and let go of: the style that was chosen last.
    running.press("space", "space")
    becomes(running, second)


def test_matching_the_colours_of_what_is_held_is_no_choice(running: Program, first: np.ndarray) -> None:
    running.press("space", "c", "c")
    settled(running, first)
    running.press("c")
    becomes(running, first)
    running.press("2")
    mixed = settled(running, first)
    running.press("space", "space", "1")
    becomes(running, first)
    assert distance(mixed, first) > EQUAL


def test_r_records_what_is_painted_and_nothing_else(running: Program, first: np.ndarray) -> None:
    def films() -> list[Path]:
        return sorted(running.folder.glob("livestyle-*.mp4"))

    running.press("h", "r")
    (film,) = wait_for(films, "the recording")
    time.sleep(1.5)
    running.press("r")
    wait_for(lambda: f"saved {film.resolve()}" in running.output(), "the end of the recording")
    running.press("h")
    with VideoReader(film) as source:
        frames = list(source)
        assert source.damage is None
    assert all(distance(frame.image, first) < SAME for frame in frames)
    assert 1.0 < float(frames[-1].time + frames[-1].duration) < 30


def test_w_saves_what_the_keys_have_set(running: Program, first: np.ndarray, style_folder: Path) -> None:
    path = running.folder / "settings.toml"
    path.write_text('fps = 15.0\nsomething = "else"\n')
    running.press("minus", "w")
    wait_for(lambda: f"saved {path}" in running.output(), "the settings")
    settings = tomllib.loads(path.read_text())
    assert settings["strength"] == 0.9
    assert (settings["fps"], settings["something"]) == (15.0, "else")
    assert settings["style"] == str(style_folder / "1-blue.png")
    path.unlink()


@pytest.mark.usefixtures("first")
def test_h_shows_help_that_no_snapshot_has(running: Program, scene: np.ndarray) -> None:
    running.press("0")
    corner = (slice(10, 250), slice(10, 200))
    plain = cv2.resize(scene, WINDOW_SIZE)[corner]

    def brightness() -> float:
        return float(running.screenshot()[corner].mean() / plain.mean())

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
        row = running.screenshot()[295:318, :400]
        return int((np.abs(row - np.array(YELLOW, np.float32)).max(axis=2) < 30).sum()) > 50

    wait_for(has_notice, "its yellow word in the window")


def test_f_leaves_the_program_alive(running: Program) -> None:
    # Without a window manager nothing fills the screen.
    running.press("f")
    time.sleep(0.3)
    running.press("f")
    assert running.snapshot().shape[1::-1] == CLIP_SIZE


def test_a_picture_that_stands_still_costs_next_to_nothing(running: Program) -> None:
    time.sleep(NOTICE_SECONDS + 0.5)  # The notice of the snapshot goes.
    start, clock = running.cpu_seconds(), time.monotonic()
    time.sleep(2)
    assert (running.cpu_seconds() - start) / (time.monotonic() - clock) < 0.12


def test_what_runs_is_said_at_the_start(running: Program) -> None:
    engine, camera = running.output().strip().splitlines()[:2]
    assert "CPU" in engine or "CUDA" in engine
    assert "lite" in engine
    assert "192x108" in camera


def test_a_snapshot_that_cannot_be_written_is_said_and_nothing_ends(
    start: Start, still_clip: Path, style_folder: Path
) -> None:
    program = start("--camera", str(still_clip), "--styles", str(style_folder))
    program.wait_until_painted()

    def folder_is_gone() -> bool:
        # A snapshot may still be on its way.
        shutil.rmtree(program.folder, ignore_errors=True)
        return not program.folder.exists()

    wait_for(folder_is_gone, "the folder to go")
    program.press("s")
    wait_for(lambda: "cannot write to" in program.output(), "the notice")
    program.press("q")
    assert program.ends() == 0
    assert "Traceback" not in program.output()


# -- endings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["q", "Escape", "close button", "Ctrl+C"])
def test_it_ends_cleanly(how: str, start: Start, display: Display, still_clip: Path, style_folder: Path) -> None:
    program = start("--camera", str(still_clip), "--styles", str(style_folder))
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
    assert "livestyle video does without (--no-window)" in result.stderr
    assert "Traceback" not in result.stderr


# -- cameras ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(scene: np.ndarray) -> Iterator[MjpegServer]:
    stream = MjpegServer(scene)
    yield stream
    stream.stop()


def test_the_window_does_not_wait_for_the_camera(start: Start, server: MjpegServer, style_folder: Path) -> None:
    server.sending.clear()
    program = start("--camera", server.address, "--styles", str(style_folder))
    server.sending.set()
    program.wait_until_painted()


def test_a_network_camera_that_stops_is_waited_for(
    start: Start, server: MjpegServer, scene: np.ndarray, style_folder: Path
) -> None:
    arguments = ("--camera", server.address, "--styles", str(style_folder), "--size", "128x128")
    program = start_visibly(lambda: start(*arguments))
    program.press("0")
    small = cv2.resize(scene, (128, 72))
    picture = program.wait_for_snapshot(lambda image: distance(image, small) < SAME, "the stream")
    assert picture.shape == (72, 128, 3)
    server.stop()

    def warns() -> bool:
        rows = program.screenshot()[10:60, :640].astype(int)
        return int((np.abs(rows - np.array(DARK_RED)).max(axis=2) < 30).sum()) > 200

    wait_for(warns, "the warning")
    assert distance(program.snapshot(), small) < SAME
    again = MjpegServer(scene[:, ::-1], server.port)
    try:
        program.wait_for_snapshot(lambda image: distance(image, small[:, ::-1]) < SAME, "the stream that is back")
        wait_for(lambda: not warns(), "the warning to go")
    finally:
        again.stop()
    program.press("q")
    assert program.ends() == 0


def test_it_ends_while_a_network_camera_is_silent(start: Start, server: MjpegServer, style_folder: Path) -> None:
    program = start("--camera", server.address, "--styles", str(style_folder))
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


# -- styles that come and go ------------------------------------------------------------------------------------------


def test_a_picture_that_is_dropped_into_the_folder_is_a_style(
    start: Start, still_clip: Path, style_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "styles"
    folder.mkdir()
    blue, green = (next(style_folder.glob(f"*-{name}.png")) for name in ("blue", "green"))
    shutil.copy(blue, folder / "b.png")
    program = start("--camera", str(still_clip), "--styles", str(folder), "--fps", "0")
    program.wait_until_painted()
    first = settled(program)
    shutil.copy(green, folder / "c.png")

    def is_another(image: np.ndarray) -> bool:
        program.press("2")
        return distance(image, first) > EQUAL

    program.wait_for_snapshot(is_another, "the new style")
    second = settled(program, first)
    (folder / "c.png").unlink()
    becomes(program, first)
    assert distance(first, second) > EQUAL


def test_cycle_goes_through_all_styles_until_a_stops_it(start: Start, still_clip: Path, style_folder: Path) -> None:
    program = start(
        "--camera", str(still_clip), "--styles", str(style_folder), "--fps", "0", "--cycle", "1.5", "--crossfade", "0"
    )
    program.wait_until_painted()
    seen: list[np.ndarray] = []

    def has_seen_all(image: np.ndarray) -> bool:
        if all(distance(image, other) > EQUAL for other in seen):
            seen.append(image)
        return len(seen) == 3

    program.wait_for_snapshot(has_seen_all, "three styles")
    program.press("a")
    last = program.snapshot()
    time.sleep(2)
    assert distance(program.snapshot(), last) == 0


def test_crossfade_takes_its_time_and_x_switches_it_off(start: Start, still_clip: Path, style_folder: Path) -> None:
    program = start("--camera", str(still_clip), "--styles", str(style_folder), "--fps", "0", "--crossfade", "3")
    program.wait_until_painted()
    first = program.snapshot()
    program.press("2")
    fading = [program.snapshot(), program.snapshot()]
    second = settled(program, first, *fading)
    assert distance(fading[0], second) > EQUAL
    program.press("x", "1")
    program.wait_for_snapshot(lambda image: distance(image, second) > EQUAL, "the switch")
    assert distance(program.snapshot(), first) < EQUAL


def test_t_switches_the_stabiliser(start: Start, scene: np.ndarray, style_folder: Path, tmp_path: Path) -> None:
    """With it, the light of a scene that flickers stays in the painting; without, each frame is normalised alone."""
    path = tmp_path / "flicker.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, CLIP_SIZE)
    for number in range(30):
        writer.write(np.clip(scene.astype(int) * 0.7 + 20 * (number % 2), 0, 255).astype(np.uint8))
    writer.release()
    program = start("--camera", str(path), "--styles", str(style_folder), "--fps", "0")
    program.wait_until_painted()

    def spread() -> float:
        light = [float(program.snapshot().mean()) for _ in range(12)]
        return max(light) - min(light)

    stabilised = spread()
    program.press("t")
    time.sleep(0.5)
    assert spread() < 0.5 * stabilised


def test_saved_settings_are_used_the_next_time_and_flags_win(
    start: Start, still_clip: Path, style_folder: Path, tmp_path: Path, scene: np.ndarray
) -> None:
    (tmp_path / "settings.toml").write_text("strength = 0.0\nmirror = true\n")
    arguments = ("--camera", str(still_clip), "--styles", str(style_folder))
    program = start(*arguments)
    program.wait_until_painted()
    assert distance(program.snapshot(), scene[:, ::-1]) < SAME
    program.press("q")
    assert program.ends() == 0
    program = start(*arguments, "--no-mirror")
    program.wait_until_painted()
    assert distance(program.snapshot(), scene) < SAME


def test_m_mirrors_a_mask_and_w_saves_it(
    start: Start, still_clip: Path, style_folder: Path, tmp_path: Path, scene: np.ndarray
) -> None:
    mask = np.zeros_like(scene)
    mask[:, : scene.shape[1] // 2] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    arguments = ("--camera", str(still_clip), "--styles", str(style_folder), "--fps", "0")
    program = start(*arguments, "--mask", str(tmp_path / "mask.png"))
    program.wait_until_painted()

    def is_painted(image: np.ndarray, before: np.ndarray) -> list[bool]:
        middle = image.shape[1] // 2
        return [distance(image[:, half], before[:, half]) > SAME for half in (slice(middle), slice(middle, None))]

    assert is_painted(program.snapshot(), scene) == [True, False]
    program.press("m")
    program.wait_for_snapshot(lambda image: is_painted(image, scene[:, ::-1]) == [False, True], "it mirrored")
    program.press("w")
    path = tmp_path / "settings.toml"
    wait_for(lambda: f"saved {path}" in program.output(), "the settings")
    settings = tomllib.loads(path.read_text())
    assert settings["mask"] == str(tmp_path / "mask.png")
    assert "background" not in settings


def test_w_saves_where_the_picture_of_the_background_is(
    start: Start, still_clip: Path, style_folder: Path, tmp_path: Path, scene: np.ndarray
) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), scene)
    behind = style_folder / "2-green.png"
    arguments = ("--mask", str(tmp_path / "mask.png"), "--background", os.path.relpath(behind, tmp_path))
    program = start("--camera", str(still_clip), *arguments)
    program.wait_until_painted()
    program.press("w")
    path = tmp_path / "settings.toml"
    wait_for(lambda: f"saved {path}" in program.output(), "the settings")
    assert tomllib.loads(path.read_text())["background"] == str(behind)


# -- without a window -------------------------------------------------------------------------------------------------


def test_a_switch_of_style_is_a_mix_that_moves_with_time() -> None:
    before, after = StyleStats(np.zeros(4, np.float32)), StyleStats(np.ones(4, np.float32))
    look = Look(after, before=before, since=100.0, crossfade=CROSSFADE_SECONDS)
    middle = look.stats(100.0 + CROSSFADE_SECONDS / 2).values
    assert np.allclose(look.stats(100.0).values, 0)
    assert np.allclose(middle, 0.5)
    assert look.stats(100.0 + CROSSFADE_SECONDS) is after


# As livestyle demo does: PyAV, which comes with convert, has hung OpenCV's windows before.
SHOW = """
import sys
import livestyle.convert
from livestyle.live.window import show_video
print(show_video(sys.argv[1]))
"""


@pytest.mark.parametrize("screen", [True, False])
def test_a_video_is_shown_where_there_is_a_display(screen: bool, display: Display, still_clip: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    if screen:
        environment["DISPLAY"] = display.name
    command = [sys.executable, "-c", SHOW, str(still_clip)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == str(screen)
