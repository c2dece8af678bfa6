"""Video files: their pictures are decoded and encoded through PyAV, all that goes with them is passed through."""

from .animation import is_animated
from .encoding import CODECS, FORMATS, PRESETS, PROFILES, Encoding, container_of
from .pixels import Colors
from .reading import VideoFileSource, VideoInfo
from .writing import VideoFileSink

__all__ = [
    "CODECS",
    "FORMATS",
    "PRESETS",
    "PROFILES",
    "Colors",
    "Encoding",
    "VideoFileSink",
    "VideoFileSource",
    "VideoInfo",
    "container_of",
    "is_animated",
]
