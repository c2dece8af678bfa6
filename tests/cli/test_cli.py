from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import __version__

HEAVY = ("numpy", "cv2", "onnxruntime", "av", "torch")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "livestyle", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", ["import livestyle", "import livestyle.cli"])
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    loaded = f"{code}; import sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(result.stdout.split())


def test_the_runtime_never_loads_torch(picture: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from livestyle.cli.main import app; "
        f"app(['image', {str(picture)!r}, '-o', {str(tmp_path / 'out.png')!r}], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"livestyle {__version__}\n"


def test_the_presets_are_listed() -> None:
    names = run("styles", "list").stdout.split()
    assert len(names) >= 12


@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "missing.png", "-o", "out.png"),
        ("image", __file__, "-o", "out.png"),
        ("image", __file__, "-o", "out.png", "--style", "no-such-style"),
        ("image", __file__, "-o", "out.png", "--strength", "7"),
        ("image", __file__, "-o", "out.png", "--model", "no-such-model"),
        ("video", "missing.mp4", "-o", "out.mp4"),
        ("video", __file__, "-o", "out.mp4", "--jobs", "0"),
        ("video", __file__, "-o", "out.mp4", "--crossfade", "-1"),
        ("image", __file__, "-o", "out.png", "--jobs", "-2"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_no_traceback(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 1
    assert len(errors) == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("image", "missing.png", "-o", "out.png"), "there is no picture missing.png"),
        (("image", "picture.png", "-o", "picture.png"), "picture.png is the source itself"),
        (("image", "picture.png", "-o", "no/out.png"), "there is no folder no"),
        (("video", "missing.mp4", "-o", "out.mp4"), "there is no video missing.mp4"),
        (("video", "film.mp4", "-o", "out.mp4", "--stroke-size", "0"), "the stroke size is between 1 and 16, not 0"),
        (("video", "film.mp4", "-o", "old.mp4"), "already exists: choose another name, or replace it (--force)"),
        (("video", "film.mp4", "old.mp4", "-o", "film.mp4/painted"), "film.mp4 is a file"),
        (("video", "film.mp4", "-o", "begun.mp4"), "or force a new beginning (--resume, --force)"),
        (("video", "film.mp4", "-o", "out.webm", "--codec", "h264"), "a .webm does not carry h264"),
        (("video", "film.mp4", "-o", "out.mp4", "--crf", "52"), "the crf of h264 is between 0 (best) and 51"),
        (("video", "film.mp4", "-o", "/proc/out.mp4"), "in the folder /proc no file can be made"),
        (("demo", "-o", "old.mp4"), "old.mp4 already exists: choose another name, or replace it\n"),
    ],
)
def test_a_wrong_path_is_said_before_the_model_is_loaded(
    picture: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(picture.parent)
    for name in ("film.mp4", "old.mp4"):
        Path(name).write_text("there")
    Path(".begun.mp4.livestyle").mkdir()

    result = run(*arguments, "--model", "no-such-model")

    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


def test_jobs_are_said_to_share_the_threads(picture: Path, tmp_path: Path) -> None:
    result = run("image", str(picture), "-o", str(tmp_path / "painted"), "--device", "cpu", "--jobs", "2")

    assert result.returncode == 0
    assert " (as asked), shared by up to 2 jobs; model lite\n" in result.stderr


def test_a_file_that_needs_too_much_memory_fails_alone(picture: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "huge.png"), np.zeros((8000, 8000, 4), np.uint8))
    code = """if True:
        import resource, sys
        import av, cv2, numpy, onnxruntime
        from livestyle.cli.main import main
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 1_500_000_000, -1))
        main()
    """
    arguments = ["image", str(tmp_path), "-o", str(tmp_path / "painted"), "--device", "cpu"]
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, *arguments, *more],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )
        for more, environment in (([], {}), (["--force"], {"LIVESTYLE_DEBUG": "1"}))
    ]

    for result in runs:
        assert result.returncode == 1
        assert "warning: there is not enough memory to paint" in result.stderr
        assert "error: 1 of 2 pictures failed, the rest is done: " in result.stderr
        assert [path.name for path in (tmp_path / "painted").iterdir()] == ["picture.png"]
    assert ["Traceback" in result.stderr for result in runs] == [False, True]
