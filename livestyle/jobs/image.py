"""Images into painted images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, cast

import numpy as np

from livestyle.engine.stylizer import check_image
from livestyle.errors import stage
from livestyle.media.depth import eight_bits, is_deep, sixteen_bits
from livestyle.media.frames import Frame
from livestyle.media.images import carried_metadata, check_dimensions, encode_image, read_picture
from livestyle.media.mask import reopened
from livestyle.media.resize import fit_size, resize
from livestyle.media.video.animation import is_animated
from livestyle.media.video.codecs import PICTURES, Encoding, written_bits
from livestyle.render.renderer import Renderer
from livestyle.render.tiling import TiledStylizer
from livestyle.results import locked, write_result
from livestyle.styles.matching import match_look

from .paths import check_taken, renamed
from .progress import Display
from .report import Plan, Result, style_name

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.render.look import Look


def stylize_image(image: np.ndarray, look: Look, stylizer: Stylizer) -> np.ndarray:
    """Painting of one image.

    Args:
        image: uint8 or uint16 [H, W, 3] BGR, of any size.
        look: how to paint it; of styles that change with time the first.
        stylizer: model and device.

    Returns:
        The same type, [H, W, 3] BGR; [H, 2 W, 3] side by side. See `Renderer.render` for 16 bits.

    Raises:
        InputError: ``image`` is no such array.
        StyleError: the style belongs to another model, or its colours are to be matched and it has no image.
    """
    check_image(image, "a picture", deep=True)
    return _painted(image, look, TiledStylizer(stylizer), stylizer)


def _painted(image: np.ndarray, look: Look, tiled: TiledStylizer, stylizer: Stylizer) -> np.ndarray:
    look = match_look(look, eight_bits(image), stylizer)
    # It does all that a renderer asks of a stylizer.
    renderer = Renderer(cast("Stylizer", tiled))
    # A frame, of which the renderer keeps no copy.
    return renderer.render(Frame(image, 0), look)


@dataclass(frozen=True)
class ImageJob:
    """An image file that is to be painted in one look.

    Attributes:
        source: image file to read.
        path: image file to write.
        look: how to paint it; of a mask that is a video, the first frame counts.
        size: width and height in pixels that the image is scaled to fit in, up or down; None keeps its own.
        dry_run: paint nothing and write nothing, but say what would be kept, converted and left out.
        force: replace a file that is there.
        bits: of a channel, see `Encoding.bits`.
    """

    source: Path
    path: Path
    look: Look
    size: tuple[int, int] | None = None
    dry_run: bool = False
    force: bool = False
    bits: str = "auto"

    def run(self, stylizer: Stylizer, display: Display, _cancelled: Event) -> Result:
        """Read, paint and write the image; its metadata goes with it, as far as the format carries it.

        A large one, which is painted in tiles, has a progress bar.

        A dry run only reads it. While it is painted, no other process writes that file.

        Raises:
            InputError: the source cannot be read.
            OutputError: the result cannot be written.
        """
        if self.dry_run:
            return self._paint(stylizer, display)
        with locked(self.path):
            # Another process may have written it since the batch was planned.
            check_taken([self.path], [], self.force)
            return self._paint(stylizer, display)

    def _paint(self, stylizer: Stylizer, display: Display) -> Result:
        started = perf_counter()
        encoding = Encoding(bits=self.bits)
        with stage("decoding"):
            picture = read_picture(self.source, deep=written_bits(PICTURES, encoding, 16, self.path.suffix) > 8)
        image, metadata, left_out = picture.image, picture.metadata, list(picture.left_out)
        converted = list(picture.converted)
        written = written_bits(PICTURES, encoding, picture.bits if is_deep(picture.image) else 8, self.path.suffix)
        reduced = [f"{picture.bits} bits as 8"] if picture.bits > 8 and not is_deep(picture.image) else []
        depth = [f"{picture.bits} bits"] if is_deep(picture.image) else []
        # Its alpha channel is no longer needed, and large.
        del picture
        width, height = image.shape[1], image.shape[0]
        if self.size is not None:
            width, height = fit_size(width, height, self.size)
        # Before it is painted, which may take minutes.
        whole_width = width * 2 if self.look.side_by_side else width
        check_dimensions(self.path, whole_width, height)
        if self.dry_run:
            kept, lost = carried_metadata(self.path, metadata, whole_width, height)
            if is_animated(self.source):
                left_out.append("all frames but the first")
            return Plan(
                self.source,
                self.path,
                style_name(self.look),
                whole_width,
                height,
                1,
                0,
                kept=(*kept, *depth),
                converted=(*converted, *reduced),
                left_out=(*left_out, *lost),
            )
        image = resize(image, width, height)
        with reopened(self.look.mask) as mask, stage("painting"):
            tiled = TiledStylizer(stylizer, watch=lambda count: display.bar(self.source.name, count, "tiles"))
            painted = _painted(image, replace(self.look, mask=mask), tiled, stylizer)
        painted = sixteen_bits(painted) if written > 8 else painted
        with stage("encoding"):
            data = encode_image(self.path, painted, metadata)
        with stage("writing"):
            path = write_result(self.path, data, replace=self.force)
        height, width = painted.shape[:2]
        left_out += carried_metadata(path, metadata, width, height)[1]
        seconds = perf_counter() - started
        reduced = reduced if self.bits == "auto" else []
        notes = (*(f"{what} left out" for what in left_out), *reduced, *renamed(self.path, path))
        return Result(self.source, path, style_name(self.look), width, height, 1, seconds, notes=notes)
