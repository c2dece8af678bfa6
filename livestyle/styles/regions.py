"""Background of a masked look: the style outside the mask's foreground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from livestyle.errors import StyleError

T = TypeVar("T")

ORIGINAL = "original"
"""Name of the background without a style: the content stays as it is."""


def find_background(text: str | None, find: Callable[[str], Sequence[T]]) -> T | None:
    """Background style that a text names; None where the content stays as it is.

    Args:
        text: name of one style, or ``original``; None means ``original``.
        find: function from a text to the styles that it names, such as `livestyle.StyleLibrary.find`.

    Raises:
        StyleError: there is no such style, or it is a folder of several.
    """
    if text is None or text == ORIGINAL:
        return None
    found = find(text)
    if len(found) != 1:
        raise StyleError(f"{text} is a folder: name one style for the background")
    return found[0]
