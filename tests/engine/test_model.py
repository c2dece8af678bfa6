from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livestyle import Model
from livestyle.engine.model import DEFAULT_MODEL, MANIFEST, PRESETS, STYLIZE, find_model
from livestyle.errors import ModelError

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_model(), tmp_path / "model"))


def change_manifest(folder: Path, change: Change) -> None:
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_default_model_ships_and_is_under_ten_megabytes() -> None:
    model = Model.load()
    assert sum(model.file(name).stat().st_size for name in model.manifest.files) < 10_000_000


def test_a_damaged_network_is_refused(folder: Path) -> None:
    data = bytearray((folder / STYLIZE).read_bytes())
    data[1000] ^= 1
    (folder / STYLIZE).write_bytes(data)
    with pytest.raises(ModelError, match=r"sha256 differs .*: copy it again, or install livestyle again$"):
        Model.load(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / STYLIZE).unlink()
    with pytest.raises(ModelError, match=f"lacks {STYLIZE}"):
        Model.load(folder)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.update(contract=99), "contract 99"),
        (lambda m: m.pop("files"), "not a readable manifest"),
        (lambda m: m.update(stats_size="many"), "damaged"),
        (lambda m: m["files"].update({"../outside": "0" * 64}), "outside its folder"),
        (lambda m: m["files"].pop(STYLIZE), f"lists no {STYLIZE}"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder: Path, change: Change, text: str) -> None:
    change_manifest(folder, change)
    with pytest.raises(ModelError, match=text):
        Model.load(folder)


def test_a_manifest_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ModelError, match="not a readable manifest"):
        Model.load(folder)


def test_presets_of_another_size_are_refused(folder: Path) -> None:
    (folder / PRESETS).write_text('{"odd": [1, 2, 3]}')
    with pytest.raises(ModelError, match="sha256 differs"):
        Model.load(folder)


def test_an_unknown_model_names_those_that_ship() -> None:
    with pytest.raises(ModelError, match=rf"no model 'nothing'.*{DEFAULT_MODEL}"):
        Model.load("nothing")
