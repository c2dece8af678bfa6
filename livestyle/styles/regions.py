"""The background of a masked look: the style, or nothing, outside of the mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from livestyle.errors import StyleError

T = TypeVar("T")

ORIGINAL = "original"
"""Name of the background that leaves the content as it is."""


def find_background(text: str | None, find: Callable[[str], Sequence[T]]) -> T | None:
    """The style of the background that a text names; None for the content as it is.

    Args:
        text: of one style, or ``original``; None is that too.
        find: the styles that a text names, such as `livestyle.StyleLibrary.find`.

    Raises:
        StyleError: there is no such style, or it is a folder of several.
    """
    if text is None or text == ORIGINAL:
        return None
    found = find(text)
    if len(found) != 1:
        raise StyleError(f"{text} is a folder: name one style for the background")
    return found[0]
