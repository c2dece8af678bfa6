"""`VideoOptions`: sizes, constant rates, parts of a video; and styles that change over time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError
from livestyle.jobs.options import VideoOptions
from livestyle.styles.library import Style, StyleLibrary
from livestyle.styles.timeline import Cue, Timeline
from tests.batches import H264, lavfi, paint_video
from tests.ffmpeg import Make, pixels, stream, times


@pytest.fixture
def clip(make: Make) -> Path:
    """Ten frames, 25 a second."""
    return make("clip.mp4", *lavfi(), *H264)


@pytest.fixture
def count(make: Make) -> Path:
    """Ten frames at 10 a second, each brighter than the one before."""
    grey = ["-f", "lavfi", "-i", "color=black:size=64x64:rate=10", "-frames:v", "10"]
    return make("count.mkv", *grey, "-vf", "format=rgb24,geq=r=20*N:g=20*N:b=20*N", "-c:v", "ffv1")


def numbers(ffmpeg: str, path: Path, source: Path) -> list[int]:
    """Which frame of `count` each frame of a video is, by its brightness."""
    shown, known = (pixels(ffmpeg, p, 64, 64).mean(axis=(1, 2, 3)) for p in (path, source))
    assert np.diff(known).min() > 5
    return [int(abs(known - value).argmin()) for value in shown]


@pytest.mark.parametrize(("size", "shown"), [((96, 96), (96, 64)), ((300, 100), (150, 100)), ((192, 999), (192, 128))])
def test_a_video_is_scaled_to_fit(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    source = make("wide.mp4", *lavfi(3, size="144x96"), *H264)

    (result,) = paint_video(source, tmp_path / "out.mp4", identity, [dusk], options=VideoOptions(size=size))

    kept = stream(tmp_path / "out.mp4")
    assert (kept["width"], kept["height"]) == (result.width, result.height) == shown


@pytest.mark.parametrize(("size", "shown"), [(None, (48, 32)), ((96, 96), (96, 64)), ((64, 64), (64, 42))])
def test_a_small_video_is_painted_at_its_size_or_enlarged(
    make: Make,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    ffmpeg: str,
    size: tuple[int, int] | None,
    shown: tuple[int, int],
) -> None:
    source = make("tiny.mp4", *lavfi(3, size="48x32"), *H264)

    (result,) = paint_video(source, tmp_path / "out.mp4", identity, [dusk], options=VideoOptions(size=size))

    assert (result.width, result.height) == shown
    # The red of dusk is a fifth of 255, whatever the video.
    assert abs(pixels(ffmpeg, result.path, *shown)[..., 0].mean() - 51) < 15


def test_the_source_can_stand_beside_its_painting(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, ffmpeg: str
) -> None:
    paint_video(clip, tmp_path / "alone.mp4", identity, [dusk])
    (result,) = paint_video(clip, tmp_path / "out.mp4", identity, [dusk], side_by_side=True)

    both = pixels(ffmpeg, result.path, 128, 64)
    assert (result.width, result.height) == (128, 64)
    assert abs(both[:, :, :64] - pixels(ffmpeg, clip, 64, 64)).mean() < 12
    assert abs(both[:, :, 64:] - pixels(ffmpeg, tmp_path / "alone.mp4", 64, 64)).mean() < 12


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
    count: Path, tmp_path: Path, identity: Stylizer, dusk: Style, ffmpeg: str, fps: Fraction, shown: list[int]
) -> None:
    (result,) = paint_video(count, tmp_path / "out.mp4", identity, [dusk], 0.0, VideoOptions(fps=fps))

    assert times(result.path) == [n / fps for n in range(len(shown))]
    assert numbers(ffmpeg, result.path, count) == shown
    assert Fraction(stream(result.path)["avg_frame_rate"]) == fps


def test_a_changing_rate_becomes_constant_in_step(make: Make, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    uneven = ["-vf", "settb=1/1000,setpts='20*N+3*mod(N,4)'", "-fps_mode", "vfr", "-enc_time_base", "1/1000"]
    source = make("uneven.mp4", *lavfi(250, "50"), *uneven, *H264)

    (result,) = paint_video(source, tmp_path / "out.mp4", identity, [dusk], 0.0, VideoOptions(fps=Fraction(10)))

    kept, before = times(result.path), times(source)
    assert kept == [Fraction(n, 10) for n in range(len(kept))]
    assert abs(float(kept[-1] - before[-1])) < 0.2


def test_a_part_of_a_video(count: Path, tmp_path: Path, identity: Stylizer, dusk: Style, ffmpeg: str) -> None:
    options = VideoOptions(start=Fraction(3, 10), end=Fraction(7, 10))

    (result,) = paint_video(count, tmp_path / "out.mp4", identity, [dusk], 0.0, options)

    assert numbers(ffmpeg, result.path, count) == [3, 4, 5, 6]
    assert times(result.path) == [Fraction(n, 10) for n in range(4)]


def test_the_style_changes_at_its_time(
    clip: Path, tmp_path: Path, identity: Stylizer, identity_library: StyleLibrary, ffmpeg: str
) -> None:
    one, two = list(identity_library.presets.values())[:2]
    timeline = Timeline("both", (Cue(0, one), Cue(Fraction(6, 25), two)))
    for style in (one, two, timeline):
        paint_video(clip, tmp_path / f"{style.name}.mp4", identity, [style])

    changing, first, second = (pixels(ffmpeg, tmp_path / f"{s.name}.mp4", 64, 64) for s in (timeline, one, two))
    nearer = abs(changing - first).mean(axis=(1, 2, 3)) < abs(changing - second).mean(axis=(1, 2, 3))
    assert nearer.tolist() == [True] * 6 + [False] * 4


def test_plain_numbers_are_taken_as_they_are_written() -> None:
    numbers: dict[str, Any] = {"fps": 29.97, "start": 1, "end": 2.5}
    options = VideoOptions(**numbers)
    assert (options.fps, options.start, options.end) == (Fraction(2997, 100), Fraction(1), Fraction(5, 2))


@pytest.mark.parametrize(
    "values",
    [
        {"size": (63, 100)},
        {"fps": Fraction(0)},
        {"fps": Fraction(1001)},
        {"start": Fraction(-1)},
        {"start": Fraction(2), "end": Fraction(2)},
        {"end": Fraction(0)},
        {"end": float("nan")},
        {"segment_frames": 0},
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        VideoOptions(**values)
