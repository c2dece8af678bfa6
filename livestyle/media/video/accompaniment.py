"""What accompanies the images of a video file: other streams, tags, chapters and captions."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

from av.stream import Disposition


class Accompaniment:
    """All of a video file but its images, as far as it has been read."""

    def __init__(self) -> None:
        self.streams: list[Any] = []
        """Of PyAV: sound, subtitles and covers."""
        self.attachments: list[Any] = []
        """Of PyAV: fonts and other files."""
        self.unread: list[str] = []
        """Descriptions of the streams that are neither read nor copied: other videos, and data."""
        self.packets: deque[Any] = deque()
        """Packets of ``streams`` that nobody has taken yet, in the order of the file, cut to start and end."""
        self.metadata: dict[str, str] = {}
        """Tags of the file."""
        self.video_metadata: dict[str, str] = {}
        """Tags of the video stream."""
        self.captions: dict[Fraction, bytes] = {}
        """Closed captions of the frames so far, by their times, that nobody has taken yet; see `captions_of`."""
        self.spherical: bytes | None = None
        """Box of an MP4 that calls it a 360-degree video."""
        self.frame_rate = Fraction(25)
        """Frames per second of the file, nominal, to which its timecode belongs; ``info`` has that of what is given."""
        self.video_disposition = Disposition.default
        self.chapters: list[Any] = []
        """As PyAV has them, cut to start and end."""
        self.plays: int | None = None
        """How often a GIF or WebP is shown, 0 for ever; None for other files."""
