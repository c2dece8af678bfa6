"""Remux of all that accompanies a video's images: sound, subtitles, covers, fonts, chapters and metadata."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.stream import Disposition

from .codecs import ANIMATIONS
from .tracks import describe

if TYPE_CHECKING:
    from .reader import VideoReader

_SUBTITLES = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""Codec, by container, that text subtitles are transcoded to where it does not carry theirs."""
_SOUNDS = {"matroska": "flac", "mp4": "aac", "mov": "aac", "webm": "libopus"}
"""Encoder, by container, that sound is transcoded by where it does not carry its codec."""
_BIT_RATE = 96_000
"""Of transcoded sound, per channel."""
_LONGEST_SILENCE = 10
"""Longest gap in transcoded sound, in seconds, that is filled with silence."""
_JUMP_BACK = 1
"""Sound that overlaps by less, in seconds, is cut; by more, its clock has jumped."""
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""Channel layouts that all of the encoders take, by the number of channels."""
_QUICKTIME = {"deu": "ger", "ell": "gre", "isl": "ice", "nld": "dut", "sqi": "alb", "swe": "sve", "zho": "chi"}
"""ISO 639-2 codes of languages that FFmpeg's list for QuickTime files has under other codes."""
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
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
    """

    def __init__(self, container: Any, video: Any, source: VideoReader) -> None:
        self._container = container
        self._format: str = container.format.name
        self._is_pipe = container.file is not None
        self._waiting = source.packets
        self._copies: dict[int, Any] = {}
        self._converted: dict[int, Any] = {}
        self._sounds: dict[int, _AudioTranscoder] = {}
        self._ends: dict[int, int] = {}
        self._notes: list[str] = []
        self._left_out: list[str] = []
        self._unread = source.unread

        container.metadata.update(_kept(source.metadata, _OF_THE_FILE))
        video.metadata.update(_kept(source.video_metadata, _OF_THE_STREAM))
        if self._format in ANIMATIONS:
            self._left_out = [describe(stream) for stream in source.streams]
            self._unread = source.unread
            return
        video.disposition = source.video_disposition
        container.set_chapters(source.chapters)
        for stream in source.streams:
            self._add(stream)
        if self._format == "matroska":
            for font in source.attachments:
                container.add_attachment(font.name or "attachment", font.mimetype or "", font.data)
        else:
            self._left_out += [f"attachment {font.name or 'without a name'}" for font in source.attachments]

    @property
    def warning(self) -> str | None:
        """What is lost or transcoded, as a sentence without its subject; None where all is copied."""
        said = [f"cannot carry these of its source, which are left out: {', '.join(self._left_out)}"] * bool(
            self._left_out
        )
        said += [f"is without these of its source: {', '.join(self._unread)}"] * bool(self._unread)
        notes = ", ".join(dict.fromkeys(self._notes))
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
            return
        if is_known and self._fits(stream):
            copy = self._copies[stream.index] = self._copy(self._container, stream)
        elif is_known and stream.type == "subtitle" and stream.codec_context.codec.text_sub:
            kind = _SUBTITLES[self._format]
            stream.codec_context.open(strict=False)
            copy = self._container.add_stream(kind)
            copy.codec_context.subtitle_header = stream.codec_context.subtitle_header
            copy.time_base = Fraction(1, 1000)
            self._converted[stream.index] = copy
            self._notes.append(f"{stream.codec_context.codec.canonical_name} as {kind}")
        elif is_known and stream.type == "audio" and self._format in _SOUNDS:
            sound = self._sounds[stream.index] = _AudioTranscoder(self._container, stream, _SOUNDS[self._format])
            copy = sound.stream
            self._notes.append(
                f"{stream.codec_context.codec.canonical_name} as {copy.codec_context.codec.canonical_name}"
            )
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
        """Write a packet of the source, unless its stream is left out."""
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
        for sound in self._sounds.values():
            for encoded in sound.end():
                self._write(encoded, sound.stream)

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
    if any(key.lower() not in _KEYS_OF_MP4.split() for key in _kept(metadata, _OF_THE_FILE)):
        flags += "+use_metadata_tags"
    return {"movflags": flags, "movie_timescale": str(scale * -(-1000 // scale))}


def shift(packet: Any, seconds: Fraction) -> None:
    """Move a packet's timestamps by seconds, rounded to its time base."""
    ticks = round(seconds / packet.time_base)
    if ticks:
        packet.pts = packet.pts + ticks if packet.pts is not None else None
        packet.dts = packet.dts + ticks if packet.dts is not None else None


class _AudioTranscoder:
    """Decoder, resampler and encoder of one audio stream.

    Sound stays in sync: small gaps are filled with silence, after large ones it begins again, and where timestamps jump
    back it goes on. Sample rate and channel layout may change on the way, as in broadcasts.

    Args:
        container: that is written.
        source: stream that is read.
        codec: name of the encoder.
    """

    def __init__(self, container: Any, source: Any, codec: str) -> None:
        decoder = source.codec_context
        layout = _LAYOUTS.get(decoder.layout.nb_channels, "stereo")
        # Opus runs at 48 kHz internally.
        rate = 48000 if codec == "libopus" or decoder.sample_rate not in _AAC_RATES else decoder.sample_rate
        self.stream = container.add_stream(codec, rate=rate, layout=layout)
        context = self.stream.codec_context
        context.bit_rate = _BIT_RATE * context.layout.nb_channels
        self._source = source
        self._kind: tuple[Any, ...] = ()
        self._graph: Any = None
        self._waiting = av.AudioFifo()
        # In the time base of the source's frames: offset after jumps, and expected timestamp of the next one.
        self._shift = 0
        self._next: int | None = None
        # In samples: timestamp of the next frame that is encoded; None where it begins anew.
        self._place: int | None = None

    def convert(self, packet: Any) -> list[Any]:
        """Packets that are ready after one more of the source; None comes after the last."""
        try:
            frames = self._source.codec_context.decode(packet)
        except av.FFmpegError:
            # A damaged packet is a gap.
            return []
        encoded = []
        for frame in frames:
            encoded += self._take(frame)
        return encoded

    def end(self) -> list[Any]:
        """Packets that are left after the last."""
        encoded = self.convert(None) + self._finish_graph() + self._encode(to_the_end=True)
        return encoded + (list(self.stream.encode(None)) if self._place is not None else [])

    def _take(self, frame: Any) -> list[Any]:
        base = frame.time_base or Fraction(1, frame.sample_rate)
        # Of several frames in a packet, decoders timestamp only the first.
        pts = (self._next or 0) if frame.pts is None else frame.pts + self._shift
        encoded = []
        if self._next is not None:
            jump = (pts - self._next) * base
            if jump < -_JUMP_BACK:
                self._shift += self._next - pts
                pts = self._next
            elif jump > _LONGEST_SILENCE:
                encoded += self._finish_graph() + self._encode(to_the_end=True)
                self._place = None
        self._next = pts + round(frame.samples / (frame.sample_rate * base))
        frame.pts = pts
        kind = (frame.sample_rate, frame.format.name, frame.layout.name, base)
        if self._graph is None or kind != self._kind:
            encoded += self._finish_graph()
            self._kind, self._graph = kind, self._filters(kind)
        try:
            self._graph.push(frame)
            self._pull()
        except av.FFmpegError:
            self._graph = None
        return encoded + self._encode()

    def _finish_graph(self) -> list[Any]:
        if self._graph is not None:
            with contextlib.suppress(av.FFmpegError):
                self._graph.push(None)
                self._pull()
            self._graph = None
        return self._encode()

    def _pull(self) -> None:
        """Queue what the filter graph has ready."""
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if self._place is None:
                self._place = round(frame.pts * frame.time_base * frame.sample_rate)
            frame.pts = None
            self._waiting.write(frame)

    def _encode(self, to_the_end: bool = False) -> list[Any]:
        """Packets of whole frames, and ``to_the_end`` of the rest too, padded with silence."""
        encoded: list[Any] = []
        size = self.stream.codec_context.frame_size or 1024
        while self._place is not None and (self._waiting.samples >= size or (to_the_end and self._waiting.samples)):
            frame = self._waiting.read(min(size, self._waiting.samples))
            assert frame is not None
            if frame.samples < size:
                # Encoders take a short frame only as their last.
                frame = _padded(frame, size)
            frame.pts, frame.time_base = self._place, Fraction(1, frame.sample_rate)
            self._place += size
            encoded += self.stream.encode(frame)
        return encoded

    def _filters(self, kind: tuple[Any, ...]) -> Any:
        context = self.stream.codec_context
        rate, sample_format, layout, base = kind
        graph = av.filter.Graph()
        source = graph.add_abuffer(sample_rate=rate, format=sample_format, layout=layout, time_base=base)
        resampling = "async=1"
        if self._place is not None:
            # Fills a gap that lies between two graphs; in samples of the source.
            begin = (self._place + self._waiting.samples) * rate // context.sample_rate
            resampling += f":first_pts={begin}"
        wanted = f"sample_fmts={context.format.name}:sample_rates={context.sample_rate}"
        graph.link_nodes(
            source,
            graph.add("aresample", f"{context.sample_rate}:{resampling}"),
            graph.add("aformat", f"{wanted}:channel_layouts={context.layout.name}"),
            graph.add("abuffersink"),
        ).configure()
        return graph


def _padded(frame: Any, samples: int) -> Any:
    """A frame padded with silence."""
    values = frame.to_ndarray()
    missing = samples - frame.samples
    # One row per channel (planar), or one row of interleaved samples (packed).
    wide = missing if frame.format.is_planar else missing * frame.layout.nb_channels
    longer = av.AudioFrame.from_ndarray(np.pad(values, ((0, 0), (0, wide))), frame.format.name, frame.layout.name)
    longer.sample_rate = frame.sample_rate
    return longer


class _Nowhere:
    """File that cannot seek, as a pipe, and discards what is written."""

    def write(self, data: bytes) -> int:
        return len(data)


def _aac_config(context: Any) -> bytes | None:
    """AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) of AAC-LC; None for other profiles."""
    channels = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 8: 7}.get(context.layout.nb_channels)
    if context.profile != "LC" or channels is None or context.sample_rate not in _AAC_RATES:
        return None
    return (2 << 11 | _AAC_RATES.index(context.sample_rate) << 7 | channels << 3).to_bytes(2, "big")


def _kept(metadata: dict[str, str], dropped: set[str]) -> dict[str, str]:
    """Tags that stay true for the new file; statistics tags of Matroska may have a language as a suffix."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower().split("-")[0] not in dropped and not key.startswith("_STATISTICS")
    }
