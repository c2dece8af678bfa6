"""Listening for a sender that pushes its stream, such as OBS or a phone: RTMP, HTTP and plain TCP.

FFmpeg can listen, but waits for a sender, and then for its first bytes, without an end and without a way to stop it. So
this module accepts the sender, and hands its bytes on to FFmpeg, which listens on loopback for no longer than it takes.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

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
        query, scheme = parse_qsl(parts.query, keep_blank_values=True), parts.scheme.lower()
        # Of these, somebody is waited for in any case.
        if scheme in {"udp", "rtp"} or not any(name == "listen" and value != "0" for name, value in query):
            return None
        if scheme not in OPTIONS:
            raise InputError(f"no sender can be waited for with {scheme}: {', '.join(OPTIONS)} can listen", "camera")
        rest = urlencode([(name, value) for name, value in query if name not in {"listen", "timeout"}])
        port = parts.port or PORTS.get(scheme, 0)
        return cls(scheme, parts.hostname or LOOPBACK, port, parts.path + (f"?{rest}" if rest else ""))

    @property
    def key(self) -> bytes:
        """The stream key, which only the sender knows; empty where there is none to check."""
        if self.scheme != "rtmp":
            return b""
        return self.path.strip("/").partition("/")[2].encode()[:KEY_CHARACTERS]

    @property
    def name(self) -> str:
        """For people, without the key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = "/" + self.path.strip("/").partition("/")[0] + "/..." if self.key else self.path.partition("?")[0]
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


class Relay:
    """Hands the bytes of a sender on to FFmpeg, in both directions, until either of them hangs up.

    Args:
        sender: its connection, which is closed at the end.
        listened: what it was accepted for.
    """

    def __init__(self, sender: socket.socket, listened: Listened) -> None:
        self._sender = sender
        self._key = listened.key
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
            head = b"" if self._key else None
            while not self._closed.is_set():
                for source in select.select((self._sender, reader), (), (), LOOK_SECONDS)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is self._sender and head is not None:
                        head += data
                        # RTMP's command and the key follow each other as AMF strings.
                        _, command, rest = head.partition(b"\x00\x07publish")
                        if (command and len(rest) >= 12 + len(self._key)) or len(head) > 1 << 16:
                            if self._key not in rest[: 16 + len(self._key)]:
                                return
                            head = None
                    (reader if source is self._sender else self._sender).sendall(data)

    def _connect(self) -> socket.socket:
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                return socket.create_connection((LOOPBACK, self._port), CONNECT_SECONDS)
            except OSError:
                if self._closed.wait(0.02) or time.monotonic() > end:
                    raise


def senders(listened: Listened, stop: threading.Event) -> Iterator[Relay]:
    """Relays of one sender after the other, each closed before the next one is waited for."""
    while (sender := accept(listened, stop)) is not None:
        with closing(Relay(sender, listened)) as relay:
            yield relay
