from __future__ import annotations

from pathlib import Path

import pytest

from livestyle.live.keymap import KEYMAP, Action, Step, help_rows, markdown, press_of, read_key
from livestyle.live.layouts import key_names

PAGE = Path(__file__).parents[2] / "docs" / "live.md"


def code_of(key: str) -> int:
    named = {"Esc": 27, "Space": 32, "Enter": 13, "Backspace": 8, "PageUp": 0xFF55, "PageDown": 0xFF56, "End": 0xFF57}
    named |= {"Home": 0xFF50, "Left": 0xFF51, "Up": 0xFF52, "Right": 0xFF53, "Down": 0xFF54}
    named |= {f"F{n}": 0xFFBD + n for n in range(1, 13)}
    return named.get(key) or ord(key)


@pytest.mark.parametrize(("key", "action"), [(key, b.action) for b in KEYMAP for key in b.all_keys])
def test_every_key_of_the_table_is_read(key: str, action: Action | Step) -> None:
    press = read_key(code_of(key))
    assert press is not None
    assert (press.action, press.key) == (action, key)
    assert press_of(key) == press


def test_every_action_has_one_row_and_no_key_has_two() -> None:
    keys = [key for binding in KEYMAP for key in binding.all_keys]
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
        (0xFF98, Action.NEXT),  # keypad without Num Lock
        (0xFF9A, Step("stroke_size")),
        (0x10000 | ord("S"), Action.SNAPSHOT),  # with Shift or Caps Lock
        (ord("Q"), Action.QUIT),
    ],
)
def test_the_keypad_and_capitals_work_too(code: int, action: Action | Step) -> None:
    press = read_key(code)
    assert press is not None
    assert press.action == action


@pytest.mark.parametrize("code", [0, 9, 0xFF63, 0x2D0000, ord("z"), 0xE4])
def test_other_keys_do_nothing(code: int) -> None:
    assert read_key(code) is None


def test_every_action_has_a_key_that_every_keyboard_has() -> None:
    everywhere = {"Space", "Esc", *"0123456789"}
    for binding in KEYMAP:
        assert binding.named or everywhere & set(binding.keys), binding.help


@pytest.mark.parametrize(
    ("system", "code", "key"),
    [
        # As OpenCV's Qt gives them under X11, with Russian, Greek, Arabic, Hebrew and French layouts.
        ("linux", 0x6CA, "q"),
        ("linux", 0x6C3, "w"),
        ("linux", 0x6C6, "a"),
        ("linux", 0x6C1, "f"),
        ("linux", 0x6E1, "f"),
        ("linux", 0x6C2, ","),
        ("linux", 0x6A6, "s"),
        ("linux", 0x7E1, "a"),
        ("linux", 0x7F3, "s"),
        ("linux", 0x7F2, "w"),
        ("linux", 0x5D6, "q"),
        ("linux", 0x5D4, "a"),
        ("linux", 0xCF9, "a"),
        ("linux", 0x26, "1"),
        ("linux", 0xE9, "2"),
        ("linux", 0xE0, "0"),
        ("linux", 0x2D, "-"),
        ("linux", 0xDBF, "a"),
        # Keysyms of Unicode: Georgian, Arabic-Indic digits, and with the modifiers of GTK.
        ("linux", 0x010010D0, "a"),
        ("linux", 0x01000663, "3"),
        ("linux", 0x100000 | 0x6C6, "a"),
        ("darwin", 0x444, "a"),
        ("darwin", 0x3B1, "a"),
        ("darwin", 0x5E9, "a"),
        ("darwin", 0x6F4, "4"),
        ("darwin", 0xF703, "Right"),
        ("darwin", 0xF704, "F1"),
        ("darwin", 127, "Backspace"),
        ("win32", 0x270000, "Right"),
        ("win32", 0x700000, "F1"),
    ],
)
def test_keys_of_other_alphabets_do_what_their_place_does(system: str, code: int, key: str) -> None:
    assert key in key_names(code, system)


def test_windows_gives_letters_in_its_code_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "cp1251")
    assert "a" in key_names(0xF4, "win32")
    monkeypatch.setattr("locale.getencoding", lambda: "cp1253")
    assert "a" in key_names(0xE1, "win32")


def test_the_help_shows_every_key() -> None:
    labels = " ".join(label for label, _ in help_rows())
    for binding in KEYMAP:
        assert binding.keys[0] in labels
        assert binding.keys[-1] in labels
        assert binding.named in labels


def test_the_readme_lists_the_same_keys() -> None:
    assert markdown() in PAGE.read_text(encoding="utf-8")
