"""`open_source`: one protocol for cameras, streams, video files and image files."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from livestyle.errors import InputError
from livestyle.media.capture.camera import Camera
from livestyle.media.capture.kinds import SourceKind, source_kind
from livestyle.media.capture.sources import open_source
from livestyle.media.video.reader import VideoReader
from tests.ffmpeg import Make
from tests.mjpeg import MjpegServer


def test_a_video_gives_every_frame_once_in_order(make: Make) -> None:
    path = make("clip.mp4", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.4", "-c:v", "libx264")
    with VideoReader(path) as video:
        expected = [frame.image for frame in video]

    with open_source(path) as source:
        frames = list(source)

    assert (source.width, source.height) == (96, 64)
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(10)]
    assert all(map(np.array_equal, [frame.image for frame in frames], expected))


def test_the_sound_of_a_long_video_does_not_gather_in_memory(make: Make) -> None:
    sources = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=1", "-f", "lavfi", "-i", "sine=duration=1"]
    with open_source(make("clip.mp4", *sources, "-c:v", "libx264")) as source:
        assert len(list(source)) == 25
        assert isinstance(source, VideoReader)
        assert not source.packets


def test_an_image_is_one_frame(tmp_path: Path, demo_frames: list[np.ndarray]) -> None:
    cv2.imwrite(str(tmp_path / "image.png"), demo_frames[0])
    with open_source(str(tmp_path / "image.png")) as source:
        (frame,) = source
    assert np.array_equal(frame.image, demo_frames[0])
    assert (source.width, source.height) == (640, 360)


@pytest.mark.parametrize("name", ["a.avif", "a.png", "a.webp"])
def test_an_animated_image_gives_every_frame(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (96, 64), (60 * n, 0, 0)) for n in range(4)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)

    with open_source(tmp_path / name) as source:
        found = list(source)

    assert [float(frame.time) for frame in found] == [0, 0.1, 0.2, 0.3]
    assert source_kind(str(tmp_path / name)) is SourceKind.VIDEO


@pytest.mark.parametrize("name", ["clip.mp4", "image.png"])
def test_files_are_scaled_down_to_fit(make: Make, name: str) -> None:
    only = ["-frames:v", "1"]
    path = make(name, "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.04", *only)
    with open_source(path, (48, 48)) as source:
        (frame,) = source
    assert (source.width, source.height) == (48, 32)
    assert frame.image.shape == (32, 48, 3)


def test_a_stream_gives_its_latest_frame_without_an_end() -> None:
    server = MjpegServer(np.full((108, 192, 3), 90, np.uint8))
    try:
        with open_source(server.address, (96, 96)) as source:
            assert isinstance(source, Camera)
            frames = list(islice(source, 3))
    finally:
        server.stop()
    assert all(frame.image.shape == (54, 96, 3) for frame in frames)


@pytest.mark.parametrize(
    ("source", "words"), [("missing.mp4", "no camera or video file"), ("htp://x/", "not the address of a stream")]
)
def test_a_source_that_is_none_is_refused(source: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_source(source)


def test_a_camera_that_is_not_there_is_an_error_in_the_loop() -> None:
    with open_source("97") as source, pytest.raises(InputError, match="camera 97 does not open"):
        next(iter(source))
