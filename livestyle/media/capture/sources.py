"""Any source of frames, opened by its name: camera, stream, video file or image file."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from livestyle.media.frames import BgrImage, Frame, FrameSource
from livestyle.media.images import read_image
from livestyle.media.resize import fit_size, resize

from .camera import Camera
from .kinds import SourceKind, check_source, source_kind
from .shape import square_size


def open_source(source: str | Path, size: tuple[int, int] | None = None, *, insecure: bool = False) -> FrameSource:
    """Source of frames, to iterate over and to close, for instance by ``with``.

    A camera or a stream gives its latest frame whenever one is asked for, without an end (`Camera`). A video file gives
    every frame once, in order, with its exact time, and an image file gives one frame. Frames are upright, and their
    pixels square.

    Args:
        source: a camera's number such as "0", a device such as ``/dev/video1``, a stream's address (``rtsp://``,
            ``http://``), a video file or an image file.
        size: width and height in pixels that larger frames are scaled to fit into, with their aspect ratio kept.
        insecure: take any certificate of an encrypted stream, see `Camera`.

    Raises:
        InputError: there is no such file, or it cannot be read. Cameras and streams open in the background, and raise
            it when they are asked for a frame.
    """
    source = str(source)
    check_source(source)
    match source_kind(source):
        case SourceKind.VIDEO:
            # PyAV takes a while to load, and a camera does without.
            from livestyle.media.video.reader import VideoReader

            video = VideoReader(Path(source), video_only=True)
            return video if size is None and video.info.aspect == 1 else _FittedSource(video, size, video.info.aspect)
        case SourceKind.IMAGE:
            image = _ImageSource(read_image(Path(source)))
            return image if size is None else _FittedSource(image, size)
        case _:
            return Camera(source, size, insecure=insecure)


class _ImageSource(FrameSource):
    """One frame at time 0."""

    def __init__(self, image: BgrImage) -> None:
        self._image = image

    @property
    def width(self) -> int:
        return int(self._image.shape[1])

    @property
    def height(self) -> int:
        return int(self._image.shape[0])

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(self._image, 0)

    def close(self) -> None:
        """There is nothing to release."""


class _FittedSource(FrameSource):
    """Frames of one size, with square pixels and scaled down to fit into a box."""

    def __init__(self, source: FrameSource, size: tuple[int, int] | None, aspect: Fraction = Fraction(1)) -> None:
        self._source = source
        self._width, self._height = square_size(source.width, source.height, aspect)
        if size is not None and (self._width > size[0] or self._height > size[1]):
            self._width, self._height = fit_size(self._width, self._height, size)

    @property
    def width(self) -> int:
        return self._width

    @property
    def height(self) -> int:
        return self._height

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            yield frame.changed(lambda image: resize(image, self._width, self._height))

    def close(self) -> None:
        self._source.close()
