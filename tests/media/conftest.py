"""Clips of ffmpeg, made once a session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ffmpeg import Make


@pytest.fixture(scope="session")
def clips(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Runs ffmpeg and gives the file that it wrote, which nobody may change: the same for the same recipe."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[tuple[str | bytes, ...], Path] = {}

    def run(name: str, *arguments: str) -> Path:
        # Of files that are read, the bytes count and not their names.
        recipe = (Path(name).suffix, *(Path(a).read_bytes() if a.startswith("/") else a for a in arguments))
        if recipe not in made:
            path = folder / f"{len(made)}{Path(name).suffix}"
            subprocess.run([ffmpeg, "-v", "error", "-y", *arguments, str(path)], check=True)
            made[recipe] = path
        return made[recipe]

    return run


@pytest.fixture
def make(clips: Make, tmp_path: Path) -> Make:
    """As `clips`, as a file of the test's own under its name."""

    def run(name: str, *arguments: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(clips(name, *arguments), path)
        return path

    return run
