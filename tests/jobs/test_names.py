"""Names of files that mean something to FFmpeg, or are as long as there is room for; judged by ffprobe and Pillow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from livestyle import Stylizer
from livestyle.files import LONGEST_NAME, hidden_path
from livestyle.jobs import resume
from livestyle.jobs.options import VideoOptions
from livestyle.jobs.resume import store_folder
from livestyle.styles.library import Style
from tests.batches import H264, lavfi, names, paint_images, paint_video
from tests.ffmpeg import Make, stream

LONG = "ä" * 121 + ".mp4"
"""246 bytes."""


@pytest.fixture
def clip(make: Make) -> Path:
    return make("in.mp4", *lavfi(12), *H264)


@pytest.mark.parametrize(
    "name",
    [
        "2026-05-01T12:30:45.mp4",
        "http:a.mp4",
        "concat:a.mp4|b.mp4",
        "data:,a.mp4",
        "pipe:1.mp4",
        "file:a.mp4",
        "%03d.mp4",
        "-a.mp4",
        "a#b?c&d.mp4",
        "*[a].mp4",
        LONG,
        "x" * 251 + ".mp4",
    ],
)
def test_a_name_is_a_name(clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, name: str) -> None:
    source, target = tmp_path / name, tmp_path / "painted" / name
    target.parent.mkdir()
    shutil.copyfile(clip, source)

    (result,) = paint_video(source, target, identity, [dusk], 0.0)

    assert result.path == target
    assert names(target.parent) == [name]
    shutil.copyfile(target, tmp_path / "out.mp4")
    assert stream(tmp_path / "out.mp4")["nb_frames"] == "12"


def test_subtitles_before_a_start_are_found_in_such_a_file(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,900\nhello\n")
    film = make("in.mkv", *lavfi(50), "-i", str(tmp_path / "a.srt"), *H264, "-g", "5")
    film.rename(tmp_path / "12:30.mkv")

    paint_video(tmp_path / "12:30.mkv", tmp_path / "out:1.mkv", identity, [dusk], 0.0, VideoOptions(start=1))  # type: ignore[arg-type]

    shutil.copyfile(tmp_path / "out:1.mkv", tmp_path / "out.mkv")
    assert stream(tmp_path / "out.mkv", "s:0")["codec_type"] == "subtitle"


@pytest.mark.parametrize("name", ["12:30:45.png", "x" * 251 + ".png", "ä" * 125 + ".png"])
def test_a_picture_s_name_may_be_anything_too(tmp_path: Path, identity: Stylizer, dusk: Style, name: str) -> None:
    Image.new("RGB", (64, 64), (200, 100, 50)).save(tmp_path / "in.png")
    (tmp_path / "in.png").rename(tmp_path / name)

    paint_images([tmp_path / name], tmp_path / "painted", identity, [dusk], 0.0)

    assert names(tmp_path / "painted") == [name]
    with Image.open(tmp_path / "painted" / name) as image:
        assert image.getpixel((5, 5)) == (200, 100, 50)


def test_an_interrupted_film_of_a_long_name_is_resumed(
    clip: Path, tmp_path: Path, identity: Stylizer, dusk: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / LONG
    options = VideoOptions(segment_frames=2)
    paint, count = identity.stylize, 0

    def interrupted(*arguments: object, **more: object) -> object:
        nonlocal count
        count += 1
        # Frames wait to be encoded, six at most: a segment is complete by then.
        if count == 9:
            raise KeyboardInterrupt
        return paint(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(identity, "stylize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        paint_video(clip, target, identity, [dusk], 1.0, options)
    monkeypatch.setattr(identity, "stylize", paint)
    assert store_folder(target).is_dir()

    (result,) = paint_video(clip, target, identity, [dusk], 1.0, VideoOptions(segment_frames=2, resume=True))

    # Some segments may have been on their way to the encoder still.
    assert result.resumed in (2, 4, 6, 8)
    assert result.frames == 12
    assert names(tmp_path) == sorted(["in.mp4", LONG])


def test_hidden_names_are_short_and_tell_long_names_apart() -> None:
    first, second = (hidden_path(Path("ä" * 120 + end), ".livestyle") for end in ("a.mp4", "b.mp4"))

    assert first.name != second.name
    assert first == hidden_path(Path("ä" * 120 + "a.mp4"), ".livestyle")
    assert all(len(path.name.encode()) <= LONGEST_NAME for path in (first, second))
    assert (
        hidden_path(Path("a/b.mp4"), ".livestyle") == Path("a/.b.mp4.livestyle") == resume.store_folder(Path("a/b.mp4"))
    )
