"""Text that a stranger wrote, such as names and tags, as it may be shown on a terminal or stand in a log."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of Unicode: control characters, formatting such as that of direction, lone surrogates, line ends."""
_JOINERS = "\u200c\u200d"
"""Of these, what words of some scripts and emoji need."""


def escaped(text: object) -> str:
    """Text on one line, with escapes in place of what a terminal would obey or nobody would see.

    Those are control characters and so ANSI sequences, line ends, and characters that turn the direction of writing
    (Trojan Source): ``\\x1b[31m``, ``\\n``, ``\\u202e``.
    """
    return "".join(
        c if c in _JOINERS or unicodedata.category(c) not in _HIDDEN else c.encode("unicode_escape").decode("ascii")
        for c in str(text)
    )
