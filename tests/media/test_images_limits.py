"""Pictures that strangers made: memory is bounded before it is spent, and what is no file is not read."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from livestyle.errors import InputError, StyleError
from livestyle.media.images import opening, reading
from livestyle.media.images.headers import stated_size
from livestyle.media.images.reading import read_image, read_mask, read_reduced
from livestyle.media.mask import Mask
from livestyle.styles.library import StyleLibrary


def encoded(kind: str, width: int, height: int) -> bytes:
    """An image of one colour."""
    if kind == "JXL":
        pytest.importorskip("pillow_jxl")
    if kind == "HDR":
        return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width) + bytes(4 * width * height)
    if kind == "PAM":
        head = b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" % (width, height)
        return head + bytes(3 * width * height)
    file = BytesIO()
    Image.new("RGB", (width, height), (200, 100, 50)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "JXL", "TIFF", "PPM", "HDR", "PAM"])
@pytest.mark.parametrize("size", [(1, 1), (37, 64), (640, 480), (8, 2000), (4000, 3)])
def test_the_size_of_an_image_is_known_from_its_header(kind: str, size: tuple[int, int]) -> None:
    data = encoded(kind, *size)
    assert stated_size(data) == size
    # Long before its end: a decoder is not asked.
    assert stated_size(data[: max(200, len(data) // 2)] if kind != "TIFF" else data) == size


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0"}, {"lossless": False}])
def test_every_kind_of_webp_states_its_size(options: dict[str, object]) -> None:
    file = BytesIO()
    Image.new("RGBA", (300, 20), (1, 2, 3, 4)).save(file, "WEBP", **options)
    assert stated_size(file.getvalue()) == (300, 20)


@pytest.mark.parametrize("kind", ["I;16B", "F", "big"])
def test_every_kind_of_tiff_states_its_size(tmp_path: Path, kind: str) -> None:
    image = Image.new("F" if kind == "F" else "L", (30, 20))
    image.save(tmp_path / "a.tif", big_tiff=kind == "big")
    assert stated_size((tmp_path / "a.tif").read_bytes()) == (30, 20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "JXL", "TIFF", "HDR", "PAM"])
def test_nothing_is_found_in_a_header_that_is_cut_off(kind: str) -> None:
    data = encoded(kind, 64, 64)
    for length in range(11):
        assert stated_size(data[:length]) is None


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.fixture
def _no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large must not reach a decoder."""

    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(reading, "open_lazily", decode)
    monkeypatch.setattr(reading, "by_opencv", decode)


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize(("read", "side"), [(read_image, 33000), (read_reduced, 12000), (read_mask, 12000)])
def test_an_image_that_is_too_large_is_refused_by_its_header(tmp_path: Path, read: object, side: int) -> None:
    assert callable(read)
    (tmp_path / "a.png").write_bytes(png_header(side, side))
    with pytest.raises(InputError, match=rf"a\.png has {side}x{side} pixels, and \d+ are the most: make it smaller"):
        read(tmp_path / "a.png")


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize("read", [read_image, read_reduced, read_mask])
def test_an_image_for_which_memory_is_short_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    assert callable(read)
    monkeypatch.setattr(opening, "free_bytes", lambda: 100 << 20)
    (tmp_path / "a.png").write_bytes(png_header(8000, 8000))
    with pytest.raises(InputError, match=r"not enough memory for .*a\.png: its 8000x8000 pixels take .* 100 MiB are"):
        read(tmp_path / "a.png")


@pytest.mark.usefixtures("_no_decoder")
@pytest.mark.parametrize("head", [b"RIFF\0\0\0\0WEBPVP8X", b"\xff\x0a"])
def test_a_decoder_that_allocates_at_once_gets_nothing_of_unknown_size(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.png").write_bytes(head)
    with pytest.raises(InputError, match="is not a picture that can be read"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_large_style_is_decoded_in_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(opening, "REDUCED_PIXELS", 200 * 300)
    monkeypatch.setattr(opening, "LEAST_SHORT_SIDE", 64)
    columns = np.repeat(np.linspace(0, 255, 75).astype(np.uint8), 8)
    pixels = np.stack([np.tile(columns, (400, 1))] * 3, -1)
    path = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(pixels).save(path, quality=95)

    found = read_reduced(path)

    assert found.shape == (200, 300, 3)
    assert np.abs(found[100, :, 0].astype(int) - columns[::2]).mean() < 2
    assert read_image(path).shape == pixels.shape


def test_the_transparency_of_a_large_style_is_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "REDUCED_PIXELS", 100)
    monkeypatch.setattr(opening, "LEAST_SHORT_SIDE", 1)
    Image.new("RGBA", (100, 100), (0, 0, 0, 0)).save(tmp_path / "a.png")
    found = read_reduced(tmp_path / "a.png")
    assert found.shape == (10, 10, 3)
    assert (found == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "CMYK"])
def test_a_mask_is_the_luma_of_its_picture_or_its_alpha_channel(tmp_path: Path, mode: str) -> None:
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (70, 90, len(mode)), np.uint8)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(noise.squeeze(), mode).save(path)
    picture = reading.read_picture(path)
    expected = cv2.cvtColor(picture.image, cv2.COLOR_BGR2GRAY) if picture.alpha is None else picture.alpha
    assert np.array_equal(read_mask(path), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process and its peak are those of Linux")
@pytest.mark.parametrize("what", ["style", "mask"])
def test_a_picture_of_64_megapixels_takes_bounded_memory(tmp_path: Path, what: str) -> None:
    Image.new("RGBA", (8000, 8000), (200, 10, 20, 128)).save(tmp_path / "a.png")
    code = """
import sys
from pathlib import Path
from livestyle.media.images import read_mask, read_reduced
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10
import cv2, numpy, PIL.PngImagePlugin
before = peak()
(read_mask if sys.argv[1] == "mask" else read_reduced)(Path(sys.argv[2]))
print(peak() - before)
"""
    answer = subprocess.run([sys.executable, "-c", code, what, tmp_path / "a.png"], check=True, capture_output=True)
    # Of 256 MB, which Pillow takes for the pixels.
    assert int(answer.stdout) < 450


def make(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(40 << 30)


NO_FILES = ("folder", "pipe", "socket", "device", "40.0 GiB|40 GiB")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices have no names there")
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_picture_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, identity_library: StyleLibrary
) -> None:
    # The path of a socket is short.
    monkeypatch.chdir(tmp_path)
    path = Path("a.png")
    make(path, kind)
    for read in (read_image, read_reduced, read_mask):
        with pytest.raises(InputError, match=kind):
            read(path)
    with pytest.raises(StyleError, match=kind):
        identity_library.from_image(path)
    with pytest.raises(InputError, match=rf"{kind}|the mask a\.png is no file"):
        Mask(path)


def test_a_file_of_zeros_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(reading.MOST_SPARE_BYTES)
    monkeypatch.setattr(reading, "_decode", lambda *_: pytest.fail("read"))
    with pytest.raises(InputError, match="is not a picture that can be read"):
        read_reduced(tmp_path / "a.png")
