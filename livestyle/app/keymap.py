"""The keys of the live program: one table for what they do, the on-screen help and the README's list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """What a key does."""

    STYLE = auto()
    NEXT = auto()
    PREVIOUS = auto()
    STRONGER = auto()
    WEAKER = auto()
    PLAIN = auto()
    MIRROR = auto()
    SNAPSHOT = auto()
    FULL_SCREEN = auto()
    HELP = auto()
    QUIT = auto()


@dataclass(frozen=True)
class Binding:
    """A row of the table.

    Attributes:
        keys: as they are written for people.
        action: what each of them does.
        help: the same in words.
    """

    keys: tuple[str, ...]
    action: Action
    help: str

    @property
    def label(self) -> str:
        """The keys in few words: ``1-9``, ``q or Esc``."""
        return f"{self.keys[0]}-{self.keys[-1]}" if len(self.keys) > 2 else " or ".join(self.keys)


KEYMAP = (
    Binding(tuple("123456789"), Action.STYLE, "choose a style by its number"),
    Binding(("n",), Action.NEXT, "next style"),
    Binding(("p",), Action.PREVIOUS, "previous style"),
    Binding(("+", "="), Action.STRONGER, "stronger by 0.1"),
    Binding(("-",), Action.WEAKER, "weaker by 0.1"),
    Binding(("0",), Action.PLAIN, "plain camera, and back"),
    Binding(("m",), Action.MIRROR, "mirror"),
    Binding(("s",), Action.SNAPSHOT, "snapshot: save the painting as PNG"),
    Binding(("f",), Action.FULL_SCREEN, "full screen, and back"),
    Binding(("h",), Action.HELP, "help and figures, on and off"),
    Binding(("q", "Esc"), Action.QUIT, "quit"),
)

_ESCAPE = 27
# GTK tells the keypad's keys apart (X11's XK_KP_Add and so on); Qt, Windows and macOS do not.
_KEYPAD = {0xFFAB: "+", 0xFFAD: "-"} | {0xFFB0 + digit: str(digit) for digit in range(10)}
_ACTIONS = {key: binding.action for binding in KEYMAP for key in binding.keys}


@dataclass(frozen=True)
class Press:
    """A key that was pressed and means something."""

    action: Action
    key: str


def read_key(code: int) -> Press | None:
    """What a code of ``cv2.waitKeyEx`` means; None for a key that is not in the table."""
    # Only GTK sets higher bits for characters: the state of Shift, Num Lock and so on.
    low = code & 0xFFFF
    if low == _ESCAPE:
        key = "Esc"
    elif low in _KEYPAD:
        key = _KEYPAD[low]
    else:
        key = chr(low).lower() if 32 < low < 127 else ""
    action = _ACTIONS.get(key)
    return None if action is None else Press(action, key)


def help_rows() -> tuple[tuple[str, str], ...]:
    """The table for people: keys and what they do."""
    return tuple((binding.label, binding.help) for binding in KEYMAP)


def markdown() -> str:
    """The table for the README."""

    def keys(binding: Binding) -> str:
        return (
            "-".join(f"`{k}`" for k in (binding.keys[0], binding.keys[-1]))
            if len(binding.keys) > 2
            else " ".join(f"`{k}`" for k in binding.keys)
        )

    return "\n".join(["| key | does |", "|---|---|", *(f"| {keys(b)} | {b.help} |" for b in KEYMAP)])
