"""The look of a painting: everything that a person can choose about it.

Each choice is one field of `Look` with its `Choice`: range, help text, the steps that keys take. The command line, the
saved settings, the keys of the live program and the record of a resumable job read them there, so that a new choice is
a field here, its effect in `livestyle.render.renderer`, and a key in `livestyle.live.keymap` if it has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol

from livestyle.errors import InputError
from livestyle.limits import shown

from .color import ColorMode

if TYPE_CHECKING:
    import numpy as np

    from livestyle.engine.style import StyleStats

BROADEST_STROKES = 16


class StyleOverTime(Protocol):
    """A style, or styles that follow one another: `livestyle.StyleStats`, `livestyle.Style`, `livestyle.Timeline`."""

    def stats_at(self, time: Fraction | float, /) -> StyleStats:
        """Statistics at a time in seconds; the same object for as long as nothing changes."""


class MaskOverTime(Protocol):
    """A mask that may change with time, such as `livestyle.media.mask.Mask`."""

    def at(self, time: Fraction | float, width: int, height: int) -> np.ndarray:
        """The mask at a time in seconds, uint8 [height, width]; the same array for as long as nothing changes."""


@dataclass(frozen=True)
class Choice:
    """How a field of `Look` is chosen: on the command line, in the saved settings, by keys.

    Attributes:
        help: of its option on the command line, one sentence.
        name: as error texts and the screen say it.
        low: least value of a number.
        high: greatest value of a number.
        steps: values that keys go through, in their order; a switch and an enumeration need none.
        on_painting: whether a key that changes it shows the painting where the plain camera is on.
    """

    help: str
    name: str
    low: float = 0.0
    high: float = 0.0
    steps: tuple[float, ...] = ()
    on_painting: bool = False

    def check(self, value: Any) -> None:
        """Raise an `InputError` for a number out of range."""
        # True is a number to Python, and to nobody else; NaN compares as false, and is refused by that.
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number and self.low <= value <= self.high):
            raise InputError(f"{self.name} is between {self.low:g} and {self.high:g}, not {shown(value)}")


def _choice(default: Any, help: str, name: str, **more: Any) -> Any:  # noqa: A002
    return field(default=default, metadata={"choice": Choice(help, name, **more)})


COLOR_HELP = (
    "Whose colours: the style's, the content's own, or the style picture's after they were matched to the content's; "
    "that needs a picture as the style, and not a preset that came with the model."
)


@dataclass(frozen=True, eq=False)
class Look:
    """Everything that a person can choose about a painting; a changed look is a new one.

    Attributes:
        style: a `livestyle.Style`, a `livestyle.Timeline` or `livestyle.StyleStats`.
        strength: 0 (the content as it is) to 1 (all of the style).
        stroke_size: how many times as wide strokes are, 1..16: the frame is painted at so much less width and height,
            64 pixels at least, and the painting enlarged; below full strength the detail that this costs comes back
            from the frame.
        sharpness: 0..1, of unsharp masking of the painting.
        color: whose colours the painting has, a `ColorMode` or its text. The renderer takes those of MATCH to be in the
            style already, see `livestyle.styles.matching.match_look`.
        mirror: left and right change places, in the frame, its mask and so the painting.
        side_by_side: the frame to the left of its painting.
        stabilise: hold a sequence still, with running statistics and temporal noise reduction, see
            `livestyle.engine.stabilizer.Stabilizer`.
        plain: the frame without a painting, for a while.
        mask: where the style is painted; None is everywhere.
        background: the style where the mask is 0; None leaves the content as it is there.

    Raises:
        InputError: a value is out of range, or there is a background without a mask.
    """

    style: StyleOverTime
    strength: float = _choice(
        1.0,
        "0 (the content as it is) to 1 (all of the style).",
        "strength",
        high=1.0,
        steps=tuple(step / 10 for step in range(11)),
        on_painting=True,
    )
    stroke_size: float = _choice(
        1.0,
        "How many times as wide strokes are, 1 to 16: large pictures need larger ones to look painted from afar.",
        "the stroke size",
        low=1.0,
        high=BROADEST_STROKES,
        steps=(1.0, 1.5, 2.0, 3.0, 4.0),
        on_painting=True,
    )
    sharpness: float = _choice(
        0.0,
        "0 to 1: how much edges in the painting are sharpened (unsharp masking).",
        "sharpness",
        high=1.0,
        steps=(0.0, 0.25, 0.5, 0.75, 1.0),
        on_painting=True,
    )
    color: ColorMode = _choice(ColorMode.STYLE, COLOR_HELP, "color")  # noqa: RUF009
    mirror: bool = _choice(False, "Left and right change places.", "mirror")
    side_by_side: bool = _choice(False, "The source on the left of its painting.", "side by side")
    stabilise: bool = _choice(
        True, "Hold the painting still when the light changes, and take noise away.", "stabiliser"
    )
    plain: bool = False
    mask: MaskOverTime | None = None
    background: StyleOverTime | None = None

    def __post_init__(self) -> None:
        for name, choice in CHOICES.items():
            value = getattr(self, name)
            if isinstance(DEFAULTS[name], StrEnum):
                # Python programs write color="content".
                object.__setattr__(self, name, check_choice(name, value))
            elif isinstance(DEFAULTS[name], bool):
                if not isinstance(value, bool) and str(getattr(value, "dtype", "")) != "bool":
                    raise InputError(f"{choice.name} is true or false, not {shown(value)}")
            else:
                choice.check(value)
        for style in (self.style,) if self.background is None else (self.style, self.background):
            if not hasattr(style, "stats_at"):
                found = style if isinstance(style, str) else "scream"
                raise InputError(f"{shown(style)} is no style: take StyleLibrary(stylizer)[{found!r}]")
        if self.mask is not None and not hasattr(self.mask, "at"):
            raise InputError(
                f"a mask is a Mask of a file, or a media.mask.StillMask of an array, not {type(self.mask).__name__}"
            )
        if self.background is not None and self.mask is None:
            raise InputError("a background needs a mask that says where it is", setting="mask")

    def stepped(self, name: str, step: int) -> Look:
        """The look after a key: the choice ``name`` at its next (1) or previous (-1) value.

        A number stops at the ends of its steps, a switch is turned over, an enumeration goes round.
        """
        choice, value = CHOICES[name], getattr(self, name)
        if isinstance(value, bool):
            value = not value
        elif isinstance(value, StrEnum):
            kinds = list(type(value))
            value = kinds[(kinds.index(value) + step) % len(kinds)]
        else:
            others = [other for other in choice.steps if (other - value) * step > 1e-9]
            value = min(others, key=lambda other: abs(other - value), default=value)
        changes: dict[str, Any] = {name: value}
        if choice.on_painting:
            changes["plain"] = False
        return replace(self, **changes)

    def choices(self) -> dict[str, Any]:
        """Values of all fields that have a `Choice`, by name."""
        return {name: getattr(self, name) for name in CHOICES}


def check_look(look: object) -> None:
    """Raise an `InputError` for what is no `Look`, such as a style alone."""
    if not isinstance(look, Look):
        raise InputError(f"how to paint is said by a Look, such as Look(style), not by {type(look).__name__}")


CHOICES: dict[str, Choice] = {f.name: f.metadata["choice"] for f in fields(Look) if "choice" in f.metadata}
"""The `Choice` of each field of `Look` that has one."""
DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Look) if "choice" in f.metadata}


def check_choice(name: str, value: Any) -> Any:
    """A value for a field of `Look`, from a settings file for instance.

    Raises:
        InputError: it is of another type or out of range; the text names the field.
    """
    default, choice = DEFAULTS[name], CHOICES[name]
    if isinstance(default, bool):
        fits, what = isinstance(value, bool), "true or false"
    elif isinstance(default, StrEnum):
        fits, what = value in list(type(default)), f"one of {', '.join(type(default))}"
        value = type(default)(value) if fits else value
    else:
        # True is a number to Python, and to nobody else.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = number and choice.low <= value <= choice.high
        what = f"a number between {choice.low:g} and {choice.high:g}"
    if not fits:
        raise InputError(f"{name} is {what}, not {shown(value)}")
    return value
