"""HTTP server of the page that paints in a browser, for this machine alone."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from livestyle.errors import LivestyleError

PAGE = Path(__file__).parents[1] / "web" / "dist"
"""Folder of the built page; ``make web`` builds it in a checkout, and the wheel carries it."""

HEADERS = {
    # The page's own policy, in its HTML, does not reach its workers: theirs is that of their response.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    # Cross-origin isolation: precise clocks, and threads of WebAssembly.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Always asked for anew, and not sent again where nothing has changed.
    "Cache-Control": "no-cache",
}

MOST_CLIENTS = 64
"""Connections at a time, each of which has a thread; a browser opens up to 6."""
STALL_SECONDS = 10.0
"""Socket timeout: a client that asks nothing, or takes nothing, for this long is dropped."""
FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, *arguments: Any) -> None:
        self._places = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            # What it asks is read, if it is there already: closing before that would discard the answer.
            request.settimeout(0.05)
            request.recv(65536)
            request.sendall(FULL)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


class _Handler(SimpleHTTPRequestHandler):
    """Handler of the page's files; folders are not listed."""

    timeout = STALL_SECONDS

    # The system's table of MIME types may lack them or have others, on Windows above all.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".css": "text/css",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript",
        ".json": "application/json",
        ".mp4": "video/mp4",
        ".onnx": "application/octet-stream",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
    }

    def parse_request(self) -> bool:
        """Head of a request, unless a page of another site asks, under whatever name (DNS rebinding)."""
        from livestyle.media.sinks.http_request import LOCAL_NAMES, host_name, is_cross_site

        if not super().parse_request():
            return False
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("host")
        if (host is None or host_name(host) in LOCAL_NAMES) and not is_cross_site(headers):
            return True
        self.send_error(403, "Only for this machine")
        return False

    def handle(self) -> None:
        # A browser that is closed, or that has enough of a video, hangs up in the middle of a file.
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: object) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def page_server(port: int, folder: Path = PAGE) -> ThreadingHTTPServer:
    """Server of the built page on the loopback interface, not running yet.

    Args:
        port: to listen at; 0 takes a free one.
        folder: of the page.

    Raises:
        LivestyleError: the page has not been built, or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise LivestyleError(
            f"the page has not been built in {folder}: run make web in the checkout, which needs Node 20 or newer"
        )
    try:
        return _Server(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise LivestyleError(f"cannot serve at port {port} ({reason}): take another one", setting="port") from error
