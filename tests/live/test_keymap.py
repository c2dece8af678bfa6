from __future__ import annotations

from pathlib import Path

import pytest

from livestyle.live.keymap import KEYMAP, Action, help_rows, markdown, read_key

README = Path(__file__).parents[2] / "README.md"


def code_of(key: str) -> int:
    return {"Esc": 27, "Space": 32}.get(key) or ord(key)


@pytest.mark.parametrize(("key", "action"), [(key, b.action) for b in KEYMAP for key in b.keys])
def test_every_key_of_the_table_is_handled(key: str, action: Action) -> None:
    press = read_key(code_of(key))
    assert press is not None
    assert (press.action, press.key) == (action, key)


def test_every_action_has_one_row_and_no_key_has_two() -> None:
    keys = [key for binding in KEYMAP for key in binding.keys]
    assert len(keys) == len(set(keys))
    assert sorted(a.name for a in Action) == sorted(b.action.name for b in KEYMAP)


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (0xFFAB, Action.STRONGER),  # keypad + of GTK
        (0xFFAD, Action.WEAKER),
        (0xFFB3, Action.STYLE),
        (0x100000 | 0xFFB0, Action.PLAIN),  # with Num Lock
        (0x10000 | ord("S"), Action.SNAPSHOT),  # with Shift or Caps Lock
        (ord("Q"), Action.QUIT),
    ],
)
def test_the_keypad_and_capitals_work_too(code: int, action: Action) -> None:
    press = read_key(code)
    assert press is not None
    assert press.action is action


@pytest.mark.parametrize("code", [0, 9, 65363, 0x250000, ord("z"), 0xE4])
def test_other_keys_do_nothing(code: int) -> None:
    assert read_key(code) is None


def test_the_help_shows_every_key() -> None:
    labels = " ".join(label for label, _ in help_rows())
    for binding in KEYMAP:
        assert binding.keys[0] in labels
        assert binding.keys[-1] in labels


def test_the_readme_lists_the_same_keys() -> None:
    assert markdown() in README.read_text(encoding="utf-8")
