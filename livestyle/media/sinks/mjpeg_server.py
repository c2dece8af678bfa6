"""The picture as a web page, for a browser source of OBS or a second screen."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import sys
import threading
from contextlib import suppress
from fractions import Fraction
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from livestyle.errors import InputError, OutputError
from livestyle.media.frames import FrameSink

if TYPE_CHECKING:
    import numpy as np

QUALITY = 85
"""Of the JPEGs, 0..100."""
REPEAT_SECONDS = 1.0
"""A picture that stays is sent again this often, so that a broken connection is noticed."""
STALL_SECONDS = 10.0
"""A client that takes nothing, or asks nothing, for this long is dropped."""
SEND_BUFFER = 128 * 1024
"""Bytes under way to a client, about: what lies there is out of date when it arrives."""
PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>livestyle</title>
<style>
html, body { margin: 0; height: 100%; background: #000 }
img { display: block; width: 100%; height: 100%; object-fit: contain }
</style>
<img src="/stream.mjpg" alt="">
</html>
"""


class MjpegServer(FrameSink):
    """Serves the newest picture over HTTP: ``/`` is a page, ``/stream.mjpg`` a stream, ``/snapshot.jpg`` a picture.

    Each client has a thread, gets the newest picture whenever it has taken the one before, and holds nobody up. JPEGs
    are made by these threads, one of each picture, and only while somebody watches.

    Args:
        address: a port, which only this machine can reach, or an address of this machine and a port, such as
            ``0.0.0.0:8080`` for the whole network; port 0 takes a free one.

    Raises:
        InputError: it is no address.
        OutputError: nothing can be served there, as when another program uses the port.
    """

    def __init__(self, address: str) -> None:
        host, port = parse_address(address)
        self._pictures = _Pictures()
        try:
            self._server = _Server(host, port, self._pictures)
        except (socket.gaierror, UnicodeError) as error:
            raise InputError(f"cannot serve at {address}: there is no address {host}, try 127.0.0.1") from error
        except OSError as error:
            raise OutputError(
                f"cannot serve at {host} port {port} ({error.strerror or error}): choose another port or address"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="stream server", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Of the page, for a browser on this machine."""
        address, port = ipaddress.ip_address(self._server.host), self._server.server_port
        if address.is_unspecified:
            return f"http://localhost:{port}/"
        return f"http://[{address}]:{port}/" if address.version == 6 else f"http://{address}:{port}/"

    def write(self, image: np.ndarray, time: Fraction | float) -> None:
        """Show this picture from now on.

        Args:
            image: uint8 [H, W, 3] BGR, of any size; it is not copied, so leave it as it is.
            time: is not used.
        """
        self._pictures.put(image)

    def close(self) -> None:
        """Stop serving; all connections end."""
        self._pictures.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def abort(self) -> None:
        self.close()


def parse_address(text: str) -> tuple[str, int]:
    """``8080`` as ("127.0.0.1", 8080), ``0.0.0.0:8080`` as ("0.0.0.0", 8080).

    Raises:
        InputError: it is neither.
    """
    host, _, port = text.strip().rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise InputError(
            f"{text!r} is not an address to serve at: give a port, such as 8080, or an address of this machine and a "
            "port, such as 0.0.0.0:8080"
        )
    return host.strip("[]") or "127.0.0.1", int(port)


class _Pictures:
    """The newest picture, and its JPEG once somebody asks for it."""

    def __init__(self) -> None:
        self._newest: tuple[int, np.ndarray | None] = (0, None)
        self._encoded = (0, b"")
        self._closed = False
        self._changed = threading.Condition()
        self._encoding = threading.Lock()

    def put(self, image: np.ndarray) -> None:
        with self._changed:
            self._newest = (self._newest[0] + 1, image)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def jpeg(self, after: int = 0, timeout: float = 0) -> tuple[int, bytes] | None:
        """The newest picture's number and JPEG, as soon as it is a later one than ``after`` or the time is over.

        The JPEG is empty while there is no picture; None comes at the end.
        """
        import cv2

        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newest[0] > after, timeout)
            if self._closed:
                return None
        with self._encoding:
            number, image = self._newest
            if image is not None and number != self._encoded[0]:
                _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                self._encoded = (number, data.tobytes())
            return self._encoded


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # On Windows, this would let two programs use one port.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, host: str, port: int, pictures: _Pictures) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pictures = pictures
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), _Handler)
        local = ipaddress.ip_address(self.host).is_loopback
        self._names = {"localhost", "127.0.0.1", "::1", self.host} if local else set()

    def server_bind(self) -> None:
        # HTTPServer's own also looks the machine's name up, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.host, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def allows(self, host: str | None) -> bool:
        """Whether a request for this host may be answered.

        A server of this machine alone is not asked under another name, except by a web page whose name was made to mean
        this machine, so that it can read what is served here.
        """
        if host is None or not self._names:
            return True
        try:
            return urlsplit(f"//{host}").hostname in self._names
        except ValueError:
            return False

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def server_close(self) -> None:
        super().server_close()
        with self._changed:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, timeout=1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is no news.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = STALL_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if not self.server.allows(self.headers["Host"]):
            self.send_error(HTTPStatus.FORBIDDEN, "Ask for localhost")
            return
        match self.path.partition("?")[0]:
            case "/":
                self._send("text/html; charset=utf-8", PAGE)
            case "/snapshot.jpg":
                picture = self.server.pictures.jpeg()
                if picture is not None and picture[1]:
                    self._send("image/jpeg", picture[1])
                else:
                    self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "No picture yet")
            case "/stream.mjpg":
                self._stream()
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, kind: str, data: bytes) -> None:
        self._begin(kind, len(data))
        if self.command != "HEAD":
            self.wfile.write(data)

    def _begin(self, kind: str, length: int | None = None) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _stream(self) -> None:
        self._begin("multipart/x-mixed-replace; boundary=frame")
        if self.command == "HEAD":
            return
        self.wfile.write(b"--frame\r\n")
        number = 0
        while (picture := self.server.pictures.jpeg(number, REPEAT_SECONDS)) is not None:
            number, data = picture
            if data:
                # The boundary that ends it comes along: browsers show a picture when they see that.
                head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                self.wfile.write(head + data + b"\r\n--frame\r\n")

    def version_string(self) -> str:
        return "livestyle"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are no news."""
