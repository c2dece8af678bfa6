"""Settings of the live program: choices that are kept in a TOML file for the next time."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livestyle.errors import InputError, OutputError
from livestyle.files import atomic_write, read_regular
from livestyle.limits import LIMITS, LONGEST_SHOWN, LONGEST_TEXT, shown
from livestyle.render.look import CHOICES, check_choice

MOST_BYTES = 64 << 10
"""Size limit of the file."""
HEADER = "# What livestyle begins with. Saving writes this file anew: your lines stay, your comments do not.\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Choices for the live program; None is no choice.

    Attributes:
        camera: a camera's number, a device, a file or an address.
        style: a preset, an image, a folder or a mix.
        styles: a folder of images.
        mask: an image whose white is the foreground, or ``none``.
        background: a style for what is outside the mask, or ``original``.
        full_screen: the window fills the screen.
        crossfade: seconds, 0 or more.
        cycle: seconds that each style shows while they change by themselves, more than 0.
        size: that frames are scaled down to fit in, such as ``640x360``.
        fps: frames per second to hold by rendering smaller; 0 does without.
        look: values for the fields of `livestyle.render.look.Look` that have a `Choice`, by name.

    Raises:
        InputError: a value is of another type or out of range.
    """

    camera: str | None = None
    style: str | None = None
    styles: str | None = None
    mask: str | None = None
    background: str | None = None
    full_screen: bool | None = None
    crossfade: float | None = None
    cycle: float | None = None
    size: str | None = None
    fps: float | None = None
    look: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, (fits, what) in _RULES.items():
            value = getattr(self, key)
            if value is not None and not fits(value):
                raise InputError(f"{key} is {what}, not {shown(value)}")
        object.__setattr__(self, "look", {name: check_choice(name, value) for name, value in self.look.items()})

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from `KEYS` and their values, as `chosen` gives them and the file has them."""
        own = {key: value for key, value in values.items() if key not in CHOICES}
        return cls(**own, look={key: value for key, value in values.items() if key in CHOICES})

    def chosen(self) -> dict[str, Any]:
        """The values that are not None, by key; those of the look among them."""
        own = {key: getattr(self, key) for key in _RULES}
        return {key: value for key, value in own.items() if value is not None} | dict(self.look)

    def updated(self, other: Settings) -> Settings:
        """These settings with what others have chosen in place of their own."""
        return Settings.of(self.chosen() | other.chosen())


def settings_path() -> Path:
    """Path of the file: ``LIVESTYLE_SETTINGS``, or one in the user's configuration folder of this system."""
    from platformdirs import user_config_path

    chosen = os.environ.get("LIVESTYLE_SETTINGS")
    return Path(chosen) if chosen else user_config_path("livestyle", appauthor=False) / "settings.toml"


def load_settings() -> Settings:
    """The settings as they were saved last; without a file, no choices.

    A key that this version does not know, which may be of a newer one or misspelt, is logged and ignored.

    Raises:
        InputError: the file is damaged, or a value in it is of another type or out of range.
    """
    path = settings_path()
    values = _read(path)
    for key in sorted(values.keys() - KEYS):
        text = "%s: there is no setting %s, which is ignored; there are %s"
        log.warning(text, path, key[:LONGEST_SHOWN], ", ".join(sorted(KEYS)))
    try:
        return Settings.of({key: value for key, value in values.items() if key in KEYS})
    except InputError as error:
        raise InputError(f"{path}: {error}; correct that line or delete it") from None


def save_settings(settings: Settings) -> Path:
    """Save all settings for the next start; what is None is taken out of the file, unknown keys stay.

    Returns:
        The file.

    Raises:
        InputError: the file that is there is damaged, and is left alone.
        OutputError: they cannot be written; the file that was there is still there.
    """
    import tomli_w

    # Resolved, so that a symbolic link into a folder of dotfiles stays one.
    path = settings_path().resolve()
    unknown = {key: value for key, value in _read(path).items() if key not in KEYS}
    try:
        data = (HEADER + tomli_w.dumps(settings.chosen() | unknown)).encode()
    except UnicodeEncodeError:
        raise OutputError(
            "cannot save the settings: the name of a file in them is not valid UTF-8, rename it"
        ) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Durable: a machine of an exhibition is switched off at the wall.
        with atomic_write(path, durable=True) as file:
            file.write(data)
    except OSError as error:
        raise OutputError(
            f"cannot save the settings to {path}: {error.strerror or error}; name another file in LIVESTYLE_SETTINGS"
        ) from error
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        # utf-8-sig: some editors on Windows write a byte order mark (BOM).
        return tomllib.loads(read_regular(path, MOST_BYTES).decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InputError(f"cannot read the settings {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the settings {path} are damaged ({error}): correct the file or delete it") from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= LONGEST_TEXT


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_size(value: Any) -> bool:
    from livestyle.media.resize import parse_size

    try:
        return _is_text(value) and bool(parse_size(value))
    except InputError:
        return False


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "camera": (_is_text, 'a text, such as "0"'),
    "style": (_is_text, "a text"),
    "styles": (_is_text, "the name of a folder"),
    "mask": (_is_text, "the name of a picture"),
    "background": (_is_text, "a text"),
    "full_screen": (_is_switch, "true or false"),
    "crossfade": (LIMITS["crossfade"].takes, "a number of seconds, 0 or more and a day at most"),
    "cycle": (LIMITS["cycle"].takes, "a number of seconds, more than 0 and a day at most"),
    "size": (_is_size, 'width x height, 64 pixels or more each way, such as "640x360"'),
    "fps": (LIMITS["held fps"].takes, "a number of frames a second, 0 to 1000"),
}
KEYS = frozenset(_RULES) | frozenset(CHOICES)
"""Keys of the file: fields of `Settings`, and of its look."""
