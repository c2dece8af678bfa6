from __future__ import annotations

from pathlib import Path

import pytest

from livestyle.live.keymap import KEYMAP, Action, Step, help_rows, markdown, press_of, read_key

README = Path(__file__).parents[2] / "README.md"


def code_of(key: str) -> int:
    return {"Esc": 27, "Space": 32}.get(key) or ord(key)


@pytest.mark.parametrize(("key", "action"), [(key, b.action) for b in KEYMAP for key in b.keys])
def test_every_key_of_the_table_is_read(key: str, action: Action | Step) -> None:
    press = read_key(code_of(key))
    assert press is not None
    assert (press.action, press.key) == (action, key)
    assert press_of(key) == press


def test_every_action_has_one_row_and_no_key_has_two() -> None:
    keys = [key for binding in KEYMAP for key in binding.keys]
    assert len(keys) == len(set(keys))
    actions = [binding.action for binding in KEYMAP]
    assert len(actions) == len(set(actions))
    assert {action for action in actions if isinstance(action, Action)} == set(Action)


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (0xFFAB, Step("strength")),  # keypad + of GTK
        (0xFFAD, Step("strength", -1)),
        (0xFFB3, Action.STYLE),
        (0x100000 | 0xFFB0, Action.PLAIN),  # with Num Lock
        (0x10000 | ord("S"), Action.SNAPSHOT),  # with Shift or Caps Lock
        (ord("Q"), Action.QUIT),
    ],
)
def test_the_keypad_and_capitals_work_too(code: int, action: Action | Step) -> None:
    press = read_key(code)
    assert press is not None
    assert press.action == action


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
