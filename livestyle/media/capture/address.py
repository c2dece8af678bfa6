"""Addresses of streams, and how FFmpeg opens them: options, time limits, and errors in words."""

from __future__ import annotations

import errno
import io
import math
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import av

from livestyle.errors import InputError

from .download import Download
from .kinds import source_name
from .timeouts import Timeouts
from .tls import ca_bundle, tls_options

ENCRYPTED = ("https", "rtmps", "rtsps")
"""URL schemes whose servers have certificates."""
ANALYZE_MICROSECONDS = 2_000_000
"""How much of a stream over HTTP, RTMP or TCP FFmpeg reads at most, to find out what is in it: FLV promises sound that
may never come."""
CHUNK_BYTES = 32768
"""FFmpeg reads the bytes of an answer in pieces of this size at most, and smaller ones as they come."""
PLAYLIST = "hls"
"""FFmpeg's name of the format."""
OWN_PARTS = {"http_persistent": "0", "http_multiple": "0"}
"""Options of FFmpeg's reader of playlists: no requests on connections of its own, since `Address` opens the parts."""
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Address:
    """Address of a stream.

    Attributes:
        url: in full, with its password.
        timeouts: for opening and reading.
        insecure: take any certificate.
        called: the address that errors name, where it is another.
    """

    url: str
    timeouts: Timeouts
    insecure: bool = False
    called: str = ""

    @property
    def name(self) -> str:
        """For people, without a password."""
        return source_name(self.called or self.url)

    @property
    def is_web(self) -> bool:
        """Whether it is read over HTTP."""
        return self.url.lower().startswith(("http:", "https:"))

    def at(self, url: str) -> Address:
        """Another address that is opened in the same way."""
        return replace(self, url=url)

    def landed(self) -> Address:
        """The address to which the server redirects, from which the parts of a playlist count; else this one."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        request = Request(parts._replace(netloc=host).geturl(), headers={"User-Agent": "livestyle"})
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            # Not for the server that it may be redirected to.
            request.add_unredirected_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
        context = ssl.create_default_context(cafile=ca_bundle())
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with urlopen(request, timeout=self.timeouts.read, context=context) as answer:
                found = urlsplit(answer.url)
        except (OSError, HTTPException, ValueError):
            return self
        if found.scheme not in ("http", "https"):
            return self
        if found.netloc == host:
            found = found._replace(netloc=parts.netloc)
        return self.at(found.geturl())

    def patient(self) -> Address:
        """The same, for a server that takes as long to send anything as others take to open."""
        return replace(self, timeouts=replace(self.timeouts, read=max(self.timeouts.read, self.timeouts.open)))

    def open(
        self, kind: str | None = None, *, download: Download | None = None, extra: Mapping[str, str] = NONE
    ) -> Any:
        """PyAV's container.

        Args:
            kind: FFmpeg's name of the format; None finds it out.
            download: the bytes to read, where they have begun to come; None asks for them.
            extra: options of FFmpeg.

        Raises:
            InputError: it does not open.
        """
        begin, timeouts = time.monotonic(), (self.timeouts.open, self.timeouts.read)
        source: Any = download or self.url
        options = {**self._options(), **extra}
        opener, missing = None, list[InputError]()
        if kind == PLAYLIST:
            # FFmpeg's reader of playlists does not hand on how certificates are to be checked.
            opener, options = partial(self._open_part, missing), options | OWN_PARTS
        try:
            if download is not None:
                # FFmpeg's own limit is not asked while it reads from Python.
                download.deadline = begin + timeouts[0]
            container = av.open(source, "r", format=kind, timeout=timeouts, options=options, io_open=opener)
            if download is not None:
                download.deadline = math.inf
            return container
        except (av.FFmpegError, OSError, ValueError) as error:
            trouble: Exception = error
        if missing:
            raise missing[0]
        if time.monotonic() - begin >= timeouts[0]:
            no = "no answer" if download is None else "nothing that can be read"
            reason = f"{no} in {timeouts[0]:g} seconds"
        elif certificate := self._certificate_trouble():
            raise InputError(
                f"the stream {self.name} does not open (its certificate is not trusted: {certificate}): "
                "check the address, or allow any certificate if the camera has made its own",
                "insecure",
            )
        elif getattr(trouble, "errno", None) == errno.EIO:
            # FFmpeg's error for an unknown host name.
            reason = "the host is not found, or hangs up"
        elif self.url.lower().startswith("rtp:"):
            reason = "RTP alone does not say what is in it: send MPEG-TS in it"
        else:
            reason = getattr(trouble, "strerror", None) or type(trouble).__name__
        raise InputError(
            f"the stream {self.name} does not open ({reason}): check the address, and that it is running "
            "and can be reached"
        )

    def download(self, extra: Mapping[str, str] = NONE) -> Download:
        """The bytes of an answer of a web server.

        Args:
            extra: options of FFmpeg.

        Raises:
            InputError: there is none.
        """
        return Download(self.open("data", extra={"raw_packet_size": str(CHUNK_BYTES), **extra}))

    def _open_part(
        self, missing: list[InputError], url: str, _: int, options: Mapping[str, str]
    ) -> Download | io.BytesIO:
        """A part of a playlist, which may be encrypted with a key of its own; one that is missing is empty."""
        part = self.at(url)
        # A playlist must not name files of this computer.
        if not self.at(url.removeprefix("crypto").lstrip("+:")).is_web:
            return io.BytesIO()
        try:
            return part.download(options)
        except InputError as error:
            if "insecure" in error.settings:
                raise
            missing[:] = [*missing, error][:1]
            return io.BytesIO()

    def _options(self) -> dict[str, str]:
        scheme = self.url.partition(":")[0].lower()
        # UDP loses packets, and each loss is a grey area in the image.
        options = {"rtsp_flags": "prefer_tcp"} if scheme.startswith("rtsp") else {}
        is_web = "http" in scheme
        if is_web or scheme.startswith("rtmp") or scheme == "tcp":
            options["analyzeduration"] = str(ANALYZE_MICROSECONDS)
        return options | (tls_options(self.insecure) if is_web or scheme in ENCRYPTED else {})

    def _certificate_trouble(self) -> str:
        """Why Python does not trust the server's certificate; FFmpeg does not say. Empty where it does."""
        parts = urlsplit(self.url)
        if self.insecure or parts.scheme.lower() not in ENCRYPTED or not parts.hostname:
            return ""
        port = parts.port or {"https": 443, "rtmps": 443, "rtsps": 322}[parts.scheme.lower()]
        context = ssl.create_default_context(cafile=ca_bundle())
        try:
            with (
                socket.create_connection((parts.hostname, port), self.timeouts.read) as connection,
                context.wrap_socket(connection, server_hostname=parts.hostname),
            ):
                return ""
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except OSError:
            return ""
