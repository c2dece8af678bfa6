"""Results: written by one process at a time, complete or not at all, and nothing replaced in silence."""

from __future__ import annotations

import logging
import os
import platform
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from .errors import OutputError
from .files import LONGEST_NAME, hidden_path, partial_path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOCKED_BYTE = 1 << 30
"""Place of the locked byte on Windows, where nobody else can read a locked part of a file."""

log = logging.getLogger(__name__)


def write_result(path: Path, data: bytes, *, replace: bool) -> Path:
    """Write what a person has asked for: atomically, and in place of another file only where that was asked for too.

    Args:
        path: of the file.
        data: all of it.
        replace: whether a file that is there is replaced; see `publish` for what becomes of it otherwise.

    Returns:
        Where it is.

    Raises:
        OutputError: it cannot be written.
    """
    partial = partial_path(path)
    try:
        partial.write_bytes(data)
        return publish(partial, path, replace=replace)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Flush a complete file to the disk (fsync), so that it survives a power cut; some disks are found full only then.

    Raises:
        OSError: it could not be written.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def publish(partial: Path, path: Path, *, replace: bool) -> Path:
    """Give a complete file its name.

    Without ``replace``, a file that has appeared there meanwhile stays: the complete one gets a number before its
    suffix, and a warning in the log says so.

    Args:
        partial: file on the same disk, which is no longer there afterwards.
        path: its name.
        replace: whether a file that is there is replaced.

    Returns:
        Where it is.

    Raises:
        OSError: that is not possible; ``partial`` is still there.
    """
    if replace:
        os.replace(partial, path)
        return path
    for number in count(1):
        name = path if number == 1 else _numbered(path, number)
        with suppress(FileExistsError):
            _rename_to_new(partial, name)
            if name != path:
                log.warning(
                    "%s has been made by another program meanwhile and stays as it is: the result is %s", path, name
                )
            return name
    raise AssertionError


def _numbered(path: Path, number: int) -> Path:
    ending = f"-{number}{path.suffix}"
    # Not ending within a character.
    beginning = os.fsencode(path.stem)[: LONGEST_NAME - len(os.fsencode(ending))].decode("utf-8", "ignore")
    return path.with_name(beginning + ending)


def _rename_to_new(partial: Path, path: Path) -> None:
    """Rename a file to a name that nothing has; FileExistsError where something has it."""
    if sys.platform == "win32":
        # There it replaces nothing.
        os.rename(partial, path)  # noqa: PTH104
        return
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links, as on FAT and some network drives: an empty file takes the name first.
        path.open("xb").close()
        try:
            os.replace(partial, path)
        except BaseException:
            path.unlink()
            raise
        return
    with suppress(OSError):
        partial.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Context manager of the right to write a file: a lock (flock) on a hidden file beside it.

    It ends with its owner, however that is killed; a file that is left is no hindrance. On a file system without locks,
    and where no file can be made, there is none.

    Args:
        path: of the file, which need not be there.

    Raises:
        OutputError: another process, or this one, is writing it.
    """
    lock = hidden_path(path, ".lock")
    file = _lock(lock, path)
    try:
        yield
    finally:
        if file is not None:
            if sys.platform == "win32":
                # An open file cannot be deleted there; one that somebody else has opened by then stays.
                os.close(file)
            with suppress(OSError):
                lock.unlink(missing_ok=True)
            if sys.platform != "win32":
                os.close(file)


def check_not_locked(path: Path) -> None:
    """Raise an `OutputError` where a process is writing a file, see `locked`."""
    if hidden_path(path, ".lock").exists():
        with locked(path):
            pass


def _lock(lock: Path, path: Path) -> int | None:
    """Descriptor of the locked file; None where there are no locks."""
    while True:
        try:
            file = _open_lock(lock)
        except OSError:
            # No file can be made there: what is to be written will say why.
            return None
        try:
            found = os.fstat(file)
            # Whatever a stranger has put there under its name is not written to.
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                os.close(file)
                return None
            try:
                _try_lock(file)
            except (BlockingIOError, PermissionError):
                owner = _owner(file)
                raise OutputError(f"{path} is being written by {owner}: wait for it, or choose another name") from None
            except OSError as error:
                log.debug("%s cannot be locked", lock, exc_info=error)
                os.close(file)
                return None
            with suppress(OSError):
                # The last owner deletes its file: a lock on a file that is no longer there is worth nothing.
                if os.path.samestat(os.fstat(file), lock.stat()):
                    _sign(file)
                    return file
            os.close(file)
        except BaseException:
            with suppress(OSError):
                os.close(file)
            raise


def _open_lock(lock: Path) -> int:
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        # Another user's.
        return os.open(lock, os.O_RDONLY | flags)


def _try_lock(file: int) -> None:
    if sys.platform == "win32":
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(file: int) -> None:
    with suppress(OSError):
        os.truncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"{os.getpid()} {platform.node()}".encode())


def _owner(file: int) -> str:
    with suppress(OSError, ValueError):
        os.lseek(file, 0, os.SEEK_SET)
        number, _, machine = os.read(file, 300).decode("utf-8", "replace").partition(" ")
        place = f" on {machine}" if machine.isprintable() and machine != platform.node() else ""
        return f"process {int(number)}{place}"
    return "another process"
