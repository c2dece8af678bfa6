from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from livestyle.errors import InputError, OutputError
from livestyle.live.settings import Settings, load_settings, save_settings, settings_path
from livestyle.render.color import ColorMode
from livestyle.render.look import CHOICES, DEFAULTS


def another(name: str) -> Any:
    """A value of a choice of a look that is not its default."""
    default = DEFAULTS[name]
    if isinstance(default, bool):
        return not default
    if isinstance(default, StrEnum):
        return list(type(default))[1]
    return CHOICES[name].steps[1]


ALL = Settings(
    camera="/dev/video1",
    style='C:\\pictures\\Die "große" Welle.jpg',
    styles="/home/somebody/styles",
    mask="/home/somebody/mask.png",
    background="original",
    full_screen=False,
    crossfade=0.0,
    cycle=20.0,
    size="640x360",
    fps=24.5,
    look={name: another(name) for name in CHOICES},
)


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings of each test are, in a folder that is not there yet."""
    path = tmp_path / "config" / "settings.toml"
    monkeypatch.setenv("LIVESTYLE_SETTINGS", str(path))
    return path


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def test_without_a_file_nothing_is_chosen() -> None:
    assert load_settings() == Settings()


def test_every_setting_comes_back(path: Path) -> None:
    assert all(getattr(ALL, field.name) is not None for field in fields(ALL))
    assert save_settings(ALL) == path
    assert load_settings() == ALL


def test_only_what_is_chosen_is_written(path: Path) -> None:
    save_settings(Settings(look={"strength": 0.5, "mirror": True}))
    assert tomllib.loads(path.read_text()) == {"strength": 0.5, "mirror": True}


def test_the_file_is_flat(path: Path) -> None:
    save_settings(ALL)
    assert all(not isinstance(value, dict) for value in tomllib.loads(path.read_text()).values())


def test_what_others_have_chosen_takes_the_place() -> None:
    settings = ALL.updated(Settings(style="scream", look={"strength": 0.2}))
    assert settings == replace(ALL, style="scream", look={**ALL.look, "strength": 0.2})


def test_a_choice_that_is_taken_back_leaves_the_file() -> None:
    save_settings(ALL)
    save_settings(replace(ALL, size=None))
    assert load_settings() == replace(ALL, size=None)


def test_a_whole_number_will_do_where_a_fraction_may_stand(path: Path) -> None:
    write(path, "strength = 1\nfps = 30\n")
    assert load_settings() == Settings(fps=30.0, look={"strength": 1.0})


def test_a_colour_mode_is_one_after_loading(path: Path) -> None:
    write(path, 'color = "match"\n')
    assert load_settings().look["color"] is ColorMode.MATCH


def test_a_file_of_a_windows_editor_is_read(path: Path) -> None:
    write(path, b"\xef\xbb\xbfmirror = true\r\nstrength = 0.5\r\n")
    assert load_settings() == Settings(look={"mirror": True, "strength": 0.5})


def test_an_unknown_key_is_named_in_the_log_and_passed_over(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, 'styel = "wave"\nmirror = true\n')
    assert load_settings() == Settings(look={"mirror": True})
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [f"{path}: there is no setting styel"]


def test_an_unknown_key_survives_saving(path: Path) -> None:
    write(path, "[newer]\nwhen = 2027-01-01\n")
    save_settings(Settings(look={"mirror": True}))
    assert "when = 2027-01-01" in path.read_text()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("camera = 0", 'camera is a text, such as "0", not 0'),
        ('style = " "', "style is a text, not ' '"),
        ("styles = []", "styles is the name of a folder"),
        ("strength = 1.01", "strength is a number between 0 and 1, not 1.01"),
        ("strength = nan", "strength is a number between 0 and 1, not nan"),
        ("strength = true", "strength is a number"),
        ("stroke_size = 17", "stroke_size is a number between 1 and 16, not 17"),
        ('color = "sepia"', "color is one of style, content, match, not 'sepia'"),
        ("mask = 1", "mask is the name of a picture, not 1"),
        ('background = ""', "background is a text"),
        ("sharpness = 2", "sharpness is a number between 0 and 1, not 2"),
        ("mirror = 1", "mirror is true or false, not 1"),
        ('side_by_side = "yes"', "side_by_side is true or false"),
        ("stabilise = 0", "stabilise is true or false"),
        ("full_screen = 0", "full_screen is true or false"),
        ("crossfade = -0.1", "crossfade is a number of seconds, 0 or more"),
        ("cycle = 0", "cycle is a number of seconds, more than 0"),
        ("cycle = inf", "cycle is a number of seconds"),
        ('size = "large"', "size is width x height"),
        ("size = 640", "size is width x height"),
        ("fps = -1", "fps is a number of frames a second"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_one_sentence(path: Path, line: str, words: str) -> None:
    write(path, f"{line}\n")
    with pytest.raises(InputError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{path}: {words}")
    assert str(caught.value).endswith("; correct that line or delete it")


@pytest.mark.parametrize("text", ["mirror = yes\n", "mirror\n", "mirror = true\nmirror = true\n", b"style = '\xff'\n"])
def test_a_damaged_file_is_refused_and_not_written_over(path: Path, text: str | bytes) -> None:
    write(path, text)
    before = path.read_bytes()
    for access in (load_settings, lambda: save_settings(ALL)):
        with pytest.raises(InputError, match=r"are damaged .*: correct the file or delete it"):
            access()
    assert path.read_bytes() == before


def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(InputError, match="cannot read the settings"):
        load_settings()


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(path: Path) -> None:
    path.parent.write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot save the settings to .*; name another file in LIVESTYLE_SETTINGS"):
        save_settings(ALL)


def test_a_full_disk_leaves_the_file_that_was_there(path: Path) -> None:
    resource = pytest.importorskip("resource")
    save_settings(ALL)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot save"):
            save_settings(Settings(look={"mirror": True}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_name_that_a_text_cannot_hold_is_refused_and_leaves_the_file_that_was_there(path: Path) -> None:
    save_settings(Settings(look={"mirror": True}))
    with pytest.raises(OutputError, match="is not valid UTF-8, rename it"):
        save_settings(Settings(style="caf\udce9.png"))
    assert load_settings() == Settings(look={"mirror": True})
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_linked_file_stays_linked(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles.toml"
    target.touch()
    path.parent.mkdir()
    path.symlink_to(target)
    save_settings(ALL)
    assert path.is_symlink()
    assert "dotfiles" not in target.read_text()
    assert load_settings() == ALL


def test_without_the_variable_they_are_in_the_users_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVESTYLE_SETTINGS")
    assert settings_path().parts[-2:] == ("livestyle", "settings.toml")
