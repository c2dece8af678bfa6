"""Formats that need a package of their own, and what is said where it is missing; judged by their encoders."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from livestyle.errors import InputError
from livestyle.media.images import read_image, read_picture
from livestyle.media.images.profiles import PRIMARIES, make_profile, srgb_curve
from tests.ffmpeg import Make, ask
from tests.media.test_images_colors import photo_exif


def quarters() -> np.ndarray:
    """Red, green, blue and black in four quarters, uint8 [64, 128, 3] RGB."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:32, :64], pixels[:32, 64:], pixels[32:, :64] = (200, 40, 40), (40, 200, 40), (40, 40, 200)
    return pixels


def save_heic(path: Path, image: Image.Image, **options: object) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    heif = pillow_heif.from_pillow(image)
    heif.save(path, quality=95, **options)


def test_heic_is_read(tmp_path: Path) -> None:
    save_heic(tmp_path / "a.heic", Image.fromarray(quarters()))

    assert np.abs(read_image(tmp_path / "a.heic")[:, :, ::-1].astype(int) - quarters()).mean() < 6


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_is_upright_and_keeps_its_exif(tmp_path: Path, orientation: int) -> None:
    exif = photo_exif()
    exif[0x0112] = orientation
    save_heic(tmp_path / "a.heic", Image.fromarray(quarters()), exif=exif.tobytes())

    picture = read_picture(tmp_path / "a.heic")

    turned = {1: quarters(), 3: quarters()[::-1, ::-1]}
    turned[6] = quarters().transpose(1, 0, 2)[:, ::-1]
    turned[8] = quarters().transpose(1, 0, 2)[::-1]
    assert picture.image.shape == turned[orientation].shape
    assert np.abs(picture.image[:, :, ::-1].astype(int) - turned[orientation]).mean() < 6
    assert b"Camera 1" in picture.metadata.of_painting(10, 10).exif


def test_the_profile_of_heic_counts(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), (200, 100, 50))
    image.info["icc_profile"] = make_profile(PRIMARIES[12], srgb_curve)
    save_heic(tmp_path / "a.heic", image)

    # Display P3 in sRGB, by the matrix of CSS Color 4.
    assert np.abs(read_image(tmp_path / "a.heic")[32, 32, ::-1].astype(int) - (215, 93, 31)).max() <= 4


def test_jpeg_xl_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    Image.fromarray(quarters()).save(tmp_path / "a.jxl", lossless=True)
    Image.fromarray(quarters()).save(tmp_path / "turned.jpg", exif=photo_exif(), quality=95)
    with Image.open(tmp_path / "turned.jpg") as image:
        image.save(tmp_path / "turned.jxl", lossless_jpeg=False, lossless=True)

    assert (read_image(tmp_path / "a.jxl")[:, :, ::-1] == quarters()).all()
    assert b"Maker" in read_picture(tmp_path / "turned.jxl").metadata.exif


@pytest.mark.parametrize(
    ("name", "head", "package", "words"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic", "pillow_heif", "is HEIC, for which .* pip install pillow-heif"),
        ("a.jxl", b"\xff\x0a", "pillow_jxl", "is JPEG XL, for which .* pip install pillow-jxl-plugin"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: bytes, package: str, words: str
) -> None:
    for module in [known for known in sys.modules if known.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(head + bytes(100))

    with pytest.raises(InputError, match=words):
        read_image(tmp_path / name)


def test_what_ffmpeg_writes_is_read(make: Make) -> None:
    source = ("-f", "lavfi", "-i", "color=c=0xc86432:s=64x64", "-frames:v", "1")
    for name in ("a.png", "a.jp2", "a.tiff", "a.webp", "a.bmp", "a.ppm", "a.tga", "a.pgm"):
        found = read_image(make(name, *source))
        assert found.shape == (64, 64, 3), name
        if name != "a.pgm":
            assert np.abs(found[32, 32, ::-1].astype(int) - (200, 100, 50)).max() <= 14, name


@pytest.mark.parametrize("kind", [("gbrpf32le",), ("gbrapf32le", "-format", "half", "-compression", "zip16")])
def test_open_exr_is_shown_as_ffmpeg_shows_its_light(make: Make, ffmpeg: str, kind: tuple[str, ...]) -> None:
    path = make("a.exr", "-f", "lavfi", "-i", "testsrc2=s=96x64", "-frames:v", "1", "-pix_fmt", *kind)

    found = read_image(path)

    curve = ("-apply_trc", "iec61966_2_1", "-i", "{}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    right = np.frombuffer(ask(path, ffmpeg, "-v", "error", *curve), np.uint8).reshape(64, 96, 3)
    assert np.abs(found[:, :, ::-1].astype(int) - right).max() <= 2


def test_what_is_transparent_in_open_exr_is_laid_over_white(make: Make) -> None:
    path = make("a.exr", "-f", "lavfi", "-i", "color=red@0:s=64x64,format=rgba,format=gbrapf32le", "-frames:v", "1")

    picture = read_picture(path)

    assert picture.image.min() == 255
    assert picture.left_out == ("transparency",)


def test_radiance_hdr_is_linear_light_and_its_highlights_are_clipped(tmp_path: Path) -> None:
    light = np.repeat(np.array([0.214, 1, 8], np.float32)[None, :, None], 16, 0).repeat(16, 1).repeat(3, 2)
    cv2.imwrite(str(tmp_path / "a.hdr"), light)

    # A linear 0.214 is half of sRGB's scale.
    assert np.abs(read_image(tmp_path / "a.hdr")[8, 8::16, 1].astype(int) - (127, 255, 255)).max() <= 2


def test_floats_with_highlights_keep_their_white(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None], 64, 0)
    ramp[:4] = 20
    ramp[4:6] = -0.01
    Image.fromarray(ramp).save(tmp_path / "grey.tif")
    cv2.imwrite(str(tmp_path / "color.tif"), np.dstack([ramp] * 3))

    for name in ("grey.tif", "color.tif"):
        found = read_image(tmp_path / name)[..., 1].astype(int)
        assert np.abs(found[32] - np.linspace(0, 255, 64)).max() <= 1, name
        assert (found[0, 0], found[5, 0]) == (255, 0), name
