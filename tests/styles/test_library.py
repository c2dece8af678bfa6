from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from livestyle import StyleLibrary, StyleStats, Stylizer, mix
from livestyle.errors import StyleError
from livestyle.styles.folders import default_preset_folder
from livestyle.styles.library import default_cache_folder, files_in
from livestyle.styles.presets import PresetFolder


def test_a_preset_is_found_by_its_name(library: StyleLibrary) -> None:
    name = next(iter(library.presets))
    assert [s.name for s in library.find(name)] == [name]


def test_the_presets_are_those_of_the_model(library: StyleLibrary, identity: Stylizer) -> None:
    stored = identity.model.presets()
    assert {name: style.stats.values.tolist() for name, style in library.presets.items()} == {
        name: values.tolist() for name, values in stored.items()
    }


def test_an_image_is_encoded_once_and_then_comes_from_the_cache(
    identity: Stylizer, tmp_path: Path, image_path: Path
) -> None:
    first, second = (StyleLibrary(identity, tmp_path / "cache") for _ in range(2))
    encoded = first.from_image(image_path)
    cached = second.from_image(image_path.rename(tmp_path / "renamed.png"))
    assert (first.encoded, second.encoded) == (1, 0)
    assert first.is_cached
    assert np.array_equal(encoded.stats.values, cached.stats.values)


def test_a_changed_image_is_encoded_anew(library: StyleLibrary, image_path: Path) -> None:
    before = library.from_image(image_path)
    image_path.write_bytes(_png(np.full((80, 90, 3), 200, np.uint8)))
    assert not np.array_equal(library.from_image(image_path).stats.values, before.stats.values)


@pytest.mark.parametrize("damage", [b"", b"of another length", b"\xff\xff\xff\xff", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_cache_file_is_encoded_anew(
    identity: Stylizer, tmp_path: Path, image_path: Path, damage: bytes
) -> None:
    library = StyleLibrary(identity, tmp_path / "cache")
    good = library.from_image(image_path)
    for file in (tmp_path / "cache").iterdir():
        # The third is of the right length where it is repeated, and no number.
        length = 4 * identity.stats_size
        file.write_bytes((damage * length)[:length] if damage.startswith(b"\xff") else damage)
    assert np.array_equal(library.from_image(image_path).stats.values, good.stats.values)
    assert library.encoded == 2


def test_several_images_are_cached_beside_each_other(identity: Stylizer, tmp_path: Path) -> None:
    first, second = (StyleLibrary(identity, tmp_path / "new" / "cache") for _ in range(2))
    for library in (first, second):
        for shade in (9, 99):
            path = tmp_path / f"{shade}.png"
            path.write_bytes(_png(np.full((70, 70, 3), shade, np.uint8)))
            library.from_image(path)
    assert (first.encoded, second.encoded) == (2, 0)


@pytest.mark.parametrize(
    ("variable", "folder", "last"),
    [("LIVESTYLE_CACHE", default_cache_folder, "styles"), ("LIVESTYLE_PRESETS", default_preset_folder, "presets")],
)
def test_where_things_are_kept_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, variable: str, folder: Callable[[], Path], last: str
) -> None:
    monkeypatch.setenv(variable, "elsewhere")
    assert folder() == Path("elsewhere")
    for is_set in (True, False):
        if is_set:
            monkeypatch.setenv(variable, "")
        else:
            monkeypatch.delenv(variable)
        # One folder for each program, on Windows too, where `platformdirs` would put the author's before it.
        assert folder().name == last
        assert "livestyle" in folder().parts
        assert folder().parts.count("livestyle") == 1


def test_a_cache_folder_that_cannot_be_made_is_done_without(
    identity: Stylizer, tmp_path: Path, image_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    library = StyleLibrary(identity, tmp_path / "file" / "cache")
    assert library.from_image(image_path).name == "picture"
    assert not library.is_cached


def test_a_folder_is_all_its_images_by_name(library: StyleLibrary, tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(_png(np.full((70, 70, 3), len(name), np.uint8)))
    assert [s.name for s in library.find(str(tmp_path))] == ["a", "b"]


def test_who_waits_for_a_folder_is_told_of_each_image(identity: Stylizer, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(_png(np.full((70, 70, 3), 9, np.uint8)))
    seen: list[str] = []

    def progress(images: list[Path]) -> Iterator[Path]:
        for image in images:
            yield image
            seen.append(f"{image.name} of {len(images)}")

    StyleLibrary(identity, progress=progress).find(str(tmp_path))
    assert seen == ["a.png of 2", "b.png of 2"]


def test_a_mix_is_the_weighted_mean_of_its_styles(library: StyleLibrary) -> None:
    first, second = list(library.presets)[:2]
    (mixed,) = library.find(f"{first}:3, {second}:1")
    expected = 0.75 * library.presets[first].stats.values + 0.25 * library.presets[second].stats.values
    np.testing.assert_allclose(mixed.stats.values, expected, rtol=1e-5)


def test_a_mix_without_weights_is_even(library: StyleLibrary, image_path: Path) -> None:
    name = next(iter(library.presets))
    (mixed,) = library.find(f"{name},{image_path}")
    expected = (library.presets[name].stats.values + library.from_image(image_path).stats.values) / 2
    np.testing.assert_allclose(mixed.stats.values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [float("inf"), 1], [1]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    style = StyleStats(np.ones(4, np.float32))
    with pytest.raises(StyleError, match="weight"):
        mix([style, style], weights)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one.png", ["one.png"]),
        ("pictures", ["pictures/a.png", "pictures/b.jpg"]),
        ("one.png:0.7,two.png:0.3", ["one.png", "two.png"]),
        ("moss:0.7, two.png", ["two.png"]),
        ("one.png@0,moss@1:02,two.png@5", ["one.png", "two.png"]),
        ("one.png:1,two.png:3@0,pictures:2@9", ["one.png", "two.png", "pictures/a.png", "pictures/b.jpg"]),
        ("one.png,one.png", ["one.png"]),
        ("moss", []),
        ("empty", []),
        ("", []),
        (None, []),
    ],
)
def test_the_files_that_a_text_of_styles_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one.png", "two.png", "pictures/b.jpg", "pictures/a.png", "pictures/notes.txt", "empty/notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert [path.as_posix() for path in files_in(text)] == expected


def test_one_style_is_an_item_of_the_library(library: StyleLibrary, tmp_path: Path) -> None:
    assert library["moss"] is library.presets["moss"]
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(_png(np.full((70, 70, 3), 9, np.uint8)))
    with pytest.raises(StyleError, match="is a folder of 2 styles"):
        library[str(tmp_path)]


def test_a_model_without_presets_asks_for_a_picture(library: StyleLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(library._stylizer.model), "presets", lambda _: {})
    with pytest.raises(StyleError, match=r"^this model has no presets: name a style picture$") as caught:
        library.first()
    assert caught.value.settings == ("style",)


def test_an_unknown_style_names_the_presets(library: StyleLibrary) -> None:
    with pytest.raises(StyleError, match=next(iter(library.presets))):
        library.find("no-such-style")


def test_a_text_file_named_jpg_is_refused(library: StyleLibrary, tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    path.write_text("Dear reader")
    with pytest.raises(StyleError, match=r"letter\.jpg is not a picture"):
        library.find(str(path))


def test_an_empty_folder_is_refused(library: StyleLibrary, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StyleError, match="no picture in the folder"):
        library.find(str(tmp_path / "empty"))


@pytest.fixture
def presets(tmp_path: Path, demo_frames: list[np.ndarray]) -> PresetFolder:
    """Two presets of somebody's own."""
    folder = PresetFolder(tmp_path / "presets")
    for name, image in (("wave", demo_frames[3]), ("Große Flut", demo_frames[9])):
        folder.add(name, image)
    return folder


@pytest.fixture
def own(identity: Stylizer, tmp_path: Path, presets: PresetFolder) -> StyleLibrary:
    """A library that knows these two."""
    return StyleLibrary(identity, tmp_path / "cache", presets.folder)


def test_ones_own_presets_come_after_those_of_the_model(own: StyleLibrary, identity: Stylizer) -> None:
    assert list(own.presets) == [*identity.model.presets(), "Große Flut", "wave"]


def test_a_preset_of_ones_own_is_the_style_of_its_image(
    own: StyleLibrary, identity: Stylizer, demo_frames: list[np.ndarray]
) -> None:
    (style,) = own.find("wave")
    assert np.array_equal(style.stats.values, identity.encode_style(demo_frames[3]).values)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_preset_is_found_however_its_accents_are_written(own: StyleLibrary, form: Literal["NFC", "NFD"]) -> None:
    assert own.find(unicodedata.normalize(form, "Große Flut")) == [own.presets["Große Flut"]]


def test_the_image_of_a_preset_is_that_preset(own: StyleLibrary, presets: PresetFolder) -> None:
    assert own.find(str(presets.folder / "wave.png")) == [own.presets["wave"]]


def test_a_mix_takes_ones_own_presets(own: StyleLibrary) -> None:
    (mixed,) = own.find("moss:1,Große Flut:3")
    expected = 0.25 * own.presets["moss"].stats.values + 0.75 * own.presets["Große Flut"].stats.values
    np.testing.assert_allclose(mixed.stats.values, expected, rtol=1e-4, atol=1e-5)


def test_only_the_preset_that_is_asked_for_is_encoded(own: StyleLibrary) -> None:
    own.find("wave")
    assert own.encoded == 1


def test_the_colours_of_a_preset_of_ones_own_can_be_matched(own: StyleLibrary, frame: np.ndarray) -> None:
    (style,) = own.find("wave")
    assert not np.array_equal(own.matched(style, frame).stats.values, style.stats.values)


def test_a_preset_of_ones_own_takes_the_place_of_the_models(
    own: StyleLibrary, presets: PresetFolder, identity: Stylizer, demo_frames: list[np.ndarray]
) -> None:
    first = next(iter(identity.model.presets()))
    presets.add(first, demo_frames[3])
    assert own.first() is own.presets[first] is own.find(first)[0]
    assert own.first().source == presets.folder / f"{first}.png"
    assert next(iter(own.presets)) == first


def test_a_damaged_preset_is_left_out_and_named_in_the_log(
    own: StyleLibrary, presets: PresetFolder, caplog: pytest.LogCaptureFixture
) -> None:
    (presets.folder / "wave.png").write_bytes(b"gone bad")
    assert "wave" not in own.presets
    assert "the preset wave is left out" in caplog.text


def test_a_preset_folder_that_cannot_be_read_leaves_the_models(
    identity: Stylizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert StyleLibrary(identity, preset_folder=tmp_path / "file").find("moss")
    assert "LIVESTYLE_PRESETS" in caplog.text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("mos", "moss"),
        ("Moss", "moss"),
        ("old_rose", "old-rose"),
        ("Grosse Flut", "Große Flut"),
        ("mos:0.5,dusk:0.5", "moss"),
    ],
)
def test_a_style_that_is_nearly_right_is_suggested(own: StyleLibrary, text: str, meant: str) -> None:
    with pytest.raises(StyleError, match=f"did you mean {meant}"):
        own.find(text)


def _png(image: np.ndarray) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", image)[1])
