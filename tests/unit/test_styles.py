from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from livestyle import StyleLibrary, Stylizer, mix
from livestyle.engine import StyleStats
from livestyle.errors import StyleError


def test_a_preset_is_found_by_its_name(library: StyleLibrary) -> None:
    name = next(iter(library.presets))
    assert [s.name for s in library.find(name)] == [name]


def test_there_are_at_least_twelve_presets(library: StyleLibrary) -> None:
    assert len(library.presets) >= 12


def test_a_picture_is_encoded_once_and_then_comes_from_the_cache(
    stylizer: Stylizer, tmp_path: Path, picture: Path
) -> None:
    first, second = (StyleLibrary(stylizer, tmp_path / "cache") for _ in range(2))
    encoded = first.from_picture(picture)
    cached = second.from_picture(picture.rename(tmp_path / "renamed.png"))
    assert (first.encoded, second.encoded) == (1, 0)
    assert np.array_equal(encoded.stats.values, cached.stats.values)


def test_a_changed_picture_is_encoded_anew(library: StyleLibrary, picture: Path) -> None:
    before = library.from_picture(picture)
    picture.write_bytes(_png(np.full((80, 90, 3), 200, np.uint8)))
    assert not np.array_equal(library.from_picture(picture).stats.values, before.stats.values)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00junk", b"not numpy at all"])
def test_a_damaged_cache_file_is_encoded_anew(stylizer: Stylizer, tmp_path: Path, picture: Path, damage: bytes) -> None:
    library = StyleLibrary(stylizer, tmp_path / "cache")
    good = library.from_picture(picture)
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(damage)
    assert np.array_equal(library.from_picture(picture).stats.values, good.stats.values)
    assert library.encoded == 2


def test_a_cache_folder_that_cannot_be_made_is_done_without(stylizer: Stylizer, tmp_path: Path, picture: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert StyleLibrary(stylizer, tmp_path / "file" / "cache").from_picture(picture).name == "picture"


def test_a_folder_is_all_its_pictures_by_name(library: StyleLibrary, tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(_png(np.full((70, 70, 3), len(name), np.uint8)))
    assert [s.name for s in library.find(str(tmp_path))] == ["a", "b"]


def test_a_mix_is_the_weighted_mean_of_its_styles(library: StyleLibrary) -> None:
    first, second = list(library.presets)[:2]
    (mixed,) = library.find(f"{first}:3, {second}:1")
    expected = 0.75 * library.presets[first].stats.values + 0.25 * library.presets[second].stats.values
    np.testing.assert_allclose(mixed.stats.values, expected, rtol=1e-5)


def test_a_mix_without_weights_is_even(library: StyleLibrary, picture: Path) -> None:
    name = next(iter(library.presets))
    (mixed,) = library.find(f"{name},{picture}")
    expected = (library.presets[name].stats.values + library.from_picture(picture).stats.values) / 2
    np.testing.assert_allclose(mixed.stats.values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [float("inf"), 1], [1]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    style = StyleStats(np.ones(4, np.float32))
    with pytest.raises(StyleError, match="weight"):
        mix([style, style], weights)


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


def _png(image: np.ndarray) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", image)[1])
