"""Clips of ffmpeg, made once a session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ffmpeg import Make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[object, ...], Path]]:
    """Where clips lie, and which there are."""
    return tmp_path_factory.mktemp("made"), {}


@pytest.fixture
def make(ffmpeg: str, made: tuple[Path, dict[tuple[object, ...], Path]], tmp_path: Path) -> Make:
    """Runs ffmpeg and gives the file that it wrote; the same recipe from the same inputs only once a session."""
    folder, clips = made

    def run(name: str, *arguments: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        # Of files that are read, the bytes count and not their names.
        inputs = (Path(word) for word in arguments if word.startswith("/"))
        recipe = (path.suffix, *(w for w in arguments if not w.startswith("/")), *(p.read_bytes() for p in inputs))
        if recipe not in clips:
            clip = folder / f"{len(clips)}{path.suffix}"
            subprocess.run([ffmpeg, "-v", "error", "-y", *arguments, str(clip)], check=True)
            clips[recipe] = clip
        shutil.copyfile(clips[recipe], path)
        return path

    return run
