"""``--dry-run`` of videos and images, and what of its findings a real run says in ``--json``."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from livestyle.media.images.profiles import ADOBE_RGB, gamma_curve, make_profile
from tests.ffmpeg import Make, streams, times
from tests.program import IDENTITY, livestyle

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=0.4")
SOUND = ("-f", "lavfi", "-i", "sine=440:d=0.4")
PLAIN = ("--model", IDENTITY, "--style", "dusk", "--strength", "0")


@pytest.fixture
def rich(make: Make, tmp_path: Path) -> Path:
    """Two videos, two sounds, a font and data that no target carries."""
    font = tmp_path / "font.ttf"
    font.write_bytes(bytes(range(256)))
    large = ("-f", "lavfi", "-i", "testsrc2=s=320x192:r=25:d=0.4")
    attached = ["-attach", str(font), "-metadata:s:t:0", "mimetype=application/x-truetype-font"]
    chosen = ["-map", "0", "-map", "1", "-map", "2", "-map", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    default = ["-disposition:v:0", "default", "-disposition:v:1", "default"]
    return make("rich.mkv", *PICTURE, *large, *SOUND, *chosen, "-c:a:0", "aac", "-c:a:1", "wmav2", *default, *attached)


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_dry_run_says_what_becomes_of_each_stream_and_writes_nothing(rich: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))

    done = livestyle("video", rich, "-o", tmp_path / "out.mp4", "--dry-run", "--json", *PLAIN)

    assert (done.returncode, sorted(tmp_path.rglob("*"))) == (0, before)
    (plan,) = records(done.stdout)
    assert (plan["status"], plan["width"], plan["height"]) == ("planned", 320, 192)
    assert plan["kept"] == ["audio aac"]
    assert plan["converted"] == ["wmav2 as aac"]
    assert plan["left_out"] == ["attachment font.ttf", "video h264 160x96"]


def test_a_real_run_keeps_and_says_what_the_dry_run_said(rich: Path, tmp_path: Path) -> None:
    done = livestyle("video", rich, "-o", tmp_path / "out.mp4", "--json", *PLAIN)

    (result,) = records(done.stdout)
    assert [s["codec_name"] for s in streams(tmp_path / "out.mp4", "a")] == ["aac", "aac"]
    assert len(streams(tmp_path / "out.mp4", "v")) == 1
    (note,) = result["notes"]
    for text in ("attachment font.ttf", "video h264 160x96", "wmav2 as aac"):
        assert text in note
    assert done.stderr.count(note) == 1


def test_a_dry_run_for_people_has_a_line_for_each_kind(rich: Path, tmp_path: Path) -> None:
    done = livestyle("video", rich, "-o", tmp_path / "out.mp4", "--dry-run", *PLAIN)

    first, *lines = done.stdout.splitlines()
    assert first.startswith(f"{rich} would become {tmp_path / 'out.mp4'}: 320x192")
    assert [line.split(":")[0].strip() for line in lines] == ["kept", "converted", "left out"]


def test_a_dry_run_of_a_folder_names_each_source_and_what_fails(make: Make, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    make("films/a.mp4", *PICTURE, *SOUND, "-c:v", "libx264", "-c:a", "aac")
    (tmp_path / "films" / "b.mp4").write_text("no film")

    done = livestyle("video", tmp_path / "films", "-o", tmp_path / "painted", "--dry-run", "--json", *PLAIN)

    assert done.returncode == 1
    assert sorted(record["status"] for record in records(done.stdout)) == ["failed", "planned"]
    assert not (tmp_path / "painted").exists()


def test_a_pipe_is_not_looked_at(tmp_path: Path) -> None:
    done = livestyle("video", "-", "-o", tmp_path / "out.mp4", "--dry-run", *PLAIN)

    assert done.returncode == 1
    assert "leave the dry run out" in done.stderr


def test_a_track_that_is_not_there_is_refused_by_its_option(rich: Path, tmp_path: Path) -> None:
    done = livestyle("video", rich, "-o", tmp_path / "out.mp4", "--video-track", "3", *PLAIN)

    assert done.returncode == 1
    assert "no video track 3" in done.stderr
    assert "(--video-track)" in done.stderr


def test_a_rate_that_av1_does_not_take_gives_a_film(make: Make, tmp_path: Path) -> None:
    source = make("r480.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=480:d=0.1", "-c:v", "libx264")

    done = livestyle("video", source, "-o", tmp_path / "out.mp4", "--codec", "av1", *PLAIN)

    assert done.returncode == 0
    assert times(tmp_path / "out.mp4") == times(source)


def test_fields_come_at_twice_the_rate(make: Make, tmp_path: Path) -> None:
    flagged = ["-vf", "setfield=tff", "-c:v", "libx264", "-x264-params", "tff=1", "-flags", "+ilme+ildct"]
    source = make("inter.mp4", *PICTURE, *flagged, "-pix_fmt", "yuv420p")

    done = livestyle("video", source, "-o", tmp_path / "out.mp4", "--deinterlace", "field", *PLAIN)

    assert len(times(tmp_path / "out.mp4")) == 20
    assert done.stderr.count("is interlaced, and deinterlaced before it is painted") == 1


def test_a_dry_run_of_pictures_says_what_becomes_of_each_and_writes_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    adobe = ImageCms.ImageCmsProfile(BytesIO(make_profile(ADOBE_RGB, gamma_curve(2.2)))).tobytes()
    see_through = Image.new("RGBA", (80, 64), (200, 100, 50, 90))
    see_through.save(tmp_path / "a.png", exif=exif, icc_profile=adobe)
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in (0, 200)]
    frames[0].save(tmp_path / "b.webp", save_all=True, append_images=frames[1:])
    cv2.imwrite(str(tmp_path / "c.png"), np.full((64, 96, 3), 1000, np.uint16))
    before = sorted(tmp_path.rglob("*"))

    sources = [tmp_path / name for name in ("a.png", "b.webp", "c.png")]
    done = livestyle("image", *sources, "-o", tmp_path / "painted", "--dry-run", "--json", *PLAIN)

    assert (done.returncode, sorted(tmp_path.rglob("*"))) == (0, before)
    a, b, c = records(done.stdout)
    assert {record["status"] for record in (a, b, c)} == {"planned"}
    assert (a["width"], a["height"], a["kept"]) == (80, 64, ["EXIF"])
    assert (a["converted"], a["left_out"]) == (["its colours as sRGB"], ["transparency"])
    assert b["left_out"] == ["all frames but the first"]
    assert c["kept"] == ["16 bits"]


def test_a_dry_run_of_a_picture_refuses_what_a_run_refuses(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")

    taken = livestyle("image", tmp_path / "a.png", "-o", tmp_path / "a.png", "--dry-run", *PLAIN)
    large = livestyle(
        "image", tmp_path / "a.png", "-o", tmp_path / "b.webp", "--size", "16384x16384", "--dry-run", *PLAIN
    )

    assert (taken.returncode, large.returncode) == (1, 1)
    assert "is the source itself" in taken.stderr
    assert "cannot be made" in large.stderr
