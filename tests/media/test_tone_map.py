"""HDR brought to SDR, judged by ffmpeg's zscale and tonemap."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from livestyle.errors import InputError
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.writer import VideoWriter
from tests.ffmpeg import Make, pixels, stream

HDR = "gradients=s=320x192:c0=0x101010:c1=0xe0d0c0:x0=0:y0=0:x1=319:y1=191:r=25:d=0.2:seed=1:speed=0.01"
SDR = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,zscale=t=bt709,format=gbrp"


def hdr(make: Make, transfer: str, *more: str) -> Path:
    tags = ["-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", transfer, "-color_range", "tv"]
    coded = "scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le"
    return make("hdr.mkv", "-f", "lavfi", "-i", HDR, "-vf", coded, *tags, "-c:v", "ffv1", *more)


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_becomes_sdr_as_ffmpeg_maps_it(make: Make, tmp_path: Path, ffmpeg: str, transfer: str, name: str) -> None:
    source = hdr(make, transfer)
    command = [ffmpeg, "-v", "error", "-i", str(source), "-vf", SDR, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    right = np.frombuffer(data, np.uint8).reshape(-1, 192, 320, 3).astype(int)

    with VideoReader(source) as video, VideoWriter(tmp_path / "out.mp4", video.info, video) as sink:
        for number, frame in enumerate(video):
            error = abs(frame.image[..., ::-1].astype(int) - right[number])
            assert error.mean() < 1
            assert error.max() <= 4
            sink.write(frame.image, frame.time, frame.duration)

    assert video.notes == [f"{source} is HDR ({name}), and mapped to SDR before it is painted"]
    kept = stream(tmp_path / "out.mp4")
    assert [kept[f"color_{of}"] for of in ("space", "transfer", "primaries", "range")] == ["bt709"] * 3 + ["tv"]
    assert abs(pixels(ffmpeg, tmp_path / "out.mp4", 320, 192) - right).mean() < 3


def test_hdr_keeps_its_colours_and_tags_where_that_is_asked_for(make: Make, tmp_path: Path, ffmpeg: str) -> None:
    source = hdr(make, "smpte2084")

    with (
        VideoReader(source, tone_map="off") as video,
        VideoWriter(tmp_path / "out.mp4", video.info, video) as sink,
    ):
        for frame in video:
            sink.write(frame.image, frame.time, frame.duration)

    kept = stream(tmp_path / "out.mp4")
    assert (kept["color_transfer"], kept["color_primaries"]) == ("smpte2084", "bt2020")
    assert video.notes == []
    assert abs(pixels(ffmpeg, tmp_path / "out.mp4", 320, 192) - pixels(ffmpeg, source, 320, 192)).mean() < 3


def test_hdr_of_a_phone_is_upright(make: Make, tmp_path: Path) -> None:
    source = hdr(make, "arib-std-b67")
    film = make("film.mp4", "-i", str(source), "-c:v", "libx265", "-x265-params", "log-level=error")
    turned = make("turned.mp4", "-i", str(film), "-c", "copy", "-metadata:s:v:0", "rotate=90")

    with VideoReader(turned, Fraction(0)) as video:
        assert (video.width, video.height) == (192, 320)
        assert next(iter(video)).image.shape == (320, 192, 3)


def test_there_is_no_other_tone_mapping(make: Make) -> None:
    with pytest.raises(InputError, match="choose one of auto, off"):
        VideoReader(hdr(make, "smpte2084"), tone_map="on")
