"""`MjpegServer` among strangers: who gets in, and what those do who mean no good."""

from __future__ import annotations

import asyncio
import base64
import hmac
import http.client
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from livestyle.errors import InputError, OutputError
from livestyle.media.sinks import mjpeg_server, newest_jpeg
from livestyle.media.sinks.mjpeg_server import MjpegServer
from tests.waiting import PATIENCE, wait_for

from .test_mjpeg_server import Viewer, picture, port_of

TOKEN = "correct-horse-battery"
BASIC = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    """A server of this machine, with a picture."""
    with MjpegServer("0", repeat_seconds=0.1) as server:
        server.write(picture(50), 0)
        yield server


@pytest.fixture
def guarded() -> Iterator[MjpegServer]:
    """A server with a token, with a picture."""
    with MjpegServer("0", repeat_seconds=0.1, token=TOKEN) as server:
        server.write(picture(50), 0)
        yield server


class _Everywhere(socket.socket):
    """A socket of this machine alone that says that it listens at every address: tests open none to the network."""

    def getsockname(self) -> Any:
        return ("0.0.0.0", super().getsockname()[1])


def listen_everywhere(*_: object) -> socket.socket:
    """In place of `mjpeg_server._listen`."""
    listener = _Everywhere()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    return listener


def get(
    server: MjpegServer, path: str = "/snapshot.jpg", method: str = "GET", **headers: str
) -> http.client.HTTPResponse:
    """The answer, read to its end."""
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=PATIENCE)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer


def talk(server: MjpegServer, data: bytes) -> bytes:
    """All that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# -- the token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/snapshot.jpg?token={TOKEN}", {}),
        (f"/snapshot.jpg?t=1&token={TOKEN}", {}),
        ("/snapshot.jpg", {"Authorization": f"Basic {BASIC}"}),
        ("/snapshot.jpg", {"Authorization": f"bearer {TOKEN}"}),
    ],
)
def test_whoever_knows_the_token_gets_in(guarded: MjpegServer, path: str, headers: dict[str, str]) -> None:
    assert get(guarded, path, **headers).status == 200


@pytest.mark.parametrize("path", ["/", "/stream.mjpg", "/snapshot.jpg", "/nothing"])
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("?token=", {}),
        (f"?token={TOKEN[:-1]}", {}),
        (f"?token={TOKEN.upper()}", {}),
        (f"?token={TOKEN}x", {}),
        ("?token=%ff%00%e2%82%ac", {}),
        ("", {"Authorization": "Basic !"}),
        ("", {"Authorization": f"Digest {BASIC}"}),
        ("", {"Authorization": "Basic " + base64.b64encode(f"{TOKEN}:".encode()).decode()}),
        ("", {"Cookie": f"token={TOKEN}"}),
    ],
)
def test_nobody_else_gets_in_and_the_answer_is_the_same_everywhere(
    guarded: MjpegServer, path: str, query: str, headers: dict[str, str]
) -> None:
    answer = get(guarded, f"{path}{query}", **headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert TOKEN not in str(answer.headers)


def test_tokens_are_compared_in_constant_time(guarded: MjpegServer, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    assert get(guarded, "/snapshot.jpg?token=something-else").status == 401
    assert compared == [b"something-else"] * len(compared) != []


def test_a_server_of_this_machine_needs_no_token(server: MjpegServer) -> None:
    assert server.link == server.url
    assert get(server, "/").status == 200


def test_a_server_for_the_network_makes_a_token_and_answers_to_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg_server, "_listen", listen_everywhere)
    links = set()
    for _ in range(2):
        with MjpegServer("0.0.0.0:0") as server:
            assert server.url == f"http://localhost:{port_of(server)}/"
            assert get(server, "/").status == 401
            found = re.fullmatch(re.escape(server.url) + r"\?token=([A-Za-z0-9_-]{22})", server.link)
            assert found
            assert get(server, f"/?token={found[1]}", Host="studio.local").status == 200
            links.add(found[1])
    assert len(links) == 2


def test_the_page_asks_for_the_stream_with_the_token(guarded: MjpegServer) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(guarded), timeout=PATIENCE)) as connection:
        connection.request("GET", f"/?token={TOKEN}")
        assert f'<img src="stream.mjpg?token={TOKEN}"'.encode() in connection.getresponse().read()


def test_ffmpeg_gives_the_token_as_a_password(guarded: MjpegServer, ffmpeg: str) -> None:
    address = f"http://livestyle:{TOKEN}@127.0.0.1:{port_of(guarded)}/stream.mjpg"
    command = [ffmpeg, "-v", "error", "-f", "mpjpeg", "-i", address, "-frames:v", "1", "-f", "rawvideo", "-"]
    assert subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout


@pytest.mark.parametrize(
    "token", ["", "short", "fifteen-letters", "with a space in it", "ä" * 20, "x" * 201, "a&b=c" * 5]
)
def test_what_is_no_token_is_refused_without_naming_it(token: str) -> None:
    with pytest.raises(InputError, match="16 to 200") as caught:
        MjpegServer("0", token=token)
    assert not token or token not in str(caught.value)


# -- pages of other sites ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[", "Host": "127.0.0.1"}, 403),
        ({"Origin": "http://localhost:3000", "Host": "localhost:8080"}, 403),
        ({"Origin": "http://localhost:8080", "Host": "localhost:8080"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        # A link that somebody follows.
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 200),
    ],
)
def test_pages_of_other_sites_get_nothing(server: MjpegServer, headers: dict[str, str], status: int) -> None:
    assert get(server, **headers).status == status


def test_a_password_that_a_browser_keeps_is_no_use_to_other_sites(guarded: MjpegServer) -> None:
    site = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert get(guarded, Authorization=f"Basic {BASIC}", **site).status == 403


def test_a_page_that_knows_the_token_may_embed_the_stream(guarded: MjpegServer) -> None:
    answer = get(guarded, f"/snapshot.jpg?token={TOKEN}", **{"Sec-Fetch-Site": "cross-site"})
    assert (answer.status, answer.headers["Cross-Origin-Resource-Policy"]) == (200, "cross-origin")
    assert get(guarded, Authorization=f"Basic {BASIC}").headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/snapshot.jpg", "/stream.mjpg", "/nothing"])
def test_every_answer_protects_its_reader(server: MjpegServer, path: str) -> None:
    headers = get(server, path, "HEAD").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    if path == "/":
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]


# -- HTTP as peers speak it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /snapshot.jpg HTTP/1.0\r\n\r\n", 200),
        (b"\r\nGET /snapshot.jpg HTTP/1.0\n\n", 200),
        (b"GET /snapshot.jpg HTTP/1.1\r\nHost: localhost\r\nConnection: TE, Close\r\n\r\n", 200),
        (b"GET /snapshot.jpg HTTP/1.1\r\n\r\n", 400),
        (b"GET /snapshot.jpg HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /snapshot.jpg HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n", 400),
        (b"GET /snapshot.jpg\r\n\r\n", 400),
        (b"GET  /snapshot.jpg HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET http://localhost/snapshot.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 413),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        (b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5_000 + b"\r\n", 431),
    ],
)
def test_each_request_gets_its_answer_and_the_connection_ends(
    server: MjpegServer, request_: bytes, status: int
) -> None:
    answer = talk(server, request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("path", ["/nothing", "/snapshot.jpg"])
def test_a_refusal_of_head_has_no_body(guarded: MjpegServer, path: str) -> None:
    head, _, body = talk(guarded, f"HEAD {path} HTTP/1.0\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert b" 401 " in head
    assert body == b""


def test_several_requests_go_over_one_connection(server: MjpegServer) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=PATIENCE)) as connection:
        lengths = []
        for method in ("HEAD", "GET", "GET"):
            connection.request(method, "/snapshot.jpg")
            answer = connection.getresponse()
            lengths.append((answer.headers["Content-Length"], len(answer.read())))
            own = connection.sock
            assert own is not None
            assert lengths[0] == (lengths[0][0], 0)
        assert lengths[1] == lengths[2] == (lengths[0][0], int(lengths[0][0] or 0))


def test_an_old_client_may_keep_its_connection(server: MjpegServer) -> None:
    again = b"GET /snapshot.jpg HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert talk(server, 2 * again + b"GET / HTTP/1.0\r\n\r\n").count(b"HTTP/1.1 200 OK") == 3


# -- crowds, and those who mean no good -------------------------------------------------------------------------------


async def _status(port: int, path: str) -> int:
    """Status of the answer to one of many; 0 where there is none."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), PATIENCE)
        # It stays until all others have been answered.
        await asyncio.sleep(0.5)
        writer.close()
        return int(line.split()[1])
    except (OSError, IndexError):
        return 0


def crowd(server: MjpegServer, count: int, path: str) -> dict[int, int]:
    """How many of so many clients at the same moment get which status."""

    async def all_of_them() -> list[int]:
        return list(await asyncio.gather(*(_status(port_of(server), path) for _ in range(count))))

    found = asyncio.run(all_of_them())
    return {status: found.count(status) for status in set(found)}


def test_two_hundred_at_the_same_moment_are_all_answered(server: MjpegServer) -> None:
    assert crowd(server, 200, "/snapshot.jpg") == {200: 200}


def test_of_two_hundred_who_want_to_watch_some_are_told_that_it_is_full(server: MjpegServer) -> None:
    assert crowd(server, 200, "/stream.mjpg") == {200: 64, 503: 136}


def test_more_connections_than_it_reads_are_told_so_too(server: MjpegServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg_server, "MOST_CONNECTIONS", 20)
    found = crowd(server, 35, "/stream.mjpg")
    assert set(found) == {200, 503}


def test_whoever_is_told_that_it_is_full_learns_when_to_come_again(
    server: MjpegServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mjpeg_server, "MOST_STREAMS", 1)
    with closing(Viewer(server)) as viewer:
        viewer.read()
        assert get(server, "/stream.mjpg").headers["Retry-After"] == "5"
        assert get(server, "/snapshot.jpg").status == 200


def connect(server: MjpegServer, data: bytes) -> socket.socket:
    """A client that says this and never reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port_of(server)))
    connection.sendall(data)
    return connection


STREAM = b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
GARBAGE = np.random.default_rng(0).bytes(8000)


def test_a_viewer_takes_the_place_of_one_who_never_reads(server: MjpegServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg_server, "MOST_STREAMS", 3)
    monkeypatch.setattr(mjpeg_server, "STALLED_SECONDS", 0.2)
    server.write(np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8), 0)
    silent = [connect(server, STREAM) for _ in range(3)]
    for connection in silent:
        # The head of the answer: each has its place.
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert get(server, "/stream.mjpg", "HEAD").status == 200
    wait_for(lambda: is_let_in(server), "a place")
    for connection in silent:
        connection.close()


def is_let_in(server: MjpegServer) -> bool:
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE) as connection:
        connection.sendall(STREAM)
        return connection.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("limit", "data"),
    [("REQUEST_SECONDS", b""), ("REQUEST_SECONDS", b"GET / HTTP/1.1\r\nHost: loc"), ("STALL_SECONDS", STREAM)],
)
def test_who_says_nothing_or_never_reads_is_dropped(
    server: MjpegServer, monkeypatch: pytest.MonkeyPatch, limit: str, data: bytes
) -> None:
    monkeypatch.setattr(mjpeg_server, limit, 0.2)
    server.write(np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8), 0)
    with connect(server, data) as connection:
        connection.settimeout(PATIENCE)
        time.sleep(1)
        ended = False
        while not ended:
            try:
                ended = not connection.recv(65536)
            except ConnectionResetError:
                ended = True


def test_five_hundred_strangers_hold_up_neither_the_painting_nor_a_viewer(server: MjpegServer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    with closing(Viewer(server)) as viewer:
        strangers = [
            connect(server, data) for data in (STREAM, b"", b"GET / HTTP/1.1\r\n", GARBAGE) for _ in range(125)
        ]
        for number in range(50):
            server.write(noise + np.uint8(number), number)
            viewer.read()
        server.write(picture(200), 50)
        viewer.read_until(200)
    for stranger in strangers:
        stranger.close()


def test_an_image_that_cannot_be_encoded_is_said_and_ends_nobody_else(
    server: MjpegServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise ValueError("no memory")

    monkeypatch.setattr(newest_jpeg, "encode", fail)
    server.write(picture(60), 1)
    assert get(server).status == 503
    with pytest.raises(OutputError, match=r"the server cannot encode the painting \(no memory\)"):
        server.write(picture(70), 2)


def test_a_server_that_dies_says_so(server: MjpegServer) -> None:
    loop: Callable[[], object] = server._loop.stop
    server._loop.call_soon_threadsafe(loop)
    wait_for(lambda: not any(thread.name == "stream server" for thread in threading.enumerate()), "the threads to end")
    with pytest.raises(OutputError, match="has stopped"):
        server.write(picture(70), 2)
