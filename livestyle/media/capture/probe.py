"""Which cameras there are, the sizes that they give, and their rates as measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from livestyle.errors import InputError
from livestyle.media.images import read_image

from .camera import camera_name, check_source, device_backends, is_device, is_still, shots

SIZES = (
    (320, 240),
    (640, 360),
    (640, 480),
    (800, 600),
    (1280, 720),
    (1280, 960),
    (1920, 1080),
    (2560, 1440),
    (3840, 2160),
)
"""What cameras are asked for; they answer with the nearest that they have."""
SETTLE_SECONDS = 0.3
"""A camera's first frames come in a rush, or late while it finds the light."""
MEASURE_SECONDS = 1.0


@dataclass(frozen=True)
class DeviceInfo:
    """A camera of this computer.

    Attributes:
        source: what `--camera` takes for it.
        name: what its maker calls it.
    """

    source: str
    name: str


@dataclass(frozen=True)
class Mode:
    """What a camera gives.

    Attributes:
        width: in pixels.
        height: in pixels.
        rate: frames a second, measured; 0 for a picture.
    """

    width: int
    height: int
    rate: float

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}"
        return f"{size:<9}  {self.rate:.1f} frames/s" if self.rate else f"{size:<9}  a picture"


def list_devices() -> list[DeviceInfo]:
    """The cameras of this computer by their numbers; none of them is opened."""
    from cv2_enumerate_cameras import enumerate_cameras

    # Numbers are those of the back end that is tried first.
    found = sorted(enumerate_cameras(device_backends()[0]), key=lambda camera: camera.index)
    return [DeviceInfo(str(camera.index), camera.name) for camera in found]


def probe(source: str) -> Iterator[Mode]:
    """Measure a camera: first what it gives unasked, then the other sizes that it has, each for about a second.

    Args:
        source: as `Camera` takes it; streams and files have one size.

    Raises:
        InputError: it does not open.
    """
    check_source(source)
    known: set[tuple[int, int]] = set()
    for size in (None, *SIZES) if is_device(source) else (None,):
        try:
            mode = _measure(source, size, known)
        except InputError:
            # Some cameras stop at a size that they do not have.
            if not known:
                raise
            continue
        if mode is not None:
            known.add((mode.width, mode.height))
            yield mode


def run_cameras(sources: Sequence[str] = ()) -> None:
    """Print cameras with their sizes and rates, line by line as they are measured.

    Args:
        sources: as `Camera` takes them; none are all cameras of this computer.

    Raises:
        InputError: no camera was found, or one of ``sources`` does not open.
    """
    if sources:
        for source in sources:
            print(camera_name(source), flush=True)
            _print_modes(source)
        return
    devices = list_devices()
    if not devices:
        raise InputError(
            "no camera was found: plug one in and check that the system sees it, or measure a stream or a file with "
            "livestyle cameras ADDRESS"
        )
    for device in devices:
        print(f"{device.source}: {device.name}", flush=True)
        try:
            _print_modes(device.source)
        except InputError as error:
            # The others may do.
            print(f"    {error}", flush=True)


def _print_modes(source: str) -> None:
    for mode in probe(source):
        print(f"    {mode}", flush=True)


def _measure(source: str, size: tuple[int, int] | None, known: set[tuple[int, int]]) -> Mode | None:
    """What a camera gives when it is asked for a size; None where that is a size that is known."""
    if is_still(source):
        image = read_image(Path(source))
        return Mode(image.shape[1], image.shape[0], 0)
    width = height = 0
    begin, times = 0.0, list[float]()
    with closing(shots(source, size, threading.Event())) as pictures:
        for image, grabbed in pictures:
            height, width = image.shape[:2]
            if (width, height) in known:
                return None
            begin = begin or grabbed
            if grabbed - begin >= SETTLE_SECONDS:
                times.append(grabbed)
            if len(times) > 1 and times[-1] - times[0] >= MEASURE_SECONDS:
                break
    if len(times) < 2:
        raise InputError(f"{camera_name(source)} stopped while it was measured: check it and try again")
    return Mode(width, height, (len(times) - 1) / (times[-1] - times[0]))
