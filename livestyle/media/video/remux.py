"""Remux of all that accompanies a video's images: sound, subtitles, covers, fonts, chapters and metadata."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.stream import Disposition

from .audio import AAC_RATES, AudioTranscoder, can_be_decoded, fits
from .codecs import ANIMATIONS
from .timecode import converted
from .tracks import SPHERICAL, STEREO, describe

if TYPE_CHECKING:
    from .reader import VideoReader

_SUBTITLES = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""Codec, by container, that text subtitles are transcoded to where it does not carry theirs."""
_SOUNDS = {"matroska": "flac", "mp4": "aac", "mov": "aac", "webm": "libopus"}
"""Encoder, by container, that sound is transcoded by where it does not carry its codec."""
_QUICKTIME = {"deu": "ger", "ell": "gre", "isl": "ice", "nld": "dut", "sqi": "alb", "swe": "sve", "zho": "chi"}
"""ISO 639-2 codes of languages that FFmpeg's list for QuickTime files has under other codes."""
_OF_THE_FILE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
_OF_THE_STREAM = {"encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "rotate", "alpha_mode"}
_KEYS_OF_MP4 = (
    "album album_artist artist comment compilation composer copyright creation_time date description disc encoder "
    "episode_id episode_sort gapless_playback genre grouping hd_video keywords location lyrics media_type network "
    "performer season_number show sort_album sort_album_artist sort_artist sort_composer sort_name sort_show synopsis "
    "title tmpo track"
)
"""Tags that iTunes metadata has an atom for."""


class Remuxer:
    """Copier of a source's other streams into a container: as they are, or transcoded where it does not carry them.

    Args:
        container: of PyAV, with the video stream added, but no header written.
        video: that stream.
        source: of the other streams, the chapters and the tags.
        rate: frames per second that are written, nominal.
    """

    def __init__(self, container: Any, video: Any, source: VideoReader, rate: Fraction) -> None:
        self._container = container
        self._format: str = container.format.name
        self._is_pipe = container.file is not None
        self._waiting = source.packets
        self._copies: dict[int, Any] = {}
        self._converted: dict[int, Any] = {}
        self._sounds: dict[int, AudioTranscoder] = {}
        self._ends: dict[int, int] = {}
        self._notes: list[str] = []
        self.kept: list[str] = []
        """Descriptions of what is copied."""
        self._left_out: list[str] = []
        self._failed: set[int] = set()
        self.failures: list[str] = []
        """Streams of which some could not be written, each with the reason."""

        of_file, changes = converted(source.metadata, source.frame_rate, rate)
        of_video, more = converted(source.video_metadata, source.frame_rate, rate)
        self._retimed = [f"timecode {old} as {new}" for old, new in (*changes, *more) if new]
        self.spherical = source.spherical if self._format in ("mp4", "mov") and not self._is_pipe else None
        """Box that the written file is to get."""
        if source.spherical is not None:
            (self._left_out if self.spherical is None else self.kept).append(SPHERICAL)
        is_animation = self._format in ANIMATIONS
        if source.chapters:
            (self._left_out if is_animation else self.kept).append("chapters")
        self._unread = [*source.unread, *(f"timecode {old}" for old, new in (*changes, *more) if not new)]
        if STEREO in self._unread and self._format in ("matroska", "webm") and "stereo_mode" in of_video:
            # The tag is written as an element of the track.
            self._unread.remove(STEREO)
            self.kept.append(STEREO)
        container.metadata.update(_kept(of_file, _OF_THE_FILE))
        video.metadata.update(_kept(of_video, _OF_THE_STREAM))
        self._has_covers = not (self._format == "mov" or _needs_quicktime(of_file))
        """Whether a cover can be written to MP4: its atom is one of iTunes metadata."""
        if is_animation:
            self._left_out += [describe(stream) for stream in source.streams]
            codes = {f"timecode {v}" for t in (of_file, of_video) for key, v in t.items() if key.lower() == "timecode"}
            self._left_out += [*sorted(codes), *(["tags"] if _kept(of_file, _OF_THE_FILE) else [])]
            return
        video.disposition = source.video_disposition
        container.set_chapters(source.chapters)
        for stream in source.streams:
            self._add(stream)
        if self._format == "matroska":
            for font in source.attachments:
                container.add_attachment(font.name or "attachment", font.mimetype or "", font.data)
                self.kept.append(_attachment(font))
        else:
            self._left_out += [_attachment(font) for font in source.attachments]

    @property
    def converted(self) -> list[str]:
        """Descriptions of what is transcoded or changed."""
        return list(dict.fromkeys([*self._notes, *self._retimed]))

    @property
    def left_out(self) -> list[str]:
        """Descriptions of what the container cannot carry, and of what cannot be copied at all."""
        return [*self._left_out, *self._unread]

    @property
    def warning(self) -> str | None:
        """What is lost or transcoded, as a sentence without its subject; None where all is copied."""
        said = [f"cannot carry these of its source, which are left out: {', '.join(self._left_out)}"] * bool(
            self._left_out
        )
        said += [f"is without these of its source: {', '.join(self._unread)}"] * bool(self._unread)
        notes = ", ".join(self.converted)
        said += [f"carries these of its source in another form: {notes}"] * bool(notes)
        if not said:
            return None
        carries_more = self._format != "matroska" and (self._left_out or self._notes)
        return " and ".join(said) + ("; .mkv carries more kinds" if carries_more else "")

    def _add(self, stream: Any) -> None:
        is_known = stream.codec_context is not None
        if is_known and self._format == "matroska" and stream.disposition & Disposition.attached_pic:
            # In Matroska, a cover is an attachment; its one packet was the first to be read.
            data = next((bytes(p) for p in self._waiting if p.stream.index == stream.index), b"")
            kind = "png" if stream.codec_context.name == "png" else "jpeg"
            self._container.add_attachment(f"cover.{kind.replace('e', '')}", f"image/{kind}", data)
            self.kept.append(describe(stream))
            return
        is_cover = bool(stream.disposition & Disposition.attached_pic)
        if is_known and self._fits(stream) and (self._has_covers or not is_cover):
            copy = self._copies[stream.index] = self._copy(self._container, stream)
            self.kept.append(describe(stream))
        elif is_known and stream.type == "subtitle" and stream.codec_context.codec.text_sub:
            kind = _SUBTITLES[self._format]
            stream.codec_context.open(strict=False)
            copy = self._container.add_stream(kind)
            copy.codec_context.subtitle_header = stream.codec_context.subtitle_header
            copy.time_base = Fraction(1, 1000)
            self._converted[stream.index] = copy
            self._notes.append(f"{stream.codec_context.codec.canonical_name} as {kind}")
        elif is_known and stream.type == "audio" and (layout := self._layout(stream)) is not None:
            codec = _SOUNDS[self._format]
            sound = self._sounds[stream.index] = AudioTranscoder(self._container, stream, codec, layout or None)
            copy = sound.stream
            before, after = stream.codec_context, copy.codec_context
            note = f"{before.codec.canonical_name} as {after.codec.canonical_name}"
            if after.channels != before.channels:
                note += f" with {after.channels} of {before.channels} channels"
            self._notes.append(note)
        else:
            self._left_out.append(describe(stream))
            return
        tags = _kept(stream.metadata, _OF_THE_STREAM)
        # The title of a stream is its "name" in MP4.
        if "name" in tags:
            tags.setdefault("title", tags.pop("name"))
        if self._format == "mov" and "language" in tags:
            tags["language"] = _QUICKTIME.get(tags["language"], tags["language"])
        copy.metadata.update(tags)
        copy.disposition = stream.disposition

    def _layout(self, stream: Any) -> str | None:
        """Layout that sound can be transcoded in, "" for its own; None where the container has no encoder for it."""
        codec = _SOUNDS.get(self._format)
        if not can_be_decoded(stream.container, stream):
            return None
        return next((layout for layout in ("", "stereo") if codec and fits(codec, layout, stream, self._format)), None)

    def _fits(self, stream: Any) -> bool:
        """Whether the container carries a stream as it is: tried, since some muxers tell only with the header."""
        if self._format == "mp4" and stream.codec_context.name.startswith("pcm_"):
            # FFmpeg writes PCM into MP4 with a wrong tag, as noise, or not at all, depending on where it came from.
            return False
        nowhere: Any = _Nowhere() if self._is_pipe else io.BytesIO()
        try:
            with av.open(nowhere, "w", format=self._format) as container:
                self._copy(container, stream)
                container.start_encoding()
        except (av.FFmpegError, ValueError):
            return False
        return True

    def _copy(self, container: Any, stream: Any) -> Any:
        copy = container.add_stream_from_template(stream)
        copy.disposition = stream.disposition
        if self._is_pipe and stream.codec_context.name == "aac" and not stream.codec_context.extradata:
            # In ADTS, the configuration is in each packet: without seeking, it cannot be written to the header later.
            copy.codec_context.extradata = _aac_config(stream.codec_context)
        return copy

    def mux(self, packet: Any) -> None:
        """Write a packet of the source, unless its stream is left out or has failed: nothing beside it is to end it."""
        stream = packet.stream
        if stream.index in self._failed:
            return
        try:
            self._mux(packet)
        except (av.FFmpegError, ValueError) as error:
            self._fail(stream, error)

    def _fail(self, stream: Any, error: Exception) -> None:
        """Leave out what is left of a stream; an error of the file itself is raised again."""
        if isinstance(error, OSError) and not isinstance(error, ValueError):
            raise error
        self._failed.add(stream.index)
        self.failures.append(f"{describe(stream)} ({getattr(error, 'strerror', None) or error})")

    def _mux(self, packet: Any) -> None:
        index = packet.stream.index
        if index in self._converted:
            self._convert(packet, self._converted[index])
        elif index in self._sounds:
            for encoded in self._sounds[index].convert(packet):
                self._write(encoded, self._sounds[index].stream)
        elif index in self._copies and packet.dts is not None:
            self._write(packet, self._copies[index])

    def finish(self) -> None:
        """Write what transcoders still hold back."""
        for index, sound in self._sounds.items():
            if index not in self._failed:
                try:
                    for encoded in sound.end():
                        self._write(encoded, sound.stream)
                except (av.FFmpegError, ValueError) as error:
                    self._fail(sound.source, error)

    def _convert(self, packet: Any, stream: Any) -> None:
        try:
            texts = packet.stream.codec_context.decode2(packet)
        except av.FFmpegError:
            return
        if texts:
            converted = stream.codec_context.encode_subtitle(texts)
            converted.time_base = packet.time_base
            converted.pts = converted.dts = packet.pts
            converted.duration = packet.duration
            self._write(converted, stream)

    def _write(self, packet: Any, stream: Any) -> None:
        # Rescaled as the muxer does: timestamps that differ may become equal in the coarser unit.
        scale = packet.time_base / stream.time_base
        dts = round(packet.dts * scale)
        packet.pts = None if packet.pts is None else round(packet.pts * scale)
        packet.duration = round((packet.duration or 0) * scale)
        # Damaged files repeat decoding timestamps; muxers need them to increase.
        end = self._ends.get(stream.index)
        late = 0 if end is None else max(0, end + 1 - dts)
        packet.dts = self._ends[stream.index] = dts + late
        packet.pts = None if packet.pts is None else packet.pts + late
        packet.time_base = stream.time_base
        packet.stream = stream
        self._container.mux(packet)


def muxer_options(container: str, time_base: Fraction, metadata: dict[str, str]) -> dict[str, str]:
    """Options of a container's muxer.

    Args:
        container: one of the values of `FORMATS`.
        time_base: of the video, in seconds.
        metadata: of the file.
    """
    if container not in ("mp4", "mov"):
        return {}
    # faststart, with the index in front, lets a browser play the file while it loads. The finer movie timescale keeps
    # the first frame's time in the edit list from being rounded to milliseconds.
    scale = time_base.denominator
    flags = "+faststart"
    # Tags without an iTunes atom need QuickTime's metadata, which some players do not read.
    if _needs_quicktime(metadata):
        flags += "+use_metadata_tags"
    return {"movflags": flags, "movie_timescale": str(scale * -(-1000 // scale))}


def _needs_quicktime(metadata: dict[str, str]) -> bool:
    """Whether tags of a file have no atom in iTunes metadata."""
    return any(key.lower() not in _KEYS_OF_MP4.split() for key in _kept(metadata, _OF_THE_FILE))


def shift(packet: Any, seconds: Fraction) -> None:
    """Move a packet's timestamps by seconds, rounded to its time base."""
    ticks = round(seconds / packet.time_base)
    if ticks:
        packet.pts = packet.pts + ticks if packet.pts is not None else None
        packet.dts = packet.dts + ticks if packet.dts is not None else None


class _Nowhere:
    """File that cannot seek, as a pipe, and discards what is written."""

    def write(self, data: bytes) -> int:
        return len(data)


def _aac_config(context: Any) -> bytes | None:
    """AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) of AAC-LC; None for other profiles."""
    channels = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 8: 7}.get(context.channels)
    if context.profile != "LC" or channels is None or context.sample_rate not in AAC_RATES:
        return None
    return (2 << 11 | AAC_RATES.index(context.sample_rate) << 7 | channels << 3).to_bytes(2, "big")


def _attachment(font: Any) -> str:
    return f"attachment {font.name or 'without a name'}"


def _kept(metadata: dict[str, str], dropped: set[str]) -> dict[str, str]:
    """Tags that stay true for the new file; statistics tags of Matroska may have a language as a suffix."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower().split("-")[0] not in dropped and not key.startswith("_STATISTICS")
    }
