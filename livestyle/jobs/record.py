"""Record of all that a painted video depends on, by which an interrupted job is recognised."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livestyle import __version__
from livestyle.media.mask import Mask
from livestyle.media.video.codecs import container_of
from livestyle.media.video.files import sequence_at
from livestyle.media.video.libav import av
from livestyle.render.color import ColorMode
from livestyle.styles.timeline import Timeline

from .options import VideoOptions

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.render.look import Look, StyleOverTime


def record_of(source: Path, path: Path, look: Look, options: VideoOptions, stylizer: Stylizer) -> dict[str, Any]:
    """Everything that the result depends on, by the names that the error of `SegmentStore.resume` says."""
    choices = {name.replace("_", " "): _plain(value) for name, value in look.choices().items()}
    return {
        "source": _version(source),
        "style": _digest(look.style),
        "mask": [*_version(look.mask.path), str(look.mask.start)] if isinstance(look.mask, Mask) else None,
        "background": None if look.background is None else _digest(look.background),
        **choices,
        "size": None if options.size is None else list(options.size),
        "fps": str(options.fps),
        "video track": options.video_track,
        "deinterlacing": options.deinterlace,
        "tone mapping": options.tone_map,
        "alpha": options.alpha,
        "start": str(options.start),
        "end": str(options.end),
        "encoding": repr(options.encoding.within(container_of(path, options.encoding))),
        "length of segments": options.segment_frames,
        "model": stylizer.model.manifest.files,
        "device": stylizer.device.name,
        "form of the network": stylizer.form,
        "version of livestyle": f"{__version__}, PyAV {av.__version__}",
    }


def _plain(value: object) -> object:
    """A value as JSON gives it back equal."""
    return str(value) if isinstance(value, ColorMode) else value


def _digest(style: StyleOverTime) -> str:
    """Hash that changes with what a style or a timeline paints."""
    digest = hashlib.sha256()
    if isinstance(style, Timeline):
        digest.update(repr([(cue.start, cue.crossfade) for cue in style.cues]).encode())
        for cue in style.cues:
            digest.update(cue.style.stats.values.tobytes())
    else:
        digest.update(style.stats_at(0).values.tobytes())
    return digest.hexdigest()


def _version(path: Path) -> list[Any]:
    """Size and time of the last change of a file; of an image sequence a hash of these."""
    numbered = sequence_at(path)
    if numbered is None:
        found = path.stat()
        return [found.st_size, found.st_mtime_ns]
    versions = [(file.name, *_version(file)) for file in numbered.files()]
    return [len(versions), hashlib.sha256(repr(versions).encode()).hexdigest()]
