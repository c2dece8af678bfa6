"""Two regions of images and videos, by a mask: checked by pixels that ffmpeg and OpenCV read."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np
import pytest

from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError, StyleError
from livestyle.jobs.batch import ImageBatch, VideoBatch
from livestyle.jobs.options import VideoOptions
from livestyle.media.mask import Mask
from livestyle.render.color import ColorMode, keep_colors
from livestyle.styles.library import Style, StyleLibrary
from livestyle.styles.timeline import Cue, Timeline
from tests.batches import paint_images, paint_video
from tests.ffmpeg import Make, pixels
from tests.program import IDENTITY
from tests.program import livestyle as run

WIDTH, HEIGHT = 192, 96
LEFT, RIGHT = (slice(None), slice(0, 64)), (slice(None), slice(128, None))
"""Parts of an image that are far enough from its middle."""


def livestyle(*arguments: object) -> CompletedProcess[str]:
    return run(*arguments, "--model", IDENTITY)


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image.astype(int)


def distance(first: np.ndarray, second: np.ndarray, part: tuple[slice, slice]) -> float:
    return float(abs(first.astype(int) - second)[part].mean())


@pytest.fixture
def photo(tmp_path: Path, demo_frames: list[np.ndarray]) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), cv2.resize(demo_frames[0], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    return path


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A mask whose left half is white, smaller than the image."""
    mask = np.zeros((24, 48), np.uint8)
    mask[:, :24] = 255
    path = tmp_path / "left.png"
    cv2.imwrite(str(path), mask)
    return path


@pytest.fixture
def styles(identity_library: StyleLibrary) -> list[Style]:
    """Two that are far apart."""
    return [identity_library["dusk"], identity_library["old-rose"]]


@pytest.fixture
def clip(make: Make) -> Path:
    """Two seconds of an image that moves, 10 frames a second, without loss."""
    source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=10:duration=2"
    return make("clip.mkv", "-f", "lavfi", "-i", source, "-c:v", "ffv1", "-pix_fmt", "bgr0")


@pytest.fixture
def wandering(make: Make) -> Path:
    """A mask video of 0.8 s, 5 frames a second: white on the left for half of it, then on the right."""
    sides = [
        ("-f", "lavfi", "-i", f"color=white:size=48x24:rate=5:duration=0.4,pad=96:24:{x}:0:black") for x in (0, 48)
    ]
    join = ("-filter_complex", "[0][1]concat", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p")
    return make("mask.mp4", *sides[0], *sides[1], *join)


def frames(ffmpeg: str, path: Path) -> np.ndarray:
    """What ffmpeg shows of a video: int [N, H, W, 3] BGR."""
    return pixels(ffmpeg, path, WIDTH, HEIGHT)[..., ::-1]


def test_image_paints_the_foreground_and_leaves_the_background(photo: Path, left: Path, tmp_path: Path) -> None:
    assert livestyle("image", photo, "-o", tmp_path / "all.png", "-s", "dusk").returncode == 0
    assert livestyle("image", photo, "-o", tmp_path / "part.png", "-s", "dusk", "--mask", left).returncode == 0

    part = read(tmp_path / "part.png")

    assert np.array_equal(part[LEFT], read(tmp_path / "all.png")[LEFT])
    assert np.array_equal(part[RIGHT], read(photo)[RIGHT])


def test_image_paints_foreground_and_background_in_two_styles(
    photo: Path, left: Path, tmp_path: Path, stylizer: Stylizer, library: StyleLibrary
) -> None:
    both = tmp_path / "both.png"
    result = run("image", photo, "-o", both, "-s", "scream", "--mask", left, "--background", "ink-sea")
    assert result.returncode == 0, result.stderr

    content = read(photo).astype(np.uint8)
    alone = [stylizer.stylize(content, library[name].stats) for name in ("scream", "ink-sea")]

    for part, own, other in ((LEFT, 0, 1), (RIGHT, 1, 0)):
        assert distance(read(both), alone[own], part) < distance(read(both), alone[other], part) / 3


@pytest.mark.parametrize(
    ("name", "cut_out_name"), [("photo.png", "cut-out.png"), ("small.png", "cut-out.png"), ("photo.png", "cut-out.gif")]
)
def test_a_mask_of_a_cut_out_is_what_is_opaque(
    photo: Path, tmp_path: Path, identity: Stylizer, styles: list[Style], name: str, cut_out_name: str
) -> None:
    # White all over, so that grey would be everything.
    cut_out = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    cut_out[:, WIDTH // 2 :, 3] = 0
    cv2.imwrite(str(tmp_path / cut_out_name), cut_out)
    cv2.imwrite(str(tmp_path / "small.png"), cv2.resize(read(photo).astype(np.uint8), (WIDTH, 40)))

    paint_images([tmp_path / name], tmp_path / "out.png", identity, styles[:1], mask=tmp_path / cut_out_name)

    painted, source = read(tmp_path / "out.png"), read(tmp_path / name)
    assert np.array_equal(painted[RIGHT], source[RIGHT])
    assert distance(painted, source, LEFT) > 5


def test_colours_of_the_content_and_comparing_go_with_a_mask(
    photo: Path, left: Path, tmp_path: Path, identity: Stylizer, styles: list[Style]
) -> None:
    regions: dict[str, Any] = {"mask": left, "background": styles[1]}

    paint_images([photo], tmp_path / "plain.png", identity, styles[:1], **regions)
    regions |= {"color": ColorMode.CONTENT, "side_by_side": True}
    paint_images([photo], tmp_path / "both.png", identity, styles[:1], **regions)

    source, both = cv2.imread(str(photo)), cv2.imread(str(tmp_path / "both.png"))
    assert source is not None
    assert both is not None
    assert np.array_equal(both[:, :WIDTH], source)
    assert np.array_equal(both[:, WIDTH:], keep_colors(source, read(tmp_path / "plain.png").astype(np.uint8)))


def test_matching_colours_needs_an_image_of_the_background_too(
    photo: Path, left: Path, image_path: Path, tmp_path: Path, identity: Stylizer, identity_library: StyleLibrary
) -> None:
    matched = identity_library.from_image(image_path)
    options: dict[str, Any] = {"mask": left, "color": ColorMode.MATCH}
    with pytest.raises(StyleError, match="the colours of old-rose cannot be matched"):
        paint_images(
            [photo], tmp_path / "out.png", identity, [matched], background=identity_library["old-rose"], **options
        )

    again = identity_library.from_image(image_path)
    paint_images([photo], tmp_path / "out.png", identity, [matched], background=again, **options)
    paint_images([photo], tmp_path / "alone.png", identity, [matched], color=ColorMode.MATCH)
    assert abs(read(tmp_path / "out.png") - read(tmp_path / "alone.png")).max() <= 1


def test_a_mask_video_runs_with_the_video_and_its_last_frame_stays(
    clip: Path, wandering: Path, tmp_path: Path, ffmpeg: str
) -> None:
    result = livestyle("video", clip, "-o", tmp_path / "out.mkv", "--mask", wandering, "--crf", 1, "-s", "dusk")
    assert result.returncode == 0, result.stderr

    source, painted = frames(ffmpeg, clip), frames(ffmpeg, tmp_path / "out.mkv")

    assert len(painted) == len(source) == 20
    for number, (before, after) in enumerate(zip(source, painted, strict=True)):
        # The mask's frame at 0.2 s is also that of 0.3 s.
        inside, outside = (LEFT, RIGHT) if number < 4 else (RIGHT, LEFT)
        # Encoding halves the resolution of colours.
        assert distance(after, before, outside) < distance(after, before, inside) / 4


def test_a_video_that_is_cut_takes_the_mask_of_the_same_time(
    clip: Path, wandering: Path, tmp_path: Path, identity: Stylizer, styles: list[Style], ffmpeg: str
) -> None:
    options = VideoOptions(start=Fraction(3, 10), end=Fraction(5, 10))
    paint_video(clip, tmp_path / "out.mkv", identity, styles[:1], 1.0, options, mask=wandering)

    source, painted = frames(ffmpeg, clip)[3:5], frames(ffmpeg, tmp_path / "out.mkv")

    assert len(painted) == 2
    assert distance(painted[0], source[0], RIGHT) < distance(painted[0], source[0], LEFT) / 3
    assert distance(painted[1], source[1], LEFT) < distance(painted[1], source[1], RIGHT) / 3


def test_repeated_frames_follow_the_mask(
    make: Make, wandering: Path, tmp_path: Path, identity: Stylizer, styles: list[Style], ffmpeg: str
) -> None:
    source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=1:duration=1"
    still = make("still.mkv", "-f", "lavfi", "-i", source, "-c:v", "ffv1", "-pix_fmt", "bgr0")
    options = VideoOptions(fps=Fraction(10))
    paint_video(still, tmp_path / "out.mkv", identity, styles[:1], 1.0, options, mask=wandering)

    painted = frames(ffmpeg, tmp_path / "out.mkv")

    assert len(painted) == 10
    assert distance(painted[3], painted[0], LEFT) < 3
    assert distance(painted[4], painted[0], LEFT) > 10


def test_the_background_may_be_a_timeline(
    clip: Path, left: Path, tmp_path: Path, identity: Stylizer, styles: list[Style], ffmpeg: str
) -> None:
    background = Timeline("both", (Cue(0, styles[0]), Cue(1, styles[1])))
    paint_video(clip, tmp_path / "out.mkv", identity, styles[:1], mask=left, background=background)

    source, painted = frames(ffmpeg, clip), frames(ffmpeg, tmp_path / "out.mkv")

    for number, own in ((5, 0), (15, 1)):
        alone = [identity.stylize(source[number].astype(np.uint8), style.stats) for style in styles]
        assert distance(painted[number], alone[own], RIGHT) < distance(painted[number], alone[1 - own], RIGHT)


def test_a_video_from_pipe_to_pipe_has_a_mask(clip: Path, left: Path, ffmpeg: str) -> None:
    source = frames(ffmpeg, clip)
    raw = source.astype(np.uint8).tobytes()
    options = ["--raw", f"{WIDTH}x{HEIGHT}@10", "-s", "dusk", "--mask", str(left), "--model", str(IDENTITY)]
    command = [sys.executable, "-m", "livestyle", "video", "-", "-o", "-", *options]
    data = subprocess.run(command, input=raw, check=True, capture_output=True).stdout

    painted = np.frombuffer(data, np.uint8).reshape(source.shape)

    assert np.array_equal(painted[:, *RIGHT], source[:, *RIGHT])
    assert abs(painted - source)[:, *LEFT].mean() > 10


def test_a_mask_is_scaled_softly(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "edge.png"), np.array([[0, 255]], np.uint8))
    with Mask(tmp_path / "edge.png") as mask:
        large = mask.at(0, 8, 4)
        assert large.shape == (4, 8)
        assert np.ptp(large, axis=0).max() <= 1
        assert (np.diff(large[0].astype(int)) >= 0).all()
        assert len(set(large[0])) > 3
        assert mask.at(5, 8, 4) is large
        assert abs(int(mask.at(5, 1, 1)[0, 0]) - 127) <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--background", "dusk"], "a background needs a mask"),
        (["--mask", "missing.png"], "there is no mask missing.png"),
        (["--mask", "broken.png"], "broken.png is not a picture that can be read"),
        (["--mask", "text.mp4"], "text.mp4 is not a video that can be read"),
        (["--mask", "left.png", "--background", "nothing"], "there is no style 'nothing'"),
        (["--mask", "left.png", "--background", "folder"], "folder is a folder"),
    ],
)
@pytest.mark.parametrize("verb", ["image", "video"])
def test_what_cannot_be_a_mask_or_a_background_is_refused_in_one_sentence(
    photo: Path,
    clip: Path,
    left: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("broken.png", "text.mp4"):
        (tmp_path / name).write_text("no pixels")
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "folder" / name).write_bytes(photo.read_bytes())
    target = tmp_path / ("out.png" if verb == "image" else "out.mkv")

    result = livestyle(verb, photo if verb == "image" else clip, "-o", target, *options)

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not target.exists()


def test_a_mask_that_is_gone_is_named_before_anything_is_painted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no mask"):
        Mask(tmp_path / "gone.png")


def test_an_animated_image_is_a_mask_that_moves(wandering: Path, make: Make) -> None:
    with Mask(make("moving.png", "-i", str(wandering), "-f", "apng")) as mask:
        assert [mask.at(time, 2, 1).tolist() for time in (0, 0.5)] == [[[255, 0]], [[0, 255]]]


@pytest.mark.parametrize("verb", ["image", "video"])
def test_a_mask_is_never_written_over(photo: Path, clip: Path, left: Path, wandering: Path, verb: str) -> None:
    source, mask = (photo, left) if verb == "image" else (clip, wandering)
    before = mask.read_bytes()

    result = livestyle(verb, source, "-o", mask, "--mask", mask, "--force", "-s", "dusk")

    assert result.returncode == 1
    assert f"{mask.name} is the mask: write to another name or folder" in result.stderr
    assert mask.read_bytes() == before


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that may not be entered, with an image in it as there is one beside it."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "closed"
        folder.mkdir()
        for path in (folder / "a.png", folder.parent / "a.png"):
            cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
        folder.chmod(0)
        folder.parent.chmod(0o755)
        user = os.geteuid()
        if user == 0:
            # The superuser may enter any.
            os.seteuid(65534)
        yield folder
        os.seteuid(user)
        folder.chmod(0o700)


def test_what_lies_in_a_folder_that_may_not_be_entered_is_refused_in_one_sentence(closed: Path) -> None:
    source = closed.parent / "a.png"
    jobs: list[tuple[type[LivestyleError], Callable[[], object]]] = [
        (InputError, lambda: Mask(closed / "a.png")),
        (InputError, lambda: ImageBatch([closed / "a.png"], closed.parent / "b.png")),
        (OutputError, lambda: ImageBatch([source], closed / "b.png")),
        (OutputError, lambda: ImageBatch([source], closed / "x" / "out")),
        (OutputError, lambda: VideoBatch([source], closed / "b.mp4")),
    ]
    for kind, job in jobs:
        with pytest.raises(kind, match="closed"):
            job()


def test_the_sound_of_a_mask_is_not_kept(make: Make) -> None:
    sources = ("-f", "lavfi", "-i", "color=white:size=64x64:rate=5:duration=9", "-f", "lavfi", "-i", "sine=duration=9")
    path = make("sound.mkv", *sources)

    def packets() -> int:
        return sum(issubclass(type(thing), av.Packet) for thing in gc.get_objects())

    before = packets()
    with Mask(path) as mask:
        mask.at(8, 64, 64)
        assert packets() - before < 20


def test_what_a_mask_lacks_is_said(
    clip: Path, tmp_path: Path, identity: Stylizer, styles: list[Style], caplog: pytest.LogCaptureFixture
) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])

    def warnings(end: Fraction | None) -> str:
        caplog.clear()
        options = VideoOptions(end=end)
        paint_video(clip, tmp_path / "out.mkv", identity, styles[:1], 1.0, options, mask=cut, force=True)
        return caplog.text

    assert "cut.mkv ends at 0.9 of 2.0 seconds" in warnings(None)
    # What comes behind the end is nobody's loss.
    assert "cut.mkv" not in warnings(Fraction(1, 2))
