"""Where the user's own presets are kept. Imports little, as the completion of a shell asks for it."""

from __future__ import annotations

import os
from pathlib import Path


def default_preset_folder() -> Path:
    """Folder of presets: the environment variable ``LIVESTYLE_PRESETS``, else in the user's data folder."""
    from platformdirs import user_data_path

    chosen = os.environ.get("LIVESTYLE_PRESETS")
    return Path(chosen) if chosen else user_data_path("livestyle", appauthor=False) / "presets"
