"""Completion of an option's value in a shell. Quick: it loads no network, no OpenCV and no NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import typer

from livestyle.errors import ModelError

Complete = Callable[[str], list[str]]
"""What Typer calls with the begun word for the words that it may become."""


def complete_style(context: typer.Context, incomplete: str) -> list[str]:
    """Names of presets, the model's and the user's own, for a style or the last one of a mix.

    Where none fits, the shell completes files, as pictures are styles too.
    """
    before, comma, last = incomplete.rpartition(",")
    names = dict.fromkeys([*_shipped(context.params.get("model")), *_own()])
    return [before + comma + name for name in _beginning(last, names)]


def complete_own_preset(incomplete: str) -> list[str]:
    """Names of the user's own presets."""
    return _beginning(incomplete, _own())


def complete_device(incomplete: str) -> list[str]:
    """Names of devices."""
    from livestyle.engine.devices import DEVICES

    return _beginning(incomplete, DEVICES)


def complete_model(incomplete: str) -> list[str]:
    """Names of the models that ship; model folders are completed as files are."""
    from livestyle.engine.model import shipped_models

    return _beginning(incomplete, shipped_models())


def completes(*words: str) -> Complete:
    """Completion of an option that takes one of a few words."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, words)

    return complete


def _beginning(text: str, names: Iterable[str]) -> list[str]:
    # A name from a stranger's model may hold control characters, which are none of a terminal's business.
    return [name for name in names if name.startswith(text) and name.isprintable()]


def _shipped(model: object) -> list[str]:
    from livestyle.engine.model import MOST_PRESET_BYTES, PRESETS, find_model
    from livestyle.files import read_json

    first = model[0] if isinstance(model, list | tuple) and model else model
    with suppress(ModelError, OSError, ValueError):
        found = read_json(find_model(str(first) if first else None) / PRESETS, MOST_PRESET_BYTES)
        return list(found) if isinstance(found, dict) else []
    return []


def _own() -> list[str]:
    from livestyle.styles.folders import default_preset_folder

    with suppress(OSError):
        return sorted(path.stem for path in default_preset_folder().glob("*.png") if not path.name.startswith("."))
    return []
