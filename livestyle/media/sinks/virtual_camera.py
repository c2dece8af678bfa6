"""Virtual camera (pyvirtualcam), which video calls and OBS take for a real one."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from fractions import Fraction
from time import monotonic
from typing import TYPE_CHECKING

from livestyle.errors import DeviceError, first_line
from livestyle.media.frames import FrameSink
from livestyle.media.resize import fit_into

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

WIDTH, HEIGHT, RATE = 1280, 720, 30
"""What programs for video calls ask for."""
DRIVERS = {
    "darwin": "install OBS Studio, then start and stop its virtual camera once",
    "linux": (
        "install v4l2loopback, on Debian and Ubuntu with sudo apt install v4l2loopback-dkms && "
        "sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label=livestyle"
    ),
    "win32": "install OBS Studio and start and stop its virtual camera once, or install UnityCapture",
}
"""How to install a driver, by `sys.platform`."""


class VirtualCamera(FrameSink):
    """Camera device of this machine that shows the newest image.

    A thread sends it at a constant rate, since video calls freeze or drop a camera that stalls; before the first image
    the camera is black. Its size is constant too, whatever the images have, which are letterboxed: programs open a
    camera once, most of them as 1280x720 at 30 frames per second.

    Args:
        width: of the camera's frames, in pixels; an odd one is rounded up to even by one more column.
        height: the same.
        rate: frames per second.

    Raises:
        DeviceError: pyvirtualcam is not installed, or there is no driver for it; the text says what to install.
    """

    def __init__(self, width: int = WIDTH, height: int = HEIGHT, rate: float = RATE) -> None:
        import numpy as np

        try:
            import pyvirtualcam
        except ImportError as error:
            raise DeviceError(
                f'a virtual camera needs pyvirtualcam ({error}): pip install "livestyle[virtualcam]"'
            ) from error
        self._size = (width + width % 2, height + height % 2)
        self._rate = rate
        try:
            self._camera = pyvirtualcam.Camera(*self._size, rate, fmt=pyvirtualcam.PixelFormat.BGR)
        except RuntimeError as error:
            reasons = "; ".join(str(error).splitlines()) or "there is none for this system"
            hint = DRIVERS.get(sys.platform, "")
            raise DeviceError(f"no virtual camera starts ({reasons})" + (f": {hint}" if hint else "")) from error
        self.device = str(self._camera.device)
        """Name of the device."""
        self._image: BgrImage = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        self._error: DeviceError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtual camera", daemon=True)
        self._thread.start()

    def write(self, image: BgrImage, time: Fraction | float) -> None:
        """Show this image from now on.

        Args:
            image: uint8 [H, W, 3] BGR, of any size; not copied, so it must not be changed afterwards.
            time: is not used.

        Raises:
            DeviceError: the camera has stopped.
        """
        if self._error is not None:
            raise self._error
        self._image = image

    def close(self) -> None:
        """Remove the camera.

        Raises:
            DeviceError: it had stopped before.
        """
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        with suppress(DeviceError):
            self.close()

    def _run(self) -> None:
        try:
            self._send()
        except BaseException as error:
            # Each system's back end raises errors of its own.
            self._error = DeviceError(
                f"the virtual camera {self.device} has stopped ({first_line(error)}): start it again"
            )
        finally:
            self._camera.close()

    def _send(self) -> None:
        image, due = None, monotonic()
        while not self._stop.wait(max(0.0, due - monotonic())):
            # Frames that a delay has cost are not made up for.
            due = max(due + 1 / self._rate, monotonic())
            newest = self._image
            if newest is not image:
                image, shown = newest, fit_into(newest, *self._size)
            self._camera.send(shown)
