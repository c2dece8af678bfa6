"""Configuration of a run of the live program, from what was asked for, what was saved and the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livestyle.errors import InputError
from livestyle.media.resize import parse_size
from livestyle.styles.library import existing_path, with_home
from livestyle.styles.timeline import CROSSFADE_SECONDS

from .controls import CYCLE_SECONDS
from .settings import Settings

RATE = 24.0
"""Frames per second to hold where nobody asks for another rate or a size."""
NO_MASK = "none"
"""Name of a mask that renders everything in the style, whatever was saved."""


@dataclass(frozen=True)
class SinkOptions:
    """Sinks of the paintings.

    Attributes:
        window: show them on the screen.
        folder: for snapshots and recordings.
        record: MP4 file to record to from the start.
        serve: port, or address and port, to serve them at as MJPEG.
        virtual_camera: be a camera for other programs.
        serve_token: what clients must know; None makes one where it is served to the network. Never in a repr.
    """

    window: bool = True
    folder: Path = Path()
    record: Path | None = None
    serve: str | None = None
    virtual_camera: bool = False
    serve_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Config:
    """Configuration of a run, all decided.

    Attributes:
        camera: a camera's number, a device, a file or an address.
        size: width and height in pixels that frames are scaled down to fit in; None leaves them as they come.
        rate: frames per second to hold by rendering smaller; 0 renders frames at their own size.
        every_frame: skip no frame of a video file, however slow that is.
        style: the text of the style to begin with; None is the first one.
        styles: folder of style images; None is the presets.
        look: values for fields of `livestyle.render.look.Look`, by name; the others have their defaults.
        mask: image whose white is rendered in the style.
        background: the text of the style outside of it.
        full_screen: the window fills the screen.
        crossfade: seconds from style to style.
        cycle: seconds that each style shows while they change by themselves.
        cycling: whether they do so from the start.
        style_is_saved: the style is a saved one, which may be gone.
        styles_are_saved: the same of the folder.
        mask_is_saved: the same of the mask and the background.
    """

    camera: str
    size: tuple[int, int] | None
    rate: float
    every_frame: bool
    style: str | None
    styles: Path | None
    look: Mapping[str, Any]
    mask: Path | None
    background: str | None
    full_screen: bool
    crossfade: float
    cycle: float
    cycling: bool
    style_is_saved: bool
    styles_are_saved: bool
    mask_is_saved: bool

    @classmethod
    def of(cls, asked: Settings, saved: Settings) -> Config:
        """Configuration from what was asked for and, where that says nothing, what was saved.

        Raises:
            InputError: a value is out of range, or two exclude each other.
        """
        if asked.size is not None and asked.fps:
            raise InputError(
                "a size fixes the resolution, and a rate changes it: choose one of them", setting=("size", "fps")
            )
        both = saved.updated(asked)
        no_mask = both.mask is None or both.mask == NO_MASK
        background = asked.background if both.mask == NO_MASK else both.background
        if background is not None and no_mask:
            raise InputError("a background needs a mask that says where the foreground is", setting="mask")
        size = both.size if asked.fps is None else asked.size
        rate = both.fps if both.fps is not None else RATE
        # Somebody who asks for a folder of styles wants to see those, and not a saved one.
        style = both.style if asked.styles is None else asked.style
        styles = None if both.styles is None else with_home(Path(both.styles))
        folder = None if style is None else existing_path(style)
        if folder is not None and folder.is_dir():
            style, styles = None, folder
        return cls(
            camera=both.camera or "0",
            size=None if size is None else parse_size(size),
            rate=rate if size is None else 0.0,
            every_frame=rate == 0,
            style=style,
            styles=styles,
            look=both.look,
            mask=None if no_mask else with_home(Path(both.mask or "")),
            background=background,
            full_screen=bool(both.full_screen),
            crossfade=CROSSFADE_SECONDS if both.crossfade is None else both.crossfade,
            cycle=both.cycle or CYCLE_SECONDS,
            cycling=asked.cycle is not None,
            style_is_saved=asked.style is None,
            styles_are_saved=asked.styles is None and asked.style is None,
            mask_is_saved=asked.mask is None and asked.background is None,
        )
