"""Section storage: folders that cannot be written, entries that cannot be read, settings that are damaged."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import pytest

import livestyle.doctor.storage
from livestyle.doctor.storage import delete

from .conftest import examine


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder; the settings and the presets are beside it."""
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIVESTYLE_SETTINGS", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("LIVESTYLE_PRESETS", str(tmp_path / "presets"))
    return tmp_path / "cache"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """File of the settings."""
    return tmp_path / "settings.toml"


def test_a_new_user_has_nothing_and_nothing_is_left_behind(cache: Path) -> None:
    found = examine("storage")
    assert {line["state"] for line in found.values()} == {"ok"}
    assert found["cached styles"]["figures"] == {"path": str(cache), "entries": 0, "bytes": 0, "unreadable": []}
    assert list(cache.iterdir()) == []


def test_what_is_kept_is_counted(cache: Path, settings: Path) -> None:
    cache.mkdir()
    np.ones(8, "<f4").tofile(cache / "a.f32")
    (cache / "forms.json").write_text('{"a CPU": 1.5}')
    settings.write_text('camera = "0"\n')
    found = examine("storage")
    assert found["cached styles"]["figures"]["entries"] == 1
    assert found["cached styles"]["figures"]["bytes"] == (cache / "a.f32").stat().st_size
    assert found["measured forms"]["figures"]["forms"] == {"a CPU": 1.5}
    assert found["settings"]["figures"] == {"path": str(settings), "keys": ["camera"]}


def test_a_cache_folder_that_is_a_file_is_said(cache: Path) -> None:
    cache.write_text("in the way")
    line = examine("storage")["cache folder"]
    assert line["state"] == "warning"
    assert line["text"].startswith(f"{cache} cannot be written (")
    assert line["mend"].endswith("or name another folder in LIVESTYLE_CACHE")


def test_a_disk_that_is_full_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def full(path: Path) -> Iterator[BinaryIO]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield

    monkeypatch.setattr(livestyle.doctor.storage, "atomic_write", full)
    line = examine("storage")["cache folder"]
    assert line["text"].startswith(f"{cache} cannot be written (No space left on device)")
    assert line["mend"].startswith("free some space")


def test_a_disk_that_is_nearly_full_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3 << 20))
    line = examine("storage")["cache folder"]
    assert line["state"] == "warning"
    assert line["text"].endswith("on a disk that is nearly full, 3 MiB free")


def test_entries_that_cannot_be_read_are_named(cache: Path) -> None:
    cache.mkdir()
    np.ones(8, "<f4").tofile(cache / "good.f32")
    np.full(8, np.inf, "<f4").tofile(cache / "infinite.f32")
    (cache / "empty.f32").touch()
    (cache / "cut.f32").write_bytes((cache / "good.f32").read_bytes()[:-1])
    (cache / "huge.f32").write_bytes(bytes(livestyle.doctor.storage.MOST_BYTES + 1))
    (cache / "folder.f32").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(cache / "pipe.f32")
    line = examine("storage")["cached styles"]
    assert line["state"] == "warning"
    unreadable = {Path(path).name for path in line["figures"]["unreadable"]}
    assert unreadable - {"pipe.f32"} == {"infinite.f32", "empty.f32", "cut.f32", "huge.f32", "folder.f32"}
    assert ("pipe.f32" in unreadable) == hasattr(os, "mkfifo")
    assert f"{len(unreadable)} cannot be read and will be encoded again" in line["text"]


@pytest.mark.skipif(sys.platform == "win32", reason="it quotes names in its own way")
def test_one_entry_is_deleted_by_its_name(cache: Path) -> None:
    cache.mkdir()
    (cache / "it's.f32").write_bytes(b"no floats")
    (_, name) = shlex.split(examine("storage")["cached styles"]["mend"])
    assert name == str(cache / "it's.f32")


@pytest.mark.parametrize("text", ["{", "[1]", '{"a CPU": "fast"}'])
def test_measured_forms_that_cannot_be_read_are_said(text: str, cache: Path) -> None:
    cache.mkdir()
    (cache / "forms.json").write_text(text)
    line = examine("storage")["measured forms"]
    assert line["state"] == "warning"
    assert line["mend"] == delete(cache / "forms.json")


@pytest.mark.parametrize(("text", "reason"), [("fps = [", "are damaged"), ("fps = true\n", "fps is a number")])
def test_settings_that_stop_the_live_program_are_broken(text: str, reason: str, settings: Path) -> None:
    settings.write_text(text)
    line = examine("storage", code=1)["settings"]
    assert line["state"] == "broken"
    assert reason in line["text"]
    assert delete(settings) in line["mend"]


def test_a_setting_that_there_is_not_is_said(settings: Path) -> None:
    settings.write_text("speed = 9\n")
    line = examine("storage")["settings"]
    assert line["state"] == "warning"
    assert "there is no setting speed" in line["text"]
    assert line["mend"] == f"take that line out of {settings}"


def test_settings_that_name_what_is_gone_are_said(settings: Path, tmp_path: Path) -> None:
    settings.write_text(f"styles = '{tmp_path / 'gone'}'\nmask = 'none'\n")
    line = examine("storage")["settings"]
    assert line["state"] == "warning"
    assert line["text"].endswith(f"names what is no longer there: styles = {tmp_path / 'gone'}")
    assert "--no-saved" in line["mend"]


def test_presets_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "my tree.png").write_bytes(b"no picture")
    line = examine("storage")["own presets"]
    assert line["text"].endswith("cannot be read: my tree")
    assert line["mend"] == "livestyle styles remove 'my tree', then add them again"


def test_a_folder_of_presets_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "presets").write_text("in the way")
    line = examine("storage")["own presets"]
    assert line["state"] == "warning"
    assert line["mend"] == "name another folder in LIVESTYLE_PRESETS"
