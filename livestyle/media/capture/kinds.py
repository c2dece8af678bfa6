"""Kinds of live sources: device, stream, image file, video file; told apart by their names, but for animated images."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from livestyle.errors import InputError
from livestyle.media.images import is_image

from .listener import Listened

LONGEST_NUMBER = 9
"""Digits of a camera's number; OpenCV's own go beyond 1000, by the kind of driver."""
SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "tcp", "udp")
"""URL schemes of streams."""
WITHOUT_PORT = ("rtp", "tcp", "udp")
"""Those for which there is no usual port."""


class SourceKind(Enum):
    """What a source is opened with."""

    DEVICE = "device"
    STREAM = "stream"
    IMAGE = "image"
    VIDEO = "video"


def source_kind(source: str) -> SourceKind:
    """The kind of a source: a camera's number, a device path, a stream's address or a file."""
    if source.isdecimal() or (source.startswith("/dev/") and not Path(source).is_file()):
        return SourceKind.DEVICE
    if "://" in source:
        return SourceKind.STREAM
    if not is_image(Path(source)):
        return SourceKind.VIDEO
    # PyAV takes a while to load, and a device does without.
    from livestyle.media.video.animation import is_animated

    return SourceKind.VIDEO if is_animated(Path(source)) else SourceKind.IMAGE


def source_name(source: str) -> str:
    """Display name of a source; an address loses its password, and its query, in which some cameras take one too."""
    match source_kind(source):
        case SourceKind.STREAM:
            if (listened := _listened(source)) is not None:
                return listened.name
            scheme, _, rest = source.partition("://")
            return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
        case SourceKind.DEVICE if source.isdecimal():
            return f"camera {source}"
        case _:
            return source


def is_listened(source: str) -> bool:
    """Whether a source is an address at which a sender is waited for."""
    return source_kind(source) is SourceKind.STREAM and _listened(source) is not None


def opening_text(source: str) -> str:
    """What is being done, for people, until a source gives its first frame."""
    listened = _listened(source) if source_kind(source) is SourceKind.STREAM else None
    if listened is None:
        return f"opening {source_name(source)} ..."
    key = "; anybody whose machine reaches this one may send, unless the address has a key" * listened.is_for_anybody
    return f"waiting for a sender at {listened.name}{key} ..."


def _listened(address: str) -> Listened | None:
    # What is no address is refused by `check_source`.
    with suppress(ValueError, InputError):
        return Listened.of(address)
    return None


def check_source(source: str) -> None:
    """Validate what can be known about a source without opening it.

    Raises:
        InputError: there is no such file, or the address is not one of a stream.
    """
    match source_kind(source):
        case SourceKind.DEVICE if source.isdecimal() and len(source) > LONGEST_NUMBER:
            raise InputError(
                f"there is no camera {source[:LONGEST_NUMBER]}...: livestyle cameras lists those there are"
            )
        case SourceKind.STREAM:
            _check_address(source)
        case SourceKind.IMAGE | SourceKind.VIDEO:
            _check_file(Path(source))


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        fine = parts.scheme.lower() in SCHEMES and bool(parts.netloc) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise InputError(
            f"{source_name(address)} is not the address of a stream: give one such as rtsp://HOST/PATH or "
            f"http://HOST:PORT/PATH ({', '.join(SCHEMES)} can be read)"
        )
    if parts.port is None and parts.scheme.lower() in WITHOUT_PORT:
        raise InputError(
            f"{source_name(address)} names no port: give it as in {parts.scheme.lower()}://127.0.0.1:9000", "camera"
        )
    Listened.of(address)


def _check_file(path: Path) -> None:
    # A name that is too long for the file system is that of no file either.
    with suppress(OSError):
        if path.is_dir():
            raise InputError(f"{path} is a folder: give a camera's number, a device, a file or an address")
        if path.is_file():
            return
    raise InputError(f"there is no camera or video file {path}: give a camera's number, a device, a file or an address")
