"""Transcoding of sound that a container does not carry as it is."""

from __future__ import annotations

import contextlib
import io
import re
from fractions import Fraction
from typing import Any

import av
import numpy as np

from .tracks import description

_BIT_RATE = 96_000
"""Of transcoded sound, per channel."""
_LONGEST_SILENCE = 10
"""Longest gap in transcoded sound, in seconds, that is filled with silence."""
_JUMP_BACK = 1
"""Sound that overlaps by less, in seconds, is cut; by more, its clock has jumped."""
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""Channel layouts that all of the encoders take, by the number of channels."""
_CHANNELS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC"),
    *("TBR", "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2", "TSL", "TSR", "BFC", "BFL", "BFR", "SSL", "SSR"),
)
"""FFmpeg's names of channels, in the order in which a usual layout has them."""
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class AudioTranscoder:
    """Decoder, resampler and encoder of one audio stream.

    Sound stays in sync: small gaps are filled with silence, after large ones it begins again, and where timestamps jump
    back it goes on. Sample rate and channel layout may change on the way, as in broadcasts. Layouts of more than eight
    channels, which encoders do not take, are mixed down to stereo.

    Args:
        container: that is written.
        source: stream that is read.
        codec: name of the encoder.
        layout: of the channels that are written; None is the source's where it has a usual one, else stereo.

    Raises:
        ValueError: the encoder does not take such sound, as av.FFmpegError does too.
    """

    def __init__(self, container: Any, source: Any, codec: str, layout: str | None = None) -> None:
        decoder = source.codec_context
        layout = layout or _LAYOUTS.get(decoder.channels, "stereo")
        # Opus runs at 48 kHz internally.
        rate = 48000 if codec == "libopus" or decoder.sample_rate not in AAC_RATES else decoder.sample_rate
        self.stream = container.add_stream(codec, rate=rate, layout=layout)
        context = self.stream.codec_context
        context.bit_rate = _BIT_RATE * context.layout.nb_channels
        self.source = source
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
            frames = self.source.codec_context.decode(packet)
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
                if len(frame.layout.channels) > 7:
                    # PyAV makes no planar frames of so many channels from an array.
                    break
                # Encoders take a short frame only as their last.
                frame = _padded(frame, size)
            frame.pts, frame.time_base = self._place, Fraction(1, frame.sample_rate)
            self._place += size
            encoded += self.stream.encode(frame)
        return encoded

    def _filters(self, kind: tuple[Any, ...]) -> Any:
        context = self.stream.codec_context
        wanted = f"sample_fmts={context.format.name}:sample_rates={context.sample_rate}"
        ends = ("aformat", f"{wanted}:channel_layouts={context.layout.name}")
        try:
            return self._graph_of(kind, ends)
        except (av.FFmpegError, ValueError):
            # FFmpeg mixes no layouts that it has no matrix for.
            count = len(av.AudioLayout(kind[2]).channels)
            return self._graph_of(kind, ("pan", _mix(count)), ends)

    def _graph_of(self, kind: tuple[Any, ...], *ends: tuple[str, str]) -> Any:
        """Filter graph from the source's samples through a resampler to the filters ``ends``."""
        context = self.stream.codec_context
        rate, sample_format, layout, base = kind
        graph: Any = av.filter.Graph()
        source = graph.add_abuffer(sample_rate=rate, format=sample_format, layout=layout, time_base=base)
        resampling = "async=1"
        if self._place is not None:
            # Fills a gap that lies between two graphs; in samples of the source.
            begin = (self._place + self._waiting.samples) * rate // context.sample_rate
            resampling += f":first_pts={begin}"
        graph.link_nodes(
            source,
            graph.add("aresample", f"{context.sample_rate}:{resampling}"),
            *(graph.add(*end) for end in ends),
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


def _mix(channels: int) -> str:
    """Arguments of the filter ``pan`` for stereo: the even channels left, the odd ones right."""
    sides = [[f"{1 / len(range(side, channels, 2)):.4f}*c{n}" for n in range(side, channels, 2)] for side in (0, 1)]
    return "stereo|" + "|".join(f"c{side}={'+'.join(parts)}" for side, parts in enumerate(sides))


def can_be_decoded(container: Any, stream: Any) -> bool:
    """Whether PyAV decodes the sound of a stream of a file that is read.

    PyAV frees the list of channels twice where they have an order of their own (AV_CHANNEL_ORDER_CUSTOM), which ends
    Python: such a layout must not be looked at, but FFmpeg's description of the file names it.
    """
    text = description(container)
    found = re.search(rf"Stream #0:{stream.index}\D.*Audio:.* channels \(([^)]*)\)", text)
    if found is None:
        return True
    names = found[1].split("+")
    places = [_CHANNELS.index(name) for name in names if name in _CHANNELS]
    return len(places) == len(names) and places == sorted(places)


def fits(codec: str, layout: str | None, source: Any, container: str) -> bool:
    """Whether an encoder takes a stream's sound, in a layout of `AudioTranscoder`, and a container carries it."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            AudioTranscoder(trial, source, codec, layout)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True
