"""`livestyle.media.capture.probe`: what is printed is what was measured. Streams and files stand in for cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle.errors import InputError
from livestyle.media.capture.probe import list_devices, probe, run_cameras
from livestyle.media.capture.timeouts import Timeouts
from tests.mjpeg import MjpegServer

IMAGE = np.full((120, 160, 3), 90, np.uint8)
SECONDS = 0.25
PATIENCE = 60.0


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    stream = MjpegServer(IMAGE)
    yield stream
    stream.stop()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Half a second."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (160, 120))
    for _ in range(5):
        writer.write(IMAGE)
    writer.release()
    return path


def test_a_stream_is_measured(server: MjpegServer) -> None:
    (mode,) = probe(server.address, SECONDS)
    assert (mode.width, mode.height) == (160, 120)
    assert 3 < mode.rate < 27


def test_a_video_is_measured_as_it_plays(clip: Path) -> None:
    (mode,) = probe(str(clip), SECONDS)
    assert (mode.width, mode.height) == (160, 120)
    assert 3 < mode.rate < 12


def test_rows_name_each_source_and_its_figures(
    clip: Path, tmp_path: Path, server: MjpegServer, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), IMAGE)
    run_cameras([server.address, str(clip), str(picture)], SECONDS)
    rows = capsys.readouterr().out.splitlines()
    assert rows[0::2] == [server.address, str(clip), str(picture)]
    assert all(row.startswith("    160x120  ") for row in rows[1::2])
    assert rows[1].endswith(" frames/s")
    assert rows[3].endswith(" frames/s")
    assert rows[5].endswith(" a picture")


@pytest.mark.parametrize("source", ["97", "missing.mp4", "missing.png", "htp://camera", "http://127.0.0.1:9/stream"])
def test_a_source_that_does_not_open_is_an_error(source: str) -> None:
    with pytest.raises(InputError, match=source):
        run_cameras([source])


def test_a_picture_at_an_address_is_measured_as_a_stream(server: MjpegServer) -> None:
    (mode,) = probe(f"{server.address.rpartition('/')[0]}/live.jpg", SECONDS)
    assert mode.rate > 0


def test_a_stream_that_stops_while_it_is_measured_is_an_error(server: MjpegServer) -> None:
    def fall_silent() -> None:
        while server.sent < 3:
            time.sleep(0.01)
        server.sending.clear()

    silencer = threading.Thread(target=fall_silent)
    silencer.start()
    with pytest.raises(InputError, match="stopped while it was measured"):
        list(probe(server.address, PATIENCE, Timeouts(read=0.5)))
    silencer.join()


def test_cameras_of_this_computer_are_listed_or_the_lack_of_them_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    devices = list_devices()
    if devices:
        run_cameras()
        assert [f"{d.source}: {d.name}" for d in devices] == [
            row for row in capsys.readouterr().out.splitlines() if not row.startswith(" ")
        ]
    else:
        with pytest.raises(InputError, match="no camera was found: plug one in"):
            run_cameras()
