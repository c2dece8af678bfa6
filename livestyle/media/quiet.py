"""OpenCV's log, silenced while cameras and image files are read."""

from __future__ import annotations

import os
import threading
from types import TracebackType


class _Quiet:
    """Context manager that silences OpenCV, and the FFmpeg in it, whose messages our own errors say better.

    The log level is one for all threads, so that it comes back when the last of them has left. The FFmpeg in PyAV is
    silent by default.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        import cv2

        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        with self._lock:
            if self._inside == 0:
                self._level = cv2.utils.logging.getLogLevel()
                cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import cv2

        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                cv2.utils.logging.setLogLevel(self._level)


quiet = _Quiet()
