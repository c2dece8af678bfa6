"""Videos through pipes, with ffmpeg at both ends."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import numpy as np
import pytest
from PIL import Image

from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.jobs.options import VideoOptions
from livestyle.media.video.codecs import Encoding
from livestyle.media.video.reader import VideoReader
from livestyle.media.video.stdio import RawFormat, RawReader, RawWriter, open_stdout, parse_raw, read_pipe, write_pipe
from livestyle.styles.library import Style
from tests.batches import H264 as CLIP
from tests.batches import lavfi, names, paint_videos
from tests.ffmpeg import Make, pixels
from tests.program import IDENTITY

VIDEO = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=30000/1001:duration=1")
SOUND = ("-f", "lavfi", "-i", "sine=sample_rate=48000:duration=1")
H264 = ("-c:v", "libx264", "-g", "10", "-pix_fmt", "yuv420p", "-c:a", "aac")
RAW = ("-f", "rawvideo", "-pix_fmt", "bgr24")

Run = Callable[..., bytes]


@pytest.fixture
def run(ffmpeg: str) -> Run:
    """Runs ffmpeg and gives what it wrote to its standard output."""

    def run(*arguments: str, data: bytes = b"") -> bytes:
        return _run((ffmpeg, "-v", "error", *arguments, "-"), data)

    return run


@cache
def _run(command: tuple[str, ...], data: bytes) -> bytes:
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


def shown(run: Run, data: bytes) -> np.ndarray:
    raw = run("-f", "matroska", "-i", "-", "-fps_mode", "passthrough", *RAW, data=data)
    return np.frombuffer(raw, np.uint8).reshape(-1, 64, 96, 3).astype(int)


class Pipe:
    """A pipe of this system at whose other end is a thread, as another program would be."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.reading = os.fdopen(reading, "rb")
        self.writing = os.fdopen(writing, "wb")
        self._thread = Thread()
        self._collected = b""

    def give(self, data: bytes) -> None:
        """Write at the other end."""

        def write() -> None:
            # A reader may stop before the end.
            with suppress(BrokenPipeError), self.writing:
                self.writing.write(data)

        self._start(write)

    def collect(self) -> None:
        """Read at the other end."""

        def read() -> None:
            self._collected = self.reading.read()

        self._start(read)

    @property
    def collected(self) -> bytes:
        """All that was read, at the end of writing."""
        self.writing.close()
        self._thread.join()
        return self._collected

    def _start(self, work: Callable[[], None]) -> None:
        self._thread = Thread(target=work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.reading.close()
        self.writing.close()


@pytest.fixture
def source() -> Iterator[Pipe]:
    """A pipe to read from."""
    with closing(Pipe()) as pipe:
        yield pipe


@pytest.fixture
def sink() -> Iterator[Pipe]:
    """A pipe to write to."""
    with closing(Pipe()) as pipe:
        yield pipe


def copy(source: BinaryIO, target: BinaryIO) -> None:
    with read_pipe(source) as video, write_pipe(target, video.info, video) as sink:
        for frame in video:
            sink.write(frame.image, frame.time, frame.duration)


@pytest.mark.parametrize("container", ["matroska", "nut", "mpegts", "mp4"])
def test_a_video_goes_from_pipe_to_pipe(run: Run, source: Pipe, sink: Pipe, container: str) -> None:
    fragments = ["-movflags", "frag_keyframe+empty_moov"] if container == "mp4" else []
    video = run(*VIDEO, *SOUND, *H264, *fragments, "-f", container)
    source.give(video)
    sink.collect()

    copy(source.reading, sink.writing)

    result = sink.collected
    before, after = (
        np.frombuffer(run("-i", "-", "-fps_mode", "passthrough", *RAW, data=data), np.uint8).astype(int)
        for data in (video, result)
    )
    assert len(before) == len(after) == 30 * 96 * 64 * 3
    assert abs(before - after).mean() < 12
    sounds = [run("-i", "-", "-map", "0:a", "-f", "s16le", data=data) for data in (video, result)]
    assert sounds[1] == sounds[0]


@pytest.mark.parametrize(("name", "words"), [("a.webp", "is an animated WebP"), ("a.png", "or an animated PNG")])
def test_animated_images_that_no_pipe_carries_are_refused(tmp_path: Path, name: str, words: str) -> None:
    frames = [Image.new("RGB", (96, 64), (60 * n, 0, 0)) for n in range(4)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)

    pipe = Pipe()
    pipe.give((tmp_path / name).read_bytes())
    with pytest.raises(InputError, match=f"{words}, which no pipe can carry"):
        read_pipe(pipe.reading)
    pipe.reading.close()


def test_two_ffmpegs_and_livestyle_work_as_one_line(ffmpeg: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    first = f"{ffmpeg} -v error {' '.join([*VIDEO, *SOUND, *H264])} -f matroska -"
    paint = f"{sys.executable} -m livestyle video - -o - --model {IDENTITY}"
    line = f"{first} | {paint} | {ffmpeg} -v error -i - -c copy {target}"

    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], check=True, capture_output=True, text=True)

    assert "-: 96x64, 30 frames in " in done.stderr
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames"]
    found = subprocess.run([*command, "-of", "csv=p=0", str(target)], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["h264,30", "aac,48"]


def test_a_part_of_a_piped_video_can_be_taken(run: Run) -> None:
    whole = run(*VIDEO, *H264, "-f", "matroska")
    target = io.BytesIO()

    with read_pipe(io.BytesIO(whole), Fraction("0.5"), Fraction("0.8")) as video:
        frames = list(video)

    assert [frame.time for frame in frames] == [Fraction(1001 * i, 30000) - Fraction(1, 2) for i in range(15, 24)]
    with write_pipe(target, video.info, None, Encoding("vp9")) as sink:
        for frame in frames:
            sink.write(frame.image, frame.time, frame.duration)
    assert abs(shown(run, target.getvalue()) - shown(run, whole)[15:24]).mean() < 12


def test_a_reader_that_goes_away_is_an_error_in_one_sentence(
    run: Run, source: Pipe, sink: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.give(run(*VIDEO, *SOUND, *H264, "-f", "matroska"))
    sink.reading.close()

    with monkeypatch.context() as patch, os.fdopen(os.dup(sink.writing.fileno()), "w") as stdout:
        patch.setattr(sys, "stdout", stdout)
        with pytest.raises(OutputError, match=r"^standard output was closed by its reader before "):
            copy(source.reading, open_stdout())


def test_a_pipe_that_carries_no_video_is_refused() -> None:
    with pytest.raises(InputError, match=r"standard input is not a video .* no pipe can carry"):
        read_pipe(io.BytesIO(b"nothing of the kind" * 100))


@pytest.mark.parametrize("pixel_format", ["bgr24", "rgb24"])
def test_raw_frames_go_in_and_out_untouched(run: Run, pixel_format: str) -> None:
    raw = run(*VIDEO, "-f", "rawvideo", "-pix_fmt", pixel_format)
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


def test_raw_frames_become_a_video(run: Run) -> None:
    raw = run(*VIDEO, *RAW)
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


def test_a_terminal_is_no_place_for_a_video(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = os.openpty()
    try:
        with os.fdopen(terminal, "w") as screen:
            monkeypatch.setattr(sys, "stdout", screen)
            with pytest.raises(OutputError, match="is a terminal"):
                open_stdout()
    finally:
        os.close(controller)


FORMAT = RawFormat(64, 64, Fraction(25))


@pytest.mark.parametrize("name", ["-", "clip.mkv"])
@pytest.mark.parametrize("kind", ["matroska", "bgr24", "rgb24"])
def test_videos_are_painted_through_pipes(
    make: Make,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    ffmpeg: str,
    run: Run,
    source: Pipe,
    sink: Pipe,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: str,
) -> None:
    clip = make("clip.mkv", *lavfi(), *CLIP)
    raw = ["-f", "rawvideo", "-pix_fmt", kind]
    read = ["-f", "matroska"] if kind == "matroska" else [*raw, "-s", "64x64", "-r", "25"]
    write = ["-c", "copy", "-f", "matroska"] if kind == "matroska" else raw
    source.give(run("-i", str(clip), *write))
    sink.collect()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("livestyle.media.video.stdio.open_stdin", lambda: source.reading)
    monkeypatch.setattr("livestyle.media.video.stdio.open_stdout", lambda: sink.writing)

    options = VideoOptions(raw=None if kind == "matroska" else FORMAT._replace(pixel_format=kind))
    (result,) = paint_videos([Path(name)], Path("-"), identity, [dusk], 0.0, options)

    assert (result.frames, result.source, result.path) == (10, Path(name), Path("-"))
    (tmp_path / "out.mkv").write_bytes(run(*read, "-i", "-", "-c:v", "ffv1", "-f", "matroska", data=sink.collected))
    before, after = (pixels(ffmpeg, path, 64, 64) for path in (clip, tmp_path / "out.mkv"))
    assert before.shape == after.shape
    assert abs(before - after).mean() < 12


def test_sound_that_raw_frames_go_without_is_not_gathered(
    make: Make, identity: Stylizer, dusk: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make("clip.mkv", *lavfi(50), "-f", "lavfi", "-i", "sine=duration=2", "-c:v", "ffv1", "-c:a", "pcm_s16le")
    sources: list[VideoReader] = []

    class Watched(VideoReader):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            sources.append(self)

    monkeypatch.setattr("livestyle.media.video.files.VideoReader", Watched)
    monkeypatch.setattr("livestyle.media.video.stdio.open_stdout", io.BytesIO)
    paint_videos([clip], Path("-"), identity, [dusk], 0.0, VideoOptions(raw=FORMAT))
    assert sources
    assert not any(source.packets for source in sources)


def test_raw_frames_of_a_video_of_varying_rate_keep_its_time(
    make: Make, identity: Stylizer, dusk: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every fifth frame of the first second, and all of the next.
    vary = ["-vf", "select='gt(n,24)+not(mod(n,5))'", "-fps_mode", "vfr", "-c:v", "ffv1"]
    clip = make("clip.mkv", *lavfi(50), *vary)
    target = io.BytesIO()
    monkeypatch.setattr("livestyle.media.video.stdio.open_stdout", lambda: target)

    paint_videos([clip], Path("-"), identity, [dusk], 0.0, VideoOptions(raw=FORMAT))

    frames = np.frombuffer(target.getvalue(), np.uint8).reshape(-1, 64, 64, 3)
    changes = [number for number in range(1, len(frames)) if (frames[number] != frames[number - 1]).any()]
    assert len(frames) == 50
    assert changes == [5, 10, 15, 20, *range(25, 50)]


@pytest.mark.parametrize(
    ("sources", "target", "options", "words"),
    [
        (["-", "clip.mp4"], "out.mp4", VideoOptions(), "in one style at a time"),
        (["clip.mp4"], "out.mp4", VideoOptions(raw=FORMAT), "raw frames come from standard input"),
        (["-"], "out.mp4", VideoOptions(resume=True), "cannot be resumed"),
        (["-"], "out.mp4", VideoOptions(raw=FORMAT, start=Fraction(1)), "cannot be cut"),
        (["-"], ".", VideoOptions(), "is a folder"),
        (["clip.mp4"], "-", VideoOptions(raw=FORMAT._replace(width=80)), "come as 64x64@25 and not as 80x64@25: name"),
        (["clip.mp4"], "-", VideoOptions(raw=FORMAT, fps=Fraction(30)), "come as 64x64@30 and not as 64x64@25: name"),
        (["-"], "-", VideoOptions(raw=FORMAT, encoding=Encoding(crf=20)), "raw frames are not encoded"),
    ],
)
def test_what_a_pipe_cannot_do_is_refused(
    make: Make,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    monkeypatch: pytest.MonkeyPatch,
    sources: list[str],
    target: str,
    options: VideoOptions,
    words: str,
) -> None:
    make("clip.mp4", *lavfi(), *CLIP)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(LivestyleError, match=words):
        paint_videos([Path(source) for source in sources], Path(target), identity, [dusk], options=options)

    assert names(tmp_path) == ["clip.mp4"]


def test_raw_frames_beside_their_source_are_of_the_size_that_was_named(
    make: Make, identity: Stylizer, dusk: Style
) -> None:
    clip = make("clip.mp4", *lavfi(), *CLIP)

    with pytest.raises(LivestyleError, match="come as 128x64@25 and not as 64x64@25: name"):
        paint_videos([clip], Path("-"), identity, [dusk], options=VideoOptions(raw=FORMAT), side_by_side=True)
