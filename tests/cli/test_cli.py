"""The command line: what it says of wrong input, and each choice of a look as an option."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest

import livestyle.jobs.resume
from livestyle import StyleLibrary, Stylizer, __version__
from tests.batches import H264, lavfi
from tests.ffmpeg import Make, pixels
from tests.program import IDENTITY
from tests.program import livestyle as run

HEAVY = ("numpy", "cv2", "onnxruntime", "av", "torch")


def start(*arguments: str) -> CompletedProcess[str]:
    """What a Python of its own prints."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)


def paint(verb: str, source: Path, target: Path, *options: object) -> None:
    """Paint in the style dusk of the model of the tests."""
    result = run(verb, source, "-o", target, "--model", IDENTITY, "-s", "dusk", *options)
    assert result.returncode == 0, result.stderr


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


@pytest.fixture
def clip(make: Make) -> Path:
    """Ten frames, without loss."""
    return make("clip.mkv", *lavfi(size="96x64"), "-c:v", "ffv1", "-pix_fmt", "bgr0")


def shown(ffmpeg: str, path: Path) -> np.ndarray:
    """What ffmpeg shows of `clip` and its paintings: int [N, 64, 96, 3] BGR."""
    return pixels(ffmpeg, path, 96, 64)[..., ::-1]


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    loaded = start("-c", "import livestyle, livestyle.cli.main, sys; print(*sys.modules)").stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_the_runtime_never_loads_torch(image_path: Path, tmp_path: Path) -> None:
    code = "import sys; from livestyle.cli.main import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    result = start("-c", code, "image", str(image_path), "-o", str(tmp_path / "out.png"), "--model", str(IDENTITY))
    assert result.stdout.endswith("\n0 False\n")


def test_a_module_of_python_is_the_program() -> None:
    assert start("-m", "livestyle", "--version").stdout == f"livestyle {__version__}\n"


def test_the_presets_are_listed() -> None:
    names = run("styles", "list").stdout.split()
    assert len(names) >= 12


def test_without_a_style_and_a_model_the_first_preset_of_lite_is_painted(
    image_path: Path, tmp_path: Path, stylizer: Stylizer, library: StyleLibrary
) -> None:
    result = run("image", image_path, "-o", tmp_path / "out.png", "--device", "cpu")

    assert result.returncode == 0
    assert result.stderr.startswith(f"{stylizer.device.text}; model lite\n")
    assert (read(tmp_path / "out.png") == stylizer.stylize(read(image_path), library.first().stats)).all()


@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "missing.png", "-o", "out.png"),
        ("image", __file__, "-o", "out.png", "--model", str(IDENTITY)),
        ("image", __file__, "-o", "out.png", "--style", "no-such-style", "--model", str(IDENTITY)),
        ("image", __file__, "-o", "out.png", "--strength", "7"),
        ("image", __file__, "-o", "out.png", "--sharpness", "-1"),
        ("image", __file__, "-o", "out.png", "--model", "no-such-model"),
        ("video", "missing.mp4", "-o", "out.mp4"),
        ("video", __file__, "-o", "out.mp4", "--jobs", "0"),
        ("video", __file__, "-o", "out.mp4", "--crossfade", "-1"),
        ("image", __file__, "-o", "out.png", "--jobs", "-2"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_no_traceback(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*arguments, cwd=tmp_path)
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
    image_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(image_path.parent)
    for name in ("film.mp4", "old.mp4"):
        Path(name).write_text("there")
    Path(".begun.mp4.livestyle").mkdir()
    Path(".begun.mp4.livestyle/00000.packets").touch()

    result = run(*arguments, "--model", "no-such-model")

    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


def test_jobs_are_said_to_share_the_threads(image_path: Path, tmp_path: Path) -> None:
    options = ("--device", "cpu", "--jobs", "2", "--model", IDENTITY)
    result = run("image", image_path, "-o", tmp_path / "painted", *options)

    assert result.returncode == 0
    assert " (as asked), shared by up to 2 jobs; model identity\n" in result.stderr


MEMORY = """if True:
    import resource
    import av, cv2, numpy, onnxruntime
    from livestyle.cli.main import run_program
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 450_000_000, -1))
    run_program()
"""


def test_a_file_that_needs_too_much_memory_fails_alone(image_path: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "huge.png"), np.zeros((4000, 4000, 4), np.uint8))
    arguments = ["image", str(tmp_path), "-o", str(tmp_path / "painted"), "--device", "cpu", "--model", str(IDENTITY)]
    runs = [
        subprocess.run(
            [sys.executable, "-c", MEMORY, *arguments, *more],
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


def test_image_changes_left_and_right(image_path: Path, tmp_path: Path) -> None:
    paint("image", image_path, tmp_path / "plain.png")
    paint("image", image_path, tmp_path / "out.png", "--mirror")

    assert (read(tmp_path / "out.png") == read(tmp_path / "plain.png")[:, ::-1]).all()


def test_video_changes_left_and_right(clip: Path, tmp_path: Path, ffmpeg: str) -> None:
    paint("video", clip, tmp_path / "plain.mkv", "--crf", "1")
    paint("video", clip, tmp_path / "out.mkv", "--crf", "1", "--mirror")

    out, plain = (shown(ffmpeg, tmp_path / name) for name in ("out.mkv", "plain.mkv"))
    assert abs(out - plain[:, :, ::-1]).mean() < 3 < abs(out - plain).mean()


def edges(image: np.ndarray) -> float:
    """How much neighbours differ."""
    return float(np.abs(np.diff(image.astype(int), axis=-2)).mean())


def test_image_is_sharpened(image_path: Path, tmp_path: Path) -> None:
    for sharpness in (0, 0.5, 1):
        paint("image", image_path, tmp_path / f"{sharpness}.png", "--sharpness", sharpness)

    none, half, full = (edges(read(tmp_path / f"{sharpness}.png")) for sharpness in (0, 0.5, 1))
    assert 1.2 * none < half < full


def test_video_is_sharpened(clip: Path, tmp_path: Path, ffmpeg: str) -> None:
    for sharpness in (0, 1):
        paint("video", clip, tmp_path / f"{sharpness}.mkv", "--crf", "1", "--sharpness", sharpness)

    none, full = (edges(shown(ffmpeg, tmp_path / f"{sharpness}.mkv")) for sharpness in (0, 1))
    assert 1.2 * none < full


def test_image_stands_beside_its_painting(image_path: Path, tmp_path: Path) -> None:
    paint("image", image_path, tmp_path / "plain.png")
    paint("image", image_path, tmp_path / "out.png", "--side-by-side")

    assert (read(tmp_path / "out.png") == np.hstack([read(image_path), read(tmp_path / "plain.png")])).all()


def test_video_stands_beside_its_painting(clip: Path, tmp_path: Path, ffmpeg: str) -> None:
    paint("video", clip, tmp_path / "plain.mkv", "--crf", "1")
    paint("video", clip, tmp_path / "out.mkv", "--crf", "1", "--side-by-side")

    out = pixels(ffmpeg, tmp_path / "out.mkv", 192, 64)[..., ::-1]
    # Encoding halves the resolution of colours.
    assert abs(out[:, :, :96] - shown(ffmpeg, clip)).mean() < 12
    assert abs(out[:, :, 96:] - shown(ffmpeg, tmp_path / "plain.mkv")).mean() < 3


def test_a_video_that_is_not_held_still_follows_the_light(make: Make, tmp_path: Path, ffmpeg: str) -> None:
    flicker = "geq=r='r(X,Y)*(1-0.15*mod(N,2))':g='g(X,Y)*(1-0.15*mod(N,2))':b='b(X,Y)*(1-0.15*mod(N,2))'"
    source = make("flicker.mkv", *lavfi(size="96x64"), "-vf", f"format=gbrp,{flicker}", "-c:v", "ffv1")
    paint("video", source, tmp_path / "still.mkv", "--crf", "1")
    paint("video", source, tmp_path / "out.mkv", "--crf", "1", "--no-stabilise")

    still, out = (shown(ffmpeg, tmp_path / name).mean(axis=(1, 2, 3)) for name in ("still.mkv", "out.mkv"))
    # Each frame by itself has the brightness of the style; held still, it is dark where the source is.
    assert np.ptp(out) < 1 < np.ptp(still)


def test_video_goes_on_after_ctrl_c_and_says_so_to_a_script(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livestyle.jobs.resume, "SEGMENT_FRAMES", 10)
    source, target = make("clip.mp4", *lavfi(26), *H264), tmp_path / "out.mp4"
    command = ("video", source, "-o", target, "--model", IDENTITY, "--json")
    frames, whole = iter(range(16)), Stylizer.stylize

    def stylize(self: Stylizer, *arguments: Any, **options: Any) -> np.ndarray:
        if next(frames, None) is None:
            raise KeyboardInterrupt
        return whole(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Stylizer, "stylize", stylize)
        stopped = run(*command)
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert "warning: " in stopped.stderr
    assert "out.mp4 is unfinished, 10 frames of it are kept" in stopped.stderr
    assert not target.exists()

    result = json.loads(run(*command, "--resume").stdout)
    assert (result["status"], result["frames"], result["resumed_frames"]) == ("done", 26, 10)
    assert json.loads(run(*command, "--resume").stdout)["status"] == "skipped"
