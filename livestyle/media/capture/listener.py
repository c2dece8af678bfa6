"""Listening for a sender that pushes its stream, such as OBS or a phone: RTMP, HTTP and plain TCP.

FFmpeg can listen, but waits for a sender, and then for its first bytes, without an end and without a way to stop it. So
this module accepts the sender, and hands its bytes on to FFmpeg, which listens on loopback for no longer than it takes.
"""

from __future__ import annotations

import math
import re
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from livestyle.errors import InputError

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "rtmp": {"listen": "1"},
    "http": {"listen": "1"},
    "tcp": {"listen": "1"},
}
"""FFmpeg's options by URL scheme."""
PORTS = {"rtmp": 1935, "http": 80}
LOOPBACK = "127.0.0.1"
LOOK_SECONDS = 0.2
"""How often somebody who waits looks whether to stop."""
CONNECT_SECONDS = 5.0
"""How long FFmpeg may take until it listens."""
KEY_CHARACTERS = 64
"""So much of a stream key is compared: a longer one may be cut in two by RTMP's chunks."""
LONGEST_KEY = 120
"""Characters of a stream key that FFmpeg takes."""
LONGEST_HEAD = 1 << 16
"""Bytes that a sender may take until it names its stream."""
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_KEY_AT = 13
"""Bytes between RTMP's command and the key: a number (9), null (1), and the key's type (1) and length (2)."""
_LISTEN = re.compile("listen=(?!0$)")


@dataclass(frozen=True)
class Listened:
    """Address at which a sender is waited for.

    Attributes:
        scheme: of the URL.
        host: to listen at; this machine alone unless the address says otherwise.
        port: the same.
        path: of the URL, with its query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Listened | None:
        """The address that a URL with ``listen`` in its query means; None for any other URL.

        Raises:
            InputError: nobody can be waited for with its scheme.
        """
        parts = urlsplit(url)
        scheme, query = parts.scheme.lower(), [part for part in parts.query.split("&") if part]
        # Of these, somebody is waited for in any case.
        if scheme in {"udp", "rtp"} or not any(part == "listen" or _LISTEN.match(part) for part in query):
            return None
        if scheme not in OPTIONS:
            raise InputError(f"no sender can be waited for with {scheme}: {', '.join(OPTIONS)} can listen", "camera")
        # As it was written: a key may have a query of its own.
        rest = "&".join(part for part in query if part.partition("=")[0] not in {"listen", "timeout"})
        port = parts.port or PORTS.get(scheme, 0)
        found = cls(scheme, parts.hostname or LOOPBACK, port, parts.path + (f"?{rest}" if rest else ""))
        if max(map(len, found.keys), default=0) > LONGEST_KEY:
            raise InputError(f"the stream key is too long: give one of up to {LONGEST_KEY} characters", "camera")
        return found

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Names by which the sender may call its stream, which only it knows; none where there is nothing to check.

        Of ``/live/a/key``, senders take ``live`` or ``live/a`` for the application.
        """
        if self.scheme != "rtmp":
            return ()
        _, *names = self.path.strip("/").split("/")
        return tuple("/".join(names[at:]).encode() for at in range(min(2, len(names))) if names[at])

    @property
    def is_for_anybody(self) -> bool:
        """Whether other machines can send, and need to know nothing."""
        with suppress(ValueError):
            if ip_address(self.host).is_loopback:
                return False
        is_secret = self.keys or (self.scheme == "http" and self.path.strip("/"))
        return self.host != "localhost" and not is_secret

    @property
    def name(self) -> str:
        """For people, without the key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = "/" + self.path.strip("/").partition("/")[0] + "/..." if self.keys else self.path.partition("?")[0]
        return f"{self.scheme}://{host}:{self.port}{path}"


def accept(listened: Listened, stop: threading.Event) -> socket.socket | None:
    """Connection of the next sender; further ones are refused meanwhile. None once ``stop`` is set.

    Raises:
        InputError: nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in listened.host else socket.AF_INET
    try:
        server = socket.create_server((listened.host, listened.port), family=family, backlog=1)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot wait for a sender at {listened.name} ({reason}): choose another address", "camera"
        ) from None
    with server:
        server.settimeout(LOOK_SECONDS)
        while not stop.is_set():
            with suppress(TimeoutError):
                return server.accept()[0]
    return None


class Gate:
    """Reads what a sender says first, and refuses one that names another stream.

    Args:
        listened: what it was accepted for.
    """

    def __init__(self, listened: Listened) -> None:
        self._path = listened.path
        self._keys = listened.keys
        self._head = b""
        self._ask = self._ask_http if listened.scheme == "http" else self._ask_rtmp if self._keys else None
        self.refusal = b""
        """What a sender that was refused is to be told before the connection ends."""

    def feed(self, data: bytes) -> bytes | None:
        """What is to be handed on, now that a sender has sent this; None refuses it."""
        return data if self._ask is None else self._ask(data)

    def _ask_http(self, data: bytes) -> bytes | None:
        self._head += data
        request, end, _ = self._head.partition(b"\r\n")
        method, _, rest = request.partition(b" ")
        is_other = self._path.strip("/") and rest.partition(b" ")[0] != self._path.encode()
        if len(request) > LONGEST_HEAD or (end and is_other):
            self.refusal = NOT_FOUND
            return None
        if not end:
            return b""
        self._ask = None
        # FFmpeg takes POST alone, and curl and GStreamer say PUT.
        return self._head.replace(b"PUT", b"POST", 1) if method == b"PUT" else self._head

    def _ask_rtmp(self, data: bytes) -> bytes | None:
        self._head += data
        # The command "publish", its number, null and the key follow each other in AMF.
        rest = self._head.partition(b"\x00\x07publish")[2]
        length, name = int.from_bytes(rest[_KEY_AT - 2 : _KEY_AT], "big"), rest[_KEY_AT:]
        begun = name[: min(length, KEY_CHARACTERS)]
        if any(length == len(key) and compare_digest(begun, key[:KEY_CHARACTERS]) for key in self._keys):
            self._ask = None
        elif (len(rest) >= _KEY_AT and len(name) >= min(length, KEY_CHARACTERS)) or len(self._head) > LONGEST_HEAD:
            return None
        # All before the key, too: FFmpeg has to answer it.
        return data


class Relay:
    """Hands the bytes of a sender on to FFmpeg, in both directions, until either of them hangs up.

    Args:
        sender: its connection, which is closed at the end.
        listened: what it was accepted for.
        patience: seconds after which a sender that has begun is taken for gone when nothing comes.
    """

    def __init__(self, sender: socket.socket, listened: Listened, patience: float) -> None:
        self._sender = sender
        self._patience = patience
        self._gate = Gate(listened)
        with socket.create_server((LOOPBACK, 0)) as free:
            self._port: int = free.getsockname()[1]
        self.url = f"{listened.scheme}://{LOOPBACK}:{self._port}{listened.path}"
        """Where FFmpeg is to listen."""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up; a second call is harmless."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        with self._sender, suppress(OSError), closing(self._connect()) as reader:
            last = math.inf
            while not self._closed.is_set() and time.monotonic() - last < self._patience:
                for source in select.select((self._sender, reader), (), (), LOOK_SECONDS)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is self._sender:
                        last = time.monotonic()
                    if source is reader:
                        self._sender.sendall(data)
                    elif (passed := self._gate.feed(data)) is None:
                        self._sender.sendall(self._gate.refusal)
                        return
                    else:
                        reader.sendall(passed)

    def _connect(self) -> socket.socket:
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                return socket.create_connection((LOOPBACK, self._port), CONNECT_SECONDS)
            except OSError:
                if self._closed.wait(0.02) or time.monotonic() > end:
                    raise


def dial(url: str, patience: float) -> socket.socket:
    """Connection to the TCP server of an address, which is waited for so many seconds."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), patience)
    connection.settimeout(None)
    return connection


def senders(listened: Listened, patience: float, stop: threading.Event) -> Iterator[Relay]:
    """Relays of one sender after the other, each closed before the next one is waited for; arguments as of `Relay`."""
    while (sender := accept(listened, stop)) is not None:
        with closing(Relay(sender, listened, patience)) as relay:
            yield relay
