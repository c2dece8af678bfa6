"""Motion JPEG over HTTP: the newest image as a web page, for a browser source of OBS or a second screen."""

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
    from livestyle.media.frames import BgrImage

QUALITY = 85
"""JPEG quality, 0..100."""
REPEAT_SECONDS = 1.0
"""An unchanged image is sent again this often (keep-alive), so that a broken connection is noticed."""
STALL_SECONDS = 10.0
"""Socket timeout: a client that takes nothing, or asks nothing, for this long is dropped."""
SEND_BUFFER = 128 * 1024
"""Bytes of the socket's send buffer, kept small: images that wait in it are out of date when they arrive."""
POLL_SECONDS = 0.05
"""How often the accepting thread looks whether it is to end."""
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
    """HTTP server of the newest image: ``/`` is a page, ``/stream.mjpg`` Motion JPEG, ``/snapshot.jpg`` one JPEG.

    Each client has a thread and gets the newest image whenever it has taken the one before, so that a slow one delays
    nobody. These threads encode the JPEGs, each image once, and only while somebody watches.

    Args:
        address: a port, on the loopback interface, or an address of this machine and a port, such as ``0.0.0.0:8080``
            for the whole network; port 0 is a free one.
        repeat_seconds: how often an unchanged image is sent again.

    Raises:
        InputError: it is no address.
        OutputError: nothing can be served there, as when another program uses the port.
    """

    def __init__(self, address: str, repeat_seconds: float = REPEAT_SECONDS) -> None:
        host, port = parse_address(address)
        self._newest = _NewestJpeg()
        try:
            self._server = _Server(host, port, self._newest, repeat_seconds)
        except (socket.gaierror, UnicodeError) as error:
            raise InputError(f"cannot serve at {address}: there is no address {host}, try 127.0.0.1") from error
        except OSError as error:
            raise OutputError(
                f"cannot serve at {host} port {port} ({error.strerror or error}): choose another port or address"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="stream server", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """URL of the page, for a browser on this machine."""
        address, port = ipaddress.ip_address(self._server.host), self._server.server_port
        if address.is_unspecified:
            return f"http://localhost:{port}/"
        return f"http://[{address}]:{port}/" if address.version == 6 else f"http://{address}:{port}/"

    def write(self, image: BgrImage, time: Fraction | float) -> None:
        """Serve this image from now on.

        Args:
            image: uint8 [H, W, 3] BGR, of any size; not copied, so it must not be changed afterwards.
            time: is not used.
        """
        self._newest.put(image)

    def close(self) -> None:
        """Stop serving and close all connections."""
        self._newest.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def abort(self) -> None:
        self.close()


def parse_address(text: str) -> tuple[str, int]:
    """Host and port: ("127.0.0.1", 8080) from ``8080``, ("0.0.0.0", 8080) from ``0.0.0.0:8080``.

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


class _NewestJpeg:
    """The newest image with a serial number, encoded when a client first asks for it."""

    def __init__(self) -> None:
        self._newest: tuple[int, BgrImage | None] = (0, None)
        self._encoded = (0, b"")
        self._closed = False
        self._changed = threading.Condition()
        self._encoding = threading.Lock()

    def put(self, image: BgrImage) -> None:
        with self._changed:
            self._newest = (self._newest[0] + 1, image)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self, after: int = 0, timeout: float = 0) -> tuple[int, bytes] | None:
        """Number and JPEG of the newest image, as soon as its number exceeds ``after``, or after ``timeout`` seconds.

        The JPEG is empty while there is no image; None means that the server is closing.
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
    # On Windows, SO_REUSEADDR would let two programs use one port.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, host: str, port: int, newest: _NewestJpeg, repeat_seconds: float) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.newest = newest
        self.repeat_seconds = repeat_seconds
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), _Handler)
        local = ipaddress.ip_address(self.host).is_loopback
        self._names = {"localhost", "127.0.0.1", "::1", self.host} if local else set()

    def server_bind(self) -> None:
        # HTTPServer.server_bind also resolves the machine's name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.host, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def allows(self, host: str | None) -> bool:
        """Whether a request with this Host header may be answered.

        On the loopback interface, unknown Host headers are rejected (DNS rebinding): they come from a web page whose
        domain was pointed at this machine, and whose scripts would read what is served here.
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
        # A client that disconnects is not worth a traceback.
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
                newest = self.server.newest.get()
                if newest is not None and newest[1]:
                    self._send("image/jpeg", newest[1])
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
        while (newest := self.server.newest.get(number, self.server.repeat_seconds)) is not None:
            number, data = newest
            if data:
                # With the boundary that ends the part: browsers show an image when they have read that.
                head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                self.wfile.write(head + data + b"\r\n--frame\r\n")

    def version_string(self) -> str:
        return "livestyle"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged."""
