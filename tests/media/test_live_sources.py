"""Live sources as people have them, played for real on loopback: how old their pictures are, and how they stand."""

from __future__ import annotations

import io
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from PIL import Image

from livestyle.errors import InputError
from livestyle.media.capture import tls
from livestyle.media.capture.camera import Camera
from livestyle.media.capture.kinds import opening_text
from livestyle.media.capture.listener import Gate, Listened
from livestyle.media.capture.pacing import BurstClock, BurstDetector, RecordingClock
from livestyle.media.capture.playlist import first_entry, in_order, variants
from livestyle.media.capture.probe import probe
from livestyle.media.capture.sources import open_source
from livestyle.media.capture.splitter import ImageSplitter
from livestyle.media.capture.stream import stream_frames
from livestyle.media.capture.timeouts import Timeouts
from livestyle.media.frames import Frame
from tests.ffmpeg import Make
from tests.media.clock_picture import X264, ClockSender, RtspSender, age, free_port
from tests.media.tls_proxy import TlsProxy, make_certificate
from tests.mjpeg import jpeg
from tests.waiting import wait_for

PATIENCE = 60.0
LATE_SECONDS = 0.3
PATIENT = Timeouts(reconnect=0.05, longest_reconnect=0.2)


def newest(camera: Camera, frame: Frame | None) -> Frame:
    following = camera.latest(after=frame, timeout=PATIENCE)
    assert following is not None, camera.notice
    return following


def wait_for_age(camera: Camera, most: float, least: float = -0.1, in_a_row: int = 10) -> None:
    """Wait until some frames in a row are so many seconds old.

    A machine that is busy with other things is late at times, but not always: what stays behind never gets here.
    """
    frame, found, end = None, list[float](), time.monotonic() + PATIENCE
    while len(found) < in_a_row or not all(least <= seconds < most for seconds in found[-in_a_row:]):
        assert time.monotonic() < end, f"frames are {found[-in_a_row:]} seconds old"
        frame = newest(camera, frame)
        found.append(age(frame.image))


def served(ffmpeg: str, address: str, *codec: str) -> ClockSender:
    return ClockSender(ffmpeg, *codec, "-listen", "1", address)


def opened(address: str, **options: Any) -> Camera:
    """A camera that is opened as soon as the sender listens."""
    end = time.monotonic() + PATIENCE
    while True:
        camera = Camera(address, timeouts=PATIENT, **options)
        try:
            camera.wait_open()
        except Exception:
            camera.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return camera


# -- newest frames ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "codec"),
    [
        ("rtmp", (*X264, "-f", "flv")),
        # The sender says how long it will be, as one does that reads a file.
        ("rtmp", (*X264, "-t", "60", "-f", "flv")),
        ("http", (*X264, "-t", "60", "-f", "flv")),
        ("http", (*X264, "-f", "mpegts")),
        ("http", ("-c:v", "mjpeg", "-f", "mpjpeg")),
    ],
)
def test_a_live_stream_gives_its_newest_frame(ffmpeg: str, scheme: str, codec: tuple[str, ...]) -> None:
    address = f"{scheme}://127.0.0.1:{free_port()}/live/key"
    with served(ffmpeg, address, *codec), opened(address) as camera:
        wait_for_age(camera, LATE_SECONDS)


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_a_transport_stream_gives_its_newest_frame(ffmpeg: str, scheme: str) -> None:
    address = f"{scheme}://127.0.0.1:{free_port()}"
    listens = "?listen=1" if scheme == "tcp" else ""
    with ClockSender(ffmpeg, *X264, "-f", "mpegts", address + listens), opened(address) as camera:
        wait_for_age(camera, LATE_SECONDS)


def test_frames_are_new_after_nobody_took_one_for_a_while(ffmpeg: str) -> None:
    address = f"rtmp://127.0.0.1:{free_port()}/live/key"
    with served(ffmpeg, address, *X264, "-f", "flv"), opened(address) as camera:
        wait_for_age(camera, LATE_SECONDS)
        time.sleep(2)
        wait_for_age(camera, LATE_SECONDS, in_a_row=1)


@pytest.mark.parametrize(
    "codec",
    [
        (*X264, "-f", "matroska"),
        (*X264, "-t", "60", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"),
    ],
)
def test_a_stream_that_comes_in_bursts_is_played_evenly(ffmpeg: str, codec: tuple[str, ...]) -> None:
    address = f"http://127.0.0.1:{free_port()}/live"
    with served(ffmpeg, address, *codec), opened(address) as camera:
        # A group of 25 frames is sent once it is complete.
        wait_for_age(camera, 1.4, 0.9, in_a_row=30)


@pytest.fixture
def bursty_address(ffmpeg: str) -> Iterator[str]:
    """Of a transport stream on a network that holds bytes back for a second."""
    source = socket.create_server(("127.0.0.1", 0))
    target = socket.create_server(("127.0.0.1", 0))

    def carry() -> None:
        with suppress(OSError), source.accept()[0] as sender, target.accept()[0] as reader:
            held, begin = bytearray(), time.monotonic()
            while data := sender.recv(65536):
                held += data
                if time.monotonic() - begin >= 1:
                    reader.sendall(held)
                    held, begin = bytearray(), time.monotonic()

    threading.Thread(target=carry, daemon=True).start()
    with source, target, ClockSender(ffmpeg, *X264, "-f", "mpegts", f"tcp://127.0.0.1:{source.getsockname()[1]}"):
        yield f"tcp://127.0.0.1:{target.getsockname()[1]}"


def test_bursts_of_any_stream_are_played_evenly(bursty_address: str) -> None:
    with Camera(bursty_address, timeouts=PATIENT) as camera:
        # A backlog has frames of all ages: no more than 18 of them are between these.
        wait_for_age(camera, 1.5, 0.8, in_a_row=25)


def test_bursts_are_a_habit_and_not_a_pause() -> None:
    detector = BurstDetector()

    def adds(*frames: int) -> list[bool]:
        return [detector.add(waited=n == 0) for burst in frames for n in range(burst)]

    # One after the other, a backlog after a pause, and jitter.
    assert not any(adds(*[1] * 50, 120, *[1] * 50, 2, 3, 1, 2, 3, 2))
    assert adds(25, 25, 25, 25)[-1]
    assert adds(1, 25, 1, 1)[-1]
    assert not adds(1, 1, 1, 1)[-1]


def test_the_clock_of_bursts_delays_no_more_than_they_need() -> None:
    clock = BurstClock()
    # A backlog is shown at once.
    assert [clock.due(n / 10, 50, waited=False) for n in range(20)] == [50] * 20
    # Ten frames a second, ten of them at the end of each second.
    for second in range(3, 6):
        due = [clock.due(second + n / 10, second + 51, waited=n == 0) for n in range(10)]
        assert np.allclose(due, second + 51 + np.arange(10) / 10)
    # Nothing was read for five seconds; the backlog is shown as soon as it is there.
    assert clock.due(10.5, 62, waited=True) == 62
    late = [clock.due(n, n + 51.0, waited=True) for n in range(11, 20)]
    assert late[-1] == 70


@pytest.mark.parametrize(("promised", "is_recording"), [(0, False), (1, True), (2**31 - 1, False)])
def test_a_live_stream_may_promise_any_length(
    make: Make, monkeypatch: pytest.MonkeyPatch, promised: int, is_recording: bool
) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1")
    data = make("live.ts", *source, "-c:v", "libx264", "-pix_fmt", "yuv420p").read_bytes()
    played = list[float]()

    def due(_: RecordingClock, position: float, now: float) -> float:
        played.append(position)
        return now

    monkeypatch.setattr(RecordingClock, "due", due)
    length = len(data) if promised == 1 else promised
    with JpegServer("video/mp2t", lambda _: iter([data]), length) as server:
        frames = list(stream_frames(server.address, None, threading.Event(), PATIENT))
    assert len(frames) > 20
    assert len(played) == (len(frames) if is_recording else 0)


# -- motion JPEG ------------------------------------------------------------------------------------------------------


class JpegServer:
    """Sends what a function yields to everybody who asks.

    Args:
        kind: content type.
        answer: makes the pieces of one answer, given the number of answers before it.
        length: what it says of the length of an answer, in bytes; 0 is nothing.
    """

    def __init__(self, kind: str, answer: Callable[[int], Iterator[bytes]], length: int = 0) -> None:
        self.answers = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number, server.answers = server.answers, server.answers + 1
                self.send_response(200)
                if kind:
                    self.send_header("Content-Type", kind)
                if length:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                try:
                    for piece in answer(number):
                        self.wfile.write(piece)
                except OSError:
                    return

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})
        self.address = f"http://127.0.0.1:{self._server.server_port}/video"

    def __enter__(self) -> JpegServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def scene(grey: int = 90) -> np.ndarray:
    image = np.full((96, 160, 3), grey, np.uint8)
    image[:48, :80] = (30, 60, 200)
    return image


MULTIPART = "multipart/x-mixed-replace; boundary=frame"


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (MULTIPART, b"--frame\r\nContent-Type: image/jpg\r\nContent-Length: %(length)d\r\n\r\n%(image)b\r\n"),
        (MULTIPART, b"--frame\r\nContent-Type: image/jpg\r\n\r\n%(image)b\r\n"),
        (MULTIPART, b"--frame\r\n\r\n%(image)b\r\n"),
        (MULTIPART, b"--frame\r\nContent-Length: %(length)d\r\n\r\n%(image)b\r\n"),
        (MULTIPART, b"\r\n--frame\nContent-Type: image/jpeg; charset=x\n\n%(image)b\n"),
        (MULTIPART, b"--another\r\nX-Timestamp: 7\r\nContent-Length: 3\r\n\r\n%(image)b"),
        ("multipart/mixed;boundary=\"--x\"", b"----x\r\nContent-Type: application/octet-stream\r\n\r\n%(image)b\r\n"),
        ("text/plain", b"--frame\r\nContent-type:image/pjpeg\r\n\r\n%(image)b\r\n"),
        ("video/x-motion-jpeg", b"%(image)b"),
        ("", b"%(image)b"),
        (MULTIPART, b"frame\r\nContent-Type: image/jpeg\r\n\r\n%(image)b\r\n"),
        (MULTIPART, b"Content-Type: image/jpeg\r\nContent-Length: %(length)d\r\n\r\n%(image)b\r\n"),
        (MULTIPART, b"Some words come first. " * 50 + b"\r--frame\rContent-Type: image/jpeg\r\r%(image)b\r"),
    ],
)  # fmt: skip
def test_motion_jpeg_is_shown_whatever_its_headers_say(kind: str, part: bytes) -> None:
    def send(_: int) -> Iterator[bytes]:
        for grey in range(60, 200):
            image = jpeg(scene(grey))
            yield part % {b"length": len(image), b"image": image}
            time.sleep(0.02)

    with JpegServer(kind, send) as server, Camera(server.address, timeouts=PATIENT) as camera:
        first = camera.wait_open()
        second = newest(camera, first)
        assert first.image.shape == (96, 160, 3)
        assert second.image[-1, -1].mean() > first.image[-1, -1].mean()
        assert server.answers == 1


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_the_parts_of_a_stream_may_be_of_another_format(suffix: str) -> None:
    def send(_: int) -> Iterator[bytes]:
        for grey in range(60, 200):
            yield b"--frame\r\n\r\n" + cv2.imencode(suffix, scene(grey))[1].tobytes() + b"\r\n"
            time.sleep(0.02)

    with JpegServer(MULTIPART, send) as server, Camera(server.address, timeouts=PATIENT) as camera:
        first = camera.wait_open()
        assert newest(camera, first).image[-1, -1].mean() > first.image[-1, -1].mean()
        assert server.answers == 1


def test_a_server_that_hangs_up_after_some_images_is_asked_again_at_once() -> None:
    def send(_: int) -> Iterator[bytes]:
        for grey in (60, 90, 120):
            yield b"--frame\r\n\r\n" + jpeg(scene(grey)) + b"\r\n"
            time.sleep(0.02)

    late = Timeouts(reconnect=PATIENCE, longest_reconnect=PATIENCE)
    with JpegServer(MULTIPART, send) as server, Camera(server.address, timeouts=late) as camera:
        frame, notices = camera.wait_open(), set[str]()
        while server.answers < 4:
            frame = newest(camera, frame)
            notices.add(camera.notice)
        assert notices == {""}


def test_an_image_is_complete_with_its_last_byte_however_it_is_cut() -> None:
    rng = np.random.default_rng(1)
    images = [jpeg(rng.integers(0, 255, (40, 56, 3), np.uint8)) for _ in range(3)]
    progressive = cv2.imencode(".jpg", scene(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1]
    # EXIF with a thumbnail, which is a JPEG within the JPEG.
    inner = b"Exif\0\0" + images[0]
    thumbnail = images[1][:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + images[1][2:]
    others = [cv2.imencode(suffix, scene())[1].tobytes() for suffix in (".png", ".webp")]
    whole = [*images, progressive.tobytes(), *others, thumbnail, images[2]]
    stream = b"".join(b"--frame\r\nA: \xff\r\n\r\n" + image + b"\r\n" for image in whole)
    for size in (1, 7, 1000, len(stream)):
        splitter, found = ImageSplitter(), list[bytes]()
        for at in range(0, len(stream), size):
            found += splitter.feed(stream[at : at + size])
        assert found == whole
    splitter = ImageSplitter()
    assert list(splitter.feed(images[0] + images[1][:-1])) == images[:1]
    assert list(splitter.feed(images[1][-1:])) == images[1:2]


def test_an_image_without_an_end_costs_no_other() -> None:
    image = jpeg(scene())
    splitter = ImageSplitter()
    found = list(splitter.feed(image[:-2] + b"\r\n--frame\r\n\r\n" + image + image[:90] + image))
    assert found[0].startswith(image[:-2])
    assert found[1] == found[-1] == image


class TcpServer:
    """Sends a first piece and then others, as often as it is asked, until it is told to be silent."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.silent = threading.Event()
        self._ended = threading.Event()
        self._pieces = pieces
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"

    def _run(self) -> None:
        with suppress(OSError), self._server.accept()[0] as reader:
            while not self.silent.wait(0.02):
                reader.sendall(next(self._pieces))
            self._ended.wait()

    def __enter__(self) -> TcpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.silent.set()
        self._ended.set()
        self._server.close()


def test_motion_jpeg_comes_over_tcp_too() -> None:
    pieces = (jpeg(scene(60 + n % 150)) for n in count())
    hasty = Timeouts(open=PATIENCE, read=0.5, reconnect=PATIENCE)
    with TcpServer(pieces) as server, Camera(server.address, timeouts=hasty) as camera:
        first = camera.wait_open()
        assert newest(camera, first).image[-1, -1].mean() > first.image[-1, -1].mean()
        server.silent.set()
        wait_for(lambda: "stopped giving pictures" in camera.notice, "that it is seen", PATIENCE)


def test_a_stream_in_which_nothing_comes_is_not_read_for_ever() -> None:
    # Null packets, which a transport stream may have between others.
    empty = repeat((b"\x47\x1f\xff\x10" + bytes(184)) * 10)
    hasty = Timeouts(open=0.5)
    with (
        TcpServer(empty) as server,
        pytest.raises(InputError, match=r"nothing that can be read in 0\.5 seconds") as error,
    ):
        Camera(server.address, timeouts=hasty).wait_open()
    assert server.address in str(error.value)


# -- snapshots --------------------------------------------------------------------------------------------------------


def test_an_address_of_one_picture_is_asked_quietly_again() -> None:
    def send(number: int) -> Iterator[bytes]:
        yield jpeg(scene(60 + 10 * min(number, 8)))

    with JpegServer("image/jpeg", send) as server, Camera(server.address, timeouts=PATIENT) as camera:
        frame = camera.wait_open()
        notices = set()
        while frame.image[-1, -1].mean() < 135:
            frame = newest(camera, frame)
            notices.add(camera.notice)
        assert notices == {""}
        # What does not change any more is asked for about once a second.
        wait = time.monotonic() + 3
        before = server.answers
        while time.monotonic() < wait:
            frame = newest(camera, frame)
        assert server.answers - before < 12


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"])
def test_a_snapshot_may_have_another_format(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene()[:, :, ::-1]).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    image = buffer.getvalue()
    with JpegServer("", lambda _: iter([image])) as server, Camera(server.address, timeouts=PATIENT) as camera:
        first = camera.wait_open()
        assert np.abs(newest(camera, first).image.astype(int) - scene()).mean() < 2
        assert camera.notice == ""


def test_a_camera_of_snapshots_that_is_gone_is_said_and_comes_back() -> None:
    image = jpeg(scene())

    def send(number: int) -> Iterator[bytes]:
        yield b"" if 2 < number < 12 else image

    hasty = Timeouts(read=0.3, reconnect=0.05, longest_reconnect=0.1)
    with JpegServer("image/jpeg", send) as server, Camera(server.address, timeouts=hasty) as camera:
        camera.wait_open()
        for is_gone in (True, False):
            end = time.monotonic() + PATIENCE
            while ("stopped giving pictures" in camera.notice) != is_gone:
                assert time.monotonic() < end
                time.sleep(0.02)


def test_a_camera_may_answer_before_it_takes_its_picture() -> None:
    def send(number: int) -> Iterator[bytes]:
        yield b""
        time.sleep(0.8)
        yield jpeg(scene(60 + 10 * number))

    hasty = Timeouts(read=0.3, reconnect=PATIENCE, longest_reconnect=PATIENCE)
    with JpegServer("image/jpeg", send) as server, Camera(server.address, timeouts=hasty) as camera:
        frame = camera.wait_open()
        for _ in range(2):
            frame = newest(camera, frame)
            assert camera.notice == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "opens but nothing comes"),
        (b"<!DOCTYPE html>\n<html><body><img src=video></body></html>", "is a web page: give the address of the video"),
        (b"<html>" + bytes(2000), "is a web page"),
        (b'<?xml version="1.0"?>\n<MPD type="static"></MPD>', "is DASH, which cannot be read"),
    ],
)
def test_what_people_take_for_a_stream_is_named(text: bytes, reason: str) -> None:
    hasty = Timeouts(read=0.5)
    with JpegServer("", lambda _: iter([text])) as server, pytest.raises(InputError, match=reason):
        Camera(server.address, timeouts=hasty).wait_open()


def test_a_snapshot_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with JpegServer("image/jpeg", lambda _: iter([jpeg(scene())])) as server:
        (mode,) = probe(server.address, 0.25)
    assert (mode.width, mode.height) == (160, 96)


# -- shape ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aspect", "shape"), [("64/45", (96, 228, 3)), ("1/2", (192, 160, 3)), ("1", (96, 160, 3)), ("1000", (96, 160, 3))]
)
def test_a_stream_has_square_pixels(ffmpeg: str, make: Make, aspect: str, shape: tuple[int, ...]) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1", "-vf", f"setsar={aspect}")
    clip = make("shape.ts", *source, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    data = clip.read_bytes()
    with JpegServer("video/mp2t", lambda _: iter([data])) as server, Camera(server.address, timeouts=PATIENT) as camera:
        assert camera.wait_open().image.shape == shape
    with Camera(clip, timeouts=PATIENT) as camera:
        assert camera.wait_open().image.shape == shape
    with open_source(clip) as opened_source:
        frame = next(iter(opened_source))
        assert frame.image.shape == shape == (opened_source.height, opened_source.width, 3)


def test_a_stream_that_was_filmed_upright_stands_upright(ffmpeg: str, make: Make) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1", "-vf", "setsar=2")
    flat = make("flat.mp4", *source, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    fragmented = ("-movflags", "frag_keyframe+empty_moov")
    clip = make("phone.mp4", "-i", str(flat), "-c", "copy", "-metadata:s:v:0", "rotate=90", *fragmented)
    data = clip.read_bytes()
    with JpegServer("video/mp4", lambda _: iter([data])) as server, Camera(server.address, timeouts=PATIENT) as camera:
        # 160 wide pixels are 320, and after the turn the height.
        assert camera.wait_open().image.shape == (320, 96, 3)


def test_motion_jpeg_is_turned_as_its_exif_says() -> None:
    image = jpeg(scene())
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    turned = image[:2] + exif + image[2:]
    with JpegServer("image/jpeg", lambda _: iter([turned])) as server, Camera(server.address) as camera:
        upright = camera.wait_open().image
    assert np.abs(upright.astype(int) - np.rot90(scene(), -1)).mean() < 3


# -- playlists --------------------------------------------------------------------------------------------------------


class _Folder:
    """A folder over HTTP that remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.partition("?")[0].strip("/")
                files.asked.append(name)
                if name.startswith("old/master"):
                    self.send_response(302)
                    self.send_header("Location", f"/new/{name.removeprefix('old/')}")
                    self.end_headers()
                    return
                path = folder / name
                data = path.read_bytes() if path.is_file() else b""
                self.send_response(200 if data else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> _Folder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(
    ("size", "width", "name"), [(None, 320, "master.m3u8"), ((200, 200), 160, "master.m3u8"), ((160, 90), 160, "live")]
)
def test_of_a_playlist_only_the_best_variant_that_fits_is_read(
    make: Make, tmp_path: Path, size: tuple[int, int] | None, width: int, name: str
) -> None:
    lines = ["#EXTM3U"]
    for wide in (80, 320, 160):
        source = ("-f", "lavfi", "-i", f"testsrc2=size={wide}x{wide // 2}:rate=25:duration=1")
        make(f"{wide}.ts", *source, "-c:v", "libx264", "-pix_fmt", "yuv420p")
        parts = ("#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", f"{wide}.ts", "#EXT-X-ENDLIST")
        (tmp_path / f"{wide}.m3u8").write_text("\n".join(parts))
        lines += [
            f'#EXT-X-STREAM-INF:BANDWIDTH={wide}000,CODECS="avc1.4d,mp4a",RESOLUTION={wide}x{wide // 2}',
            f"{wide}.m3u8",
        ]
    (tmp_path / name).write_text("\n".join(lines))
    with _Folder(tmp_path) as files, Camera(f"{files.address}/{name}?key=1", size, timeouts=PATIENT) as camera:
        frame = camera.wait_open()
        for _ in range(5):
            frame = newest(camera, frame)
        assert frame.image.shape[1] == width
        assert set(files.asked) == {name, f"{width}.m3u8", f"{width}.ts"}


def playlist(folder: Path, make: Make, name: str, width: int = 160) -> None:
    """A playlist of a video that is half as high as wide."""
    source = ("-f", "lavfi", "-i", f"testsrc2=size={width}x{width // 2}:rate=25:duration=1")
    make(f"{folder.name}/{name}.ts", *source, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    parts = ("#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", f"{name}.ts", "#EXT-X-ENDLIST")
    (folder / f"{name}.m3u8").write_text("\n".join(parts))


@pytest.mark.parametrize(
    "lines",
    [
        # Relative to where the server redirects.
        ("#EXT-X-STREAM-INF:BANDWIDTH=1", "video.m3u8"),
        # The sound alone may have the most bits.
        ('#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS="mp4a.40"', "gone.m3u8", "#EXT-X-STREAM-INF:BANDWIDTH=1", "video.m3u8"),
        ("#EXT-X-STREAM-INF:BANDWIDTH=9", "gone.m3u8", "#EXT-X-STREAM-INF:BANDWIDTH=1", "video.m3u8"),
        # A list of channels.
        ("#EXTINF:-1,My camera", "video.m3u8", "#EXTINF:-1,Another", "rtsp://127.0.0.1/none"),
    ],
)  # fmt: skip
def test_a_playlist_names_a_stream_that_can_be_read(make: Make, tmp_path: Path, lines: tuple[str, ...]) -> None:
    (tmp_path / "new").mkdir()
    playlist(tmp_path / "new", make, "video")
    (tmp_path / "new" / "master.m3u8").write_text("\n".join(("#EXTM3U", *lines)))
    with _Folder(tmp_path) as files, Camera(f"{files.address}/old/master.m3u8", timeouts=PATIENT) as camera:
        assert newest(camera, camera.wait_open()).image.shape == (80, 160, 3)
        assert "old/video.m3u8" not in files.asked


def test_a_playlist_that_is_gone_says_so(tmp_path: Path) -> None:
    (tmp_path / "master.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\ngone.m3u8\n")
    with _Folder(tmp_path) as files, pytest.raises(InputError, match=r"gone\.m3u8 does not open .*404"):
        Camera(f"{files.address}/master.m3u8", timeouts=PATIENT).wait_open()


@pytest.mark.parametrize("entry", ["file:///etc/hostname", "rtmp://127.0.0.1/live?listen", "master.m3u8"])
def test_a_list_must_name_a_stream(tmp_path: Path, entry: str) -> None:
    (tmp_path / "master.m3u8").write_text(f"#EXTM3U\n#EXTINF:-1,Camera\n{entry}\n")
    with _Folder(tmp_path) as files, pytest.raises(InputError, match=r"names no stream|not the address of a stream"):
        Camera(f"{files.address}/master.m3u8", timeouts=PATIENT).wait_open()


def test_variants_of_a_playlist() -> None:
    text = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"
sound.m3u8
#EXT-X-STREAM-INF:RESOLUTION=1280x720,NAME="a, RESOLUTION=1x1",BANDWIDTH=2000000

# comment
../hd/list.m3u8?token=x
#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360
https://other/low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1200000,RESOLUTION=640x360
mid.m3u8"""
    found = variants(text, "http://user:pw@host:8080/live/master.m3u8")
    assert [v.address for v in found] == [
        "http://user:pw@host:8080/hd/list.m3u8?token=x",
        "https://other/low.m3u8",
        "http://user:pw@host:8080/live/mid.m3u8",
    ]
    assert [v.bandwidth for v in in_order(found, None)] == [2000000, 1200000, 900000]
    assert [v.bandwidth for v in in_order(found, (1279, 720))] == [1200000, 900000, 2000000]
    assert [v.bandwidth for v in in_order(found, (100, 100))] == [900000, 1200000, 2000000]
    assert variants("#EXTM3U\n#EXTINF:2,\na.ts", "http://host/") == []
    assert [v.width for v in variants("#EXT-X-STREAM-INF:BANDWIDTH=x\na.m3u8", "http://host/")] == [0]


def test_variants_in_standard_dynamic_range_come_first() -> None:
    text = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=640x360,CODECS="hvc1.2.4.L93,mp4a.40.2",VIDEO-RANGE=PQ
pq.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=8,RESOLUTION=640x360,CODECS="dvh1.05.01"
dolby.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=320x180,CODECS="avc1.64001f",VIDEO-RANGE=SDR
plain.m3u8"""
    assert [v.bandwidth for v in in_order(variants(text, "http://host/"), None)] == [1, 9, 8]


def test_a_list_of_streams_is_no_playlist_of_parts() -> None:
    assert first_entry("#EXTM3U\n#EXTINF:-1,One\n\nhttp://a/1\nhttp://a/2", "http://host/x.m3u") == "http://a/1"
    assert first_entry("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts", "http://host/x.m3u8") == ""


# -- RTSP and certificates --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rtsp_address() -> Iterator[str]:
    """Of GStreamer's server, which sends the clock."""
    python = "/usr/bin/python3"
    script = Path(__file__).with_name("rtsp_server.py")
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if not Path(python).exists() or subprocess.run([python, "-c", check], capture_output=True).returncode:
        pytest.skip("needs GStreamer's RTSP server, see .ci/run")
    with RtspSender(python, script) as sender:
        yield sender.address


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def test_rtsp_gives_its_newest_frame(rtsp_address: str) -> None:
    with Camera(rtsp_address, timeouts=PATIENT) as camera:
        wait_for_age(camera, LATE_SECONDS)
        time.sleep(1)
        wait_for_age(camera, LATE_SECONDS, in_a_row=1)


@pytest.fixture(params=["https", "rtsps"])
def plain_address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a server without encryption, whose scheme has an ``s``."""
    if request.param == "rtsps":
        yield "rtsps" + str(request.getfixturevalue("rtsp_address")).removeprefix("rtsp")
        return
    image = jpeg(scene())

    def send(_: int) -> Iterator[bytes]:
        while True:
            yield image
            time.sleep(0.02)

    with JpegServer("image/jpeg", send) as server:
        yield "https" + server.address.removeprefix("http")


def behind(proxy: TlsProxy, address: str) -> str:
    return urlsplit(address)._replace(netloc=f"user:secret@127.0.0.1:{proxy.port}").geturl()


def test_a_certificate_that_nobody_vouches_for_is_refused(plain_address: str, certificate: Path) -> None:
    with TlsProxy(urlsplit(plain_address).port or 0, certificate) as proxy:
        address = behind(proxy, plain_address)
        with pytest.raises(InputError, match=r"its certificate is not trusted: self-signed") as error:
            Camera(address, timeouts=PATIENT).wait_open()
        assert error.value.settings == ("insecure",)
        assert "secret" not in str(error.value)
        with Camera(address, timeouts=PATIENT, insecure=True) as camera:
            assert camera.wait_open().image.shape[0] == 96
            assert "secret" not in camera.name


def test_where_no_file_has_the_trusted_authorities_those_of_the_system_are_written_to_one(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    trusting = ssl.create_default_context(cafile=str(certificate))
    nowhere = SimpleNamespace(cafile=None)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(tls, "BUNDLES", ())
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    path = Path(tls.ca_bundle())
    written = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    written.load_verify_locations(path)
    path.unlink()
    tls._exported.cache_clear()
    assert written.get_ca_certs() == trusting.get_ca_certs() != []


def test_a_certificate_must_be_of_that_server(
    plain_address: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    port = urlsplit(plain_address).port or 0
    with (
        TlsProxy(port, certificate) as proxy,
        Camera(behind(proxy, plain_address), timeouts=PATIENT) as camera,
    ):
        assert camera.wait_open().image.shape[0] == 96
    other = make_certificate(tmp_path, "DNS:elsewhere.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    mismatch = "its certificate is not trusted: IP address mismatch"
    with TlsProxy(port, other) as proxy, pytest.raises(InputError, match=mismatch):
        Camera(behind(proxy, plain_address), timeouts=PATIENT).wait_open()


def test_the_certificates_of_the_parts_of_a_playlist_are_checked(make: Make, tmp_path: Path, certificate: Path) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1", "-c:v", "libx264")
    make("part.ts", *source, "-pix_fmt", "yuv420p")
    with _Folder(tmp_path) as files, TlsProxy(urlsplit(files.address).port or 0, certificate) as proxy:
        part = f"https://127.0.0.1:{proxy.port}/part.ts"
        lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", part, "#EXT-X-ENDLIST")
        (tmp_path / "list.m3u8").write_text("\n".join(lines))
        with pytest.raises(InputError, match="its certificate is not trusted"):
            Camera(f"{files.address}/list.m3u8", timeouts=PATIENT).wait_open()
        assert "part.ts" not in files.asked
        with Camera(f"{files.address}/list.m3u8", timeouts=PATIENT, insecure=True) as camera:
            assert camera.wait_open().image.shape == (96, 160, 3)


def test_a_playlist_cannot_name_files_of_this_computer(make: Make, tmp_path: Path) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1", "-c:v", "libx264")
    clip = make("part.ts", *source, "-pix_fmt", "yuv420p")
    for part in (str(clip), clip.as_uri(), f"crypto:{clip}"):
        lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", part, "#EXT-X-ENDLIST")
        (tmp_path / "list.m3u8").write_text("\n".join(lines))
        with _Folder(tmp_path) as files, pytest.raises(InputError):
            Camera(f"{files.address}/list.m3u8", timeouts=PATIENT).wait_open()


# -- senders that push ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "path", "codec"),
    [
        ("rtmp", "/live/secret-key", (*X264, "-f", "flv")),
        # ffmpeg says live/a for the application, and OBS what stands in its two fields.
        ("rtmp", "/live/a/secret-key?token=a%20b", (*X264, "-f", "flv")),
        ("tcp", "", (*X264, "-f", "mpegts")),
        ("http", "/live", (*X264, "-f", "mpegts")),
        ("http", "/live", (*X264, "-method", "PUT", "-f", "mpegts")),
    ],
)
def test_a_sender_may_push_its_stream(ffmpeg: str, scheme: str, path: str, codec: tuple[str, ...]) -> None:
    port = free_port()
    target = f"{scheme}://127.0.0.1:{port}{path}"
    # Who waits is there again at once when a sender has left.
    late = Timeouts(reconnect=PATIENCE, longest_reconnect=PATIENCE)
    listens = f"{path}{'&' if '?' in path else '?'}listen"
    # Nobody may listen at all addresses of a machine in a test; without one, it is loopback.
    with Camera(f"{scheme}://:{port}{listens}", timeouts=late) as camera:
        assert camera.notice.startswith(f"waiting for a sender at {scheme}://127.0.0.1:{port}")
        assert "secret" not in camera.notice
        time.sleep(0.3)
        with ClockSender(ffmpeg, *codec, target):
            wait_for_age(camera, LATE_SECONDS)
        end = time.monotonic() + PATIENCE
        while "stopped giving pictures: waiting for a sender" not in camera.notice:
            assert time.monotonic() < end
            time.sleep(0.02)
        # It comes back.
        frame = camera.latest()
        while camera.latest(after=frame, timeout=0) is None:
            with ClockSender(ffmpeg, *codec, target):
                assert time.monotonic() < end
                camera.latest(after=frame, timeout=5)


def test_a_sender_needs_the_key_and_a_stranger_does_not_end_the_wait(ffmpeg: str) -> None:
    port = free_port()
    with Camera(f"rtmp://127.0.0.1:{port}/live/right?listen", timeouts=PATIENT) as camera:
        time.sleep(0.3)
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        time.sleep(0.3)
        with ClockSender(ffmpeg, *X264, "-f", "flv", f"rtmp://127.0.0.1:{port}/live/wrong") as wrong:
            assert wrong.process.wait(PATIENCE) != 0
        assert camera.latest(timeout=0) is None
        frame, end = None, time.monotonic() + PATIENCE
        while frame is None:
            assert time.monotonic() < end
            with ClockSender(ffmpeg, *X264, "-f", "flv", f"rtmp://127.0.0.1:{port}/live/right"):
                frame = camera.latest(timeout=5)
        assert frame.image.shape == (96, 240, 3)


def publish(key: bytes) -> bytes:
    """What an RTMP sender says to name its stream."""
    return b"\2\0\7publish" + bytes(9) + b"\5\2" + len(key).to_bytes(2, "big") + key + b"\2\0\4live"


@pytest.mark.parametrize(
    ("path", "key", "is_right"),
    [
        ("live/right", b"right", True),
        ("live/right", b"right2", False),
        ("live/right", b"rig", False),
        ("live/right", b"wright", False),
        ("live/right", b"", False),
        ("live/right?token=a%20b", b"right?token=a%20b", True),
        ("live/right?token=a%20b", b"right", False),
        ("live/a/right", b"right", True),
        ("live/a/right", b"a/right", True),
        ("live/a/right", b"a", False),
        (f"live/{'k' * 100}", b"k" * 100, True),
        (f"live/{'k' * 100}", b"k" * 99 + b"x" + b"k", False),
        ("live", b"any", True),
    ],
)
def test_a_stream_key_is_the_whole_key(path: str, key: bytes, is_right: bool) -> None:
    listened = Listened.of(f"rtmp://127.0.0.1/{path}{'&' if '?' in path else '?'}listen")
    assert listened is not None
    said, gate = publish(key), Gate(listened)
    answers = [gate.feed(said[at : at + 1]) for at in range(len(said))]
    assert (None not in answers) == is_right
    if is_right:
        assert b"".join(answer or b"" for answer in answers) == said


def test_a_sender_over_http_names_the_path() -> None:
    listened = Listened.of("http://127.0.0.1:8080/live?key=x&listen")
    assert listened is not None
    for request, passed in (
        (b"POST /live?key=x HTTP/1.1\r\nA: b\r\n\r\nPUT", b"POST /live?key=x HTTP/1.1\r\nA: b\r\n\r\nPUT"),
        (b"PUT /live?key=x HTTP/1.1\r\n\r\nPUT", b"POST /live?key=x HTTP/1.1\r\n\r\nPUT"),
        (b"POST /live?key=xx HTTP/1.1\r\n", None),
        (b"POST /live HTTP/1.1\r\n", None),
    ):
        gate = Gate(listened)
        assert gate.feed(request[:9]) == b""
        assert gate.feed(request[9:]) == passed
        assert gate.refusal.startswith(b"HTTP/1.1 404 ") == (passed is None)


@pytest.mark.parametrize(
    ("address", "is_said"),
    [
        ("rtmp://0.0.0.0:1935/live?listen", True),
        ("tcp://192.168.1.5:9000?listen", True),
        ("http://[::]:8080/?listen", True),
        ("rtmp://0.0.0.0/live/key?listen", False),
        ("http://0.0.0.0:8080/path?listen", False),
        ("rtmp://:1935/live?listen", False),
        ("tcp://[::1]:9000?listen", False),
        ("tcp://localhost:9000?listen", False),
    ],
)
def test_it_is_said_where_anybody_may_send(address: str, is_said: bool) -> None:
    assert ("anybody whose machine reaches this one may send" in opening_text(address)) == is_said


def test_a_stream_key_that_no_sender_could_name_is_refused() -> None:
    with pytest.raises(InputError, match="stream key is too long"):
        Camera(f"rtmp://127.0.0.1/live/{'k' * 200}?listen")


def test_who_waits_for_a_sender_closes_at_once_and_frees_the_address() -> None:
    port = free_port()
    for _ in range(2):
        # A busy machine may need more than the usual second for it.
        camera = Camera(f"rtmp://127.0.0.1:{port}/live?listen", timeouts=Timeouts(close=PATIENCE))
        time.sleep(0.1)
        camera.close()
        assert not any(thread.name == "camera" for thread in threading.enumerate())
    taken = r"cannot wait for a sender at .*in use"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(InputError, match=taken):
        Camera(f"rtmp://127.0.0.1:{port}/live?listen").wait_open()
    with pytest.raises(InputError, match="rtmp, http, tcp can listen"):
        Camera("rtsp://127.0.0.1/live?listen=1")


def test_a_film_at_an_address_may_have_its_index_at_the_end(make: Make, tmp_path: Path) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1", "-c:v", "libx264")
    make("film.mp4", *source, "-pix_fmt", "yuv420p")
    with _Folder(tmp_path) as files, Camera(f"{files.address}/film.mp4", timeouts=PATIENT) as camera:
        first = camera.wait_open()
        last = first
        for _ in range(10):
            last = newest(camera, last)
        assert float(last.time) - float(first.time) > 0.3


# -- several videos, fields and transparency --------------------------------------------------------------------------


def test_of_several_programmes_the_largest_is_shown(make: Make) -> None:
    small, large = (("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=2") for size in ("96x64", "160x96"))
    codec = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "5")
    programmes = ("-map", "0", "-map", "1", "-program", "st=0", "-program", "st=1")
    data = make("two.ts", *small, *large, *programmes, *codec).read_bytes()
    with JpegServer("video/mp2t", lambda _: iter([data])) as server, Camera(server.address, timeouts=PATIENT) as camera:
        first = camera.wait_open()
        assert first.image.shape == newest(camera, first).image.shape == (96, 160, 3)


def test_an_interlaced_stream_is_deinterlaced(make: Make) -> None:
    # A white bar that moves by 12 pixels from field to field: woven together, its edge is a comb.
    fields = (
        "color=black:s=160x128:r=50:d=2,format=yuv420p[a];color=white:s=20x128:r=50:d=2,format=yuv420p[b];"
        "[a][b]overlay=x='mod(n*6,140)':y=0,tinterlace=interleave_top,fieldorder=tff"
    )
    codec = ("-c:v", "libx264", "-x264-params", "tff=1", "-flags", "+ilme+ildct", "-g", "10")
    data = make("fields.ts", "-filter_complex", fields, *codec).read_bytes()
    with JpegServer("video/mp2t", lambda _: iter([data])) as server, Camera(server.address, timeouts=PATIENT) as camera:
        frame = newest(camera, newest(camera, camera.wait_open()))
    rows = frame.image[:, :, 1].astype(int)
    assert rows.max() > 200
    assert np.abs(rows[2:-2] - rows[3:-1]).mean() < 3


def test_what_is_transparent_is_laid_over_white(make: Make) -> None:
    source = ("-f", "lavfi", "-i", "color=red@0.0:size=96x64:rate=25:duration=1,format=yuva420p")
    clip = make("alpha.webm", *source, "-c:v", "libvpx", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")
    data = clip.read_bytes()
    with JpegServer("video/webm", lambda _: iter([data])) as server, Camera(server.address, timeouts=PATIENT) as camera:
        assert camera.wait_open().image.min() > 250


@pytest.mark.parametrize("begun", [0, 100])
def test_a_server_may_take_its_time_until_the_first_frame(make: Make, begun: int) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=1", "-c:v", "libx264")
    data = make("slow.ts", *source, "-pix_fmt", "yuv420p").read_bytes()

    def send(_: int) -> Iterator[bytes]:
        yield data[:begun]
        time.sleep(0.8)
        yield data[begun:]

    hasty = Timeouts(read=0.3, reconnect=0.05)
    with JpegServer("video/mp2t", send) as server, Camera(server.address, timeouts=hasty) as camera:
        assert camera.wait_open().image.shape == (96, 160, 3)
