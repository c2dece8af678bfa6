"""Shorthands of the tests for videos and images in batches: a look is written where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from livestyle import Look, Mask, Style, Stylizer, Timeline, VideoOptions
from livestyle.jobs.batch import ImageBatch, VideoBatch
from livestyle.jobs.paths import Input
from livestyle.jobs.report import Done, Result
from tests.program import IDENTITY

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def lavfi(frames: int = 10, rate: str = "25", size: str = "64x64") -> list[str]:
    """A video of so many frames, as an input of ffmpeg."""
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={frames / float(rate)}"]


class Stop(Stylizer):
    """A Stylizer during whose work somebody presses Ctrl-C."""

    def __init__(self, frames: int, model: Path | None = IDENTITY) -> None:
        super().__init__(model, device="cpu")
        self.left = frames

    def stylize(self, *arguments: Any, **more: Any) -> np.ndarray:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().stylize(*arguments, **more)


def names(folder: Path) -> list[str]:
    """Of all that is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def paint_videos(
    sources: Sequence[Path],
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style | Timeline],
    strength: float = 1.0,
    options: VideoOptions | None = None,
    *,
    mask: Path | None = None,
    background: Style | Timeline | None = None,
    workers: int = 1,
    force: bool = False,
    progress: bool = False,
    done: Done | None = None,
    **look: Any,
) -> list[Result]:
    """What `VideoBatch` makes of videos, in each style."""
    looks = _looks(styles, strength, mask, background, look)
    one_style = len(styles) == 1
    batch = VideoBatch(
        sources, target, options, inputs=_inputs(mask), workers=workers, force=force, one_style=one_style
    )
    return batch.run(stylizer, looks, progress=progress, done=done)


def paint_video(source: Path, *arguments: Any, **options: Any) -> list[Result]:
    """`paint_videos` of one."""
    return paint_videos([source], *arguments, **options)


def paint_images(
    sources: Sequence[Path],
    target: Path,
    stylizer: Stylizer,
    styles: Sequence[Style | Timeline],
    strength: float = 1.0,
    *,
    mask: Path | None = None,
    background: Style | Timeline | None = None,
    size: tuple[int, int] | None = None,
    workers: int = 1,
    force: bool = False,
    progress: bool = False,
    done: Done | None = None,
    **look: Any,
) -> list[Result]:
    """What `ImageBatch` makes of images, in each style."""
    looks = _looks(styles, strength, mask, background, look)
    one_style = len(styles) == 1
    batch = ImageBatch(
        sources, target, size=size, inputs=_inputs(mask), workers=workers, force=force, one_style=one_style
    )
    return batch.run(stylizer, looks, progress=progress, done=done)


def _inputs(mask: Path | None) -> list[Input]:
    return [] if mask is None else [("the mask", mask)]


def _looks(
    styles: Sequence[Style | Timeline],
    strength: float,
    mask: Path | None,
    background: Style | Timeline | None,
    choices: dict[str, Any],
) -> list[Look]:
    opened = None if mask is None else Mask(mask)
    return [Look(style, strength, mask=opened, background=background, **choices) for style in styles]
