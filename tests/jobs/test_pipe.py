"""Films through pipes, with ffmpeg at both ends."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from livestyle.errors import InputError, OutputError
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.stdio import RawReader, RawWriter, open_stdout, parse_raw, read_pipe, write_pipe

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=30000/1001:duration=1")
SOUND = ("-f", "lavfi", "-i", "sine=sample_rate=48000:duration=1")
H264 = ("-c:v", "libx264", "-g", "10", "-pix_fmt", "yuv420p", "-c:a", "aac")
RAW = ("-f", "rawvideo", "-pix_fmt", "bgr24")

COPY = """
import sys
from livestyle.media.video.stdio import open_stdin, open_stdout, read_pipe, write_pipe
with read_pipe(open_stdin()) as video, write_pipe(open_stdout(), video.info, video) as sink:
    for frame in video:
        sink.write(frame.image, frame.time, frame.duration)
"""

Run = Callable[..., bytes]


@pytest.fixture
def run(ffmpeg: str) -> Run:
    """Runs ffmpeg and gives what it wrote to its standard output."""

    def run(*arguments: str, data: bytes = b"") -> bytes:
        command = [ffmpeg, "-v", "error", *arguments, "-"]
        return subprocess.run(command, input=data, check=True, capture_output=True).stdout

    return run


def shown(run: Run, data: bytes) -> np.ndarray:
    raw = run("-f", "matroska", "-i", "-", "-fps_mode", "passthrough", *RAW, data=data)
    return np.frombuffer(raw, np.uint8).reshape(-1, 64, 96, 3).astype(int)


def piped(data: bytes) -> bytes:
    """What a process of ours makes of its standard input."""
    return subprocess.run([sys.executable, "-c", COPY], input=data, check=True, capture_output=True).stdout


@pytest.mark.parametrize("container", ["matroska", "nut", "mpegts", "mp4"])
def test_a_film_goes_from_pipe_to_pipe(run: Run, container: str) -> None:
    fragments = ["-movflags", "frag_keyframe+empty_moov"] if container == "mp4" else []
    film = run(*PICTURE, *SOUND, *H264, *fragments, "-f", container)

    result = piped(film)

    before, after = (
        np.frombuffer(run("-i", "-", "-fps_mode", "passthrough", *RAW, data=data), np.uint8).astype(int)
        for data in (film, result)
    )
    assert len(before) == len(after) == 30 * 96 * 64 * 3
    assert abs(before - after).mean() < 12
    sounds = [run("-i", "-", "-map", "0:a", "-f", "s16le", data=data) for data in (film, result)]
    assert sounds[1] == sounds[0]


def test_two_ffmpegs_and_a_painter_work_as_one_line(ffmpeg: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    (tmp_path / "painter.py").write_text(COPY)
    first = f"{ffmpeg} -v error {' '.join([*PICTURE, *SOUND, *H264])} -f matroska -"
    line = f"{first} | {sys.executable} {tmp_path / 'painter.py'} | {ffmpeg} -v error -i - -c copy {target}"

    subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], check=True)

    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames"]
    found = subprocess.run([*command, "-of", "csv=p=0", str(target)], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["h264,30", "aac,48"]


def test_a_part_of_a_piped_film_can_be_taken(run: Run) -> None:
    film = run(*PICTURE, *H264, "-f", "matroska")
    target = io.BytesIO()

    with read_pipe(io.BytesIO(film), Fraction("0.5"), Fraction("0.8")) as video:
        frames = list(video)

    assert [frame.time for frame in frames] == [Fraction(1001 * i, 30000) - Fraction(1, 2) for i in range(15, 24)]
    with write_pipe(target, video.info, None, Encoding("vp9")) as sink:
        for frame in frames:
            sink.write(frame.image, frame.time, frame.duration)
    assert abs(shown(run, target.getvalue()) - shown(run, film)[15:24]).mean() < 12


def test_a_reader_that_goes_away_is_an_error_in_one_sentence(run: Run) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    film = run(*PICTURE, *SOUND, *H264, "-f", "matroska")

    try:
        done = subprocess.run([sys.executable, "-c", COPY], input=film, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)

    assert done.returncode == 1
    last = done.stderr.decode().strip().splitlines()[-1]
    assert last == "livestyle.errors.OutputError: standard output was closed by its reader before the film was complete"


def test_a_pipe_that_carries_no_film_is_refused() -> None:
    with pytest.raises(InputError, match=r"standard input is not a video .* no pipe can carry"):
        read_pipe(io.BytesIO(b"nothing of the kind" * 100))


@pytest.mark.parametrize("pixel_format", ["bgr24", "rgb24"])
def test_raw_frames_go_in_and_out_untouched(run: Run, pixel_format: str) -> None:
    raw = run(*PICTURE, "-f", "rawvideo", "-pix_fmt", pixel_format)
    target = io.BytesIO()

    source = RawReader(io.BytesIO(raw), 96, 64, Fraction(30000, 1001), pixel_format)
    with source, RawWriter(target, pixel_format) as sink:
        times = []
        for frame in source:
            times.append(frame.time)
            sink.write(frame.image, frame.time, frame.duration)

    assert target.getvalue() == raw
    assert times == [Fraction(1001 * i, 30000) for i in range(30)]
    assert source.damage is None


def test_raw_frames_become_a_film(run: Run) -> None:
    raw = run(*PICTURE, *RAW)
    target = io.BytesIO()

    source = RawReader(io.BytesIO(raw), 96, 64, Fraction(30000, 1001))
    with source, write_pipe(target, source.info, source) as sink:
        for frame in source:
            sink.write(frame.image, frame.time, frame.duration)

    before = np.frombuffer(raw, np.uint8).reshape(-1, 64, 96, 3).astype(int)
    assert abs(shown(run, target.getvalue()) - before).mean() < 25


def test_raw_frames_that_end_within_one_are_reported() -> None:
    source = RawReader(io.BytesIO(bytes(64 * 96 * 3 * 2 + 5)), 96, 64, Fraction(25))

    assert len(list(source)) == 2
    assert source.damage == "standard input ended within a frame: 2 frames could be read"


def test_too_few_bytes_for_a_raw_frame_are_refused() -> None:
    with pytest.raises(InputError, match=r"gave 100 bytes, and a frame of 96x64 has 18432"):
        list(RawReader(io.BytesIO(bytes(100)), 96, 64, Fraction(25)))


def test_the_size_and_rate_of_raw_frames_are_read() -> None:
    assert parse_raw("640x360@30000/1001") == (640, 360, Fraction(30000, 1001), "bgr24")
    assert parse_raw("64x64@12.5:rgb24") == (64, 64, Fraction(25, 2), "rgb24")


def test_a_pixel_format_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="raw frames cannot be yuv420p: choose one of bgr24, rgb24"):
        parse_raw("64x64@25:yuv420p")


@pytest.mark.parametrize("text", ["640x360", "0x360@30", "640x360@0", "640x360@30/0", "wide", "64x64@25:"])
def test_a_size_and_rate_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="write WIDTHxHEIGHT@RATE"):
        parse_raw(text)


def test_a_terminal_is_no_place_for_a_film(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = os.openpty()
    try:
        with os.fdopen(terminal, "w") as screen:
            monkeypatch.setattr(sys, "stdout", screen)
            with pytest.raises(OutputError, match="is a terminal"):
                open_stdout()
    finally:
        os.close(controller)
