"""Videos that are interrupted, and what becomes of what is kept of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import livestyle.jobs.video
from livestyle.engine.model import STYLIZE, checksum
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import OutputError, stage_of
from livestyle.jobs.options import VideoOptions
from livestyle.jobs.report import print_json
from livestyle.jobs.resume import SegmentStore
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.pixel_formats import Packer, Unpacker
from livestyle.styles.library import Style, StyleLibrary
from tests.batches import H264, Stop, lavfi, names, paint_video, paint_videos
from tests.ffmpeg import Make, damage, packets, pixels, times
from tests.program import IDENTITY

SEGMENT = 10
LONG = 2 * SEGMENT + 6
"""Frames of a video that has two segments and a part of a third."""
BEHIND = 6
"""Frames after a segment by which it is complete: this many at most wait to be encoded."""
STORE = ".out.mp4.livestyle"


def options(**more: Any) -> VideoOptions:
    return VideoOptions(segment_frames=SEGMENT, **more)


RESUME = options(resume=True)


def interrupt(
    source: Path,
    target: Path,
    style: Style,
    frames: int,
    options: VideoOptions = options(),  # noqa: B008
    model: Path | None = IDENTITY,
    **more: Any,
) -> None:
    """Paint so many frames, and no more."""
    with pytest.raises(KeyboardInterrupt):
        paint_video(source, target, Stop(frames, model), [style], options=options, **more)


def make_long(make: Make) -> Path:
    sound = ["-f", "lavfi", "-i", "sine=frequency=440", "-t", "3"]
    uneven = ["-vf", "settb=1/1000,setpts='20*N+3*mod(N,4)'", "-fps_mode", "vfr", "-enc_time_base", "1/1000"]
    return make("video.mp4", *lavfi(LONG, "50"), *sound, *uneven, *H264, "-g", "8", "-c:a", "aac", "-shortest")


@pytest.fixture
def video(make: Make) -> Path:
    """`LONG` frames of a changing rate with sound."""
    return make_long(make)


@pytest.fixture
def clip(make: Make) -> Path:
    """Ten frames, 25 a second."""
    return make("clip.mp4", *lavfi(), *H264)


@pytest.fixture(scope="module")
def begun_once() -> dict[str, Path]:
    """The folder of `begun`, once there is one."""
    return {}


@pytest.fixture
def begun(
    begun_once: dict[str, Path], make: Make, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, dusk: Style
) -> Path:
    """The target of an interrupted job, of which one segment is kept, beside its source ``video.mp4``."""
    if not begun_once:
        video = make_long(make)
        interrupt(video, tmp_path / "out.mp4", dusk, SEGMENT + BEHIND)
        begun_once["folder"] = tmp_path_factory.mktemp("begun") / "folder"
        # With the time of the last change, by which a source is recognised.
        shutil.copytree(tmp_path, begun_once["folder"])
    else:
        shutil.copytree(begun_once["folder"], tmp_path, dirs_exist_ok=True)
    return tmp_path / "out.mp4"


def frame_checksums(ffmpeg: str, path: Path) -> str:
    """Of every packet of a file, with its times."""
    command = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0", "-c", "copy", "-f", "framemd5", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_video_that_is_interrupted_before_anything_is_complete_says_that_nothing_is_kept(
    clip: Path, tmp_path: Path, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(clip, tmp_path / "out.mp4", dusk, 5)
    assert names(tmp_path) == ["clip.mp4"]
    assert caplog.messages == [f"{tmp_path / 'out.mp4'} was interrupted, and nothing of it is kept"]


def test_what_was_interrupted_goes_on_and_comes_out_identical(
    video: Path, tmp_path: Path, stylizer: Stylizer, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    paint_video(video, tmp_path / "whole.mp4", stylizer, [style], options=options())
    target = tmp_path / "out.mp4"

    interrupt(video, target, style, SEGMENT + BEHIND, model=None)
    assert names(tmp_path) == [STORE, "video.mp4", "whole.mp4"]
    assert f"out.mp4 is unfinished, {SEGMENT} frames of it are kept" in caplog.text
    interrupt(video, target, style, LONG - SEGMENT - 1, RESUME, model=None)
    assert names(tmp_path / STORE) == ["00000.packets", "00001.npz", "00001.packets", "job.json"]
    (result,) = paint_video(video, target, stylizer, [style], options=RESUME)

    assert (result.frames, result.resumed) == (LONG, 2 * SEGMENT)
    assert f"{LONG} frames ({2 * SEGMENT} of them from before)" in str(result)
    assert target.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert names(tmp_path) == ["out.mp4", "video.mp4", "whole.mp4"]


def test_what_was_painted_in_batches_goes_on_and_comes_out_identical(video: Path, tmp_path: Path, dusk: Style) -> None:
    def batching(calls: int) -> Stop:
        stylizer = Stop(calls)
        # As on CUDA, which gets two batches at a time; a segment ends with less.
        stylizer._network.batch = 4
        return stylizer

    every = [8, 2, 8, 2, 6]
    assert sum(every) == LONG
    stylizer = batching(len(every))
    paint_video(video, tmp_path / "whole.mp4", stylizer, [dusk], options=options())
    assert stylizer.left == 0
    target = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        paint_video(video, target, batching(3), [dusk], options=options())
    (result,) = paint_video(video, target, batching(3), [dusk], options=RESUME)
    assert (result.frames, result.resumed) == (LONG, SEGMENT)
    assert target.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


KILLED = """if True:
    import os, signal, sys
    from pathlib import Path
    from livestyle import StyleLibrary, Stylizer
    from livestyle.jobs.options import VideoOptions
    from tests.batches import paint_video

    class Killed(Stylizer):
        left = int(sys.argv[3])

        def stylize(self, *arguments, **more):
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return super().stylize(*arguments, **more)

    stylizer = Killed(sys.argv[5], "cpu")
    options = VideoOptions(segment_frames=int(sys.argv[4]))
    paint_video(Path(sys.argv[1]), Path(sys.argv[2]), stylizer, [StyleLibrary(stylizer)["dusk"]], options=options)
"""


def test_what_a_killed_program_left_is_resumed_or_cleared_away(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, ffmpeg: str
) -> None:
    folders = [tmp_path / name for name in ("killed", "other")]
    folders[0].mkdir()
    source = make_long(make).rename(folders[0] / "video.mp4")
    numbers = (str(SEGMENT + BEHIND), str(SEGMENT))
    program = [sys.executable, "-c", KILLED, str(source), str(source.with_name("out.mkv")), *numbers, str(IDENTITY)]
    assert subprocess.run(program).returncode == -signal.SIGKILL
    assert names(folders[0]) == [".out.mkv.livestyle", ".out.mkv.lock", "video.mp4"]
    shutil.copytree(folders[0], folders[1])
    paint_video(source, tmp_path / "whole.mkv", identity, [dusk], options=options())

    for folder, resume in zip(folders, (True, False), strict=True):
        target = folder / "out.mkv"
        (result,) = paint_video(
            folder / "video.mp4", target, identity, [dusk], options=options(resume=resume), force=not resume
        )

        assert result.resumed == (SEGMENT if resume else 0)
        assert frame_checksums(ffmpeg, target) == frame_checksums(ffmpeg, tmp_path / "whole.mkv")
        assert names(folder) == ["out.mkv", "video.mp4"]


@pytest.mark.parametrize(
    ("codec", "name"), [("hevc", "out.mp4"), ("av1", "out.mp4"), ("vp9", "out.webm"), ("prores", "out.mov")]
)
def test_every_codec_goes_on(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, ffmpeg: str, codec: str, name: str
) -> None:
    source = make("clip.mp4", *lavfi(SEGMENT + BEHIND + 2, "50"), *H264)
    encoding, target = Encoding(codec, preset=None if codec == "prores" else "ultrafast"), tmp_path / name
    whole = tmp_path / f"whole{target.suffix}"
    paint_video(source, whole, identity, [dusk], 0.0, options(encoding=encoding))

    interrupt(source, target, dusk, SEGMENT + BEHIND, options(encoding=encoding), strength=0.0)
    (result,) = paint_video(source, target, identity, [dusk], 0.0, options(encoding=encoding, resume=True))

    assert result.resumed == SEGMENT
    assert frame_checksums(ffmpeg, target) == frame_checksums(ffmpeg, whole)
    assert abs(pixels(ffmpeg, target, 64, 64) - pixels(ffmpeg, source, 64, 64)).mean(axis=(1, 2, 3)).max() < 16


def test_frames_that_a_constant_rate_repeats_come_out_identical(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    source = make("slow.mp4", *lavfi(6, "3"), *H264)
    rate = Fraction(20)
    paint_video(source, tmp_path / "whole.mp4", identity, [dusk], options=options(fps=rate))

    # Of 28 frames 4 are painted, and one more where a segment begins.
    interrupt(source, tmp_path / "out.mp4", dusk, 5, options(fps=rate))
    (result,) = paint_video(source, tmp_path / "out.mp4", identity, [dusk], options=options(fps=rate, resume=True))

    assert (result.frames, result.resumed) == (40, 2 * SEGMENT)
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_nothing_shows_where_segments_meet(
    video: Path, tmp_path: Path, identity: Stylizer, dusk: Style, ffmpeg: str
) -> None:
    paint_video(video, tmp_path / "out.mp4", identity, [dusk], 0.0, options())

    assert times(tmp_path / "out.mp4") == times(video)
    before, after = (pixels(ffmpeg, path, 64, 64) for path in (video, tmp_path / "out.mp4"))
    assert before.shape == after.shape
    errors = abs(after - before).mean(axis=(1, 2, 3))
    assert errors.max() < 1.5 * errors.mean() < 20
    stamps = [packet["dts"] for packet in packets(tmp_path / "out.mp4")]
    assert stamps == sorted(set(stamps))


def test_with_nothing_to_resume_a_video_begins(clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    (result,) = paint_video(clip, tmp_path / "out.mp4", identity, [dusk], options=RESUME)

    assert (result.frames, result.resumed) == (10, 0)


def test_what_is_finished_is_not_done_again(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out.mp4").write_text("done")

    assert paint_video(clip, tmp_path / "out.mp4", identity, [dusk], options=RESUME) == []

    assert (tmp_path / "out.mp4").read_text() == "done"
    assert "out.mp4 is there already and stays as it is" in caplog.text


@pytest.mark.parametrize(
    ("look", "more", "words"),
    [
        ({"strength": 0.5}, {}, "another strength"),
        ({"side_by_side": True}, {"size": (128, 128)}, "another side by side and another size"),
        ({}, {"encoding": Encoding(crf=30)}, "another encoding"),
        ({"stroke_size": 2}, {}, "another stroke size"),
        ({"sharpness": 0.5}, {}, "another sharpness"),
        ({"mirror": True}, {}, "another mirror"),
        ({"stabilise": False}, {}, "another stabilise"),
        ({}, {"start": Fraction(1, 10), "end": Fraction(1)}, "another start and another end"),
        ({}, {"fps": Fraction(50)}, "another fps"),
    ],
)
def test_other_options_are_not_mixed_into_a_video(
    begun: Path, identity: Stylizer, dusk: Style, look: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    video = begun.with_name("video.mp4")
    with pytest.raises(
        OutputError, match=f"cannot be resumed, since it was begun with {words}: take the same"
    ) as raised:
        paint_video(video, begun, identity, [dusk], options=options(resume=True, **more), **look)
    assert raised.value.settings == ("force",)

    assert not begun.exists()
    (result,) = paint_video(video, begun, identity, [dusk], options=RESUME)
    assert result.resumed == SEGMENT


def test_another_source_or_style_is_not_mixed_into_a_video(
    begun: Path, identity: Stylizer, dusk: Style, identity_library: StyleLibrary
) -> None:
    video = begun.with_name("video.mp4")
    with pytest.raises(OutputError, match="begun with another style"):
        paint_video(video, begun, identity, [identity_library["moss"]], options=RESUME)
    video.touch()
    with pytest.raises(OutputError, match="begun with another source"):
        paint_video(video, begun, identity, [dusk], options=RESUME)


def test_another_model_is_not_mixed_into_a_video(begun: Path, tmp_path: Path, dusk: Style) -> None:
    other = shutil.copytree(IDENTITY, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    with (other / STYLIZE).open("ab") as network:
        # Another doc_string, in the words of Protocol Buffers; the encoder of styles stays the same.
        network.write(b"\x32\x07another")
    manifest["files"][STYLIZE] = checksum(other / STYLIZE)
    (other / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(OutputError, match="begun with another model"):
        paint_video(begun.with_name("video.mp4"), begun, Stylizer(other, "cpu"), [dusk], options=RESUME)


def test_another_mask_or_background_is_not_mixed_into_a_video(
    video: Path, tmp_path: Path, identity: Stylizer, dusk: Style, identity_library: StyleLibrary
) -> None:
    masks = [tmp_path / "first.png", tmp_path / "second.png"]
    for path in masks:
        cv2.imwrite(str(path), np.random.default_rng(len(path.name)).integers(0, 256, (64, 64), np.uint8))
    target, background = tmp_path / "out.mp4", identity_library["moss"]
    interrupt(video, target, dusk, SEGMENT + BEHIND, mask=masks[0], background=background)

    for mask, behind, words in (
        (None, None, "another mask and another background"),
        (masks[0], dusk, "another background"),
        (masks[1], background, "another mask"),
    ):
        with pytest.raises(OutputError, match=f"begun with {words}: take the same"):
            paint_video(video, target, identity, [dusk], options=RESUME, mask=mask, background=behind)
    paint_video(video, target, identity, [dusk], options=RESUME, mask=masks[0], background=background)
    whole = tmp_path / "whole.mp4"
    paint_video(video, whole, identity, [dusk], options=options(), mask=masks[0], background=background)

    assert target.read_bytes() == whole.read_bytes()


def test_what_was_begun_is_not_lost_by_mistake_but_by_force(begun: Path, identity: Stylizer, dusk: Style) -> None:
    video = begun.with_name("video.mp4")
    with pytest.raises(OutputError, match="was begun before"):
        paint_video(video, begun, identity, [dusk], options=options())

    (result,) = paint_video(video, begun, identity, [dusk], 0.0, options(), force=True)

    assert result.resumed == 0
    assert names(begun.parent) == ["out.mp4", "video.mp4"]


def test_how_to_go_on_with_what_replaces_a_video_is_said(
    video: Path, tmp_path: Path, identity: Stylizer, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("replace me")
    interrupt(video, target, dusk, SEGMENT + BEHIND, force=True)
    assert f"{SEGMENT} frames of it are kept" in caplog.text

    for chosen in (options(), RESUME):
        with pytest.raises(OutputError, match=r"out\.mp4 exists, and to replace it was begun before"):
            paint_video(video, target, identity, [dusk], options=chosen)
    assert target.read_text() == "replace me"
    (result,) = paint_video(video, target, identity, [dusk], options=RESUME, force=True)

    assert result.resumed == SEGMENT
    assert names(tmp_path) == ["out.mp4", "video.mp4"]


def test_that_force_paints_complete_videos_again_is_said(
    make: Make, video: Path, tmp_path: Path, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [make("first.mp4", *lavfi(3), *H264), video]
    (tmp_path / "out").mkdir()
    for source in sources:
        (tmp_path / "out" / source.name).write_text("replace me")

    with pytest.raises(KeyboardInterrupt):
        paint_videos(sources, tmp_path / "out", Stop(SEGMENT + BEHIND + 3), [dusk], options=options(), force=True)

    assert "which paints those that are complete again" in caplog.text


@pytest.mark.parametrize("name", ["job.json", "00000.packets", "00000.npz"])
def test_damaged_segments_are_not_mixed_into_a_video(
    begun: Path, identity: Stylizer, dusk: Style, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    path = begun.with_name(STORE) / name
    path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(OutputError, match=r"cannot be resumed, since .* is damaged") as raised:
        paint_video(begun.with_name("video.mp4"), begun, identity, [dusk], options=RESUME)

    assert raised.value.settings == ("force",)
    assert not begun.exists()
    assert not caplog.records


def test_frames_that_are_kept_are_decoded_and_no_more(
    begun: Path, identity: Stylizer, dusk: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def counted(*arguments: Any, **more: Any) -> Any:
            calls[owner.__name__] += 1
            return function(*arguments, **more)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in ((Unpacker, "__call__"), (livestyle.jobs.video, "resize"), (Packer, "__call__")):
        count(owner, name)
    paint_video(begun.with_name("video.mp4"), begun, identity, [dusk], options=RESUME)

    assert list(calls.values()) == [LONG - SEGMENT] * 3


def test_a_script_learns_what_was_resumed_skipped_and_damaged(
    video: Path, make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "painted"
    folder.mkdir()
    (folder / "clip.mp4").write_text("done")
    clip = make("clip.mp4", *lavfi(), *H264)
    harmed = make("harmed.mp4", *lavfi(25), *H264, "-g", "1")
    damage(harmed, 12)
    interrupt(video, folder / "video.mp4", dusk, SEGMENT + BEHIND, strength=0.5)

    paint_videos([clip, video, harmed], folder, identity, [dusk], 0.5, RESUME, done=print_json)

    skipped, resumed, damaged = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert skipped.keys() == resumed.keys()
    assert (skipped["status"], skipped["source"], skipped["path"]) == ("skipped", str(clip), str(folder / "clip.mp4"))
    assert (skipped["frames"], skipped["error"]) == (None, None)
    assert (resumed["status"], resumed["frames"], resumed["resumed_frames"]) == ("done", LONG, SEGMENT)
    assert (damaged["status"], damaged["frames"], damaged["concealed_frames"]) == ("done", 25, 1)
    assert damaged["damage"].startswith(f"{harmed} is damaged in 1 place")


@pytest.mark.parametrize("frames", [1, 2, SEGMENT + 1, SEGMENT + 2])
def test_hevc_of_one_or_two_frames_and_segments_of_so_many(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, frames: int
) -> None:
    source = make("clip.mp4", *lavfi(frames), *H264)

    # What x265 gave as decoding timestamps was not the same each time.
    for name in ("a.mp4", "b.mp4"):
        paint_video(source, tmp_path / name, identity, [dusk], 0.0, options(encoding=Encoding("hevc")))
        assert times(tmp_path / name) == times(source)
        late = [packet for packet in packets(tmp_path / name) if packet["dts"] > packet["pts"]]
        assert not late


def test_a_folder_of_a_run_that_was_killed_before_it_began_is_no_hindrance(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    (tmp_path / STORE).mkdir()
    (tmp_path / STORE / ".job.json.1234.partial").write_text("{")

    (result,) = paint_video(clip, tmp_path / "out.mp4", identity, [dusk], options=RESUME)

    assert (result.frames, result.resumed) == (10, 0)
    assert names(tmp_path) == ["clip.mp4", "out.mp4"]


def test_all_that_is_kept_is_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By their inodes: files have other names before they are complete.
    flushed = set()
    monkeypatch.setattr(os, "fsync", lambda file: flushed.add(os.fstat(file).st_ino))
    store = SegmentStore(tmp_path / "out.mp4", {"source": 1})
    store.prepare()
    store.begin()
    store.finish({"frames_since": np.array(0)})
    store.put(1, b"packets", [(Fraction(0), Fraction(1, 25))], {})
    store.video.touch()
    store.mark_complete()

    kept = {path.name for path in store.folder.iterdir() if path.stat().st_ino in flushed}
    assert kept == {"job.json", "00000.npz", "00000.packets", "00001.json", "00001.packets", "complete.json"}


TIMES = [(Fraction(0), Fraction(1, 25)), (Fraction(1, 25), Fraction(2, 25))]


@pytest.fixture
def store(begun: Path) -> SegmentStore:
    """A store whose ``00000.packets`` has packets that can be read."""
    return SegmentStore(begun, {})


def test_a_segment_that_was_encoded_elsewhere_keeps_its_times_and_its_origin(store: SegmentStore) -> None:
    encoded = (store.folder / "00000.packets").read_bytes()
    store.put(3, encoded, TIMES, {"worker": "a"})
    assert store.times(3) == TIMES
    assert store.origin(3)["worker"] == "a"
    assert [bytes(packet) for packet in store.packets(3)] == [bytes(packet) for packet in store.packets(0)]
    # Of a segment that is not there.
    assert store.origin(2) == {}


@pytest.mark.parametrize(
    ("times", "keep", "is_whole"),
    [
        (TIMES, slice(None), True),
        (TIMES[:1], slice(None), True),
        ([], slice(None), False),
        (TIMES, slice(0), False),
        (TIMES, slice(-5), False),
    ],
)
def test_a_segment_that_was_encoded_elsewhere_is_there_when_it_is_whole(
    store: SegmentStore, times: list[tuple[Fraction, Fraction]], keep: slice, is_whole: bool
) -> None:
    store.put(1, (store.folder / "00000.packets").read_bytes()[keep], times, {})
    assert store.has(1) == is_whole
    assert not store.has(2)


def test_that_a_segment_cannot_be_written_is_said_of_its_video(store: SegmentStore) -> None:
    shutil.rmtree(store.folder)
    with pytest.raises(OutputError, match=r"^cannot write .*out\.mp4: No such file or directory$"):
        store.put(1, b"", TIMES, {})


def test_the_stage_of_a_segment_that_cannot_be_begun_is_named(store: SegmentStore) -> None:
    shutil.rmtree(store.folder)
    with pytest.raises(FileNotFoundError) as raised:
        store.begin()
    assert stage_of(raised.value) == "keeping segments"


def test_a_file_where_segments_are_to_be_kept_is_an_error_in_a_sentence(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    (tmp_path / STORE).touch()
    with pytest.raises(OutputError, match=r"^cannot write .*out\.mp4: File exists$"):
        paint_video(clip, tmp_path / "out.mp4", identity, [dusk], options=RESUME)
