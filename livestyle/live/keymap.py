"""The keys of the live program: one table for what they do, the on-screen help and the README's list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """What a key does."""

    STYLE = auto()
    NEXT = auto()
    PREVIOUS = auto()
    CYCLE = auto()
    PLAIN = auto()
    STRONGER = auto()
    WEAKER = auto()
    BROADER = auto()
    FINER = auto()
    HOLD = auto()
    MIX_TO_HELD = auto()
    MIX_TO_CURRENT = auto()
    CROSSFADE = auto()
    COLOR = auto()
    STABILISER = auto()
    MIRROR = auto()
    SIDE_BY_SIDE = auto()
    SNAPSHOT = auto()
    RECORD = auto()
    FULL_SCREEN = auto()
    SAVE = auto()
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
    Binding(("a",), Action.CYCLE, "go through all styles by itself, and stop"),
    Binding(("0",), Action.PLAIN, "plain camera, and back"),
    Binding(("+", "="), Action.STRONGER, "stronger by 0.1"),
    Binding(("-",), Action.WEAKER, "weaker by 0.1"),
    Binding((".",), Action.BROADER, "broader strokes"),
    Binding((",",), Action.FINER, "finer strokes"),
    Binding(("Space",), Action.HOLD, "hold this style, to mix the next one in"),
    Binding(("[",), Action.MIX_TO_HELD, "mix: more of what is held"),
    Binding(("]",), Action.MIX_TO_CURRENT, "mix: more of the current style"),
    Binding(("x",), Action.CROSSFADE, "crossfade between styles, on and off"),
    Binding(("c",), Action.COLOR, "colours: style, camera, matched"),
    Binding(("t",), Action.STABILISER, "stabiliser, on and off"),
    Binding(("m",), Action.MIRROR, "mirror"),
    Binding(("v",), Action.SIDE_BY_SIDE, "camera and painting side by side"),
    Binding(("s",), Action.SNAPSHOT, "snapshot: save the picture as PNG"),
    Binding(("r",), Action.RECORD, "record to MP4, and stop"),
    Binding(("f",), Action.FULL_SCREEN, "full screen, and back"),
    Binding(("w",), Action.SAVE, "write these settings for the next time"),
    Binding(("h",), Action.HELP, "help and figures, on and off"),
    Binding(("q", "Esc"), Action.QUIT, "quit"),
)

_NAMES = {27: "Esc", 32: "Space"}
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
    key = _NAMES.get(low) or _KEYPAD.get(low) or (chr(low).lower() if 32 < low < 127 else "")
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
