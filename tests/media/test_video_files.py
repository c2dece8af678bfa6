"""`VideoReader` and `VideoWriter` on clips that ffmpeg makes, checked with ffprobe and by pixels it decodes."""

from __future__ import annotations

import logging
import logging.handlers
import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from livestyle.errors import InputError, OutputError
from livestyle.media.video.codecs import Encoding, container_of
from livestyle.media.video.info import VideoInfo
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.writer import VideoWriter
from tests.ffmpeg import (
    Make,
    damage,
    duration,
    md5,
    packet_times,
    packets,
    pixels,
    probe,
    streams,
    subtitles,
    tags,
    times,
)

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration={}")
SOUND = ("-f", "lavfi", "-i", "sine=frequency={}:sample_rate=48000:duration=3")
# Without B-frames and with frequent key frames, so that damage stays where it is done.
H264 = ("-c:v", "libx264", "-g", "5", "-bf", "0", "-pix_fmt", "yuv420p")
SRT = """1
00:00:00,200 --> 00:00:00,700
Hello <b>you</b>

2
00:00:01,000 --> 00:00:02,500
Second
line
"""
CHAPTERS = """;FFMETADATA1
title=A film
artist=Somebody
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1200
title=One
[CHAPTER]
TIMEBASE=1/1000
START=1200
END=3000
title=Two
"""


def picture(seconds: float) -> list[str]:
    return [part.format(seconds) for part in PICTURE]


def sound(frequency: int) -> list[str]:
    return [part.format(frequency) for part in SOUND]


def copy(
    source: Path,
    target: Path,
    start: str | None = None,
    end: str | None = None,
    encoding: Encoding = Encoding(),  # noqa: B008
) -> VideoReader:
    """What a conversion at strength 0 does."""
    span = [None if text is None else Fraction(text) for text in (start, end)]
    with VideoReader(source, *span) as video, VideoWriter(target, video.info, video, encoding) as sink:
        for frame in video:
            sink.write(frame.image, frame.time, frame.duration)
    return video


@pytest.fixture(scope="session")
def rich(clips: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds with two sound tracks, two subtitle tracks, chapters and tags, in Matroska."""
    folder = tmp_path_factory.mktemp("texts")
    srt, named_parts = folder / "text.srt", folder / "tags.txt"
    srt.write_text(SRT)
    named_parts.write_text(CHAPTERS)
    inputs = [*picture(3), *sound(440), *sound(880), "-i", str(srt), "-i", str(named_parts)]
    chosen = [part for number in "01233" for part in ("-map", number)] + ["-map_metadata", "4", "-map_chapters", "4"]
    codecs = [*H264, "-c:a:0", "aac", "-c:a:1", "ac3", "-c:s:0", "srt", "-c:s:1", "ass"]
    named = ["-metadata:s:v:0", "title=Main", "-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra"]
    named += ["-metadata:s:a:1", "title=Comments", "-metadata:s:s:0", "language=eng", "-metadata:s:s:1", "language=ita"]
    flags = ["-disposition:a:0", "0", "-disposition:a:1", "default", "-disposition:s:1", "forced"]
    return clips("rich.mkv", *inputs, *chosen, *codecs, *named, *flags)


@pytest.fixture(scope="session")
def copied(rich: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, list[str]]]:
    """Gives, by a suffix, the copy of `rich` and the warnings that it gave; nobody may change it."""
    folder, log = tmp_path_factory.mktemp("copied"), logging.getLogger("livestyle")

    @cache
    def run(suffix: str) -> tuple[Path, list[str]]:
        warnings = logging.handlers.BufferingHandler(1000)
        log.addHandler(warnings)
        copy(rich, folder / f"out{suffix}")
        log.removeHandler(warnings)
        return folder / f"out{suffix}", [record.getMessage() for record in warnings.buffer]

    return run


Copied = Callable[[str], tuple[Path, list[str]]]


def chapters(path: Path) -> list[tuple[float, float, str]]:
    found = probe(path)["chapters"]
    return [(float(c["start_time"]), float(c["end_time"]), c["tags"]["title"]) for c in found]


def test_all_streams_are_copied_where_the_container_allows(rich: Path, copied: Copied, ffmpeg: str) -> None:
    path, _ = copied(".mkv")

    for name in ("a:0", "a:1", "s:0", "s:1"):
        assert md5(path, name) == md5(rich, name)
    assert subtitles(ffmpeg, path) == subtitles(ffmpeg, rich)


def test_copies_that_need_no_change_give_no_warning(copied: Copied) -> None:
    assert copied(".mkv")[1] == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_languages_titles_and_defaults_are_kept(copied: Copied, suffix: str) -> None:
    path, _ = copied(suffix)

    heard, read = streams(path, "a"), streams(path, "s")
    assert [s["tags"]["language"] for s in heard + read] == ["ger" if suffix == ".mov" else "deu", "fra", "eng", "ita"]
    assert [s["disposition"]["default"] for s in heard] == [0, 1]
    if suffix == ".mkv":
        assert streams(path, "v")[0]["tags"]["title"] == "Main"
        assert heard[1]["tags"]["title"] == "Comments"
        assert read[1]["disposition"]["forced"] == 1


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_chapters_and_tags_are_kept(copied: Copied, suffix: str) -> None:
    path, _ = copied(suffix)

    assert chapters(path) == [(0, 1.2, "One"), (1.2, 3, "Two")]
    kept = {key.lower(): value for key, value in tags(path).items()}
    assert (kept["title"], kept["artist"]) == ("A film", "Somebody")


def test_tags_that_mp4_has_no_place_for_are_kept(make: Make, tmp_path: Path) -> None:
    named = ["-metadata", "com.example.scene=12", "-metadata", "title=A film"]
    source = make("clip.mov", *picture(0.4), *H264, *named, "-movflags", "use_metadata_tags")

    copy(source, tmp_path / "out.mp4")

    kept = tags(tmp_path / "out.mp4")
    assert (kept["com.example.scene"], kept["title"]) == ("12", "A film")


@pytest.mark.parametrize(("suffix", "kind"), [(".mp4", "mov_text"), (".mov", "mov_text"), (".webm", "webvtt")])
def test_text_subtitles_are_converted_where_they_cannot_be_copied(
    rich: Path, copied: Copied, ffmpeg: str, suffix: str, kind: str
) -> None:
    path, (warning,) = copied(suffix)

    assert subtitles(ffmpeg, path) == subtitles(ffmpeg, rich)
    assert [s["codec_name"] for s in streams(path, "s")] == [kind, kind]
    assert f"subrip as {kind}, ass as {kind}" in warning


def test_text_of_mp4_becomes_srt_in_matroska(make: Make, rich: Path, tmp_path: Path, ffmpeg: str) -> None:
    source = make("text.mp4", "-i", str(rich), "-map", "0:v", "-map", "0:s:0", "-c:v", "copy", "-c:s", "mov_text")

    copy(source, tmp_path / "out.mkv")

    assert subtitles(ffmpeg, tmp_path / "out.mkv") == subtitles(ffmpeg, source)
    assert streams(tmp_path / "out.mkv", "s")[0]["codec_name"] == "subrip"


def test_text_of_mp4_is_copied_to_mp4(make: Make, rich: Path, tmp_path: Path, ffmpeg: str) -> None:
    source = make("text.mp4", "-i", str(rich), "-map", "0:v", "-map", "0:s:0", "-c:v", "copy", "-c:s", "mov_text")

    copy(source, tmp_path / "out.mp4")

    assert subtitles(ffmpeg, tmp_path / "out.mp4") == subtitles(ffmpeg, source)


def loud(ffmpeg: str, path: Path) -> list[float]:
    """When the sound gets loud and silent again, in turns, in seconds."""
    command = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-af", "aresample=8000:async=1:first_pts=0"]
    command += ["-ac", "1", "-f", "s16le", "-"]
    samples = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.int16)
    blocks = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    is_loud = np.abs(blocks).max(axis=1, initial=0) > 500
    return [float(change) / 100 for change in np.flatnonzero(np.diff(is_loud)) + 1]


@pytest.mark.parametrize(
    ("codec", "name", "becomes"),
    [
        (["aac"], "out.webm", "opus"),
        (["ac3", "-ac", "6"], "out.webm", "opus"),
        (["libvorbis"], "out.mov", "aac"),
        (["wmav2"], "out.mp4", "aac"),
        (["pcm_s24le", "-ac", "2"], "out.mp4", "aac"),
        (["pcm_mulaw"], "out.mkv", "flac"),
    ],
)
def test_sound_is_converted_where_it_cannot_be_copied(
    make: Make, tmp_path: Path, ffmpeg: str, caplog: pytest.LogCaptureFixture, codec: list[str], name: str, becomes: str
) -> None:
    beep = ["-af", "volume=0:enable='not(between(t,1,2))'", "-shortest"]
    source = make("beep.mkv", *picture(3), *sound(440), *beep, *H264, "-c:a", *codec)

    copy(source, tmp_path / name, "0.5", "2.5")

    (before,), (after,) = streams(source, "a"), streams(tmp_path / name, "a")
    assert (after["codec_name"], after["channels"]) == (becomes, before["channels"])
    assert loud(ffmpeg, tmp_path / name) == pytest.approx([0.5, 1.5], abs=0.05)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"in another form: {before['codec_name']} as {becomes}" in caplog.text


def test_converted_sound_may_change_on_the_way(make: Make, tmp_path: Path, ffmpeg: str) -> None:
    source = tmp_path / "broadcast.ts"
    for channels, rate, at in (("6", "48000", "0"), ("2", "44100", "1")):
        kind = ["-c:a", "ac3", "-ac", channels, "-ar", rate, "-t", "1", "-output_ts_offset", at]
        with source.open("ab") as file:
            file.write(make("part.ts", *picture(1), *sound(440), *H264, *kind).read_bytes())

    copy(source, tmp_path / "out.webm")

    assert loud(ffmpeg, tmp_path / "out.webm")[-1:] == pytest.approx([2], abs=0.1)


@pytest.mark.parametrize("offset", ["3600", "-2"])
def test_converted_sound_goes_on_where_times_jump(make: Make, tmp_path: Path, ffmpeg: str, offset: str) -> None:
    """An hour ahead there is no hour of silence in between, and two seconds back nothing is lost."""
    source = tmp_path / "broadcast.ts"
    for at in (5, 6 + int(offset)):
        with source.open("ab") as file:
            kind = ["-c:a", "mp2", "-t", "1", "-output_ts_offset", str(at)]
            file.write(make("part.ts", *picture(1), *sound(440), *H264, *kind).read_bytes())

    copy(source, tmp_path / "out.webm")

    assert pytest.approx(len(packets(tmp_path / "out.webm", "a")), abs=8) == 2 / 0.02


def test_a_gap_in_converted_sound_stays_one(make: Make, tmp_path: Path, ffmpeg: str) -> None:
    gap = ["-af", "aselect='not(between(t,1,1.5))'", "-shortest"]
    source = make("gap.mkv", *picture(3), *sound(440), *gap, *H264, "-c:a", "pcm_s16le")

    copy(source, tmp_path / "out.webm")

    assert loud(ffmpeg, tmp_path / "out.webm")[:2] == pytest.approx([1, 1.5], abs=0.05)


def test_what_the_container_cannot_carry_is_said_in_one_warning(
    make: Make, rich: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cover = make("cover.png", *picture(0.04), "-frames:v", "1")
    both = ["-i", str(rich), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text"]
    source = make("rich.mp4", *both, "-disposition:v:1", "attached_pic")

    copy(source, tmp_path / "out.webm", encoding=Encoding("av1"))

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "left out: cover png" in caplog.text
    assert "aac as opus, ac3 as opus, mov_text as webvtt" in caplog.text
    assert ".mkv carries more" in caplog.text


def test_webm_is_written_without_being_told_a_codec(make: Make, tmp_path: Path) -> None:
    source = make("clip.mp4", *picture(0.4), *H264)

    copy(source, tmp_path / "out.webm")

    assert streams(tmp_path / "out.webm", "v")[0]["codec_name"] == "vp9"


def test_fonts_are_kept_in_matroska(make: Make, tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(bytes(range(256)))
    attached = ["-attach", str(font), "-metadata:s:t:0", "mimetype=application/x-truetype-font"]
    source = make("font.mkv", *picture(0.4), *H264, *attached)

    copy(source, tmp_path / "out.mkv")

    (kept,) = streams(tmp_path / "out.mkv", "t")
    assert (kept["tags"]["filename"], kept["extradata_size"]) == ("font.ttf", 256)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_cover_is_kept(make: Make, tmp_path: Path, ffmpeg: str, name: str) -> None:
    cover = make("cover.png", *picture(0.04), "-frames:v", "1")
    chosen = ["-i", str(cover), "-map", "0", "-map", "1", "-c:v:0", "libx264", "-c:v:1", "copy"]
    source = make("clip.mp4", *picture(0.4), *chosen, "-disposition:v:1", "attached_pic")

    copy(source, tmp_path / name)
    copy(tmp_path / name, tmp_path / "again.mkv")

    for path in (tmp_path / name, tmp_path / "again.mkv"):
        assert streams(path, "v:1")[0]["disposition"]["attached_pic"] == 1
        assert md5(path, "v:1") == md5(source, "v:1")


@pytest.mark.parametrize(
    ("start", "end", "frames"), [("1", "2", (25, 50)), ("1.01", None, (26, 75)), (None, "0.5", (0, 13))]
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi"])
def test_a_part_has_exactly_the_frames_that_begin_in_it(
    make: Make, tmp_path: Path, ffmpeg: str, name: str, start: str | None, end: str | None, frames: tuple[int, int]
) -> None:
    # B-frames, few key frames, none of them near the start, and each frame of its own grey.
    ramp = "color=black:size=96x64:rate=25:duration=3,format=gray,geq=lum=16+3*N"
    codec = ["-c:v", "mpeg4", "-q:v", "2"] if name == "clip.avi" else ["-c:v", "libx264", "-bf", "2"]
    source = make(name, "-f", "lavfi", "-i", ramp, *codec, "-g", "40", "-pix_fmt", "yuv420p")
    whole = pixels(ffmpeg, source, 96, 64).mean(axis=(1, 2, 3))
    video = copy(source, tmp_path / "out.mp4", start, end)

    shown = pixels(ffmpeg, tmp_path / "out.mp4", 96, 64).mean(axis=(1, 2, 3))
    assert video.decoded == len(shown) == frames[1] - frames[0]
    assert abs(shown - whole[slice(*frames)]).max() < 1
    assert not video.damage


def test_times_of_a_part_are_those_of_the_film_less_its_start(make: Make, tmp_path: Path) -> None:
    source = make("clip.mp4", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=30000/1001:duration=2", *H264)

    copy(source, tmp_path / "out.mp4", "0.75", "1.5")

    whole = [time - Fraction(3, 4) for time in times(source)]
    assert times(tmp_path / "out.mp4") == [time for time in whole if 0 <= time < Fraction(3, 4)]


def test_the_last_frame_of_a_part_ends_with_it(make: Make, tmp_path: Path) -> None:
    source = make("slides.mp4", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=1:duration=3", *H264)

    copy(source, tmp_path / "out.mp4", "1", "2.25")

    assert duration(tmp_path / "out.mp4") == pytest.approx(1.25, abs=0.001)


def test_sound_of_a_part_stays_in_step(rich: Path, tmp_path: Path) -> None:
    copy(rich, tmp_path / "out.mkv", "1.3", "2.4")

    for name in ("a:0", "a:1"):
        whole = [time - 1.3 for time in packet_times(rich, name)]
        assert packet_times(tmp_path / "out.mkv", name) == pytest.approx([t for t in whole if 0 <= t < 1.1], abs=0.0011)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_subtitles_and_chapters_of_a_part_are_cut_to_it(
    make: Make, rich: Path, tmp_path: Path, ffmpeg: str, suffix: str
) -> None:
    source = rich
    if suffix == ".mp4":
        source = make("rich.mp4", "-i", str(rich), "-map", "0", "-c", "copy", "-c:s", "mov_text")

    # In ffmpeg's Matroska, this text begins 23 ms late, since the sound does.
    copy(source, tmp_path / f"out{suffix}", "1.5", "2")

    assert subtitles(ffmpeg, tmp_path / f"out{suffix}").startswith("1\n00:00:00,000 --> 00:00:00,500\nSecond\nline")
    assert chapters(tmp_path / f"out{suffix}") == [(0, 0.5, "Two")]


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("5", None, "no frame from 5 seconds in .*, which is 1.0 seconds long"),
        ("-1", None, "begins at 0"),
        ("2", "1", "end after the start"),
    ],
)
def test_a_part_that_is_not_there_is_refused(make: Make, start: str, end: str | None, words: str) -> None:
    source = make("clip.mp4", *picture(1), *H264)

    with pytest.raises(InputError, match=words):
        VideoReader(source, Fraction(start), None if end is None else Fraction(end))


RAMPS = list(product(("bt709", "smpte170m"), ("tv", "pc"), ("yuv420p", "yuv420p10le", "yuv444p12le")))


@pytest.fixture(scope="session")
def ramps(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Path]:
    """Grey ramps by matrix, levels and depth, all made at once."""
    ramp = "color=black:size=256x64:rate=25:duration=0.2,format=gray,geq=lum=X"
    folder = tmp_path_factory.mktemp("ramps")
    paths = {kind: folder / f"{number}.mkv" for number, kind in enumerate(RAMPS)}
    command = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", ramp]
    for (matrix, levels, depth), path in paths.items():
        scale = f"scale=out_color_matrix={matrix}:out_range={levels}:flags=accurate_rnd+full_chroma_int,format={depth}"
        tagged = ["-colorspace", matrix, "-color_range", levels, "-color_primaries", matrix, "-color_trc", matrix]
        command += ["-vf", scale, *tagged, "-c:v", "ffv1", str(path)]
    subprocess.run(command, check=True)
    return paths


@pytest.mark.parametrize(("matrix", "levels", "depth"), RAMPS)
def test_a_grey_ramp_comes_back(
    ramps: dict[tuple[str, str, str], Path], tmp_path: Path, ffmpeg: str, matrix: str, levels: str, depth: str
) -> None:
    source = ramps[matrix, levels, depth]

    copy(source, tmp_path / "out.mp4")

    assert abs(pixels(ffmpeg, tmp_path / "out.mp4", 256, 64) - np.arange(256)[None, None, :, None]).max() <= 2
    kept = streams(tmp_path / "out.mp4", "v")[0]
    assert (kept["color_space"], kept["color_range"], kept["pix_fmt"].replace("j", "")) == (matrix, levels, "yuv420p")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mov", ["-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"]),
        ("clip.webm", ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "10", "-b:v", "0"]),
        ("clip.mkv", ["-c:v", "png", "-pix_fmt", "rgba"]),
        ("clip.gif", ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse"]),
    ],
)
def test_what_is_transparent_is_laid_over_white(
    make: Make, tmp_path: Path, ffmpeg: str, name: str, options: list[str]
) -> None:
    half = "color=0x2040c0:size=96x64:rate=25:duration=0.2,format=rgba,geq=r=32:g=64:b=192:a=255*gt(X\\,47)"
    source = make(name, "-f", "lavfi", "-i", half, *options)

    copy(source, tmp_path / "out.mp4")

    shown = pixels(ffmpeg, tmp_path / "out.mp4", 96, 64)
    assert shown[:, :, :40].min() > 245
    assert abs(shown[:, :, 56:] - (0x20, 0x40, 0xC0)).max() < 12


@pytest.mark.parametrize(
    ("codec", "name", "found"),
    [
        ("h264", "out.mkv", ("h264", "yuv420p")),
        ("hevc", "out.mp4", ("hevc", "yuv420p")),
        ("hevc", "out.mkv", ("hevc", "yuv420p")),
        ("av1", "out.mp4", ("av1", "yuv420p")),
        ("av1", "out.webm", ("av1", "yuv420p")),
        ("vp9", "out.webm", ("vp9", "yuv420p")),
        ("vp9", "out.mp4", ("vp9", "yuv420p")),
        ("prores", "out.mov", ("prores", "yuv422p10le")),
        ("prores", "out.mkv", ("prores", "yuv422p10le")),
    ],
)
def test_every_codec_keeps_pictures_and_times(
    make: Make, tmp_path: Path, ffmpeg: str, codec: str, name: str, found: tuple[str, str]
) -> None:
    source = make("clip.mp4", *picture(0.6), *H264, "-qp", "4")

    copy(source, tmp_path / name, encoding=Encoding(codec))

    kept = streams(tmp_path / name, "v")[0]
    assert (kept["codec_name"], kept["pix_fmt"]) == found
    assert times(tmp_path / name) == times(source)
    assert abs(pixels(ffmpeg, tmp_path / name, 96, 64) - pixels(ffmpeg, source, 96, 64)).mean() < 12
    if (codec, name) == ("hevc", "out.mp4"):
        assert kept["codec_tag_string"] == "hvc1"


@pytest.mark.parametrize(("codec", "coarse"), [("h264", 45), ("hevc", 45), ("av1", 58), ("vp9", 58)])
def test_crf_is_the_quality(make: Make, tmp_path: Path, codec: str, coarse: int) -> None:
    source = make("clip.mp4", *picture(0.6), *H264)

    for crf, name in ((10, "fine.mkv"), (coarse, "coarse.mkv")):
        copy(source, tmp_path / name, encoding=Encoding(codec, crf))

    assert (tmp_path / "coarse.mkv").stat().st_size < (tmp_path / "fine.mkv").stat().st_size * 0.7


def test_the_preset_of_prores_is_its_profile(make: Make, tmp_path: Path) -> None:
    source = make("clip.mp4", *picture(0.2), *H264)

    copy(source, tmp_path / "out.mov", encoding=Encoding("prores", preset="4444"))

    kept = streams(tmp_path / "out.mov", "v")[0]
    assert (kept["profile"], kept["pix_fmt"]) == ("4444", "yuv444p12le")


def test_what_the_lighter_default_of_h264_leaves_out_hardly_costs_size_or_quality(
    demo_frames: list[np.ndarray], ffmpeg: str, tmp_path: Path
) -> None:
    found: dict[str | None, tuple[int, float]] = {}
    for preset in (None, "veryfast"):
        path = tmp_path / f"{preset}.mp4"
        with VideoWriter(
            path, VideoInfo(640, 360, Fraction(25), Fraction(1, 25)), encoding=Encoding(preset=preset)
        ) as writer:
            for number, frame in enumerate(demo_frames):
                writer.write(frame, Fraction(number, 25))
        shown = pixels(ffmpeg, path, 640, 360)
        noise = [
            cv2.PSNR(one[:, :, ::-1].astype(np.uint8), frame) for one, frame in zip(shown, demo_frames, strict=True)
        ]
        found[preset] = path.stat().st_size, float(np.mean(noise))
    # One frame of ten and unpainted: the hardest case.
    assert found[None][0] < 1.15 * found["veryfast"][0]
    assert found[None][1] > found["veryfast"][1] - 0.5


def test_presets_trade_time_for_size(make: Make, tmp_path: Path) -> None:
    source = make("clip.mp4", *picture(1), *H264)

    for preset in ("ultrafast", "slow"):
        copy(source, tmp_path / f"{preset}.mp4", encoding=Encoding("h264", preset=preset))

    assert (tmp_path / "slow.mp4").stat().st_size < (tmp_path / "ultrafast.mp4").stat().st_size


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codec": "divx"}, "choose one of h264, hevc, av1, vp9, prores"),
        ({"codec": "h264", "crf": 52}, "between 0 .* and 51"),
        ({"codec": "vp9", "crf": -1}, "between 0 .* and 63"),
        ({"codec": "prores", "crf": 18}, "prores has no crf"),
        ({"preset": "quick"}, "no preset quick: choose one of ultrafast"),
        ({"codec": "prores", "preset": "slow"}, "choose one of proxy"),
    ],
)
def test_an_encoding_that_is_none_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Encoding(**options)


@pytest.mark.parametrize(
    ("name", "encoding", "words"),
    [
        ("out.webm", Encoding("h264"), "does not carry h264.* .mkv .mov .mp4, or choose the codec av1 or vp9"),
        ("out.mp4", Encoding("prores"), "does not carry prores, end the name with one of .mkv .mov"),
        ("out.gif", Encoding("vp9"), "a .gif has neither codec"),
        ("out.avi", Encoding(), "end the name with one of"),
    ],
)
def test_a_container_that_does_not_carry_the_codec_is_refused(name: str, encoding: Encoding, words: str) -> None:
    with pytest.raises(OutputError, match=words):
        container_of(Path(name), encoding)


def test_a_hardware_encoder_encodes_or_each_that_was_tried_is_named(make: Make, tmp_path: Path) -> None:
    source = make("clip.mp4", "-f", "lavfi", "-i", "testsrc2=size=256x256:rate=25:duration=0.4", *H264)

    words = ""
    try:
        copy(source, tmp_path / "out.mp4", encoding=Encoding(hardware=True))
    except OutputError as error:
        words = str(error)

    if words:
        assert re.match(r"no hardware encoder for h264 opens here: (tried h264_\w+ \(.+\)|this PyAV has none)", words)
        assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    else:
        assert times(tmp_path / "out.mp4") == times(source)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_damaged_frame_is_concealed_counted_and_reported(make: Make, tmp_path: Path, ffmpeg: str, name: str) -> None:
    ramp = "color=black:size=96x64:rate=25:duration=1,format=gray,geq=lum=16+8*N"
    # Key frames only, so that what is damaged is one frame.
    source = make(name, "-f", "lavfi", "-i", ramp, "-c:v", "libx264", "-g", "1", "-pix_fmt", "yuv420p")
    whole = pixels(ffmpeg, source, 96, 64)
    before = times(source)
    damage(source, 12)

    video = copy(source, tmp_path / "out.mp4")

    shown = pixels(ffmpeg, tmp_path / "out.mp4", 96, 64)
    assert times(tmp_path / "out.mp4") == before
    expected = whole.copy()
    expected[12] = whole[11]
    assert abs(shown - expected).mean(axis=(1, 2, 3)).max() < 2
    assert (video.decoded, video.concealed) == (25, 1)
    assert video.damage == (
        f"{source} is damaged in 1 place: 25 frames could be read, 1 of which is replaced by the last good frame"
    )


def test_damage_among_dependent_frames_keeps_every_time(make: Make, tmp_path: Path) -> None:
    source = make("clip.mp4", *picture(2), "-c:v", "libx264", "-g", "10", "-bf", "2", "-pix_fmt", "yuv420p")
    before = times(source)
    damage(source, 13, 14, 30)

    video = copy(source, tmp_path / "out.mp4")

    assert times(tmp_path / "out.mp4") == before
    assert video.concealed >= 3
    assert "is damaged in" in (video.damage or "")


def gif_times(path: Path) -> list[float]:
    return packet_times(path, "v:0")


@pytest.mark.parametrize(("loop", "plays"), [("0", 0), ("-1", 1), ("3", 4)])
def test_a_gif_keeps_its_timing_and_its_looping(make: Make, tmp_path: Path, ffmpeg: str, loop: str, plays: int) -> None:
    uneven = "settb=1/100,setpts='10*N+7*mod(N,3)'"
    source = make("in.gif", *picture(0.4), "-vf", uneven, "-fps_mode", "vfr", "-loop", loop, "-final_delay", "123")

    video = copy(source, tmp_path / "out.gif")

    assert video.plays == plays
    assert gif_times(tmp_path / "out.gif") == gif_times(source)
    with VideoReader(tmp_path / "out.gif") as again:
        assert again.plays == plays
        assert [frame.duration for frame in again][-1] == Fraction(123, 100)
    application = (tmp_path / "out.gif").read_bytes().partition(b"NETSCAPE2.0\x03\x01")[2][:2]
    assert application == source.read_bytes().partition(b"NETSCAPE2.0\x03\x01")[2][:2]
    assert abs(pixels(ffmpeg, tmp_path / "out.gif", 96, 64) - pixels(ffmpeg, source, 96, 64)).mean() < 12


def test_a_film_becomes_a_gif_that_browsers_show_as_fast(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = ["-vf", "scale=97:65,format=yuv444p", "-c:v", "libx264"]
    source = make(
        "fast.mp4", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=60:duration=1", *sound(440), *odd, "-t", "1"
    )

    copy(source, tmp_path / "out.gif")

    shown = gif_times(tmp_path / "out.gif")
    assert min(np.diff(shown)) >= 0.0199
    assert 0.95 < shown[-1] < 1
    kept = streams(tmp_path / "out.gif", "v")[0]
    assert (kept["width"], kept["height"]) == (97, 65)
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in (tmp_path / "out.gif").read_bytes()
    assert "left out: audio aac" in caplog.text


def test_the_last_frame_of_a_gif_is_no_shorter_than_browsers_show(make: Make, tmp_path: Path) -> None:
    # They take one of a hundredth of a second for one of a tenth.
    source = make("fast.mp4", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=100", "-frames:v", "3", "-c:v", "libx264")

    copy(source, tmp_path / "out.gif")

    with Image.open(tmp_path / "out.gif") as image:
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(image)] == [20, 20]


def test_an_animated_webp_goes_in_and_out(make: Make, tmp_path: Path, ffmpeg: str) -> None:
    uneven = "settb=1/1000,setpts='100*N+70*mod(N,3)'"
    options = ["-vf", uneven, "-fps_mode", "vfr", "-enc_time_base", "1/1000", "-loop", "3", "-c:v", "libwebp_anim"]
    source = make("in.webp", *picture(0.4), *options)
    _, before = cv2.imreadanimation(str(source))

    video = copy(source, tmp_path / "out.webp")
    copy(source, tmp_path / "out.mp4")

    _, after = cv2.imreadanimation(str(tmp_path / "out.webp"))
    assert list(after.durations) == list(before.durations)
    assert after.loop_count == before.loop_count == video.plays == 3
    assert abs(np.array(after.frames).astype(int) - np.array(before.frames)).mean() < 6
    assert times(tmp_path / "out.mp4") == [Fraction(int(t), 1000) for t in np.cumsum([0, *before.durations[:-1]])]
    film = pixels(ffmpeg, tmp_path / "out.mp4", 96, 64)[..., ::-1]
    assert abs(film - np.array(before.frames)[..., :3]).mean() < 12


def test_an_animated_webp_may_have_a_name_of_another_encoding(make: Make) -> None:
    path = make("in.webp", *picture(0.4), "-c:v", "libwebp_anim")
    with VideoReader(path.rename(path.with_name("caf\udce9.webp"))) as video:
        assert len(list(video)) == 10


def test_a_part_of_a_webp_can_be_taken(make: Make, tmp_path: Path) -> None:
    source = make("in.webp", *picture(1), "-loop", "0")

    copy(source, tmp_path / "out.mp4", "0.4", "0.8")

    assert times(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(10)]


@pytest.mark.parametrize("name", ["out.gif", "out.webp", "out.webm"])
def test_a_stop_halfway_leaves_everything_as_it_was(make: Make, tmp_path: Path, name: str) -> None:
    source = make("clip.mp4", *picture(0.4), *H264)
    (tmp_path / name).write_text("precious")

    def stop() -> None:
        with VideoReader(source) as video, VideoWriter(tmp_path / name, video.info, video) as sink:
            for frame in video:
                sink.write(frame.image, frame.time, frame.duration)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()

    assert (tmp_path / name).read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", name}
