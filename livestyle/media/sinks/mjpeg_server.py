"""Motion JPEG over HTTP: the newest image as a web page, for a browser source of OBS or a second screen."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import logging
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from livestyle.errors import InputError, OutputError
from livestyle.limits import shown
from livestyle.media.frames import FrameSink

from .http_request import (
    LONGEST_REQUEST,
    Gate,
    Request,
    RequestError,
    answer_head,
    check_token,
    make_token,
    read_request,
)
from .newest_jpeg import NewestJpeg

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

REPEAT_SECONDS = 1.0
"""An unchanged image is sent again this often (keep-alive), so that a broken connection is noticed."""
MOST_STREAMS = 64
"""Clients that watch; one more takes the place of one that has stalled, or is told that it is full."""
MOST_CONNECTIONS = 512
"""Connections whose requests are read; further ones are told that it is full, and twice as many are not."""
ACCEPTED_AT_ONCE = 256
"""Connections that are accepted as they come; those of a storm wait their turn with the system, since each takes time
that the painting needs."""
ACCEPTED_PER_SECOND = 50
"""Further ones."""
BACKLOG = 1024
"""Connections that the system keeps until they are accepted."""
REQUEST_SECONDS = 5.0
"""Time limit of a request, from the connection or the last answer to its last byte (slow loris)."""
STALL_SECONDS = 10.0
"""Time limit of a client to take one image or answer."""
STALLED_SECONDS = 2.5
"""A client that has taken no image for so long makes way for another one."""
LINGER_SECONDS = 1.0
"""What a client still sends after it was refused is read for so long: closing at once would discard the answer."""
RETRY_SECONDS = 5
"""When a client that was told that it is full may try again."""
STREAM = "/stream.mjpg"
SEND_BUFFER = 128 * 1024
"""Bytes of the socket's send buffer, kept small: images that wait in it are out of date when they arrive."""
STYLE = b"""
html, body { margin: 0; height: 100%; background: #000 }
img { display: block; width: 100%; height: 100%; object-fit: contain }
"""
PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>livestyle</title>
<link rel="icon" href="data:,">
<style>%b</style>
<img src="stream.mjpg%b" alt="">
</html>
"""
PAGE_POLICY = (
    "default-src 'none'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE).digest()).decode()}'"
)

log = logging.getLogger(__name__)


class MjpegServer(FrameSink):
    """HTTP server of the newest image: ``/`` is a page, ``/stream.mjpg`` Motion JPEG, ``/snapshot.jpg`` one JPEG.

    Each client gets the newest image whenever it has taken the one before, so that a slow one delays nobody. One thread
    serves all of them and another encodes the JPEGs, each image once, and only while somebody watches. Clients need the
    token as ``?token=``, as the password of basic authentication or as a bearer token.

    Args:
        address: a port, on the loopback interface, or an address of this machine and a port, such as ``0.0.0.0:8080``
            for the whole network; port 0 is a free one.
        repeat_seconds: how often an unchanged image is sent again.
        token: that clients must know; None makes one, but on the loopback interface, where none is needed.

    Raises:
        InputError: it is no address, or no token.
        OutputError: nothing can be served there, as when another program uses the port.
    """

    def __init__(self, address: str, repeat_seconds: float = REPEAT_SECONDS, token: str | None = None) -> None:
        host, port = parse_address(address)
        if token is not None:
            check_token(token)
        self._socket = _listen(address, host, port)
        self._host, self._port = self._socket.getsockname()[:2]
        if token is None and not ipaddress.ip_address(self._host).is_loopback:
            token = make_token()
        self._token = token
        self._gate = Gate(self._host, token)
        self._repeat_seconds = repeat_seconds
        self._loop = asyncio.new_event_loop()
        self._newest = NewestJpeg(self._loop)
        self._stop = asyncio.Event()
        self._error: OutputError | None = None
        self._connections = 0
        self._streams: dict[asyncio.StreamWriter, float] = {}
        """Clients that watch, with the time at which each had taken its last image."""
        self._thread = threading.Thread(target=self._run, name="stream server", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """URL of the page, for a browser on this machine; without the token."""
        if self.is_everywhere:
            return f"http://localhost:{self._port}/"
        address = ipaddress.ip_address(self._host)
        return f"http://[{address}]:{self._port}/" if address.version == 6 else f"http://{address}:{self._port}/"

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens at all addresses of this machine."""
        return ipaddress.ip_address(self._host).is_unspecified

    @property
    def link(self) -> str:
        """`url` with the token, if one is needed."""
        return self.url if self._token is None else f"{self.url}?token={self._token}"

    def write(self, image: BgrImage, time: Fraction | float) -> None:
        """Serve this image from now on.

        Args:
            image: uint8 [H, W, 3] BGR, of any size; not copied, so it must not be changed afterwards.
            time: is not used.

        Raises:
            OutputError: the server has stopped, or images cannot be encoded.
        """
        if error := self._error or self._newest.error:
            raise error
        self._newest.put(image)

    def close(self) -> None:
        """Stop serving and close all connections."""
        with suppress(RuntimeError):
            # The loop is closed where it was called before, or where the server has stopped.
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def abort(self) -> None:
        self.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                # A client that disconnects is not worth a line.
                self._loop.set_exception_handler(lambda _, context: log.debug("%s", context.get("message")))
                runner.run(self._serve())
        except BaseException as error:
            self._error = OutputError(f"the server at {self.url} has stopped ({error!r}): start it again")
        finally:
            self._socket.close()
            self._newest.close()

    async def _serve(self) -> None:
        accepting = asyncio.create_task(self._accept_all())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([accepting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if accepting.done():
            accepting.result()

    async def _accept_all(self) -> None:
        tasks = set[asyncio.Task[None]]()
        allowed, last = float(ACCEPTED_AT_ONCE), time.monotonic()
        while True:
            now = time.monotonic()
            allowed, last = min(ACCEPTED_AT_ONCE, allowed + (now - last) * ACCEPTED_PER_SECOND), now
            if allowed < 1:
                await asyncio.sleep((1 - allowed) / ACCEPTED_PER_SECOND)
                continue
            try:
                client, _ = await self._loop.sock_accept(self._socket)
            except OSError:
                # Whoever called has gone, or this process has too many files open.
                await asyncio.sleep(1 / ACCEPTED_PER_SECOND)
                continue
            allowed -= 1
            task = asyncio.create_task(self._connected(client))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(partial(_close, client))

    async def _connected(self, client: socket.socket) -> None:
        reader, writer = await _streams(client)
        self._connections += 1
        try:
            if self._connections <= MOST_CONNECTIONS:
                await self._answer_all(reader, writer)
            elif self._connections <= 2 * MOST_CONNECTIONS:
                await self._refuse(reader, writer, _full())
        except (OSError, TimeoutError):
            # Whoever hangs up, or takes too long.
            return
        finally:
            self._connections -= 1
            self._streams.pop(writer, None)
            writer.transport.abort()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other until the client or a time limit ends that."""
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        # So that a write is over when the system has taken all of it.
        writer.transport.set_write_buffer_limits(high=0)
        keeps, request = True, None
        try:
            while keeps:
                async with asyncio.timeout(REQUEST_SECONDS):
                    request = await read_request(reader)
                if request is None:
                    return
                self._gate.check(request)
                keeps = request.keeps_alive and request.path != STREAM
                await self._answer(request, reader, writer)
            await _part(reader, writer)
        except RequestError as error:
            await self._refuse(reader, writer, error, request is not None and request.method == "HEAD")

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match request.path:
            case "/":
                # The page asks for the stream with the token that it was asked for with.
                query = b"" if not self._gate.lets_embed(request) else f"?token={self._token}".encode()
                headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": PAGE_POLICY}
                await self._send(request, writer, headers, PAGE % (STYLE, query))
            case "/snapshot.jpg":
                jpeg = (await self._newest.get())[1]
                if not jpeg:
                    raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "No picture yet", _retry(1))
                await self._send(request, writer, {"Content-Type": "image/jpeg"}, jpeg)
            case _ if request.path == STREAM:
                await self._stream(request, reader, writer)
            case _:
                raise RequestError(HTTPStatus.NOT_FOUND, "There is no such page")

    async def _send(
        self, request: Request, writer: asyncio.StreamWriter, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        """Send an answer, or only its head, as for HEAD or where None is for a body without end."""
        policy = {"Cross-Origin-Resource-Policy": "cross-origin"} if self._gate.lets_embed(request) else {}
        length = {} if body is None else {"Content-Length": str(len(body))}
        keeps = body is not None and request.keeps_alive
        connection = {"Connection": "keep-alive" if keeps else "close"}
        head = answer_head(HTTPStatus.OK, {**headers, **policy, **length, **connection})
        await _write(writer, head if body is None or request.method == "HEAD" else head + body)

    async def _stream(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.method == "GET":
            self._take_place(writer)
        await self._send(request, writer, {"Content-Type": "multipart/x-mixed-replace; boundary=frame"}, None)
        if request.method == "HEAD":
            return
        await _write(writer, b"--frame\r\n")
        number = 0
        while True:
            self._streams[writer] = time.monotonic()
            number, jpeg = await self._newest.get(number, self._repeat_seconds)
            if jpeg:
                # With the boundary that ends the part: browsers show an image when they have read that.
                head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                await _write(writer, head + jpeg + b"\r\n--frame\r\n")
            elif reader.at_eof():
                return

    def _take_place(self, writer: asyncio.StreamWriter) -> None:
        now = time.monotonic()
        if len(self._streams) >= MOST_STREAMS:
            slowest = min(self._streams, key=self._streams.__getitem__)
            if now - self._streams[slowest] < STALLED_SECONDS:
                raise _full()
            del self._streams[slowest]
            slowest.transport.abort()
        self._streams[writer] = now

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, error: RequestError, is_head: bool = False
    ) -> None:
        body = f"{error}\n".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), "Connection": "close"}
        head = answer_head(error.status, {**headers, **error.headers})
        await _write(writer, head if is_head else head + body)
        await _part(reader, writer)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port: ("127.0.0.1", 8080) from ``8080``, ("0.0.0.0", 8080) from ``0.0.0.0:8080``.

    Raises:
        InputError: it is neither.
    """
    host, _, port = text.strip().rpartition(":")
    if not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise InputError(
            f"{shown(text)} is not an address to serve at: give a port, such as 8080, or an address of this machine "
            "and a port, such as 0.0.0.0:8080"
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _listen(address: str, host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # On Windows, SO_REUSEADDR would let two programs use one port.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException as error:
        listener.close()
        if isinstance(error, socket.gaierror | UnicodeError):
            raise InputError(f"cannot serve at {address}: there is no address {host}, try 127.0.0.1") from error
        if isinstance(error, OSError):
            raise OutputError(
                f"cannot serve at {host} port {port} ({error.strerror or error}): choose another port or address"
            ) from error
        raise
    return listener


def _close(client: socket.socket, task: asyncio.Task[None]) -> None:
    """Close what a task has left that was cancelled before it began."""
    if task.cancelled():
        client.close()


async def _streams(client: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Reader and writer of an accepted connection."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(LONGEST_REQUEST, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client)
    # Heap fragmentation: asyncio allocates what a read may give, 256 KiB, and shrinks it to what came.
    transport.max_size = LONGEST_REQUEST  # type: ignore[attr-defined]
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write, and wait until the system has taken all of it."""
    async with asyncio.timeout(STALL_SECONDS):
        writer.write(data)
        await writer.drain()


async def _part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection so that the answer arrives: read on for a moment (lingering close)."""
    writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await reader.read(LONGEST_REQUEST):
                pass


def _full() -> RequestError:
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "It is full: try again soon", _retry(RETRY_SECONDS))


def _retry(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
