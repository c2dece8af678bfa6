"""Streams as people's files have them: several videos, changing sizes, hidden colours, odd sound, data."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from textwrap import dedent
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from livestyle.errors import InputError
from livestyle.media.video.audio import can_be_decoded
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.tracks import programmes_of
from livestyle.media.video.writer import VideoWriter
from tests.ffmpeg import Make, duration, packets, pixels, probe, stream, streams, times

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=440:d=1")
H264 = ("-c:v", "libx264", "-g", "25", "-pix_fmt", "yuv420p")

Copy = Callable[..., list[str]]
"""Copies a source to a target as a conversion at strength 0 does, and gives the warnings."""


@pytest.fixture
def copy(caplog: pytest.LogCaptureFixture) -> Copy:
    def run(source: Path, target: Path, encoding: Encoding | None = None, **how: Any) -> list[str]:
        caplog.clear()
        with (
            VideoReader(source, **how) as video,
            VideoWriter(target, video.info, video, encoding or Encoding()) as sink,
        ):
            for frame in video:
                sink.write(frame.image, frame.time, frame.duration)
        assert video.damage is None
        warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert warnings == ([sink.warning] if sink.warning else [])
        return warnings + video.notes

    return run


@pytest.fixture
def base(make: Make) -> Path:
    return make("base.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac")


@pytest.fixture
def two(make: Make) -> Path:
    """Two default videos, the smaller one first."""
    both = [f"testsrc2=s={size}:r=25:d=0.4" for size in ("96x64", "320x192")]
    inputs = [word for text in both for word in ("-f", "lavfi", "-i", text)]
    default = ["-disposition:v:0", "default", "-disposition:v:1", "default"]
    return make("two.mp4", *inputs, "-map", "0", "-map", "1", *H264, *default)


def size(path: Path) -> tuple[int, int]:
    (video,) = streams(path, "v")
    return video["width"], video["height"]


def test_of_several_videos_the_largest_default_is_painted_and_the_others_named(
    two: Path, make: Make, tmp_path: Path, copy: Copy
) -> None:
    assert copy(two, tmp_path / "out.mkv") == [
        f"{tmp_path / 'out.mkv'} is without these of its source: video h264 96x64"
    ]
    assert size(tmp_path / "out.mkv") == (320, 192)

    first = make("first.mkv", "-i", str(two), "-map", "0", "-c", "copy", "-disposition:v:1", "0")
    copy(first, tmp_path / "out.mp4")
    assert size(tmp_path / "out.mp4") == (96, 64)


def test_of_several_programmes_the_largest_is_painted(two: Path, make: Make, tmp_path: Path, copy: Copy) -> None:
    programmes = ["-program", "program_num=1:st=0", "-program", "program_num=2:st=1"]
    source = make("two.ts", "-i", str(two), "-map", "0", "-c", "copy", *programmes)

    (warning,) = copy(source, tmp_path / "out.mp4")

    assert size(tmp_path / "out.mp4") == (320, 192)
    assert "video h264 96x64" in warning


def test_the_sound_of_other_programmes_is_left_out_and_named(make: Make, tmp_path: Path, copy: Copy) -> None:
    parts = []
    for number, (shape, language) in enumerate((("96x64", "eng"), ("320x192", "deu"))):
        picture = ("-f", "lavfi", "-i", f"testsrc2=s={shape}:r=25:d=1")
        tag = ("-metadata:s:a", f"language={language}")
        parts.append(make(f"{number}.mkv", *picture, *SOUND, *H264, "-c:a", "mp2", *tag))
    programmes = ["-program", "program_num=1:st=0:st=1", "-program", "program_num=2:st=2:st=3"]
    # Each programme has a clock of its own.
    inputs = ["-i", str(parts[0]), "-itsoffset", "0.5", "-i", str(parts[1])]
    source = make("two.ts", *inputs, "-map", "0", "-map", "1", "-c", "copy", *programmes)

    (warning,) = copy(source, tmp_path / "out.mp4")
    copy(source, tmp_path / "other.mp4", track=1)

    assert warning.endswith("is without these of its source: video h264 96x64, audio mp2")
    for name, language in (("out.mp4", "deu"), ("other.mp4", "eng")):
        assert [sound["tags"]["language"] for sound in streams(tmp_path / name, "a")] == [language]
        assert duration(tmp_path / name) == pytest.approx(1, abs=0.1)


def test_what_no_programme_has_belongs_to_none() -> None:
    text = """
      Input #0, mpegts, from 'a.ts':
        Program 1 'Program 2'
          Metadata:
            service_name    : Stream #0:7
        Stream #0:0[0x100]: Video: h264
        Stream #0:1[0x101](eng): Audio: aac
        Program 2
        Stream #0:2[0x102]: Video: h264
        Stream #0:1[0x101](eng): Audio: aac
        No Program
        Stream #0:3[0x103]: Audio: mp2
    """

    assert programmes_of(dedent(text)) == [{0, 1}, {2, 1}]


def test_of_the_variants_of_a_playlist_the_largest_is_painted(
    two: Path, make: Make, tmp_path: Path, copy: Copy
) -> None:
    lines = ["#EXTM3U"]
    for number, rate in ((0, 100000), (1, 900000)):
        make(f"v{number}.ts", "-i", str(two), "-map", f"0:v:{number}", "-c", "copy")
        playlist = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:0.4,", f"v{number}.ts", "#EXT-X-ENDLIST", ""]
        (tmp_path / f"v{number}.m3u8").write_text("\n".join(playlist))
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={rate}", f"v{number}.m3u8"]
    (tmp_path / "master.m3u8").write_text("\n".join([*lines, ""]))

    copy(tmp_path / "master.m3u8", tmp_path / "out.mp4")

    assert size(tmp_path / "out.mp4") == (320, 192)
    assert len(times(tmp_path / "out.mp4")) == 10


def test_a_track_can_be_chosen_by_its_number(two: Path, tmp_path: Path, copy: Copy) -> None:
    (warning,) = copy(two, tmp_path / "out.mp4", track=1)

    assert size(tmp_path / "out.mp4") == (96, 64)
    assert "video h264 320x192" in warning
    with pytest.raises(InputError, match=r"no video track 3 in .*: it has 1 \(h264 96x64\), 2 \(h264 320x192\)"):
        VideoReader(two, track=3)


def test_the_still_beside_an_image_sequence_is_not_the_video(make: Make, tmp_path: Path, copy: Copy) -> None:
    frames = [Image.new("RGB", (96, 64), (30 * n, 0, 0)) for n in range(8)]
    frames[0].save(tmp_path / "seq.avif", save_all=True, append_images=frames[1:], duration=100)

    copy(tmp_path / "seq.avif", tmp_path / "out.mp4")

    assert len(times(tmp_path / "out.mp4")) == 8


def test_frames_of_another_shape_keep_it_with_bars(make: Make, tmp_path: Path, ffmpeg: str, copy: Copy) -> None:
    for number, shape in enumerate(("160x96", "96x160", "320x192")):
        make(f"{number}.ivf", "-f", "lavfi", "-i", f"color=white:s={shape}:r=25:d=0.4", "-c:v", "libvpx")
    (tmp_path / "list.txt").write_text("".join(f"file {number}.ivf\n" for number in range(3)))
    source = make("size.webm", "-f", "concat", "-i", str(tmp_path / "list.txt"), "-c", "copy")

    copy(source, tmp_path / "out.mp4")

    shown = pixels(ffmpeg, tmp_path / "out.mp4", 160, 96)
    assert len(shown) == 30
    for number, (left, right) in enumerate(((0, 160), (51, 109), (0, 160))):
        frame = shown[10 * number + 5, 48, :, 1] > 127
        assert abs(np.flatnonzero(frame)[[0, -1]] - (left, right - 1)).max() <= 1


def test_pixels_of_another_shape_keep_it_with_bars(make: Make, tmp_path: Path, ffmpeg: str, copy: Copy) -> None:
    """A broadcast that goes from 16:9 to 4:3: the number of pixels stays."""
    parts: list[bytes] = []
    for shape in ("16/9", "4/3"):
        white = ["-f", "lavfi", "-i", "color=white:s=180x144:r=25:d=0.4", "-vf", f"setdar={shape}"]
        parts.append(make(f"part{len(parts)}.ts", *white, "-c:v", "mpeg2video", "-q:v", "2").read_bytes())
    (tmp_path / "both.ts").write_bytes(b"".join(parts))

    with VideoReader(tmp_path / "both.ts") as video, VideoWriter(tmp_path / "out.mp4", video.info, video) as sink:
        for frame in video:
            sink.write(frame.image, frame.time, frame.duration)

    shown = pixels(ffmpeg, tmp_path / "out.mp4", 180, 144)
    assert stream(tmp_path / "out.mp4")["display_aspect_ratio"] == "16:9"
    assert len(shown) == 20
    white = (shown[:, 72, :, 1] > 127).sum(axis=1)
    assert white[:10].tolist() == [180] * 10
    assert abs(white[10:] - 135).max() <= 2


HALF = "color=0x2040c0:size=96x64:rate=25:duration=0.2,format=rgba,geq=r=32:g=64:b=192:a=255*gt(X\\,47)"


def test_vp8_with_alpha_is_laid_over_white(make: Make, tmp_path: Path, ffmpeg: str, copy: Copy) -> None:
    kind = ["-c:v", "libvpx", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p", "-crf", "4", "-b:v", "2M"]
    source = make("alpha.webm", "-f", "lavfi", "-i", HALF, *kind)

    copy(source, tmp_path / "out.mp4")

    shown = pixels(ffmpeg, tmp_path / "out.mp4", 96, 64)
    assert shown[:, :, :40].min() > 245
    assert abs(shown[:, :, 56:] - (0x20, 0x40, 0xC0)).max() < 16


def test_an_animated_avif_with_alpha_is_laid_over_white(tmp_path: Path, ffmpeg: str, copy: Copy) -> None:
    frames = [Image.new("RGBA", (96, 64), (30 * n, 0, 0, 255)) for n in range(4)]
    for image in frames:
        image.paste((0, 0, 0, 0), (48, 0, 96, 64))
    frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:], duration=[100, 40, 100, 100])

    assert copy(tmp_path / "a.avif", tmp_path / "out.mp4") == []

    shown = pixels(ffmpeg, tmp_path / "out.mp4", 96, 64)
    assert shown[:, 8:56, 60:90].min() >= 250
    assert shown[3, 32, 20, 0] == pytest.approx(90, abs=6)
    assert times(tmp_path / "out.mp4") == [0, Fraction(1, 10), Fraction(14, 100), Fraction(24, 100)]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("name", ["film.avi", "film.mkv", "film.mov"])
def test_a_film_of_jpeg_pictures_with_exif_is_upright(
    make: Make, tmp_path: Path, ffmpeg: str, copy: Copy, name: str, orientation: int
) -> None:
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :48] = 255
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = orientation, "Acme"
    for number in range(4):
        stored = Image.fromarray(np.rot90(upright, turns))
        stored.save(tmp_path / f"a_{number}.jpg", exif=exif, quality=95)
    source = make(name, "-framerate", "8", "-i", f"file:{tmp_path / 'a_%d.jpg'}", "-c", "copy")

    copy(source, tmp_path / "out.mp4")

    assert size(tmp_path / "out.mp4") == (96, 64)
    shown = pixels(ffmpeg, tmp_path / "out.mp4", 96, 64)
    assert abs(shown - upright).mean() < 8
    assert len(shown) == 4


MANY = "[1:a]" * 10 + "amerge=inputs=10"


@pytest.mark.parametrize(
    ("sound", "name", "found"),
    [
        ([MANY, "pcm_s16le"], "out.mp4", ("aac", 2)),
        ([MANY, "pcm_s16le"], "out.webm", ("opus", 2)),
        (["[1:a]" * 16 + "amerge=inputs=16", "pcm_s24le"], "out.mp4", ("aac", 2)),
        (["[1:a]aformat=channel_layouts=6.1", "pcm_s16le"], "out.mp4", ("aac", 7)),
        (["[1:a]aformat=channel_layouts=7.1", "pcm_s16le"], "out.mp4", ("aac", 8)),
        (["[1:a]aformat=channel_layouts=2.1", "pcm_f32le"], "out.mp4", ("aac", 3)),
        (["[1:a]aresample=12345", "pcm_s16le"], "out.mp4", ("aac", 1)),
        (["[1:a]aresample=192000", "pcm_f64le"], "out.mp4", ("aac", 1)),
        (["[1:a]aresample=352800,aformat=channel_layouts=7.1", "pcm_s32le"], "out.webm", ("opus", 8)),
        (["[1:a]aresample=8000", "pcm_alaw"], "out.mp4", ("aac", 1)),
    ],
)
def test_sound_of_any_kind_never_costs_the_film(
    make: Make, tmp_path: Path, copy: Copy, sound: list[str], name: str, found: tuple[str, int]
) -> None:
    graph, codec = sound
    # MOV has the channels of 6.1 and more in an order of its own, see below.
    source = make(
        "odd.mkv", *PICTURE, *SOUND, "-filter_complex", f"{graph}[a]", "-map", "0", "-map", "[a]", *H264, "-c:a", codec
    )

    (warning,) = copy(source, tmp_path / name)

    (heard,) = streams(tmp_path / name, "a")
    assert (heard["codec_name"], heard["channels"]) == found
    assert len(times(tmp_path / name)) == 25
    assert duration(tmp_path / name) == pytest.approx(1, abs=0.1)
    assert f"{codec} as {found[0]}" in warning
    channels = streams(source, "a")[0]["channels"]
    assert (f"with 2 of {channels} channels" in warning) == (channels > 8)


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("pcm_s16le (sowt / 0x74776F73), 44100 Hz, 7 channels (FL+FR+FC+LFE+SL+SR+BC), s16", False),
        ("pcm_s16le (sowt / 0x74776F73), 44100 Hz, 2 channels (FL@left+FR), s16", False),
        ("pcm_s16le (sowt / 0x74776F73), 44100 Hz, 10 channels (FL+FR+FC+LFE+BL+BR+FLC+FRC+BC+SL), s16", True),
        ("pcm_s16le, 44100 Hz, 10 channels, s16, 7056 kb/s", True),
        ("aac (LC) (mp4a / 0x6134706D), 44100 Hz, 5.1, fltp, 69 kb/s (default)", True),
    ],
)
def test_sound_whose_channels_have_an_order_of_their_own_is_not_decoded(text: str, can: bool) -> None:
    """PyAV 18.1.0 frees such a list of channels twice when it is looked at, which ends Python."""

    class File:
        def dumps_format(self) -> str:
            return f"Input #0, mov, from '':\n  Stream #0:0[0x1]: Video: h264\n  Stream #0:1[0x2](und): Audio: {text}\n"

    class Stream:
        index = 1

    assert can_be_decoded(File(), Stream()) == can


def test_sound_whose_encoder_fails_on_the_way_is_said_and_the_film_complete(
    base: Path, tmp_path: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such sound")

    monkeypatch.setattr("livestyle.media.video.audio.AudioTranscoder.convert", fail)

    warnings = copy_with_late_warnings(base, tmp_path / "out.webm")

    assert len(times(tmp_path / "out.webm")) == 25
    assert "lacks some of these of its source: audio aac (no such sound)" in warnings[-1]


def copy_with_late_warnings(source: Path, target: Path) -> list[str]:
    with VideoReader(source) as video, VideoWriter(target, video.info, video) as sink:
        for frame in video:
            sink.write(frame.image, frame.time, frame.duration)
    return [sink.warning or ""]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_data_that_cannot_be_carried_is_named(base: Path, make: Make, tmp_path: Path, copy: Copy, name: str) -> None:
    data = tmp_path / "data.bin"
    data.write_text("7" * 1000)
    source = make("klv.ts", "-i", str(base), "-f", "data", "-i", str(data), "-map", "0", "-map", "1", "-c", "copy")

    (warning,) = copy(source, tmp_path / name)

    assert warning == f"{tmp_path / name} is without these of its source: data bin_data"


def test_fonts_are_named_where_they_cannot_be_carried(make: Make, tmp_path: Path, copy: Copy) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(bytes(range(256)))
    attached = ["-attach", str(font), "-metadata:s:t:0", "mimetype=application/x-truetype-font"]
    source = make("font.mkv", *PICTURE, *H264, *attached)

    (warning,) = copy(source, tmp_path / "out.mp4")

    assert "left out: attachment font.ttf" in warning


@pytest.mark.parametrize(("name", "tags"), [("out.mov", []), ("out.mp4", ["-metadata", "strange=yes"])])
def test_a_cover_is_named_where_it_cannot_be_carried(
    base: Path, make: Make, tmp_path: Path, copy: Copy, name: str, tags: list[str]
) -> None:
    cover = make("cover.png", "-f", "lavfi", "-i", "testsrc=s=60x40", "-frames:v", "1")
    kind = ["-metadata:s:t", "mimetype=image/png", "-metadata:s:t", "filename=cover.png"]
    source = make("cover.mkv", "-i", str(base), "-attach", str(cover), "-c", "copy", *kind, *tags)

    (warning,) = copy(source, tmp_path / name)

    assert "left out: cover png;" in warning
    assert len(streams(tmp_path / name, "v")) == 1


@pytest.mark.parametrize("name", ["out.gif", "out.webp"])
def test_what_an_animated_image_cannot_carry_is_named(
    base: Path, make: Make, tmp_path: Path, copy: Copy, name: str
) -> None:
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n")
    copied = ("-c", "copy", "-timecode", "01:00:00:00", "-metadata", "title=Me")
    source = make("all.mov", "-i", str(base), "-i", str(chapters), *copied)

    (warning,) = copy(source, tmp_path / name)

    assert "left out: chapters, audio aac, timecode 01:00:00:00, tags;" in warning


@pytest.mark.parametrize(("name", "warnings"), [("out.mp4", 1), ("out.mkv", 0)])
def test_3d_is_kept_or_named(make: Make, tmp_path: Path, copy: Copy, name: str, warnings: int) -> None:
    source = make("3d.mkv", *PICTURE, *H264, "-metadata:s:v", "stereo_mode=left_right")

    found = copy(source, tmp_path / name)

    assert [text.endswith("is without these of its source: 3D metadata") for text in found] == [True] * warnings
    sides = [side["side_data_type"] for side in stream(tmp_path / name).get("side_data_list", [])]
    assert ("Stereo 3D" in sides) is not warnings


def test_colours_that_change_on_the_way_are_converted(make: Make, tmp_path: Path, ffmpeg: str) -> None:
    parts = []
    for number, (matrix, tags) in enumerate((("bt709", "bt709"), ("bt601", "smpte170m"))):
        how = ("-vf", f"scale=out_color_matrix={matrix}", "-colorspace", tags)
        colours = ("-f", "lavfi", "-i", "color=red:s=160x96:r=25:d=0.4", *how, *H264, "-bf", "0", "-qp", "1")
        parts.append(make(f"{number}.h264", *colours))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))

    with VideoReader(joined) as video:
        shown = [frame.image[48, 80].astype(int) for frame in video]

    assert len(shown) == 20
    assert max(abs(pixel - (0, 0, 254)).max() for pixel in shown) <= 2


def test_a_timecode_track_or_chapters_of_quicktime_are_no_loss(
    base: Path, make: Make, tmp_path: Path, copy: Copy
) -> None:
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n")
    source = make(
        "both.mov", "-i", str(base), "-i", str(chapters), "-map_chapters", "1", "-c", "copy", "-timecode", "01:00:00:00"
    )

    assert copy(source, tmp_path / "out.mov") == []
    assert [c["tags"]["title"] for c in probe(tmp_path / "out.mov")["chapters"]] == ["One"]


def with_captions(data: bytes) -> bytes:
    """H.264 in Annex B form with the captions of A/53 before the first slice of each frame."""
    captions = b"\xb5\x00\x31GA94\x03\xc2\xff\xfc\x94\x20\xfc\x94\x20\xff"
    nal = b"\0\0\x01\x06\x04" + bytes([len(captions)]) + captions + b"\x80"
    first, *nals = data.split(b"\0\0\x01")
    # The slices of a frame after the first one do not begin with a one: first_mb_in_slice is not 0.
    parts = [(nal if n[0] & 31 in (1, 5) and n[1] & 0x80 else b"") + b"\0\0\x01" + n for n in nals]
    return first + b"".join(parts)


def captioned(path: Path) -> int:
    """Number of frames with captions."""
    sides = [side for frame in probe(path)["frames"] for side in frame.get("side_data_list", [])]
    return sum("Closed Captions" in side["side_data_type"] for side in sides)


@pytest.fixture
def captions(base: Path, tmp_path: Path) -> Path:
    """25 frames with captions and B-frames."""
    path = tmp_path / "captions.ts"
    with av.open(str(base)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        annex_b, stream = av.BitStreamFilterContext("h264_mp4toannexb", video), target.add_stream_from_template(video)
        for packet in source.demux(video):
            for plain in annex_b.filter(packet if packet.size else None):
                new = av.Packet(with_captions(bytes(plain)))
                new.pts, new.dts, new.is_keyframe = plain.pts, plain.dts, plain.is_keyframe
                new.time_base = Fraction(video.time_base or 1)
                new.stream = stream
                target.mux(new)
    assert captioned(path) == 25
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("out.mp4", "h264"), ("out.mkv", "h264"), ("out.mov", "hevc"), ("out.mkv", "hevc")]
)
def test_closed_captions_are_kept(captions: Path, tmp_path: Path, copy: Copy, name: str, codec: str) -> None:
    assert copy(captions, tmp_path / name, Encoding(codec)) == []

    assert captioned(tmp_path / name) == 25
    assert len(times(tmp_path / name)) == 25


@pytest.mark.parametrize("name", ["out.webm", "out.gif"])
def test_closed_captions_that_cannot_be_kept_are_named(captions: Path, tmp_path: Path, copy: Copy, name: str) -> None:
    assert copy(captions, tmp_path / name) == [f"{tmp_path / name} lacks some of these of its source: closed captions"]


XML = (
    '<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/"><GSpherical:Spherical>true</GSpherical:Spherical>'
    "<GSpherical:Stitched>true</GSpherical:Stitched><GSpherical:StitchingSoftware>x</GSpherical:StitchingSoftware>"
    "<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType></rdf:SphericalVideo>"
)


@pytest.fixture
def sphere(base: Path) -> Path:
    """A 360-degree video by the spherical video RFC, that is with a box in its track."""
    data = bytearray(base.read_bytes())
    box = b"uuid" + bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + XML.encode()
    box = struct.pack(">I", len(box) + 4) + box
    moov, trak = data.index(b"moov") - 4, data.index(b"trak") - 4
    assert moov > data.index(b"mdat")
    end = trak + struct.unpack_from(">I", data, trak)[0]
    for at in (moov, trak):
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(box))
    data[end:end] = box
    base.write_bytes(data)
    return base


def projection(path: Path) -> str | None:
    sides = streams(path, "v")[0].get("side_data_list", [])
    return next((side["projection"] for side in sides if side["side_data_type"] == "Spherical Mapping"), None)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
def test_a_360_degree_video_stays_one(sphere: Path, tmp_path: Path, ffmpeg: str, copy: Copy, name: str) -> None:
    assert projection(sphere) == "equirectangular"

    assert copy(sphere, tmp_path / name) == []

    assert projection(tmp_path / name) == "equirectangular"
    assert abs(pixels(ffmpeg, tmp_path / name, 160, 96) - pixels(ffmpeg, sphere, 160, 96)).mean() < 10
    assert len(packets(tmp_path / name, "a")) == len(packets(sphere, "a"))


@pytest.mark.parametrize("name", ["out.mkv", "out.webm", "out.gif"])
def test_360_degree_metadata_that_cannot_be_carried_is_named(
    sphere: Path, tmp_path: Path, copy: Copy, name: str
) -> None:
    (warning,) = copy(sphere, tmp_path / name)

    assert "left out: 360-degree metadata" in warning
