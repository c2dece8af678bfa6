"""``livestyle styles`` as somebody types it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import Look, Mask, Renderer, StyleLibrary, Stylizer
from livestyle.live.config import Config
from livestyle.live.session import open_session
from livestyle.live.settings import Settings
from livestyle.render.color import keep_colors
from tests.program import IDENTITY, livestyle

Run = Callable[..., CompletedProcess[str]]
PAPER = 255


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs livestyle in a folder of its own, with the model of the tests; presets are kept there too."""
    monkeypatch.setenv("LIVESTYLE_PRESETS", str(tmp_path / "presets"))

    def run(*arguments: str, presets: str = "presets") -> CompletedProcess[str]:
        model = () if arguments[:2] in (("styles", "remove"), ("styles", "export")) else ("--model", IDENTITY)
        return livestyle(*arguments, *model, cwd=tmp_path, env={"LIVESTYLE_PRESETS": str(tmp_path / presets)})

    return run


@pytest.fixture
def shipped(identity: Stylizer) -> list[str]:
    """Names of the model's presets."""
    return list(identity.model.presets())


def error_of(result: CompletedProcess[str]) -> str:
    """What it says where it says one sentence and ends."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    return line


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


def tiles_on(sheet: np.ndarray) -> list[np.ndarray]:
    """The rectangles on a sheet that are not paper and not text, row by row."""
    inked = (sheet != PAPER).any(axis=2).astype(np.uint8)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    found = [boxes[i] for i in range(1, count) if boxes[i][cv2.CC_STAT_HEIGHT] > 60]
    found.sort(key=lambda box: (box[cv2.CC_STAT_TOP] // 20, box[cv2.CC_STAT_LEFT]))
    return [sheet[top : top + height, left : left + width] for left, top, width, height, _ in found]


def shrunk(image: np.ndarray) -> np.ndarray:
    """An image as large as its tile."""
    return cv2.resize(image, (400, 225), interpolation=cv2.INTER_AREA)


def test_an_image_becomes_a_preset_and_is_no_more(run: Run, image_path: Path, shipped: list[str]) -> None:
    before = run("styles", "list").stdout.splitlines()
    assert before == [f"{name}\tidentity" for name in shipped]

    assert run("styles", "add", str(image_path), "--name", "Große Welle 北斎").stdout == "added Große Welle 北斎\n"
    assert run("styles", "add", str(image_path)).stdout == "added picture\n"
    listed = run("styles", "list").stdout.splitlines()
    assert listed == [*before, "Große Welle 北斎\town", "picture\town"]

    assert run("styles", "remove", "picture", "Große Welle 北斎").returncode == 0
    assert run("styles", "list").stdout.splitlines() == before


def test_a_preset_outlives_its_image_and_paints_like_it(run: Run, image_path: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), read(image_path)[::2, ::2])
    run("image", "photo.png", "-o", "expected.png", "--style", str(image_path), "--color", "content")

    run("styles", "add", str(image_path), "--name", "mine")
    image_path.unlink()
    result = run("image", "photo.png", "-o", "painted.png", "--style", "mine", "--color", "content")

    assert result.returncode == 0
    # It was encoded when it was added.
    assert "encoded" not in result.stderr
    assert (read(tmp_path / "painted.png") == read(tmp_path / "expected.png")).all()


def test_the_colours_of_a_preset_of_ones_own_can_be_matched(run: Run, image_path: Path, tmp_path: Path) -> None:
    run("styles", "add", str(image_path), "--name", "mine")

    result = run("image", str(image_path), "-o", "painted.png", "--style", "mine", "--color", "match")

    assert result.returncode == 0
    assert (tmp_path / "painted.png").exists()


@pytest.mark.parametrize("text", ["mine", "{}/presets/mine.png"])
def test_the_live_program_has_ones_own_presets_after_the_models(
    run: Run, image_path: Path, shipped: list[str], tmp_path: Path, text: str
) -> None:
    run("styles", "add", str(image_path), "--name", "mine")

    session = open_session(Config.of(Settings(style=text.format(tmp_path)), Settings()), "cpu", IDENTITY)

    session.folder.close()
    assert [style.name for style in session.folder.styles] == [*shipped, "mine"]
    assert session.first is session.folder.styles[-1]


def test_the_list_is_there_as_json(run: Run, image_path: Path, shipped: list[str], tmp_path: Path) -> None:
    run("styles", "add", str(image_path), "--name", "wäve")

    listed = json.loads(run("styles", "list", "--json").stdout)

    assert listed[0] == {"name": shipped[0], "own": False, "picture": None}
    assert listed[-1] == {"name": "wäve", "own": True, "picture": str(tmp_path / "presets" / "wäve.png")}


def test_a_preset_of_the_model_is_hidden_by_force_only(run: Run, image_path: Path, shipped: list[str]) -> None:
    arguments = ("styles", "add", str(image_path), "--name", shipped[0])

    assert "is a preset of the model already" in error_of(run(*arguments))
    assert run(*arguments, "--force").returncode == 0

    assert run("styles", "list").stdout.splitlines()[:2] == [f"{shipped[0]}\town", f"{shipped[1]}\tidentity"]


def test_presets_go_from_one_person_to_another(run: Run, image_path: Path, tmp_path: Path) -> None:
    for name in ("wave", "北斎", "secret"):
        run("styles", "add", str(image_path), "--name", name)

    assert run("styles", "export", "北斎", "wave", "-o", "two.livestyle").stdout == "two.livestyle: 北斎, wave\n"
    assert "already exists" in error_of(run("styles", "export", "-o", "two.livestyle"))
    result = run("styles", "import", "two.livestyle", presets="theirs")

    assert result.stdout == "added 北斎\nadded wave\n"
    assert sorted(path.name for path in (tmp_path / "theirs").iterdir()) == ["wave.png", "北斎.png"]
    assert "already" in error_of(run("styles", "import", "two.livestyle", presets="theirs"))
    assert run("styles", "import", "two.livestyle", "--force", presets="theirs").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "missing.png"), "there is no picture missing.png"),
        (("add", "letter.jpg"), "is not a picture"),
        (("add", "picture.png", "--name", "a:b"), "cannot be the name of a preset"),
        (("add", "picture.png", "--name", ""), "cannot be the name of a preset"),
        (("remove", "moss"), "no preset 'moss' of your own"),
        (("export", "moss", "-o", "a.livestyle"), "no preset 'moss' of your own"),
        (("export", "-o", "a.zip"), "end the name with .livestyle"),
        (("import", "letter.jpg"), "is no file of presets"),
        (("import", "missing.livestyle"), "cannot read missing.livestyle"),
        (("preview", "missing.png", "-o", "sheet.png"), "there is no picture missing.png"),
        (("preview", "picture.png", "-o", "sheet.gif"), "end the name with one of .avif"),
        (("preview", "picture.png", "-o", "nowhere/sheet.png"), "there is no folder nowhere"),
        (("preview", "picture.png", "-o", "letter.jpg"), "already exists"),
        (("preview", "picture.png", "-o", "picture.png", "--force"), "is the source itself"),
        (("preview", "picture.png", "-o", "sheet.png", "--style", "mos"), "did you mean moss"),
        (("preview", "picture.png", "-o", "sheet.png", "--color", "match"), "cannot be matched"),
        (("preview", "picture.png", "-o", "sheet.png", "--strength", "2"), "between 0 and 1"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    run: Run, image_path: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "letter.jpg").write_text("Dear reader")

    assert words in error_of(run("styles", *arguments))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.jpg", image_path.name]
    assert (tmp_path / "letter.jpg").read_text() == "Dear reader"


def test_numbered_pictures_are_advised_where_a_video_is_expected_alone(run: Run, image_path: Path) -> None:
    run("styles", "add", str(image_path), "--name", "mine")
    text = error_of(run("styles", "export", "mine", "-o", "a.png"))
    assert text.strip() == "error: cannot write a.png: end the name with .livestyle"


def test_a_sheet_shows_the_image_and_then_all_presets(
    run: Run, image_path: Path, tmp_path: Path, identity: Stylizer, shipped: list[str]
) -> None:
    run("styles", "add", str(image_path), "--name", "mine")

    result = run("styles", "preview", str(image_path), "-o", "sheet.png", "--device", "cpu")

    sheet = read(tmp_path / "sheet.png")
    assert result.stdout == f"sheet.png: {sheet.shape[1]}x{sheet.shape[0]}, {len(shipped) + 1} styles\n"
    tiles = tiles_on(sheet)
    styles = StyleLibrary(identity).presets.values()
    content = read(image_path)
    expected = [content, *(identity.stylize(content, style.stats) for style in styles)]
    assert len(tiles) == len(expected) == len(shipped) + 2
    for tile, image in zip(tiles, expected, strict=True):
        assert tile.shape == (225, 400, 3)
        assert np.abs(tile.astype(int) - shrunk(image)).mean() < 1


def test_a_sheet_shows_the_styles_that_are_named(
    run: Run, image_path: Path, tmp_path: Path, identity: Stylizer
) -> None:
    arguments = ("--style", "dusk", "-s", "moss:0.5,dusk:0.5", "--strength", "0.5", "--color", "content")

    run("styles", "preview", str(image_path), "-o", "sheet.png", "--device", "cpu", *arguments)

    _, dusk, mixed = tiles_on(read(tmp_path / "sheet.png"))
    content, library = read(image_path), StyleLibrary(identity)
    for tile, text in ((dusk, "dusk"), (mixed, "moss:0.5,dusk:0.5")):
        painted = keep_colors(content, identity.stylize(content, library.find(text)[0].stats, 0.5))
        assert np.abs(tile.astype(int) - shrunk(painted)).mean() < 1


@pytest.mark.parametrize(
    ("arguments", "look"),
    [
        (("--mask", "left.png"), {"mask": "left.png"}),
        (("--mask", "left.png", "--background", "moss"), {"mask": "left.png", "background": "moss"}),
        (("--stroke-size", "4"), {"stroke_size": 4}),
        (("--mirror",), {"mirror": True}),
        (("--sharpness", "1"), {"sharpness": 1}),
    ],
)
def test_a_sheet_has_the_look_that_is_chosen(
    run: Run, image_path: Path, tmp_path: Path, identity: Stylizer, arguments: tuple[str, ...], look: dict[str, Any]
) -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[:, :20] = 255
    cv2.imwrite(str(tmp_path / "left.png"), mask)

    result = run("styles", "preview", str(image_path), "-o", "sheet.png", "--style", "dusk", *arguments)

    assert result.returncode == 0, result.stderr
    content, library = read(image_path), StyleLibrary(identity)
    if "mask" in look:
        look = {**look, "mask": Mask(tmp_path / look["mask"])}
    if "background" in look:
        look = {**look, "background": library[look["background"]]}
    plain, chosen = Look(library["dusk"]), Look(library["dusk"], **look)
    (_, tile), expected, other = (
        tiles_on(read(tmp_path / "sheet.png")),
        *(shrunk(Renderer(identity).render(content, each)) for each in (chosen, plain)),
    )
    assert np.abs(tile.astype(int) - expected).mean() < 1 < np.abs(tile.astype(int) - other).mean()


def test_a_sheet_of_images_can_match_their_colours(run: Run, image_path: Path, tmp_path: Path) -> None:
    run("styles", "add", str(image_path), "--name", "mine")
    options = ("--style", "mine", "--device", "cpu")

    run("styles", "preview", str(image_path), "-o", "style.png", *options)
    cv2.imwrite(str(tmp_path / "grey.png"), cv2.cvtColor(read(image_path), cv2.COLOR_BGR2GRAY))
    result = run("styles", "preview", "grey.png", "-o", "match.png", "--color", "match", *options)

    assert result.returncode == 0
    tile = tiles_on(read(tmp_path / "match.png"))[1]
    assert np.ptp(tile, axis=2).mean() < np.ptp(tiles_on(read(tmp_path / "style.png"))[1], axis=2).mean() / 2


def test_a_preset_that_cannot_be_matched_is_refused_before_anything_is_painted(
    run: Run, image_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livestyle.jobs.contact_sheet.contact_sheet", lambda *_: pytest.fail("it was painted"))
    styles = ("--style", str(image_path), "--style", "dusk")

    result = run("styles", "preview", str(image_path), "-o", "sheet.png", "--color", "match", *styles)

    assert "cannot be matched" in error_of(result)


@pytest.mark.parametrize("size", [(4000, 300), (300, 4000), (1, 1), (30, 2000)])
def test_an_image_of_any_shape_has_a_sheet(run: Run, tmp_path: Path, size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 200, (*size, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), image)

    result = run("styles", "preview", "photo.png", "-o", "sheet.jpg", "--style", "dusk", "--style", "moss")

    assert result.returncode == 0
    height, width = read(tmp_path / "sheet.jpg").shape[:2]
    assert max(height, width) < 1500


def test_each_name_stands_under_its_image_and_only_there(run: Run, image_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "styles"
    folder.mkdir()
    tall = cv2.resize(read(image_path)[:, 300:340], (90, 720))
    # A name that no terminal can show and no font can draw, and one that is far too long.
    for name in ("北斎 Große", os.fsdecode(b"bad \xff name"), "long " * 40):
        cv2.imwrite(str(tmp_path / "style.png"), read(image_path)[::4, ::4])
        (tmp_path / "style.png").rename(folder / f"{name}.png")
    cv2.imwrite(str(tmp_path / "tall.png"), tall)

    result = run("styles", "preview", "tall.png", "-o", "sheet.png", "--style", "styles")

    assert result.returncode == 0
    sheet = read(tmp_path / "sheet.png")
    cells = np.hsplit(sheet[:, 8:-8], 4)
    for cell in cells:
        label = (cell[16 + 400 : -16] != PAPER).any(axis=2)
        assert label.any()
        # Left and right of the name, the gap to the next one stays free.
        assert not label[:, :4].any()
        assert not label[:, -4:].any()
    assert len({cell[16 + 400 : -16].tobytes() for cell in cells}) == 4
