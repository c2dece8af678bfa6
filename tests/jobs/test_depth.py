"""Sources of 10 bits and more, and what is kept of them; judged by ffmpeg and ffprobe."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from livestyle import Look, Renderer, Style, Stylizer
from livestyle.media.depth import dithered, eight_bits, sixteen_bits
from livestyle.media.images.profiles import ADOBE_RGB, PRIMARIES, gamma_curve, make_profile, srgb_curve
from livestyle.media.video import codecs
from livestyle.render.color import keep_colors
from tests.ffmpeg import Make, ask, stream
from tests.program import IDENTITY, livestyle

PLAIN = ("--model", IDENTITY, "--style", "dusk", "--strength", "0", "--device", "cpu")
WIDTH, HEIGHT = 1024, 64
LOSSLESS = ("-c:v", "ffv1")


def ramp(make: Make, name: str, pixel_format: str, low: int, high: int, *more: str) -> Path:
    """A film of two frames whose luma goes from left to right, in one code of 10 or 12 bits after the other."""
    grey = 2 ** (9 if "10" in pixel_format else 11)
    luma = f"geq=lum='{low}+X*{high - low}/{WIDTH - 1}':cb={grey}:cr={grey}"
    picture = f"color=black:s={WIDTH}x{HEIGHT}:r=25:d=0.08,format={pixel_format},{luma}"
    return make(name, "-f", "lavfi", "-i", picture, *LOSSLESS, *more)


def luma(path: Path, pixel_format: str = "yuv420p10le") -> np.ndarray:
    """Luma of the first frame as ffmpeg decodes it: int [H, W]."""
    raw = ("-frames:v", "1", "-f", "rawvideo", "-pix_fmt", pixel_format, "-")
    data = np.frombuffer(ask(path, "ffmpeg", "-v", "error", "-i", "{}", *raw), np.uint16)
    return data[: WIDTH * HEIGHT].reshape(HEIGHT, WIDTH).astype(int)


def imread(path: str) -> np.ndarray:
    """Pixels of a picture as OpenCV has them, with their depth and alpha channel."""
    found = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found


def paint(*arguments: Any, code: int = 0, verb: str = "video") -> str:
    done = livestyle(verb, *arguments, *PLAIN)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "options", "pixel_format", "error"),
    [
        ("o.mp4", (), "yuv420p10le", 3),
        ("o.mp4", ("--codec", "hevc"), "yuv420p10le", 3),
        ("o.webm", ("--codec", "av1"), "yuv420p10le", 3),
        ("o.mov", ("--codec", "prores"), "yuv422p10le", 1),
    ],
)
def test_10_bits_come_out_as_10(
    make: Make, tmp_path: Path, name: str, options: tuple[str, ...], pixel_format: str, error: int
) -> None:
    source = ramp(make, "ten.mkv", "yuv420p10le", 64, 940)

    paint(source, "-o", tmp_path / name, *options)

    assert stream(tmp_path / name)["pix_fmt"] == pixel_format
    found = luma(tmp_path / name)
    assert len(np.unique(found)) > 800
    assert np.abs(found - luma(source)).max() <= error


@pytest.mark.parametrize("full", [False, True])
def test_nothing_is_lost_on_the_way_through(make: Make, tmp_path: Path, full: bool) -> None:
    low, high = (0, 1023) if full else (64, 940)
    tags = ("-color_range", "pc" if full else "tv", "-colorspace", "bt709")
    source = ramp(make, "ten.mkv", "yuv420p10le", low, high, *tags)

    paint(source, "-o", tmp_path / "o.mkv", "--crf", "0")

    assert stream(tmp_path / "o.mkv")["color_range"] == ("pc" if full else "tv")
    assert np.array_equal(luma(tmp_path / "o.mkv"), luma(source))


def test_white_is_white_in_pictures(make: Make, tmp_path: Path) -> None:
    source = ramp(make, "ten.mkv", "yuv420p10le", 64, 940)

    for name in ("g_%d.png", "g_%d.tiff"):
        paint(source, "-o", tmp_path / name)
        raw = ("-f", "rawvideo", "-pix_fmt", "rgb48le", "-")
        data = ask(tmp_path / name.replace("%d", "1"), "ffmpeg", "-v", "error", "-i", "{}", *raw)
        found = np.frombuffer(data, np.uint16).reshape(HEIGHT, WIDTH, 3)
        assert len(np.unique(found)) == 877
        assert (found[0, 0].tolist(), found[0, -1].tolist()) == ([0, 0, 0], [65535] * 3)
        expected = (luma(source)[0] - 64) / 876 * 65535
        assert np.abs(found[0] - expected[:, None]).max() < 257


def test_pictures_of_16_bits_become_a_film_of_10_and_pictures_of_16(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, WIDTH).astype(np.uint16)
    (tmp_path / "f").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "f" / f"{number}.png"), np.tile(values[None, :, None], (HEIGHT, 1, 3)))

    said = paint(tmp_path / "f", "-o", tmp_path / "o.mkv", "--codec", "hevc", "--json")
    paint(tmp_path / "f", "-o", tmp_path / "g_%d.tif")

    found = luma(tmp_path / "o.mkv")[0]
    assert len(np.unique(found)) > 800
    assert np.abs(found - (64 + values / 65535 * 876)).max() <= 3
    assert any("has 10 of its source's 16 bits" in note for note in json.loads(said.splitlines()[0])["notes"])
    back = imread(str(tmp_path / "g_1.tif"))
    assert back.dtype == np.uint16
    assert np.array_equal(back[0, :, 1], values)


def test_12_bits_become_10_and_8_if_asked_for(make: Make, tmp_path: Path) -> None:
    source = ramp(make, "twelve.mkv", "yuv420p12le", 256, 3760)

    ten = paint(source, "-o", tmp_path / "ten.mp4", "--codec", "hevc", "--dry-run", "--json")
    eight = paint(source, "-o", tmp_path / "eight.mp4", "--bits", "8", "--json")

    assert json.loads(ten.splitlines()[0])["converted"] == ["12 bits as 10"]
    assert stream(tmp_path / "eight.mp4")["pix_fmt"] == "yuv420p"
    assert json.loads(eight.splitlines()[0])["notes"] == []


def test_8_bits_stay_8_unless_10_are_asked_for(make: Make, tmp_path: Path) -> None:
    source = make("a.mp4", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2", "-c:v", "libx264", "-pix_fmt", "yuv420p")

    paint(source, "-o", tmp_path / "eight.mp4")
    paint(source, "-o", tmp_path / "ten.mp4", "--bits", "10", "--codec", "hevc")

    assert stream(tmp_path / "eight.mp4")["pix_fmt"] == "yuv420p"
    assert stream(tmp_path / "ten.mp4")["pix_fmt"] == "yuv420p10le"


def test_a_depth_that_a_target_lacks_is_said_or_refused(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ramp(make, "ten.mkv", "yuv420p10le", 64, 940)
    # As where libvpx was built without high bit depth; others have it.
    monkeypatch.setitem(codecs._SOFTWARE, "vp9", "libvpx")

    assert "has 8 of its source's 10 bits" in paint(source, "-o", tmp_path / "o.gif")
    for name, options in (("o.webm", ("10",)), ("o.gif", ("10",)), ("g_%d.jpg", ("16",)), ("o.mp4", ("16",))):
        assert "(--bits)" in paint(source, "-o", tmp_path / name, "--bits", *options, code=1)
    assert "choose one of auto, 8, 10, 16" in paint(source, "-o", tmp_path / "o.mp4", "--bits", "9", code=1)


def test_10_bits_in_h264_are_warned_of(make: Make, tmp_path: Path) -> None:
    source = ramp(make, "ten.mkv", "yuv420p10le", 64, 940)

    assert paint(source, "-o", tmp_path / "a.mp4").count("which few players show") == 1
    assert "few players" not in paint(source, "-o", tmp_path / "b.mp4", "--codec", "hevc")
    assert "few players" not in paint(source, "-o", tmp_path / "c.mp4", "--bits", "10")


def test_transparency_of_10_bits_is_laid_over_white(make: Make, tmp_path: Path) -> None:
    half = f"color=black:s={WIDTH}x{HEIGHT}:r=25:d=0.08,format=yuva444p10le"
    see_through = f"{half},geq=lum=64:cb=512:cr=512:a='X*1023/{WIDTH - 1}'"
    source = make("alpha.mov", "-f", "lavfi", "-i", see_through, "-c:v", "prores_ks", "-profile:v", "4444")

    paint(source, "-o", tmp_path / "o.mov", "--codec", "prores")

    found = luma(tmp_path / "o.mov")[HEIGHT // 2]
    expected = 940 - np.arange(WIDTH) / (WIDTH - 1) * 876
    assert np.abs(found - expected).max() <= 6
    assert len(np.unique(found)) > 600


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_hdr_keeps_10_bits_mapped_or_not(make: Make, tmp_path: Path, mode: str) -> None:
    tags = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
    source = ramp(make, "hdr.mkv", "yuv420p10le", 64, 600, *tags)

    paint(source, "-o", tmp_path / "o.mkv", "--crf", "0", "--tone-map", mode)

    video, found = stream(tmp_path / "o.mkv"), luma(tmp_path / "o.mkv")
    assert video["pix_fmt"] == "yuv420p10le"
    assert video["color_transfer"] == ("bt709" if mode == "auto" else "smpte2084")
    assert len(np.unique(found)) > 400
    if mode == "off":
        assert np.array_equal(found, luma(source))


def test_an_interrupted_film_of_10_bits_is_the_same(make: Make, tmp_path: Path) -> None:
    source = ramp(make, "ten.mkv", "yuv420p10le", 64, 940)

    paint(source, "-o", tmp_path / "a.mp4")
    piped = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.mp4"), "-f", "md5", "-"], capture_output=True, check=True
    ).stdout
    paint(source, "-o", tmp_path / "b.mp4")

    again = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "b.mp4"), "-f", "md5", "-"]
    assert subprocess.run(again, capture_output=True, check=True).stdout == piped


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_a_picture_of_16_bits_stays_one(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    values = np.arange(64 * 96 * 3, dtype=np.uint16).reshape(64, 96, 3) * 3
    data = cv2.imencode(".png", values)[1].tobytes()
    described = cv2.imencode(".png", values)[1].tobytes()[:33]
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    (tmp_path / "a.png").write_bytes(described + chunk + data[33:])
    target = tmp_path / f"b.{suffix}"

    plan = paint(tmp_path / "a.png", "-o", target, "--dry-run", "--json", verb="image")
    paint(tmp_path / "a.png", "-o", target, verb="image")

    record = json.loads(plan.splitlines()[0])
    assert (record["kept"], record["converted"]) == (["EXIF", "16 bits"], [])
    back = imread(str(target))
    assert back.dtype == np.uint16
    assert np.array_equal(back, values)
    with Image.open(target) as image:
        assert image.getexif()[0x010F] == "Maker"
    if suffix == "tiff":
        with TiffImagePlugin.TiffImageFile(target) as image:
            assert image.tag_v2[258] == (16, 16, 16)


def test_a_picture_of_16_bits_as_8(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 40000, np.uint16))

    as_jpeg = paint(tmp_path / "a.png", "-o", tmp_path / "a.jpg", "--json", verb="image")
    asked = paint(tmp_path / "a.png", "-o", tmp_path / "b.png", "--bits", "8", "--json", verb="image")

    assert json.loads(as_jpeg.splitlines()[0])["notes"] == ["16 bits as 8"]
    assert json.loads(asked.splitlines()[0])["notes"] == []
    assert imread(str(tmp_path / "b.png")).dtype == np.uint8
    assert "(--bits)" in paint(tmp_path / "a.png", "-o", tmp_path / "c.jpg", "--bits", "16", code=1, verb="image")


def test_transparency_of_16_bits_is_kept(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    values = np.zeros((64, 96, 4), np.uint16)
    values[:, :, :3], values[:, :, 3] = (1000, 30000, 60000), np.linspace(20000, 65535, 96).astype(np.uint16)
    for number in range(3):
        cv2.imwrite(str(tmp_path / "f" / f"{number}.png"), values)

    for name in ("g_%d.png", "g_%d.tiff"):
        paint(tmp_path / "f", "-o", tmp_path / name, "--alpha")
        found = imread(str(tmp_path / name.replace("%d", "1")))
        assert found.dtype == np.uint16
        assert np.array_equal(found[:, :, 3], values[:, :, 3])
        assert np.abs(found[:, :, :3].astype(int) - values[:, :, :3]).max() <= 3


@pytest.fixture(scope="module")
def deep_frame() -> np.ndarray:
    """Coloured and smooth, 16 bits: uint16 [96, 256, 3]."""
    across = np.linspace(5000, 60000, 256)
    down = np.linspace(0, 3000, 96)[:, None]
    return np.dstack([across + down, across[::-1] + down, np.full((96, 256), 20000)]).astype(np.uint16)


def test_a_painting_is_8_bits_dithered(identity: Stylizer, dusk: Style, deep_frame: np.ndarray) -> None:
    painted = Renderer(identity).render(deep_frame, Look(dusk))
    eight = Renderer(identity).render(eight_bits(deep_frame), Look(dusk))

    assert painted.dtype == np.uint16
    assert np.array_equal(eight_bits(painted), eight)
    assert len(np.unique(painted)) > 4 * len(np.unique(eight))


def test_what_a_mask_leaves_has_its_full_depth(identity: Stylizer, dusk: Style, deep_frame: np.ndarray) -> None:
    class Right:
        def at(self, time: object, width: int, height: int) -> np.ndarray:
            mask = np.zeros((height, width), np.uint8)
            mask[:, width // 2 :] = 255
            return mask

    painted = Renderer(identity).render(deep_frame, Look(dusk, mask=Right()))

    assert np.array_equal(painted[:, :128], deep_frame[:, :128])
    assert not np.array_equal(painted[:, 128:], deep_frame[:, 128:])


def test_colours_that_are_kept_have_their_full_depth(identity: Stylizer, dusk: Style, deep_frame: np.ndarray) -> None:
    look = Look(dusk, color="content")  # type: ignore[arg-type]

    painted = Renderer(identity).render(deep_frame, look)
    eight = Renderer(identity).render(eight_bits(deep_frame), look)

    assert np.abs(eight_bits(painted).astype(int) - eight).max() <= 2
    assert np.array_equal(keep_colors(deep_frame, deep_frame), deep_frame)
    # Differences of colours take other values than those of 8 bits, which are multiples of 257.
    chroma = (painted[:, :, 0].astype(int) - painted[:, :, 2]) % 257
    assert len(np.unique(chroma)) > 200


def test_a_faint_frame_fades_in_its_full_depth(identity: Stylizer, dusk: Style) -> None:
    faint = np.tile(np.linspace(3000, 4000, 256).astype(np.uint16)[None, :, None], (96, 1, 3))

    painted = Renderer(identity).render(faint, Look(dusk))
    eight = Renderer(identity).render(eight_bits(faint), Look(dusk))

    assert np.abs(painted.astype(int) - eight.astype(int) * 257).max() < 3 * 257
    assert len(np.unique(painted)) > 100


def test_a_dither_is_below_a_level_and_leaves_black_and_white() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(64 * 3).reshape(256, 64, 3)

    found = dithered(image).astype(int)

    assert np.array_equal(eight_bits(dithered(image)), image)
    assert np.abs(found - sixteen_bits(image)).max() <= 128
    assert (found[0].max(), found[-1].min()) == (0, 65535)
    assert abs(dithered(np.full((32, 32, 3), 100, np.uint8)).mean() - 100 * 257) < 1


def test_light_of_renderers_has_more_than_8_bits(make: Make, tmp_path: Path) -> None:
    grey = f"geq=lum='X*65535/{WIDTH - 1}'"
    picture = f"color=black:s={WIDTH}x{HEIGHT},format=gray16le,{grey},format=gbrpf32le"
    make("f_1.exr", "-f", "lavfi", "-i", picture, "-frames:v", "1")
    for number in (2, 3):
        (tmp_path / f"f_{number}.exr").write_bytes((tmp_path / "f_1.exr").read_bytes())

    paint(tmp_path / "f_%d.exr", "-o", tmp_path / "o.mkv", "--codec", "hevc")

    assert stream(tmp_path / "o.mkv")["pix_fmt"] == "yuv420p10le"
    # 8 bits have a quarter of the codes in this range.
    found = luma(tmp_path / "o.mkv")
    assert len(np.unique(found)) > (found.max() - found.min()) * 0.9


@pytest.mark.parametrize("curve", ["power", "table", "parametric"])
def test_16_bits_with_a_profile_are_converted_in_16(tmp_path: Path, curve: str) -> None:
    profile = {
        "power": make_profile(ADOBE_RGB, gamma_curve(2.2)),
        "table": make_profile(PRIMARIES[12], srgb_curve),
        "parametric": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }[curve]
    if curve == "parametric":
        # littleCMS's own sRGB has a parametric curve; with red and blue exchanged it is another profile.
        profile = profile.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
    across = np.linspace(3000, 62000, 512).astype(np.uint16)
    values = np.dstack([np.tile(row, (64, 1)) for row in (across, across[::-1], np.full(512, 30000, np.uint16))])
    data = cv2.imencode(".png", values)[1].tobytes()
    block = b"p\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(block)) + b"iCCP" + block + struct.pack(">I", zlib.crc32(b"iCCP" + block))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])

    paint(tmp_path / "a.png", "-o", tmp_path / "deep.png", verb="image")
    paint(tmp_path / "a.png", "-o", tmp_path / "eight.png", "--bits", "8", verb="image")

    deep, eight = imread(str(tmp_path / "deep.png")), imread(str(tmp_path / "eight.png"))
    assert (deep.itemsize, eight.itemsize) == (2, 1)
    # A level of 8 bits before the conversion is several behind it where it is dark.
    difference = np.abs(deep / 257 - eight)
    assert (difference.mean() < 0.6, difference.max() <= 4) == (True, True)
    assert len(np.unique(deep[:, :, 1])) > 400
