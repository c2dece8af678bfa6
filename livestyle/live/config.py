"""What the live program is to do, decided from what is asked for, what was saved and the defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from livestyle.errors import InputError
from livestyle.media.capture.camera import parse_size
from livestyle.render.color import ColorMode
from livestyle.styles.library import existing_path, with_home

from .settings import Settings

CROSSFADE_SECONDS = 0.6
CYCLE_SECONDS = 10.0
RATE = 24.0
"""Frames a second that painting smaller holds, where nobody asks for another rate or a size."""

NO_MASK = "none"
"""As the name of a mask: paint all, whatever was saved."""


@dataclass(frozen=True)
class Targets:
    """Where the paintings go.

    Attributes:
        window: show them on the screen.
        folder: for snapshots and recordings.
        record: the MP4 file to record to from the start.
        serve: the port, or address and port, to serve them at as MJPEG.
        virtual_camera: be a camera for other programs.
    """

    window: bool = True
    folder: Path = Path()
    record: Path | None = None
    serve: str | None = None
    virtual_camera: bool = False


@dataclass(frozen=True)
class Plan:
    """What to begin with, all decided; fields as in `Settings`.

    Attributes:
        rate: frames a second to hold by painting smaller; 0 paints frames as large as they are.
        cycle: seconds for each style.
        cycling: whether they change by themselves from the start.
        style_is_saved: the style was chosen in earlier times, and may be gone.
        styles_are_saved: the same of the folder.
        mask_is_saved: the same of the mask and the background.
    """

    camera: str
    size: tuple[int, int] | None
    rate: float
    style: str | None
    styles: Path | None
    strength: float
    stroke_size: float
    color: ColorMode
    mask: Path | None
    background: str | None
    mirror: bool
    side_by_side: bool
    stabilise: bool
    full_screen: bool
    crossfade: float
    cycle: float
    cycling: bool
    style_is_saved: bool
    styles_are_saved: bool
    mask_is_saved: bool

    @classmethod
    def of(cls, asked: Settings, saved: Settings) -> Plan:
        """From what is asked for and what was saved.

        Raises:
            InputError: a value is out of range, or two exclude each other.
        """
        if asked.size is not None and asked.fps:
            raise InputError("choose --size, which fixes the resolution, or --fps, which changes it to hold a rate")
        both = replace(saved, **asked.chosen())
        if both.mask == NO_MASK:
            both = replace(both, mask=None, background=asked.background)
        if both.background is not None and both.mask is None:
            raise InputError("a background needs a mask: say with --mask FILE where the foreground is")
        size = both.size if asked.fps is None else asked.size
        rate = both.fps if both.fps is not None else RATE
        # Somebody who names a folder of styles wants to see those.
        style = both.style if asked.styles is None else asked.style
        styles = None if both.styles is None else with_home(Path(both.styles))
        folder = None if style is None else existing_path(style)
        if folder is not None and folder.is_dir():
            style, styles = None, folder
        return cls(
            camera=both.camera or "0",
            size=None if size is None else parse_size(size),
            rate=rate if size is None else 0.0,
            style=style,
            styles=styles,
            strength=1.0 if both.strength is None else both.strength,
            stroke_size=both.stroke_size or 1.0,
            color=both.color or ColorMode.STYLE,
            mask=None if both.mask is None else with_home(Path(both.mask)),
            background=both.background,
            mirror=bool(both.mirror),
            side_by_side=bool(both.side_by_side),
            stabilise=both.stabilise is not False,
            full_screen=bool(both.full_screen),
            crossfade=CROSSFADE_SECONDS if both.crossfade is None else both.crossfade,
            cycle=both.cycle or CYCLE_SECONDS,
            cycling=asked.cycle is not None,
            style_is_saved=asked.style is None,
            styles_are_saved=asked.styles is None and asked.style is None,
            mask_is_saved=asked.mask is None and asked.background is None,
        )
