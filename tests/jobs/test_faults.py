"""Each stage of a film and of a batch is made to fail, to hang and to die, one after another; and disks fill up.

``LIVESTYLE_HANG_SECONDS=10`` makes them hang for longer than by default.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from livestyle import Stylizer, VideoOptions
from livestyle.errors import InputError, LivestyleError
from livestyle.media.video.codecs import Encoding
from livestyle.styles.library import Style
from tests.batches import H264, lavfi, names, paint_images, paint_video, paint_videos
from tests.ffmpeg import Make
from tests.program import IDENTITY

HANG_SECONDS = float(os.environ.get("LIVESTYLE_HANG_SECONDS", "0.3"))
SEGMENT = 10
FRAMES = 60
OPTIONS = VideoOptions(segment_frames=SEGMENT)
RESUME = VideoOptions(segment_frames=SEGMENT, resume=True)

STAGES = {
    "decode": ("livestyle.media.video.reader:VideoReader.__iter__", "decoding"),
    "colour": ("livestyle.media.video.pixel_formats:Unpacker.__call__", "converting colours"),
    "engine": ("livestyle.engine.stylizer:Stylizer.stylize", "painting"),
    "encode": ("livestyle.media.video.encoder:VideoEncoder.encode", "encoding"),
    "mux": ("livestyle.media.video.writer:VideoWriter._mux", "writing"),
    "audio": ("livestyle.media.video.remux:Remuxer.mux", "copying sound and subtitles"),
    "write": ("livestyle.jobs.resume:write_packets", "keeping segments"),
    "store": ("livestyle.jobs.resume:SegmentStore.finish", "writing"),
    "name": ("livestyle.media.video.writer:publish", ""),
}
"""What is called in each stage of a film, and the name of the stage in messages."""


def strike(place: str, fault: Callable[[], None], armed: Callable[[], bool]) -> Callable[[], None]:
    """Let a function be struck by a fault once, when it is called next while this is armed; returns what undoes it."""
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    whole, left, lock = getattr(owner, name), [fault], Lock()

    def perhaps() -> None:
        with lock:
            due = left.pop() if left and armed() else None
        if due is not None:
            due()

    def struck(*arguments: Any, **options: Any) -> Any:
        perhaps()
        return whole(*arguments, **options)

    def iterated(*arguments: Any) -> Iterator[Any]:
        for item in whole(*arguments):
            perhaps()
            yield item

    setattr(owner, name, iterated if name == "__iter__" else struck)
    return lambda: setattr(owner, name, whole)


@contextmanager
def struck(stage: str, fault: Callable[[], None], folder: Path) -> Iterator[None]:
    """Context manager of a fault in a stage, once a segment of a video in a folder is complete."""
    undo = strike(STAGES[stage][0], fault, lambda: any(folder.glob(".*.livestyle/*.packets")))
    try:
        yield
    finally:
        undo()


def fail() -> None:
    raise RuntimeError("it is broken")


def fill() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def hang() -> None:
    time.sleep(HANG_SECONDS)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def film(make: Make) -> Path:
    sound = ["-f", "lavfi", "-i", "sine=frequency=440", "-t", str(FRAMES / 50)]
    return make("film.mp4", *lavfi(FRAMES, "50"), *sound, *H264, "-c:a", "aac")


@pytest.fixture(scope="module")
def known() -> dict[str, bytes]:
    """What an undisturbed run makes of `film`, once there is one."""
    return {}


@pytest.fixture
def whole(known: dict[str, bytes], film: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> bytes:
    if not known:
        paint_video(film, tmp_path / "whole.mp4", identity, [dusk], options=OPTIONS)
        known["film"] = (tmp_path / "whole.mp4").read_bytes()
        (tmp_path / "whole.mp4").unlink()
    return known["film"]


@pytest.mark.parametrize("fault", [fail, fill])
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_fails_is_named_and_what_is_complete_stays(
    film: Path, whole: bytes, tmp_path: Path, identity: Stylizer, dusk: Style, stage: str, fault: Callable[[], None]
) -> None:
    target = tmp_path / "out.mp4"
    with struck(stage, fault, tmp_path), pytest.raises(LivestyleError) as raised:
        paint_video(film, target, identity, [dusk], options=OPTIONS)

    text = str(raised.value)
    if text.startswith("cannot write "):
        assert text.startswith(f"cannot write {target}: No space left on device")
        assert STAGES[stage][1] in ("writing", "") or text.endswith(f", in {STAGES[stage][1]}")
    else:
        assert text.startswith(f"{film} could not be painted: {STAGES[stage][1] or 'writing'} failed (")
    assert names(tmp_path) == [".out.mp4.livestyle", "film.mp4"]
    (result,) = paint_video(film, target, identity, [dusk], options=RESUME)
    assert result.resumed >= SEGMENT
    assert target.read_bytes() == whole
    assert names(tmp_path) == ["film.mp4", "out.mp4"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_hangs_delays_a_film_and_nothing_else(
    film: Path, whole: bytes, tmp_path: Path, identity: Stylizer, dusk: Style, stage: str
) -> None:
    with struck(stage, hang, tmp_path):
        paint_video(film, tmp_path / "out.mp4", identity, [dusk], options=OPTIONS)

    assert (tmp_path / "out.mp4").read_bytes() == whole


DYING = """if True:
    import sys
    from pathlib import Path
    from livestyle import StyleLibrary, Stylizer
    from tests.batches import paint_video
    from tests.jobs.test_faults import OPTIONS, die, struck

    film, target = map(Path, sys.argv[2:4])
    stylizer = Stylizer(sys.argv[4], "cpu")
    with struck(sys.argv[1], die, target.parent):
        paint_video(film, target, stylizer, [StyleLibrary(stylizer)["dusk"]], options=OPTIONS)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_film_that_dies_in_a_stage_is_resumed(
    film: Path, whole: bytes, tmp_path: Path, identity: Stylizer, dusk: Style, stage: str
) -> None:
    target = tmp_path / "out.mp4"
    program = [sys.executable, "-c", DYING, stage, str(film), str(target), str(IDENTITY)]
    died = subprocess.run(program, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert names(tmp_path) == [".out.mp4.livestyle", ".out.mp4.lock", "film.mp4"]

    (result,) = paint_video(film, target, identity, [dusk], options=RESUME)

    assert result.resumed >= SEGMENT
    assert target.read_bytes() == whole
    assert names(tmp_path) == ["film.mp4", "out.mp4"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_of_a_batch_that_fails_ends_one_film(
    film: Path, whole: bytes, tmp_path: Path, identity: Stylizer, dusk: Style, stage: str, workers: int
) -> None:
    films, painted = tmp_path / "films", tmp_path / "painted"
    films.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        os.link(film, films / name)
    # The same file three times would be one source.
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        data = (films / name).read_bytes()
        (films / name).unlink()
        (films / name).write_bytes(data)

    with struck(stage, fail, painted), pytest.raises(InputError, match=r"1 of 3 videos failed, the rest is done: "):
        paint_videos([films], painted, identity, [dusk], options=OPTIONS, workers=workers)
    complete = [path for path in painted.iterdir() if path.suffix == ".mp4"]
    assert [path.read_bytes() == whole for path in complete] == [True, True]
    paint_videos([films], painted, identity, [dusk], options=RESUME, workers=workers)

    assert names(painted) == ["a.mp4", "b.mp4", "c.mp4"]
    assert all(path.read_bytes() == whole for path in painted.iterdir())


PICTURE_STAGES = {
    "decode": ("livestyle.jobs.image:read_picture", "decoding"),
    "engine": ("livestyle.engine.stylizer:Stylizer.stylize", "painting"),
    "encode": ("livestyle.jobs.image:encode_image", "encoding"),
    "write": ("livestyle.jobs.image:write_result", "writing"),
}


@pytest.mark.parametrize("fault", [fail, hang])
@pytest.mark.parametrize("stage", PICTURE_STAGES)
def test_a_stage_of_a_batch_of_pictures_that_fails_ends_one_picture(
    image_path: Path,
    tmp_path: Path,
    identity: Stylizer,
    dusk: Style,
    stage: str,
    fault: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    album, painted = tmp_path / "album", tmp_path / "painted"
    album.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (album / name).write_bytes(image_path.read_bytes())
    place, name = PICTURE_STAGES[stage]
    undo = strike(place, fault, lambda: (painted / "a.png").exists())
    one_fails = pytest.raises(InputError, match=r"1 of 3 pictures failed, the rest is done: .*b\.png")
    try:
        with one_fails if fault is fail else nullcontext():
            paint_images([album], painted, identity, [dusk])
    finally:
        undo()
    if fault is fail:
        assert f"b.png could not be painted: {name} failed (RuntimeError: it is broken)" in caplog.text

    assert names(painted) == (["a.png", "c.png"] if fault is fail else ["a.png", "b.png", "c.png"])


def test_a_disk_that_fills_up_leaves_what_is_complete(
    film: Path, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    """The limit of a file's size strikes the unfinished video, which is larger than a segment and a snapshot."""
    target, limits = tmp_path / "out.mp4", resource.getrlimit(resource.RLIMIT_FSIZE)
    large = replace(OPTIONS, encoding=Encoding(crf=1))
    paint_video(film, target, identity, [dusk], 0.0, large)
    whole = target.read_bytes()
    target.unlink()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) * 3 // 4, limits[1]))
    try:
        with pytest.raises(LivestyleError, match=r"cannot write .*out\.mp4: File too large"):
            paint_video(film, target, identity, [dusk], 0.0, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == [".out.mp4.livestyle", "film.mp4"]

    (result,) = paint_video(film, target, identity, [dusk], 0.0, replace(large, resume=True))

    assert result.resumed >= SEGMENT
    assert target.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_films_that_are_killed_at_random_moments_come_out_as_undisturbed_ones(seed: int) -> None:
    """``python -m tests.soak kill --times 200`` is the long run."""
    program = [sys.executable, "-m", "tests.soak", "kill", "--times", "5", "--seed", str(seed)]
    result = subprocess.run(program, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stdout + result.stderr
