"""The program as a process: standard streams that are closed, full, swapped or gone, and signals."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from livestyle.cli.process import TolerantStream
from tests.batches import H264, lavfi, names
from tests.ffmpeg import Make, stream
from tests.program import IDENTITY

LIVESTYLE = f"{shlex.quote(sys.executable)} -m livestyle"
OPTIONS = f"--model {IDENTITY} --device cpu"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for a shell")


def shell(line: str, folder: Path) -> CompletedProcess[bytes]:
    """What a line of bash does, in a folder; ``livestyle`` in it is this one."""
    line = f'set -o pipefail; livestyle() {{ {LIVESTYLE} "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, env=os.environ | _path())


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture
def clip(make: Make) -> Path:
    return make("a.mp4", *lavfi(), *H264)


@pytest.fixture
def album(image_path: Path) -> Path:
    """A folder with three pictures, in ``tmp_path``."""
    folder = image_path.parent / "album"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes(image_path.read_bytes())
    return folder


@pytest.mark.parametrize(
    "redirection",
    [
        "2>&- >x.mkv",
        "<&- 2>&- >x.mkv",
        ">x.mkv 2>&1",
        "2>&1 | cat >x.mkv",
        "2>/dev/full >x.mkv",
        "-o /dev/stdout | cat >x.mkv",
    ],
)
def test_a_video_on_standard_output_has_nothing_else_in_it(clip: Path, tmp_path: Path, redirection: str) -> None:
    result = shell(f"livestyle video a.mp4 -o - {OPTIONS} {redirection}", tmp_path)

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "x.mkv").read_bytes().startswith(b"\x1a\x45\xdf\xa3")
    assert b"livestyle" not in result.stdout
    assert stream(tmp_path / "x.mkv")["codec_name"] == "h264"
    assert b"model identity" not in (tmp_path / "x.mkv").read_bytes()
    assert b"frames/s" not in (tmp_path / "x.mkv").read_bytes()


@pytest.mark.parametrize(
    ("redirection", "words"),
    [
        ("-o - >&-", b"error: standard output is closed: "),
        ("-o - >/dev/full", b"error: cannot write standard output: No space left on device"),
        ("-o - --raw 64x64@25 >/dev/full", b"error: cannot write standard output: No space left on device"),
        ("-o - | true", b"error: standard output was closed by its reader before the film was complete"),
        ("-o - 1</dev/null", b"error: cannot write standard output: Bad file descriptor"),
    ],
)
def test_a_video_that_nobody_can_take_is_said_to_be_so(
    clip: Path, tmp_path: Path, redirection: str, words: bytes
) -> None:
    result = shell(f"livestyle video a.mp4 {OPTIONS} {redirection}", tmp_path)

    assert (result.returncode, names(tmp_path)) == (1, ["a.mp4"])
    assert words in result.stderr
    assert b"Traceback" not in result.stderr
    assert b"Exception ignored" not in result.stderr


def test_standard_input_that_is_closed_is_said_to_be_so(tmp_path: Path) -> None:
    result = shell(f"livestyle video - -o out.mp4 {OPTIONS} <&-", tmp_path)
    assert (result.returncode, names(tmp_path)) == (1, [])
    assert result.stderr.endswith(b"error: standard input is closed: pipe a film into livestyle, or name a file\n")


@pytest.mark.parametrize("redirection", [">/dev/full 2>/dev/full", ">&- 2>&-", "2>&1 | true", "<&- >&- 2>&-"])
def test_text_that_is_lost_does_not_end_a_batch(album: Path, tmp_path: Path, redirection: str) -> None:
    result = shell(f"livestyle image album -o painted {OPTIONS} {redirection}", tmp_path)

    assert names(tmp_path / "painted") == ["a.png", "b.png", "c.png"]
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">/dev/full", b"No space left on device"), (">&-", b"it is closed"), ("| head -1", b"its reader has gone")],
)
def test_a_script_whose_report_is_lost_gets_its_pictures_and_an_exit_code(
    album: Path, tmp_path: Path, redirection: str, reason: bytes
) -> None:
    result = shell(f"livestyle image album -o painted --json {OPTIONS} {redirection}", tmp_path)

    assert names(tmp_path / "painted") == ["a.png", "b.png", "c.png"]
    assert result.returncode == 1
    assert result.stderr.endswith(b"error: cannot write to standard output: " + reason + b"\n")
    if result.stdout:
        assert json.loads(result.stdout)["path"] == "painted/a.png"


@pytest.mark.parametrize("words", ["--version", "--help", "styles list", "video --help"])
def test_a_list_that_cannot_be_printed_is_an_error(tmp_path: Path, words: str) -> None:
    result = shell(f"livestyle {words} >/dev/full", tmp_path)

    assert result.returncode == 1
    assert result.stderr == b"error: cannot write to standard output: No space left on device\n"


def test_all_streams_closed_leave_no_file_with_their_numbers(clip: Path, tmp_path: Path) -> None:
    """Libraries that write to number 2 would write into the result."""
    result = shell(f"livestyle video a.mp4 -o out.mkv {OPTIONS} <&- >&- 2>&-", tmp_path)

    assert result.returncode == 0
    assert stream(tmp_path / "out.mkv")["codec_name"] == "h264"


def test_what_a_disk_had_no_room_for_is_written_once_there_is_some(tmp_path: Path) -> None:
    class Full:
        def __init__(self) -> None:
            self.text, self.is_full = "", True

        def write(self, text: str) -> int:
            if self.is_full:
                raise OSError(28, "No space left on device")
            self.text += text
            return len(text)

    full = Full()
    tolerant = TolerantStream(full)  # type: ignore[arg-type]
    assert tolerant.write("lost") == 4
    full.is_full = False
    tolerant.write("kept")

    assert full.text == "kept"
    assert tolerant.error is not None


SLOW = """if True:
    import sys, threading, time
    import livestyle.jobs.resume
    from livestyle.cli.main import run_program
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.video.writer import VideoWriter

    livestyle.jobs.resume.SEGMENT_FRAMES = 10
    paint, abort, count = Stylizer.stylize, VideoWriter.abort, 0
    frames = int(sys.argv.pop(1))

    def stylize(self, *arguments, **options):
        global count
        count += 1
        if count > frames:
            print("ready", flush=True)
            time.sleep(60 if threading.current_thread() is threading.main_thread() else 1)
        return paint(self, *arguments, **options)

    def slowly(self):
        print("ending", flush=True)
        time.sleep(1)
        abort(self)

    Stylizer.stylize, VideoWriter.abort = stylize, slowly
    run_program()
"""


def begin(frames: int, *arguments: object) -> subprocess.Popen[str]:
    """The program, which says "ready" and sleeps after so many frames, and "ending" where it ends slowly."""
    words = [sys.executable, "-c", SLOW, str(frames), *map(str, arguments), "--model", str(IDENTITY), "--device", "cpu"]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=os.environ | _path())


def wait_for(program: subprocess.Popen[str], word: str) -> None:
    assert program.stdout is not None
    while (line := program.stdout.readline()) != f"{word}\n":
        assert line, program.communicate()


ENDS = ["SIGINT", "SIGTERM", "SIGHUP"]


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("target", ["out.mp4", "out.gif"])
def test_a_film_that_is_ended_by_a_signal_leaves_what_can_be_resumed_and_nothing_else(
    make: Make, tmp_path: Path, name: str, target: str
) -> None:
    clip = make("a.mp4", *lavfi(40), *H264)
    program = begin(16, "video", clip, "-o", tmp_path / target)
    wait_for(program, "ready")
    program.send_signal(getattr(signal, name))
    wait_for(program, "ending")
    # Again, while it cleans up.
    program.send_signal(getattr(signal, name))
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate()

    assert program.returncode == 130
    kept = [".out.mp4.livestyle"] if target == "out.mp4" else []
    assert names(tmp_path) == [*kept, "a.mp4"]
    said = "is unfinished, 10 frames of it are kept" if kept else "was interrupted, and nothing of it is kept"
    assert said in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ENDS)
def test_a_batch_of_pictures_that_is_ended_by_a_signal_keeps_what_is_complete(
    album: Path, tmp_path: Path, name: str, jobs: int
) -> None:
    program = begin(1, "image", album, "-o", tmp_path / "painted", "--jobs", jobs)
    wait_for(program, "ready")
    program.send_signal(getattr(signal, name))
    _, errors = program.communicate()

    assert program.returncode == 130
    # Each worker completes what it has begun.
    assert names(tmp_path / "painted") == ["a.png", "b.png"][:jobs]
    assert "Traceback" not in errors


def test_signals_that_are_ignored_stay_ignored(clip: Path, tmp_path: Path) -> None:
    result = shell(
        f"trap '' HUP; livestyle video a.mp4 -o out.mp4 {OPTIONS} & sleep 0.3; kill -HUP $!; wait $!", tmp_path
    )
    assert result.returncode == 0, result.stderr
