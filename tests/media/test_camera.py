"""`Camera` with real streams, videos and images: a local server is stopped, falls silent and sends rubbish."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle.errors import InputError
from livestyle.media.capture.camera import Camera
from livestyle.media.capture.timeouts import Timeouts
from livestyle.media.frames import Frame
from livestyle.media.video.reader import VideoReader
from tests.ffmpeg import Make, damage
from tests.mjpeg import MjpegServer, jpeg
from tests.waiting import PATIENCE, wait_for

SAME = 6.0
"""Mean difference of two images, in grey levels, below which they show the same scene."""
PATIENT = Timeouts(reconnect=0.05, longest_reconnect=0.2)
"""Opens again soon; does not give up soon."""
HASTY = Timeouts(open=0.3, read=0.3, reconnect=0.05, longest_reconnect=0.2)
"""For sources that are silent."""
Open = Callable[..., Camera]


def shows(frame: Frame | None, scene: np.ndarray) -> bool:
    return (
        frame is not None
        and frame.image.shape == scene.shape
        and float(np.abs(frame.image.astype(np.float32) - scene).mean()) < SAME
    )


def wait_for_scene(camera: Camera, scene: np.ndarray) -> None:
    wait_for(lambda: shows(camera.latest(), scene), "the picture")


def camera_threads() -> int:
    return sum(thread.name == "camera" for thread in threading.enumerate())


@pytest.fixture
def scene() -> np.ndarray:
    """Whose left and right, and top and bottom, cannot be mistaken: uint8 [108, 192, 3]."""
    image = np.zeros((108, 192, 3), np.uint8)
    image[:, :96] = (40, 40, 200)
    image[:, 96:] = (200, 120, 40)
    cv2.circle(image, (48, 54), 27, (230, 230, 230), -1)
    cv2.rectangle(image, (120, 14), (168, 36), (20, 160, 220), -1)
    return image


@pytest.fixture
def server(scene: np.ndarray) -> Iterator[MjpegServer]:
    stream = MjpegServer(scene)
    yield stream
    stream.stop()


@pytest.fixture
def silent_address() -> Iterator[str]:
    """Of a server that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/stream.mjpg"


@pytest.fixture
def clip(tmp_path: Path, scene: np.ndarray) -> Path:
    """Half a second, 15 frames."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (192, 108))
    for _ in range(15):
        writer.write(scene)
    writer.release()
    return path


@pytest.fixture
def start() -> Iterator[Open]:
    cameras: list[Camera] = []

    def begin(source: str | Path, size: tuple[int, int] | None = None, **options: Any) -> Camera:
        cameras.append(Camera(source, size, **{"timeouts": PATIENT} | options))
        return cameras[-1]

    yield begin
    for camera in cameras:
        camera.close()


# -- opening ----------------------------------------------------------------------------------------------------------


def test_a_camera_that_takes_its_time_keeps_nobody_waiting(start: Open, silent_address: str) -> None:
    camera = start(silent_address)
    assert camera.latest(timeout=0) is None
    assert camera.notice == f"opening {silent_address} ..."
    assert not camera.opened


def test_once_open_it_gives_frames_and_figures(start: Open, server: MjpegServer, scene: np.ndarray) -> None:
    camera = start(server.address)
    before = time.monotonic()
    first = camera.wait_open()
    second = camera.latest(after=first)
    assert shows(first, scene)
    assert shows(second, scene)
    assert second is not None
    assert before < first.time < second.time < time.monotonic()
    assert (camera.width, camera.height) == (192, 108)
    assert camera.opened
    assert camera.notice == ""
    assert 0 < camera.seconds < 1
    wait_for(lambda: 5 < camera.rate.value < 30, "the rate")


def test_a_camera_without_a_first_frame_has_no_size_but_an_error(start: Open, silent_address: str) -> None:
    camera = start(silent_address, timeouts=HASTY)
    with pytest.raises(InputError, match=r"no answer in 0\.3 seconds"):
        _ = camera.width
    assert camera.notice == ""


def test_who_waits_for_a_camera_may_lose_patience(start: Open, silent_address: str) -> None:
    with pytest.raises(InputError, match=r"given no picture for 0\.1 seconds"):
        start(silent_address, timeouts=HASTY).wait_open(timeout=0.1)


def test_frames_are_scaled_to_fit_in_their_shape(start: Open, server: MjpegServer, scene: np.ndarray) -> None:
    camera = start(server.address, (96, 96))
    assert shows(camera.wait_open(), cv2.resize(scene, (96, 54), interpolation=cv2.INTER_AREA))


def test_a_stream_that_is_no_video_is_refused(start: Open, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video")
    with file_server(tmp_path) as address, pytest.raises(InputError, match="Invalid data"):
        start(f"{address}/notes.txt").wait_open()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("97", r"^camera 97 does not open \(V4L2: there is no /dev/video97"),
        ("/dev/video97", r"^/dev/video97 does not open \(V4L2: there is no /dev/video97"),
        ("/dev/null", "V4L2: /dev/null is no camera or is in use"),
        ("http://127.0.0.1:9/stream", "Connection refused"),
        ("rtsp://127.0.0.1:9/stream", "Connection refused"),
        ("http://no-such-host.invalid/stream", "the host is not found"),
    ],
)
def test_a_camera_that_does_not_open_says_why(start: Open, source: str, reason: str) -> None:
    camera = start(source)
    with pytest.raises(InputError, match=reason):
        camera.latest(timeout=PATIENCE)
    with pytest.raises(InputError, match=reason):
        camera.wait_open()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("missing.mp4", "no camera or video file"),
        ("missing.png", "no camera or video file"),
        ("x" * 5000, "no camera or video file"),
        ("", "is a folder"),
        ("/", "is a folder"),
        ("http://", "not the address of a stream"),
        ("htp://camera/stream", "not the address of a stream"),
        ("http://camera:99999/", "not the address of a stream"),
        ("http://[::1/", "not the address of a stream"),
        ("tcp://127.0.0.1?listen", "names no port"),
        ("udp://camera/x", "names no port"),
    ],
)
def test_what_needs_no_opening_is_said_at_once(source: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Camera(source)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.png"])
def test_a_file_that_is_no_picture_and_no_video_is_refused(start: Open, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("neither")
    with pytest.raises(InputError, match=f"{name} is not a"):
        start(tmp_path / name).wait_open()


@pytest.mark.parametrize(
    "address", ["rtsp://user:secr@et@127.0.0.1:9/stream?channel=1", "http://127.0.0.1:9/stream?user=u&pwd=secr@et"]
)
def test_no_password_is_shown(start: Open, address: str) -> None:
    camera = start(address)
    shown = camera.name + camera.notice
    with pytest.raises(InputError) as error:
        camera.wait_open()
    assert camera.name == f"{address.partition(':')[0]}://127.0.0.1:9/stream"
    assert "et@" not in shown + str(error.value)
    assert "pwd" not in shown + str(error.value)


# -- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_that_drops_keeps_its_last_frame_and_comes_back_by_itself(start: Open, scene: np.ndarray) -> None:
    server = MjpegServer(scene)
    camera = start(server.address)
    wait_for_scene(camera, scene)
    server.stop()
    wait_for(lambda: camera.notice, "the notice")
    assert camera.notice == f"{server.address} stopped giving pictures: trying again ..."
    last = camera.latest()
    assert shows(last, scene)
    assert camera.latest(after=last, timeout=0.3) is None
    server = MjpegServer(scene[:, ::-1], server.port)
    try:
        wait_for_scene(camera, scene[:, ::-1])
        assert camera.notice == ""
    finally:
        server.stop()


def test_a_stream_that_falls_silent_is_called_again(start: Open, server: MjpegServer, scene: np.ndarray) -> None:
    camera = start(server.address, timeouts=HASTY)
    wait_for_scene(camera, scene)
    server.sending.clear()
    wait_for(lambda: camera.notice, "the notice")
    assert shows(camera.latest(), scene)
    wait_for(lambda: server.connections > 1, "another call")
    server.sending.set()
    wait_for(lambda: not camera.notice, "the stream's return")
    assert camera.latest(after=camera.latest()) is not None


@pytest.mark.parametrize("damage", ["cut off", "no JPEG", "nothing"])
def test_a_damaged_picture_is_left_out(start: Open, server: MjpegServer, scene: np.ndarray, damage: str) -> None:
    camera = start(server.address)
    wait_for_scene(camera, scene)
    whole = server.picture
    server.picture = {"cut off": whole[: len(whole) // 2], "no JPEG": b"sorry", "nothing": b""}[damage]
    sent = server.sent
    wait_for(lambda: server.sent > sent + 1, "damaged pictures")
    server.picture = whole
    for frame in islice(camera, 10):
        assert shows(frame, scene)
    server.show(scene[:, ::-1])
    wait_for_scene(camera, scene[:, ::-1])
    assert server.connections == 1


def test_a_camera_whose_every_picture_is_slightly_damaged_is_shown_all_the_same(
    start: Open, server: MjpegServer, scene: np.ndarray
) -> None:
    # Only the last blocks are missing.
    server.picture = jpeg(scene)[:-20]
    assert shows(start(server.address).wait_open(), scene)


def test_a_stream_that_changes_its_size_is_not_distorted(start: Open, server: MjpegServer, scene: np.ndarray) -> None:
    camera = start(server.address)
    wait_for_scene(camera, scene)
    tall = np.ascontiguousarray(scene.transpose(1, 0, 2))
    server.show(tall)
    wait_for_scene(camera, tall)
    assert (camera.width, camera.height) == (108, 192)
    server.show(scene)
    wait_for_scene(camera, scene)
    assert server.connections == 1


def test_a_video_at_an_address_plays_at_its_own_rate(start: Open, clip: Path) -> None:
    with file_server(clip.parent) as address:
        camera = start(f"{address}/{clip.name}")
        begin = camera.wait_open().time
        # 12 frames, 30 a second.
        last = list(islice(camera, 12))[-1]
        assert last.time - begin > 0.3


def test_a_playlist_whose_clock_jumps_goes_on(start: Open, make: Make) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=192x108:rate=25:duration=0.5", "-c:v", "libx264", "-g", "25")
    first = make("0.ts", *source)
    make("1.ts", *source, "-output_ts_offset", "600")
    parts = ("#EXTINF:0.5,", "0.ts", "#EXT-X-DISCONTINUITY", "#EXTINF:0.5,", "1.ts")
    lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:1", *parts, "#EXT-X-ENDLIST")
    first.with_name("list.m3u8").write_text("\n".join(lines))
    with file_server(first.parent) as address:
        camera = start(f"{address}/list.m3u8")
        begin = camera.wait_open().time
        wait_for(lambda: (frame := camera.latest()) is not None and frame.time - begin > 0.6, "the second part")


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class file_server:  # noqa: N801
    """The files of a folder over HTTP."""

    def __init__(self, folder: Path) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_video_plays_at_its_own_rate_and_starts_again(start: Open, clip: Path, scene: np.ndarray) -> None:
    begin = time.monotonic()
    frames = list(islice(start(clip), 20))
    assert all(shows(frame, scene) for frame in frames)
    # 20 frames, 30 a second.
    assert time.monotonic() - begin > 0.55


def numbered(make: Make, *options: str) -> Path:
    """Half a second of 25 frames a second, each of its own grey."""
    ramp = "color=black:size=96x64:rate=25:duration=0.52,format=gray,geq=lum=16+16*N"
    return make("ramp.mp4", "-f", "lavfi", "-i", ramp, "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", *options)


def test_no_frame_of_a_video_is_skipped_where_every_one_is_asked_for(start: Open, make: Make) -> None:
    clip = numbered(make)
    with VideoReader(clip) as video:
        expected = [frame.image for frame in video]
    found = []
    for frame in islice(start(clip, every_frame=True), 17):
        found.append(frame.image)
        # Painting that is slower than the video.
        time.sleep(0.06)
    # The exact pixels, and from the beginning again.
    assert all(map(np.array_equal, found, expected + expected[:4]))
    assert len(expected) == 13


def test_a_video_of_which_every_frame_is_asked_for_does_not_hurry(start: Open, make: Make) -> None:
    camera = start(numbered(make), every_frame=True)
    first = camera.wait_open()
    time.sleep(0.3)
    # Looking is not taking.
    assert camera.latest() is camera.wait_open() is first
    times = [float(frame.time) for frame in islice(camera, 8)]
    assert min(np.diff(times)) > 0.039


@pytest.mark.parametrize("degrees", ["90", "180"])
def test_a_phone_video_stands_upright(start: Open, make: Make, degrees: str) -> None:
    clip = make("phone.mp4", "-i", str(numbered(make)), "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}")
    assert start(clip).wait_open().image.shape == ((96, 64, 3) if degrees == "90" else (64, 96, 3))


def test_a_damaged_frame_of_a_video_is_replaced_by_the_last_good_one(start: Open, make: Make) -> None:
    # Key frames only, so that what is damaged is one frame.
    clip = numbered(make, "-g", "1")
    damage(clip, 3)
    found = [float(frame.image.mean()) for frame in islice(start(clip, every_frame=True), 5)]
    assert found[3] == found[2] < found[4]


def test_a_video_that_is_gone_keeps_its_last_frame(start: Open, clip: Path, scene: np.ndarray) -> None:
    camera = start(clip)
    camera.wait_open()
    moved = clip.rename(clip.with_name("moved.avi"))
    wait_for(lambda: "stopped giving pictures" in camera.notice, "the notice")
    assert shows(camera.latest(), scene)
    moved.rename(clip)
    wait_for(lambda: not camera.notice, "its return")


def test_a_video_may_have_a_name_that_is_not_valid_utf_8(start: Open, clip: Path, scene: np.ndarray) -> None:
    assert shows(start(clip.rename(clip.with_name("caf\udce9.avi"))).wait_open(), scene)


def test_an_image_is_a_camera_that_gives_one_frame(start: Open, tmp_path: Path, scene: np.ndarray) -> None:
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), scene)
    camera = start(path, (96, 96))
    frame = camera.wait_open()
    assert frame.image.shape == (54, 96, 3)
    assert camera.notice == ""
    assert camera.latest(after=frame, timeout=0.3) is None
    assert camera.latest() is frame


# -- endings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["opening", "playing", "silent", "dropped", "an image", "a video", "failed"])
def test_it_closes_soon_from_any_state_and_leaves_no_thread(
    start: Open, server: MjpegServer, silent_address: str, clip: Path, tmp_path: Path, scene: np.ndarray, state: str
) -> None:
    cv2.imwrite(str(tmp_path / "scene.png"), scene)
    sources = {"opening": silent_address, "an image": tmp_path / "scene.png", "a video": clip, "failed": "97"}
    camera = start(sources.get(state, server.address), timeouts=HASTY)
    if state == "failed":
        with pytest.raises(InputError):
            camera.wait_open()
    elif state != "opening":
        camera.wait_open()
    if state == "silent":
        server.sending.clear()
        wait_for(lambda: camera.latest(after=camera.latest(), timeout=0.3) is None, "silence")
    elif state == "dropped":
        server.stopped.set()
        wait_for(lambda: camera.notice, "the notice")
    begin = time.monotonic()
    camera.close()
    assert time.monotonic() - begin < 3
    wait_for(lambda: camera_threads() == 0, "the thread's end")
    camera.close()


def test_closing_wakes_those_who_wait(start: Open, silent_address: str) -> None:
    camera, found = start(silent_address), list[Frame | None]()
    waiting = threading.Thread(target=lambda: found.append(camera.latest(timeout=10 * PATIENCE)), daemon=True)
    waiting.start()
    camera.close()
    waiting.join(PATIENCE)
    assert found == [None]
    with pytest.raises(InputError, match="was closed"):
        camera.wait_open()


def test_opencv_is_quiet_only_while_there_is_a_camera(start: Open, server: MjpegServer, clip: Path) -> None:
    level = cv2.utils.logging.getLogLevel()
    cameras = [start(server.address), start(clip)]
    for camera in cameras:
        camera.wait_open()
    assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_SILENT
    for camera in cameras:
        camera.close()
    wait_for(lambda: camera_threads() == 0, "the threads' end")
    assert cv2.utils.logging.getLogLevel() == level


PROGRAM = """
import sys
from livestyle.errors import InputError
from livestyle.media.capture.camera import Camera
for source in sys.argv[2:]:
    try:
        with Camera(source) as camera:
            camera.wait_open()
    except InputError:
        pass
camera = Camera(sys.argv[1])
camera.wait_open()
print("open", flush=True)
sys.stdin.readline()
camera.close()
"""


def test_nothing_is_written_and_a_program_ends_while_a_stream_is_silent(
    server: MjpegServer, tmp_path: Path, scene: np.ndarray
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(1000))
    command = [sys.executable, "-c", PROGRAM, server.address, "97", "http://127.0.0.1:9/stream", str(broken)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "open\n"
        server.picture = jpeg(scene)[:2000]
        sent = server.sent
        wait_for(lambda: server.sent > sent + 5, "damaged pictures")
        server.sending.clear()
        _, errors = program.communicate("\n", timeout=PATIENCE)
    assert program.returncode == 0
    assert errors == ""
