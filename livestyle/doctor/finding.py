"""Findings of the doctor: one line each, with the command that mends it where something is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Section(StrEnum):
    """Part of the examination, in the order in which they run."""

    INSTALL = "install"
    GPU = "gpu"
    MODEL = "model"
    SPEED = "speed"
    CAMERAS = "cameras"
    SCREEN = "screen"
    VIDEO = "video"
    STORAGE = "storage"


class State(StrEnum):
    """Outcome of a check."""

    OK = "ok"
    """It works."""
    NOTE = "note"
    """An optional thing is not there, and nothing hints that it should be."""
    WARNING = "warning"
    """Something optional does not work, or not as well as it could."""
    BROKEN = "broken"
    """Something that the program needs does not work."""


@dataclass(frozen=True)
class Finding:
    """Outcome of one check.

    Attributes:
        section: that it belongs to.
        name: of what was checked.
        state: of it.
        text: what was found, one line.
        mend: command, or the one thing to do, that mends it; empty where there is nothing to mend.
        figures: measured numbers and names behind the text, for scripts; JSON values.
    """

    section: Section
    name: str
    state: State
    text: str
    mend: str = ""
    figures: Mapping[str, object] = field(default_factory=dict)
