"""Frames, and what every source and sink of frames has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from .depth import eight_bits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .video.info import VideoInfo

BgrImage: TypeAlias = "NDArray[np.uint8]"
"""Colour image, uint8 [H, W, 3] in the order blue, green, red: OpenCV's."""
GreyImage: TypeAlias = "NDArray[np.uint8]"
"""Single-channel image, uint8 [H, W]; as a mask, 255 is the foreground."""


class Frame:
    """An image of a video or a camera with its time.

    Args:
        image: upright; or a function that makes it, which is called on first access. uint8, or uint16 of a source that
            has more than 8 bits and was asked for them.
        time: seconds; exact (a Fraction) from a file, on the clock of `time.monotonic` from a camera.
        duration: seconds on the screen; 0 where it is unknown.
        alpha: opacity of what was laid over white, where a source is to give it; or a function, as of ``image``.
    """

    def __init__(
        self,
        image: np.ndarray | Callable[[], np.ndarray],
        time: Fraction | float,
        duration: Fraction | float = 0,
        alpha: GreyImage | Callable[[], GreyImage | None] | None = None,
    ) -> None:
        self.time = time
        self.duration = duration
        self._image = image
        self._alpha = alpha

    @property
    def pixels(self) -> np.ndarray:
        """uint8 or uint16 [H, W, 3] BGR, as deep as the source gives them; the same object each time."""
        if callable(self._image):
            self._image = self._image()
        return self._image

    @property
    def image(self) -> BgrImage:
        """uint8 [H, W, 3] BGR; of 8 bits the same object each time."""
        return eight_bits(self.pixels)

    @property
    def alpha(self) -> GreyImage | None:
        """Opacity, as deep as ``pixels``, [H, W], of what was laid over white; None where nobody asked for it."""
        if callable(self._alpha):
            self._alpha = self._alpha()
        return self._alpha

    def at(self, time: Fraction | float, duration: Fraction | float) -> Frame:
        """The same image at another time."""
        return Frame(lambda: self.pixels, time, duration, lambda: self.alpha)

    def changed(self, change: Callable[[Any], Any]) -> Frame:
        """The frame with its image, and its alpha channel, passed through a function of arrays, lazily."""

        def alpha() -> GreyImage | None:
            return None if self.alpha is None else change(self.alpha)

        return Frame(lambda: change(self.pixels), self.time, self.duration, alpha)


class FrameSource(Protocol):
    """Source of frames: a camera, a video, an image; a context manager that closes it."""

    @property
    def width(self) -> int:
        """Of the frames, in pixels; of the newest frame where their size may change."""

    @property
    def height(self) -> int:
        """Of the frames, in pixels; of the newest frame where their size may change."""

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in the order of their time."""

    def close(self) -> None:
        """Release the file or the device; calling it again is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class VideoSource(FrameSource, Protocol):
    """Source of frames that ends: a video file, a piped video or raw frames. Counters grow while it is iterated."""

    info: VideoInfo
    """Of the frames to come."""
    decoded: int
    """Frames given so far, concealed ones included."""
    concealed: int
    """Of these, copies of the last good frame that stand in for damaged ones."""
    bits: int = 8
    """Of a channel in the file, whatever the images have."""

    @property
    def width(self) -> int:
        return self.info.width

    @property
    def height(self) -> int:
        return self.info.height

    @property
    def expected(self) -> int | None:
        """Approximate number of frames; None where it is unknown."""

    @property
    def damage(self) -> str | None:
        """One sentence on what could not be read so far; None where nothing was damaged."""

    @property
    def notes(self) -> list[str]:
        """Sentences on what was repaired or changed of the video so far, beside its ``damage``."""
        return []


class FrameSink(Protocol):
    """Destination of frames; a context manager that completes the result, or discards it when the body raised."""

    def write(self, image: BgrImage, time: Fraction | float) -> None:
        """Take the next frame.

        Args:
            image: uint8 [H, W, 3] BGR.
            time: seconds.
        """

    def close(self) -> None:
        """Complete the result."""

    def abort(self) -> None:
        """Discard the result, so that nothing half-finished is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


class VideoSink(FrameSink, Protocol):
    """Sink of frames whose durations matter: a video file, a piped video or raw frames."""

    def write(self, image: np.ndarray, time: Fraction | float, duration: Fraction | float = 0) -> None:
        """Take the next frame.

        Args:
            image: uint8 [H, W, 3] BGR; of a sink for more than 8 bits uint16, too.
            time: seconds.
            duration: seconds on the screen; 0 is one frame at the video's rate.
        """
