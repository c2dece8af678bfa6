from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from livestyle.errors import InputError, OutputError
from livestyle.jobs import paths
from livestyle.jobs.paths import check_folder, expand_images, expand_videos
from livestyle.live.config import Config
from livestyle.live.settings import Settings


def test_files_that_a_drive_gives_no_numbers_are_told_apart_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in names:
        path.write_text("film")
    # As WebDAV and other network drives are on Windows.
    monkeypatch.setattr(Path, "stat", lambda _: os.stat_result((stat.S_IFREG, *[0] * 9)))
    assert expand_videos([*names, tmp_path / "." / "a.mp4"]) == names


@pytest.mark.parametrize("pattern", ["**.png", "~nobody-of-that-name/*.png"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match=r"pattern|there is no picture"):
        expand_images([Path(pattern)])


def test_a_mask_in_the_home_of_nobody_is_named_as_it_was_given() -> None:
    text = "~nobody-of-that-name/mask.png"
    assert Config.of(Settings(mask=text), Settings()).mask == Path(text)


def test_a_folder_on_a_drive_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "is_there", lambda _: False)
    with pytest.raises(OutputError, match="there is no /"):
        check_folder(Path("/stick/paintings"))
