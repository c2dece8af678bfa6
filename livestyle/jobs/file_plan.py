"""Plan of the files that a batch reads and writes, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from livestyle.errors import InputError, OutputError
from livestyle.media.images import WITH_ALPHA, WRITABLE, is_writable
from livestyle.media.images.numbered import Numbered
from livestyle.media.video.codecs import FORMATS, Encoding, container_of, written_bits
from livestyle.media.video.files import sequence_at
from livestyle.media.video.stdio import STDIO, is_pipe

from .options import VideoOptions
from .paths import (
    check_folder,
    check_target,
    expand_images,
    expand_videos,
    is_folder,
    is_there,
    make_folder,
    name_by_style,
    name_results,
)
from .report import style_name

if TYPE_CHECKING:
    from livestyle.render.look import Look


@dataclass(frozen=True)
class FilePlan:
    """Files that a batch reads and writes.

    Attributes:
        pairs: each source with its target, into whose name those of styles go where there are several.
        several: whether the failure of one source leaves the others to be done.
        folder: of the targets, which may be missing; None where it is not to be made.
    """

    pairs: list[tuple[Path, Path]]
    several: bool
    folder: Path | None = None

    @property
    def sources(self) -> list[Path]:
        return [source for source, _ in self.pairs]

    @property
    def ends(self) -> list[Path]:
        """Sources and targets."""
        return [end for pair in self.pairs for end in pair]

    def tasks(self, looks: Sequence[Look]) -> Iterator[tuple[Path, Path, Look]]:
        """Source, target and look of each file to write."""
        names = [style_name(look) for look in looks]
        for source, target in self.pairs:
            for path, look in zip(name_by_style(target, names), looks, strict=True):
                yield source, path, look

    def make_folder(self) -> None:
        if self.folder is not None:
            make_folder(self.folder)


def plan_videos(sources: Sequence[Path], target: Path, options: VideoOptions) -> FilePlan:
    """Plan for videos; arguments are those of `VideoBatch`.

    Raises:
        InputError: a source is missing, or does not fit the options.
        OutputError: the target cannot be written, or not so.
    """
    videos = expand_videos(sources)
    is_file = target.suffix.lower() in FORMATS or Numbered.parse(target) is not None
    is_sequence = sequence_at(videos[0]) is not None and (is_file or not any(map(is_folder, sources)))
    several = len(videos) > 1 or not (is_sequence or all(source.is_file() or is_pipe(source) for source in sources))
    pipes = [end for end in (target, *videos) if is_pipe(end)]
    if pipes or (not several and not is_folder(target)):
        plan = FilePlan([(video, target) for video in videos], several and not any(map(is_pipe, videos)))
        if not is_pipe(target):
            check_target(target, WRITABLE if Numbered.parse(target) else FORMATS, "painted.mp4")
            container_of(target, options.encoding)
    else:
        if is_file and not is_folder(target):
            raise OutputError(f"{target} is one video: for several, name a folder to write them to")
        check_folder(target)
        named = [_as_video(video) for video in videos]
        names = name_results(named, lambda video: _result_suffix(video, options.encoding))
        plan = FilePlan([(video, target / name) for video, name in zip(videos, names, strict=True)], several, target)
        for _, path in plan.pairs:
            container_of(path, options.encoding)
    if options.alpha:
        for source, path in plan.pairs:
            if sequence_at(source) is None or Numbered.parse(path) is None or path.suffix.lower() not in WITH_ALPHA:
                raise OutputError(
                    f"cannot keep the transparency of {source} in {path}: it goes from numbered pictures into numbered "
                    f"pictures that have it ({' '.join(WITH_ALPHA)})",
                    setting="alpha",
                )
    if not pipes:
        if options.raw is not None:
            raise InputError("raw frames come from standard input or go to standard output: give - for one of them")
    elif len(videos) > 1:
        raise InputError("a pipe (-) takes one film in one style at a time")
    elif is_pipe(target) and options.raw is not None and options.encoding != Encoding():
        raise OutputError("raw frames are not encoded: leave codec, crf, preset, hardware and bits out")
    if is_pipe(target):
        # A pipe's container; what is out of its codec's range is refused now.
        written_bits("matroska", options.encoding.within("matroska"), 8)
    return plan


def _as_video(source: Path) -> Path:
    """A source under the name that a video file of it has."""
    numbered = sequence_at(source)
    return source if numbered is None else numbered.folder / f"{numbered.title}.mp4"


def _result_suffix(video: Path, encoding: Encoding) -> str:
    """In a folder: the source's suffix, if its container carries the codec."""
    for path in (video, video.with_suffix(".mp4")):
        with suppress(OutputError):
            container_of(path, encoding)
            return path.suffix
    return ".mov"


def plan_images(sources: Sequence[Path], target: Path) -> FilePlan:
    """Plan for images; arguments are those of `ImageBatch`.

    Raises:
        InputError: a source is missing.
        OutputError: the target cannot be written.
    """
    images = expand_images(sources)
    for image in images:
        # A pipe or a device would never end, or never begin.
        if not image.is_file():
            raise InputError(f"{image} is no file: a picture is read from a file")
    if target == STDIO and not is_folder(target):
        # Not a folder of this name, with the line that says so in the place of the picture.
        raise OutputError("a picture goes to a file and not to standard output (-): name one, such as painted.png")
    several = len(images) > 1 or any(not is_there(source) or is_folder(source) for source in sources)
    if not (is_folder(target) or not target.suffix or (several and not is_writable(target))):
        if several:
            raise OutputError(f"{target} is one picture: for several, name a folder to write them to")
        check_target(target, WRITABLE, "painted.png")
        return FilePlan([(image, target) for image in images], several)
    check_folder(target)
    names = name_results(images, lambda image: image.suffix if is_writable(image) else ".png")
    return FilePlan([(image, target / name) for image, name in zip(images, names, strict=True)], several, target)
