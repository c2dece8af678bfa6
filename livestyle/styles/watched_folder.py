"""The styles that keys choose from: presets, or a folder of pictures that is watched while the program runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from livestyle.engine.devices import first_line
from livestyle.errors import LivestyleError, StyleError
from livestyle.media.images import SUFFIXES, is_image, read_image

from .library import Style, StyleLibrary

THUMB = 96
"""Side of a thumbnail in pixels."""
POLL_SECONDS = 0.25
SETTLE_SECONDS = 0.2
"""A new file that has not changed for so long has been copied."""
RETRY_SECONDS = 2.0
"""A file that cannot be read gets a second chance after so long: its copying may have paused, or it was locked."""
CLOSE_SECONDS = 5.0


@dataclass
class _File:
    """What is known about a file of the folder.

    Attributes:
        version: size and time of the last change.
        since: when this version was first seen, on the clock of `time.monotonic`.
        expected: was there from the start, which is no news.
        done: this version needs no more work: it is a style, or was given up.
        failed: this version could not be read at the first attempt.
        reported: somebody was told that it cannot be read.
        style: of the last version that could be read.
    """

    version: tuple[int, int]
    since: float
    expected: bool = False
    done: bool = False
    failed: bool = False
    reported: bool = False
    style: Style | None = None

    @property
    def due(self) -> float:
        """When to read it."""
        return self.since + (RETRY_SECONDS if self.failed else SETTLE_SECONDS)


class WatchedFolder:
    """Styles in order, with thumbnails; a folder of pictures is watched by a thread, so that the shelf follows it.

    A picture that is put into the folder is a style within a second, one that is overwritten is encoded anew, and one
    that is deleted goes. The styles are in the order of the files' names. A folder that disappears (a stick that is
    pulled out) leaves its styles on the shelf until it is back.

    Args:
        library: encodes pictures, and remembers those that it has seen.
        styles: on the shelf while the folder has no picture that can be read, or where there is no folder.
        folder: of pictures; those below it do not count.
    """

    def __init__(self, library: StyleLibrary, styles: Sequence[Style] = (), folder: Path | None = None) -> None:
        self.styles: tuple[Style, ...] = tuple(styles)
        """Those to choose from. It is never changed but replaced by another, at any time."""
        self._library = library
        self._given = self.styles
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._first_look = True
        self._is_gone = False
        self._device: int | None = None
        self._thumbnails: dict[Style, np.ndarray] = {}
        self._added: list[str] = []
        self._changed: list[str] = []
        self._unreadable: list[str] = []
        self._news: list[str] = []
        self._news_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shelf", daemon=True)

    def start(self) -> None:
        """Begin to fill the shelf; pictures become styles one after the other, in their order.

        Raises:
            StyleError: the folder cannot be read.
        """
        if self._folder is not None:
            try:
                os.scandir(self._folder).close()
            except OSError as error:
                raise StyleError(
                    f"cannot read the folder of styles {self._folder} ({error.strerror or error}): "
                    "name a folder with pictures"
                ) from error
        self._thread.start()

    def close(self) -> None:
        """Stop, after the picture in hand; again is harmless."""
        self._stop.set()
        if self._thread.is_alive():
            # A network drive may hold a thread for longer.
            self._thread.join(CLOSE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def take_news(self) -> list[str]:
        """What has happened since the last call, in words for the screen."""
        with self._news_lock:
            news, self._news = self._news, []
        return news

    def thumbnail(self, style: Style) -> np.ndarray | None:
        """A small picture of a style, uint8 [THUMB, THUMB, 3] BGR, the same array each time; None where there is none.

        Styles of the folder have one from the start, given styles of pictures soon, presets and mixes never.
        """
        return self._thumbnails.get(style)

    def _run(self) -> None:
        for style in self._given:
            if style.source is not None and not self._stop.is_set():
                # Where the picture is gone since, the style goes on without.
                with suppress(LivestyleError):
                    self._thumbnails[style] = _thumbnail(read_image(style.source))
        while self._folder is not None and not self._stop.is_set():
            file = self._look(self._folder)
            if file is not None:
                self._read(self._folder, file)
            else:
                self._tell()
                self._stop.wait(POLL_SECONDS)

    def _look(self, folder: Path) -> str | None:
        """Compare the folder with what is known; gives the name of the first file that is to be read now."""
        now = time.monotonic()
        found = self._list(folder)
        if found is None:
            if not self._is_gone:
                self._say(f"the folder {folder.name} is gone: its styles stay until it is back")
            self._is_gone = True
            return None
        if self._is_gone:
            self._say(f"the folder {folder.name} is back")
        self._is_gone = False
        gone = [self._files.pop(name).style for name in self._files.keys() - found]
        for name, version in found.items():
            known = self._files.get(name)
            if known is None:
                first = self._first_look
                # What was there before us has been copied, and nobody waits to hear that it is no picture.
                since = now - 2 * SETTLE_SECONDS if first else now
                self._files[name] = _File(version, since, expected=first, reported=first and not _is_style(name))
            elif known.version != version:
                known.version, known.since, known.done, known.failed = version, now, False, False
        if self._first_look and not any(map(_is_style, found)):
            self._say(f"there is no picture in {folder.name} yet: put some in")
        self._first_look = False
        names = sorted(style.name for style in gone if style is not None)
        if names:
            self._publish()
            left = "" if any(file.style is not None for file in self._files.values()) else ": here are the presets"
            self._say(_in_words(names, "{} is gone", "{} styles are gone") + left)
        return min((name for name, file in self._files.items() if not file.done and file.due <= now), default=None)

    def _list(self, folder: Path) -> dict[str, tuple[int, int]] | None:
        """See `_versions`; None where the folder is gone, also when the place where a stick was mounted is left."""
        try:
            found, device = _versions(folder), _device(folder)
        except OSError:
            return None
        if self._files and not found and device != self._device:
            return None
        self._device = device
        return found

    def _read(self, folder: Path, name: str) -> None:
        file, path = self._files[name], folder / name
        try:
            if not is_image(path):
                raise StyleError(f"{name} is no style: pictures end with {' '.join(SUFFIXES)}")
            style = self._library.from_image(path)
            image = _thumbnail(read_image(path))
        except Exception as error:
            # Also what a decoder or the encoder does not expect must not end the watching.
            self._fail(file, path, error)
            return
        file.done, file.reported = True, False
        if file.style is None:
            if not file.expected:
                self._added.append(style.name)
        elif np.array_equal(file.style.stats.values, style.stats.values):
            return
        else:
            self._changed.append(style.name)
        self._thumbnails[style] = image
        file.style, file.expected = style, False
        self._publish()

    def _fail(self, file: _File, path: Path, error: Exception) -> None:
        if not file.failed:
            file.failed = True
            return
        file.done, file.expected = True, False
        if not file.reported:
            file.reported = True
            text = str(error) if isinstance(error, LivestyleError) else f"cannot read {path}: {first_line(error)}"
            self._unreadable.append(text.replace(str(path), path.name))
        if file.style is not None:
            file.style = None
            self._publish()

    def _publish(self) -> None:
        found = [file.style for _, file in sorted(self._files.items()) if file.style is not None]
        styles = tuple(found) or self._given
        for style in set(self.styles) - set(styles) - set(self._given):
            self._thumbnails.pop(style, None)
        self.styles = styles

    def _tell(self) -> None:
        """Say what has been read since the shelf was last at rest, so that many pictures are one piece of news."""
        for names, one, many in (
            (self._added, "added {}", "added {} styles"),
            (self._changed, "{} has changed", "{} styles have changed"),
            (self._unreadable, "{}", "{} files cannot be read as pictures"),
        ):
            if names:
                self._say(_in_words(names, one, many))
                names.clear()

    def _say(self, text: str) -> None:
        with self._news_lock:
            self._news.append(text)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """The middle of a picture (uint8 [H, W, 3] BGR) as uint8 [THUMB, THUMB, 3] BGR."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    return cv2.resize(square, (THUMB, THUMB), interpolation=cv2.INTER_AREA if side > THUMB else cv2.INTER_CUBIC)


def _versions(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of each file that is not hidden; raises OSError where the folder is gone."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if not entry.name.startswith(".") and entry.is_file():
                    state = entry.stat()
                    found[entry.name] = (state.st_size, state.st_mtime_ns)
            except OSError:
                # It went between the two. Where the folder did, that is no news about each of its files.
                folder.stat()
    return found


def _device(folder: Path) -> int:
    """The number of the file system that a folder is on."""
    return folder.stat().st_dev


def _is_style(name: str) -> bool:
    return is_image(Path(name))


def _in_words(names: Sequence[str], one: str, many: str) -> str:
    return one.format(names[0]) if len(names) == 1 else many.format(len(names))
