"""Numbered image sequences, in and out of ``livestyle video``; judged by ffprobe, ffmpeg and Pillow."""

from __future__ import annotations

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from livestyle import Stylizer
from livestyle.jobs.options import VideoOptions
from livestyle.jobs.resume import store_folder
from livestyle.media.images.numbered import Numbered
from livestyle.styles.library import Style
from tests.batches import H264, Stop, lavfi, names, paint_video
from tests.ffmpeg import Make, pixels, stream, times
from tests.program import IDENTITY, livestyle

PLAIN = ("--model", IDENTITY, "--style", "dusk", "--strength", "0", "--device", "cpu")


def draw(
    folder: Path, numbers: range | list[int], pattern: str = "f_{:03d}.png", size: tuple[int, int] = (80, 64)
) -> None:
    """Numbered pictures of one colour each, whose red is 5 times their number."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.new("RGB", size, (5 * number, 90, 40)).save(folder / pattern.format(number))


def reds(ffmpeg: str, path: Path) -> list[int]:
    """The red of each frame that ffmpeg shows of a video, divided by 5."""
    shown = pixels(ffmpeg, path, stream(path)["width"], stream(path)["height"])
    return [round(float(frame[:, :, 0].mean()) / 5) for frame in shown]


def paint(*arguments: Any, code: int = 0) -> str:
    done = livestyle("video", *arguments, *PLAIN)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp"])
def test_numbered_pictures_become_a_film(ffmpeg: str, tmp_path: Path, suffix: str) -> None:
    draw(tmp_path / "f", range(7, 17), f"f_{{:03d}}.{suffix}")

    said = paint(tmp_path / "f" / f"f_%03d.{suffix}", "-o", tmp_path / "o.mp4")

    assert "is taken as 25 frames a second" in said
    assert "EXIF" not in said
    assert reds(ffmpeg, tmp_path / "o.mp4") == list(range(7, 17))
    assert times(tmp_path / "o.mp4") == [Fraction(n, 25) for n in range(10)]


@pytest.mark.parametrize("name", ["f_%03d.png", "f_###.png", "f_009.png", "", "f_*.png", "f_%3d.png"])
def test_a_sequence_has_many_names(ffmpeg: str, tmp_path: Path, name: str) -> None:
    draw(tmp_path / "f", range(7, 12))

    said = paint(tmp_path / "f" / name, "-o", tmp_path / "o.mp4", "--fps", "12")

    assert reds(ffmpeg, tmp_path / "o.mp4") == list(range(7, 12))
    assert stream(tmp_path / "o.mp4")["r_frame_rate"] == "12/1"
    assert "25 frames" not in said
    assert ("5 numbered pictures" in said) == ("%" not in name and "#" not in name)


def test_many_members_are_one_film(ffmpeg: str, tmp_path: Path) -> None:
    draw(tmp_path / "f", range(98, 103), "{:d}.png")

    paint(*sorted((tmp_path / "f").iterdir()), "-o", tmp_path / "o.mp4")

    assert reds(ffmpeg, tmp_path / "o.mp4") == [51] * 5
    assert len(times(tmp_path / "o.mp4")) == 5


def test_a_folder_of_a_film_and_pictures_is_one_of_films(make: Make, tmp_path: Path) -> None:
    draw(tmp_path / "f", range(1, 5))
    make("f/a.mp4", *lavfi(), *H264)

    said = paint(tmp_path / "f", "-o", tmp_path / "painted")

    assert names(tmp_path / "painted") == ["a.mp4"]
    assert "has numbered pictures too" in said


def test_sequences_of_a_folder_become_films_of_their_names(tmp_path: Path) -> None:
    draw(tmp_path / "f", range(1, 5), "shot1_{:04d}.png")
    draw(tmp_path / "f", range(1, 5), "shot2.{:d}.png")
    draw(tmp_path / "f", [1], "poster{:d}.png")

    said = paint(tmp_path / "f", "-o", tmp_path / "painted")

    assert names(tmp_path / "painted") == ["shot1.mp4", "shot2.mp4"]
    assert "1 file in" in said


def test_what_is_missing_or_damaged_is_held_and_said(ffmpeg: str, tmp_path: Path) -> None:
    draw(tmp_path / "f", [1, 2, 5, 6, 7, 8])
    (tmp_path / "f" / "f_007.png").write_bytes(b"no picture")

    said = paint(tmp_path / "f" / "f_%03d.png", "-o", tmp_path / "o.mp4", "--json")

    record = json.loads(said.splitlines()[0])
    assert reds(ffmpeg, tmp_path / "o.mp4") == [1, 2, 2, 2, 5, 6, 6, 8]
    assert (record["frames"], record["concealed_frames"]) == (8, 3)
    assert "numbers 3-4 are missing and number 7 is damaged" in record["damage"]


def test_steps_are_no_gaps_and_numbers_far_apart_tell_no_time(ffmpeg: str, tmp_path: Path) -> None:
    draw(tmp_path / "steps", [2, 4, 6, 8])
    draw(tmp_path / "apart", [1, 2, 40])

    paint(tmp_path / "steps", "-o", tmp_path / "steps.mp4")
    said = paint(tmp_path / "apart", "-o", tmp_path / "apart.mp4")

    assert reds(ffmpeg, tmp_path / "steps.mp4") == [2, 4, 6, 8]
    assert reds(ffmpeg, tmp_path / "apart.mp4") == [1, 2, 40]
    assert "more gaps than pictures" in said


def test_a_part_of_a_sequence_goes_on_with_its_numbers(tmp_path: Path) -> None:
    draw(tmp_path / "f", range(1, 31))

    paint(tmp_path / "f", "-o", tmp_path / "g_%04d.png", "--fps", "10", "--start", "1", "--end", "1.5")

    assert [path.name for path in sorted(tmp_path.glob("g_*"))] == [f"g_{n:04d}.png" for n in range(11, 16)]
    with Image.open(tmp_path / "g_0011.png") as image:
        assert image.getpixel((0, 0)) == (55, 90, 40)


@pytest.mark.parametrize(("suffix", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP"), ("tiff", "TIFF")])
def test_a_film_becomes_numbered_pictures(ffmpeg: str, make: Make, tmp_path: Path, suffix: str, kind: str) -> None:
    source = make("a.mkv", *lavfi(), "-f", "lavfi", "-i", "sine=d=0.4", *H264, "-c:a", "aac")

    said = paint(source, "-o", tmp_path / f"g_%02d.{suffix}")

    assert [path.name for path in sorted(tmp_path.glob("g_*"))] == [f"g_{n:02d}.{suffix}" for n in range(1, 11)]
    assert said.count("is without these of its source: audio aac") == 1
    shown = pixels(ffmpeg, source, 64, 64)
    for number in (1, 10):
        with Image.open(tmp_path / f"g_{number:02d}.{suffix}") as image:
            assert image.format == kind
            # ffmpeg takes the nearest chroma sample, livestyle interpolates.
            assert np.median(np.abs(np.asarray(image).astype(int) - shown[number - 1])) <= 4


def test_a_dry_run_names_what_numbered_pictures_do_not_carry(make: Make, tmp_path: Path) -> None:
    source = make("a.mkv", *lavfi(), "-f", "lavfi", "-i", "sine=d=0.4", *H264, "-c:a", "aac")

    said = paint(source, "-o", tmp_path / "g_%02d.png", "--dry-run", "--json")

    assert json.loads(said.splitlines()[0])["left_out"] == ["audio aac"]
    assert names(tmp_path) == ["a.mkv"]


def test_uneven_times_are_said_to_be_lost(make: Make, tmp_path: Path) -> None:
    uneven = ["-vf", "settb=1/1000,setpts='20*N+15*mod(N,4)'", "-fps_mode", "vfr", "-enc_time_base", "1/1000"]
    source = make("a.mkv", *lavfi(), *uneven, *H264)

    assert "the uneven times of its frames" in paint(source, "-o", tmp_path / "g_%02d.png")
    assert "uneven times" not in paint(source, "-o", tmp_path / "h_%02d.png", "--fps", "25")


def test_what_is_there_is_kept_and_replaced_by_force(tmp_path: Path) -> None:
    draw(tmp_path / "f", range(1, 4))
    draw(tmp_path, [2, 9], "g_{:03d}.png")
    target = tmp_path / "g_%03d.png"

    assert "g_002.png (and 1 more) already exists" in paint(tmp_path / "f", "-o", target, code=1)
    said = paint(tmp_path / "f", "-o", target, "--force")

    assert "has pictures from before, which stay: 9" in said
    with Image.open(tmp_path / "g_002.png") as image:
        assert image.getpixel((0, 0)) == (10, 90, 40)
    assert "is the source itself" in paint(tmp_path / "f", "-o", tmp_path / "f" / "f_%03d.png", "--force", code=1)


def test_an_interrupted_sequence_goes_on_and_comes_out_identical(
    tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    rng = np.random.default_rng(3)
    (tmp_path / "f").mkdir()
    for number in range(26):
        noise = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (80, 64), interpolation=cv2.INTER_CUBIC)
        Image.fromarray(noise).save(tmp_path / "f" / f"{number}.jpg")
    source, target = tmp_path / "f" / "%d.jpg", tmp_path / "g_%02d.png"
    options = VideoOptions(segment_frames=10)

    with pytest.raises(KeyboardInterrupt):
        paint_video(source, target, Stop(16), [dusk], options=options)
    assert store_folder(target).is_dir()
    assert not list(tmp_path.glob("g_*"))
    (result,) = paint_video(source, target, identity, [dusk], options=VideoOptions(segment_frames=10, resume=True))
    assert result.resumed == 10
    paint_video(source, tmp_path / "h_%02d.png", identity, [dusk], options=options)

    for number in range(26):
        data = [(tmp_path / f"{letter}_{number:02d}.png").read_bytes() for letter in "gh"]
        assert data[0] == data[1]
    assert not store_folder(target).exists()
    skipped = livestyle("video", source, "-o", target, "--resume", "--json", *PLAIN)
    assert json.loads(skipped.stdout)["status"] == "skipped"


def test_a_sequence_is_held_still_as_a_film_is(make: Make, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    lossless = make("a.mkv", *lavfi(12, size="96x64"), "-c:v", "ffv1", "-pix_fmt", "bgr0")
    (tmp_path / "f").mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(lossless), str(tmp_path / "f" / "%d.png")], check=True)

    paint_video(lossless, tmp_path / "a_%02d.png", stylizer, [style])
    paint_video(tmp_path / "f" / "%d.png", tmp_path / "b_%02d.png", stylizer, [style])

    for number in range(1, 13):
        with Image.open(tmp_path / f"a_{number:02d}.png") as a, Image.open(tmp_path / f"b_{number:02d}.png") as b:
            assert np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_transparency_is_kept_if_asked_for(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "f").mkdir()
    ramp = np.zeros((64, 80, 4), np.uint8)
    ramp[:, :, 0], ramp[:, :, 3] = 200, np.linspace(0, 255, 80).astype(np.uint8)
    for number in range(3):
        Image.fromarray(ramp).save(tmp_path / "f" / f"{number}.png")

    laid = paint(tmp_path / "f", "-o", tmp_path / f"g_%d.{suffix}")
    kept = paint(tmp_path / "f", "-o", tmp_path / f"h_%d.{suffix}", "--alpha")

    assert "transparency, which is laid over white" in laid
    assert "laid over white" not in kept
    with Image.open(tmp_path / f"g_1.{suffix}") as image:
        assert image.mode == "RGB"
    with Image.open(tmp_path / f"h_1.{suffix}") as image:
        found = np.asarray(image)
    assert np.array_equal(found[:, :, 3], ramp[:, :, 3])
    assert np.abs(found[:, 20:, :3].astype(int) - ramp[:, 20:, :3]).max() <= 2


def test_transparency_that_a_target_lacks_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "f", range(3))

    for name in ("o.mp4", "g_%d.jpg"):
        said = paint(tmp_path / "f", "-o", tmp_path / name, "--alpha", code=1)
        assert "cannot keep the transparency" in said
        assert "(--alpha)" in said


def test_texts_go_with_each_picture(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    (tmp_path / "f").mkdir()
    for number in range(1, 4):
        texts = PngInfo()
        texts.add_text("prompt", f"cat {number}")
        Image.new("RGB", (64, 64)).save(tmp_path / "f" / f"ComfyUI_{number:05d}_.png", pnginfo=texts)

    paint(tmp_path / "f", "-o", tmp_path / "g_%d.png")
    said = paint(tmp_path / "f", "-o", tmp_path / "o.mp4")

    for number in range(1, 4):
        with Image.open(tmp_path / f"g_{number}.png") as image:
            assert image.info["prompt"] == f"cat {number}"
    assert "loses PNG texts of its pictures" in said


def test_pictures_of_another_size_are_fitted(ffmpeg: str, tmp_path: Path) -> None:
    draw(tmp_path / "f", range(10, 13))
    draw(tmp_path / "f", [11], size=(64, 128))

    said = paint(tmp_path / "f", "-o", tmp_path / "o.mp4")

    assert "1 picture of" in said
    shown = pixels(ffmpeg, tmp_path / "o.mp4", 80, 64)
    assert shown[1, 32, 2].max() < 20
    assert abs(shown[1, 32, 40, 0] - 55) < 6


def test_a_file_of_that_very_name_is_a_file(ffmpeg: str, tmp_path: Path) -> None:
    draw(tmp_path, [1, 2, 3])
    shutil.copy(tmp_path / "f_002.png", tmp_path / "f_%03d.png")

    paint(tmp_path / "f_%03d.png", "-o", tmp_path / "o.mp4")

    assert reds(ffmpeg, tmp_path / "o.mp4") == [2]


def test_a_codec_for_pictures_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "f", range(3))

    assert "neither codec, crf" in paint(tmp_path / "f", "-o", tmp_path / "g_%d.png", "--codec", "h264", code=1)


def test_an_image_job_says_that_its_pictures_are_a_sequence(tmp_path: Path) -> None:
    draw(tmp_path / "f", range(5))
    draw(tmp_path / "photos", [1, 2, 7, 9])

    said = livestyle("image", tmp_path / "f", "-o", tmp_path / "p", *PLAIN)
    other = livestyle("image", tmp_path / "photos", "-o", tmp_path / "q", *PLAIN)

    assert said.stderr.count("5 pictures are a numbered sequence") == 1
    assert "f_%03d.png" in said.stderr
    assert "sequence" not in other.stderr


@pytest.mark.parametrize(
    ("name", "number", "file"),
    [
        ("f_%04d.png", 7, "f_0007.png"),
        ("f_%d.jpg", 123, "f_123.jpg"),
        ("50%%_%02d.png", 5, "50%_05.png"),
        ("####.tif", 12, "0012.tif"),
        ("f_%02d.png", 1234, "f_1234.png"),
    ],
)
def test_a_pattern_stands_for_files(name: str, number: int, file: str) -> None:
    numbered = Numbered.parse(Path("folder") / name)

    assert numbered is not None
    assert numbered.file(number) == Path("folder") / file


@pytest.mark.parametrize("name", ["f_%03d.mp4", "f_%s.png", "f.png", "%d_%d.png", "#1 of #2.png", "f_%%03d.png"])
def test_other_names_are_no_pattern(name: str) -> None:
    assert Numbered.parse(Path(name)) is None


def test_a_film_as_one_picture_is_refused_with_a_way_out(make: Make, tmp_path: Path) -> None:
    source = make("a.mp4", *lavfi(), *H264)

    assert "frame_%04d.png" in paint(source, "-o", tmp_path / "frame.png", code=1)


def test_a_mask_may_be_a_sequence_that_runs_with_its_film(ffmpeg: str, make: Make, tmp_path: Path) -> None:
    source = make("a.mkv", "-f", "lavfi", "-i", "testsrc2=s=80x64:r=10:d=0.6", "-c:v", "ffv1", "-pix_fmt", "bgr0")
    (tmp_path / "m").mkdir()
    for number in range(6):
        Image.new("L", (80, 64), 255 * (number % 2)).save(tmp_path / "m" / f"{number}.png")

    done = livestyle(
        *("video", source, "-o", tmp_path / "g_%d.png", "--mask", tmp_path / "m" / "%d.png"),
        *("--model", IDENTITY, "--style", "dusk", "--device", "cpu"),
    )

    assert done.returncode == 0, done.stderr
    before = pixels(ffmpeg, source, 80, 64)
    for number in range(6):
        with Image.open(tmp_path / f"g_{number + 1}.png") as image:
            assert np.array_equal(np.asarray(image), before[number]) == (number % 2 == 0)


def test_a_mask_of_numbered_pictures_is_not_replaced(tmp_path: Path) -> None:
    draw(tmp_path / "f", range(1, 4))
    draw(tmp_path / "m", range(1, 4))
    target = tmp_path / "m" / "f_%03d.png"

    said = paint(tmp_path / "f", "-o", target, "--mask", tmp_path / "m" / "f_%d.png", "--force", code=1)

    assert "no mask" in said
    assert "is the mask" in paint(tmp_path / "f", "-o", target, "--mask", target, "--force", code=1)
