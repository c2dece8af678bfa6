"""`Recorder`: films in real time, checked with ffprobe and by pixels that PyAV decodes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from livestyle.errors import OutputError
from livestyle.media.sinks.recorder import QUEUE, Recorder
from tests.ffmpeg import duration, stream, times
from tests.waiting import PATIENCE

SIZE = (96, 64)

WRITE = """
import sys, time
from pathlib import Path
import numpy as np
from livestyle.media.sinks.recorder import Recorder
path, count = Path(sys.argv[1]), int(sys.argv[2])
noise = np.random.default_rng(0).integers(0, 256, (count, 64, 96, 3), np.uint8)
recorder, start = Recorder(path, 96, 64), time.monotonic()
for i, image in enumerate(noise):
    # Three times as fast as their times say.
    recorder.write(image, start + i / 30)
    time.sleep(1 / 90)
print("written", flush=True)
time.sleep(600)
"""


def picture(grey: int) -> np.ndarray:
    return np.full((64, 96, 3), grey, np.uint8)


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def boxes(path: Path) -> list[str]:
    """The names of an MP4's outermost parts."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        found.append(data[place + 4 : place + 8].decode())
        place += int.from_bytes(data[place : place + 4], "big")
    return found


def test_every_picture_keeps_its_time_to_the_millisecond(tmp_path: Path) -> None:
    path, offsets = tmp_path / "film.mp4", [0.0, 0.0333, 0.1017, 0.1018, 0.9, 0.9505]
    start = time.monotonic() - 1
    with Recorder(path, *SIZE) as recorder:
        for i, offset in enumerate(offsets):
            recorder.write(picture(40 * i), start + offset)
    assert [float(t) for t in times(path)[: len(offsets)]] == pytest.approx(offsets, abs=0.0005)
    assert [frame.mean() for frame in decode(path)[: len(offsets)]] == pytest.approx([0, 40, 80, 120, 160, 200], abs=4)


def test_it_is_h264_in_an_ordinary_mp4_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with Recorder(path, *SIZE) as recorder:
        start = time.monotonic() - 3
        for i in range(6):
            recorder.write(picture(40 * i), start + i / 2)
    video = stream(path)
    assert [video[name] for name in ("codec_name", "pix_fmt", "width", "height")] == ["h264", "yuv420p", 96, 64]
    assert "moof" not in boxes(path)


def test_the_last_picture_stays_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with Recorder(path, *SIZE) as recorder:
        recorder.write(picture(0), time.monotonic() - 7)
        recorder.write(picture(200), time.monotonic() - 6)
    assert duration(path) == pytest.approx(recorder.seconds, abs=0.002)
    assert recorder.seconds >= 7
    assert decode(path)[-1].mean() == pytest.approx(200, abs=4)


def test_a_film_of_one_picture_has_its_length(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with Recorder(path, *SIZE) as recorder:
        recorder.write(picture(100), time.monotonic() - 2)
    assert duration(path) == pytest.approx(recorder.seconds, abs=0.002)


def test_times_that_go_back_do_not_end_the_film(tmp_path: Path) -> None:
    path, now = tmp_path / "film.mp4", time.monotonic()
    with Recorder(path, *SIZE) as recorder:
        for offset in (0.0, 0.0, -1.0, 0.001):
            recorder.write(picture(100), now + offset - 1)
    found = times(path)
    assert all(one < other for one, other in pairwise(found))
    assert float(found[3]) == pytest.approx(0.001, abs=0.0005)


def test_what_was_recorded_before_a_kill_plays(tmp_path: Path) -> None:
    path, count = tmp_path / "film.mp4", 75
    with subprocess.Popen([sys.executable, "-c", WRITE, str(path), str(count)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    # The last second is lost, in which thirty were written.
    assert len(decode(path)) >= count - 45
    assert "moof" in boxes(path)


def test_a_picture_that_stays_gets_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with subprocess.Popen([sys.executable, "-c", WRITE, str(path), "20"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"written\n"
        size, patience = path.stat().st_size, time.monotonic() + PATIENCE
        while path.stat().st_size == size and time.monotonic() < patience:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert len(decode(path)) >= 20


def test_pictures_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    path, now = tmp_path / "film.mp4", time.monotonic()
    with Recorder(path, *SIZE) as recorder:
        recorder.write(picture(200), now - 2)
        recorder.write(np.full((200, 100, 3), 200, np.uint8), now - 1)
    first, second = decode(path)[:2]
    assert first.shape == second.shape == (64, 96, 3)
    assert second[:, :28].mean() < 6
    assert second[:, 36:60].mean() == pytest.approx(200, abs=4)
    assert second[:, 68:].mean() < 6


def test_an_odd_size_gets_one_more_row_and_column(tmp_path: Path, frame: np.ndarray) -> None:
    path = tmp_path / "film.mp4"
    with Recorder(path, frame.shape[1], frame.shape[0]) as recorder:
        recorder.write(frame, time.monotonic())
    shown = decode(path)[0]
    assert shown.shape == (122, 204, 3)
    assert cv2.PSNR(shown[:121, :203], frame) > 30


def test_colours_come_back(tmp_path: Path) -> None:
    path, colour = tmp_path / "film.mp4", (30, 90, 220)
    with Recorder(path, *SIZE) as recorder:
        recorder.write(np.full((64, 96, 3), colour, np.uint8), time.monotonic())
    raw = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    shown = np.frombuffer(subprocess.run(raw, check=True, capture_output=True).stdout, np.uint8).reshape(64, 96, 3)
    assert shown.mean(axis=(0, 1)) == pytest.approx(colour, abs=4)


def test_too_many_pictures_are_dropped_but_not_the_newest(tmp_path: Path) -> None:
    path, now, count = tmp_path / "film.mp4", time.monotonic(), 20 * QUEUE
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    with Recorder(path, 1280, 720) as recorder:
        for i in range(count):
            recorder.write(noise, now - 10 + i / 30)
        recorder.write(np.full((720, 1280, 3), 200, np.uint8), now - 1)
    films = decode(path)
    assert recorder.dropped > 0
    # One more, which holds the end.
    assert len(films) + recorder.dropped == count + 2
    assert films[-2].mean() == pytest.approx(200, abs=4)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="already exists"):
        Recorder(path, *SIZE)
    assert path.read_bytes() == b"mine"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        Recorder(tmp_path / "nowhere" / "film.mp4", *SIZE)


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with Recorder(path, *SIZE) as recorder:
        assert path.exists()
    assert recorder.seconds == 0
    assert not path.exists()


def test_an_error_elsewhere_leaves_the_film(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with suppress(KeyError), Recorder(path, *SIZE) as recorder:
        recorder.write(picture(100), time.monotonic() - 1)
        raise KeyError
    assert duration(path) >= 1
    assert "moof" not in boxes(path)


def test_on_a_full_disk_what_was_recorded_stays(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path, start = tmp_path / "film.mp4", time.monotonic()
    # 75 pictures of noise need half as much again.
    noise = np.random.default_rng(0).integers(0, 256, (75, 64, 96, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    try:
        recorder = Recorder(path, *SIZE)
        for i, image in enumerate(noise):
            with suppress(OutputError):
                recorder.write(image, start + i / 30)
            time.sleep(1 / 90)
        with pytest.raises(OutputError) as error:
            recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"cannot record to {path} any more (File too large)" in str(error.value)
    assert path.stat().st_size == 150_000
    # The last one is cut off, which ends PyAV's reading but no player's.
    assert len(times(path)) >= 40


def test_a_file_that_is_deleted_is_reported(tmp_path: Path) -> None:
    path, patience = tmp_path / "film.mp4", time.monotonic() + PATIENCE
    recorder = Recorder(path, *SIZE)
    recorder.write(picture(100), time.monotonic())
    path.unlink()
    error = None
    while error is None and time.monotonic() < patience:
        try:
            recorder.write(picture(100), time.monotonic())
        except OutputError as found:
            error = found
        time.sleep(0.1)
    assert "was deleted" in str(error)
    with pytest.raises(OutputError, match="was deleted"):
        recorder.close()
