"""Codecs and containers that videos are written in, and the options of their encoders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import av.logging
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel

from livestyle.errors import InputError, OutputError
from livestyle.limits import Limit, shown
from livestyle.media.depth import check_mode
from livestyle.media.images import DEEP, WRITABLE, is_writable
from livestyle.media.images.numbered import Numbered

FORMATS = {
    ".gif": "gif",
    ".m4v": "mp4",
    ".mkv": "matroska",
    ".mov": "mov",
    ".mp4": "mp4",
    ".webm": "webm",
    ".webp": "webp",
}
"""Containers, in FFmpeg's names, by the suffix of the file's name."""
CODECS = ("h264", "hevc", "av1", "vp9", "prores")
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
"""Of all codecs but ProRes, from fast encoding to small files."""
PROFILES = ("proxy", "lt", "standard", "hq", "4444")
"""Presets of ProRes."""
ANIMATIONS = ("gif", "webp")
"""Containers with a codec of their own and without sound."""
PICTURES = "image2"
"""Numbered images, in FFmpeg's name; each has the format of its suffix."""

_CARRIED = {
    "mp4": ("h264", "hevc", "av1", "vp9"),
    "mov": ("h264", "hevc", "prores"),
    "matroska": CODECS,
    "webm": ("av1", "vp9"),
}
_SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9", "prores": "prores_ks"}
_HARDWARE = ("nvenc", "videotoolbox", "qsv", "amf", "vaapi")
_HIGHEST_CRF = {"h264": 51, "hevc": 51, "av1": 63, "vp9": 63}
_CRF = {"h264": 18, "hevc": 20, "av1": 28, "vp9": 28}
"""Visually lossless, about."""
_PRESET = "veryfast"
# What x264's veryfast does beyond this costs a third of its time. In 640x360 at crf 18 it gains paintings nothing (the
# sizes of three videos within 1 %, PSNR and SSIM equal), and films themselves 5 %, or 10 % where frames are far apart.
_LIGHTER = "partitions=i8x8:me=dia"
_PROFILE = "hq"
# From 10 on, SVT-AV1 warns of artefacts.
_AV1 = dict(zip(PRESETS, (9, 9, 8, 8, 7, 6, 5, 4, 2), strict=True))
_VP9 = dict(zip(PRESETS, (5, 5, 5, 4, 3, 2, 1, 1, 0), strict=True))


@dataclass(frozen=True)
class Encoding:
    """Encoding of a video's images.

    GIF and WebP have codecs of their own and take the defaults only.

    Attributes:
        codec: one of `CODECS`; None is VP9 in WebM and H.264 elsewhere.
        crf: the quality, from 0 (best) to 51 (H.264, HEVC) or 63 (AV1, VP9); None is 18, 20 or 28. ProRes has none.
        preset: one of `PRESETS`; None is ``veryfast``, in H.264 a lighter one. Of ProRes one of `PROFILES`; None is
            ``hq``.
        hardware: take an encoder of the GPU or SoC, and fail where there is none.
        bits: of a channel, one of `livestyle.media.depth.MODES`.

    Raises:
        InputError: there is no such codec, preset or depth, or the quality is out of range.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    hardware: bool = False
    bits: str = "auto"

    def __post_init__(self) -> None:
        check_mode(self.bits)
        if self.codec not in (None, *CODECS):
            raise InputError(f"there is no codec {str(self.codec)[:50]}: choose one of {', '.join(CODECS)}")
        presets = PROFILES if self.codec == "prores" else PRESETS
        if self.preset is not None and self.preset not in presets:
            if self.codec is None and self.preset in PROFILES:
                raise InputError(f"the preset {self.preset} is one of prores: add the codec prores")
            name = f"{self.codec} has" if self.codec else "h264 and vp9 have"
            raise InputError(f"{name} no preset {str(self.preset)[:50]}: choose one of {', '.join(presets)}")
        if self.crf is not None:
            if self.codec == "prores":
                raise InputError(f"prores has no crf: choose its quality with a preset, one of {', '.join(PROFILES)}")
            highest = _HIGHEST_CRF[self.codec] if self.codec else max(_HIGHEST_CRF.values())
            if not Limit(0, highest, is_whole=True).takes(self.crf):
                name = self.codec or "a video"
                raise InputError(f"the crf of {name} is between 0 (best) and {highest}, not {shown(self.crf)}")

    def within(self, container: str) -> Encoding:
        """The same with the default codec of a container, one of the values of `FORMATS`, filled in.

        Raises:
            InputError: the quality is out of that codec's range.
        """
        if self.codec or container in (*ANIMATIONS, PICTURES):
            return self
        return replace(self, codec="vp9" if container == "webm" else "h264")

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked for but a depth."""
        return replace(self, bits="auto") == Encoding()


@dataclass(frozen=True)
class Encoder:
    """Encoder of PyAV.

    Attributes:
        name: in FFmpeg.
        pixel_format: of the frames that it takes, in FFmpeg's name.
        options: private options, such as crf.
    """

    name: str
    pixel_format: str
    options: dict[str, str]

    @property
    def hwaccel(self) -> HWAccel | None:
        """How PyAV uploads frames to the device; None where the encoder takes frames in main memory."""
        return HWAccel("vaapi") if self.name.endswith("_vaapi") else None

    def configure(self, context: Any) -> None:
        """Set up a codec context of this encoder, whose size, rate and time base are set already."""
        context.pix_fmt = self.pixel_format
        context.options = dict(self.options)
        context.flags |= Flags.frame_duration
        if self.name.endswith("_videotoolbox"):
            context.qscale = True
        if self.name == "libsvtav1":
            # Log level "error"; it has no option for it.
            os.environ.setdefault("SVT_LOG", "1")


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Context manager that restores the scheduling policy of all threads of this process after an encoder was opened.

    As root, SVT-AV1 gives its threads, and the one that opens it, the highest real-time priority (SCHED_FIFO) and does
    not take it back: a spinning thread would then starve the whole machine.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            # A thread may have ended by now; and without the right to change a policy, none was changed.
            with suppress(OSError):
                if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO != before[0]:
                    os.sched_setscheduler(int(thread.name), *before)


def carries_aspect(container: str, encoding: Encoding) -> bool:
    """Whether a video of non-square pixels can say their aspect ratio.

    Matroska and WebM have it from the codec alone: PyAV does not set that of a stream that is written.

    Args:
        container: one of the values of `FORMATS`.
        encoding: of the images.
    """
    if container in ("matroska", "webm"):
        return encoding.within(container).codec in ("h264", "hevc")
    return container not in ANIMATIONS


def container_of(path: Path, encoding: Encoding) -> str:
    """The container that a video of this name is written in.

    Raises:
        InputError: the encoding's quality is out of the range of the codec that it has there.
        OutputError: the suffix is none of `FORMATS`, or its container does not carry the codec.
    """
    suffix = path.suffix.lower()
    if Numbered.parse(path) is not None:
        if not is_writable(path):
            raise OutputError(f"cannot write {path}: end the name with one of {' '.join(WRITABLE)}")
        if not encoding.is_plain:
            raise OutputError(f"cannot write {path} so: pictures have neither codec, crf, preset nor hardware encoder")
        written_bits(PICTURES, encoding, 8, suffix)
        return PICTURES
    name = FORMATS.get(suffix)
    if name is None:
        raise OutputError(f"cannot write {path}: end the name with one of {' '.join(sorted(FORMATS))}")
    if name in ANIMATIONS:
        if not encoding.is_plain:
            raise OutputError(f"cannot write {path} so: a {suffix} has neither codec, crf, preset nor hardware encoder")
    elif encoding.within(name).codec not in _CARRIED[name]:
        fitting = sorted(s for s, other in FORMATS.items() if encoding.codec in _CARRIED.get(other, ()))
        raise OutputError(
            f"cannot write {path}: a {suffix} does not carry {encoding.codec}, end the name with one of "
            f"{' '.join(fitting)}, or choose the codec {' or '.join(_CARRIED[name])}"
        )
    written_bits(name, encoding, 8)
    return name


def written_bits(container: str, encoding: Encoding, source: int, suffix: str = "") -> int:
    """Bits of a channel that are written of a source.

    Args:
        container: one of the values of `FORMATS`, or `PICTURES`.
        encoding: its ``bits`` count, and its codec.
        source: bits of the source.
        suffix: of the file's name, which counts for `PICTURES`.

    Raises:
        OutputError: what is asked for is not to be had there.
    """
    known = _depths(container, encoding, suffix)
    if encoding.bits == "auto":
        return known[-1] if source > 8 else known[0]
    # Formats of images have no other depth above 8.
    asked = 16 if container == PICTURES and encoding.bits == "10" else int(encoding.bits)
    if asked not in known:
        what = encoding.within(container).codec or suffix or f".{container}"
        others = ["hevc and av1 have 10"] if container not in ANIMATIONS and asked == 10 else []
        raise OutputError(
            f"{what} has {' or '.join(map(str, known))} bits, not {encoding.bits}"
            f"{'; ' if others else ''}{', '.join(others)}",
            setting="bits",
        )
    return asked


def _depths(container: str, encoding: Encoding, suffix: str) -> tuple[int, ...]:
    """Bits that a container can be written with, in ascending order."""
    if container == PICTURES:
        return (8, 16) if suffix.lower() in DEEP else (8,)
    codec = encoding.within(container).codec
    if container in ANIMATIONS or codec is None:
        return (8,)
    if codec == "prores":
        return (10,)
    if encoding.hardware:
        # What opens is found later.
        return (8, 10)
    formats = av.Codec(_SOFTWARE[codec], "w").video_formats if _is_there(_SOFTWARE[codec]) else ()
    # libvpx may be built without its profile 2.
    return (8, 10) if any(f.name == "yuv420p10le" for f in formats or ()) else (8,)


def find_encoder(container: str, encoding: Encoding, width: int, height: int, bits: int = 8) -> Encoder:
    """The encoder for a container, a size and a depth (`written_bits`); the encoding has a codec (`Encoding.within`).

    Raises:
        OutputError: this PyAV does not have it, or no hardware encoder opens; each is named with its reason.
    """
    if container == "gif":
        return Encoder("gif", "pal8", {})
    if container == "webp":
        return Encoder("libwebp_anim", "bgra", {"quality": "90"})
    if encoding.hardware:
        return _find_hardware(encoding, width, height, bits)
    name = _SOFTWARE[_codec(encoding)]
    if not _is_there(name):
        raise OutputError(f"this PyAV has no encoder {name}: choose another codec, or install PyAV's own wheels")
    return _software(name, encoding, "yuv420p" if bits == 8 else "yuv420p10le")


def _software(name: str, encoding: Encoding, pixel_format: str) -> Encoder:
    if encoding.codec == "prores":
        profile = encoding.preset or _PROFILE
        pixel_format = "yuv444p10le" if profile == "4444" else "yuv422p10le"
        return Encoder(name, pixel_format, {"profile": profile, "vendor": "apl0"})
    options = {"crf": str(_crf(encoding))}
    preset = encoding.preset or _PRESET
    if encoding.codec == "av1":
        options["preset"] = str(_AV1[preset])
    elif encoding.codec == "vp9":
        # Without a bit rate of 0, crf is only a limit (constrained quality).
        options |= {"b": "0", "deadline": "good", "cpu-used": str(_VP9[preset]), "row-mt": "1"}
    else:
        options["preset"] = preset
    if encoding.codec == "h264":
        # With mbtree, x264 is not deterministic on processors with AVX-512, and a resumed video is to be identical.
        options["x264-params"] = "mbtree=0" if encoding.preset else f"mbtree=0:{_LIGHTER}"
    if encoding.codec == "hevc":
        # A key frame that is asked for is one that nothing before it is coded after, as x264 makes them anyway.
        options |= {"x265-params": "log-level=error", "forced-idr": "1"}
    return Encoder(name, pixel_format, options)


def _find_hardware(encoding: Encoding, width: int, height: int, bits: int) -> Encoder:
    reasons = []
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        # Of 8 bits where none takes more, unless more were asked for.
        depths = (bits, 8) if bits > 8 and encoding.bits == "auto" else (bits,)
        for encoder in chain.from_iterable(_hardware(encoding, depth) for depth in depths):
            with av.logging.Capture() as lines:
                reason = _refusal(encoder, width, height)
            if reason is None:
                return encoder
            # The first line of FFmpeg's log is the cause; the exception often says only that there was one.
            reasons.append(f"{encoder.name} ({lines[0][2].strip().rstrip('.') if lines else reason})")
    finally:
        av.logging.set_level(level)
    tried = f"tried {', '.join(reasons)}" if reasons else "this PyAV has none"
    raise OutputError(f"no hardware encoder for {encoding.codec} opens here: {tried}; leave hardware out")


def _refusal(encoder: Encoder, width: int, height: int) -> str | None:
    """Why an encoder does not open; None where it does."""
    try:
        context: Any = av.CodecContext.create(encoder.name, "w", encoder.hwaccel)
        context.width, context.height = width, height
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        encoder.configure(context)
        context.open()
    except (av.FFmpegError, OSError, RuntimeError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _hardware(encoding: Encoding, bits: int) -> Iterator[Encoder]:
    wanted = ("yuv420p", "nv12", "p210le", "vaapi") if bits == 8 else ("yuv420p10le", "p010le", "p210le", "vaapi")
    for kind in _HARDWARE:
        name = f"{encoding.codec}_{kind}"
        if _is_there(name):
            known = [f.name for f in av.Codec(name, "w").video_formats or ()]
            fitting = [f for f in wanted if f in known]
            if fitting:
                of_vaapi = "nv12" if bits == 8 else "p010le"
                pixel_format = of_vaapi if fitting[0] == "vaapi" else fitting[0]
                yield Encoder(name, pixel_format, _hardware_options(kind, encoding))


def _hardware_options(kind: str, encoding: Encoding) -> dict[str, str]:
    if encoding.codec == "prores":
        return {"profile": encoding.preset or _PROFILE}
    crf = _crf(encoding)
    step = PRESETS.index(encoding.preset or _PRESET)
    if kind == "nvenc":
        return {"rc": "vbr", "cq": str(crf), "b": "0", "preset": f"p{1 + step * 6 // 8}"}
    if kind == "videotoolbox":
        # 100 (best) to 1, in units of FF_QP2LAMBDA (118).
        quality = max(1, round(100 - 100 * crf / _HIGHEST_CRF[_codec(encoding)]))
        return {"global_quality": str(quality * 118)}
    if kind == "qsv":
        return {"global_quality": str(max(1, crf)), "preset": PRESETS[max(step, PRESETS.index("veryfast"))]}
    if kind == "amf":
        # The quantizer of AV1 goes up to 255.
        qp = str(crf * 4 if encoding.codec == "av1" else crf)
        return {"rc": "cqp", "qp_i": qp, "qp_p": qp, "quality": ("speed", "balanced", "quality")[step // 3]}
    return {"rc_mode": "CQP", "global_quality": str(max(1, crf))}


def _crf(encoding: Encoding) -> int:
    return _CRF[_codec(encoding)] if encoding.crf is None else encoding.crf


def _codec(encoding: Encoding) -> str:
    assert encoding.codec is not None, "its container is not known yet: see Encoding.within"
    return encoding.codec


def _is_there(name: str) -> bool:
    try:
        return av.Codec(name, "w").is_encoder
    except ValueError:
        return False
