"""What somebody meets who has just installed livestyle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import IDENTITY, livestyle


def test_livestyle_alone_says_what_it_is_and_offers_its_commands() -> None:
    done = livestyle()
    assert done.returncode == 0
    assert all(f"livestyle {verb} " in done.stdout for verb in ("webcam", "video", "image", "demo", "doctor"))


@pytest.mark.skipif(Path("/dev/video0").exists(), reason="there is a camera here")
def test_without_a_camera_the_demo_clip_is_offered() -> None:
    done = livestyle("webcam", "--no-window", "--serve", "0", "--no-saved", "--model", IDENTITY, "--device", "cpu")
    assert done.returncode == 1
    assert "--camera demo paints the clip that comes along" in done.stderr


def test_quiet_prints_nothing(image_path: Path, tmp_path: Path) -> None:
    options = ("--model", IDENTITY, "--device", "cpu", "--quiet")
    done = livestyle("image", image_path, "-o", tmp_path / "out.png", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out.png").exists()


def test_quiet_leaves_the_errors(tmp_path: Path) -> None:
    done = livestyle("image", tmp_path / "none.png", "-o", tmp_path / "out.png", "--quiet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize("verb", [(), ("webcam",), ("video",), ("styles", "list"), ("doctor",)])
def test_the_help_names_no_type_beside_what_takes_no_value(verb: tuple[str, ...]) -> None:
    done = livestyle(*verb, "--help")
    assert done.returncode == 0
    assert "<bool>" not in done.stdout
    assert "<list[" not in done.stdout


@pytest.mark.parametrize("program", [("train",), ("train", "fit"), ("export",)])
def test_the_help_of_training_and_export_names_none_either(program: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", *program, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--help" in done.stdout
    assert "<bool>" not in done.stdout


@pytest.mark.parametrize(("given", "meant"), [("scraem", "scream"), ("Starry Night", "starry-night")])
def test_a_misspelt_style_gets_the_nearest_one(image_path: Path, tmp_path: Path, given: str, meant: str) -> None:
    done = livestyle("image", image_path, "-o", tmp_path / "out.png", "--style", given, "--device", "cpu")
    assert done.returncode == 1
    assert f"did you mean {meant}?" in done.stderr
