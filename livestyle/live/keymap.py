"""Key bindings of the live program: one table for what keys do, the on-screen help and the list in docs/live.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from .layouts import key_names


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
        named: a key that does the same and that every keyboard has, whatever its alphabet; empty where one of ``keys``
            is such a key.
    """

    keys: tuple[str, ...]
    action: Action | Step
    help: str
    named: str = ""

    @property
    def all_keys(self) -> tuple[str, ...]:
        """All keys of the row."""
        return (*self.keys, self.named) if self.named else self.keys

    @property
    def label(self) -> str:
        """The keys in few words: ``1-9``, ``q or Esc``."""
        return f"{self.keys[0]}-{self.keys[-1]}" if len(self.keys) > 2 else " or ".join(self.all_keys)


KEYMAP = (
    Binding(tuple("123456789"), Action.STYLE, "choose a style by its number"),
    Binding(("n",), Action.NEXT, "next style", "Right"),
    Binding(("p",), Action.PREVIOUS, "previous style", "Left"),
    Binding(("a",), Action.CYCLE, "go through all styles by itself, and stop", "F2"),
    Binding(("0",), Action.PLAIN, "plain camera, and back"),
    Binding(("+", "="), Step("strength"), "stronger by 0.1", "Up"),
    Binding(("-",), Step("strength", -1), "weaker by 0.1", "Down"),
    Binding((".",), Step("stroke_size"), "broader strokes", "PageUp"),
    Binding((",",), Step("stroke_size", -1), "finer strokes", "PageDown"),
    Binding(("k",), Step("sharpness"), "sharper", "F8"),
    Binding(("j",), Step("sharpness", -1), "softer", "F7"),
    Binding(("Space",), Action.HOLD, "hold this style, to mix the next one in"),
    Binding(("[",), Action.MIX_TO_HELD, "mix: more of what is held", "Home"),
    Binding(("]",), Action.MIX_TO_CURRENT, "mix: more of the current style", "End"),
    Binding(("x",), Action.CROSSFADE, "crossfade between styles, on and off", "F9"),
    Binding(("c",), Step("color"), "colours: style, camera, matched", "F3"),
    Binding(("t",), Step("stabilise"), "stabiliser, on and off", "F4"),
    Binding(("m",), Step("mirror"), "mirror", "F5"),
    Binding(("v",), Step("side_by_side"), "camera and painting side by side", "F6"),
    Binding(("s",), Action.SNAPSHOT, "snapshot: save the picture as PNG", "Enter"),
    Binding(("r",), Action.RECORD, "record to MP4, and stop", "Backspace"),
    Binding(("f",), Action.FULL_SCREEN, "full screen, and back", "F11"),
    Binding(("w",), Action.SAVE, "write these settings for the next time", "F12"),
    Binding(("h",), Action.HELP, "help and figures, on and off", "F1"),
    Binding(("q", "Esc"), Action.QUIT, "quit"),
)

_ACTIONS = {key: binding.action for binding in KEYMAP for key in binding.all_keys}


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
    return next((press for name in key_names(code) if (press := press_of(name)) is not None), None)


def help_rows() -> tuple[tuple[str, str], ...]:
    """The table for the screen: keys and what they do."""
    return tuple((binding.label, binding.help) for binding in KEYMAP)


def markdown() -> str:
    """The table for docs/live.md, in Markdown."""

    def keys(binding: Binding) -> str:
        return (
            "-".join(f"`{k}`" for k in (binding.keys[0], binding.keys[-1]))
            if len(binding.keys) > 2
            else " ".join(f"`{k}`" for k in binding.all_keys)
        )

    return "\n".join(["| key | does |", "|---|---|", *(f"| {keys(b)} | {b.help} |" for b in KEYMAP)])
