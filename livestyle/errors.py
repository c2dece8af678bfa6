"""The errors that livestyle raises for things a person can put right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_STAGE = "in the stage: "


class LivestyleError(Exception):
    """Something a person can put right; its text is one sentence that says what and how.

    Args:
        text: the sentence, in words that hold for every program: it names no option of a command line.
        setting: name of the argument or setting that would put it right, such as ``camera``, or several; the command
            line appends its own options of these names.
    """

    def __init__(self, text: str, setting: str | tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.settings = (setting,) if isinstance(setting, str) else setting


class InputError(LivestyleError):
    """A picture, a video, a camera or an option cannot be used."""


class StyleError(LivestyleError):
    """A style name, a style picture or a mix of styles cannot be used."""


class ModelError(LivestyleError):
    """A model folder is missing, damaged or of another contract version."""


class DeviceError(LivestyleError):
    """The device that was asked for does not start."""


class OutputError(LivestyleError):
    """A result cannot be written where it was asked for."""


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Context manager of a stage of some work, such as ``encoding``: exceptions note that they come from it.

    Of stages within one another, the innermost is noted; `stage_of` reads it.
    """
    try:
        yield
    except Exception as error:
        if stage_of(error) is None:
            error.add_note(f"{_STAGE}{name}")
        raise


def stage_of(error: BaseException) -> str | None:
    """Name of the stage that an exception comes from; None where it is unknown."""
    notes = getattr(error, "__notes__", ())
    return next((note.removeprefix(_STAGE) for note in notes if note.startswith(_STAGE)), None)


def first_line(error: BaseException) -> str:
    """First line of an exception's message; the name of its class where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
