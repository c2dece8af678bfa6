"""What somebody has chosen in the live program, kept in a TOML file for the next time."""

from __future__ import annotations

import logging
import math
import os
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from livestyle.errors import InputError, OutputError
from livestyle.render.color import ColorMode

HEADER = "# What livestyle begins with. Saving writes this file anew: your lines stay, your comments do not.\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Choices for the live program; None is no choice.

    Attributes:
        camera: a camera's number, a device, a file or an address.
        style: a preset, a picture, a folder or a mix.
        styles: a folder of pictures.
        strength: 0..1.
        stroke_size: how many times as wide strokes are, 1..16.
        color: whose colours a painting has.
        mask: a picture whose white is the foreground, or ``none``.
        background: a style for what is outside the mask, or ``original``.
        mirror: left and right change places.
        side_by_side: the camera beside its painting.
        stabilise: hold the painting still, with running content statistics and less noise.
        full_screen: the window fills the screen.
        crossfade: seconds, 0 or more.
        cycle: seconds that each style stays when they go through by themselves, more than 0.
        size: that frames are scaled to fit in, such as ``640x360``.
        fps: frames a second to hold by painting smaller; 0 does without.

    Raises:
        InputError: a value is of another type or out of range.
    """

    camera: str | None = None
    style: str | None = None
    styles: str | None = None
    strength: float | None = None
    stroke_size: float | None = None
    color: ColorMode | None = None
    mask: str | None = None
    background: str | None = None
    mirror: bool | None = None
    side_by_side: bool | None = None
    stabilise: bool | None = None
    full_screen: bool | None = None
    crossfade: float | None = None
    cycle: float | None = None
    size: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        for key, value in self.chosen().items():
            fits, what = _RULES[key]
            if not fits(value):
                raise InputError(f"{key} is {what}, not {value!r}")
        if self.color is not None:
            object.__setattr__(self, "color", ColorMode(self.color))

    def chosen(self) -> dict[str, Any]:
        """The values that are not None, by key."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def settings_path() -> Path:
    """Where they are kept: ``LIVESTYLE_SETTINGS``, or a file in the user's configuration folder of this system."""
    from platformdirs import user_config_path

    chosen = os.environ.get("LIVESTYLE_SETTINGS")
    return Path(chosen) if chosen else user_config_path("livestyle", appauthor=False) / "settings.toml"


def load_settings() -> Settings:
    """The settings as they were saved last; without a file, no choices.

    A key that this version does not know, which may be of a newer one or misspelt, is named in the log and passed over.

    Raises:
        InputError: the file is damaged, or a value in it is of another type or out of range.
    """
    path = settings_path()
    values = _read(path)
    known = {field.name for field in fields(Settings)}
    for key in sorted(values.keys() - known):
        log.warning("%s: there is no setting %s, which is ignored; there are %s", path, key, ", ".join(sorted(known)))
    try:
        return Settings(**{key: value for key, value in values.items() if key in known})
    except InputError as error:
        raise InputError(f"{path}: {error}; correct that line or delete it") from None


def save_settings(settings: Settings) -> Path:
    """Save all settings for the next start; what is None is taken out of the file, keys that nobody knows stay.

    Returns:
        The file.

    Raises:
        InputError: the file that is there is damaged, and is left alone.
        OutputError: they cannot be written; the file that was there is still there.
    """
    import tomli_w

    # The file, and not the link, where it lies among somebody's dotfiles.
    path = settings_path().resolve()
    known = {field.name for field in fields(Settings)}
    unknown = {key: value for key, value in _read(path).items() if key not in known}
    try:
        data = (HEADER + tomli_w.dumps(settings.chosen() | unknown)).encode()
    except UnicodeEncodeError:
        raise OutputError(
            "cannot save the settings: the name of a file in them is not valid UTF-8, rename it"
        ) from None
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            # A machine of an exhibition is switched off at the wall.
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"cannot save the settings to {path}: {error.strerror or error}; name another file in LIVESTYLE_SETTINGS"
        ) from error
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        # Some editors on Windows begin a file with a byte order mark.
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InputError(f"cannot read the settings {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"the settings {path} are damaged ({error}): correct the file or delete it") from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # True is a number to Python and not to anybody else.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_not_negative(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_size(value: Any) -> bool:
    from livestyle.media.capture.camera import parse_size

    try:
        return _is_text(value) and bool(parse_size(value))
    except InputError:
        return False


_SWITCH = (_is_switch, "true or false")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "camera": (_is_text, 'a text, such as "0"'),
    "style": (_is_text, "a text"),
    "styles": (_is_text, "the name of a folder"),
    "strength": (lambda value: _is_number(value) and 0 <= value <= 1, "a number between 0 and 1"),
    "stroke_size": (lambda value: _is_number(value) and 1 <= value <= 16, "a number between 1 and 16"),
    "color": (lambda value: value in list(ColorMode), f"one of {', '.join(ColorMode)}"),
    "mask": (_is_text, "the name of a picture"),
    "background": (_is_text, "a text"),
    "mirror": _SWITCH,
    "side_by_side": _SWITCH,
    "stabilise": _SWITCH,
    "full_screen": _SWITCH,
    "crossfade": (_is_not_negative, "a number of seconds, 0 or more"),
    "cycle": (lambda value: _is_number(value) and value > 0, "a number of seconds, more than 0"),
    "size": (_is_size, 'width x height, 64 pixels or more each way, such as "640x360"'),
    "fps": (_is_not_negative, "a number of frames a second, 0 or more"),
}
