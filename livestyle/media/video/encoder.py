"""Encoding of images into the packets of one video stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
from av.codec.context import Flags
from av.format import ContainerFormat
from av.format import Flags as FormatFlags
from av.video.frame import PictureType

from livestyle.errors import OutputError

from .animation import UNITS, Palettes
from .codecs import ANIMATIONS, Encoder, Encoding, find_encoder, ordinary_scheduling, written_bits
from .info import VideoInfo
from .pixel_formats import Colors, Packer

_MOST = 2**31 - 1
_FINEST = 1_000_000
_UNORDERED = 2
"""Frames of a stream up to which nothing is reordered; the decoding timestamps that x265 gives so few are arbitrary."""
_STAYING = Fraction(3, 2)
"""Frame durations from which on the last frame is one that stays, such as the last slide."""
_HIGHEST_RATE = {"libsvtav1": 240}
"""Frames per second, by encoder, above which it does not open; time base and timestamps may be finer."""
_LEAST_SIDE = {"libsvtav1": 64}
"""Pixels, by encoder; SVT-AV1 may wait for itself for ever on narrower frames."""


@dataclass(frozen=True)
class EncoderSetup:
    """Configuration that all encoders of one video stream share.

    Attributes:
        container: one of the values of `FORMATS`.
        codec: one of `CODECS`; None for GIF and WebP.
        encoder: of PyAV.
        width: of the encoded frames, in pixels; even, but for GIF and WebP.
        height: the same.
        rate: frames per second, nominal.
        time_base: seconds; the unit of timestamps.
        aspect: sample aspect ratio.
        colors: of the encoded pixels.
    """

    container: str
    codec: str | None
    encoder: Encoder
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction
    colors: Colors

    @classmethod
    def of(cls, container: str, encoding: Encoding, info: VideoInfo) -> EncoderSetup:
        """Setup for a container and the frames to come; codecs need even sizes, so that odd ones are rounded up.

        Raises:
            InputError: the quality is out of the codec's range.
            OutputError: this PyAV does not have the encoder, no hardware encoder opens, or the frames are too small.
        """
        encoding = encoding.within(container)
        width, height = info.width, info.height
        if container not in ANIMATIONS:
            width, height = width + width % 2, height + height % 2
        # ProRes has no field for the range: it is always limited.
        colors = replace(info.colors, range=1) if encoding.codec == "prores" else info.colors
        bits = written_bits(container, encoding, info.bits)
        encoder = find_encoder(container, encoding, width, height, bits)
        if min(width, height) < (least := _LEAST_SIDE.get(encoder.name, 0)):
            raise OutputError(
                f"{encoder.name} takes no frames of {width}x{height}, but of {least} pixels or more each way: "
                "choose another codec or size",
                setting=("codec", "size"),
            )
        time_base = UNITS.get(container, _unit(info.time_base, info.rate))
        codec = None if container in ANIMATIONS else encoding.codec
        return cls(container, codec, encoder, width, height, info.rate, time_base, info.aspect, colors)

    @property
    def bits(self) -> int:
        """Of a channel of the encoded pixels."""
        return max(component.bits for component in av.VideoFormat(self.encoder.pixel_format).components)

    @property
    def encoder_rate(self) -> Fraction:
        """``rate`` within what the encoder takes; it needs one for its rate control, and timestamps are what counts."""
        highest = Fraction(_HIGHEST_RATE.get(self.encoder.name, _FINEST))
        return min(self.rate, highest).limit_denominator(1001) or Fraction(1, 1001)

    def configure(self, context: Any) -> None:
        """Set up a codec context of PyAV, which is not open yet."""
        context.width, context.height = self.width, self.height
        context.framerate, context.time_base = self.encoder_rate, self.time_base
        context.sample_aspect_ratio = self.aspect
        if self.container not in ANIMATIONS:
            context.colorspace, context.color_range = self.colors.matrix, self.colors.range
            context.color_primaries, context.color_trc = self.colors.primaries, self.colors.transfer
        if self.codec == "hevc" and self.container in ("mp4", "mov"):
            # Apple's players know no other tag.
            context.codec_tag = "hvc1"
        if FormatFlags.global_header in FormatFlags(ContainerFormat(self.container, "w").flags):
            context.flags |= Flags.global_header
        self.encoder.configure(context)


def _unit(time_base: Fraction, rate: Fraction) -> Fraction:
    """A time base that encoders and muxers take: at most a second, and such that a frame's duration has 31 bits."""
    if time_base > 1 or max(time_base.numerator, time_base.denominator) > _MOST:
        time_base = Fraction(1, max(1, min(time_base.denominator, _FINEST)))
    return time_base if 1 / rate / time_base < _MOST else Fraction(1, 1000)


class PacketSource(Protocol):
    """Source of a stream's packets, one call a frame: an encoder, or a store of packets that were encoded before."""

    def encode(self, image: np.ndarray, pts: int, duration: int) -> list[av.Packet[Any]]:
        """Packets that are ready after one more frame.

        Args:
            image: uint8 or uint16 [H, W, 3] BGR.
            pts: presentation timestamp, in units of the time base; greater than that of the frame before.
            duration: in units of the time base.
        """

    def flush(self) -> list[av.Packet[Any]]:
        """Packets that are left after the last frame."""


class VideoEncoder:
    """Encoder of one video stream; the first frame becomes a key frame.

    Args:
        setup: of the stream.
        context: the stream's own codec context, configured and open; None opens another one, whose packets fit into
            the same stream.

    Raises:
        av.FFmpegError: it does not open.
    """

    def __init__(self, setup: EncoderSetup, context: Any = None) -> None:
        self._setup = setup
        if context is None:
            context = av.CodecContext.create(setup.encoder.name, "w", setup.encoder.hwaccel)
            setup.configure(context)
            with ordinary_scheduling():
                context.open(strict=False)
        self._context = context
        self._palettes = Palettes(setup.width, setup.height) if setup.container == "gif" else None
        self._count = 0
        self._durations: dict[int | None, int] = {}
        self._holds = setup.container in ("mp4", "mov") and setup.codec in ("h264", "hevc")
        self._held: av.VideoFrame | None = None
        self._pack = Packer("bgr24" if self._palettes else setup.encoder.pixel_format, setup.colors)

    def encode(self, image: np.ndarray, pts: int, duration: int) -> list[av.Packet[Any]]:
        right, below = self._setup.width - image.shape[1], self._setup.height - image.shape[0]
        if right or below:
            image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
        self._count += 1
        self._durations[pts] = duration
        frame = self._pack(image)
        frame.pts, frame.duration, frame.time_base = pts, duration, self._setup.time_base
        if self._holds:
            held, self._held = self._held, frame
            return self._encode([held] if held else [])
        return self._encode(self._palettes(frame) if self._palettes else [frame])

    def flush(self) -> list[av.Packet[Any]]:
        packets = self._encode(self._palettes(None)) if self._palettes else []
        if self._held:
            if self._count > 1 and self._held.duration * self._setup.time_base > _STAYING / self._setup.rate:
                # No B-frame before it is coded after it, so that MP4, which knows durations in the order of decoding
                # only, says how long it stays.
                self._held.pict_type = PictureType.I
            packets += self._encode([self._held])
            self._held = None
        packets += self._lasting(self._context.encode(None))
        if self._count <= _UNORDERED:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _encode(self, frames: list[av.VideoFrame]) -> list[av.Packet[Any]]:
        return self._lasting([packet for frame in frames for packet in self._context.encode(frame)])

    def _lasting(self, packets: list[av.Packet[Any]]) -> list[av.Packet[Any]]:
        """The packets with the durations of their frames, which SVT-AV1 does not pass on."""
        for packet in packets:
            duration = self._durations.pop(packet.pts, 0)
            packet.duration = packet.duration or duration
        return packets
