"""The verb ``livestyle web`` and the painting of its page, which Chromium makes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from livestyle import Stylizer
from livestyle.cli.page_server import PAGE, page_server
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.style import StyleStats
from livestyle.errors import LivestyleError
from tests.program import livestyle

BROWSER_TEST = PAGE.parent / "tests" / "paint.mjs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A built page of two files."""
    (tmp_path / "index.html").write_text("<p>page</p>")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.wasm").write_bytes(b"\0asm")
    return tmp_path


def _served(folder: Path) -> Iterator[ThreadingHTTPServer]:
    with page_server(0, folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(folder: Path) -> Iterator[ThreadingHTTPServer]:
    yield from _served(folder)


def _get(server: ThreadingHTTPServer, path: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_the_page_comes_with_its_types_and_its_policy(server: ThreadingHTTPServer) -> None:
    page, wasm = _get(server, "/"), _get(server, "/models/a.wasm")
    assert (page.status, page.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    # Browsers compile WebAssembly as it comes of this type only.
    assert (wasm.status, wasm.getheader("Content-Type")) == (200, "application/wasm")
    policy = wasm.getheader("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe-inline" not in policy
    assert wasm.getheader("Cross-Origin-Embedder-Policy") == "require-corp"


@pytest.mark.parametrize("path", ["/models/", "/../test_web.py", "/%2e%2e/test_web.py", "/nothing"])
def test_nothing_else_is_served(server: ThreadingHTTPServer, path: str) -> None:
    assert _get(server, path).status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8081"}, 200),
        ({"Host": "evil.example:8081"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
    ],
)
def test_pages_of_other_sites_get_nothing(server: ThreadingHTTPServer, headers: dict[str, str], status: int) -> None:
    with closing(HTTPConnection("127.0.0.1", server.server_port, timeout=60)) as connection:
        connection.request("GET", "/", headers=headers)
        assert connection.getresponse().status == status


def test_more_clients_than_places_are_told_that_it_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livestyle.cli.page_server.MOST_CLIENTS", 2)
    for server in _served(folder):
        silent = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(2)]
        answer = _get(server, "/")
        assert (answer.status, answer.getheader("Retry-After")) == (503, "1")
        for connection in silent:
            connection.close()


def test_whoever_says_nothing_is_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livestyle.cli.page_server._Handler.timeout", 0.2)
    for server in _served(folder):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
            assert connection.recv(1) == b""


def test_a_browser_may_hang_up_in_the_middle_of_a_file(
    folder: Path, server: ThreadingHTTPServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with (folder / "large.wasm").open("wb") as file:
        file.truncate(64 << 20)
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"GET /large.wasm HTTP/1.0\r\n\r\n")
        connection.recv(1000)
        # Closing with a reset, as browsers do.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(60)
    assert _get(server, "/").status == 200
    assert capfd.readouterr().err == ""


def test_the_server_is_for_this_machine_alone(server: ThreadingHTTPServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_checkout_without_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(LivestyleError, match=r"has not been built in .*: run make web"):
        page_server(0, tmp_path)


def test_a_taken_port_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livestyle.cli.page_server.page_server", lambda port: page_server(port, folder))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = livestyle("web", "--port", taken.getsockname()[1])
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot serve at port ")
    assert result.stderr.rstrip().endswith("(--port)")
    assert livestyle("web", "--port", 70000).returncode == 2


@pytest.fixture
def page() -> Iterator[ThreadingHTTPServer]:
    """The built page; only ``make test-web`` insists on it."""
    missing = [
        what
        for what, there in (
            ("the built page", (PAGE / "index.html").is_file()),
            ("node", shutil.which("node") is not None),
            ("chromium", shutil.which("chromium") is not None),
        )
        if not there
    ]
    if missing:
        assert "LIVESTYLE_WEB" not in os.environ, f"{missing} missing"
        pytest.skip(f"needs {', '.join(missing)}: make test-web")
    yield from _served(PAGE)


@pytest.mark.parametrize(("exact", "levels"), [(True, 1), (False, 4)], ids=["float32", "int8"])
def test_a_browser_paints_as_the_engine_does(
    page: ThreadingHTTPServer,
    tmp_path: Path,
    stylizer: Stylizer,
    exact_stylizer: Stylizer,
    demo_frames: list[np.ndarray],
    exact: bool,
    levels: int,
) -> None:
    frames = [np.ascontiguousarray(frame[60:240, 100:420]) for frame in demo_frames[:3]]
    values = stylizer.model.presets()["scream"]
    engine, style, state = exact_stylizer if exact else stylizer, StyleStats(values), Stabilizer()
    # One by itself, and then all as a sequence, with the stabiliser.
    wanted = [engine.stylize(frames[0], style, 0.9), *(engine.stylize(frame, style, 0.9, state) for frame in frames)]
    asked = {
        "frames": [base64.b64encode(frame.tobytes()).decode() for frame in frames],
        "width": 320,
        "height": 180,
        "style": "scream",
        "strength": 0.9,
        "exact": exact,
    }
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    command = ["node", str(BROWSER_TEST), f"http://127.0.0.1:{page.server_port}/", str(tmp_path / "asked.json")]
    result = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr.decode()
    painted = [
        np.frombuffer(base64.b64decode(text), np.uint8).reshape(180, 320, 3) for text in json.loads(result.stdout)
    ]
    assert len(painted) == len(wanted)
    for ours, theirs in zip(wanted, painted, strict=True):
        difference = np.abs(ours.astype(int) - theirs)
        assert difference.max() <= levels
        assert (difference > 0).mean() <= (0.001 if exact else 0.2)
