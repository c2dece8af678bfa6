"""``livestyle styles add --refine``: what is kept of it, and when it is refused. The optimising is in tests/train."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from livestyle import StyleLibrary, Stylizer
from livestyle.styles.presets import PresetFolder
from tests.program import IDENTITY, livestyle

pytestmark = pytest.mark.train
Answer = Callable[[list[str]], int]


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of presets of the test."""
    monkeypatch.setenv("LIVESTYLE_PRESETS", str(tmp_path / "presets"))
    return tmp_path / "presets"


@pytest.fixture
def statistics(identity: Stylizer) -> np.ndarray:
    """What the stand-in of the training code refines to."""
    return np.linspace(0.5, 1.5, identity.stats_size, dtype=np.float32)


@pytest.fixture
def refining(monkeypatch: pytest.MonkeyPatch, statistics: np.ndarray) -> list[list[str]]:
    """The command lines that the stand-in of the training code was called with."""
    lines: list[list[str]] = []

    def run(line: list[str], **_: Any) -> SimpleNamespace:
        lines.append(line)
        found = {"values": statistics.tolist(), "style": [0.8, 0.6], "content": [1.5, 1.6]}
        Path(line[line.index("-o") + 1]).write_text(json.dumps(found))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("livestyle.cli.refine.subprocess.run", run)
    return lines


def add(image_path: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return livestyle("styles", "add", image_path, "--name", "mine", "--model", IDENTITY, *options)


def test_a_refined_preset_is_painted_with_its_refined_statistics(
    presets: Path, refining: list[list[str]], image_path: Path, identity: Stylizer, statistics: np.ndarray
) -> None:
    result = add(image_path, "--refine")
    assert result.returncode == 0
    assert "refined mine: style loss 0.80 to 0.60 (-25%)" in result.stdout
    assert len(refining) == 1
    library = StyleLibrary(identity)
    for style in (library["mine"], library[str(presets / "mine.png")], StyleLibrary(identity).presets["mine"]):
        np.testing.assert_allclose(style.stats.values, statistics, rtol=1e-5)


@pytest.mark.usefixtures("refining")
def test_what_was_refined_goes_with_its_picture(
    presets: Path, image_path: Path, identity: Stylizer, statistics: np.ndarray, tmp_path: Path
) -> None:
    add(image_path, "--refine")
    exported = livestyle("styles", "export", "-o", tmp_path / "mine.livestyle")
    assert "what was refined is not: mine" in exported.stderr
    assert add(image_path, "--force").returncode == 0
    again = StyleLibrary(identity)["mine"].stats.values
    assert not np.allclose(again, statistics)
    add(image_path, "--refine", "--force")
    livestyle("styles", "remove", "mine")
    assert list(presets.iterdir()) == []


@pytest.mark.usefixtures("refining")
@pytest.mark.parametrize("content", ["{", "[]", '{"image": 3, "models": 4}', '{"models": {}}'])
def test_a_damaged_file_of_refined_statistics_means_the_encoders(
    presets: Path, image_path: Path, identity: Stylizer, statistics: np.ndarray, content: str
) -> None:
    add(image_path, "--refine")
    (presets / "mine.refined.json").write_text(content)
    assert not np.allclose(StyleLibrary(identity)["mine"].stats.values, statistics)
    # Another model's statistics would be of another size.
    assert PresetFolder().images().keys() == {"mine"}


def test_a_style_that_could_not_be_refined_is_a_preset_all_the_same(
    presets: Path, image_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livestyle.cli.refine.subprocess.run", lambda *_, **__: SimpleNamespace(returncode=1))
    result = add(image_path, "--refine")
    assert result.returncode == 1
    assert "mine was added, but not refined" in result.stderr
    assert [path.name for path in presets.iterdir()] == ["mine.png"]


@pytest.mark.parametrize(
    ("options", "missing", "sentence"),
    [
        (("--refine",), "train.refine", "take a checkout of the repository"),
        (("--refine",), "torch", "needs PyTorch"),
        (("--refine", "--vgg-weights", "nothing.pth"), None, "there is no nothing.pth"),
        (("--vgg-weights", "nothing.pth"), None, "are for refining a style (--refine)"),
    ],
)
def test_what_would_fail_later_is_refused_before_anything_is_written(
    presets: Path,
    image_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    missing: str | None,
    sentence: str,
) -> None:
    def found(name: str) -> object:
        return None if name == missing else find_spec(name)

    monkeypatch.setattr("livestyle.cli.refine.find_spec", found)
    result = add(image_path, *options)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert not presets.exists()


@pytest.mark.slow
def test_a_preset_is_refined_by_the_training_code(presets: Path, image_path: Path, tmp_path: Path) -> None:
    from tests.train.fixtures import _write_random_vgg

    _write_random_vgg(tmp_path / "vgg.safetensors", 8)
    line = [sys.executable, "-m", "livestyle.cli.main", "styles", "add", str(image_path), "--name", "mine", "--refine"]
    line += ["--vgg-weights", str(tmp_path / "vgg.safetensors"), "--model", "lite"]
    environment = {**os.environ, "LIVESTYLE_PRESETS": str(presets)}
    result = subprocess.run(line, check=True, capture_output=True, text=True, env=environment)
    assert re.search(r"refined mine: style loss \d+\.\d\d to \d+\.\d\d \(-\d+%\)", result.stdout), result.stdout
    assert (presets / "mine.refined.json").is_file()
