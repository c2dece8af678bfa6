"""Sections ``cameras`` and ``screen``: cameras, the display, OpenCV's windows, and the driver of a virtual camera."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from livestyle.errors import DeviceError, InputError

from .finding import Finding, Section, State
from .packages import opencv_packages

LEAST_RATE = 15.0
"""Frames per second below which a camera is slower than it should be."""
PATIENCE = 5.0
"""Seconds to the first frame from which on a camera is slow to open."""
FINISH = "closing the window, q or Esc ends the program"


def check_cameras(measure: bool) -> Iterator[Finding]:
    """Findings on the cameras of this machine.

    Args:
        measure: open each, and measure the rate of each size that it has; several seconds each.
    """
    from livestyle.media.capture.probe import list_devices

    devices = list_devices()
    if not devices:
        mend = (
            "plug one in; or livestyle webcam --camera ADDRESS takes a stream, --camera demo the clip that comes along"
        )
        if sys.platform.startswith("linux"):
            mend += "; ls /dev/video* shows what the system sees"
        yield Finding(Section.CAMERAS, "cameras", State.NOTE, "none found", mend)
    for device in devices:
        name = f"camera {device.source}"
        path = Path(f"/dev/video{device.source}")
        if sys.platform.startswith("linux") and path.exists() and not os.access(path, os.R_OK | os.W_OK):
            text = f"{device.name}: {path} may not be read by this user"
            mend = 'sudo usermod -aG video "$USER", then log in again'
            yield Finding(Section.CAMERAS, name, State.WARNING, text, mend)
        elif measure:
            yield _measured(name, device.source, device.name)
        else:
            mend = "livestyle doctor --cameras opens it and measures sizes and rates"
            yield Finding(Section.CAMERAS, name, State.OK, device.name, mend, {"product": device.name})


def _measured(name: str, source: str, product: str) -> Finding:
    from livestyle.media.capture.probe import MEASURE_SECONDS, SETTLE_SECONDS, probe

    start, modes, opened = perf_counter(), list[tuple[int, int, float]](), 0.0
    try:
        for mode in probe(source):
            if not modes:
                opened = max(0.0, perf_counter() - start - MEASURE_SECONDS - SETTLE_SECONDS)
            modes.append((mode.width, mode.height, mode.rate))
    except InputError as error:
        text, _, mend = str(error).rpartition(": ")
        return Finding(Section.CAMERAS, name, State.WARNING, f"{product}: {text}", mend)
    shown = ", ".join(f"{width}x{height} at {rate:.1f} frames/s" for width, height, rate in modes)
    text = f"{product}: opens in {opened:.1f} s; {shown}"
    figures = {
        "product": product,
        "seconds_to_open": round(opened, 2),
        "modes": [{"width": width, "height": height, "rate": round(rate, 2)} for width, height, rate in modes],
    }
    if opened > PATIENCE:
        mend = "plug it in directly, not through a hub, and close other programs that use it"
        return Finding(Section.CAMERAS, name, State.WARNING, text, mend, figures)
    if modes and modes[0][2] < LEAST_RATE:
        mend = "give it more light (cameras expose longer in the dark), a USB 3 port, or --size 640x360"
        return Finding(Section.CAMERAS, name, State.WARNING, text, mend, figures)
    return Finding(Section.CAMERAS, name, State.OK, text, figures=figures)


def check_screen() -> Iterator[Finding]:
    """Findings on the display, OpenCV's windows and the virtual camera."""
    yield _windows()
    yield _display()
    yield _virtual_camera()


def _windows() -> Finding:
    """Whether OpenCV was built with windows at all."""
    import cv2

    packages = opencv_packages()
    # Asking it opens no window; older builds lack the function.
    toolkit = cv2.currentUIFramework() if hasattr(cv2, "currentUIFramework") else "?"
    name = "windows"
    figures = {"toolkit": toolkit, "packages": packages}
    if not toolkit:
        shown = f" ({' and '.join(packages)})" if packages else ""
        text = f"OpenCV {cv2.__version__}{shown} has none, so that livestyle webcam needs --no-window"
        mend = f"pip uninstall -y {' '.join(packages) or 'opencv-python-headless'} && pip install opencv-python"
        return Finding(Section.SCREEN, name, State.WARNING, text, mend, figures)
    return Finding(Section.SCREEN, name, State.OK, f"OpenCV {cv2.__version__} has them, by {toolkit}", figures=figures)


def _display() -> Finding:
    from livestyle.live.window import require_display

    try:
        require_display()
    except DeviceError as error:
        text = str(error)
        _, colon, mend = text.partition("with apt install ")
        if colon:
            return Finding(Section.SCREEN, "display", State.WARNING, text, f"sudo apt install {mend}")
        mend = "livestyle webcam --no-window --serve 8080 shows it in a browser; over ssh, ssh -X brings a display"
        if os.environ.get("WAYLAND_DISPLAY"):
            mend = "sudo apt install xwayland, then log in again: OpenCV's windows speak X11"
        return Finding(Section.SCREEN, "display", State.WARNING, text, mend)
    where = os.environ.get("DISPLAY", "") if sys.platform.startswith("linux") else ""
    text = f"answers{f' at {where}' if where else ''}; {FINISH}"
    return Finding(Section.SCREEN, "display", State.OK, text)


def _virtual_camera() -> Finding:
    from livestyle.media.sinks.virtual_camera import DRIVERS, VirtualCamera

    name, driver = "virtual camera", DRIVERS.get(sys.platform, "")
    try:
        camera = VirtualCamera(640, 360)
    except DeviceError as error:
        text = str(error)
        if isinstance(error.__cause__, ImportError):
            install, hint = 'pip install "livestyle[virtualcam]"', "not set up: Zoom, Teams and OBS see no livestyle"
            mend = f"{install}, and {driver}" if driver else install
            return Finding(Section.SCREEN, name, State.NOTE, hint, mend)
        return Finding(Section.SCREEN, name, State.WARNING, text.removesuffix(f": {driver}"), driver)
    device = camera.device
    try:
        camera.close()
    except DeviceError as error:
        return Finding(Section.SCREEN, name, State.WARNING, str(error), driver)
    return Finding(Section.SCREEN, name, State.OK, f"starts as {device}", figures={"device": device})
