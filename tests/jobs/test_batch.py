"""Conversions that are interrupted, many files at once, and what becomes of a film beside its painting."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

import livestyle.jobs.video
from livestyle.engine.model import STYLIZE_INT8, checksum
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.jobs.batch import (
    Regions,
    VideoOptions,
    paint_images,
    paint_video,
    paint_videos,
    print_json,
    print_result,
)
from livestyle.jobs.report import Outcome
from livestyle.jobs.resume import SEGMENT_FRAMES
from livestyle.jobs.video import resize
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.pixel_formats import Packer, Unpacker
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.stdio import RawFormat
from livestyle.styles.library import Style, StyleLibrary
from livestyle.styles.timeline import Timeline
from tests.ffmpeg import Make, pixels, probe, stream, times

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
LONG = 2 * SEGMENT_FRAMES + 60
"""Frames of a film that has two segments and a part of a third."""


def lavfi(frames: int = 10, rate: str = "25", size: str = "64x64") -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={frames / float(rate)}"]


def checksums(ffmpeg: str, path: Path) -> str:
    """Of every packet of a file, with its times."""
    command = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0", "-c", "copy", "-f", "framemd5", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def film(make: Make) -> Path:
    """`LONG` frames of a changing rate with sound."""
    sound = ["-f", "lavfi", "-i", "sine=frequency=440", "-t", "12"]
    uneven = ["-vf", "settb=1/1000,setpts='20*N+3*mod(N,4)'", "-fps_mode", "vfr", "-enc_time_base", "1/1000"]
    return make("film.mp4", *lavfi(LONG, "50"), *sound, *uneven, *H264, "-g", "40", "-c:a", "aac", "-shortest")


@pytest.fixture
def clip(make: Make) -> Path:
    """Ten frames, 25 a second."""
    return make("clip.mp4", *lavfi(), *H264)


class Stop(Stylizer):
    """A Stylizer during whose work somebody presses Ctrl-C."""

    def __init__(self, frames: int) -> None:
        super().__init__(device="cpu")
        self.left = frames

    def stylize(self, *arguments: Any, **options: Any) -> np.ndarray:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().stylize(*arguments, **options)


def interrupt(
    source: Path, target: Path, style: Style, frames: int, options: VideoOptions | None = None, strength: float = 1.0
) -> None:
    """Convert until so many frames are painted."""
    with pytest.raises(KeyboardInterrupt):
        paint_video(source, target, Stop(frames), [style], strength, options)


def test_a_film_that_is_interrupted_before_anything_is_complete_says_that_nothing_is_kept(
    clip: Path, tmp_path: Path, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(clip, tmp_path / "out.mp4", style, 5)
    assert names(tmp_path) == ["clip.mp4"]
    assert caplog.messages == [f"{tmp_path / 'out.mp4'} was interrupted, and nothing of it is kept"]


def test_what_was_interrupted_goes_on_and_comes_out_identical(
    film: Path, tmp_path: Path, stylizer: Stylizer, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    paint_video(film, tmp_path / "whole.mp4", stylizer, [style])
    target = tmp_path / "out.mp4"

    interrupt(film, target, style, SEGMENT_FRAMES + 30)
    assert names(tmp_path) == [".out.mp4.livestyle", "film.mp4", "whole.mp4"]
    assert f"out.mp4 is unfinished, {SEGMENT_FRAMES} frames of it are kept: go on by resuming it" in caplog.text
    interrupt(film, target, style, SEGMENT_FRAMES + 5, VideoOptions(resume=True))
    assert names(tmp_path / ".out.mp4.livestyle") == ["00000.packets", "00001.npz", "00001.packets", "job.json"]
    (result,) = paint_video(film, target, Stop(60), [style], options=VideoOptions(resume=True))

    assert (result.frames, result.resumed) == (LONG, 2 * SEGMENT_FRAMES)
    assert f"{LONG} frames ({2 * SEGMENT_FRAMES} of them from before)" in str(result)
    assert target.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert names(tmp_path) == ["film.mp4", "out.mp4", "whole.mp4"]


@pytest.mark.parametrize("resume", [True, False])
def test_what_a_killed_program_left_is_resumed_or_cleared_away(
    film: Path, tmp_path: Path, stylizer: Stylizer, style: Style, ffmpeg: str, resume: bool
) -> None:
    target, first = tmp_path / "out.mkv", tmp_path / ".out.mkv.livestyle" / "00000.packets"
    np.save(tmp_path / "style.npy", style.stats.values)
    code = f"""if True:
        import numpy, pathlib
        from livestyle import Style, StyleStats, Stylizer
        from livestyle.jobs.batch import paint_video
        style = Style("noise", StyleStats(numpy.load({str(tmp_path / "style.npy")!r})))
        paths = [pathlib.Path(path) for path in ({str(film)!r}, {str(target)!r})]
        paint_video(*paths, Stylizer(device="cpu"), [style])
    """
    program = subprocess.Popen([sys.executable, "-c", code])
    patience = time.monotonic() + 60
    while not first.exists() and time.monotonic() < patience:
        time.sleep(0.02)
    program.kill()
    program.wait()
    assert first.exists()
    assert names(tmp_path) == [".out.mkv.livestyle", "film.mp4", "style.npy"]

    (result,) = paint_video(film, target, stylizer, [style], options=VideoOptions(resume=resume), force=not resume)
    paint_video(film, tmp_path / "whole.mkv", stylizer, [style])

    assert (result.resumed >= SEGMENT_FRAMES) == resume
    assert checksums(ffmpeg, target) == checksums(ffmpeg, tmp_path / "whole.mkv")
    assert names(tmp_path) == ["film.mp4", "out.mkv", "style.npy", "whole.mkv"]


@pytest.mark.parametrize(
    ("codec", "name"), [("hevc", "out.mp4"), ("av1", "out.mp4"), ("vp9", "out.webm"), ("prores", "out.mov")]
)
def test_every_codec_goes_on(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style, ffmpeg: str, codec: str, name: str
) -> None:
    source = make("clip.mp4", *lavfi(SEGMENT_FRAMES + 50, "50"), *H264)
    encoding, target = Encoding(codec, preset=None if codec == "prores" else "ultrafast"), tmp_path / name
    paint_video(source, tmp_path / f"whole{target.suffix}", stylizer, [style], 0.0, VideoOptions(encoding=encoding))

    interrupt(source, target, style, SEGMENT_FRAMES + 30, VideoOptions(encoding=encoding), 0.0)
    resume = VideoOptions(encoding=encoding, resume=True)
    (result,) = paint_video(source, target, stylizer, [style], 0.0, resume)

    assert result.resumed == SEGMENT_FRAMES
    assert checksums(ffmpeg, target) == checksums(ffmpeg, tmp_path / f"whole{target.suffix}")
    assert abs(pixels(ffmpeg, target, 64, 64) - pixels(ffmpeg, source, 64, 64)).mean(axis=(1, 2, 3)).max() < 16


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has these policies")
def test_no_encoder_changes_how_threads_are_scheduled(clip: Path, tmp_path: Path, style: Style) -> None:
    """SVT-AV1 does where it may, as root, and would stop a small machine."""

    def policies() -> set[int]:
        found = set()
        for thread in Path("/proc/self/task").iterdir():
            # One that has ended by now has none.
            with suppress(ProcessLookupError):
                found.add(os.sched_getscheduler(int(thread.name)))
        return found

    class Watch(Stylizer):
        seen: ClassVar[list[set[int]]] = []

        def stylize(self, *arguments: Any, **options: Any) -> np.ndarray:
            # While an encoder opens on another thread they are not what they will be.
            patience = time.monotonic() + 2
            while policies() != {os.SCHED_OTHER} and time.monotonic() < patience:
                time.sleep(0.01)
            self.seen.append(policies())
            return super().stylize(*arguments, **options)

    encoding = Encoding("av1", preset="ultrafast")
    paint_video(clip, tmp_path / "out.mp4", Watch(device="cpu"), [style], 0.0, VideoOptions(encoding=encoding))

    assert Watch.seen[-1] == policies() == {os.SCHED_OTHER}


def test_frames_that_a_constant_rate_repeats_come_out_identical(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style
) -> None:
    source = make("slow.mp4", *lavfi(45, "3"), *H264)
    options = VideoOptions(fps=Fraction(20))
    paint_video(source, tmp_path / "whole.mp4", stylizer, [style], options=options)

    # Of 300 frames 45 are painted, and one more where a segment begins.
    interrupt(source, tmp_path / "out.mp4", style, 40, options)
    resume = VideoOptions(fps=Fraction(20), resume=True)
    (result,) = paint_video(source, tmp_path / "out.mp4", stylizer, [style], options=resume)

    assert (result.frames, result.resumed) == (300, SEGMENT_FRAMES)
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_nothing_shows_where_segments_meet(
    film: Path, tmp_path: Path, stylizer: Stylizer, style: Style, ffmpeg: str
) -> None:
    paint_video(film, tmp_path / "out.mp4", stylizer, [style], 0.0)

    assert times(tmp_path / "out.mp4") == times(film)
    before, after = (pixels(ffmpeg, path, 64, 64) for path in (film, tmp_path / "out.mp4"))
    assert before.shape == after.shape
    errors = abs(after - before).mean(axis=(1, 2, 3))
    assert errors.max() < 1.5 * errors.mean() < 20
    packets = probe(tmp_path / "out.mp4", "-select_streams", "v:0", "-show_entries", "packet=dts")["packets"]
    stamps = [packet["dts"] for packet in packets]
    assert stamps == sorted(set(stamps))


def test_with_nothing_to_resume_a_conversion_begins(
    clip: Path, tmp_path: Path, stylizer: Stylizer, style: Style
) -> None:
    (result,) = paint_video(clip, tmp_path / "out.mp4", stylizer, [style], options=VideoOptions(resume=True))

    assert (result.frames, result.resumed) == (10, 0)


def test_what_is_finished_is_not_done_again(
    clip: Path, tmp_path: Path, stylizer: Stylizer, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out.mp4").write_text("done")

    assert paint_video(clip, tmp_path / "out.mp4", stylizer, [style], options=VideoOptions(resume=True)) == []

    assert (tmp_path / "out.mp4").read_text() == "done"
    assert "out.mp4 is there already and stays as it is" in caplog.text


@pytest.fixture
def begun(film: Path, tmp_path: Path, style: Style) -> Path:
    """The target of an interrupted conversion."""
    interrupt(film, tmp_path / "out.mp4", style, SEGMENT_FRAMES + 20)
    return tmp_path / "out.mp4"


@pytest.mark.parametrize(
    ("strength", "options", "words"),
    [
        (0.5, VideoOptions(resume=True), "another strength: take the same"),
        (1.0, VideoOptions(resume=True, side_by_side=True, size=(128, 128)), "another size and another compare"),
        (1.0, VideoOptions(resume=True, encoding=Encoding(crf=30)), "another encoding"),
        (1.0, VideoOptions(resume=True, stroke_size=2), "another stroke size"),
    ],
)
def test_other_options_are_not_mixed_into_a_film(
    begun: Path, film: Path, stylizer: Stylizer, style: Style, strength: float, options: VideoOptions, words: str
) -> None:
    with pytest.raises(OutputError, match=f"cannot be resumed, since it was begun with {words}"):
        paint_video(film, begun, stylizer, [style], strength, options)

    assert not begun.exists()
    paint_video(film, begun, stylizer, [style], options=VideoOptions(resume=True))


def test_another_source_or_style_is_not_mixed_into_a_film(
    begun: Path, film: Path, stylizer: Stylizer, style: Style, library: StyleLibrary
) -> None:
    with pytest.raises(OutputError, match="begun with another style"):
        paint_video(film, begun, stylizer, [library.first()], options=VideoOptions(resume=True))
    os.utime(film, (1, 1))
    with pytest.raises(OutputError, match="begun with another source"):
        paint_video(film, begun, stylizer, [style], options=VideoOptions(resume=True))


def test_another_model_is_not_mixed_into_a_film(
    begun: Path, film: Path, tmp_path: Path, style: Style, stylizer: Stylizer
) -> None:
    other = shutil.copytree(stylizer.model.folder, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    with (other / STYLIZE_INT8).open("ab") as network:
        # Another doc_string, in the words of Protocol Buffers; the encoder of styles stays the same.
        network.write(b"\x32\x07another")
    manifest["files"][STYLIZE_INT8] = checksum(other / STYLIZE_INT8)
    (other / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(OutputError, match="begun with another model"):
        paint_video(film, begun, Stylizer(other, "cpu"), [style], options=VideoOptions(resume=True))


def test_another_mask_or_background_is_not_mixed_into_a_film(
    film: Path, tmp_path: Path, stylizer: Stylizer, style: Style, library: StyleLibrary
) -> None:
    masks = [tmp_path / "first.png", tmp_path / "second.png"]
    for path in masks:
        cv2.imwrite(str(path), np.random.default_rng(len(path.name)).integers(0, 256, (64, 64), np.uint8))
    target, options, background = tmp_path / "out.mp4", VideoOptions(resume=True), library.first()
    regions = Regions(masks[0], background)
    with pytest.raises(KeyboardInterrupt):
        paint_video(film, target, Stop(SEGMENT_FRAMES + 20), [style], regions=regions)

    for other, words in (
        (None, "another mask and another background"),
        (Regions(masks[0], style), "another background"),
        (Regions(masks[1], background), "another mask"),
    ):
        with pytest.raises(OutputError, match=f"begun with {words}: take the same"):
            paint_video(film, target, stylizer, [style], options=options, regions=other)
    paint_video(film, target, stylizer, [style], options=options, regions=regions)
    paint_video(film, tmp_path / "whole.mp4", stylizer, [style], regions=regions)

    assert target.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_what_was_begun_is_not_lost_by_mistake_but_by_force(
    begun: Path, film: Path, stylizer: Stylizer, style: Style
) -> None:
    with pytest.raises(OutputError, match=r"was begun before: resume it, or force a new beginning"):
        paint_video(film, begun, stylizer, [style])

    (result,) = paint_video(film, begun, stylizer, [style], 0.0, force=True)

    assert result.resumed == 0
    assert names(begun.parent) == ["film.mp4", "out.mp4"]


def test_how_to_go_on_with_what_replaces_a_film_is_said(
    film: Path, tmp_path: Path, stylizer: Stylizer, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    target, resume = tmp_path / "out.mp4", VideoOptions(resume=True)
    target.write_text("replace me")
    with pytest.raises(KeyboardInterrupt):
        paint_video(film, target, Stop(SEGMENT_FRAMES + 10), [style], force=True)
    assert f"{SEGMENT_FRAMES} frames of it are kept: go on by resuming and forcing it" in caplog.text

    for options in (VideoOptions(), resume):
        with pytest.raises(OutputError, match=r"resume and force that, or force a new beginning"):
            paint_video(film, target, stylizer, [style], options=options)
    assert target.read_text() == "replace me"
    (result,) = paint_video(film, target, stylizer, [style], options=resume, force=True)

    assert result.resumed == SEGMENT_FRAMES
    assert names(tmp_path) == ["film.mp4", "out.mp4"]


@pytest.mark.parametrize("name", ["job.json", "00000.packets", "00000.npz"])
def test_damaged_segments_are_not_mixed_into_a_film(
    begun: Path, film: Path, stylizer: Stylizer, style: Style, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    path = begun.with_name(".out.mp4.livestyle") / name
    path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(OutputError, match=r"cannot be resumed, since .* is damaged: force a new beginning"):
        paint_video(film, begun, stylizer, [style], options=VideoOptions(resume=True))

    assert not begun.exists()
    assert not caplog.records


def test_frames_that_are_kept_are_decoded_and_no_more(
    begun: Path, film: Path, stylizer: Stylizer, style: Style
) -> None:
    calls: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        calls[frame.f_code] += event == "call"

    threading.setprofile(count)
    try:
        paint_video(film, begun, stylizer, [style], options=VideoOptions(resume=True))
    finally:
        threading.setprofile(None)

    rest = LONG - SEGMENT_FRAMES
    assert [calls[work.__code__] for work in (Unpacker.__call__, resize, Packer.__call__)] == [rest] * 3


@pytest.mark.parametrize(("size", "shown"), [((96, 96), (96, 64)), ((300, 100), (150, 100)), ((192, 999), (192, 128))])
def test_a_film_is_scaled_to_fit(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    source = make("wide.mp4", *lavfi(3, size="144x96"), *H264)

    (result,) = paint_video(source, tmp_path / "out.mp4", stylizer, [style], options=VideoOptions(size=size))

    kept = stream(tmp_path / "out.mp4")
    assert (kept["width"], kept["height"]) == (result.width, result.height) == shown


def test_a_small_film_can_be_enlarged_enough_to_be_painted(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style
) -> None:
    source = make("tiny.mp4", *lavfi(3, size="48x32"), *H264)

    (result,) = paint_video(source, tmp_path / "out.mp4", stylizer, [style], options=VideoOptions(size=(96, 96)))

    assert (result.width, result.height) == (96, 64)


def test_a_size_that_makes_a_film_too_small_is_named(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style
) -> None:
    source = make("wide.mp4", *lavfi(3, size="128x96"), *H264)

    with pytest.raises(InputError, match=r"becomes 64x48: .* --size 64x64 is too small for its shape"):
        paint_video(source, tmp_path / "out.mp4", stylizer, [style], options=VideoOptions(size=(64, 64)))


def test_the_source_can_stand_beside_its_painting(
    clip: Path, tmp_path: Path, stylizer: Stylizer, style: Style, ffmpeg: str
) -> None:
    paint_video(clip, tmp_path / "alone.mp4", stylizer, [style])
    (result,) = paint_video(clip, tmp_path / "out.mp4", stylizer, [style], options=VideoOptions(side_by_side=True))

    both = pixels(ffmpeg, result.path, 128, 64)
    assert (result.width, result.height) == (128, 64)
    assert abs(both[:, :, :64] - pixels(ffmpeg, clip, 64, 64)).mean() < 12
    assert abs(both[:, :, 64:] - pixels(ffmpeg, tmp_path / "alone.mp4", 64, 64)).mean() < 12


def numbers(ffmpeg: str, path: Path, source: Path) -> list[int]:
    """Which frame of `count` each frame of a film is, by its brightness."""
    shown, known = (pixels(ffmpeg, p, 64, 64).mean(axis=(1, 2, 3)) for p in (path, source))
    assert np.diff(known).min() > 5
    return [int(abs(known - value).argmin()) for value in shown]


@pytest.fixture
def count(make: Make) -> Path:
    """Ten frames at 10 a second, each brighter than the one before."""
    grey = ["-f", "lavfi", "-i", "color=black:size=64x64:rate=10", "-frames:v", "10"]
    return make("count.mkv", *grey, "-vf", "format=rgb24,geq=r=20*N:g=20*N:b=20*N", "-c:v", "ffv1")


@pytest.mark.parametrize(
    ("fps", "shown"),
    [
        (Fraction(5), [0, 2, 4, 6, 8]),
        (Fraction(20), [n // 2 for n in range(20)]),
        (Fraction(15), [0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9]),
        (Fraction(30000, 1001), [min(9, n * 1001 // 3000) for n in range(30)]),
    ],
)
def test_a_constant_rate_shows_what_is_on_the_screen_then(
    count: Path, tmp_path: Path, stylizer: Stylizer, style: Style, ffmpeg: str, fps: Fraction, shown: list[int]
) -> None:
    (result,) = paint_video(count, tmp_path / "out.mp4", stylizer, [style], 0.0, VideoOptions(fps=fps))

    assert times(result.path) == [n / fps for n in range(len(shown))]
    assert numbers(ffmpeg, result.path, count) == shown
    assert Fraction(stream(result.path)["avg_frame_rate"]) == fps


def test_a_changing_rate_becomes_constant_in_step(film: Path, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    (result,) = paint_video(film, tmp_path / "out.mp4", stylizer, [style], 0.0, VideoOptions(fps=Fraction(10)))

    kept, before = times(result.path), times(film)
    assert kept == [Fraction(n, 10) for n in range(len(kept))]
    assert abs(float(kept[-1] - before[-1])) < 0.2


def test_a_part_of_a_film(count: Path, tmp_path: Path, stylizer: Stylizer, style: Style, ffmpeg: str) -> None:
    options = VideoOptions(start=Fraction(3, 10), end=Fraction(7, 10))

    (result,) = paint_video(count, tmp_path / "out.mp4", stylizer, [style], 0.0, options)

    assert numbers(ffmpeg, result.path, count) == [3, 4, 5, 6]
    assert times(result.path) == [Fraction(n, 10) for n in range(4)]


def test_the_style_changes_at_its_time(
    clip: Path, tmp_path: Path, stylizer: Stylizer, library: StyleLibrary, ffmpeg: str
) -> None:
    one, two = list(library.presets.values())[:2]
    timeline = Timeline("both", (one, two), (Fraction(0), Fraction(6, 25)))
    for style in (one, two, timeline):
        paint_video(clip, tmp_path / f"{style.name}.mp4", stylizer, [style])

    changing, first, second = (pixels(ffmpeg, tmp_path / f"{s.name}.mp4", 64, 64) for s in (timeline, one, two))
    nearer = abs(changing - first).mean(axis=(1, 2, 3)) < abs(changing - second).mean(axis=(1, 2, 3))
    assert nearer.tolist() == [True] * 6 + [False] * 4


@pytest.mark.parametrize(
    "values",
    [
        {"size": (63, 100)},
        {"fps": Fraction(0)},
        {"fps": Fraction(1001)},
        {"start": Fraction(-1)},
        {"start": Fraction(2), "end": Fraction(2)},
        {"end": Fraction(0)},
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        VideoOptions(**values)


@pytest.fixture
def album(make: Make, tmp_path: Path) -> Path:
    """Two films and other things."""
    make("album/b.mov", *lavfi(), *H264)
    make("album/a.avi", *lavfi(), "-c:v", "mpeg4")
    (tmp_path / "album" / "notes.txt").write_text("not a film")
    (tmp_path / "album" / ".hidden.mp4").write_text("not a film")
    return tmp_path / "album"


def test_a_folder_of_films_becomes_a_folder(album: Path, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    results = paint_videos([album], tmp_path / "new" / "painted", stylizer, [style], 0.0)

    assert [(result.source.name, result.path.name) for result in results] == [("a.avi", "a.mp4"), ("b.mov", "b.mov")]
    assert names(tmp_path / "new" / "painted") == ["a.mp4", "b.mov"]


def test_a_folder_s_animated_pictures_are_films_and_still_ones_are_not(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("moving.webp", "moving.gif"):
        make(f"album/{name}", *lavfi(5))
    make("album/moving.png", *lavfi(5), "-f", "apng")
    for name in ("still.webp", "still.png"):
        make(f"album/{name}", *lavfi(1))
    album, painted = tmp_path / "album", tmp_path / "painted"

    films = paint_videos([album], painted / "films", stylizer, [style], 0.0)

    assert {result.path.name: result.frames for result in films} == {
        "moving.gif": 5,
        "moving.mp4": 5,
        "moving.webp": 5,
    }
    assert not caplog.records
    paint_images([album, album / "moving.gif"], painted / "pictures", stylizer, [style, style])
    assert [record.getMessage() for record in caplog.records] == [
        f"{album / name} is animated and only its first frame is painted: livestyle video paints all of it"
        for name in ("moving.png", "moving.webp", "moving.gif")
    ]


def test_films_of_one_name_keep_their_suffixes(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style, ffmpeg: str
) -> None:
    """What has the suffix of its result already keeps its name."""
    folder = tmp_path / "album"
    for name, color in (("x.mp4", "black"), ("x.avi", "gray"), ("x.wmv", "white"), ("y.avi", "black")):
        make(f"album/{name}", "-f", "lavfi", "-i", f"color={color}:size=64x64:rate=25:duration=0.2")

    results = paint_videos([folder], tmp_path / "painted", stylizer, [style], 0.0)

    assert [(result.source.name, result.path.name) for result in results] == [
        ("x.avi", "x.avi.mp4"),
        ("x.mp4", "x.mp4"),
        ("x.wmv", "x.wmv.mp4"),
        ("y.avi", "y.mp4"),
    ]
    shades = [pixels(ffmpeg, result.path, 64, 64).mean() for result in results]
    assert np.allclose(shades, [128, 0, 255, 0], atol=4)


def test_films_of_one_name_in_a_tree_are_refused_before_any_work(
    make: Make, tmp_path: Path, stylizer: Stylizer, style: Style
) -> None:
    make("one/x.mp4", *lavfi(), *H264)
    make("two/x.mp4", *lavfi(), *H264)

    with pytest.raises(OutputError, match=r"two results would both be .*x\.mp4: convert them to two folders"):
        paint_videos([tmp_path / "**" / "x.mp4"], tmp_path / "painted", stylizer, [style])

    assert names(tmp_path) == ["one", "two"]


@pytest.mark.parametrize("pattern", ["album/*.mov", "**/b.mov", "album/[bc].*"])
def test_patterns_are_understood(
    album: Path, tmp_path: Path, stylizer: Stylizer, style: Style, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for i, sources in enumerate([[album / ".." / pattern], [Path(pattern), album / "b.mov"]]):
        results = paint_videos(sources, tmp_path / f"{i}.painted", stylizer, [style], 0.0)

        assert [result.path.name for result in results] == ["b.mov"]
        shutil.rmtree(tmp_path / f"{i}.painted")


def test_patterns_are_understood_for_pictures(tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((64, 64, 3), np.uint8))

    results = paint_images([tmp_path / "*.png"], tmp_path / "painted", stylizer, [style])

    assert [result.path.name for result in results] == ["a.png"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.mp4", "there is no video"), ("*.webm", "there is no video that"), ("empty", "no video in the folder")],
)
def test_what_is_not_there_is_said_before_any_work(
    clip: Path, tmp_path: Path, stylizer: Stylizer, style: Style, name: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputError, match=words):
        paint_videos([clip, tmp_path / name], tmp_path / "painted", stylizer, [style])

    assert names(tmp_path) == ["clip.mp4", "empty"]


def test_several_films_do_not_fit_into_one(album: Path, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    with pytest.raises(OutputError, match="for several, name a folder"):
        paint_videos([album], tmp_path / "out.mp4", stylizer, [style])


def test_failures_are_listed_while_the_rest_is_done(
    album: Path, tmp_path: Path, stylizer: Stylizer, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    (album / "aa.mp4").write_text("not a film")
    done: list[Outcome] = []

    with pytest.raises(InputError, match=r"1 of 3 videos failed, the rest is done: .*aa\.mp4$"):
        paint_videos([album], tmp_path / "painted", stylizer, [style], 0.0, done=done.append)

    assert [item.path.name for item in done] == ["a.mp4", "aa.mp4", "b.mov"]
    assert names(tmp_path / "painted") == ["a.mp4", "b.mov"]
    assert [record.getMessage() for record in caplog.records] == [str(done[1].error)]  # type: ignore[union-attr]


class Broken(Stylizer):
    """A Stylizer with an error that nobody foresaw, in films of one size."""

    def stylize(self, frames: np.ndarray, *arguments: Any, **options: Any) -> np.ndarray:
        if frames.shape[1] == 80:
            raise cv2.error("one line\nand another")
        return super().stylize(frames, *arguments, **options)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_that_nobody_foresaw_ends_one_file_only(
    album: Path, make: Make, tmp_path: Path, style: Style, caplog: pytest.LogCaptureFixture, jobs: int
) -> None:
    bad = make("album/aa.mp4", *lavfi(size="80x64"), *H264)

    with pytest.raises(InputError, match=r"1 of 3 videos failed, the rest is done: .*aa\.mp4$"):
        paint_videos([album], tmp_path / "painted", Broken(device="cpu"), [style], workers=jobs)

    assert names(tmp_path / "painted") == ["a.mp4", "b.mov"]
    assert caplog.messages == [
        f"{bad} could not be painted (error: one line), which nobody foresaw: LIVESTYLE_DEBUG=1 shows where"
    ]


def test_an_error_that_nobody_foresaw_keeps_its_cause(
    make: Make, tmp_path: Path, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    bad = make("bad.mp4", *lavfi(size="80x64"), *H264)
    caplog.set_level("DEBUG", "livestyle")

    with pytest.raises(LivestyleError, match=r"could not be painted \(error: one line\)") as raised:
        paint_video(bad, tmp_path / "out.mp4", Broken(device="cpu"), [style])

    assert isinstance(raised.value.__cause__, cv2.error)
    assert "Traceback" in caplog.text
    assert names(tmp_path) == ["bad.mp4"]


def test_a_script_gets_an_object_a_file(
    album: Path, tmp_path: Path, stylizer: Stylizer, style: Style, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "c.mp4").write_text("not a film")

    with pytest.raises(InputError):
        paint_videos([album], tmp_path / "painted", stylizer, [style], 0.0, progress=True, done=print_json)

    good, _, bad = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert good["path"] == str(tmp_path / "painted" / "a.mp4")
    assert (good["source"], good["style"], good["error"]) == (str(album / "a.avi"), style.name, None)
    assert (good["width"], good["height"], good["frames"]) == (64, 64, 10)
    assert good["seconds"] > 0
    assert good["frames_per_second"] > 0
    assert (good["status"], good["resumed_frames"], good["concealed_frames"], good["damage"]) == ("done", 0, 0, None)
    assert good["slowest_stage"] in {"decoding", "painting", "encoding"}
    assert good.keys() == bad.keys()
    assert (bad["status"], bad["source"], bad["slowest_stage"]) == ("failed", str(album / "c.mp4"), None)
    assert "is not a video" in bad["error"]


def test_a_script_learns_what_was_resumed_skipped_and_damaged(
    film: Path, make: Make, tmp_path: Path, stylizer: Stylizer, style: Style, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "painted"
    folder.mkdir()
    (folder / "clip.mp4").write_text("done")
    clip = make("clip.mp4", *lavfi(), *H264)
    harmed = make("harmed.mp4", *lavfi(25), *H264, "-g", "1")
    data = bytearray(harmed.read_bytes())
    packets = probe(harmed, "-show_entries", "packet=pos,size")["packets"]
    at, size = int(packets[12]["pos"]), int(packets[12]["size"])
    data[at + 4 : at + size] = bytes(size - 4)
    harmed.write_bytes(data)
    interrupt(film, folder / "film.mp4", style, SEGMENT_FRAMES + 10, strength=0.5)

    paint_videos(
        [clip, film, harmed], folder, stylizer, [style], 0.5, options=VideoOptions(resume=True), done=print_json
    )

    skipped, resumed, damaged = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert skipped.keys() == resumed.keys()
    assert (skipped["status"], skipped["source"], skipped["path"]) == ("skipped", str(clip), str(folder / "clip.mp4"))
    assert (skipped["frames"], skipped["error"]) == (None, None)
    assert (resumed["status"], resumed["frames"], resumed["resumed_frames"]) == ("done", LONG, SEGMENT_FRAMES)
    assert (damaged["status"], damaged["frames"], damaged["concealed_frames"]) == ("done", 25, 1)
    assert damaged["damage"].startswith(f"{harmed} is damaged in 1 place")


def test_a_person_gets_a_line_a_result(
    album: Path, tmp_path: Path, stylizer: Stylizer, style: Style, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "c.mp4").write_text("not a film")

    with pytest.raises(InputError):
        paint_videos([album], tmp_path / "painted", stylizer, [style], 0.0, progress=True, done=print_result)

    shown = capsys.readouterr()
    assert [line.split(": ")[0] for line in shown.out.splitlines()] == [
        str(tmp_path / "painted" / name) for name in ("a.mp4", "b.mov")
    ]
    assert "3/3" in shown.err
    assert "videos/s" in shown.err


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_jobs_at_a_time_give_what_one_gives(album: Path, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    (album / "c.mp4").write_text("not a film")

    for jobs in (1, 3):
        with pytest.raises(InputError, match=r"1 of 3 videos failed, the rest is done: .*c\.mp4"):
            paint_videos([album], tmp_path / f"painted{jobs}", stylizer, [style], workers=jobs)

    assert len(digests(tmp_path / "painted1")) == 2
    assert digests(tmp_path / "painted1") == digests(tmp_path / "painted3")


def test_jobs_stop_together(film: Path, make: Make, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    """As Ctrl-C in the main thread does, which waits for them."""
    clip = make("clip.mp4", *lavfi(), *H264)

    def stop(_: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_videos([film, clip], tmp_path / "painted", stylizer, [style], workers=2, done=stop)

    assert "film.mp4" not in names(tmp_path / "painted")
    assert not [name for name in names(tmp_path / "painted") if name.endswith(".partial")]


def test_pictures_in_jobs_scaled_and_beside_their_source(tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    album = tmp_path / "album"
    album.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(album / name), rng.integers(0, 256, (100, 200, 3), np.uint8))

    results = paint_images([album], tmp_path / "painted", stylizer, [style], size=(140, 100), side_by_side=True, workers=2)

    assert sorted(result.path.name for result in results) == ["a.png", "b.png", "c.png"]
    for result in results:
        both, source = cv2.imread(str(result.path)), cv2.imread(str(result.source))
        assert both is not None
        assert source is not None
        assert both.shape == (70, 280, 3)
        small = cv2.resize(source, (140, 70), interpolation=cv2.INTER_AREA)
        assert (both[:, :140] == small).all()
        assert (both[:, 140:] == stylizer.stylize(small, style.stats)).all()


def test_that_force_paints_complete_films_again_is_said(
    make: Make, film: Path, tmp_path: Path, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [make("first.mp4", *lavfi(3), *H264), film]
    (tmp_path / "out").mkdir()
    for source in sources:
        (tmp_path / "out" / source.name).write_text("replace me")

    with pytest.raises(KeyboardInterrupt):
        paint_videos(sources, tmp_path / "out", Stop(SEGMENT_FRAMES + 13), [style], force=True)

    assert "go on by resuming and forcing it, which paints those that are complete again" in caplog.text


def test_less_than_one_job_is_refused(clip: Path, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    with pytest.raises(LivestyleError, match="at least one job"):
        paint_videos([clip], tmp_path / "out.mp4", stylizer, [style], workers=0)


RAW = RawFormat(64, 64, Fraction(25))
PIPED = """if True:
    import pathlib, sys
    from livestyle import StyleLibrary, Stylizer
    from livestyle.jobs.batch import VideoOptions, paint_videos, print_result
    from livestyle.media.pipe import parse_raw
    stylizer = Stylizer(device="cpu")
    style = StyleLibrary(stylizer).first()
    raw = parse_raw(sys.argv[3]) if sys.argv[3:] else None
    sources, target = [pathlib.Path(sys.argv[1])], pathlib.Path(sys.argv[2])
    paint_videos(sources, target, stylizer, [style], 0.0, VideoOptions(raw=raw), progress=True, done=print_result)
"""


@pytest.mark.parametrize("source", ["-", "clip.mkv"])
@pytest.mark.parametrize("kind", ["matroska", "bgr24", "rgb24"])
def test_films_go_through_pipes(make: Make, tmp_path: Path, ffmpeg: str, source: str, kind: str) -> None:
    clip = make("clip.mkv", *lavfi(), *H264)
    raw = ["-f", "rawvideo", "-pix_fmt", kind]
    read = ["-f", "matroska"] if kind == "matroska" else [*raw, "-s", "64x64", "-r", "25"]
    write = ["-c", "copy", "-f", "matroska"] if kind == "matroska" else raw
    sent = subprocess.run([ffmpeg, "-v", "error", "-i", str(clip), *write, "-"], check=True, capture_output=True).stdout
    form = {"bgr24": ["64x64@25"], "rgb24": ["64x64@25:rgb24"]}.get(kind, [])
    program = [sys.executable, "-c", PIPED, source, "-", *form]

    done = subprocess.run(program, input=sent, check=True, capture_output=True, cwd=tmp_path)
    received = [ffmpeg, "-v", "error", *read, "-i", "-", "-c:v", "ffv1", str(tmp_path / "out.mkv")]
    subprocess.run(received, input=done.stdout, check=True)

    assert b"10 frames" in done.stderr
    before, after = (pixels(ffmpeg, path, 64, 64) for path in (clip, tmp_path / "out.mkv"))
    assert before.shape == after.shape
    assert abs(before - after).mean() < 12


def test_sound_that_raw_frames_go_without_is_not_gathered(
    make: Make, stylizer: Stylizer, style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make("clip.mkv", *lavfi(50), "-f", "lavfi", "-i", "sine=duration=2", "-c:v", "ffv1", "-c:a", "pcm_s16le")
    sources: list[VideoReader] = []

    class Watched(VideoReader):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            sources.append(self)

    monkeypatch.setattr(livestyle.jobs.video, "VideoReader", Watched)
    monkeypatch.setattr(livestyle.jobs.video, "open_stdout", io.BytesIO)
    paint_videos([clip], Path("-"), stylizer, [style], 0.0, VideoOptions(raw=RAW))
    assert sources
    assert not any(source.packets for source in sources)


def test_raw_frames_of_a_film_of_varying_rate_keep_its_time(make: Make, tmp_path: Path) -> None:
    # Every fifth frame of the first second, and all of the next.
    vary = ["-vf", "select='gt(n,24)+not(mod(n,5))'", "-fps_mode", "vfr", "-c:v", "ffv1"]
    make("clip.mkv", *lavfi(50), *vary)
    program = [sys.executable, "-c", PIPED, "clip.mkv", "-", "64x64@25"]

    done = subprocess.run(program, check=True, capture_output=True, cwd=tmp_path)

    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 64, 64, 3)
    changes = [number for number in range(1, len(frames)) if (frames[number] != frames[number - 1]).any()]
    assert len(frames) == 50
    assert changes == [5, 10, 15, 20, *range(25, 50)]


@pytest.mark.parametrize(
    ("sources", "target", "options", "words"),
    [
        (["-", "clip.mp4"], "out.mp4", VideoOptions(), "one film in one style"),
        (["clip.mp4"], "out.mp4", VideoOptions(raw=RAW), "raw frames come from standard input"),
        (["-"], "out.mp4", VideoOptions(resume=True), "cannot be resumed"),
        (["-"], "out.mp4", VideoOptions(raw=RAW, start=Fraction(1)), "cannot be cut"),
        (["-"], ".", VideoOptions(), "is a folder"),
        (["clip.mp4"], "-", VideoOptions(raw=RAW._replace(width=80)), "come as 64x64@25 and not as 80x64@25: name"),
        (["clip.mp4"], "-", VideoOptions(raw=RAW, fps=Fraction(30)), "come as 64x64@30 and not as 64x64@25: name"),
        (["clip.mp4"], "-", VideoOptions(raw=RAW, side_by_side=True), "come as 128x64@25 and not as 64x64@25: name"),
        (["-"], "-", VideoOptions(raw=RAW, encoding=Encoding(crf=20)), "raw frames are not encoded: leave codec, crf"),
    ],
)
def test_what_a_pipe_cannot_do_is_refused(
    clip: Path,
    tmp_path: Path,
    stylizer: Stylizer,
    style: Style,
    monkeypatch: pytest.MonkeyPatch,
    sources: list[str],
    target: str,
    options: VideoOptions,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(LivestyleError, match=words):
        paint_videos([Path(source) for source in sources], Path(target), stylizer, [style], options=options)

    assert names(tmp_path) == ["clip.mp4"]
