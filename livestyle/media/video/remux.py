"""What goes with the pictures of a film: sound, subtitles, covers, fonts, chapters and metadata."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.stream import Disposition

from .codecs import ANIMATIONS

if TYPE_CHECKING:
    from .reader import VideoReader

_SUBTITLES = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""What text subtitles become that a container does not carry."""
_SOUNDS = {"matroska": "flac", "mp4": "aac", "mov": "aac", "webm": "libopus"}
"""What sound becomes that a container does not carry."""
_BIT_RATE = 96_000
"""Of sound that is encoded anew, a channel."""
_LONGEST_SILENCE = 10
"""Of a gap in sound that is encoded anew, in seconds, that is filled."""
_JUMP_BACK = 1
"""Seconds; sound that overlaps by less is cut."""
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""By the number of channels: what both encoders take."""
_QUICKTIME = {"deu": "ger", "ell": "gre", "isl": "ice", "nld": "dut", "sqi": "alb", "swe": "sve", "zho": "chi"}
"""Languages that have another name in ffmpeg's list of QuickTime's."""
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_OF_THE_FILE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
_OF_THE_STREAM = {"encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "rotate", "alpha_mode"}
_KEYS_OF_MP4 = (
    "album album_artist artist comment compilation composer copyright creation_time date description disc encoder "
    "episode_id episode_sort gapless_playback genre grouping hd_video keywords location lyrics media_type network "
    "performer season_number show sort_album sort_album_artist sort_artist sort_composer sort_name sort_show synopsis "
    "title tmpo track"
)
"""What iTunes has a place for."""


class Remuxer:
    """Puts all that goes with a source's pictures into a container: streams as they are, or, if need be, converted.

    Args:
        container: of PyAV, to which the stream of the pictures has been added, and which has not begun.
        picture: that stream.
        source: of all the rest.
    """

    def __init__(self, container: Any, picture: Any, source: VideoReader) -> None:
        self._container = container
        self._format: str = container.format.name
        self._is_pipe = container.file is not None
        self._waiting = source.packets
        self._copies: dict[int, Any] = {}
        self._converted: dict[int, Any] = {}
        self._sounds: dict[int, _Sound] = {}
        self._ends: dict[int, int] = {}
        self._notes: list[str] = []
        self._left_out: list[str] = []

        container.metadata.update(_kept(source.metadata, _OF_THE_FILE))
        picture.metadata.update(_kept(source.video_metadata, _OF_THE_STREAM))
        if self._format in ANIMATIONS:
            self._left_out = [_describe(stream) for stream in source.streams]
            return
        picture.disposition = source.video_disposition
        container.set_chapters(source.chapters)
        for stream in source.streams:
            self._add(stream)
        if self._format == "matroska":
            for font in source.attachments:
                container.add_attachment(font.name or "attachment", font.mimetype or "", font.data)

    @property
    def warning(self) -> str | None:
        """What could not be kept as it was, in one sentence without its subject; None where all was."""
        said = [f"cannot carry these of its source, which are left out: {', '.join(self._left_out)}"] * bool(
            self._left_out
        )
        notes = ", ".join(dict.fromkeys(self._notes))
        said += [f"carries these of its source in another form: {notes}"] * bool(notes)
        if not said:
            return None
        return " and ".join(said) + ("" if self._format == "matroska" else "; .mkv carries more kinds")

    def _add(self, stream: Any) -> None:
        is_known = stream.codec_context is not None
        if is_known and self._format == "matroska" and stream.disposition & Disposition.attached_pic:
            # There, a cover is a file, and it was the first thing to be read.
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
            sound = self._sounds[stream.index] = _Sound(self._container, stream, _SOUNDS[self._format])
            copy = sound.stream
            self._notes.append(
                f"{stream.codec_context.codec.canonical_name} as {copy.codec_context.codec.canonical_name}"
            )
        else:
            self._left_out.append(_describe(stream))
            return
        tags = _kept(stream.metadata, _OF_THE_STREAM)
        # What MP4 calls a name is the title elsewhere.
        if "name" in tags:
            tags.setdefault("title", tags.pop("name"))
        if self._format == "mov" and "language" in tags:
            tags["language"] = _QUICKTIME.get(tags["language"], tags["language"])
        copy.metadata.update(tags)
        copy.disposition = stream.disposition

    def _fits(self, stream: Any) -> bool:
        """Whether the container carries a stream as it is, which some muxers know only when they begin."""
        if self._format == "mp4" and stream.codec_context.name.startswith("pcm_"):
            # It is written as of another kind, as noise, or not at all, by what it came from.
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
            # How it is encoded stands in each packet, and a pipe has no way back to write it into the head of the file.
            copy.codec_context.extradata = _aac_config(stream.codec_context)
        return copy

    def mux(self, packet: Any) -> None:
        """Write a packet of the source, or nothing where its stream is left out."""
        index = packet.stream.index
        if index in self._converted:
            self._convert(packet, self._converted[index])
        elif index in self._sounds:
            for encoded in self._sounds[index].convert(packet):
                self._write(encoded, self._sounds[index].stream)
        elif index in self._copies and packet.dts is not None:
            self._write(packet, self._copies[index])

    def finish(self) -> None:
        """Write what is still to come after the last packet."""
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
        # As the container will, for times that differ may be one there.
        scale = packet.time_base / stream.time_base
        dts = round(packet.dts * scale)
        packet.pts = None if packet.pts is None else round(packet.pts * scale)
        packet.duration = round((packet.duration or 0) * scale)
        # Damaged files repeat times, which no container takes.
        end = self._ends.get(stream.index)
        late = 0 if end is None else max(0, end + 1 - dts)
        packet.dts = self._ends[stream.index] = dts + late
        packet.pts = None if packet.pts is None else packet.pts + late
        packet.time_base = stream.time_base
        packet.stream = stream
        self._container.mux(packet)


def muxer_options(container: str, time_base: Fraction, metadata: dict[str, str]) -> dict[str, str]:
    """How a container is to be written.

    Args:
        container: of `livestyle.media.video.codecs.FORMATS`.
        time_base: of the pictures, seconds.
        metadata: of the file.
    """
    if container not in ("mp4", "mov"):
        return {}
    # The index in front lets a browser play the file while it loads. Its finer scale keeps the time of the first frame
    # from being rounded to milliseconds.
    scale = time_base.denominator
    flags = "+faststart"
    # What has no place among iTunes' tags is written as QuickTime's, which some players do not read.
    if any(key.lower() not in _KEYS_OF_MP4.split() for key in _kept(metadata, _OF_THE_FILE)):
        flags += "+use_metadata_tags"
    return {"movflags": flags, "movie_timescale": str(scale * -(-1000 // scale))}


def shift(packet: Any, seconds: Fraction) -> None:
    """Move a packet in time."""
    ticks = round(seconds / packet.time_base)
    if ticks:
        packet.pts = packet.pts + ticks if packet.pts is not None else None
        packet.dts = packet.dts + ticks if packet.dts is not None else None


class _Sound:
    """Encodes sound anew.

    It stays with the pictures: small gaps become silence, after large ones it begins again, and where times jump back
    it goes on. What it is like (channels, rate) may change on the way, as in broadcasts.

    Args:
        container: that it is for.
        source: of the source, its stream.
        codec: the encoder.
    """

    def __init__(self, container: Any, source: Any, codec: str) -> None:
        decoder = source.codec_context
        layout = _LAYOUTS.get(decoder.layout.nb_channels, "stereo")
        # Opus knows few rates, and this one is always the best.
        rate = 48000 if codec == "libopus" or decoder.sample_rate not in _AAC_RATES else decoder.sample_rate
        self.stream = container.add_stream(codec, rate=rate, layout=layout)
        context = self.stream.codec_context
        context.bit_rate = _BIT_RATE * context.layout.nb_channels
        self._source = source
        self._kind: tuple[Any, ...] = ()
        self._graph: Any = None
        self._waiting = av.AudioFifo()
        # Of the source's frames, in their time base: how much later they are put, and where the next one is expected.
        self._shift = 0
        self._next: int | None = None
        # Of what is encoded, in samples: where the next frame begins.
        self._place: int | None = None

    def convert(self, packet: Any) -> list[Any]:
        """The packets that are ready after one more of the source's; None comes after the last."""
        try:
            frames = self._source.codec_context.decode(packet)
        except av.FFmpegError:
            # Damaged: a gap.
            return []
        encoded = []
        for frame in frames:
            encoded += self._take(frame)
        return encoded

    def end(self) -> list[Any]:
        """What is left."""
        encoded = self.convert(None) + self._finish_graph() + self._encode(to_the_end=True)
        return encoded + (list(self.stream.encode(None)) if self._place is not None else [])

    def _take(self, frame: Any) -> list[Any]:
        base = frame.time_base or Fraction(1, frame.sample_rate)
        # Of several frames in a packet, decoders give the first one's time alone.
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
        """Take what the filters have ready."""
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
        """The packets of whole frames, and ``to_the_end`` of the rest too, with silence behind it."""
        encoded: list[Any] = []
        size = self.stream.codec_context.frame_size or 1024
        while self._place is not None and (self._waiting.samples >= size or (to_the_end and self._waiting.samples)):
            frame = self._waiting.read(min(size, self._waiting.samples))
            assert frame is not None
            if frame.samples < size:
                # No encoder takes a short frame but as its last.
                frame = _lengthened(frame, size)
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
            # The rest of a gap that no filter saw; in samples of the source.
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


def _lengthened(frame: Any, samples: int) -> Any:
    """A frame with silence behind it."""
    values = frame.to_ndarray()
    missing = samples - frame.samples
    # Channels lie in rows, or one beside the other in one row.
    wide = missing if frame.format.is_planar else missing * frame.layout.nb_channels
    longer = av.AudioFrame.from_ndarray(np.pad(values, ((0, 0), (0, wide))), frame.format.name, frame.layout.name)
    longer.sample_rate = frame.sample_rate
    return longer


class _Nowhere:
    """Takes bytes as a pipe does."""

    def write(self, data: bytes) -> int:
        return len(data)


def _aac_config(context: Any) -> bytes | None:
    """The AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) of plain AAC, the kind LC; None for what is more intricate."""
    channels = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 8: 7}.get(context.layout.nb_channels)
    if context.profile != "LC" or channels is None or context.sample_rate not in _AAC_RATES:
        return None
    return (2 << 11 | _AAC_RATES.index(context.sample_rate) << 7 | channels << 3).to_bytes(2, "big")


def _describe(stream: Any) -> str:
    kind = "cover" if stream.disposition & Disposition.attached_pic else stream.type
    name = stream.codec_context.codec.canonical_name if stream.codec_context else "of an unknown kind"
    return f"{kind} {name}"


def _kept(metadata: dict[str, str], dropped: set[str]) -> dict[str, str]:
    """The tags that stay true; Matroska's statistics may have a language behind their names."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower().split("-")[0] not in dropped and not key.startswith("_STATISTICS")
    }
