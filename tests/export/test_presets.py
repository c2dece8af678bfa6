"""Making the presets of a model folder anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.presets import main
from livestyle import Model, Stylizer
from livestyle.media.images import read_image

pytestmark = pytest.mark.train


@pytest.fixture
def model(exported: Path, tmp_path: Path) -> Path:
    """A model folder to write to, beside a table of two presets and their images."""
    table = "".join(f'[[preset]]\nname = "{name}"\nfile = "{name}.png"\n' for name in ("dark", "light"))
    table += "refined = true\n"
    (tmp_path / "presets.toml").write_text(table)
    image = read_image(exported / "image.png")
    for name, pixels in (("light", 255 - image // 2), ("dark", image // 2)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    return Path(shutil.copytree(exported / "tiny", tmp_path / "tiny"))


def make(model: Path, *options: object) -> int:
    table, pictures = model.parent / "presets.toml", model.parent
    return main([str(v) for v in (model, "--presets", table, "--pictures", pictures, *options)])


def test_presets_are_made_anew_and_the_folder_still_fits_its_manifest(model: Path) -> None:
    assert make(model) == 0
    presets = Model.load(model).presets()
    assert list(presets) == ["dark", "light"]
    encoded = Stylizer(model, "cpu").encode_style(read_image(model.parent / "dark.png")).values
    np.testing.assert_allclose(presets["dark"], encoded, rtol=1e-3, atol=1e-4)


def test_presets_are_refined_on_photographs(
    model: Path,
    images: Path,
    loss_network: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert make(model) == 0
    encoded = Model.load(model).presets()
    refine = ("--refine", images, "--vgg-weights", loss_network, "--crop", 64, "--batch-size", 2, "--steps", 6)
    assert make(model, *refine) == 0
    assert capsys.readouterr().out.count("style loss") == 1
    refined = Model.load(model).presets()
    assert not np.allclose(refined["light"], encoded["light"])
    assert np.array_equal(refined["dark"], encoded["dark"])


def test_a_preset_without_a_picture_changes_nothing(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model.parent / "dark.png").unlink()
    before = json.loads((model / "presets.json").read_text())
    assert make(model) == 1
    assert "dark.png of the preset dark is in none of --pictures" in capsys.readouterr().err
    assert json.loads((model / "presets.json").read_text()) == before
