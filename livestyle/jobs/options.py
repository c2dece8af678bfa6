"""Options of video jobs: what becomes of a video beside its painting."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from livestyle.engine.model import MINIMUM_SIDE
from livestyle.errors import InputError
from livestyle.limits import LIMITS, check, check_area, exact, shown
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.deinterlace import check_mode
from livestyle.media.video.stdio import RawFormat
from livestyle.media.video.tone_map import check_mode as check_tone_map

from . import resume
from .frame_rate import check_rate


@dataclass(frozen=True)
class VideoOptions:
    """What becomes of a video beside its painting.

    Attributes:
        size: width and height in pixels that the frames are scaled to fit in, up or down, with their shape kept.
        fps: frames per second, constant: frames are repeated or dropped by their time. None keeps every frame's time.
            Of an image sequence, the rate that it has; None is 25.
        start: seconds of the source at which the result begins.
        end: seconds of the source at which it ends.
        encoding: codec and its parameters.
        raw: format of bare frames on standard input; such frames go to standard output too. Where they only do that,
            they are to have this size, and they get this rate unless ``fps`` says another.
        resume: go on with what an interrupted run has left, if it left anything; results that exist are kept.
        segment_frames: frames of a segment, the unit in which an interrupted run is kept.
        video_track: which of several videos in the source, from 1; None is the default one, of equals the largest.
        tone_map: ``auto`` maps HDR (PQ and HLG) to SDR before it is painted, ``off`` keeps its colours and their tags.
        alpha: keep the transparency of an image sequence; the target is one too, of a format that has it.
        dry_run: paint nothing and write nothing, but say what would be kept, converted and left out.
        deinterlace: ``auto`` and ``frame`` make one frame of the two fields of an interlaced one, ``field`` makes one
            of each, ``off`` leaves them as they are. ``frame`` and ``field`` do so too where nothing says that a video
            is interlaced.

    Raises:
        InputError: they do not fit.
    """

    size: tuple[int, int] | None = None
    fps: Fraction | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    encoding: Encoding = field(default_factory=Encoding)
    raw: RawFormat | None = None
    resume: bool = False
    segment_frames: int = field(default_factory=lambda: resume.SEGMENT_FRAMES)
    video_track: int | None = None
    deinterlace: str = "auto"
    tone_map: str = "auto"
    alpha: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_size(self.size)
        check_mode(self.deinterlace)
        check_tone_map(self.tone_map)
        for name in ("fps", "start", "end"):
            self._make_exact(name)
        most = LIMITS["segment_frames"].high
        check("segment_frames", self.segment_frames, f"a segment has at least one frame and at most {most}")
        if self.fps is not None:
            check_rate(self.fps)
        if self.video_track is not None:
            check("video_track", self.video_track, "a video track is a number from 1 to 1000")
        for name in ("start", "end"):
            if getattr(self, name) is not None:
                check(name, getattr(self, name), f"the {name} is between 0 and {LIMITS[name].high} seconds")
        if self.end is not None and self.end <= (self.start or 0):
            raise InputError(
                f"the end at {float(self.end):g} s is not behind the start at {float(self.start or 0):g} s"
            )

    def _make_exact(self, name: str) -> None:
        """Make a number of a Python program a Fraction: 29.97 as it is written, and not its binary approximation."""
        value = getattr(self, name)
        if value is not None:
            try:
                object.__setattr__(self, name, exact(value))
            except ValueError:
                raise InputError(f"{name} is a number, not {shown(value)}") from None


def check_size(size: tuple[int, int] | None) -> None:
    """Raise an `InputError` for a size to fit in that is smaller than a frame of the network."""
    if size is None:
        return
    if not isinstance(size, tuple | list) or len(size) != 2 or not check_area(*size):
        most = LIMITS["side"].high
        raise InputError(f"a size is width and height, {most} pixels at most each way, not {shown(size)}")
    if min(size) < MINIMUM_SIDE:
        raise InputError(f"a size has {MINIMUM_SIDE} pixels or more each way, not {size[0]}x{size[1]}")
