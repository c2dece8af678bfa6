"""Painted images: `ImageBatch` and `stylize_image`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import Look, stylize_image
from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError, StyleError
from livestyle.jobs.report import Result
from livestyle.render.color import ColorMode, keep_colors
from livestyle.styles.library import Style, StyleLibrary
from tests.batches import names, paint_images

Paint = Callable[..., list[Result]]


def draw(path: Path, width: int = 96, height: int = 64, seed: int = 0) -> Path:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return path


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return draw(tmp_path / "photo.png")


@pytest.fixture
def paint(identity: Stylizer, dusk: Style) -> Paint:
    def run(sources: list[Path], target: Path, strength: float = 1.0, **options: Any) -> list[Result]:
        return paint_images(sources, target, identity, [dusk], strength, **options)

    return run


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
def test_an_image_is_painted_at_its_size(photo: Path, tmp_path: Path, paint: Paint, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"

    (result,) = paint([photo], target)

    painted = read(target)
    assert (result.path, result.width, result.height) == (target, 96, 64)
    assert painted.shape == (64, 96, 3)
    assert np.abs(painted.astype(int) - read(photo)).mean() > 5


def test_one_image_is_painted_by_one_call(photo: Path, identity: Stylizer, identity_library: StyleLibrary) -> None:
    content, moss = read(photo), identity_library["moss"]

    assert (stylize_image(content, Look(moss), identity) == identity.stylize(content, moss.stats)).all()
    assert stylize_image(content, Look(moss, side_by_side=True), identity).shape == (64, 192, 3)


def test_strength_0_gives_the_image_back(photo: Path, tmp_path: Path, paint: Paint) -> None:
    paint([photo], tmp_path / "out.png", 0.0)

    assert (read(tmp_path / "out.png") == read(photo)).all()


def test_strokes_can_be_broader(photo: Path, tmp_path: Path, stylizer: Stylizer, style: Style) -> None:
    cv2.imwrite(str(tmp_path / "large.png"), cv2.resize(read(photo), (200, 160)))

    painted = []
    for size in (1, 2):
        paint_images([tmp_path / "large.png"], tmp_path / f"{size}.png", stylizer, [style], stroke_size=size)
        painted.append(read(tmp_path / f"{size}.png").astype(int))

    fine, broad = (np.abs(np.diff(image, axis=1)).mean() for image in painted)
    assert broad < 0.8 * fine


def test_each_image_is_painted_on_its_own(photo: Path, tmp_path: Path, paint: Paint) -> None:
    other = draw(tmp_path / "other.png", seed=5)

    paint([other, photo], tmp_path / "both")
    paint([photo], tmp_path / "alone.png")

    assert (read(tmp_path / "both" / "photo.png") == read(tmp_path / "alone.png")).all()


@pytest.mark.parametrize(("width", "height"), [(97, 65), (33, 20), (1, 1), (200, 3)])
def test_any_size_comes_back(tmp_path: Path, paint: Paint, width: int, height: int) -> None:
    source = draw(tmp_path / "small.png", width, height)

    paint([source], tmp_path / "out.png")

    assert read(tmp_path / "out.png").shape == (height, width, 3)


def test_a_folder_becomes_a_folder(tmp_path: Path, paint: Paint) -> None:
    album = tmp_path / "album"
    (album / "below").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "below/c.png"):
        draw(album / name)
    (album / "notes.txt").write_text("not a picture")

    results = paint([album], tmp_path / "new" / "painted")

    assert [result.path.name for result in results] == ["a.png", "b.jpg"]
    assert names(tmp_path / "new" / "painted") == ["a.png", "b.jpg"]


def test_several_images_go_into_a_folder(photo: Path, tmp_path: Path, paint: Paint) -> None:
    paint([photo, draw(tmp_path / "other.jpg")], tmp_path / "painted.d")

    assert names(tmp_path / "painted.d") == ["other.jpg", "photo.png"]


def test_one_image_may_go_into_a_folder(photo: Path, tmp_path: Path, paint: Paint) -> None:
    paint([photo], tmp_path / "painted")

    assert names(tmp_path / "painted") == ["photo.png"]


def test_several_styles_give_an_image_each(photo: Path, tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    folder = tmp_path / "painted"
    twins = [Style("wave", dusk.stats), Style("scream", dusk.stats), Style("wave", dusk.stats)]

    paint_images([photo], folder, identity, twins)

    assert names(folder) == ["photo-scream.png", "photo-wave-1.png", "photo-wave-3.png"]


def test_a_damaged_image_among_several_is_named_and_the_rest_is_done(
    photo: Path, tmp_path: Path, paint: Paint, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("not a picture")

    with pytest.raises(InputError, match=r"1 of 3 pictures failed, the rest is done: .*bad\.jpg"):
        paint([bad, photo, draw(tmp_path / "other.png")], tmp_path / "painted")

    assert names(tmp_path / "painted") == ["other.png", "photo.png"]
    assert len(caplog.records) == 1
    assert "bad.jpg is not a picture" in caplog.text


def test_each_failure_of_an_image_in_several_styles_is_named(
    photo: Path, tmp_path: Path, identity: Stylizer, dusk: Style, caplog: pytest.LogCaptureFixture
) -> None:
    sources, folder = [photo, draw(tmp_path / "other.png")], tmp_path / "painted"
    taken = ["photo-scream.png", "photo-wave.png"]
    for name in taken:
        (folder / name).mkdir(parents=True)

    with pytest.raises(InputError, match=r"1 of 2 pictures failed, the rest is done: .*photo\.png$"):
        paint_images(sources, folder, identity, [Style(name, dusk.stats) for name in ("scream", "wave")], force=True)

    assert [any(name in record.message for name in taken) for record in caplog.records] == [True, True]


def test_a_single_damaged_image_is_an_error(tmp_path: Path, paint: Paint) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("not a picture")

    with pytest.raises(InputError, match="is not a picture"):
        paint([bad], tmp_path / "out.png")

    assert names(tmp_path) == ["bad.jpg"]


def test_a_missing_image_stops_all_before_any_work(photo: Path, tmp_path: Path, paint: Paint) -> None:
    with pytest.raises(InputError, match=r"there is no picture .*missing\.png"):
        paint([photo, tmp_path / "missing.png"], tmp_path / "painted")

    assert names(tmp_path) == ["photo.png"]


def test_a_folder_without_images_is_an_error(tmp_path: Path, paint: Paint) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputError, match="no picture in the folder"):
        paint([tmp_path / "empty"], tmp_path / "painted")


def test_several_images_do_not_fit_into_one(photo: Path, tmp_path: Path, paint: Paint) -> None:
    with pytest.raises(OutputError, match="name a folder"):
        paint([photo, draw(tmp_path / "other.png")], tmp_path / "out.png")


def test_two_images_of_one_name_do_not_overwrite_each_other(photo: Path, tmp_path: Path, paint: Paint) -> None:
    (tmp_path / "album").mkdir()

    with pytest.raises(OutputError, match="two results would both be"):
        paint([photo, draw(tmp_path / "album" / "photo.png")], tmp_path / "painted")

    assert not (tmp_path / "painted").exists()


def test_images_of_one_name_keep_their_suffixes(tmp_path: Path, paint: Paint) -> None:
    for seed, name in enumerate(("x.png", "x.jp2", "x.jpg", "y.jp2")):
        draw(tmp_path / name, seed=seed)

    results = paint([tmp_path / name for name in names(tmp_path)], tmp_path / "painted", 0.0)

    assert {result.source.name: result.path.name for result in results} == {
        "x.jp2": "x.jp2.png",
        "x.jpg": "x.jpg",
        "x.png": "x.png",
        "y.jp2": "y.png",
    }
    assert (read(tmp_path / "painted" / "x.jp2.png") == read(tmp_path / "x.jp2")).all()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.gif", "end the name with one of"),
        ("missing/out.png", "there is no folder"),
        ("/proc/out.png", "in the folder /proc no file can be made .*, choose another"),
        ("/proc/painted", "in the folder /proc no file can be made .*, choose another"),
        ("photo.png/painted", "photo.png is a file"),
        ("x" * 252 + ".png", "File name too long"),
        ("photo.png", "is the source itself"),
        (".", "is the source itself"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused(
    photo: Path, tmp_path: Path, paint: Paint, name: str, words: str
) -> None:
    before = photo.read_bytes()

    with pytest.raises(OutputError, match=words):
        paint([photo], tmp_path / name, force=True)

    assert names(tmp_path) == ["photo.png"]
    assert photo.read_bytes() == before


def test_standard_output_is_no_target_of_an_image_and_no_folder(
    photo: Path, tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"to a file and not to standard output \(-\): name one"):
        paint([photo], Path("-"))
    assert names(tmp_path) == ["photo.png"]
    # A folder of this name is one.
    Path("-").mkdir()
    paint([photo], Path("-"))
    assert names(tmp_path / "-") == ["photo.png"]


def test_an_existing_image_is_kept(photo: Path, tmp_path: Path, paint: Paint) -> None:
    target = tmp_path / "out.png"
    target.write_text("precious")

    with pytest.raises(OutputError, match="already exists"):
        paint([photo], target)

    assert target.read_text() == "precious"


def test_an_existing_image_is_replaced_by_force(photo: Path, tmp_path: Path, paint: Paint) -> None:
    target = tmp_path / "out.png"
    target.write_text("not so precious")

    paint([photo], target, force=True)

    assert read(target).shape == (64, 96, 3)


def test_a_strength_out_of_range_is_refused_at_once(photo: Path, tmp_path: Path, paint: Paint) -> None:
    with pytest.raises(LivestyleError, match="between 0 and 1"):
        paint([photo], tmp_path / "painted", 7)

    assert names(tmp_path) == ["photo.png"]


def test_the_colours_of_the_content_can_be_kept(photo: Path, tmp_path: Path, paint: Paint) -> None:
    paint([photo], tmp_path / "style.png")
    paint([photo], tmp_path / "content.png", color=ColorMode.CONTENT)

    assert (read(tmp_path / "content.png") == keep_colors(read(photo), read(tmp_path / "style.png"))).all()


def test_a_small_image_keeps_its_colours_too(tmp_path: Path, paint: Paint) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((20, 33), 100, np.uint8))

    paint([tmp_path / "grey.png"], tmp_path / "out.png", color=ColorMode.CONTENT)

    assert np.ptp(read(tmp_path / "out.png"), axis=2).max() == 0


def test_the_style_is_matched_to_each_image_for_itself(
    photo: Path, tmp_path: Path, identity: Stylizer, identity_library: StyleLibrary
) -> None:
    other = draw(tmp_path / "other.png", seed=5)
    style = identity_library.from_image(draw(tmp_path / "wave.png", seed=9))

    paint_images([photo, other], tmp_path / "painted", identity, [style], color=ColorMode.MATCH)

    for source in (photo, other):
        expected = identity.stylize(read(source), identity_library.matched(style, read(source)).stats)
        assert (read(tmp_path / "painted" / source.name) == expected).all()


def test_matching_a_style_without_an_image_is_refused_at_once(photo: Path, tmp_path: Path, paint: Paint) -> None:
    with pytest.raises(StyleError, match="the colours of dusk cannot be matched"):
        paint([photo], tmp_path / "painted", color=ColorMode.MATCH)

    assert names(tmp_path) == ["photo.png"]


def test_the_bar_counts_images(
    photo: Path,
    tmp_path: Path,
    paint: Paint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # For rich, a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    paint([photo, draw(tmp_path / "other.png")], tmp_path / "painted", progress=True)

    shown = capsys.readouterr()
    assert "2/2" in shown.err
    assert not shown.out


def test_images_in_jobs_scaled_and_beside_their_source(tmp_path: Path, identity: Stylizer, dusk: Style) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        draw(album / name, 200, 100, seed)

    results = paint_images(
        [album], tmp_path / "painted", identity, [dusk], size=(140, 100), side_by_side=True, workers=2
    )

    assert sorted(result.path.name for result in results) == ["a.png", "b.png", "c.png"]
    for result in results:
        both, source = read(result.path), read(result.source)
        assert both.shape == (70, 280, 3)
        small = cv2.resize(source, (140, 70), interpolation=cv2.INTER_AREA)
        assert (both[:, :140] == small).all()
        assert (both[:, 140:] == identity.stylize(small, dusk.stats)).all()


def test_patterns_are_understood(tmp_path: Path, paint: Paint) -> None:
    for name in ("a.png", "b.jpg"):
        draw(tmp_path / name)

    results = paint([tmp_path / "*.png"], tmp_path / "painted")

    assert [result.path.name for result in results] == ["a.png"]
