"""A mask over time: where the foreground is, from an image or a video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast

from livestyle.errors import InputError

from .images import is_image, read_mask
from .images.numbered import Numbered

if TYPE_CHECKING:
    from .frames import BgrImage, Frame, GreyImage
    from .video.reader import VideoReader
    from .video.sequence_reader import SequenceReader

T = TypeVar("T")


class StillMask:
    """Mask that is the same at all times.

    Args:
        grey: uint8 [H, W]: 255 is foreground. It is stretched over frames of any size.
    """

    def __init__(self, grey: GreyImage) -> None:
        self.grey = grey
        self._scaled: GreyImage | None = None

    def at(self, _time: Fraction | float, width: int, height: int) -> GreyImage:
        """The mask at any time, uint8 [height, width]; the same array as in the call before, if that had this size."""
        import cv2

        if self._scaled is None or self._scaled.shape != (height, width):
            # Bilinear: bicubic rings at hard edges.
            method = cv2.INTER_AREA if width < self.grey.shape[1] else cv2.INTER_LINEAR
            self._scaled = cast("GreyImage", cv2.resize(self.grey, (width, height), interpolation=method))
        return self._scaled


class Mask:
    """Foreground mask from a file, over time.

    The alpha channel of an image counts where anything is transparent, as in a cut-out; of other images and of videos
    the luma does. White, or opaque, is the foreground. The mask is stretched over frames of any size.

    Args:
        path: an image, which never changes, a video, or a numbered image sequence.
        start: seconds of the mask's video that lie at time 0.
        rate: frames per second of an image sequence, those of what it is laid over; None is its own default.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """

    def __init__(self, path: str | Path, start: Fraction | float = 0, rate: Fraction | None = None) -> None:
        # PyAV is not needed for the mask of a camera, which is an image.
        from .video.animation import is_animated
        from .video.reader import VideoReader

        self.path = path = Path(path)
        self.start = start
        self._video: VideoReader | SequenceReader | None = None
        self._frames: Iterator[Frame] = iter(())
        self._next: Frame | None = None
        try:
            numbered = None if path.is_file() else Numbered.parse(path)
            if not path.is_file() and (numbered is None or not numbered.numbers()):
                what = f"the mask {path} is no file" if path.exists() else f"there is no mask {path}"
                raise InputError(f"{what}: name a picture or a video, in which white is the foreground")
        except OSError as error:
            raise InputError(f"cannot read the mask {path}: {error.strerror or error}") from error
        self.is_still = numbered is None and (is_image(path) or path.suffix.lower() == ".gif") and not is_animated(path)
        """Whether it is the same at all times."""
        if self.is_still:
            self.shown = StillMask(read_mask(path))
            """The mask as it was at the last time that was asked for."""
        else:
            if numbered is None:
                self._video = VideoReader(path, video_only=True)
            else:
                from .video.sequence_reader import SequenceReader

                self._video = SequenceReader(numbered, rate)
            self._frames = iter(self._video)
            self.shown = StillMask(_luma(next(self._frames).image))
            self._next = next(self._frames, None)

    def at(self, time: Fraction | float, width: int, height: int) -> GreyImage:
        """The mask at a time: the video's frame on the screen then, clamped to its first and last frames.

        Args:
            time: seconds, counted from ``start``; never less than in the call before.
            width: to scale it to, in pixels.
            height: to scale it to, in pixels.

        Returns:
            uint8 [height, width]: 255 is foreground. The same array as in the call before, where nothing has changed.
        """
        shown = None
        while self._next is not None and self._next.time <= time + self.start:
            shown, self._next = self._next, next(self._frames, None)
        if shown is not None:
            self.shown = StillMask(_luma(shown.image))
        return self.shown.at(time, width, height)

    @property
    def damage(self) -> str | None:
        """One sentence on what could not be read of a video so far; None where nothing was damaged."""
        return None if self._video is None else self._video.damage

    def close(self) -> None:
        """Release the file; calling it again is harmless."""
        if self._video is not None:
            self._video.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def reopened(mask: T, start: Fraction | float = 0, rate: Fraction | None = None) -> Iterator[T | Mask]:
    """Context manager for a mask of a job's own, read from its beginning: a video's position is shared with nobody.

    Args:
        mask: a `Mask`, which is opened once more; anything else, None too, is given back.
        start: seconds by which it starts later than ``mask``.
        rate: see `Mask`.

    Raises:
        InputError: the file cannot be read any more.
    """
    if isinstance(mask, Mask):
        with Mask(mask.path, mask.start + start, rate) as own:
            yield own
    else:
        yield mask


def _luma(image: BgrImage) -> GreyImage:
    import cv2

    return cast("GreyImage", cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
