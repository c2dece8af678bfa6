"""Refined statistics beside the picture of a preset; what of them the command line shows is in tests/cli."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livestyle import Model, StyleStats, Stylizer
from livestyle.engine.model import STYLE, STYLIZE
from livestyle.errors import OutputError
from livestyle.styles.refined import forget_refined, read_refined, refined_path, write_refined

ONE, TWO = (StyleStats(np.linspace(start, 2, 6, dtype=np.float32)) for start in (0, 1))


@pytest.fixture
def model(identity: Stylizer) -> Model:
    return identity.model


def changed(model: Model, name: str) -> Model:
    """Model with another network."""
    return replace(model, manifest=replace(model.manifest, files={**model.manifest.files, name: "0" * 64}))


def assert_kept(image: Path, model: Model, stats: StyleStats) -> None:
    found = read_refined(image, model)
    assert found is not None
    np.testing.assert_allclose(found.values, stats.values, rtol=1e-5)


@pytest.mark.parametrize("network", [STYLE, STYLIZE])
def test_each_model_has_its_own_beside_those_of_others(image_path: Path, model: Model, network: str) -> None:
    other = changed(model, network)
    write_refined(image_path, model, ONE)
    assert read_refined(image_path, other) is None
    write_refined(image_path, other, TWO)
    assert_kept(image_path, model, ONE)
    assert_kept(image_path, other, TWO)
    write_refined(image_path, model, TWO)
    assert_kept(image_path, model, TWO)


def test_they_are_of_this_picture_by_its_content(image_path: Path, model: Model, tmp_path: Path) -> None:
    write_refined(image_path, model, ONE)
    moved = image_path.rename(tmp_path / "moved.png")
    refined_path(image_path).rename(refined_path(moved))
    assert_kept(moved, model, ONE)
    with moved.open("ab") as file:
        file.write(b"one byte more")
    assert read_refined(moved, model) is None
    # What was there is of another picture, and goes.
    write_refined(moved, changed(model, STYLE), TWO)
    assert read_refined(moved, model) is None


@pytest.mark.parametrize("bad", [np.ones(5), np.array([1, 2, 3, 4, 5, np.inf]), np.ones((6, 1))])
def test_what_does_not_fit_the_model_is_none(image_path: Path, model: Model, bad: np.ndarray) -> None:
    write_refined(image_path, model, ONE)
    content = refined_path(image_path).read_text()
    text = content.replace("[0.0, 0.4, 0.8, 1.2, 1.6, 2.0]", str(bad.tolist()).replace("inf", "1e999"))
    assert text != content
    refined_path(image_path).write_text(text)
    assert read_refined(image_path, model) is None


def test_they_can_be_forgotten_more_than_once(image_path: Path, model: Model) -> None:
    write_refined(image_path, model, ONE)
    for _ in range(2):
        forget_refined(image_path)
        assert read_refined(image_path, model) is None


def test_a_folder_that_cannot_be_written_is_said(image_path: Path, model: Model) -> None:
    refined_path(image_path).mkdir()
    (refined_path(image_path) / "in the way").touch()
    with pytest.raises(OutputError, match=r"cannot write .*picture\.refined\.json: "):
        write_refined(image_path, model, ONE)
    shutil.rmtree(refined_path(image_path))
