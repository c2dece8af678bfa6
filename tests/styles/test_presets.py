"""`PresetFolder`: pictures with names, and the files that hand them on."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError, StyleError
from livestyle.styles.presets import FORMAT, INDEX, MAX_IMAGE_BYTES, MAX_PRESETS, PresetFolder, check_name


@pytest.fixture
def folder(tmp_path: Path) -> PresetFolder:
    return PresetFolder(tmp_path / "data" / "presets")


@pytest.fixture
def elsewhere(tmp_path: Path) -> PresetFolder:
    """Of another person."""
    return PresetFolder(tmp_path / "elsewhere")


@pytest.fixture
def image() -> np.ndarray:
    """uint8 [50, 70, 3] BGR."""
    return np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)


def png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path: Path) -> np.ndarray:
    found = cv2.imread(str(path))
    assert found is not None
    return found


def an_index(*preset_names: object, **changed: object) -> bytes:
    return json.dumps({"format": FORMAT, "version": 1, "names": preset_names} | changed).encode()


def an_archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["wave", "Große Welle", "北斎", "v2.1", "it's (mine) #1 & more", "x" * 50, "console"])
def test_a_name_may_be_much(folder: PresetFolder, image: np.ndarray, name: str) -> None:
    folder.add(name, image)
    assert list(folder.images()) == [name]


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 51, "a,b", "a:0.5", "a@3", "a/b", "a\\b", "..", ".hidden", "-o", "~", "end.", " a", "a ", "a\nb",
     "a\0b", "bad\udcff", "a\u202eb", "wave.png", "wave.JPG", "NUL", "com1", "aux.old", "what?", "a*", "a|b",
     'a"b', "<a>"],
)  # fmt: skip
def test_a_name_that_something_would_misread_is_refused(folder: PresetFolder, image: np.ndarray, name: str) -> None:
    with pytest.raises(StyleError, match="cannot be the name of a preset"):
        folder.add(name, image)
    assert not folder.folder.exists()


@pytest.mark.parametrize("size", [(1500, 2000), (512, 512), (40, 50), (300, 9000)])
def test_the_image_that_is_kept_is_encoded_to_the_same_style(
    folder: PresetFolder, identity: Stylizer, size: tuple[int, int]
) -> None:
    coarse = np.random.default_rng(2).integers(0, 256, (8, 12, 3), np.uint8)
    image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    kept = read(folder.add("wave", image))
    assert max(kept.shape) <= 1024
    assert np.array_equal(identity.encode_style(kept).values, identity.encode_style(image).values)


@pytest.mark.parametrize(("name", "whose"), [("wave", "yours"), ("Wave", "yours"), ("scream", "the model")])
def test_a_name_that_is_taken_is_refused(folder: PresetFolder, image: np.ndarray, name: str, whose: str) -> None:
    before = folder.add("wave", image).read_bytes()
    with pytest.raises(StyleError, match=f"{name} is a preset of {whose} already.*force") as raised:
        folder.add(name, image[:40], shipped=["scream"])
    assert raised.value.settings == ("force",)
    assert names(folder.folder) == ["wave.png"]
    assert (folder.folder / "wave.png").read_bytes() == before


@pytest.mark.parametrize("name", ["wave", "WAVE"])
def test_force_replaces_a_preset_whatever_its_capitals(folder: PresetFolder, image: np.ndarray, name: str) -> None:
    before = folder.add("wave", image).read_bytes()
    folder.add(name, image[:40], force=True)
    assert list(folder.images()) == [name]
    assert folder.images()[name].read_bytes() != before


def test_what_cannot_be_a_preset_is_passed_over(folder: PresetFolder, image: np.ndarray) -> None:
    folder.add("wave", image)
    for name in ("notes.txt", ".hidden.png", "a,b.png", "photo.jpg"):
        (folder.folder / name).write_bytes(png(image))
    assert list(folder.images()) == ["wave"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, image: np.ndarray) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LivestyleError, match="LIVESTYLE_PRESETS"):
        PresetFolder(tmp_path / "file" / "presets").add("wave", image)


def test_presets_are_removed_all_or_none(folder: PresetFolder, image: np.ndarray) -> None:
    for name in ("a", "b", "c"):
        folder.add(name, image)
    with pytest.raises(StyleError, match=r"no preset 'd' of your own; you have: a, b, c"):
        folder.remove(["a", "d"])
    folder.remove(["a", "c"])
    assert list(folder.images()) == ["b"]


def test_a_file_takes_presets_elsewhere(
    folder: PresetFolder, elsewhere: PresetFolder, image: np.ndarray, tmp_path: Path
) -> None:
    for number, name in enumerate(("wave", "Große Flut", "left at home")):
        folder.add(name, image[number * 10 :])
    target = tmp_path / "two.livestyle"

    folder.write_file(["wave", "Große Flut"], target)
    assert elsewhere.read_file(target) == ["wave", "Große Flut"]

    for name in ("wave", "Große Flut"):
        assert (read(elsewhere.images()[name]) == read(folder.images()[name])).all()
    assert list(elsewhere.images()) == ["Große Flut", "wave"]


def test_without_names_all_presets_go_into_the_file(folder: PresetFolder, image: np.ndarray, tmp_path: Path) -> None:
    for name in ("b", "a"):
        folder.add(name, image)
    assert folder.write_file([], tmp_path / "all.livestyle")[1] == ["a", "b"]


def test_a_large_image_put_into_the_folder_by_hand_can_be_handed_on(
    folder: PresetFolder, elsewhere: PresetFolder, image: np.ndarray, tmp_path: Path
) -> None:
    folder.folder.mkdir(parents=True)
    (folder.folder / "large.png").write_bytes(png(cv2.resize(image, (1400, 1000))))
    folder.write_file(["large"], tmp_path / "one.livestyle")
    assert elsewhere.read_file(tmp_path / "one.livestyle") == ["large"]


@pytest.mark.parametrize(
    ("preset_names", "target", "words"),
    [
        (["wave"], "a.zip", r"end the name with \.livestyle"),
        (["wave"], "missing/a.livestyle", "cannot write"),
        (["scream"], "a.livestyle", "no preset 'scream' of your own; you have: wave"),
    ],
)
def test_a_file_that_cannot_be_written_leaves_nothing(
    folder: PresetFolder, image: np.ndarray, tmp_path: Path, preset_names: list[str], target: str, words: str
) -> None:
    folder.add("wave", image)
    with pytest.raises(LivestyleError, match=words):
        folder.write_file(preset_names, tmp_path / target)
    assert names(tmp_path) == ["data"]


def test_without_any_presets_there_is_nothing_to_write(folder: PresetFolder, tmp_path: Path) -> None:
    with pytest.raises(StyleError, match="no presets of your own yet"):
        folder.write_file([], tmp_path / "a.livestyle")


def test_a_damaged_preset_stops_the_file(folder: PresetFolder, image: np.ndarray, tmp_path: Path) -> None:
    folder.add("wave", image).write_bytes(b"gone bad")
    with pytest.raises(StyleError, match=r"wave\.png is not a picture"):
        folder.write_file([], tmp_path / "a.livestyle")
    assert names(tmp_path) == ["data"]


def test_taking_in_overwrites_nothing_unless_forced(
    folder: PresetFolder, elsewhere: PresetFolder, image: np.ndarray, tmp_path: Path
) -> None:
    for name in ("a", "wave"):
        folder.add(name, image)
    target = tmp_path / "two.livestyle"
    folder.write_file([], target)
    before = elsewhere.add("wave", image[:40]).read_bytes()

    with pytest.raises(StyleError, match="wave is a preset of yours already"):
        elsewhere.read_file(target)
    with pytest.raises(StyleError, match="a is a preset of the model already"):
        elsewhere.read_file(target, shipped=["a"])
    assert names(elsewhere.folder) == ["wave.png"]
    assert (elsewhere.folder / "wave.png").read_bytes() == before

    elsewhere.read_file(target, force=True)
    assert (read(elsewhere.folder / "wave.png") == read(folder.folder / "wave.png")).all()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "is no file of presets"),
        ({"1.png": b""}, "is no file of presets"),
        ({INDEX: b"{"}, "is no file of presets"),
        ({INDEX: b"\xff\xfe"}, "is no file of presets"),
        ({INDEX: b"[" * 100_000}, "is no file of presets"),
        ({INDEX: b"[]"}, "does not say that it is one"),
        ({INDEX: an_index("a", format="something else")}, "does not say that it is one"),
        ({INDEX: an_index("a", version=2)}, "of version 2, and this livestyle reads 1"),
        ({INDEX: an_index()}, "lists 1 to 100 names"),
        ({INDEX: an_index(3)}, "lists 1 to 100 names"),
        ({INDEX: an_index("a", names="a")}, "lists 1 to 100 names"),
        ({INDEX: an_index(*map(str, range(MAX_PRESETS + 1)))}, "lists 1 to 100 names"),
        ({INDEX: an_index("a", "A")}, "lists a name twice"),
        ({INDEX: an_index("../a")}, "cannot be the name of a preset"),
        ({INDEX: an_index("a")}, "holds other files"),
        ({INDEX: an_index("a"), "../1.png": b"x"}, "holds other files"),
        ({INDEX: an_index("a"), "1.png": b"x", "2.png": b"x"}, "holds other files"),
        ({INDEX: an_index("a"), "1.png": b""}, "is no PNG"),
        ({INDEX: an_index("a"), "1.png": b"GIF89a" + bytes(99)}, "is no PNG"),
        ({INDEX: an_index("a"), "1.png": png(np.zeros((4, 1025, 3), np.uint8))}, "is no PNG of 1024 pixels or less"),
        ({INDEX: an_index("a"), "1.png": png(np.zeros((9, 9, 3), np.uint8))[:40]}, r"1\.png is not a picture"),
        ({INDEX: an_index("a"), "1.png": png(np.zeros((9, 9, 3), np.uint8)) + bytes(MAX_IMAGE_BYTES)}, "get it anew"),
        ({INDEX: an_index("a") + b" " * MAX_IMAGE_BYTES}, "get it anew"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_as_a_whole(
    folder: PresetFolder, tmp_path: Path, members: dict[str, bytes], words: str
) -> None:
    source = an_archive(tmp_path / "bad.livestyle", members)
    with pytest.raises(LivestyleError, match=words):
        folder.read_file(source)
    assert names(tmp_path) == ["bad.livestyle"]


def test_one_bad_image_keeps_the_good_ones_out(folder: PresetFolder, image: np.ndarray, tmp_path: Path) -> None:
    members = {INDEX: an_index("good", "bad"), "1.png": png(image), "2.png": b"not a picture"}
    with pytest.raises(InputError, match=r"2\.png is no PNG"):
        folder.read_file(an_archive(tmp_path / "bad.livestyle", members))
    assert not folder.images()


def test_a_few_bytes_that_become_many_are_refused(folder: PresetFolder, tmp_path: Path) -> None:
    members = {INDEX: an_index("a"), "1.png": bytes(32 << 20)}
    source = an_archive(tmp_path / "bomb.livestyle", members, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="is no file of presets, or damaged"):
        folder.read_file(source)


def test_many_bytes_that_say_that_they_are_few_are_refused(folder: PresetFolder, tmp_path: Path) -> None:
    size = 32 << 20
    members = {INDEX: an_index("a"), "1.png": bytes(size)}
    source = an_archive(tmp_path / "bomb.livestyle", members, zipfile.ZIP_DEFLATED)
    source.write_bytes(source.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 1000)))
    with zipfile.ZipFile(source) as archive:
        assert archive.getinfo("1.png").file_size == 1000
    tracemalloc.start()
    with pytest.raises(InputError, match="is no file of presets, or damaged"):
        folder.read_file(source)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5 * MAX_IMAGE_BYTES


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_without_bounds_is_refused(
    folder: PresetFolder, image: np.ndarray, tmp_path: Path, compression: int
) -> None:
    members = {INDEX: an_index("a"), "1.png": png(image)}
    with pytest.raises(InputError, match="is no file of presets, or damaged"):
        folder.read_file(an_archive(tmp_path / "packed.livestyle", members, compression))


def test_a_file_that_another_program_has_packed_again_is_taken(
    folder: PresetFolder, image: np.ndarray, tmp_path: Path
) -> None:
    members = {"1.png": png(image), INDEX: an_index("a")}
    assert folder.read_file(an_archive(tmp_path / "again.livestyle", members, zipfile.ZIP_DEFLATED)) == ["a"]


@pytest.fixture
def good(folder: PresetFolder, tmp_path: Path) -> bytes:
    """A file of one preset."""
    folder.add("wave", np.full((512, 512, 3), (40, 90, 200), np.uint8))
    folder.write_file([], tmp_path / "good.livestyle")
    return (tmp_path / "good.livestyle").read_bytes()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.9999])
def test_a_file_that_was_cut_short_is_refused(
    good: bytes, elsewhere: PresetFolder, tmp_path: Path, kept: float
) -> None:
    (tmp_path / "cut.livestyle").write_bytes(good[: int(len(good) * kept)])
    with pytest.raises(InputError, match="or damaged: get it anew"):
        elsewhere.read_file(tmp_path / "cut.livestyle")


def test_any_changed_byte_is_refused_or_harmless(good: bytes, elsewhere: PresetFolder, tmp_path: Path) -> None:
    path = tmp_path / "changed.livestyle"
    random = np.random.default_rng(5)
    places = [*range(80), *range(len(good) - 200, len(good)), *random.integers(0, len(good), 30)]
    for place in places:
        path.write_bytes(good[:place] + bytes([good[place] ^ int(random.integers(1, 256))]) + good[place + 1 :])
        try:
            taken = elsewhere.read_file(path, force=True)
        except LivestyleError:
            continue
        assert taken == ["wave"]


@pytest.mark.parametrize(("make", "words"), [(None, "cannot read"), ("folder", "cannot read"), ("jpg", "is no file")])
def test_what_is_no_file_of_presets_is_refused(tmp_path: Path, folder: PresetFolder, make: Any, words: str) -> None:
    path = tmp_path / "x.livestyle"
    if make == "folder":
        path.mkdir()
    elif make == "jpg":
        cv2.imwrite(str(tmp_path / "x.jpg"), np.zeros((64, 64, 3), np.uint8))
        (tmp_path / "x.jpg").rename(path)
    with pytest.raises(InputError, match=words):
        folder.read_file(path)


def test_a_file_that_is_too_large_is_not_even_opened(tmp_path: Path, folder: PresetFolder) -> None:
    with (tmp_path / "huge.livestyle").open("wb") as file:
        file.truncate(MAX_PRESETS * MAX_IMAGE_BYTES + 1)
    with pytest.raises(InputError, match="larger than 200 MiB"):
        folder.read_file(tmp_path / "huge.livestyle")


def test_a_preset_that_cannot_be_written_is_an_output_error(folder: PresetFolder, image: np.ndarray) -> None:
    (folder.folder / "wave.png" / "in the way").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot write"):
        folder.add("wave", image, force=True)


def test_a_name_is_normalised() -> None:
    assert check_name("e\u0301") == "\u00e9"
