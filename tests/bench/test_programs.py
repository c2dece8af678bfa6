"""Video jobs and the live loop under measurement, in this process and in one of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from livestyle import LivestyleError, open_source
from livestyle.bench.child import run_in_child
from livestyle.bench.machine import peak_memory
from livestyle.bench.plan import LEAST_RUNS, WARM_UP, Scope
from livestyle.bench.programs import CLIP_FRAMES, CLIP_SIZE, LOOP_FRAMES, ProgramRun, run_program, write_clip
from livestyle.engine.model import package_folder
from tests.program import IDENTITY

SIZE = (96, 64)
PATIENCE = 60.0


def program(scope: Scope, folder: Path, model: object = IDENTITY) -> ProgramRun:
    clip = write_clip(folder, scope, SIZE)
    return ProgramRun(scope, str(clip), str(folder / "painted.mp4"), str(model), "cpu", 1, 0.05)


def test_a_video_is_painted_from_end_to_end(tmp_path: Path) -> None:
    result = run_program(program(Scope.VIDEO, tmp_path))
    assert result.frames == CLIP_FRAMES
    assert len(result.milliseconds) == CLIP_FRAMES - WARM_UP - 1
    assert sum(result.milliseconds) < 1000 * result.seconds
    with open_source(tmp_path / "painted.mp4") as painted:
        assert (painted.width, painted.height) == SIZE


def test_the_live_loop_is_not_paced(tmp_path: Path) -> None:
    result = run_program(program(Scope.LIVE, tmp_path))
    assert result.frames == len(result.milliseconds) >= LEAST_RUNS
    # The clip that comes with livestyle has 25.
    assert result.frames / result.seconds > 50


def test_a_video_of_the_clips_own_size_is_the_clip_itself(tmp_path: Path) -> None:
    assert write_clip(tmp_path, Scope.VIDEO, CLIP_SIZE) == package_folder("assets") / "demo.mp4"


def test_a_larger_video_has_fewer_frames(tmp_path: Path) -> None:
    with open_source(write_clip(tmp_path, Scope.VIDEO, (1280, 720))) as video:
        assert (video.width, video.height) == (1280, 720)
        assert sum(1 for _ in video) == WARM_UP + LEAST_RUNS


def test_the_clip_of_the_live_loop_goes_back_and_forth(tmp_path: Path) -> None:
    with open_source(write_clip(tmp_path, Scope.LIVE, SIZE)) as video:
        images = [frame.image.astype(int) for frame in video]
    assert len(images) == 2 * LOOP_FRAMES - 2
    # No cut where it begins again.
    steps = [abs(image - images[number - 1]).mean() for number, image in enumerate(images)]
    assert steps[0] < 2 * np.median(steps) + 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system tells no peak memory")
def test_a_process_of_its_own_does_not_inherit_the_peak_of_this_one(tmp_path: Path) -> None:
    ballast = np.ones(2**29, np.uint8)
    result = run_in_child(program(Scope.VIDEO, tmp_path))
    here = peak_memory()
    assert here is not None
    assert result.peak_mib is not None
    assert here > 512
    assert result.peak_mib < here - 256
    assert result.frames == CLIP_FRAMES
    assert ballast[-1]


def test_what_cannot_be_used_in_the_other_process_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LivestyleError, match=r"^there is no model 'none'"):
        run_in_child(program(Scope.LIVE, tmp_path, model="none"))


def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(LivestyleError, match=r"^the run of live ended without a result \(exit code 1: it said nothing"):
        run_in_child(program(Scope.LIVE, tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_neither_files_nor_processes(tmp_path: Path, number: int) -> None:
    arguments = ["bench", "live", "--model", str(IDENTITY), "--size", "96x64", "--seconds", "300"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "livestyle", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as bench:
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
        end = time.monotonic() + PATIENCE
        while not (found := children.read_text().split()) and time.monotonic() < end:
            time.sleep(0.05)
        assert list(tmp_path.iterdir())
        # To this process alone, as kill does it; a terminal tells the other one too.
        bench.send_signal(number)
        out, err = bench.communicate(timeout=PATIENCE)
    assert (bench.returncode, out, err) == (130, b"", b"")
    assert not list(tmp_path.iterdir())
    # It was told to end, and on a busy machine has not done so yet.
    while Path(f"/proc/{found[0]}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{found[0]}").exists()
