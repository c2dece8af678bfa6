"""Where the pieces of a video wait for their workers: with the task itself, or at an address that all of them reach."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livestyle.engine.forms import form_cache
from livestyle.engine.model import MANIFEST, Model, shipped_name
from livestyle.errors import LivestyleError, OutputError
from livestyle.files import atomic_write
from livestyle.scheduling.scheduler import WorkerError

log = logging.getLogger(__name__)


class Shelf:
    """Keeper of pieces; those that are not needed any more are deleted.

    Args:
        address: a shared folder, or anything that fsspec knows, such as ``s3://bucket/folder``; None sends each piece
            with its task.
    """

    def __init__(self, address: str | None) -> None:
        self._folder = None if address is None else f"{address.rstrip('/')}/livestyle-{uuid.uuid4().hex[:12]}"
        self._paths: dict[int, str] = {}
        self._is_begun = False

    def put(self, number: int, data: bytes) -> bytes | str:
        """Keep the data of a task; what its worker is to be given, see `fetch`.

        Args:
            number: of the task, for `drop`.
            data: for the worker.

        Raises:
            OutputError: it cannot be written at the address.
            WorkerError: fsspec is not installed.
        """
        if self._folder is None:
            return data
        path = f"{self._folder}/{number:06}"
        try:
            with _open(path, "wb") as file:
                self._is_begun = True
                file.write(data)
        except LivestyleError:
            raise
        except Exception as error:  # each store has errors of its own
            raise OutputError(f"cannot write {path}: {error}", setting="ray_storage") from error
        self._paths[number] = path
        return path

    def drop(self, number: int) -> None:
        """Delete the data of a task that is done."""
        if number in self._paths:
            _delete(self._paths.pop(number))

    def close(self) -> None:
        """Delete the folder with what is left."""
        if self._folder is not None and self._is_begun:
            _delete(self._folder)


def fetch(kept: bytes | str) -> bytes:
    """Data that `Shelf.put` has taken, on a worker.

    Raises:
        WorkerError: this worker does not reach it, or has no fsspec.
    """
    if isinstance(kept, bytes):
        return kept
    try:
        with _open(kept, "rb") as file:
            data: bytes = file.read()
            return data
    except LivestyleError:
        raise
    except Exception as error:  # each store has errors of its own
        raise WorkerError(
            f"a worker cannot read {kept} ({type(error).__name__}): all nodes need the same folder or the same rights",
            setting="ray_storage",
        ) from error


def _delete(path: str) -> None:
    """Delete a file or a folder; one that stays is named in the log, since the painting itself is done."""
    try:
        import fsspec

        files, place = fsspec.core.url_to_fs(path)
        if files.exists(place):
            files.rm(place, recursive=True)
    except Exception as error:  # each store has errors of its own
        log.warning("cannot delete %s: %s", path, error)


def _open(path: str, mode: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise WorkerError('fsspec is not installed: pip install "livestyle[ray]"') from error
    return fsspec.open(path, mode, auto_mkdir=True) if "://" not in path else fsspec.open(path, mode)


def packed_model(model: Model) -> str | dict[str, bytes]:
    """A model as it is sent to workers: the name of one that ships, or the files of its folder by their names."""
    name = shipped_name(model)
    return name or {name: model.file(name).read_bytes() for name in (MANIFEST, *model.manifest.files)}


def unpacked_model(files: Mapping[str, bytes]) -> Path:
    """Folder with the files of a model, in the user's cache: written once on each machine.

    Its name is the checksum of the manifest, which has those of all other files; `livestyle.engine.model.Model.load`
    verifies them.

    Raises:
        WorkerError: it cannot be written.
    """
    # Not in the temporary folder, where another user may have made one of that name before.
    folder = form_cache().parent / "models" / hashlib.sha256(files[MANIFEST]).hexdigest()[:32]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in files.items():
            if not (folder / name).exists():
                with atomic_write(folder / name) as file:
                    file.write(data)
    except OSError as error:
        raise WorkerError(
            f"a worker cannot keep the model in {folder} ({error.strerror or error}): let LIVESTYLE_CACHE name a "
            "folder on its node that can be written"
        ) from error
    return folder
