"""Encryption in front of a server on loopback, with a certificate of its own."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any


def make_certificate(folder: Path, name: str = "IP:127.0.0.1") -> Path:
    """A certificate that vouches for itself, and its key, in one PEM file.

    Args:
        folder: for the files.
        name: of the server, as openssl writes subjectAltName.
    """
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "server.pem"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=camera")
    names = ("-addext", f"subjectAltName={name}")
    subprocess.run([*made, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


class TlsProxy:
    """Passes decrypted connections on to another port of loopback.

    Args:
        port: of the server behind it.
        certificate: PEM file of a certificate and its key.
    """

    def __init__(self, port: int, certificate: Path) -> None:
        self._target = port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with (
            suppress(OSError),
            self._context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection(("127.0.0.1", self._target)) as server,
        ):
            self._open += [client, server]
            while True:
                # One TLS connection must not be read and written at the same time: short waits in turn.
                for source, target in ((client, server), (server, client)):
                    source.settimeout(0.005)
                    target.settimeout(10)
                    with suppress(TimeoutError):
                        data = source.recv(65536)
                        if not data:
                            return
                        target.sendall(data)

    def __enter__(self) -> TlsProxy:
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
