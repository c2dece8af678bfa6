"""Colour management, metadata, orientation and transparency of image files, judged by Pillow."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from livestyle.media.images import Metadata, decode_picture, read_image, read_picture, write_image
from livestyle.media.images.profiles import ADOBE_RGB, PRIMARIES, gamma_curve, make_profile, srgb_curve

P3 = make_profile(PRIMARIES[12], srgb_curve)
# Display P3 in sRGB by the published matrix (CSS Color 4): colours inside the gamut of both.
P3_COLORS = {(200, 100, 50): (215, 93, 31), (128, 128, 128): (128, 128, 128), (60, 120, 180): (30, 122, 185)}


def colors() -> np.ndarray:
    """Patches of P3_COLORS, uint8 [32, 96, 3] RGB."""
    return np.repeat(np.repeat(np.array([list(P3_COLORS)], np.uint8), 32, 0), 32, 1)


def expected() -> np.ndarray:
    """The same in sRGB."""
    return np.repeat(np.repeat(np.array([list(P3_COLORS.values())], np.uint8), 32, 0), 32, 1)


def centres(image: np.ndarray) -> np.ndarray:
    """RGB of each patch, as int."""
    return image[16, 16::32, ::-1].astype(int)


@pytest.mark.parametrize("name", ["p3.jpg", "p3.png", "p3.webp", "p3.tif", "p3.avif"])
def test_an_embedded_profile_is_converted_to_srgb(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = (
        {"lossless": True} if name == "p3.webp" else {} if name.endswith(("png", "tif")) else {"quality": 100}
    )
    Image.fromarray(colors()).save(tmp_path / name, icc_profile=P3, **options)

    found = centres(read_image(tmp_path / name))

    assert np.abs(found - centres(expected()[:, :, ::-1])).max() <= 3


def test_the_profile_of_jpeg_2000_counts(tmp_path: Path) -> None:
    Image.fromarray(colors()).save(tmp_path / "p3.jp2")
    data = (tmp_path / "p3.jp2").read_bytes()
    # In place of the enumerated colour space stands a restricted profile; the box jp2h around it grows.
    old = data.index(b"colr") - 4
    size, head = int.from_bytes(data[old : old + 4]), data.index(b"jp2h") - 4
    box = struct.pack(">I4s3B", 11 + len(P3), b"colr", 2, 0, 0) + P3
    grown = struct.pack(">I", int.from_bytes(data[head : head + 4]) + len(box) - size)
    (tmp_path / "p3.jp2").write_bytes(data[:head] + grown + data[head + 4 : old] + box + data[old + size :])

    found = centres(read_image(tmp_path / "p3.jp2"))

    assert np.abs(found - centres(expected()[:, :, ::-1])).max() <= 3


def test_the_conversion_is_that_of_little_cms(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png", icc_profile=P3)
    profile = ImageCms.ImageCmsProfile(BytesIO(P3))
    right = ImageCms.profileToProfile(
        Image.fromarray(noise),
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )

    assert np.abs(read_image(tmp_path / "a.png")[:, :, ::-1].astype(int) - np.asarray(right)).max() <= 1


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(colors()).save(tmp_path / "a.png", icc_profile=profile)

    assert (read_image(tmp_path / "a.png")[:, :, ::-1] == colors()).all()


def test_transparency_goes_through_the_profile(tmp_path: Path) -> None:
    image = Image.fromarray(colors()).convert("RGBA")
    image.putalpha(Image.fromarray(np.full((32, 96), 255, np.uint8)))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(tmp_path / "a.png", icc_profile=P3)

    found = read_image(tmp_path / "a.png")

    assert np.abs(centres(found) - centres(expected()[:, :, ::-1])).max() <= 2
    assert found[0, 0].tolist() == [255] * 3


def test_grey_and_cmyk_have_profiles_too(tmp_path: Path) -> None:
    # A grey ramp of linear light: value 128 of it is 188 in sRGB.
    grey = _grey_profile(1.0)
    Image.new("L", (64, 64), 128).save(tmp_path / "grey.png", icc_profile=grey)
    Image.new("LA", (64, 64), (128, 255)).save(tmp_path / "alpha.png", icc_profile=grey)
    Image.new("CMYK", (64, 64), (255, 0, 0, 0)).save(tmp_path / "cyan.jpg", quality=95)

    assert np.abs(read_image(tmp_path / "grey.png").astype(int) - 188).max() <= 1
    assert np.abs(read_image(tmp_path / "alpha.png").astype(int) - 188).max() <= 1
    assert np.abs(read_image(tmp_path / "cyan.jpg")[32, 32].astype(int) - [255, 255, 0]).max() <= 3


def _grey_profile(gamma: float) -> bytes:
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"g\0" + bytes(78)),
        (b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)),
        (b"kTRC", b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"),
    ]
    index, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        index += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(index + body), b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + index + body


def chunked(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with chunks behind its header."""
    new = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return data[:33] + new + data[33:]


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_png_states_its_colours_in_other_ways() -> None:
    plain = png(Image.fromarray(colors()))
    p3 = decode_picture(chunked(plain, (b"cICP", bytes([12, 13, 0, 1]))), Path("a.png"))
    linear = decode_picture(
        chunked(png(Image.new("RGB", (8, 8), (128,) * 3)), (b"gAMA", struct.pack(">I", 100000))), Path()
    )
    usual = decode_picture(chunked(plain, (b"gAMA", struct.pack(">I", 45455))), Path())

    assert np.abs(centres(p3.image) - centres(expected()[:, :, ::-1])).max() <= 2
    assert np.abs(linear.image.astype(int) - 188).max() <= 1
    assert (usual.image[:, :, ::-1] == colors()).all()


def test_adobe_rgb_of_cameras_is_known_by_exif_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    Image.new("RGB", (64, 64), (100, 200, 100)).save(tmp_path / "_DSC1.jpg", exif=exif, quality=100)
    Image.new("RGB", (64, 64), (100, 200, 100)).save(
        tmp_path / "same.png", icc_profile=make_profile(ADOBE_RGB, gamma_curve(563 / 256))
    )

    found, same = (read_image(tmp_path / name)[32, 32].astype(int) for name in ("_DSC1.jpg", "same.png"))

    assert np.abs(found - same).max() <= 3
    assert found[2] < 80


def test_a_damaged_profile_is_left_out_and_named(tmp_path: Path) -> None:
    Image.fromarray(colors()).save(tmp_path / "a.png", icc_profile=b"no profile" * 20)

    picture = read_picture(tmp_path / "a.png")

    assert (picture.image[:, :, ::-1] == colors()).all()
    assert picture.left_out == ("a damaged colour profile",)


def photo_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F], exif[0x0110] = "Maker", "Camera 1"
    exif[0x8769] = {0x9003: "2026:05:01 12:30:45", 0x829A: 1 / 250, 0xA002: 96, 0xA003: 32}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 0.0), 3: "E", 4: (11.0, 34.0, 0.0)}
    return exif


@pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.webp", "out.tif", "out.avif"])
@pytest.mark.parametrize("source", ["in.jpg", "in.png", "in.webp", "in.tif"])
def test_exif_is_kept_but_for_the_orientation(tmp_path: Path, source: str, target: str) -> None:
    if source == "in.tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, value in photo_exif().items():
            tags[tag] = value
        Image.fromarray(colors()).save(tmp_path / source, tiffinfo=tags)
    else:
        Image.fromarray(colors()).save(tmp_path / source, exif=photo_exif())

    picture = read_picture(tmp_path / source)
    left_out = write_image(tmp_path / target, picture.image, picture.metadata)

    assert picture.image.shape == (96, 32, 3)
    with Image.open(tmp_path / target) as written:
        exif = written.getexif()
        assert written.size == (32, 96)
        assert exif.get(0x0112, 1) == 1
        assert (exif[0x010F], exif[0x0110]) == ("Maker", "Camera 1")
        details, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
        assert details[0x9003] == "2026:05:01 12:30:45"
        assert float(details[0x829A]) == pytest.approx(1 / 250)
        assert (details[0xA001], details[0xA002], details[0xA003]) == (1, 32, 96)
        assert [float(n) for n in place[2]] == [48.0, 8.0, 0.0]
        assert (np.asarray(ImageOps.exif_transpose(written)).shape) == (96, 32, 3)
    assert left_out == []


def test_what_a_format_cannot_carry_is_named(tmp_path: Path) -> None:
    metadata = Metadata(photo_exif().tobytes(), b"<x:xmpmeta/>", b"Photoshop 3.0\0", (("parameters", "a cat"),))
    image = np.zeros((64, 64, 3), np.uint8)

    assert write_image(tmp_path / "a.bmp", image, metadata) == ["EXIF", "XMP", "IPTC", "PNG texts"]
    assert write_image(tmp_path / "a.jpg", image, metadata) == ["PNG texts"]
    assert write_image(tmp_path / "a.png", image, metadata) == ["IPTC"]


def test_texts_titles_and_print_size_are_kept(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat, 20 steps")
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6" dc:title="Cat"/>')
    Image.fromarray(colors()).save(tmp_path / "a.png", pnginfo=info, dpi=(300, 300))
    picture = read_picture(tmp_path / "a.png")

    write_image(tmp_path / "b.png", picture.image, picture.metadata)
    write_image(tmp_path / "b.jpg", picture.image, picture.metadata)

    with Image.open(tmp_path / "b.png") as written:
        assert written.info["parameters"] == "a cat, 20 steps"
        assert b'tiff:Orientation="1"' in written.info["xmp"]
        assert round(written.info["dpi"][0]) == 300
    with Image.open(tmp_path / "b.jpg") as written:
        assert b'dc:title="Cat"' in written.info["xmp"]
        assert written.info["dpi"] == (300, 300)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGB", "a.jpg"), *((mode, f"a.{kind}") for mode in ("RGB", "RGBA") for kind in ("png", "webp", "tif", "avif"))],
)
def test_an_image_is_upright_whatever_its_format(tmp_path: Path, mode: str, name: str, orientation: int) -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:20, :40], pixels[:20, 40:], pixels[20:, :40] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    image = Image.fromarray(pixels).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(np.where(pixels.any(2), np.uint8(255), np.uint8(0))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / name, exif=exif)
    shown = pixels if mode == "RGB" else np.where(pixels.any(2, keepdims=True), pixels, np.uint8(255))
    # As EXIF 2.32 defines them: where the row 0 and the column 0 lie.
    right = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: shown.transpose(1, 0, 2)[:, ::-1],
        7: shown.transpose(1, 0, 2)[::-1, ::-1],
        8: shown.transpose(1, 0, 2)[::-1],
    }[orientation]

    found = read_image(tmp_path / name)[:, :, ::-1]

    assert found.shape == right.shape
    assert np.abs(found.astype(int) - right).mean() < 8


def test_transparent_colours_are_laid_over_white(tmp_path: Path) -> None:
    grey = Image.new("L", (64, 64), 90)
    grey.paste(200, (0, 0, 32, 64))
    grey.save(tmp_path / "grey.png", transparency=90)
    grey.convert("RGB").save(tmp_path / "color.png", transparency=(90, 90, 90))
    grey.convert("P").save(tmp_path / "palette.png", transparency=90)
    grey.convert("P").save(tmp_path / "palette.gif", transparency=90)
    deep = np.full((64, 64), 1000, np.uint16)
    deep[:, :32] = 51400
    plain = cv2.imencode(".png", deep)[1].tobytes()
    (tmp_path / "deep.png").write_bytes(chunked(plain, (b"tRNS", struct.pack(">H", 1000))))
    plain = cv2.imencode(".png", np.dstack([deep] * 3))[1].tobytes()
    (tmp_path / "deep color.png").write_bytes(chunked(plain, (b"tRNS", struct.pack(">HHH", 1000, 1000, 1000))))
    Image.new("1", (64, 64), 0).save(tmp_path / "bits.png", transparency=0)

    for name in ("grey.png", "color.png", "palette.png", "palette.gif", "deep.png", "deep color.png"):
        picture = read_picture(tmp_path / name)
        assert picture.image[32, 48].tolist() == [255] * 3, name
        assert picture.image[32, 16].tolist() == [200] * 3, name
        assert picture.left_out == ("transparency",), name
    assert (read_image(tmp_path / "bits.png") == 255).all()


def test_16_bits_become_8(tmp_path: Path) -> None:
    deep = np.repeat(np.arange(0, 65536, 256, dtype=np.uint16)[None], 64, 0)
    for name, image in (("grey.png", deep), ("color.png", np.dstack([deep] * 3)), ("color.tif", np.dstack([deep] * 3))):
        cv2.imwrite(str(tmp_path / name), image)
        assert np.abs(read_image(tmp_path / name)[0, :, 0].astype(int) - np.arange(256)).max() <= 1, name


def test_floats_are_read(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None], 64, 0)
    Image.fromarray(ramp).save(tmp_path / "grey.tif")
    cv2.imwrite(str(tmp_path / "color.tif"), np.dstack([ramp] * 3))
    Image.fromarray(ramp * 1000 - 200).save(tmp_path / "range.tif")

    for name in ("grey.tif", "color.tif", "range.tif"):
        found = read_image(tmp_path / name)[0, :, 1].astype(int)
        assert np.abs(found - np.linspace(0, 255, 64)).max() <= 1, name
