"""What a shell completes, by the variables with which Typer's scripts ask the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import livestyle


def completed(line: str, env: dict[str, str] | None = None) -> list[str]:
    """What bash gets for a line whose last word was begun."""
    words = line.split(" ")
    asked = {"_LIVESTYLE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return livestyle(env={**asked, **(env or {})}).stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("livestyle webc", ["webcam"]),
        ("livestyle video --side", ["--side-by-side"]),
        ("livestyle webcam --style scr", ["scream"]),
        ("livestyle image photo.jpg -s scr", ["scream"]),
        ("livestyle video in.mp4 --style scream@0,starry", ["scream@0,starry-night"]),
        ("livestyle video --background water", ["water-lilies"]),
        ("livestyle styles preview --style scr", ["scream"]),
        ("livestyle webcam --style no-such", []),
        ("livestyle demo --model f", ["full"]),
        ("livestyle bench --model l", ["lite"]),
        ("livestyle bench --device cpu-", ["cpu-float32"]),
        ("livestyle doctor sc", ["screen"]),
        ("livestyle video --codec h", ["h264", "hevc"]),
    ],
)
def test_words_are_completed(line: str, words: list[str]) -> None:
    assert completed(line) == words


def test_the_users_own_presets_are_completed(image_path: Path, tmp_path: Path) -> None:
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "mine.png").write_bytes(image_path.read_bytes())
    env = {"LIVESTYLE_PRESETS": str(presets)}
    assert completed("livestyle image photo.jpg --style mi", env) == ["mine"]
    assert completed("livestyle styles remove ", env) == ["mine"]
    assert completed("livestyle styles export m", env) == ["mine"]


def test_the_presets_are_those_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "presets.json").write_text('{"scribble": [0.0], "scr\\u001b[2J": [0.0]}')
    # What would be an escape sequence on the terminal is left out.
    assert completed(f"livestyle webcam --model {tmp_path} --style scr") == ["scribble"]


def test_a_model_that_is_not_there_completes_nothing() -> None:
    assert completed("livestyle webcam --model /no/such --style scr") == []


def test_completion_loads_neither_networks_nor_opencv() -> None:
    program = (
        "import atexit, sys\n"
        "heavy = {'onnxruntime', 'cv2', 'numpy', 'PIL', 'av'}\n"
        "atexit.register(lambda: print(*sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "from livestyle.cli.main import main\n"
        "main([])\n"
    )
    line = "livestyle webcam --style scr"
    env = {**os.environ, "_LIVESTYLE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "3"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr.split()) == (["scream"], [])
