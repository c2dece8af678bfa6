"""Painted videos: `VideoBatch` on clips that ffmpeg makes, checked with ffprobe and by pixels that ffmpeg decodes."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError, StyleError
from livestyle.jobs.options import VideoOptions
from livestyle.jobs.report import Result
from livestyle.media.video.codecs import Encoding
from livestyle.render.color import ColorMode
from livestyle.styles.library import Style, StyleLibrary
from tests.batches import names, paint_video
from tests.ffmpeg import Make, duration, md5, packet_times, pixels, stream, times
from tests.program import IDENTITY

VIDEO = "testsrc2=size=96x64:rate={rate}:duration={seconds}"
SOUND = "sine=frequency=440:sample_rate=44100:duration={seconds}"
ODD = "scale=97:65,format=yuv444p"
H264 = ("-c:v", "libx264", "-g", "5", "-pix_fmt", "yuv420p")

Paint = Callable[..., Result]


def lavfi(text: str, rate: str = "25", seconds: float = 0.4) -> list[str]:
    return ["-f", "lavfi", "-i", text.format(rate=rate, seconds=seconds)]


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two videos of hard, bright edges differ by no more than encoding does; a pixel's shift is far more."""
    assert one.shape == other.shape
    return bool(abs(one - other).mean() < 12)


@pytest.fixture
def clip(make: Make) -> Path:
    """Ten frames at 30000/1001 with sound, its index in front."""
    inputs = [*lavfi(VIDEO, "30000/1001", 0.33), *lavfi(SOUND)]
    return make("clip.mp4", *inputs, *H264, "-c:a", "aac", "-movflags", "+faststart")


@pytest.fixture
def paint(identity: Stylizer, dusk: Style) -> Paint:
    """`paint_video` with one style and, unless told otherwise, strength 0, which leaves the pixels as they are."""

    def run(source: Path, target: Path, strength: float = 0.0, **options: Any) -> Result:
        (result,) = paint_video(source, target, identity, [dusk], strength, **options)
        return result

    return run


class Recorder:
    """Stands in for a Stylizer where a test wants to see or to disturb what it is asked."""

    def __init__(self, stylizer: Stylizer, fail: BaseException | None = None) -> None:
        self.model = stylizer.model
        self.device = stylizer.device
        self.form = stylizer.form
        self.settle_form = stylizer.settle_form
        self.batch = stylizer.batch
        self.states: list[Stabilizer | None] = []
        self.fail = fail

    def stylize(
        self, frames: np.ndarray, _style: Any, _strength: float, state: Stabilizer | None, **_: Any
    ) -> np.ndarray:
        self.states.append(state)
        if self.fail and len(self.states) == 4:
            raise self.fail
        return frames


@pytest.mark.parametrize(
    ("name", "codec", "shape"),
    [
        ("out.mp4", None, (96, 64, "64:45")),
        ("out.mp4", "av1", (96, 64, "64:45")),
        ("out.mkv", None, (96, 64, "64:45")),
        ("out.webm", None, (138, 64, "1:1")),
        ("out.mkv", "av1", (138, 64, None)),
        ("out.gif", None, (137, 64, "1:1")),
    ],
)
def test_a_film_keeps_its_shape_also_where_pixels_must_be_square(
    make: Make, tmp_path: Path, paint: Paint, name: str, codec: str | None, shape: tuple[object, ...]
) -> None:
    source = make("wide.mp4", *lavfi(VIDEO), "-vf", "setsar=64/45", *H264)

    paint(source, tmp_path / name, options=VideoOptions(encoding=Encoding(codec)))

    shown = stream(tmp_path / name)
    assert (shown["width"], shown["height"], shown.get("sample_aspect_ratio")) == shape


def test_every_frame_is_painted(clip: Path, tmp_path: Path, paint: Paint, ffmpeg: str) -> None:
    result = paint(clip, tmp_path / "out.mp4", 1.0)

    before, after = (pixels(ffmpeg, path, 96, 64) for path in (clip, result.path))
    assert result.frames == len(after) == len(before) == 10
    assert (abs(after - before).mean(axis=(1, 2, 3)) > 5).all()
    assert stream(result.path)["codec_name"] == "h264"
    assert stream(result.path)["pix_fmt"] == "yuv420p"


def test_strength_0_leaves_the_picture_as_it_is(clip: Path, tmp_path: Path, paint: Paint, ffmpeg: str) -> None:
    result = paint(clip, tmp_path / "out.mp4")

    assert alike(pixels(ffmpeg, clip, 96, 64), pixels(ffmpeg, result.path, 96, 64))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_sound_is_copied_untouched(clip: Path, tmp_path: Path, paint: Paint, ffmpeg: str, suffix: str) -> None:
    result = paint(clip, tmp_path / f"out{suffix}")

    assert md5(result.path, "a") == md5(clip, "a")


def test_the_sound_stays_in_step(clip: Path, tmp_path: Path, paint: Paint) -> None:
    result = paint(clip, tmp_path / "out.mp4")

    assert packet_times(result.path, "a:0") == packet_times(clip, "a:0")


def test_every_sound_track_is_kept_with_its_language(make: Make, tmp_path: Path, paint: Paint, ffmpeg: str) -> None:
    inputs = [*lavfi(VIDEO), *lavfi(SOUND), *lavfi(SOUND), "-map", "0", "-map", "1", "-map", "2"]
    languages = ["-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra"]
    source = make("two.mp4", *inputs, *H264, "-c:a:0", "aac", "-c:a:1", "ac3", *languages)

    result = paint(source, tmp_path / "out.mp4")

    assert md5(result.path, "a") == md5(source, "a")
    assert [stream(result.path, f"a:{i}")["tags"]["language"] for i in range(2)] == ["deu", "fra"]


def test_sound_that_the_container_cannot_carry_is_named(
    make: Make, tmp_path: Path, paint: Paint, caplog: pytest.LogCaptureFixture
) -> None:
    source = make("old.avi", *lavfi(VIDEO), *lavfi(SOUND), "-c:v", "mpeg4", "-c:a", "wmav2")

    result = paint(source, tmp_path / "out.mp4")

    assert result.frames == 10
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "wmav2" in caplog.text


def test_the_rate_30000_1001_is_kept(clip: Path, tmp_path: Path, paint: Paint) -> None:
    result = paint(clip, tmp_path / "out.mp4")

    assert times(result.path) == times(clip) == [Fraction(1001 * i, 30000) for i in range(10)]
    assert stream(result.path)["avg_frame_rate"] == stream(result.path)["r_frame_rate"] == "30000/1001"


def test_milliseconds_of_matroska_become_the_exact_rate(make: Make, tmp_path: Path, paint: Paint) -> None:
    source = make("clip.mkv", *lavfi(VIDEO, "30000/1001"), *H264)

    result = paint(source, tmp_path / "out.mp4")

    assert times(result.path) == [Fraction(1001 * i, 30000) for i in range(result.frames)]
    assert stream(result.path)["avg_frame_rate"] == "30000/1001"


def test_a_variable_rate_is_kept(make: Make, tmp_path: Path, paint: Paint) -> None:
    uneven = "settb=1/1000,setpts='40*N+7*mod(N,3)+200*gt(N,4)'"
    options = ["-vf", uneven, "-fps_mode", "vfr", "-enc_time_base", "1/1000", *H264]
    source = make("vfr.mp4", *lavfi(VIDEO), *options)

    result = paint(source, tmp_path / "out.mp4")

    kept = times(source)
    assert len({b - a for a, b in pairwise(kept)}) > 2
    assert times(result.path) == kept


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_the_last_frame_stays_as_long_as_it_did(
    make: Make, tmp_path: Path, paint: Paint, codec: str, name: str
) -> None:
    """Also after B-frames, and by encoders that give packets no durations."""
    source = make("slides.gif", *lavfi(VIDEO, "2", 3), "-final_delay", "300")

    result = paint(source, tmp_path / name, options=VideoOptions(encoding=Encoding(codec)))

    assert duration(result.path) == pytest.approx(5 * 0.5 + 3, abs=0.01)
    if name == "out.mp4":
        # The length that browsers show; and they stop after the packet that is the last in the file.
        assert float(stream(result.path)["duration"]) == pytest.approx(5 * 0.5 + 3, abs=0.01)
        assert packet_times(result.path, "v:0")[-1] == 5 * 0.5


def test_a_late_start_is_kept(make: Make, clip: Path, tmp_path: Path, paint: Paint) -> None:
    inputs = ["-itsoffset", "0.7", "-i", str(clip), "-i", str(clip), "-map", "0:v", "-map", "1:a"]
    source = make("late.mp4", *inputs, "-c", "copy")

    result = paint(source, tmp_path / "out.mp4")

    assert times(source)[0] > Fraction(1, 2)
    assert times(result.path) == times(source)
    assert packet_times(result.path, "a:0") == packet_times(source, "a:0")


def test_a_stream_that_begins_anywhere_begins_at_0_and_in_step(
    make: Make, clip: Path, tmp_path: Path, paint: Paint
) -> None:
    source = make("clip.ts", "-i", str(clip), "-c", "copy", "-output_ts_offset", "1000")

    result = paint(source, tmp_path / "out.mp4")

    def lag(path: Path) -> float:
        return float(times(path)[0]) - packet_times(path, "a:0")[0]

    assert packet_times(result.path, "a:0")[0] == 0
    assert lag(result.path) == pytest.approx(lag(source), abs=0.0001)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_phone_video_stands_upright(
    make: Make, clip: Path, tmp_path: Path, paint: Paint, ffmpeg: str, degrees: int
) -> None:
    source = make("phone.mp4", "-i", str(clip), "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}")

    result = paint(source, tmp_path / "out.mp4")

    width, height = (96, 64) if degrees == 180 else (64, 96)
    kept = stream(result.path)
    assert (result.width, result.height) == (kept["width"], kept["height"]) == (width, height)
    assert "side_data_list" not in kept
    # ffmpeg turns what it decodes.
    shown = pixels(ffmpeg, source, width, height)
    assert alike(shown, pixels(ffmpeg, result.path, width, height))


def test_odd_sizes_are_padded_and_not_stretched(make: Make, tmp_path: Path, paint: Paint, ffmpeg: str) -> None:
    source = make("odd.mp4", *lavfi(VIDEO), "-vf", ODD, "-c:v", "libx264")

    result = paint(source, tmp_path / "out.mp4")

    before, after = pixels(ffmpeg, source, 97, 65), pixels(ffmpeg, result.path, 98, 66)
    assert alike(before, after[:, :65, :97])
    assert alike(before[:, :, 96], after[:, :65, 97])
    assert alike(before[:, 64], after[:, 65, :97])


def test_odd_sizes_can_be_painted(make: Make, tmp_path: Path, paint: Paint) -> None:
    source = make("odd.mp4", *lavfi(VIDEO), "-vf", ODD, "-c:v", "libx264")

    assert paint(source, tmp_path / "out.mp4", 1.0).frames == 10


def test_the_shape_of_pixels_is_carried(make: Make, tmp_path: Path, paint: Paint) -> None:
    source = make("dv.mp4", *lavfi(VIDEO), "-vf", "setsar=16/11", *H264)

    assert stream(paint(source, tmp_path / "out.mp4").path)["sample_aspect_ratio"] == "16:11"


def test_the_shape_of_pixels_turns_with_the_picture(make: Make, tmp_path: Path, paint: Paint) -> None:
    flat = make("flat.mp4", *lavfi(VIDEO), "-vf", "setsar=16/11", *H264)
    source = make("phone.mp4", "-i", str(flat), "-c", "copy", "-metadata:s:v:0", "rotate=90")

    assert stream(paint(source, tmp_path / "out.mp4").path)["sample_aspect_ratio"] == "11:16"


@pytest.mark.parametrize("levels", ["tv", "pc"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
def test_grey_stays_grey_and_the_colours_are_tagged(
    make: Make, tmp_path: Path, paint: Paint, ffmpeg: str, matrix: str, levels: str
) -> None:
    ramp = "color=black:size=256x64:rate=25:duration=0.2,format=gray,geq=lum=X"
    scale = f"scale=out_color_matrix={matrix}:out_range={levels}:flags=accurate_rnd+full_chroma_int,format=yuv420p"
    tags = ["-colorspace", matrix, "-color_range", levels, "-color_primaries", matrix, "-color_trc", matrix]
    source = make("ramp.mp4", *lavfi(ramp), "-vf", scale, *tags, "-c:v", "libx264", "-qp", "0")

    result = paint(source, tmp_path / "out.mp4")

    assert abs(pixels(ffmpeg, result.path, 256, 64) - np.arange(256)[None, None, :, None]).max() <= 2
    kept = stream(result.path)
    assert (kept["color_space"], kept["color_range"]) == (matrix, levels)
    assert (kept["color_primaries"], kept["color_transfer"]) == (matrix, matrix)


def test_colours_survive_both_ways(make: Make, tmp_path: Path, paint: Paint, ffmpeg: str) -> None:
    red = "color=0xd02010:size=96x64:rate=25:duration=0.2"
    scale = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    source = make("red.mp4", *lavfi(red), "-vf", scale, "-colorspace", "bt709", "-c:v", "libx264")

    result = paint(source, tmp_path / "out.mp4")

    assert abs(pixels(ffmpeg, result.path, 96, 64) - pixels(ffmpeg, source, 96, 64)).max() <= 2
    assert abs(pixels(ffmpeg, result.path, 96, 64) - (0xD0, 0x20, 0x10)).max() <= 8


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
def test_vp8_has_the_colours_that_its_container_tells(
    make: Make, tmp_path: Path, paint: Paint, ffmpeg: str, alpha: bool
) -> None:
    """As browsers record a canvas: full range and BT.709, which the bitstream of VP8 cannot say."""
    red = "color=0xd02010:size=96x64:rate=25:duration=0.2"
    scale = f"scale=out_color_matrix=bt709:out_range=pc,format={'yuva420p' if alpha else 'yuv420p'}"
    tags = ["-colorspace", "bt709", "-color_range", "pc", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1"]
    vp8 = ["-c:v", "libvpx", "-auto-alt-ref", "0", "-crf", "4", "-b:v", "2M"]
    source = make("canvas.webm", *lavfi(red), "-vf", scale, *tags, *vp8)

    result = paint(source, tmp_path / "out.mp4")

    assert abs(pixels(ffmpeg, result.path, 96, 64) - (0xD0, 0x20, 0x10)).max() <= 8
    assert stream(result.path)["color_range"] == "pc"


def test_a_video_cut_off_is_painted_as_far_as_it_goes(
    make: Make, tmp_path: Path, paint: Paint, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = [*lavfi(VIDEO, seconds=3), *lavfi(SOUND, seconds=3)]
    source = make("clip.mp4", *inputs, *H264, "-c:a", "aac", "-movflags", "+faststart")
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 6 // 10])

    result = paint(source, tmp_path / "out.mp4")

    assert 30 < result.frames < 60
    assert len(times(result.path)) == result.frames
    assert len(caplog.records) == 1
    assert f"of 3.0 seconds: {result.frames} frames could be read" in caplog.text


def test_damage_in_the_middle_is_passed_over_and_reported(
    clip: Path, tmp_path: Path, paint: Paint, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray(clip.read_bytes())
    middle = len(data) * 6 // 10
    data[middle : middle + 1500] = bytes(1500)
    clip.write_bytes(data)

    result = paint(clip, tmp_path / "out.mp4")

    assert result.frames >= 5
    assert "is damaged in" in caplog.text


def test_an_unharmed_video_gives_no_warning(
    clip: Path, tmp_path: Path, paint: Paint, caplog: pytest.LogCaptureFixture
) -> None:
    paint(clip, tmp_path / "out.mp4")

    assert not caplog.records


def test_one_content_state_goes_through_the_video(clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    recorder = Recorder(identity)

    paint_video(clip, tmp_path / "out.mp4", recorder, [dusk])

    assert len(recorder.states) == 10
    assert isinstance(recorder.states[0], Stabilizer)
    assert len({id(state) for state in recorder.states}) == 1


def test_a_grey_video_that_keeps_its_colours_is_painted_grey(
    make: Make, tmp_path: Path, paint: Paint, ffmpeg: str
) -> None:
    source = make("grey.mp4", *lavfi(VIDEO), "-vf", "hue=s=0", *H264)

    result = paint(source, tmp_path / "out.mp4", 1.0, color=ColorMode.CONTENT)

    before, after = (pixels(ffmpeg, path, 96, 64) for path in (source, result.path))
    assert (abs(after - before).mean(axis=(1, 2, 3)) > 5).all()
    assert np.ptp(after, axis=3).mean() < 3


def test_a_style_is_matched_to_the_video_and_not_to_its_black_beginning(
    make: Make, tmp_path: Path, identity: Stylizer, identity_library: StyleLibrary, ffmpeg: str
) -> None:
    source = make("fade.mp4", *lavfi(VIDEO, seconds=4), "-vf", "fade=in:0:25", *H264)
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), cv2.resize(noise, (96, 64), interpolation=cv2.INTER_CUBIC))
    style = identity_library.from_image(tmp_path / "noise.png")
    frames = pixels(ffmpeg, source, 96, 64)[..., ::-1].astype(np.uint8)

    (result,) = paint_video(source, tmp_path / "out.mp4", identity, [style], color=ColorMode.MATCH)

    last = pixels(ffmpeg, result.path, 96, 64)[-1, ..., ::-1]

    def distance(content: np.ndarray) -> float:
        expected = identity.stylize(frames[-1], identity_library.matched(style, content).stats)
        return float(abs(last - expected).mean())

    assert distance(frames[::25]) < distance(frames[0]) / 2


def test_matching_a_style_without_a_picture_is_refused_at_once(clip: Path, tmp_path: Path, paint: Paint) -> None:
    with pytest.raises(StyleError, match="the colours of dusk cannot be matched"):
        paint(clip, tmp_path / "out.mp4", color=ColorMode.MATCH)

    assert names(tmp_path) == ["clip.mp4"]


def test_several_styles_give_a_file_each(clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    moss = Style("moss", dusk.stats)

    results = paint_video(clip, tmp_path / "out.mp4", identity, [dusk, moss], 0.0)

    assert [result.path.name for result in results] == ["out-dusk.mp4", "out-moss.mp4"]
    assert all(len(times(result.path)) == 10 for result in results)


def test_the_bar_shows_frames_and_their_rate(
    clip: Path,
    tmp_path: Path,
    paint: Paint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # For rich, a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    paint(clip, tmp_path / "out.mp4", progress=True)

    shown = capsys.readouterr()
    assert "10/10" in shown.err
    assert "frames/s" in shown.err
    assert not shown.out


def test_the_result_says_what_was_done(clip: Path, tmp_path: Path, paint: Paint) -> None:
    text = str(paint(clip, tmp_path / "out.mp4"))

    assert text.startswith(f"{tmp_path / 'out.mp4'}: 96x64, 10 frames in ")
    assert " frames/s; " in text
    assert re.search(
        r"(decoding|painting|encoding) is the slowest part: decoding \d+%, painting \d+%, encoding \d+%$", text
    )


def unreadable(tmp_path: Path, kind: str, make: Make) -> Path:
    path = tmp_path / "bad.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a video\n" * 100)
    elif kind == "empty":
        path.touch()
    elif kind == "without its index":
        whole = make("whole.mp4", *lavfi(VIDEO), *H264).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "only sound":
        make("bad.mp4", *lavfi(SOUND), "-c:a", "aac")
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "there is no video"),
        ("folder", "no video in the folder"),
        ("text", "is not a video"),
        ("empty", "is not a video"),
        ("without its index", "lacks its index"),
        ("only sound", "only sound"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, make: Make, paint: Paint, kind: str, words: str) -> None:
    source = unreadable(tmp_path, kind, make)
    before = set(tmp_path.iterdir())

    with pytest.raises(InputError, match=words) as caught:
        paint(source, tmp_path / "out.mp4")

    assert str(source) in str(caught.value)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.avi", "end the name with one of .* .m4v .mkv .mov .mp4"),
        ("out", "end the name with one of"),
        ("missing/out.mp4", "there is no folder"),
        (".", "is the source itself"),
        ("clip.mp4", "is the source itself"),
        ("/proc/out.mp4", "in the folder /proc no file can be made .*, choose another"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_at_once(
    clip: Path, tmp_path: Path, paint: Paint, name: str, words: str
) -> None:
    before = clip.read_bytes()

    with pytest.raises(OutputError, match=words):
        paint(clip, tmp_path / name, force=True)

    assert names(tmp_path) == ["clip.mp4"]
    assert clip.read_bytes() == before


def test_an_existing_target_is_kept(clip: Path, tmp_path: Path, paint: Paint) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")

    with pytest.raises(OutputError, match="already exists"):
        paint(clip, target)

    assert target.read_text() == "precious"


def test_an_existing_target_is_replaced_by_force(clip: Path, tmp_path: Path, paint: Paint) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("not so precious")

    paint(clip, target, force=True)

    assert len(times(target)) == 10


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("broken")])
def test_a_stop_halfway_leaves_everything_as_it_was(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, error: BaseException
) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")

    with pytest.raises(type(error)):
        paint_video(clip, target, Recorder(identity, error), [dusk], force=True)

    assert target.read_text() == "precious"
    assert names(tmp_path) == ["clip.mp4", "out.mp4"]


def test_a_full_disk_leaves_no_half_file(clip: Path, tmp_path: Path, paint: Paint) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            paint(clip, tmp_path / "out.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert names(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize("strength", [7, -0.1, float("nan")])
def test_a_strength_out_of_range_is_refused_at_once(clip: Path, tmp_path: Path, paint: Paint, strength: float) -> None:
    with pytest.raises(LivestyleError, match="between 0 and 1"):
        paint(clip, tmp_path / "out.mp4", strength)

    assert names(tmp_path) == ["clip.mp4"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has these policies")
def test_no_encoder_changes_how_threads_are_scheduled(clip: Path, tmp_path: Path, dusk: Style) -> None:
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
    paint_video(clip, tmp_path / "out.mp4", Watch(IDENTITY, "cpu"), [dusk], 0.0, VideoOptions(encoding=encoding))

    assert Watch.seen[-1] == policies() == {os.SCHED_OTHER}
