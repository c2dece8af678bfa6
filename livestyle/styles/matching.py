"""Colour matching of a look: its style images take on the colours of the content before they are encoded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from livestyle.errors import StyleError
from livestyle.render.color import ColorMode
from livestyle.render.look import check_look

from .library import Style, StyleLibrary, source_image
from .timeline import Timeline

if TYPE_CHECKING:
    import numpy as np

    from livestyle.engine.stylizer import Stylizer
    from livestyle.render.look import Look, StyleOverTime


def check_matching(look: Look) -> None:
    """Raise a `StyleError` where colours are to be matched and a style of the look has no image."""
    check_look(look)
    if look.color is ColorMode.MATCH:
        for style in (look.style, look.background):
            for each in _styles(style):
                source_image(each)


def match_look(look: Look, content: np.ndarray, stylizer: Stylizer) -> Look:
    """Look whose style images have the colours of a content, see `livestyle.render.color.match_colors`.

    Args:
        look: returned as it is unless its `ColorMode` is MATCH.
        content: uint8 [H, W, 3] or [N, H, W, 3] BGR, of any size.
        stylizer: encodes the matched images.

    Raises:
        StyleError: a style has no image (a preset of the model, a mix), or the file is gone.
    """
    check_look(look)
    if look.color is not ColorMode.MATCH:
        return look
    library = StyleLibrary(stylizer)

    def matched(style: StyleOverTime) -> StyleOverTime:
        each = [library.matched(one, content) for one in _styles(style)]
        return style.with_styles(each) if isinstance(style, Timeline) else each[0]

    background = None if look.background is None else matched(look.background)
    return replace(look, style=matched(look.style), background=background)


def _styles(style: StyleOverTime | None) -> tuple[Style, ...]:
    if style is None:
        return ()
    if isinstance(style, Timeline):
        return style.styles
    if isinstance(style, Style):
        return (style,)
    raise StyleError("colours can be matched in styles of pictures only: take one from a StyleLibrary")
