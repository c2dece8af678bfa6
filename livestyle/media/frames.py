"""What every source and sink of frames has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np


class Frame:
    """A picture of a film or a camera.

    Args:
        image: uint8 [H, W, 3] BGR, upright; or a function that makes it, which is called when somebody looks at it.
        time: seconds; exact (a Fraction) from a file, of the clock of `time.monotonic` from a camera.
        duration: seconds that it stays on the screen; 0 where nobody knows.
    """

    def __init__(
        self, image: np.ndarray | Callable[[], np.ndarray], time: Fraction | float, duration: Fraction | float = 0
    ) -> None:
        self.time = time
        self.duration = duration
        self._image = image

    @property
    def image(self) -> np.ndarray:
        """uint8 [H, W, 3] BGR; the same object each time."""
        if callable(self._image):
            self._image = self._image()
        return self._image

    def at(self, time: Fraction | float, duration: Fraction | float) -> Frame:
        """The same picture at another time."""
        return Frame(lambda: self.image, time, duration)

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Frame:
        """What a function makes of the picture, when somebody looks at it."""
        return Frame(lambda: change(self.image), self.time, self.duration)


class FrameSource(ABC):
    """Gives frames, of one size if it says no more; a context manager that lets go of its file or camera at the end."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Of every frame, in pixels."""

    @property
    @abstractmethod
    def height(self) -> int:
        """Of every frame, in pixels."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames, in the order of their time."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open; again is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class FrameSink(ABC):
    """Takes frames, of one size unless it says otherwise.

    A context manager that completes the result, or drops it where the body raised.
    """

    @abstractmethod
    def write(self, image: np.ndarray, time: Fraction | float) -> None:
        """Take the next frame: uint8 [H, W, 3] BGR, at its time in seconds."""

    @abstractmethod
    def close(self) -> None:
        """Complete the result."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the result, so that nothing half-finished is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()
