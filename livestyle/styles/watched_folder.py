"""Watched folder: its images as a list of styles to choose from, kept up to date by polling."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from livestyle.errors import LivestyleError, StyleError, first_line
from livestyle.media.images import SUFFIXES, is_image, read_reduced
from livestyle.media.resize import resize
from livestyle.memory import is_memory_error

from .library import Style, StyleLibrary

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

THUMB = 96
"""Side of a thumbnail in pixels."""
POLL_SECONDS = 0.25
"""Polling interval."""
SETTLE_SECONDS = 0.2
"""Debounce: a file is read when it has not changed for so long, which means that it has been copied."""
RETRY_SECONDS = 2.0
"""Delay before the second and last attempt at a file that could not be read: it was locked, or copying had paused."""
CLOSE_SECONDS = 5.0
"""Longest wait for the thread at the end."""


@dataclass
class _File:
    """State of a file of the folder.

    Attributes:
        version: size in bytes and modification time in nanoseconds.
        since: when this version was first seen, on the clock of `time.monotonic`.
        was_present: it existed when watching began, and so is not announced as added.
        settled: this version needs no more work: it has become a style or was given up.
        failed: the first attempt to read this version failed.
        reported: it has been reported as unreadable.
        style: of the last readable version; None where there is none.
    """

    version: tuple[int, int]
    since: float
    was_present: bool = False
    settled: bool = False
    failed: bool = False
    reported: bool = False
    style: Style | None = None

    @property
    def read_at(self) -> float:
        """Time of the next attempt to read it, on the clock of `time.monotonic`."""
        return self.since + (RETRY_SECONDS if self.failed else SETTLE_SECONDS)


class WatchedFolder:
    """Styles to choose from, with thumbnails; a thread polls a folder of images and keeps the styles up to date.

    An image that is added becomes a style within a second, one that is overwritten is encoded again, and one that is
    deleted is removed. Styles are sorted by file name. When the folder itself disappears (a removable drive), its
    styles stay until it is back.

    Args:
        library: encodes images and caches their statistics.
        styles: fallback while the folder has no readable image, or where there is no folder.
        folder: of images; subfolders are ignored. None watches nothing.
    """

    def __init__(self, library: StyleLibrary, styles: Sequence[Style] = (), folder: Path | None = None) -> None:
        self.styles: tuple[Style, ...] = tuple(styles)
        """Current styles: an immutable snapshot that the thread replaces at any time."""
        self._library = library
        self._given = self.styles
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._is_first_scan = True
        self._is_gone = False
        self._has_failed = False
        self._filesystem: int | None = None
        self._thumbnails: dict[Style, BgrImage] = {}
        self._added: list[str] = []
        self._changed: list[str] = []
        self._unreadable: list[str] = []
        self._news: list[str] = []
        self._news_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watched folder", daemon=True)

    def start(self) -> None:
        """Start the thread; images become styles one after the other, by file name.

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
        """Stop the thread after the image that it is reading; calling it again is harmless."""
        self._stop.set()
        if self._thread.is_alive():
            # With a limit: file operations on a network drive can block for minutes.
            self._thread.join(CLOSE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def take_news(self) -> list[str]:
        """Messages for the screen since the last call, oldest first."""
        with self._news_lock:
            news, self._news = self._news, []
        return news

    def thumbnail(self, style: Style) -> BgrImage | None:
        """Thumbnail of a style, uint8 [THUMB, THUMB, 3] BGR, the same array each time; None where there is none.

        Styles of the folder have one from the start, fallback styles with an image soon after, mixes and the model's
        presets never.
        """
        return self._thumbnails.get(style)

    def _run(self) -> None:
        for style in self._given:
            if style.source is not None and not self._stop.is_set():
                # The image may have been deleted; the style works without a thumbnail.
                with suppress(LivestyleError):
                    self._thumbnails[style] = _thumbnail(read_reduced(style.source))
        while self._folder is not None and not self._stop.is_set():
            try:
                self._poll(self._folder)
            except BaseException as error:
                # Whatever it is, the styles so far stay, and the thread goes on.
                if not self._has_failed:
                    self._notify(
                        f"the folder {self._folder.name} cannot be watched ({first_line(error)}): trying again"
                    )
                self._has_failed = True
                self._stop.wait(RETRY_SECONDS)
            else:
                self._has_failed = False

    def _poll(self, folder: Path) -> None:
        file = self._scan(folder)
        if file is not None:
            self._read(folder, file)
        else:
            self._report()
            self._stop.wait(POLL_SECONDS)

    def _scan(self, folder: Path) -> str | None:
        """Update the known files from the folder; gives the name of the first file that is due to be read, if any."""
        now = time.monotonic()
        found = self._list(folder)
        if found is None:
            if not self._is_gone:
                self._notify(f"the folder {folder.name} is gone: its styles stay until it is back")
            self._is_gone = True
            return None
        if self._is_gone:
            self._notify(f"the folder {folder.name} is back")
        self._is_gone = False
        gone = [self._files.pop(name).style for name in self._files.keys() - found]
        for name, version in found.items():
            known = self._files.get(name)
            if known is None:
                first = self._is_first_scan
                # Files from before the start need no debounce, and those that are no images need no report.
                since = now - 2 * SETTLE_SECONDS if first else now
                self._files[name] = _File(version, since, was_present=first, reported=first and not _is_style(name))
            elif known.version != version:
                known.version, known.since, known.settled, known.failed = version, now, False, False
        if self._is_first_scan and not any(map(_is_style, found)):
            self._notify(f"there is no picture in {folder.name} yet: put some in")
        self._is_first_scan = False
        names = sorted(style.name for style in gone if style is not None)
        if names:
            self._publish()
            left = "" if any(file.style is not None for file in self._files.values()) else ": here are the presets"
            self._notify(_in_words(names, "{} is gone", "{} styles are gone") + left)
        due = (name for name, file in self._files.items() if not file.settled and file.read_at <= now)
        return min(due, default=None)

    def _list(self, folder: Path) -> dict[str, tuple[int, int]] | None:
        """See `_versions`; None where the folder is gone, or is an empty mount point since its drive was removed."""
        try:
            found, filesystem = _versions(folder), _filesystem_of(folder)
        except OSError:
            return None
        if self._files and not found and filesystem != self._filesystem:
            return None
        self._filesystem = filesystem
        return found

    def _read(self, folder: Path, name: str) -> None:
        file, path = self._files[name], folder / name
        try:
            if not is_image(path):
                raise StyleError(f"{name} is no style: pictures end with {' '.join(SUFFIXES)}")
            style = self._library.from_image(path)
            image = _thumbnail(read_reduced(path))
        except Exception as error:
            # Any exception: an unexpected error in a decoder or the encoder must not end the thread.
            self._fail(file, path, error)
            return
        file.settled, file.reported = True, False
        if file.style is None:
            if not file.was_present:
                self._added.append(style.name)
        elif np.array_equal(file.style.stats.values, style.stats.values):
            return
        else:
            self._changed.append(style.name)
        self._thumbnails[style] = image
        file.style, file.was_present = style, False
        self._publish()

    def _fail(self, file: _File, path: Path, error: Exception) -> None:
        if not file.failed:
            file.failed = True
            return
        file.settled, file.was_present = True, False
        if not file.reported:
            file.reported = True
            reason = "there is not enough memory" if is_memory_error(error) else first_line(error)
            text = str(error) if isinstance(error, LivestyleError) else f"cannot read {path}: {reason}"
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

    def _report(self) -> None:
        """Report what has been read since the last idle poll, in one message a kind however many files there are."""
        for names, one, many in (
            (self._added, "added {}", "added {} styles"),
            (self._changed, "{} has changed", "{} styles have changed"),
            (self._unreadable, "{}", "{} files cannot be read as pictures"),
        ):
            if names:
                self._notify(_in_words(names, one, many))
                names.clear()

    def _notify(self, text: str) -> None:
        with self._news_lock:
            self._news.append(text)


def _thumbnail(image: BgrImage) -> BgrImage:
    """Central square of an image (uint8 [H, W, 3] BGR), resampled to uint8 [THUMB, THUMB, 3] BGR."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(image[top : top + side, left : left + side], THUMB, THUMB)


def _versions(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of each file that is not hidden, by name; raises OSError where the folder is gone."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if not entry.name.startswith(".") and entry.is_file():
                    state = entry.stat()
                    found[entry.name] = (state.st_size, state.st_mtime_ns)
            except OSError:
                # Race: deleted between listing and stat. If the folder itself is gone, this raises.
                folder.stat()
    return found


def _filesystem_of(folder: Path) -> int:
    """Device number of the file system that a folder is on (``st_dev``)."""
    return folder.stat().st_dev


def _is_style(name: str) -> bool:
    return is_image(Path(name))


def _in_words(names: Sequence[str], one: str, many: str) -> str:
    return one.format(names[0]) if len(names) == 1 else many.format(len(names))
