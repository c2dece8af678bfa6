"""Choice among the streams of a file: which video is read, by which decoder, and which streams go with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.logging
from av.stream import Discard, Disposition

from livestyle.errors import InputError
from livestyle.files import in_bytes
from livestyle.memory import free_bytes

from .animation import READER_OPTIONS

MOST_FRAME_PIXELS = 2**27
"""Greatest number of pixels of a frame, 16384x8192."""
LIMITS = {"max_pixels": str(MOST_FRAME_PIXELS)}
"""Options of FFmpeg's decoders."""
_FRAME_BYTES = 30
"""Memory for each pixel of a video: some ten frames are under way."""
_CHECKED_BYTES = 256 << 20
"""Videos that take less are read without asking how much memory is free."""
SPHERICAL = "360-degree metadata"
STEREO = "3D metadata"
_SIDE_DATA = {
    "spherical(?: mapping)?": SPHERICAL,
    "stereo ?3d": STEREO,
    "dovi configuration record": "Dolby Vision metadata",
    "mastering display metadata": "mastering display metadata",
    "content light level metadata": "content light level",
}
"""Patterns of what FFmpeg's description of a file calls side data that is lost, which changes, and what people do."""

_UNTAGGED = {"colorspace": 2, "color_range": 0, "color_primaries": 2, "color_trc": 2}
"""FFmpeg's codes for what nobody has tagged."""


def open_file(path: Path, stream: BinaryIO | None = None) -> Any:
    """Container of PyAV for a video file.

    Args:
        path: of the file; with a stream, what errors call it.
        stream: the bytes of the file.

    Raises:
        InputError: it cannot be read, or is no video.
    """
    try:
        # FFmpeg takes a name with a colon for an address otherwise.
        file = stream or f"file:{path}"
        return av.open(file, "r", metadata_errors="replace", options=READER_OPTIONS)
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, PermissionError):
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        raise InputError(
            f"{path} is not a video that can be read: it is something else, or it was cut off while it was "
            "recorded or copied and lacks its index"
            + (
                ", or it is an MP4 with the index at its end or an animated PNG, which no pipe can carry"
                if stream
                else ""
            )
        ) from error


def choose_video(container: Any, path: Path, number: int | None = None) -> Any:
    """The video stream to read; all others that are no covers are marked as not to be demuxed.

    The default track comes first, and of equals the largest; a still image beside an image sequence, as in AVIF, comes
    last. Variants of a stream (HLS) and programmes of a broadcast have no default, so that the largest is read.

    Args:
        container: of PyAV.
        path: of the file, for errors.
        number: of the track among the videos, from 1; None chooses.

    Raises:
        InputError: there is no such video, or none that can be decoded.
    """
    videos = moving(container)
    # FFmpeg renders any text file as a video of a terminal.
    if not videos or container.format.name == "tty":
        raise InputError(f"there is no video in {path}, only sound or text")
    if number is None:
        video = max(videos, key=_rank)
    elif 1 <= number <= len(videos):
        video = videos[number - 1]
    else:
        known = ", ".join(f"{i} ({describe(stream).removeprefix('video ')})" for i, stream in enumerate(videos, 1))
        raise InputError(f"there is no video track {number} in {path}: it has {known}", setting="video_track")
    if video.codec_context is None:
        raise InputError(f"the video in {path} is of an unknown kind: convert it to H.264 first")
    for other in videos:
        if other is not video:
            other.discard = Discard.all
    _limit(video.codec_context, path)
    return video


def _limit(context: Any, path: Path) -> None:
    """Decompression bombs: refuse a video of frames that are too large, and let the decoder refuse them on the way."""
    width, height = context.width, context.height
    if width * height > MOST_FRAME_PIXELS:
        raise InputError(
            f"the video in {path} has {width}x{height} pixels, and {MOST_FRAME_PIXELS} are the most: make it smaller"
        )
    needed = width * height * _FRAME_BYTES
    if needed > _CHECKED_BYTES and (free := free_bytes()) is not None and needed > free:
        raise InputError(
            f"there is not enough memory for the video in {path}: its frames of {width}x{height} take "
            f"{in_bytes(needed)}, and {in_bytes(free)} are free; make it smaller"
        )
    context.options = {**context.options, **LIMITS}


def moving(container: Any) -> list[Any]:
    """The video streams that are no covers."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _rank(stream: Any) -> tuple[bool, bool, bool, int]:
    context = stream.codec_context
    is_still = stream.frames == 1 or bool(stream.disposition & Disposition.still_image)
    area = context.width * context.height if context is not None else 0
    return context is not None, not is_still, bool(stream.disposition & Disposition.default), area


def decoder_of(stream: Any) -> Any:
    """Decoder of a video stream that keeps what FFmpeg's own decoders of VP8 and VP9 drop.

    That is the alpha channel, and the colours of VP8 as the container tags them: its bitstream cannot say that it has
    the full range or BT.709, as a browser's recording of a canvas has.
    """
    context = stream.codec_context
    decoder = context
    alpha = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(context.name)
    has_alpha = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    if alpha and has_alpha:
        decoder = av.CodecContext.create(alpha, "r")
        decoder.options = LIMITS
    return _TaggedDecoder(decoder, context) if context.name == "vp8" else decoder


class _TaggedDecoder:
    """Decoder whose frames get the container's colour tags, where it has them.

    Args:
        decoder: of PyAV; it is asked for all else.
        tags: the stream's own context, before anything was decoded: FFmpeg's decoders put theirs into it.
    """

    def __init__(self, decoder: Any, tags: Any) -> None:
        self._decoder = decoder
        found = {name: int(getattr(tags, name)) for name in _UNTAGGED}
        self._tags = {name: value for name, value in found.items() if value != _UNTAGGED[name]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def decode(self, packet: Any) -> list[av.VideoFrame]:
        frames: list[av.VideoFrame] = self._decoder.decode(packet)
        for frame in frames:
            for name, value in self._tags.items():
                setattr(frame, name, value)
        return frames


def describe(stream: Any) -> str:
    """What a stream is, for people: ``audio aac``, ``video h264 96x64``, ``data klv``."""
    context = stream.codec_context
    if context is None:
        return f"{stream.type} {getattr(stream, 'name', None) or 'of an unknown kind'}"
    if stream.disposition & Disposition.attached_pic:
        return f"cover {context.codec.canonical_name}"
    size = f" {context.width}x{context.height}" if stream.type == "video" else ""
    return f"{stream.type} {context.codec.canonical_name}{size}"


def programmes_of(text: str) -> list[set[int]]:
    """Indices of the streams of each programme in FFmpeg's description of a file; those of none come last there."""
    parts = re.split(r"^  (?=Program \d+|No Program)", text, flags=re.MULTILINE)
    return [
        {int(index) for index in re.findall(r"^  Stream #0:(\d+)", part, re.MULTILINE)}
        for part in parts
        if part.startswith("Program")
    ]


def of_other_programmes(container: Any, video: Any) -> list[Any]:
    """Sound and subtitles of programmes without the video, as of a broadcast or of variants (HLS), not to be demuxed.

    PyAV does not tell of programmes, and FFmpeg's description of the file lists them.
    """
    programmes = programmes_of(description(container))
    own = [programme for programme in programmes if video.index in programme]
    foreign = set().union(*programmes) - set().union(*own) if own else set()
    found = [s for s in container.streams if s.index in foreign and s.type in ("audio", "subtitle")]
    for stream in found:
        stream.discard = Discard.all
    return found


def unread(container: Any, video: Any, is_spherical: bool = False, others: Iterable[Any] = ()) -> list[str]:
    """Descriptions of what is neither read nor copied: other videos, data, and metadata of the video in side data.

    A timecode track is no loss, since the tag that says the same is kept; nor is a track of chapters, which FFmpeg
    marks as not to be demuxed.

    Args:
        container: of PyAV.
        video: the stream that is read.
        is_spherical: its 360-degree metadata is read in another way.
        others: further streams that are not read.
    """
    others = [*(s for s in moving(container) if s is not video), *others]
    data = [s for s in container.streams.data if s.discard != Discard.all and "timecode" not in s.metadata]
    side = [name for name in _side_data(container, video) if name != SPHERICAL or not is_spherical]
    return [*(describe(stream) for stream in (*others, *data)), *side]


def _side_data(container: Any, stream: Any) -> list[str]:
    """Kinds of metadata that a container has of a stream, of those `_SIDE_DATA` that are lost.

    PyAV gives no access to them, and FFmpeg's description of the file names them.
    """
    text = description(container)
    part = text.partition(f"Stream #0:{stream.index}")[2].partition("  Stream #")[0]
    return [name for key, name in _SIDE_DATA.items() if re.search(rf"^\s+{key}:", part, re.MULTILINE | re.I)]


def description(container: Any) -> str:
    """FFmpeg's description of a file that is read, as its command prints it."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        return str(container.dumps_format())
    finally:
        av.logging.set_level(level)
