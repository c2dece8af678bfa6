"""Cameras of this computer, with the sizes that they offer and the frame rates that they really reach."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from livestyle.errors import InputError
from livestyle.media.images import read_image
from livestyle.text import escaped

from .camera import live_frames
from .device import device_backends
from .kinds import SourceKind, check_source, source_kind, source_name
from .timeouts import Timeouts

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
"""Sizes that cameras are asked for; they answer with the nearest that they have."""
SETTLE_SECONDS = 0.3
"""Not measured: first frames come in a burst, or late while the camera adjusts its exposure."""
MEASURE_SECONDS = 1.0
"""Length of a measurement."""


@dataclass(frozen=True)
class DeviceInfo:
    """A camera of this computer.

    Attributes:
        source: its number, as `Camera` takes it.
        name: of the product.
    """

    source: str
    name: str


@dataclass(frozen=True)
class Mode:
    """Size and rate of a camera's frames.

    Attributes:
        width: in pixels.
        height: in pixels.
        rate: frames per second, measured; 0 for an image.
    """

    width: int
    height: int
    rate: float

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}"
        return f"{size:<9}  {self.rate:.1f} frames/s" if self.rate else f"{size:<9}  a picture"


def list_devices() -> list[DeviceInfo]:
    """The cameras of this computer in the order of their numbers; none of them is opened."""
    from cv2_enumerate_cameras import enumerate_cameras

    # Each back end has its own numbers; the first one is what `Camera` tries first.
    found = sorted(enumerate_cameras(device_backends()[0]), key=lambda camera: camera.index)
    return [DeviceInfo(str(camera.index), camera.name) for camera in found]


def probe(
    source: str,
    seconds: float = MEASURE_SECONDS,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 (it cannot be changed)
    insecure: bool = False,
) -> Iterator[Mode]:
    """Measurement of a camera: first the mode that it gives unasked, then each other size that it has.

    Args:
        source: as of `Camera`; streams and files have one size.
        seconds: length of each measurement.
        timeouts: for opening and reading.
        insecure: take any certificate of an encrypted stream.

    Raises:
        InputError: it does not open.
    """
    check_source(source)
    if source_kind(source) is SourceKind.IMAGE:
        image = read_image(Path(source))
        yield Mode(image.shape[1], image.shape[0], 0)
        return
    known: set[tuple[int, int]] = set()
    for size in (None, *SIZES) if source_kind(source) is SourceKind.DEVICE else (None,):
        try:
            mode = _measure(source, size, known, seconds, timeouts, insecure)
        except InputError:
            # Some cameras stop when they are asked for a size that they do not have.
            if not known:
                raise
            continue
        if mode is not None:
            known.add((mode.width, mode.height))
            yield mode


def run_cameras(sources: Sequence[str] = (), seconds: float = MEASURE_SECONDS, insecure: bool = False) -> None:
    """Print cameras with their sizes and rates, line by line as they are measured.

    Args:
        sources: as of `Camera`; without any, all cameras of this computer.
        seconds: length of each measurement.
        insecure: take any certificate of an encrypted stream.

    Raises:
        InputError: no camera was found, or one of ``sources`` does not open.
    """
    if sources:
        for source in sources:
            print(escaped(source_name(source)), flush=True)
            _print_modes(source, seconds, insecure)
        return
    devices = list_devices()
    if not devices:
        raise InputError(
            "no camera was found: plug one in and check that the system sees it, or measure a stream or a file with "
            "livestyle cameras ADDRESS"
        )
    for device in devices:
        print(escaped(f"{device.source}: {device.name}"), flush=True)
        try:
            _print_modes(device.source, seconds)
        except InputError as error:
            # The others may do.
            print(f"    {escaped(error)}", flush=True)


def _print_modes(source: str, seconds: float, insecure: bool = False) -> None:
    for mode in probe(source, seconds, insecure=insecure):
        print(f"    {mode}", flush=True)


def _measure(
    source: str,
    size: tuple[int, int] | None,
    known: set[tuple[int, int]],
    seconds: float,
    timeouts: Timeouts,
    insecure: bool,
) -> Mode | None:
    """The mode of a camera that is asked for a size; None where the size that it gives is known already."""
    width = height = 0
    begin, times = 0.0, list[float]()
    with closing(live_frames(source, size, threading.Event(), timeouts, insecure=insecure)) as frames:
        for frame in frames:
            height, width = frame.image.shape[:2]
            if (width, height) in known:
                return None
            time = float(frame.time)
            begin = begin or time
            if time - begin >= SETTLE_SECONDS:
                times.append(time)
            if len(times) > 1 and times[-1] - times[0] >= seconds:
                break
    if len(times) < 2:
        raise InputError(f"{source_name(source)} stopped while it was measured: check it and try again")
    return Mode(width, height, (len(times) - 1) / (times[-1] - times[0]))
