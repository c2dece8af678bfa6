"""Named pipes (FIFOs) as sources and targets of videos; judged by ffprobe."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from threading import Thread

import pytest

from livestyle import Stylizer
from livestyle.errors import InputError, OutputError
from livestyle.results import locked
from livestyle.styles.library import Style
from tests.batches import H264, lavfi, paint_images, paint_video
from tests.ffmpeg import Make, times

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "np")
    return tmp_path / "np"


def feed(pipe: Path, data: bytes) -> Thread:
    """A program that writes into a pipe."""
    thread = Thread(target=lambda: pipe.write_bytes(data), daemon=True)
    thread.start()
    return thread


def test_a_named_pipe_is_read_like_standard_input(
    make: Make, pipe: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    base = make("base.ts", *lavfi(20), *H264)
    writer = feed(pipe, base.read_bytes())

    (result,) = paint_video(pipe, tmp_path / "o.mp4", identity, [dusk], 0.0)

    writer.join()
    assert (result.frames, len(times(tmp_path / "o.mp4"))) == (20, 20)


def test_a_named_pipe_is_written_like_standard_output(
    make: Make, pipe: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    source = make("base.mp4", *lavfi(10), *H264)
    with (tmp_path / "o.mkv").open("wb") as file, subprocess.Popen(["cat", pipe], stdout=file):
        (result,) = paint_video(source, pipe, identity, [dusk], 0.0)

    assert result.frames == len(times(tmp_path / "o.mkv")) == 10
    assert pipe.is_fifo()


def test_a_pipe_takes_one_style_and_no_matching(pipe: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    with pytest.raises(InputError, match="one film in one style at a time"):
        paint_video(pipe, tmp_path / "o.mp4", identity, [dusk, dusk])


def test_a_picture_from_a_pipe_is_refused(pipe: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    with pytest.raises(InputError, match="np is no file: a picture is read from a file"):
        paint_images([pipe], tmp_path / "o.png", identity, [dusk])


def test_names_of_pipes_that_are_each_process_s_own_are_not_locked(
    make: Make, pipe: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    """As /dev/stdout is, a symbolic link that leads every process to another pipe."""
    source = make("base.mp4", *lavfi(10), *H264)
    (tmp_path / "stdout").symlink_to(pipe)
    with (
        locked(tmp_path / "stdout"),
        (tmp_path / "o.mkv").open("wb") as file,
        subprocess.Popen(["cat", pipe], stdout=file),
    ):
        paint_video(source, tmp_path / "stdout", identity, [dusk], 0.0)

    assert len(times(tmp_path / "o.mkv")) == 10


def test_a_pipe_that_another_process_writes_is_refused(make: Make, pipe: Path, identity: Stylizer, dusk: Style) -> None:
    source = make("base.mp4", *lavfi(10), *H264)
    with locked(pipe), pytest.raises(OutputError, match="np is being written by process"):
        paint_video(source, pipe, identity, [dusk], 0.0)
