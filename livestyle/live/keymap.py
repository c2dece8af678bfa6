"""Key bindings of the live program: one table for what keys do, the on-screen help and the README's list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """What a key does that is not a choice of `livestyle.render.look.Look`; see `Step` for those."""

    STYLE = auto()
    NEXT = auto()
    PREVIOUS = auto()
    CYCLE = auto()
    PLAIN = auto()
    HOLD = auto()
    MIX_TO_HELD = auto()
    MIX_TO_CURRENT = auto()
    CROSSFADE = auto()
    SNAPSHOT = auto()
    RECORD = auto()
    FULL_SCREEN = auto()
    SAVE = auto()
    HELP = auto()
    QUIT = auto()


@dataclass(frozen=True)
class Step:
    """The action of a key that changes one choice of `livestyle.render.look.Look`, see `Look.stepped`.

    Attributes:
        choice: name of the field.
        direction: 1 for its next value, -1 for the previous one.
    """

    choice: str
    direction: int = 1


@dataclass(frozen=True)
class Binding:
    """A row of the table.

    Attributes:
        keys: as they are written for people.
        action: what each of them does.
        help: the same in words.
    """

    keys: tuple[str, ...]
    action: Action | Step
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
    Binding(("+", "="), Step("strength"), "stronger by 0.1"),
    Binding(("-",), Step("strength", -1), "weaker by 0.1"),
    Binding((".",), Step("stroke_size"), "broader strokes"),
    Binding((",",), Step("stroke_size", -1), "finer strokes"),
    Binding(("k",), Step("sharpness"), "sharper"),
    Binding(("j",), Step("sharpness", -1), "softer"),
    Binding(("Space",), Action.HOLD, "hold this style, to mix the next one in"),
    Binding(("[",), Action.MIX_TO_HELD, "mix: more of what is held"),
    Binding(("]",), Action.MIX_TO_CURRENT, "mix: more of the current style"),
    Binding(("x",), Action.CROSSFADE, "crossfade between styles, on and off"),
    Binding(("c",), Step("color"), "colours: style, camera, matched"),
    Binding(("t",), Step("stabilise"), "stabiliser, on and off"),
    Binding(("m",), Step("mirror"), "mirror"),
    Binding(("v",), Step("side_by_side"), "camera and painting side by side"),
    Binding(("s",), Action.SNAPSHOT, "snapshot: save the picture as PNG"),
    Binding(("r",), Action.RECORD, "record to MP4, and stop"),
    Binding(("f",), Action.FULL_SCREEN, "full screen, and back"),
    Binding(("w",), Action.SAVE, "write these settings for the next time"),
    Binding(("h",), Action.HELP, "help and figures, on and off"),
    Binding(("q", "Esc"), Action.QUIT, "quit"),
)

_NAMES = {27: "Esc", 32: "Space"}
# GTK has key codes of its own for the keypad (X11's XK_KP_Add and so on); Qt, Windows and macOS do not.
_KEYPAD = {0xFFAB: "+", 0xFFAD: "-"} | {0xFFB0 + digit: str(digit) for digit in range(10)}
_ACTIONS = {key: binding.action for binding in KEYMAP for key in binding.keys}


@dataclass(frozen=True)
class Press:
    """A pressed key that is in the table."""

    action: Action | Step
    key: str


def press_of(key: str) -> Press | None:
    """The press of a key as the table writes it, such as ``m`` or ``Space``; None for a key that is not in it."""
    action = _ACTIONS.get(key)
    return None if action is None else Press(action, key)


def read_key(code: int) -> Press | None:
    """The press that a code of ``cv2.waitKeyEx`` means; None for a key that is not in the table."""
    # GTK alone sets higher bits: the state of Shift, Num Lock and other modifiers.
    low = code & 0xFFFF
    return press_of(_NAMES.get(low) or _KEYPAD.get(low) or (chr(low).lower() if 32 < low < 127 else ""))


def help_rows() -> tuple[tuple[str, str], ...]:
    """The table for the screen: keys and what they do."""
    return tuple((binding.label, binding.help) for binding in KEYMAP)


def markdown() -> str:
    """The table for the README, in Markdown."""

    def keys(binding: Binding) -> str:
        return (
            "-".join(f"`{k}`" for k in (binding.keys[0], binding.keys[-1]))
            if len(binding.keys) > 2
            else " ".join(f"`{k}`" for k in binding.keys)
        )

    return "\n".join(["| key | does |", "|---|---|", *(f"| {keys(b)} | {b.help} |" for b in KEYMAP)])
