"""Image files as people have them, painted by ``livestyle image``; judged by Pillow."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from livestyle.errors import OutputError
from livestyle.media.images import check_dimensions
from tests.program import IDENTITY, livestyle


def draw(path: Path, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A picture at a path, and its pixels as uint8 [H, W, 3] RGB."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    pixels = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    Image.fromarray(pixels).save(path)
    return pixels


def paint(*arguments: object, strength: float = 0) -> str:
    """What ``livestyle image`` says; it is to end well."""
    done = livestyle("image", *arguments, "--model", IDENTITY, "--device", "cpu", "--strength", strength)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_what_an_image_cannot_keep_is_named_in_one_warning(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    for name in "abcde":
        Image.new("RGBA", (64, 64), (200, 100, 50, 0)).save(tmp_path / f"{name}.png", exif=exif)
    folder = tmp_path / "painted"

    said = paint(*tmp_path.glob("*.png"), "-o", folder)
    assert said.count("warning") == 1
    assert "transparency left out of" in said
    assert "and 2 more" in said

    said = paint(tmp_path / "a.png", "-o", tmp_path / "a.bmp", "--json")
    assert json.loads(said.splitlines()[0])["notes"] == ["transparency left out", "EXIF left out"]


def test_a_folder_holds_many_kinds_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    draw(album / "a.png")
    kinds = {"b.jfif": "JPEG", "c.avif": "AVIF", "d.gif": "GIF", "e.jp2": "JPEG2000", "f.tga": "TGA", "g.ppm": "PPM"}
    for name, kind in kinds.items():
        with Image.open(album / "a.png") as image:
            image.save(album / name, kind)
    (album / "notes.txt").write_text("not a picture")
    (album / "film.mov").write_text("nor this")
    (album / "other.mov").write_text("nor this")
    (album / ".hidden.txt").write_text("nobody asks for it")

    said = paint(album, "-o", tmp_path / "painted")

    painted = sorted(path.name for path in (tmp_path / "painted").iterdir())
    assert painted == ["a.png", "b.jfif", "c.avif", "d.png", "e.png", "f.png", "g.png"]
    assert f"3 files in {album} are no picture and are left out: 2 .mov, 1 .txt" in said
    for name in painted:
        with Image.open(tmp_path / "painted" / name) as image:
            assert image.size == (96, 64), name


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("a.webp", 20000, 50),
        ("a.jpg", 65501, 10),
        ("a.jpeg", 10, 65501),
        ("a.avif", 40000, 64),
        ("a.bmp", 40000, 40000),
    ],
)
def test_a_size_that_a_format_cannot_hold_is_refused(name: str, width: int, height: int) -> None:
    with pytest.raises(OutputError, match=f"{width}x{height} cannot be made.*, use .png"):
        check_dimensions(Path(name), width, height)


def test_such_a_size_is_refused_before_it_is_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (9000, 64)).save(tmp_path / "wide.png")
    monkeypatch.setattr("livestyle.jobs.image._painted", lambda *_: pytest.fail("it was painted"))

    done = livestyle(
        "image", tmp_path / "wide.png", "-o", tmp_path / "wide.webp", "--side-by-side", "--model", IDENTITY
    )

    assert done.returncode == 1
    assert "a .webp of 18000x64 cannot be made (at most 16383 pixels each way), use .png" in done.stderr
