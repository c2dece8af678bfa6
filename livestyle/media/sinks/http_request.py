"""Requests and answers of a small HTTP server: what may be asked, by whom, and within which limits."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
import secrets
from asyncio import IncompleteReadError, LimitOverrunError, StreamReader
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from livestyle.errors import InputError

LONGEST_REQUEST = 16 * 1024
"""Upper limit of a request's head in bytes."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
"""Characters that need no escaping in an address, and too many of them to guess."""
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class RequestError(Exception):
    """A request that is refused.

    Args:
        status: of the answer.
        text: a sentence for whoever asked.
        headers: more of the answer.
    """

    def __init__(self, status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, repr=False)
class Request:
    """Head of a request; not in tracebacks, since it holds the token.

    Attributes:
        method: such as GET.
        path: without the query.
        query: of the address.
        version: (1, 0) or (1, 1).
        headers: by their names in lower case.
    """

    method: str
    path: str
    query: str
    version: tuple[int, int]
    headers: Mapping[str, str]

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow on this connection."""
        words = {word.strip() for word in self.headers.get("connection", "").lower().split(",")}
        return "keep-alive" in words if self.version == (1, 0) else "close" not in words

    @property
    def token(self) -> str | None:
        """Token of the address, if there is one."""
        return parse_qs(self.query).get("token", [None])[-1]


async def read_request(reader: StreamReader) -> Request | None:
    """Head of the next request; None where the client has ended the connection.

    Raises:
        RequestError: it is none, it is too long, or it has a body.
    """
    lines, length = list[bytes](), 0
    try:
        while True:
            line = await reader.readuntil(b"\n")
            length += len(line)
            if length > LONGEST_REQUEST:
                break
            if line.strip(b"\r\n"):
                lines.append(line.rstrip(b"\r\n"))
            elif lines:
                return _parsed(lines)
    except IncompleteReadError:
        return None
    except LimitOverrunError:
        pass
    raise RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request is too long")


def _parsed(lines: list[bytes]) -> Request:
    match lines[0].split(b" "):
        case [method, target, b"HTTP/1.0" | b"HTTP/1.1" as version] if _NAME.fullmatch(method):
            pass
        case [_, _, version] if version.startswith(b"HTTP/"):
            raise RequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Ask in HTTP/1.1")
        case _:
            raise RequestError(HTTPStatus.BAD_REQUEST, "This is no request")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        key = name.decode("latin-1").lower()
        if not colon or not _NAME.fullmatch(name) or (key == "host" and key in headers):
            raise RequestError(HTTPStatus.BAD_REQUEST, "A header of the request is none")
        headers[key] = value.strip().decode("latin-1")
    path, _, query = target.decode("latin-1").partition("?")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise RequestError(HTTPStatus(413), "Nothing can be sent here")
    return Request(method.decode(), path, query, (1, 0) if version.endswith(b"0") else (1, 1), headers)


class Gate:
    """Decides who gets an answer.

    On the loopback interface, unknown Host headers are rejected (DNS rebinding): they come from a web page whose domain
    was pointed at this machine, and whose scripts would read what is served here. Pages of other sites get nothing that
    they embed (cross-site reading), unless they know the token.

    Args:
        host: IP address that is listened at.
        token: that a client must know; None lets everybody on this machine in.
    """

    def __init__(self, host: str, token: str | None) -> None:
        is_local = ipaddress.ip_address(host).is_loopback
        self._names = LOCAL_NAMES | {host} if is_local else None
        self._token = None if token is None else token.encode()

    def check(self, request: Request) -> None:
        """Refuse a request that may not be answered.

        Raises:
            RequestError: why.
        """
        host = request.headers.get("host")
        if host is None and request.version >= (1, 1):
            raise RequestError(HTTPStatus.BAD_REQUEST, "The request names no host")
        if host is not None and self._names is not None and host_name(host) not in self._names:
            raise RequestError(HTTPStatus.FORBIDDEN, "Ask for localhost")
        if request.method not in ("GET", "HEAD"):
            raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD", {"Allow": "GET, HEAD"})
        if self.lets_embed(request):
            return
        if self._token is not None and not any(map(self._knows, _passwords(request))):
            # Basic is what cameras, players and browsers speak; the name of the user is not looked at.
            raise RequestError(
                HTTPStatus.UNAUTHORIZED,
                "A token is needed: ?token=...",
                {"WWW-Authenticate": 'Basic realm="livestyle", charset="UTF-8"'},
            )
        if is_cross_site(request.headers):
            raise RequestError(HTTPStatus.FORBIDDEN, "Not for pages of other sites")

    def lets_embed(self, request: Request) -> bool:
        """Whether pages of other sites may embed the answer: those that know the token."""
        return self._knows(request.token)

    def _knows(self, token: str | None) -> bool:
        # Constant time: the time of an ordinary comparison tells how many characters are right.
        return self._token is not None and token is not None and hmac.compare_digest(token.encode(), self._token)


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks for a page of another origin, links that a person follows apart.

    Args:
        headers: of the request, by their names in lower case.
    """
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is not None and origin.lower().partition("://")[2] != host.lower():
        return True
    # Browsers send these to this machine, and to others over https.
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_link


def host_name(host: str) -> str | None:
    """Name or address in a Host header, in lower case and without port and brackets; None where it is damaged."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _passwords(request: Request) -> Iterable[str]:
    """What an Authorization header carries."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip()
    elif scheme.lower() == "basic":
        try:
            yield base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return


def make_token() -> str:
    """A new random token of 128 bits."""
    return secrets.token_urlsafe(16)


def check_token(token: str) -> str:
    """The token, if it is one.

    Raises:
        InputError: it is too short, or would have to be escaped; the text does not contain it.
    """
    if not TOKEN.fullmatch(token):
        raise InputError(
            "that is no token: take 16 to 200 letters, digits, hyphens, dots, underscores and tildes, or leave it out "
            "for one that is made",
            setting="serve_token",
        )
    return token


def answer_head(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    """Head of an answer, with what protects its readers."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    fixed = {
        "Date": formatdate(usegmt=True),
        "Server": "livestyle",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    lines += [f"{name}: {value}" for name, value in {**fixed, **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
