"""Videos that strangers made: frames that are too large are refused by what the file says, and by the decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from livestyle.errors import InputError
from livestyle.media.capture.jpegs import JpegDecoder
from livestyle.media.images import read_picture
from livestyle.media.video import animation, tracks
from livestyle.media.video.reader import VideoReader
from tests.batches import H264, lavfi
from tests.ffmpeg import Make


@pytest.fixture
def clip(make: Make) -> Path:
    return make("a.mp4", *lavfi(3), *H264)


def test_a_video_of_too_large_frames_is_refused(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "MOST_FRAME_PIXELS", 64 * 64 - 1)
    with pytest.raises(InputError, match=r"a\.mp4 has 64x64 pixels, and 4095 are the most: make it smaller"):
        VideoReader(clip)


def test_a_video_for_which_memory_is_short_is_refused(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "_CHECKED_BYTES", 0)
    monkeypatch.setattr(tracks, "free_bytes", lambda: 1000)
    with pytest.raises(
        InputError, match=r"not enough memory for the video in .*: its frames of 64x64 take .*1000 bytes"
    ):
        VideoReader(clip)


def test_the_decoder_refuses_frames_that_are_larger_than_the_file_says(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracks, "LIMITS", {"max_pixels": "1000"})
    with pytest.raises(InputError, match=r"no frame of .* can be decoded"):
        VideoReader(clip)


def test_a_jpeg_of_a_camera_that_is_too_large_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (200, 200)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    assert len(JpegDecoder()(data)) == 1
    monkeypatch.setattr("livestyle.media.capture.jpegs.LIMITS", {"max_pixels": "10000"})
    assert JpegDecoder()(data) == []


def test_an_animation_that_fills_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [Image.new("RGB", (300, 200), (shade, 0, 0)) for shade in (0, 100, 200)]
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:])
    assert len(animation.read_webp(tmp_path / "a.webp")) == 3
    monkeypatch.setattr(animation, "MOST_WEBP_BYTES", 3 * 300 * 200 * 4 - 1)
    monkeypatch.setattr("cv2.imdecodeanimation", lambda *_: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"a\.webp has 3 frames of 300x200, which take more than .* of memory"):
        animation.read_webp(tmp_path / "a.webp")


@pytest.mark.parametrize("length", [13, 17, 20, 21, 30, 40])
def test_an_animation_that_is_cut_off_is_no_video(tmp_path: Path, length: int) -> None:
    for kind in ("WEBP", "GIF"):
        Image.new("RGB", (9, 9)).save(
            tmp_path / "a", kind, save_all=True, append_images=[Image.new("RGB", (9, 9), (9, 9, 9))], loop=3
        )
        (tmp_path / "cut").write_bytes((tmp_path / "a").read_bytes()[:length])
        with pytest.raises(InputError, match="cut"):
            VideoReader(tmp_path / "cut")


def test_the_depth_of_an_image_is_found_at_once(tmp_path: Path) -> None:
    # A regular expression with a repetition in a repetition would take for ever (ReDoS).
    (tmp_path / "a.ppm").write_bytes(b"P6" + b" " * 60 + b"1 #\n1 255\n" + bytes(3))
    assert read_picture(tmp_path / "a.ppm").bits == 8


def test_many_directories_of_a_tiff_are_not_followed_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livestyle.media.images.decoding.MOST_PAGES", 5)
    pages = [Image.fromarray(np.full((8, 8), shade, np.uint8)) for shade in range(20)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    picture = read_picture(tmp_path / "a.tif")
    assert picture.left_out == ("5 or more further pictures",)
    assert picture.image.max() == 0
