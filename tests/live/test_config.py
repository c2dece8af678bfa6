"""What a run does, from what was asked for, what was saved and the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livestyle.errors import InputError
from livestyle.live.config import RATE, Config
from livestyle.live.settings import Settings


def test_without_any_choice_there_are_the_defaults() -> None:
    config = Config.of(Settings(), Settings())
    assert (config.camera, config.size, config.rate, config.style, config.styles) == ("0", None, RATE, None, None)
    assert config.look == {}
    assert not config.cycling
    assert config.crossfade == 0.6


def test_what_is_asked_for_wins_over_what_was_saved() -> None:
    saved = Settings(camera="1", style="scream", crossfade=2.0, look={"strength": 0.5, "mirror": True})
    config = Config.of(Settings(camera="2", look={"strength": 0.7}), saved)
    assert (config.camera, config.style, config.crossfade) == ("2", "scream", 2.0)
    assert config.look == {"strength": 0.7, "mirror": True}
    assert config.style_is_saved


def test_0_is_a_choice_too() -> None:
    config = Config.of(Settings(crossfade=0.0, fps=0.0, look={"strength": 0.0}), Settings(fps=30.0))
    assert (config.crossfade, config.rate, config.look["strength"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("asked", "saved", "size", "rate", "every_frame"),
    [
        ({"size": "640x360"}, {}, (640, 360), 0.0, False),
        ({}, {"size": "640x360"}, (640, 360), 0.0, False),
        ({"fps": 30.0}, {"size": "640x360"}, None, 30.0, False),
        ({"size": "640x360"}, {"fps": 30.0}, (640, 360), 0.0, False),
        ({"size": "640x360", "fps": 0.0}, {}, (640, 360), 0.0, True),
        ({"fps": 0.0}, {}, None, 0.0, True),
    ],
)
def test_a_size_stays_a_rate_changes_it_and_rate_0_skips_no_frame(
    asked: dict[str, Any], saved: dict[str, Any], size: tuple[int, int] | None, rate: float, every_frame: bool
) -> None:
    config = Config.of(Settings(**asked), Settings(**saved))
    assert (config.size, config.rate, config.every_frame) == (size, rate, every_frame)


def test_a_folder_that_is_asked_for_is_seen_and_not_a_saved_style(tmp_path: Path) -> None:
    config = Config.of(Settings(styles=str(tmp_path)), Settings(style="scream"))
    assert (config.style, config.styles) == (None, tmp_path)


def test_a_folder_may_be_named_as_the_style(tmp_path: Path) -> None:
    config = Config.of(Settings(style=str(tmp_path)), Settings())
    assert (config.style, config.styles) == (None, tmp_path)


def test_cycling_begins_where_it_is_asked_for_and_not_where_its_seconds_were_saved() -> None:
    assert Config.of(Settings(cycle=5.0), Settings()).cycling
    config = Config.of(Settings(), Settings(cycle=5.0))
    assert (config.cycling, config.cycle) == (False, 5.0)


def test_a_saved_mask_is_left_out_by_the_name_none_and_its_background_too() -> None:
    saved = Settings(mask="mask.png", background="scream")
    config = Config.of(Settings(mask="none"), saved)
    assert (config.mask, config.background) == (None, None)
    config = Config.of(Settings(), saved)
    assert (config.mask, config.background, config.mask_is_saved) == (Path("mask.png"), "scream", True)


@pytest.mark.parametrize(
    ("asked", "words", "settings"),
    [
        (Settings(size="640x360", fps=30.0), "a size fixes the resolution", ("size", "fps")),
        (Settings(background="scream"), "a background needs a mask", ("mask",)),
        (Settings(mask="none", background="scream"), "a background needs a mask", ("mask",)),
    ],
)
def test_what_excludes_each_other_is_refused(asked: Settings, words: str, settings: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Config.of(asked, Settings())
    assert caught.value.settings == settings
