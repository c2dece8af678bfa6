"""Two regions of a picture: a mask says where the foreground is, and a style or nothing is painted behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from livestyle.errors import InputError, StyleError
from livestyle.media.images import decode_mask, is_image

if TYPE_CHECKING:
    import numpy as np

    from livestyle.media.frames import Frame
    from livestyle.media.video.reader import VideoReader

    from .library import Style
    from .timeline import Timeline

T = TypeVar("T")

ORIGINAL = "original"
"""As the name of a background: the content as it is."""


@dataclass(frozen=True)
class Regions:
    """What divides frames into a foreground, which is painted in the style, and a background.

    Attributes:
        mask: a picture or a video whose white is the foreground, see `Mask`.
        background: the style of the background; None leaves the content as it is there.

    Raises:
        InputError: the mask cannot be read.
    """

    mask: Path
    background: Style | Timeline | None = None

    def __post_init__(self) -> None:
        # Now, and not in the middle of the work.
        Mask(self.mask).close()

    @classmethod
    def of(cls, mask: Path | None, background: str | None) -> Regions | None:
        """What is asked for, before the style of the background is found; None without a mask.

        Raises:
            InputError: the mask cannot be read, or is missing where a background is named.
        """
        if mask is not None:
            return cls(mask)
        if background is not None:
            raise InputError("a background needs a mask: say with --mask FILE where the foreground is")
        return None


def find_background(text: str | None, find: Callable[[str], Sequence[T]]) -> T | None:
    """The style of the background that a text names; None for the content as it is.

    Args:
        text: of one style, or ``original``; None is that too.
        find: the styles that a text names, such as `livestyle.StyleLibrary.find`.

    Raises:
        StyleError: there is no such style, or it is a folder of several.
    """
    if text is None or text == ORIGINAL:
        return None
    found = find(text)
    if len(found) != 1:
        raise StyleError(f"{text} is a folder: name one style for the background")
    return found[0]


class Mask:
    """Where the foreground is, from a file, over time.

    Of a picture in which anything is transparent, as in a cut-out, the alpha channel counts; of other pictures and of
    videos their grey. White, or opaque, is the foreground. The mask is stretched over frames of any size.

    Args:
        path: a picture, which never changes, or a video.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        from livestyle.media.video.animation import is_animated
        from livestyle.media.video.reader import VideoReader

        self._video: VideoReader | None = None
        self._frames: Iterator[Frame] = iter(())
        self._next: Frame | None = None
        self._scaled: np.ndarray | None = None
        try:
            if not path.is_file():
                raise InputError(
                    f"there is no mask {path}: name a picture or a video, in which white is the foreground"
                )
            self.is_still = (is_image(path) or path.suffix.lower() == ".gif") and not is_animated(path)
            """Whether it is the same at all times."""
            data = path.read_bytes() if self.is_still else b""
        except OSError as error:
            raise InputError(f"cannot read the mask {path}: {error.strerror or error}") from error
        if self.is_still:
            self._grey = decode_mask(data, path)
        else:
            self._video = VideoReader(path)
            self._frames = iter(self._video)
            self._grey = _grey(next(self._frames).image)
            self._next = self._following()

    def at(self, time: Fraction | float, width: int, height: int) -> np.ndarray:
        """The mask at a time: the video's frame that is shown then, the first one before it and the last one after it.

        Args:
            time: in seconds of the video, never less than the last time.
            width: to scale it to, in pixels.
            height: to scale it to, in pixels.

        Returns:
            uint8 [height, width]: 255 is foreground. The same array as the last time, where nothing has changed.
        """
        import cv2

        shown = None
        while self._next is not None and self._next.time <= time:
            shown, self._next = self._next, self._following()
        if shown is not None:
            self._grey, self._scaled = _grey(shown.image), None
        if self._scaled is None or self._scaled.shape != (height, width):
            smaller = width < self._grey.shape[1]
            method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            self._scaled = cv2.resize(self._grey, (width, height), interpolation=method)
        return self._scaled

    def _following(self) -> Frame | None:
        assert self._video is not None
        # Nobody takes the sound of a mask.
        self._video.packets.clear()
        return next(self._frames, None)

    @property
    def damage(self) -> str | None:
        """One sentence on what could not be read of a video so far; None for a sound file."""
        return None if self._video is None else self._video.damage

    def close(self) -> None:
        """Let go of the file; again is harmless."""
        if self._video is not None:
            self._video.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _grey(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
