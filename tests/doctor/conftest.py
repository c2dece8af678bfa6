"""Examinations through the command line, with the model of the tests, and packages that are only said to be there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import livestyle.doctor.speed
from tests.program import IDENTITY
from tests.program import livestyle as run


def examine(*arguments: object, code: int = 0, model: object = IDENTITY) -> dict[str, dict[str, Any]]:
    """Findings of ``livestyle doctor ARGUMENTS --json`` by their names, of one name the last; ``code`` is checked."""
    result = run("doctor", *arguments, "--json", "--model", model)
    assert result.stderr == ""
    page = json.loads(result.stdout)
    shown = [(finding["state"], finding["name"], finding["text"]) for finding in page["findings"]]
    assert result.returncode == code, shown
    assert page["works"] is (code == 0)
    return {finding["name"]: finding for finding in page["findings"]}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds are measured for a moment only."""
    for name in ("WARM_UP_SECONDS", "PAINT_SECONDS", "LIVE_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(livestyle.doctor.speed, name, 0.05)


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes a package look installed, by its metadata alone."""

    def install(name: str, version: str) -> None:
        folder = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        monkeypatch.syspath_prepend(folder.parent)

    return install
