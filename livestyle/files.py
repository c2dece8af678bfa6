"""Atomic file writes: a reader sees the old file or the complete new one, never a part."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

LONGEST_NAME = 255
"""Bytes of a file's name on nearly all file systems; a few count UTF-16 instead, of which there are fewer."""


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
