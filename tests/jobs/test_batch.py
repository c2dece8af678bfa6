"""Batches of videos: folders and patterns, names of the results, failures, several jobs at a time, reports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from livestyle import Look, VideoOptions, stylize_video
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.jobs.report import Outcome, print_json, print_result
from livestyle.styles.library import Style
from tests.batches import H264, lavfi, names, paint_images, paint_video, paint_videos
from tests.ffmpeg import Make, pixels
from tests.program import IDENTITY


@pytest.fixture
def clip(make: Make) -> Path:
    """Ten frames, 25 a second."""
    return make("clip.mp4", *lavfi(), *H264)


@pytest.fixture
def album(make: Make, tmp_path: Path) -> Path:
    """Two videos and other things."""
    make("album/b.mov", *lavfi(), *H264)
    make("album/a.avi", *lavfi(), "-c:v", "mpeg4")
    (tmp_path / "album" / "notes.txt").write_text("not a video")
    (tmp_path / "album" / ".hidden.mp4").write_text("not a video")
    return tmp_path / "album"


def test_one_video_is_painted_by_one_call(clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    result = stylize_video(str(clip), str(tmp_path / "out.mp4"), Look(dusk, 0.5), identity)

    assert result is not None
    assert (result.path, result.frames) == (tmp_path / "out.mp4", 10)
    paint_video(clip, tmp_path / "batch.mp4", identity, [dusk], 0.5)
    assert result.path.read_bytes() == (tmp_path / "batch.mp4").read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        stylize_video(clip, tmp_path / "out.mp4", Look(dusk), identity)
    stylize_video(clip, tmp_path / "out.mp4", Look(dusk), identity, force=True)
    assert result.path.read_bytes() != (tmp_path / "batch.mp4").read_bytes()


def test_one_video_that_is_complete_has_no_result_when_it_is_resumed(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    out = tmp_path / "out.mp4"
    assert stylize_video(clip, out, Look(dusk), identity, VideoOptions(resume=True)) is not None
    before = out.stat().st_mtime_ns
    assert stylize_video(clip, out, Look(dusk), identity, VideoOptions(resume=True)) is None
    assert out.stat().st_mtime_ns == before


def test_a_folder_of_videos_becomes_a_folder(album: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    results = paint_videos([album], tmp_path / "new" / "painted", identity, [dusk], 0.0)

    assert [(result.source.name, result.path.name) for result in results] == [("a.avi", "a.mp4"), ("b.mov", "b.mov")]
    assert names(tmp_path / "new" / "painted") == ["a.mp4", "b.mov"]


def test_a_folder_s_animated_images_are_videos_and_still_ones_are_not(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("moving.webp", "moving.gif"):
        make(f"album/{name}", *lavfi(5))
    make("album/moving.png", *lavfi(5), "-f", "apng")
    for name in ("still.webp", "still.png"):
        make(f"album/{name}", *lavfi(1))
    album, painted = tmp_path / "album", tmp_path / "painted"

    videos = paint_videos([album], painted / "videos", identity, [dusk], 0.0)

    assert {result.path.name: result.frames for result in videos} == {
        "moving.gif": 5,
        "moving.mp4": 5,
        "moving.webp": 5,
    }
    assert ["left out" in message for message in caplog.messages] == [True]
    caplog.clear()
    paint_images([album, album / "moving.gif"], painted / "images", identity, [dusk, dusk])
    said = [message for message in caplog.messages if "left out" not in message]
    assert [message.split(" and ")[0] for message in said] == [
        f"{album / name} is animated" for name in ("moving.gif", "moving.png", "moving.webp")
    ]
    assert all("only its first frame is painted" in message for message in said)


def test_an_animated_avif_is_a_video_and_as_an_image_its_first_frame(
    tmp_path: Path, identity: Stylizer, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [Image.new("RGB", (96, 64), (30 * n, 0, 0)) for n in range(5)]
    frames[0].save(tmp_path / "moving.avif", save_all=True, append_images=frames[1:], duration=100)
    frames[0].save(tmp_path / "still.avif")

    videos = paint_videos([tmp_path], tmp_path / "videos", identity, [dusk], 0.0)
    caplog.clear()
    paint_images([tmp_path / "moving.avif", tmp_path / "still.avif"], tmp_path / "images", identity, [dusk])

    assert [(result.path.name, result.frames) for result in videos] == [("moving.mp4", 5)]
    said = [message for message in caplog.messages if "only its first frame" in message]
    assert [message.split(" and ")[0] for message in said] == [f"{tmp_path / 'moving.avif'} is animated"]


def test_videos_of_one_name_keep_their_suffixes(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, ffmpeg: str
) -> None:
    """What has the suffix of its result already keeps its name."""
    folder = tmp_path / "album"
    for name, color in (("x.mp4", "black"), ("x.avi", "gray"), ("x.wmv", "white"), ("y.avi", "black")):
        make(f"album/{name}", "-f", "lavfi", "-i", f"color={color}:size=64x64:rate=25:duration=0.2")

    results = paint_videos([folder], tmp_path / "painted", identity, [dusk], 0.0)

    assert [(result.source.name, result.path.name) for result in results] == [
        ("x.avi", "x.avi.mp4"),
        ("x.mp4", "x.mp4"),
        ("x.wmv", "x.wmv.mp4"),
        ("y.avi", "y.mp4"),
    ]
    shades = [pixels(ffmpeg, result.path, 64, 64).mean() for result in results]
    assert np.allclose(shades, [128, 0, 255, 0], atol=4)


def test_videos_of_one_name_in_a_tree_are_refused_before_any_work(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    make("one/x.mp4", *lavfi(), *H264)
    make("two/x.mp4", *lavfi(), *H264)

    with pytest.raises(OutputError, match=r"two results would both be .*x\.mp4"):
        paint_videos([tmp_path / "**" / "x.mp4"], tmp_path / "painted", identity, [dusk])

    assert names(tmp_path) == ["one", "two"]


@pytest.mark.parametrize("pattern", ["album/*.mov", "**/b.mov", "album/[bc].*"])
def test_patterns_are_understood(
    album: Path, tmp_path: Path, identity: Stylizer, dusk: Style, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for i, sources in enumerate([[album / ".." / pattern], [Path(pattern), album / "b.mov"]]):
        results = paint_videos(sources, tmp_path / f"{i}.painted", identity, [dusk], 0.0)

        assert [result.path.name for result in results] == ["b.mov"]
        shutil.rmtree(tmp_path / f"{i}.painted")


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.mp4", "there is no video"), ("*.webm", "there is no video that"), ("empty", "no video in the folder")],
)
def test_what_is_not_there_is_said_before_any_work(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, name: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputError, match=words):
        paint_videos([clip, tmp_path / name], tmp_path / "painted", identity, [dusk])

    assert names(tmp_path) == ["clip.mp4", "empty"]


def test_several_videos_do_not_fit_into_one(album: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    with pytest.raises(OutputError, match="for several, name a folder"):
        paint_videos([album], tmp_path / "out.mp4", identity, [dusk])


def test_failures_are_listed_while_the_rest_is_done(
    album: Path, tmp_path: Path, identity: Stylizer, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    (album / "aa.mp4").write_text("not a video")
    done: list[Outcome] = []

    with pytest.raises(InputError, match=r"1 of 3 videos failed, the rest is done: .*aa\.mp4$"):
        paint_videos([album], tmp_path / "painted", identity, [dusk], 0.0, done=done.append)

    assert [item.path.name for item in done] == ["a.mp4", "aa.mp4", "b.mov"]
    assert names(tmp_path / "painted") == ["a.mp4", "b.mov"]
    # The first one counts what is no video.
    assert caplog.messages[1:] == [str(done[1].error)]  # type: ignore[union-attr]


HINT = "LIVESTYLE_DEBUG=1 shows where"


class Broken(Stylizer):
    """A Stylizer with an error that nobody foresaw, in videos of one size."""

    def stylize(self, frames: np.ndarray, *arguments: Any, **options: Any) -> np.ndarray:
        if frames.shape[1] == 80:
            raise cv2.error("one line\nand another")
        return super().stylize(frames, *arguments, **options)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_that_nobody_foresaw_ends_one_file_only(
    album: Path, make: Make, tmp_path: Path, dusk: Style, caplog: pytest.LogCaptureFixture, jobs: int
) -> None:
    bad = make("album/aa.mp4", *lavfi(size="80x64"), *H264)

    with pytest.raises(InputError, match=r"1 of 3 videos failed, the rest is done: .*aa\.mp4$"):
        paint_videos([album], tmp_path / "painted", Broken(IDENTITY, "cpu"), [dusk], workers=jobs)

    assert names(tmp_path / "painted") == ["a.mp4", "b.mov"]
    assert caplog.messages[1:] == [
        f"{bad} could not be painted: painting failed (error: one line), which nobody foresaw: {HINT}"
    ]


def test_an_error_that_nobody_foresaw_keeps_its_cause(
    make: Make, tmp_path: Path, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    bad = make("bad.mp4", *lavfi(size="80x64"), *H264)
    caplog.set_level("DEBUG", "livestyle")

    with pytest.raises(LivestyleError, match=r"could not be painted: painting failed \(error: one line\)") as raised:
        paint_video(bad, tmp_path / "out.mp4", Broken(IDENTITY, "cpu"), [dusk])

    assert isinstance(raised.value.__cause__, cv2.error)
    assert "Traceback" in caplog.text
    assert names(tmp_path) == ["bad.mp4"]


def test_a_script_gets_an_object_a_file(
    album: Path, tmp_path: Path, identity: Stylizer, dusk: Style, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "c.mp4").write_text("not a video")

    with pytest.raises(InputError):
        paint_videos([album], tmp_path / "painted", identity, [dusk], 0.0, progress=True, done=print_json)

    good, _, bad = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert good["path"] == str(tmp_path / "painted" / "a.mp4")
    assert (good["source"], good["style"], good["error"]) == (str(album / "a.avi"), "dusk", None)
    assert (good["width"], good["height"], good["frames"]) == (64, 64, 10)
    assert good["seconds"] > 0
    assert good["frames_per_second"] > 0
    assert (good["status"], good["resumed_frames"], good["concealed_frames"], good["damage"]) == ("done", 0, 0, None)
    assert good["slowest_stage"] in {"decoding", "painting", "encoding"}
    assert good.keys() == bad.keys()
    assert (bad["status"], bad["source"], bad["slowest_stage"]) == ("failed", str(album / "c.mp4"), None)
    assert "is not a video" in bad["error"]


def test_a_person_gets_a_line_a_result(
    album: Path,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # For rich, a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    (album / "c.mp4").write_text("not a video")

    with pytest.raises(InputError):
        paint_videos([album], tmp_path / "painted", identity, [dusk], 0.0, progress=True, done=print_result)

    shown = capsys.readouterr()
    assert [line.split(": ")[0] for line in shown.out.splitlines()] == [
        str(tmp_path / "painted" / name) for name in ("a.mp4", "b.mov")
    ]
    assert "3/3" in shown.err
    assert "videos/s" in shown.err


def test_jobs_at_a_time_give_what_one_gives(album: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    (album / "c.mp4").write_text("not a video")

    for jobs in (1, 3):
        with pytest.raises(InputError, match=r"1 of 3 videos failed, the rest is done: .*c\.mp4"):
            paint_videos([album], tmp_path / f"painted{jobs}", identity, [dusk], workers=jobs)

    one, three = ({path.name: path.read_bytes() for path in (tmp_path / f"painted{n}").iterdir()} for n in (1, 3))
    assert len(one) == 2
    assert one == three


def test_jobs_stop_together(make: Make, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    """As Ctrl-C in the main thread does, which waits for them."""
    clip, video = make("clip.mp4", *lavfi(5), *H264), make("video.mp4", *lavfi(2000), *H264)

    def stop(_: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_videos([video, clip], tmp_path / "painted", identity, [dusk], workers=2, done=stop)

    assert "video.mp4" not in names(tmp_path / "painted")
    assert not [name for name in names(tmp_path / "painted") if name.endswith(".partial")]


def test_less_than_one_job_is_refused(clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    with pytest.raises(LivestyleError, match="at least one job"):
        paint_videos([clip], tmp_path / "out.mp4", identity, [dusk], workers=0)
