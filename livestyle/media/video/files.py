"""Video files and numbered image sequences alike: the reader and the writer of a path."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from livestyle.media.frames import FrameSource
from livestyle.media.images.numbered import Numbered

from .codecs import Encoding
from .encoder import PacketSource
from .info import VideoInfo
from .reader import VideoReader
from .sequence_reader import SequenceReader
from .sequence_writer import SequenceWriter
from .writer import VideoWriter

FileWriter = VideoWriter | SequenceWriter


def sequence_at(path: Path) -> Numbered | None:
    """The image sequence that a source's path stands for; None of a video file, or where a file has this very name."""
    return None if path.exists() else Numbered.parse(path)


def open_reader(
    path: Path,
    start: Fraction | None = None,
    end: Fraction | None = None,
    *,
    rate: Fraction | None = None,
    alpha: bool = False,
    described: bool = False,
    deep: bool = False,
    **how: Any,
) -> VideoReader | SequenceReader:
    """Reader of a path.

    Args:
        path: of a video file, or names of numbered images.
        start: as of both.
        end: as of both.
        rate: as of `SequenceReader`.
        alpha: as of both.
        described: as of `SequenceReader`.
        deep: as of both.
        how: the rest, as of `VideoReader`.

    Raises:
        InputError: see both.
    """
    numbered = sequence_at(path)
    if numbered is None:
        return VideoReader(path, start, end, deep=deep, **how)
    return SequenceReader(numbered, rate, start, end, alpha=alpha, described=described, deep=deep)


def open_writer(
    path: Path,
    info: VideoInfo,
    source: FrameSource | None,
    encoding: Encoding,
    *,
    partial: Path | None = None,
    encoder: Callable[[Callable[[], PacketSource]], PacketSource] | None = None,
    replace: bool = True,
    complete: Callable[[], object] | None = None,
) -> FileWriter:
    """Writer of a path; arguments and errors are those of `VideoWriter` and `SequenceWriter`."""
    numbered = Numbered.parse(path)
    how: dict[str, Any] = {"partial": partial, "encoder": encoder, "replace": replace, "complete": complete}
    if numbered is None:
        return VideoWriter(path, info, source, encoding, **how)
    return SequenceWriter(numbered, info, source, encoding, **how)
