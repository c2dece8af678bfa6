"""Images in a stream of bytes, found by their own markers: JPEG, PNG and WebP, whatever stands between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

LARGEST = 64 << 20
"""Bytes; what is longer without an end is no image."""

JPEG = b"\xff\xd8"
"""First bytes of a JPEG."""
START = re.compile(rb"\xff\xd8|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
"""First bytes of any image that is found."""
LONGEST_START = 12
"""Bytes of them at most."""
_PNG = b"\x89PNG\r\n\x1a\n"
_END = 0xD9
_SCAN = 0xDA
# In entropy-coded data, FF is followed by 00 (stuffing), by a restart marker, by another FF (fill) or by a marker.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class ImageSplitter:
    """Finds the images in a stream of bytes, and ignores what lies between them, such as multipart headers."""

    def __init__(self) -> None:
        self._data = bytearray()
        # Where the search for the end goes on; None until an image has begun.
        self._at: int | None = None
        self._find_end: Callable[[], int | None] = self._end_of_jpeg
        self._in_scan = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The images that these bytes complete. A JPEG without an end is given when the next one begins."""
        self._data += data
        while True:
            if self._at is None:
                start = START.search(self._data)
                if start is None:
                    # The first part of a start may be the last bytes.
                    del self._data[: 1 - LONGEST_START]
                    return
                # Before the data change: a match reads them only when it is asked.
                mark = bytes(start[0])
                del self._data[: start.start()]
                self._begin(mark)
            end = self._find_end()
            if end is None:
                if len(self._data) > LARGEST:
                    self._data.clear()
                    self._at = None
                return
            if end:
                yield bytes(self._data[:end])
            # A header that makes no sense: the next start lies somewhere behind this one.
            del self._data[: end or len(JPEG)]
            self._at = None

    def _begin(self, mark: bytes) -> None:
        self._at, self._in_scan = len(JPEG), False
        if mark == JPEG:
            self._find_end = self._end_of_jpeg
        elif mark == _PNG:
            self._at, self._find_end = len(_PNG), self._end_of_png
        else:
            self._find_end = self._end_of_webp

    # Each gives the length of the image; 0 where it is none, None where its end has not come yet.

    def _end_of_webp(self) -> int | None:
        size = int.from_bytes(self._data[4:8], "little")
        end = 8 + size + size % 2
        if end > LARGEST:
            return 0
        return end if len(self._data) >= end else None

    def _end_of_png(self) -> int | None:
        data = self._data
        assert self._at is not None
        while len(data) >= self._at + 8:
            length, name = int.from_bytes(data[self._at : self._at + 4], "big"), data[self._at + 4 : self._at + 8]
            if length > LARGEST or not name.isalpha():
                return 0
            # Its length, its name and its checksum.
            following = self._at + 12 + length
            if name == b"IEND":
                return following if len(data) >= following else None
            self._at = following
        return None

    def _end_of_jpeg(self) -> int | None:
        data = self._data
        assert self._at is not None
        while True:
            if self._in_scan:
                found = _MARKER.search(data, self._at)
                if found is None:
                    self._at = max(self._at, len(data) - 1)
                    return None
                self._at = found.start()
                self._in_scan = False
            if len(data) < self._at + 2:
                return None
            if data[self._at] != 0xFF:
                return 0
            marker = data[self._at + 1]
            if marker == _END:
                return self._at + 2
            if marker == JPEG[1]:
                # The image was cut off, and the next one begins.
                return self._at
            if marker == 0xFF or marker == 1 or 0xD0 <= marker <= 0xD7:
                self._at += 1 if marker == 0xFF else 2
                continue
            if len(data) < self._at + 4:
                return None
            self._in_scan = marker == _SCAN
            self._at += 2 + int.from_bytes(data[self._at + 2 : self._at + 4], "big")
