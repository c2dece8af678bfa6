"""Images into painted images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING

from livestyle.media.images import read_image, write_image
from livestyle.media.mask import reopened
from livestyle.media.resize import fit_size, resize
from livestyle.render.renderer import Renderer
from livestyle.styles.matching import match_look

from .progress import Display
from .report import Result, style_name

if TYPE_CHECKING:
    import numpy as np

    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage
    from livestyle.render.look import Look


def stylize_image(image: np.ndarray, look: Look, stylizer: Stylizer) -> BgrImage:
    """Painting of one image.

    Args:
        image: uint8 [H, W, 3] BGR, of any size.
        look: how to paint it; of styles that change with time the first.
        stylizer: model and device.

    Returns:
        uint8 [H, W, 3] BGR; [H, 2 W, 3] side by side.

    Raises:
        InputError: ``image`` is no such array.
        StyleError: the style belongs to another model, or its colours are to be matched and it has no image.
    """
    return Renderer(stylizer).render(image, match_look(look, image, stylizer))


@dataclass(frozen=True)
class ImageJob:
    """An image file that is to be painted in one look.

    Attributes:
        source: image file to read.
        path: image file to write.
        look: how to paint it; of a mask that is a video, the first frame counts.
        size: width and height in pixels that the image is scaled to fit in, up or down; None keeps its own.
    """

    source: Path
    path: Path
    look: Look
    size: tuple[int, int] | None = None

    def run(self, stylizer: Stylizer, _display: Display, _cancelled: Event) -> Result:
        """Read, paint and write the image.

        Raises:
            InputError: the source cannot be read.
            OutputError: the result cannot be written.
        """
        started = perf_counter()
        image = read_image(self.source)
        if self.size is not None:
            image = resize(image, *fit_size(image.shape[1], image.shape[0], self.size))
        with reopened(self.look.mask) as mask:
            painted = stylize_image(image, replace(self.look, mask=mask), stylizer)
        write_image(self.path, painted)
        height, width = painted.shape[:2]
        return Result(self.source, self.path, style_name(self.look), width, height, 1, perf_counter() - started)
