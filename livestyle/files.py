"""Atomic file writes: a reader sees the old file or the complete new one, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


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
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
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
