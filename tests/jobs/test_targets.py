"""One target at a time: locks that die with their owner, and files that appear while a result is made."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livestyle import Stylizer, VideoOptions
from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.files import hidden_path
from livestyle.jobs import paths
from livestyle.jobs.report import Outcome
from livestyle.live.recording import save_snapshot
from livestyle.media.sinks.recorder import Recorder
from livestyle.results import locked, publish, write_result
from livestyle.styles.library import Style
from livestyle.styles.presets import PresetFolder
from tests.batches import H264, lavfi, names, paint_images, paint_video, paint_videos
from tests.ffmpeg import Make, stream
from tests.program import IDENTITY
from tests.program import livestyle as run

HOLD = """if True:
    import sys, time
    from contextlib import ExitStack
    from pathlib import Path
    from livestyle.results import locked

    with ExitStack() as stack:
        for name in sys.argv[1:]:
            stack.enter_context(locked(Path(name)))
        print("held", flush=True)
        time.sleep(60)
"""


class Holder:
    """Another process that writes files, until it is killed."""

    def __init__(self, *targets: Path) -> None:
        command = [sys.executable, "-c", HOLD, *map(str, targets)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def error(self) -> str:
        return f"is being written by process {self.process.pid}: wait for it, or choose another name"


@pytest.fixture
def clip(make: Make) -> Path:
    return make("clip.mp4", *lavfi(), *H264)


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.webp"])
@pytest.mark.parametrize("how", [(), ("--force",), ("--resume",), ("--resume", "--force")])
def test_a_film_that_another_process_writes_is_refused_before_the_model_is_loaded(
    clip: Path, tmp_path: Path, name: str, how: tuple[str, ...]
) -> None:
    target = tmp_path / name
    store = hidden_path(target, ".livestyle")
    store.mkdir()
    (store / "video.mp4").write_text("of the other")

    with Holder(target) as other:
        result = run("video", clip, "-o", target, "--model", "none", *how)

    assert result.returncode == 1
    assert other.error in result.stderr
    assert names(store) == ["video.mp4"]


def test_a_batch_leaves_out_what_another_process_writes_and_does_the_rest(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, image_path: Path
) -> None:
    films = [make(f"films/{name}.mp4", *lavfi(), *H264) for name in "abc"]
    pictures = [tmp_path / f"{name}.png" for name in "abc"]
    for picture in pictures:
        picture.write_bytes(image_path.read_bytes())
    painted = tmp_path / "painted"
    painted.mkdir()

    with Holder(painted / "b.mp4", painted / "b.png") as other:
        for paint, sources, kind in ((paint_videos, films, "videos"), (paint_images, pictures, "pictures")):
            done: list[Outcome] = []
            with pytest.raises(InputError, match=f"1 of 3 {kind} failed, the rest is done: .*b"):
                paint(sources, painted, identity, [dusk], 0.0, workers=2, done=done.append)
            assert [str(other.error) in str(getattr(o, "error", "")) for o in sorted(done, key=str)].count(True) == 1

    assert [name for name in names(painted) if not name.endswith(".lock")] == ["a.mp4", "a.png", "c.mp4", "c.png"]


def test_what_a_killed_process_has_locked_is_free(clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    target = tmp_path / "out.mp4"
    with Holder(target) as other:
        os.kill(other.process.pid, signal.SIGKILL)
        other.process.wait()
        assert names(tmp_path) == [".out.mp4.lock", "clip.mp4"]
        paint_video(clip, target, identity, [dusk], 0.0)

    assert names(tmp_path) == ["clip.mp4", "out.mp4"]


def test_one_target_has_one_lock_under_all_names_of_its_folder(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.symlink_to(folder)

    with locked(folder / "a.mp4"):
        for path in (other / "a.mp4", folder / ".." / "folder" / "a.mp4"):
            with pytest.raises(OutputError, match=f"is being written by process {os.getpid()}: "), locked(path):
                pass
        with locked(folder / "b.mp4"):
            pass
    with locked(other / "a.mp4"):
        pass
    assert names(folder) == []


def test_many_processes_that_want_one_target_get_it_one_at_a_time(tmp_path: Path) -> None:
    """The file of a lock is deleted at its end, which must not let two have it."""
    code = """if True:
        import os, sys, time
        from pathlib import Path
        from livestyle.errors import OutputError
        from livestyle.results import locked
        folder, got, end = Path(sys.argv[1]), 0, time.monotonic() + 1.5
        # A busy machine may let one of them begin late.
        while time.monotonic() < end or (not got and time.monotonic() < end + 60):
            try:
                with locked(folder / "a.mp4"):
                    # Fails where another process is here too.
                    os.mkdir(folder / "inside")
                    os.rmdir(folder / "inside")
                    got += 1
            except OutputError:
                pass
        print(got)
    """
    start = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(start, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) for _ in range(4)]
    counts = [int(process.communicate()[0]) for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    assert all(counts)
    assert names(tmp_path) == []


def test_a_lock_touches_nothing_that_a_stranger_has_put_there(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    for name, link in (("a.mp4", os.symlink), ("b.mp4", os.link)):
        link(precious, hidden_path(tmp_path / name, ".lock"))
        with locked(tmp_path / name):
            pass
    os.mkfifo(hidden_path(tmp_path / "c.mp4", ".lock"))
    with locked(tmp_path / "c.mp4"):
        pass

    assert precious.read_text() == "keep me"


def test_without_locks_on_a_file_system_results_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path / "a.mp4"), locked(tmp_path / "a.mp4"):
        pass


def test_a_recording_is_not_replaced_by_a_film_while_it_goes_on(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, frame: Any
) -> None:
    target = tmp_path / "out.mp4"
    recorder = Recorder(target, 64, 64)
    recorder.write(frame[:64, :64].copy(), time.monotonic())

    with pytest.raises(OutputError, match=f"is being written by process {os.getpid()}"):
        paint_video(clip, target, identity, [dusk], 0.0, force=True)
    recorder.close()
    paint_video(clip, target, identity, [dusk], 0.0, force=True)

    assert names(tmp_path) == ["clip.mp4", "out.mp4"]


Paint = Callable[..., Any]


@pytest.fixture
def meanwhile(identity: Stylizer, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Lets somebody else write a file while the first frame is painted."""

    def arrange(path: Path) -> None:
        paint = Stylizer.stylize

        def stylize(self: Stylizer, *arguments: Any, **options: Any) -> Any:
            if not path.exists():
                path.write_text("of somebody else")
            return paint(self, *arguments, **options)

        monkeypatch.setattr(Stylizer, "stylize", stylize)

    return arrange


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_a_film_does_not_replace_what_appears_meanwhile(
    clip: Path,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    meanwhile: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    target = tmp_path / name
    meanwhile(target)

    (result,) = paint_video(clip, target, identity, [dusk])

    other = target.with_stem("out-2")
    said = f"{target} has been made by another program meanwhile and stays as it is"
    assert result.path == other
    assert said in result.notes
    assert f"{said}: the result is {other}" in caplog.messages
    assert target.read_text() == "of somebody else"
    assert stream(other)["width"] == 64
    assert names(tmp_path) == ["clip.mp4", *sorted([name, other.name])]


def test_a_film_replaces_it_by_force(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, meanwhile: Callable[[Path], None]
) -> None:
    meanwhile(tmp_path / "out.mp4")

    (result,) = paint_video(clip, tmp_path / "out.mp4", identity, [dusk], force=True)

    assert result.path == tmp_path / "out.mp4"
    assert stream(result.path)["width"] == 64


@pytest.mark.parametrize("verb", ["image", "preview"])
def test_a_picture_does_not_replace_what_appears_meanwhile(
    image_path: Path, tmp_path: Path, meanwhile: Callable[[Path], None], verb: str
) -> None:
    target = tmp_path / "out.png"
    meanwhile(target)
    words = ("styles", "preview") if verb == "preview" else (verb,)

    result = run(*words, image_path, "-o", target, "--model", IDENTITY, "-s", "dusk")

    assert result.returncode == 0
    assert f"{target} has been made by another program meanwhile and stays as it is: the result is" in result.stderr
    assert result.stdout.startswith(f"{tmp_path / 'out-2.png'}: ")
    assert target.read_text() == "of somebody else"


def test_packs_presets_snapshots_and_figures_replace_nothing_either(
    tmp_path: Path, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = PresetFolder(tmp_path / "presets")
    monkeypatch.setattr(PresetFolder, "_check_free", lambda *_: None)
    (tmp_path / "taken.livestyle").write_text("taken")
    (tmp_path / "taken.png").write_text("taken")
    monkeypatch.setattr("livestyle.live.recording.free_name", lambda *_: tmp_path / "taken.png")

    assert [folder.add("wave", frame).name for _ in range(2)] == ["wave.png", "wave-2.png"]
    assert folder.write_file([], tmp_path / "taken.livestyle", replace=False)[0].name == "taken-2.livestyle"
    assert save_snapshot(tmp_path, frame).name == "taken-2.png"
    assert (tmp_path / "taken.livestyle").read_text() == (tmp_path / "taken.png").read_text() == "taken"


def test_a_link_that_leads_nowhere_is_a_file_that_is_there(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    (tmp_path / "out.mp4").symlink_to(tmp_path / "unmounted" / "out.mp4")

    with pytest.raises(OutputError, match=r"out\.mp4 already exists"):
        paint_video(clip, tmp_path / "out.mp4", identity, [dusk], 0.0)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_system_without_hard_links_replaces_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a.png").write_text("there")

    assert write_result(tmp_path / "a.png", b"new", replace=False) == tmp_path / "a-2.png"
    assert write_result(tmp_path / "b.png", b"new", replace=False) == tmp_path / "b.png"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.png": "there",
        "a-2.png": "new",
        "b.png": "new",
    }


def test_a_long_name_gets_a_number_that_fits(tmp_path: Path) -> None:
    path, partial = tmp_path / ("ä" * 125 + "a.png"), tmp_path / "partial"
    path.write_text("there")
    partial.write_text("new")

    name = publish(partial, path, replace=False).name

    assert name.endswith("ä-2.png")
    assert len(name.encode()) <= 255


def test_a_film_that_another_run_has_completed_meanwhile_is_not_painted_again(
    make: Make,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    meanwhile: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    films = [make(f"films/{name}.mp4", *lavfi(), *H264) for name in "ab"]
    painted, done = tmp_path / "painted", list[Outcome]()
    meanwhile(painted / "b.mp4")

    results = paint_videos(films, painted, identity, [dusk], options=VideoOptions(resume=True), done=done.append)

    assert [result.path.name for result in results] == ["a.mp4"]
    assert [outcome.record()["status"] for outcome in done] == ["done", "skipped"]
    assert f"{painted / 'b.mp4'} is there already and stays as it is" in caplog.messages
    assert (painted / "b.mp4").read_text() == "of somebody else"


def test_without_resuming_it_fails_before_it_is_painted(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, meanwhile: Callable[[Path], None]
) -> None:
    films = [make(f"films/{name}.mp4", *lavfi(), *H264) for name in "ab"]
    meanwhile(tmp_path / "painted" / "b.mp4")
    done: list[Outcome] = []

    with pytest.raises(InputError, match=r"1 of 2 videos failed"):
        paint_videos(films, tmp_path / "painted", identity, [dusk], done=done.append)

    assert "already exists" in str(done[1].error)  # type: ignore[union-attr]


def test_names_that_differ_in_capitals_are_one_where_the_disk_says_so(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [make("one/x.mp4", *lavfi(), *H264), make("two/X.mp4", *lavfi(), *H264)]
    painted = tmp_path / "painted"
    with monkeypatch.context() as patch:
        patch.setattr(paths, "_is_case_insensitive", lambda _: True)
        with pytest.raises(OutputError, match="two results would both be "):
            paint_videos(films, painted, identity, [dusk], 0.0)

    paint_videos(films, painted, identity, [dusk], 0.0)
    assert names(painted) == ["X.mp4", "x.mp4"]


@pytest.mark.parametrize("force", [False, True])
def test_a_film_that_was_killed_between_its_completion_and_the_clearing_away_is_complete(
    clip: Path,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    monkeypatch: pytest.MonkeyPatch,
    force: bool,
) -> None:
    target = tmp_path / "out.mp4"
    if force:
        target.write_text("to be replaced")
    options = VideoOptions(segment_frames=4)
    with monkeypatch.context() as patch:
        patch.setattr("livestyle.jobs.resume.SegmentStore.remove", lambda _: None)
        paint_video(clip, target, identity, [dusk], options=options, force=force)
    before = target.read_bytes()
    assert ".out.mp4.livestyle" in names(tmp_path)

    assert paint_video(clip, target, identity, [dusk], options=VideoOptions(segment_frames=4, resume=True)) == []

    assert target.read_bytes() == before
    assert names(tmp_path) == ["clip.mp4", "out.mp4"]


def test_a_name_that_is_taken_by_a_folder_keeps_a_result_too(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert write_result(tmp_path / "a.png", b"new", replace=False).name == "a-2.png"
    with pytest.raises(LivestyleError, match=r"cannot write .*a\.png: "):
        write_result(tmp_path / "a.png", b"new", replace=True)
    assert names(tmp_path) == ["a-2.png", "a.png"]


def test_a_sequence_does_not_replace_what_appears_meanwhile(
    clip: Path,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    meanwhile: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "painted"
    folder.mkdir()
    meanwhile(folder / "f_03.png")

    (result,) = paint_video(clip, folder / "f_%02d.png", identity, [dusk])

    assert result.path == folder / "f-2" / "f_%02d.png"
    assert len(names(folder / "f-2")) == 10
    assert names(folder) == ["f-2", "f_03.png"]
    assert (folder / "f_03.png").read_text() == "of somebody else"
    assert "f_%02d.png has been made by another program meanwhile and stays as it is: the result is" in caplog.text


@pytest.mark.parametrize("pattern", ["f_%02d.png", "f_##.png"])
def test_a_sequence_has_one_lock_under_all_spellings(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, pattern: str
) -> None:
    with Holder(tmp_path / "f_%02d.png") as other, pytest.raises(OutputError, match=other.error):
        paint_video(clip, tmp_path / pattern, identity, [dusk], force=True)


@pytest.mark.parametrize(("segment", "kept"), [(4, 8), (50, 0)])
def test_a_sequence_that_was_killed_while_its_files_got_their_names_is_resumed(
    clip: Path,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    monkeypatch: pytest.MonkeyPatch,
    segment: int,
    kept: int,
) -> None:
    for name in ("whole", "painted"):
        (tmp_path / name).mkdir()
    options, resume = VideoOptions(segment_frames=segment), VideoOptions(segment_frames=segment, resume=True)
    paint_video(clip, tmp_path / "whole" / "f_%02d.png", identity, [dusk], options=options)
    target, left = tmp_path / "painted" / "f_%02d.png", iter(range(3))

    def killed(partial: Path, path: Path, *, replace: bool) -> Path:
        next(left)
        return publish(partial, path, replace=replace)

    with monkeypatch.context() as patch:
        patch.setattr("livestyle.media.video.sequence_writer.publish", killed)
        # What a killed process does not get to.
        patch.setattr("livestyle.media.video.sequence_writer.SequenceWriter.abort", lambda _: None)
        with pytest.raises(LivestyleError, match="StopIteration"):
            paint_video(clip, target, identity, [dusk], options=options)
    assert len(names(target.parent)) == 4

    # It is killed once more, in the beginning.
    with monkeypatch.context() as patch:
        patch.setattr(Stylizer, "stylize", lambda *_, **__: next(iter(())))
        with pytest.raises(LivestyleError, match="StopIteration"):
            paint_video(clip, target, identity, [dusk], options=resume)
    (result,) = paint_video(clip, target, identity, [dusk], options=resume)

    assert (result.path, result.resumed) == (target, kept)
    whole, painted = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "painted")
    )
    assert painted == whole


@pytest.mark.parametrize("left", [(), ("complete.json",), ("complete.json", "job.json", "00001.packets")])
def test_what_is_left_of_a_folder_that_was_being_deleted_is_no_begun_video(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, left: tuple[str, ...]
) -> None:
    (tmp_path / "out.mp4").write_text("complete")
    store = hidden_path(tmp_path / "out.mp4", ".livestyle")
    store.mkdir()
    found = (tmp_path / "out.mp4").stat()
    for name in left:
        (store / name).write_text(f"[{found.st_size}, {found.st_mtime_ns}]")

    assert paint_video(clip, tmp_path / "out.mp4", identity, [dusk], options=VideoOptions(resume=True)) == []

    assert names(tmp_path) == ["clip.mp4", "out.mp4"]
