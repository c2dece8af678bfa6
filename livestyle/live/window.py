"""A window on the screen, by OpenCV."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from livestyle.errors import DeviceError

if TYPE_CHECKING:
    import numpy as np

FIRST_SIZE = (1280, 720)
"""A window opens no larger than this, in pixels."""
LEAST_HEIGHT = 360


class Screen(Protocol):
    """What the program needs of a window, see `Window`."""

    @property
    def is_open(self) -> bool: ...
    @property
    def is_full_screen(self) -> bool: ...
    def toggle_full_screen(self) -> None: ...
    def fit(self, width: int, height: int) -> None: ...
    def show(self, image: np.ndarray) -> None: ...
    def wait_key(self, milliseconds: int) -> int | None: ...


def require_display() -> None:
    """Check that a window can be opened.

    Raises:
        DeviceError: there is no display, on which OpenCV would abort the process.
    """
    trouble = _display_trouble()
    if trouble:
        raise DeviceError(trouble, setting=("window", "serve", "record"))


def _display_trouble() -> str:
    if not sys.platform.startswith("linux"):
        return ""
    hint = "a window needs a screen; without one, serve the painting or record it"
    display = os.environ.get("DISPLAY", "")
    if os.environ.get("QT_QPA_PLATFORM", "xcb").partition(":")[0] != "xcb":
        # Another platform of Qt that somebody has chosen, such as wayland or offscreen.
        return ""
    if not display:
        return f"no display found: {hint}"
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        x11 = None
    if x11 is not None:
        x11.XOpenDisplay.restype = ctypes.c_void_p
        connection = x11.XOpenDisplay(display.encode())
        if not connection:
            return f"no display found (DISPLAY is {display} and does not answer): {hint}"
        x11.XCloseDisplay(ctypes.c_void_p(connection))
    return _qt_trouble()


def _qt_trouble() -> str:
    """A missing system library that OpenCV's windows need, without which Qt aborts the process."""
    import cv2

    plugin = Path(cv2.__file__).parent / "qt" / "plugins" / "platforms" / "libqxcb.so"
    if plugin.is_file():
        try:
            ctypes.CDLL(str(plugin))
        except OSError as error:
            return (
                f"OpenCV cannot open a window ({error}): install the missing library, "
                "on Debian and Ubuntu with apt install libgl1 libxcb-cursor0 libxkbcommon-x11-0"
            )
    return ""


class Window:
    """A resizable window that keeps the aspect ratio of the image.

    Use it from the main thread only. Keys arrive, and the close button is noticed, during `wait_key`.

    Args:
        title: of the window.
        width: of the images to come, in pixels; the window opens with this aspect ratio.
        height: the same.

    Raises:
        DeviceError: this OpenCV has no windows.
    """

    def __init__(self, title: str, width: int, height: int) -> None:
        import cv2

        self._title = title
        self._full_screen = False
        self._open = True
        self._shape = 0.0
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            self.fit(width, height)
        except cv2.error as error:
            raise DeviceError(
                "this OpenCV has no windows: pip uninstall opencv-python-headless, then pip install opencv-python"
            ) from error

    def fit(self, width: int, height: int) -> None:
        """Take the aspect ratio of images of this size in pixels, unless the window has it or fills the screen."""
        import cv2

        if self._full_screen or not self._open or abs(width / height - self._shape) < 0.01:
            return
        self._shape = width / height
        factor = min(max(1.0, LEAST_HEIGHT / height), FIRST_SIZE[0] / width, FIRST_SIZE[1] / height)
        cv2.resizeWindow(self._title, round(width * factor), round(height * factor))

    @property
    def is_full_screen(self) -> bool:
        """Whether it fills the screen."""
        return self._full_screen

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed it."""
        return self._open

    def show(self, image: np.ndarray) -> None:
        """Show an image, uint8 [H, W, 3] BGR; a closed window stays closed."""
        import cv2

        if self._open:
            cv2.imshow(self._title, image)

    def wait_key(self, milliseconds: int) -> int | None:
        """Code of the next key, as ``cv2.waitKeyEx`` gives it; None after ``milliseconds`` (1 or more) without one.

        Of keys that were pressed between two calls, OpenCV gives only the last.
        """
        import cv2

        code = cv2.waitKeyEx(milliseconds)
        self._open = self._open and self._is_visible()
        return None if code == -1 else code

    def _is_visible(self) -> bool:
        import cv2

        try:
            visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE)
            # GTK gives -1 for any window here, but for this other property only once the window is gone.
            return visible > 0 or (visible < 0 <= cv2.getWindowProperty(self._title, cv2.WND_PROP_AUTOSIZE))
        except cv2.error:
            return False

    def toggle_full_screen(self) -> None:
        """Switch between full screen and a window."""
        import cv2

        self._full_screen = not self._full_screen
        mode = cv2.WINDOW_FULLSCREEN if self._full_screen else cv2.WINDOW_NORMAL
        cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, mode)

    def close(self) -> None:
        """Destroy the window; calling it again is harmless."""
        import cv2

        self._open = False
        try:
            cv2.destroyWindow(self._title)
            cv2.waitKey(1)
        except cv2.error:
            # It was closed with its button.
            return


def show_video(path: str | Path) -> bool:
    """Play a video file once in a window, without its sound; q, Esc or the close button ends it.

    Returns:
        False, and nothing is done, where there is no display or OpenCV has no windows.

    Raises:
        InputError: it is no video.
    """
    if _display_trouble():
        return False
    from livestyle.media.video.reader import VideoReader

    from .keymap import Action, read_key

    with VideoReader(Path(path), video_only=True) as video:
        try:
            window = Window(f"livestyle: {Path(path).name}", video.width, video.height)
        except DeviceError:
            return False
        with closing(window):
            start = time.monotonic()
            for frame in video:
                window.show(frame.image)
                end = start + float(frame.time + frame.duration)
                while True:
                    left = end - time.monotonic()
                    press = read_key(window.wait_key(max(1, round(left * 1000))) or 0)
                    if not window.is_open or (press is not None and press.action is Action.QUIT):
                        return True
                    if left <= 0:
                        break
    return True
