"""The newest image as a JPEG for many readers: encoded once, when one of them first asks for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from livestyle.errors import OutputError

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

QUALITY = 85
"""JPEG quality, 0..100."""


class NewestJpeg:
    """The newest image with a serial number, encoded when a client first asks for it.

    Args:
        loop: of the server.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.error: OutputError | None = None
        """Why the last image could not be encoded."""
        self._loop = loop
        self._newest: tuple[int, BgrImage | None] = (0, None)
        self._encoded = (0, b"")
        self._changed = asyncio.Event()
        self._encoding = asyncio.Lock()
        self._encoder = ThreadPoolExecutor(1, "jpeg")

    def put(self, image: BgrImage) -> None:
        self._newest = (self._newest[0] + 1, image)
        with suppress(RuntimeError):
            # The loop is closed.
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        self._encoder.shutdown(wait=False, cancel_futures=True)

    async def get(self, after: int = 0, timeout: float = 0) -> tuple[int, bytes]:
        """Number and JPEG of the newest image, as soon as its number exceeds ``after``, or after ``timeout`` seconds.

        The JPEG is empty while there is no image.
        """
        if self._newest[0] <= after:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
        async with self._encoding:
            number, image = self._newest
            if image is not None and number != self._encoded[0]:
                try:
                    self._encoded = (number, await self._loop.run_in_executor(self._encoder, encode, image))
                except Exception as error:
                    self.error = OutputError(f"the server cannot encode the painting ({error}): start it again")
            return self._encoded

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def encode(image: BgrImage) -> bytes:
    import cv2

    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
