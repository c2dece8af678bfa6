"""Files: reading what a stranger may have put there, within limits, and atomic writes.

What is opened is looked at first: a device or a pipe where a file is expected would never end, or never begin, and a
file's size says what reading it costs. Both are looked at again once it is open (TOCTOU).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

LONGEST_NAME = 255
"""Bytes of a file's name on nearly all file systems; a few count UTF-16 instead, of which there are fewer."""

MOST_TEXT_BYTES = 1 << 20
"""Size limit of a file of settings, of a manifest and of other text that a program keeps."""

_ZIP_TAIL = 65557
"""Bytes at the end of an archive, within which its table of contents is said."""
_ZIP_ENTRY = 1024
"""Bytes of an entry of that table, about, with its name."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_CHUNK = 1 << 22
"""Bytes of one read."""


def open_regular(path: Path, limit: int | None = None) -> BufferedReader:
    """A regular file, open for reading; of a symbolic link, what it points to.

    Args:
        path: of the file.
        limit: size in bytes that is still taken; None takes all.

    Raises:
        OSError: there is none, it cannot be opened, it is a folder, a device, a pipe or a socket, or it is larger.
    """
    # Before it is opened, too: opening a device may do something.
    try:
        state = os.stat(path)  # noqa: PTH116
    except ValueError as error:
        # A null byte in its name.
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    _check_regular(path, state, limit)
    # Without waiting for the other end, where a pipe has taken the file's place by now.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _check_regular(path, os.fstat(descriptor), limit)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check_regular(path: Path, state: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(state.st_mode):
        kind = next((name for matches, name in _KINDS if matches(state.st_mode)), "something else")
        number = errno.EISDIR if stat.S_ISDIR(state.st_mode) else errno.EINVAL
        raise OSError(number, f"it is {kind} and no file", str(path))
    if limit is not None and state.st_size > limit:
        raise OSError(errno.EFBIG, f"it has {in_bytes(state.st_size)}, and {in_bytes(limit)} are the most", str(path))


def in_bytes(size: int) -> str:
    """A number of bytes for people, such as ``40.0 GiB``."""
    for unit, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << unit:
            return f"{size / (1 << unit):.{0 if size % (1 << unit) == 0 else 1}f} {name}"
    return f"{size} bytes"


def read_up_to(file: BinaryIO, limit: int) -> bytes:
    """Bytes of a file up to its end, ``limit`` at most; ``file.read(limit)`` would allocate all of that first."""
    chunks = []
    while limit > 0 and (chunk := file.read(min(limit, _CHUNK))):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


def read_regular(path: Path, limit: int) -> bytes:
    """All bytes of a regular file; arguments and errors are those of `open_regular`."""
    with open_regular(path, limit) as file:
        # One more: it may have grown since, and files of /proc say that they are empty.
        data = read_up_to(file, limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {in_bytes(limit)}", str(path))
    return data


def parse_json(text: str | bytes) -> Any:
    """What a text of JSON says.

    Raises:
        ValueError: it is no JSON, nested too deeply, or has numbers of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: Path, limit: int = MOST_TEXT_BYTES) -> Any:
    """What a file of JSON says, see `parse_json` and `open_regular`."""
    return parse_json(read_regular(path, limit))


@contextmanager
def open_archive(path: Path, limit: int, members: int) -> Iterator[zipfile.ZipFile]:
    """Context manager for a zip archive to read, whose table of contents is small.

    Args:
        path: of the file.
        limit: size in bytes that is still taken.
        members: that it has at most; what has many more is refused before they are listed.

    Raises:
        OSError: as of `open_regular`.
        zipfile.BadZipFile: it is no archive, or one of too many members.
    """
    with open_regular(path, limit) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _ZIP_TAIL))
        tail = file.read(_ZIP_TAIL)
        at = tail.rfind(b"PK\5\6")
        # zipfile reads the whole table.
        size = int.from_bytes(tail[at + 12 : at + 16], "little")
        if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":
            # ZIP64, as PyTorch writes it: its own record has the size; zipfile takes the one before this locator.
            record = tail[max(0, at - 76) : at - 20]
            size = int.from_bytes(record[40:48], "little") if record.startswith(b"PK\6\6") else limit
        if at < 0 or size > members * _ZIP_ENTRY:
            raise zipfile.BadZipFile("no archive, or one of too many members")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            yield archive


def read_stored(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member of an archive, stored or deflated, of at most ``limit`` bytes once it is unpacked.

    Raises:
        KeyError: there is none of this name.
        ValueError: it is larger, or compressed in another way.
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError: as `zipfile` raises them.
    """
    entry = archive.getinfo(name)
    # Zip bombs: only stored and deflated members honour the read limit; a header may lie about the size.
    sizes = max(entry.file_size, entry.compress_size - _ZIP_ENTRY)
    if sizes > limit or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is too large, or of another compression")
    with archive.open(entry) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is too large")
    return data


def hidden_path(path: Path, ending: str) -> Path:
    """Path of a hidden file beside another one, with its name in it; the same each time.

    Args:
        path: of the other one. Of a name that would become too long, the beginning and a hash are taken.
        ending: of the name, of ASCII, with the dot.
    """
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        room = LONGEST_NAME - len(f".~{digest}{ending}")
        # Not within a character.
        beginning = os.fsencode(path.name)[:room].decode("utf-8", "ignore")
        name = f".{beginning}~{digest}{ending}"
    return path.with_name(name)


def partial_path(path: Path) -> Path:
    """Path at which this process lets a file grow that is to be at ``path``."""
    return hidden_path(path, f".{os.getpid()}.partial")


@contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Context manager for a new binary file that takes its name when the body has ended.

    The file grows beside ``path`` under a hidden name. If the body or the rename fails, it is deleted, and what was at
    ``path`` before stays.

    Args:
        path: of the file; one that is there is replaced.
        durable: flush it to the disk (fsync) before the rename, so that it survives a power cut.

    Raises:
        OSError: it cannot be written.
    """
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        # A file system that turned read-only refuses to delete even a file that does not exist.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
