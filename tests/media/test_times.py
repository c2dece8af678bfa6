"""Times of videos as people have them: clocks without presentation times, that begin anywhere, or that jump."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from livestyle.errors import InputError, OutputError
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.writer import VideoWriter
from tests.ffmpeg import Make, duration, packet_times, pixels, stream, streams, times

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=2")
SOUND = ("-f", "lavfi", "-i", "sine=440:d=2")
H264 = ("-c:v", "libx264", "-g", "25", "-pix_fmt", "yuv420p")


def copy(source: Path, target: Path, start: str | None = None, end: str | None = None, **how: Any) -> VideoReader:
    """What a conversion at strength 0 does."""
    span = [None if text is None else Fraction(text) for text in (start, end)]
    with VideoReader(source, *span, **how) as video, VideoWriter(target, video.info, video) as sink:
        for frame in video:
            sink.write(frame.image, frame.time, frame.duration)
    return video


@pytest.fixture
def base(make: Make) -> Path:
    return make("base.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac")


def steps(path: Path) -> set[Fraction]:
    """Of the times of successive frames, in seconds."""
    return {after - before for before, after in pairwise(times(path))}


def order(ffmpeg: str, path: Path, base: Path) -> list[int]:
    """Which frame of the base clip each frame of a copy is, by its pixels."""
    shown, right = (pixels(ffmpeg, p, 160, 96) for p in (path, base))
    return [int(abs(right - frame).mean(axis=(1, 2, 3)).argmin()) for frame in shown]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("t.avi", ["libx264"]),
        ("t.avi", ["mpeg4", "-bf", "2", "-q:v", "2"]),
        ("t.asf", ["libx264"]),
        ("t.h264", ["libx264"]),
        ("t.hevc", ["libx265", "-x265-params", "log-level=error"]),
        ("t.m2v", ["mpeg2video", "-bf", "2", "-q:v", "2"]),
    ],
)
def test_frames_without_presentation_times_come_in_order_at_the_rate(
    make: Make, base: Path, tmp_path: Path, ffmpeg: str, name: str, codec: list[str]
) -> None:
    source = make(name, *PICTURE, "-c:v", *codec, "-pix_fmt", "yuv420p")

    video = copy(source, tmp_path / "out.mp4")

    assert steps(tmp_path / "out.mp4") == {Fraction(1, 25)}
    assert times(tmp_path / "out.mp4")[0] < Fraction(1, 25)
    assert order(ffmpeg, tmp_path / "out.mp4", base) == list(range(50))
    assert (video.damage, video.concealed, video.notes) == (None, 0, [])


def test_a_part_of_an_avi_with_b_frames_has_its_frames(make: Make, base: Path, tmp_path: Path, ffmpeg: str) -> None:
    source = make("t.avi", *PICTURE, *H264)

    copy(source, tmp_path / "out.mp4", "0.5", "1.5")

    assert order(ffmpeg, tmp_path / "out.mp4", base) == list(range(13, 38))


def test_a_packed_bitstream_as_xvid_writes_it_has_its_frames_in_order(
    make: Make, base: Path, tmp_path: Path, ffmpeg: str
) -> None:
    source = make("packed.avi", *PICTURE, *SOUND, "-c:v", "libxvid", "-bf", "2", "-q:v", "2", "-c:a", "libmp3lame")

    video = copy(source, tmp_path / "out.mp4")
    part = copy(source, tmp_path / "part.mp4", "1", "1.6")

    # Its encoder leaves out one of the last frames.
    shown = order(ffmpeg, tmp_path / "out.mp4", base)
    assert (shown[:46], len(shown)) == (list(range(46)), len(pixels(ffmpeg, source, 160, 96)))
    assert steps(tmp_path / "out.mp4") == {Fraction(1, 25)}
    cut = order(ffmpeg, tmp_path / "part.mp4", base)
    assert cut == list(range(cut[0], cut[0] + 15))
    for read in (video, part):
        assert (read.damage, read.concealed, read.notes) == (None, 0, [])


def test_a_seek_to_an_open_group_of_pictures_is_no_jump(make: Make, base: Path, tmp_path: Path, ffmpeg: str) -> None:
    source = make("t.mkv", *PICTURE, *SOUND, "-c:v", "mpeg4", "-bf", "2", "-q:v", "2", "-c:a", "libvorbis")

    video = copy(source, tmp_path / "out.mp4", "0.52", "1.2")

    assert order(ffmpeg, tmp_path / "out.mp4", base) == list(range(13, 30))
    assert (video.damage, video.notes) == (None, [])


def test_no_frame_lies_before_the_beginning(make: Make, base: Path, tmp_path: Path, ffmpeg: str) -> None:
    # FFmpeg says of such an ASF that it begins with its sound, which is later.
    source = make("t.asf", "-i", str(base), "-c", "copy")

    copy(source, tmp_path / "out.mp4")

    assert order(ffmpeg, tmp_path / "out.mp4", base) == list(range(50))


@pytest.mark.parametrize("name", ["huge.mkv", "huge.mp4", "huge.mov", "huge.ts", "huge.nut", "huge.flv", "huge.webm"])
def test_a_clock_may_begin_anywhere(make: Make, base: Path, tmp_path: Path, ffmpeg: str, name: str) -> None:
    kind = ["-c:v", "vp8", "-c:a", "libopus"] if name == "huge.webm" else ["-c", "copy"]
    source = make(name, "-i", str(base), *kind, "-output_ts_offset", "18000")

    video = copy(source, tmp_path / "out.mkv")

    shown = times(tmp_path / "out.mkv")
    assert 0 <= shown[0] <= Fraction(1, 25)
    assert max(abs(time - shown[0] - Fraction(n, 25)) for n, time in enumerate(shown)) <= Fraction(1, 1000)
    assert len(shown) == 50
    assert packet_times(tmp_path / "out.mkv", "a")[0] == pytest.approx(0, abs=0.03)
    assert duration(tmp_path / "out.mkv") == pytest.approx(2, abs=0.06)
    assert (video.damage, video.notes) == (None, [])


def test_a_part_counts_from_where_the_clock_begins(make: Make, base: Path, tmp_path: Path, ffmpeg: str) -> None:
    source = make("huge.mkv", "-i", str(base), "-an", "-c", "copy", "-output_ts_offset", "18000")

    copy(source, tmp_path / "out.mp4", "0.52")

    assert times(tmp_path / "out.mp4") == [Fraction(n, 25) for n in range(37)]
    assert order(ffmpeg, tmp_path / "out.mp4", base) == list(range(13, 50))


def test_steady_rates_survive_milliseconds_that_begin_anywhere(make: Make, tmp_path: Path) -> None:
    ntsc = ("-f", "lavfi", "-i", "testsrc2=s=160x96:r=30000/1001:d=2")
    source = make("huge.mkv", *ntsc, *H264, "-output_ts_offset", "18000.0123")

    copy(source, tmp_path / "out.mp4")

    assert times(tmp_path / "out.mp4") == [Fraction(1001 * n, 30000) for n in range(60)]


def test_a_film_that_was_cut_off_is_told_whatever_its_clock_says(make: Make, base: Path) -> None:
    source = make("huge.mkv", "-i", str(base), "-c", "copy", "-output_ts_offset", "18000")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])

    with VideoReader(source) as video:
        assert len(list(video)) < 50
        assert "ends at " in (video.damage or "")
        assert " of 2.0 seconds" in (video.damage or "")


def test_an_avi_that_was_cut_off_is_told(make: Make) -> None:
    source = make("t.avi", *PICTURE, "-c:v", "mpeg4", "-bf", "2", "-q:v", "2")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 3])

    with VideoReader(source) as video:
        assert len(list(video)) < 30
        assert " of 2.0 seconds" in (video.damage or "")


@pytest.mark.parametrize("offset", ["0", "7200", "20", "-0.7", "1e5"])
def test_recordings_that_were_joined_follow_one_another(
    make: Make, base: Path, tmp_path: Path, ffmpeg: str, offset: str
) -> None:
    source = tmp_path / "c.ts"
    first = make("a.ts", "-i", str(base), "-c", "copy", "-output_ts_offset", "10")
    second = make("b.ts", "-i", str(base), "-c", "copy", "-output_ts_offset", str(10 + float(offset)))
    source.write_bytes(first.read_bytes() + second.read_bytes())

    video = copy(source, tmp_path / "out.mp4")

    shown = times(tmp_path / "out.mp4")
    assert np.diff([float(time) for time in shown]) == pytest.approx(0.04, abs=0.001)
    assert order(ffmpeg, tmp_path / "out.mp4", base) == [*range(50), *range(50)]
    heard = packet_times(tmp_path / "out.mp4", "a")
    assert len(heard) == pytest.approx(2 * len(packet_times(base, "a")), abs=2)
    assert heard[-1] == pytest.approx(float(shown[-1]), abs=0.08)
    (note,) = video.notes
    assert note.startswith(f"the clock of {source} jumps by ")
    assert video.damage is None


def test_each_of_several_jumps_is_counted_and_the_first_named(make: Make, base: Path, tmp_path: Path) -> None:
    source, part = tmp_path / "c.ts", make("a.ts", "-i", str(base), "-c", "copy")
    source.write_bytes(part.read_bytes() * 3)

    video = copy(source, tmp_path / "out.mp4")

    assert len(times(tmp_path / "out.mp4")) == 150
    assert duration(tmp_path / "out.mp4") == pytest.approx(6, abs=0.1)
    (note,) = video.notes
    assert "jumps 2 times, first by -2.0 seconds" in note


@pytest.mark.parametrize("offset", ["0", "7200"])
@pytest.mark.parametrize("name", ["a.mpg", "a.ts"])
def test_a_part_behind_a_jump_is_found(
    make: Make, base: Path, tmp_path: Path, ffmpeg: str, name: str, offset: str
) -> None:
    kind = ["-c:v", "mpeg2video", "-bf", "2", "-q:v", "2", "-c:a", "mp2"] if name == "a.mpg" else ["-c", "copy"]
    source = tmp_path / f"c{name[1:]}"
    parts = [make(name, "-i", str(base), *kind, "-output_ts_offset", at).read_bytes() for at in ("0", offset)]
    source.write_bytes(b"".join(parts))

    copy(source, tmp_path / "out.mp4", "3")

    shown = order(ffmpeg, tmp_path / "out.mp4", base)
    assert shown == list(range(50 - len(shown), 50))
    assert 24 <= len(shown) <= 26


def test_a_long_pause_of_slides_is_no_jump(make: Make, tmp_path: Path) -> None:
    source = make("slides.mkv", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=1/30:d=90", *H264)

    video = copy(source, tmp_path / "out.mp4")

    assert times(tmp_path / "out.mp4") == [0, 30, 60]
    assert video.notes == []


def test_what_stands_on_its_head_or_in_a_mirror_is_upright(make: Make, base: Path, tmp_path: Path, ffmpeg: str) -> None:
    """By the display matrix of MP4, whose mirroring a rotation does not tell."""
    turned = make("turned.mp4", "-i", str(base), "-c", "copy", "-metadata:s:v:0", "rotate=180")
    data = turned.read_bytes()
    matrices = {(1, 1): (1, 0, 0, 1), (-1, 1): (-1, 0, 0, 1), (1, -1): (1, 0, 0, -1), (-1, -1): (-1, 0, 0, -1)}
    at = data.index(b"tkhd") + 4 + 40
    right = pixels(ffmpeg, base, 160, 96)
    for (across, down), (a, b, c, d) in matrices.items():
        words = [a << 16, b << 16, 0, c << 16, d << 16, 0, 160 << 16 if a < 0 else 0, 96 << 16 if d < 0 else 0, 1 << 30]
        matrix = b"".join((word & 0xFFFFFFFF).to_bytes(4, "big") for word in words)
        turned.write_bytes(data[:at] + matrix + data[at + 36 :])

        copy(turned, tmp_path / "out.mp4")

        shown = pixels(ffmpeg, tmp_path / "out.mp4", 160, 96)
        assert abs(shown - right[:, ::down, ::across]).mean() < 10
        assert stream(tmp_path / "out.mp4")["width"] == 160


BAR = (
    "color=black:s=160x128:r=50:d=1,format=yuv420p[black];color=white:s=20x128:r=50:d=1,format=yuv420p[white];"
    "[black][white]overlay=x='mod(n*6,140)':y=0,tinterlace=interleave_{0},fieldorder={1}[moving]"
)


def bar(make: Make, name: str, first: str, *kind: str) -> Path:
    """A white bar that moves by 6 pixels a field, of 50 fields a second; the first one is ``top`` or ``bottom``."""
    moving = BAR.format(first, "tff" if first == "top" else "bff")
    return make(
        name, "-filter_complex", moving.replace("[moving]", kind[0] + "[moving]"), "-map", "[moving]", *kind[1:]
    )


def edges(ffmpeg: str, path: Path) -> np.ndarray:
    """Where the bar begins in each row of each frame, in pixels: [frames, rows]."""
    return np.asarray((pixels(ffmpeg, path, 160, 128)[..., 1] > 127).argmax(axis=2))


FLAGGED = [
    ("flagged.mp4", "", "-c:v", "libx264", "-x264-params", "{}=1", "-flags", "+ilme+ildct"),
    ("flagged.ts", "", "-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ilme+ildct"),
    ("header.mkv", ",setfield=prog", "-c:v", "libx264", "-field_order", "{}"),
    ("header.mov", ",setfield=prog", "-c:v", "huffyuv", "-pix_fmt", "yuv422p", "-field_order", "{}"),
]


@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize("kind", FLAGGED, ids=lambda kind: kind[0])
def test_interlaced_frames_become_whole_in_either_field_order(
    make: Make, tmp_path: Path, ffmpeg: str, kind: tuple[str, ...], first: str
) -> None:
    name, *options = kind
    order = first[0] * 2 if name.startswith("header") else f"{first[0]}ff"
    source = bar(make, name, first, *(option.format(order) for option in options))

    video = copy(source, tmp_path / "frame.mp4")
    copy(source, tmp_path / "field.mp4", deinterlace="field")
    left = copy(source, tmp_path / "off.mp4", deinterlace="off")

    # The first and the last frame lack a neighbour in time.
    inner = slice(2, -2)
    assert np.ptp(edges(ffmpeg, tmp_path / "off.mp4")[inner], axis=1).min() >= 4
    frames, fields = edges(ffmpeg, tmp_path / "frame.mp4"), edges(ffmpeg, tmp_path / "field.mp4")
    assert np.ptp(frames[inner, 4:-4], axis=1).max() <= 2
    assert (len(frames), len(fields)) == (25, 50)
    assert steps(tmp_path / "field.mp4") == {Fraction(1, 50)}
    moved = np.diff(np.median(fields, axis=1)[2:22])
    assert abs(moved - 6).max() <= 2
    assert video.notes == [f"{source} is interlaced, and deinterlaced before it is painted"]
    assert left.notes == [f"{source} is interlaced, and its fields stay as they are"]


@pytest.mark.parametrize("mode", ["frame", "field"])
def test_interlaced_frames_that_nothing_flags_are_deinterlaced_on_demand(
    make: Make, tmp_path: Path, ffmpeg: str, mode: str
) -> None:
    source = bar(make, "tape.avi", "top", "", "-c:v", "utvideo")

    video = copy(source, tmp_path / "out.mp4", deinterlace=mode)

    assert np.ptp(edges(ffmpeg, tmp_path / "out.mp4")[2:-2, 4:-4], axis=1).max() <= 2
    assert len(times(tmp_path / "out.mp4")) == (25 if mode == "frame" else 50)
    assert video.notes == [f"{source} is taken for interlaced, and deinterlaced before it is painted"]
    assert copy(source, tmp_path / "auto.mp4").notes == []


def test_whole_frames_among_fields_keep_their_time(make: Make, tmp_path: Path) -> None:
    flags = ("-c:v", "libx264", "-bf", "0", "-x264-params", "tff=1", "-flags", "+ilme+ildct")
    fields = bar(make, "fields.h264", "top", "", *flags)
    whole = make("whole.h264", "-f", "lavfi", "-i", "testsrc2=s=160x128:r=25:d=1", *H264, "-bf", "0")
    joined = tmp_path / "joined.h264"
    joined.write_bytes(fields.read_bytes() + whole.read_bytes())

    copy(joined, tmp_path / "out.mp4", deinterlace="field")

    assert len(times(tmp_path / "out.mp4")) == 75
    assert duration(tmp_path / "out.mp4") == pytest.approx(2, abs=0.001)


def test_an_interlaced_phone_film_stays_upright(make: Make, tmp_path: Path, ffmpeg: str) -> None:
    source = bar(make, "flagged.mp4", "top", "", "-c:v", "libx264", "-x264-params", "tff=1", "-flags", "+ilme+ildct")
    turned = make("turned.mp4", "-i", str(source), "-c", "copy", "-metadata:s:v:0", "rotate=90")

    copy(turned, tmp_path / "out.mp4")

    shown = stream(tmp_path / "out.mp4")
    assert (shown["width"], shown["height"]) == (128, 160)
    assert pixels(ffmpeg, tmp_path / "out.mp4", 128, 160)[8].mean() < 100


def test_there_is_no_other_deinterlacing(base: Path) -> None:
    with pytest.raises(InputError, match="choose one of auto, off, frame, field"):
        VideoReader(base, deinterlace="bob")


@pytest.mark.parametrize("name", ["in.gif", "in.webp", "in.png"])
@pytest.mark.parametrize(("delay", "shown"), [(0, 100), (10, 100), (20, 20), (50, 50)])
def test_frames_of_an_animated_image_last_as_long_as_in_browsers(
    tmp_path: Path, name: str, delay: int, shown: int
) -> None:
    frames = [Image.new("RGB", (96, 64), (30 * n, 0, 0)) for n in range(8)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=delay, loop=0)

    copy(tmp_path / name, tmp_path / "out.mp4")
    copy(tmp_path / name, tmp_path / "out.gif")
    copy(tmp_path / name, tmp_path / "part.mp4", str(Fraction(4 * shown, 1000)))

    assert times(tmp_path / "out.mp4") == [Fraction(n * shown, 1000) for n in range(8)]
    assert len(times(tmp_path / "part.mp4")) == 4
    with Image.open(tmp_path / "out.gif") as again:
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(again)] == [shown] * 8


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "prores"])
@pytest.mark.parametrize("rate", ["480", "1000", "1/60", "2997002997/100000000"])
def test_rates_that_encoders_do_not_take_keep_their_times(tmp_path: Path, codec: str, rate: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    steady = Fraction(rate)
    path = tmp_path / {"prores": "out.mov"}.get(codec, "out.mp4")
    with VideoWriter(path, VideoInfo(160, 96, steady, 1 / steady), None, Encoding(codec)) as sink:
        for number in range(4):
            sink.write(image, number / steady, 1 / steady)

    shown = [float(time * steady) for time in times(path)]
    assert shown == pytest.approx([0, 1, 2, 3], abs=0.001)


def test_frames_too_small_for_av1_are_refused(tmp_path: Path) -> None:
    # On some of them SVT-AV1 hangs; these it would take.
    with pytest.raises(OutputError, match="libsvtav1 takes no frames of 62x48, but of 64 pixels or more each way"):
        VideoWriter(tmp_path / "o.mp4", VideoInfo(62, 47, Fraction(25), Fraction(1, 25)), None, Encoding("av1"))


def test_what_an_encoder_does_not_take_is_said_with_a_way_out(tmp_path: Path) -> None:
    """Checked with a size that SVT-AV1 refuses."""
    with pytest.raises(OutputError, match=r"libsvtav1 takes no frames of .* choose another codec, size or rate"):
        VideoWriter(tmp_path / "out.mp4", VideoInfo(20000, 64, Fraction(25), Fraction(1, 25)), None, Encoding("av1"))


def timecode(path: Path) -> str | None:
    (video,) = streams(path, "v")
    found: str | None = {key.lower(): value for key, value in video["tags"].items()}.get("timecode")
    return found


@pytest.mark.parametrize("name", ["out.mov", "out.mp4", "out.mkv"])
@pytest.mark.parametrize(
    ("rate", "code", "start", "moved"),
    [
        ("30000/1001", "01:02:03;10", "1", "01:02:04;10"),
        ("30000/1001", "01:02:59;10", "1", "01:03:00;12"),
        ("30000/1001", "01:09:59;10", "1", "01:10:00;10"),
        ("60000/1001", "00:00:59;50", "0.5", "00:01:00;24"),
        ("30000/1001", "01:02:03:10", "1", "01:02:04:10"),
        ("25", "23:59:59:20", "0.4", "00:00:00:05"),
    ],
)
def test_a_timecode_is_moved_by_the_cut(
    make: Make, tmp_path: Path, name: str, rate: str, code: str, start: str, moved: str
) -> None:
    """As of the frame that is the first one then: ffmpeg names frames by counting from the source's."""
    source = make("tc.mov", "-f", "lavfi", "-i", f"testsrc2=s=96x64:r={rate}:d=1.5", *H264, "-timecode", code)

    copy(source, tmp_path / name, start)

    assert timecode(tmp_path / name) == moved


@pytest.mark.parametrize(
    ("fps", "becomes", "words"),
    [
        ("25", "01:02:03:08", "timecode 01:02:03;10 as 01:02:03:08"),
        ("60000/1001", "01:02:03;20", "timecode 01:02:03;10 as 01:02:03;20"),
        ("12.5", None, "is without these of its source: timecode 01:02:03;10"),
    ],
)
def test_a_timecode_is_converted_to_another_rate_or_named(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, fps: str, becomes: str | None, words: str
) -> None:
    ntsc = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=30000/1001:d=1")
    source = make("tc.mov", *ntsc, *H264, "-timecode", "01:02:03;10")
    rate = Fraction(fps)

    with VideoReader(source) as video:
        info = replace(video.info, rate=rate, time_base=1 / rate)
        with VideoWriter(tmp_path / "out.mov", info, video) as sink:
            for number, frame in enumerate(video):
                sink.write(frame.image, number / rate, 1 / rate)

    assert timecode(tmp_path / "out.mov") == becomes
    assert words in caplog.text
