"""`MjpegServer`, with the HTTP clients that people use."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.media.sinks.mjpeg_server import MjpegServer
from tests.waiting import PATIENCE, wait_for


def picture(grey: int) -> np.ndarray:
    return np.full((64, 96, 3), grey, np.uint8)


def grey_of(jpeg: bytes) -> int:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return round(float(image.mean()))


def port_of(server: MjpegServer) -> int:
    port = urlsplit(server.url).port
    assert port
    return port


def ask(server: MjpegServer, path: str = "/", method: str = "GET", host: str | None = None) -> tuple[int, bytes]:
    """Status and body of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=PATIENCE)) as connection:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()


class Viewer:
    """Reads the stream picture by picture, as a browser does."""

    def __init__(self, server: MjpegServer) -> None:
        self._answer = urllib.request.urlopen(f"{server.url}stream.mjpg", timeout=PATIENCE)
        self.kind: str = self._answer.headers["Content-Type"]
        assert self._answer.readline() == b"--frame\r\n"

    def read(self) -> bytes:
        """The next JPEG."""
        headers = {}
        while line := self._answer.readline().strip().decode():
            name, _, value = line.partition(": ")
            headers[name] = value
        assert headers["Content-Type"] == "image/jpeg"
        data: bytes = self._answer.read(int(headers["Content-Length"]))
        assert self._answer.read(2 + len(b"--frame\r\n")) == b"\r\n--frame\r\n"
        return data

    def read_until(self, grey: int) -> None:
        while abs(grey_of(self.read()) - grey) > 2:
            pass

    def rest(self) -> bytes:
        data: bytes = self._answer.read()
        return data

    def close(self) -> None:
        self._answer.close()


@pytest.fixture
def server(capfd: pytest.CaptureFixture[str]) -> Iterator[MjpegServer]:
    """A server on a free port; whatever happens to its clients, it says nothing and leaves no thread."""
    before = set(threading.enumerate())
    with MjpegServer("0", repeat_seconds=0.1) as server:
        yield server
    wait_for(lambda: set(threading.enumerate()) <= before, "the threads to end")
    assert capfd.readouterr().err == ""


def test_the_page_shows_the_stream(server: MjpegServer) -> None:
    with urllib.request.urlopen(server.url, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b'<img src="stream.mjpg"' in answer.read()
    assert server.url.startswith("http://127.0.0.1:")


def test_the_stream_goes_on_with_every_new_picture(server: MjpegServer) -> None:
    server.write(picture(50), 0)
    with closing(Viewer(server)) as viewer:
        assert viewer.kind == "multipart/x-mixed-replace; boundary=frame"
        viewer.read_until(50)
        server.write(picture(100), 1)
        viewer.read_until(100)
        server.write(picture(150), 2)
        viewer.read_until(150)


def test_a_viewer_may_be_there_before_the_first_picture(server: MjpegServer) -> None:
    with closing(Viewer(server)) as viewer:
        server.write(picture(50), 0)
        assert grey_of(viewer.read()) == 50


def test_a_picture_that_stays_is_sent_again(server: MjpegServer) -> None:
    server.write(picture(50), 0)
    with closing(Viewer(server)) as viewer:
        assert viewer.read() == viewer.read() == viewer.read()


def test_opencv_reads_the_stream(server: MjpegServer, demo_frames: list[np.ndarray]) -> None:
    server.write(demo_frames[0], 0)
    capture = cv2.VideoCapture(f"{server.url}stream.mjpg", cv2.CAP_FFMPEG)
    fine, image = capture.read()
    capture.release()
    assert fine
    assert cv2.PSNR(image, demo_frames[0]) > 28


def test_the_snapshot_is_the_newest_picture(server: MjpegServer) -> None:
    server.write(picture(50), 0)
    server.write(picture(100), 1)
    status, body = ask(server, "/snapshot.jpg?t=1")
    assert status == 200
    assert grey_of(body) == 100


def test_there_is_no_snapshot_before_the_first_picture(server: MjpegServer) -> None:
    assert ask(server, "/snapshot.jpg")[0] == 503


@pytest.mark.parametrize("path", ["/etc/passwd", "/../serve.py", "/index.html", "/stream.mjpg/"])
def test_there_is_nothing_else(server: MjpegServer, path: str) -> None:
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent_to_it(server: MjpegServer, method: str) -> None:
    assert ask(server, "/snapshot.jpg", method)[0] == 405


@pytest.mark.parametrize("path", ["/", "/snapshot.jpg", "/stream.mjpg"])
def test_head_gives_no_body(server: MjpegServer, path: str) -> None:
    server.write(picture(50), 0)
    assert ask(server, path, "HEAD") == (200, b"")


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:8080", 200), ("evil.example:8080", 403), ("[::1", 403)],
)
def test_a_page_under_another_name_cannot_read_what_is_for_this_machine(
    server: MjpegServer, host: str, status: int
) -> None:
    server.write(picture(50), 0)
    assert ask(server, "/snapshot.jpg", host=host)[0] == status


def test_a_jpeg_is_made_once_and_only_if_somebody_watches(server: MjpegServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made, encode = [], cv2.imencode

    def imencode(*arguments: Any) -> Any:
        made.append(threading.current_thread())
        return encode(*arguments)

    monkeypatch.setattr(cv2, "imencode", imencode)
    for grey in range(100):
        server.write(picture(grey), grey)
    assert made == []
    with closing(Viewer(server)) as one, closing(Viewer(server)) as other:
        assert one.read() == one.read() == other.read()
    assert len(made) == 1
    assert made[0] is not threading.current_thread()


def test_a_slow_viewer_holds_nobody_up_and_gets_the_newest(server: MjpegServer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    server.write(noise, 0)
    with closing(Viewer(server)) as slow, closing(Viewer(server)) as quick:
        for i in range(60):
            server.write(noise + np.uint8(i), i)
            quick.read()
        server.write(picture(200), 60)
        quick.read_until(200)
        seen = 1
        while abs(grey_of(slow.read()) - 200) > 2:
            seen += 1
    # What was on its way to it; the others it never sees.
    assert seen < 40


def test_viewers_that_break_off_leave_no_thread(server: MjpegServer) -> None:
    server.write(picture(50), 0)
    before: set[threading.Thread] = set()
    for number in range(5):
        with closing(Viewer(server)) as viewer:
            viewer.read()
        if number == 0:
            # The encoder's thread begins with the first one.
            before = set(threading.enumerate())
    wait_for(lambda: set(threading.enumerate()) <= before, "the threads to end")


def test_nonsense_does_no_harm(server: MjpegServer) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server))) as connection:
        connection.sendall(b"\x16\x03\x01\x00nonsense\r\n\r\n")
        connection.recv(1)
    assert ask(server)[0] == 200


def test_closing_ends_viewers_that_read_and_viewers_that_do_not() -> None:
    before = set(threading.enumerate())
    noise = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), np.uint8)
    server = MjpegServer("0")
    server.write(noise, 0)
    with closing(Viewer(server)), closing(Viewer(server)) as reading:
        reading.read()
        server.close()
        assert reading.rest() == b""
        wait_for(lambda: set(threading.enumerate()) <= before, "the threads to end")
    server.close()


@pytest.mark.parametrize("address", ["", "web", "80a", "127.0.0.1", "127.0.0.1:", "65536", "-1", "no such host:8080"])
def test_a_wrong_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="serve at"):
        MjpegServer(address)


def test_a_port_in_use_is_named() -> None:
    with MjpegServer("0") as server, pytest.raises(OutputError, match=rf"port {port_of(server)} \(Address already"):
        MjpegServer(str(port_of(server)))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(LivestyleError, match=r"192\.0\.2\.1 port 8080 .*choose another"):
        MjpegServer("192.0.2.1:8080")


def test_a_port_is_free_again_after_closing() -> None:
    with MjpegServer("0", repeat_seconds=0.1) as server:
        port = port_of(server)
        server.write(picture(50), 0)
        with closing(Viewer(server)) as viewer:
            viewer.read()
    with MjpegServer(f"127.0.0.1:{port}") as server:
        assert ask(server)[0] == 200


def test_an_ipv6_address_works() -> None:
    with MjpegServer("[::1]:0") as server:
        assert server.url == f"http://[::1]:{port_of(server)}/"
        with urllib.request.urlopen(server.url, timeout=PATIENCE) as answer:
            assert answer.status == 200
