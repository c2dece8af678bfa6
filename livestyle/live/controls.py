"""The controls: the look of the live program as keys, time and a watched folder of styles change it.

Pure logic: no thread, no file and no clock of its own, so that a test can press every key without a window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from livestyle.errors import LivestyleError
from livestyle.render.color import ColorMode
from livestyle.render.look import CHOICES, DEFAULTS, Look
from livestyle.styles.library import Style
from livestyle.styles.mixer import MIX_STEP, Mixer
from livestyle.styles.timeline import CROSSFADE_SECONDS, Timeline

from .keymap import Action, Press, Step

CYCLE_SECONDS = 10.0
MIX_SECONDS = 0.15
"""Crossfade of a mix whose share a key has moved: just long enough that it moves smoothly."""
COLORS = {
    ColorMode.STYLE: "the style's colours",
    ColorMode.CONTENT: "the camera's colours",
    ColorMode.MATCH: "matched colours",
}


@dataclass(frozen=True, eq=False)
class MatchRequest:
    """A request to match the colours of styles to the camera's; see `Controls.match_request`.

    Attributes:
        styles: to be matched, by the styles whose places in the mix they take. One without an image stays as it is.
        reveal: show the painting afterwards, where the plain camera is on.
    """

    styles: Mapping[Style, Style]
    reveal: bool


class Controls:
    """Sole owner of the `Look`: keys, time and styles that come and go make a new one of it.

    A switch of style is a cue that is added to the timeline of the look now.

    Args:
        look: to begin with; its style is a `Timeline` that shows ``first``.
        first: the style to begin with; one of ``styles``, or one that was named beside them.
        styles: that keys choose from.
        crossfade: seconds from style to style.
        cycle: seconds that each style shows while they change by themselves.
        cycling: whether they do so from the start.
        now: in seconds, on the clock of all other calls.
    """

    def __init__(
        self,
        look: Look,
        first: Style,
        styles: Sequence[Style],
        *,
        crossfade: float = CROSSFADE_SECONDS,
        cycle: float = CYCLE_SECONDS,
        cycling: bool = False,
        now: float = 0.0,
    ) -> None:
        self.look = look
        self.styles: Sequence[Style] = styles or (first,)
        """What keys choose from."""
        self.chosen = first
        """One of them, or one that was named beside them; without matched colours."""
        self.crossfade = crossfade
        """Seconds; 0 while it is switched off."""
        self.match_request: MatchRequest | None = None
        """What somebody else is to match, since encoding takes a while: hand the result to `matched`. A key that is
        pressed meanwhile makes another request of it, or none."""
        self._mixer = Mixer(first)
        self._crossfade_on = crossfade or CROSSFADE_SECONDS
        self._cycle = cycle
        self._next_change = now + cycle if cycling else None
        self._messages: list[str] = []
        if look.color is ColorMode.MATCH:
            self._recolor({first: first}, now, reveal=True)

    @property
    def place(self) -> int | None:
        """Index of the chosen style among `styles`; None where it is not one of them."""
        return index_of(self.chosen, self.styles)

    @property
    def caption(self) -> str:
        """The style and the choices of the look in words; ``plain camera`` while that is on."""
        look, place = self.look, self.place
        if look.plain:
            return "plain camera"
        number = "" if place is None or self._mixer.is_mixing else f"{place + 1} "
        words = [f"{number}{self._mixer.label}"]
        for name, value in look.choices().items():
            is_usual = value == DEFAULTS[name] and name != "strength"
            # The colours of a preset cannot be matched, so that they are its own.
            unmatched = value is ColorMode.MATCH and self.chosen.source is None
            if not is_usual and not unmatched and not isinstance(value, bool):
                words.append(describe(name, value))
        return ", ".join(words)

    def take_messages(self) -> list[str]:
        """What the person in front of the screen should know, since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def handle(self, press: Press, now: float) -> Look:
        """The look after a key; keys that do not concern it change nothing.

        Args:
            press: the key.
            now: in seconds.
        """
        match press.action:
            case Step(name, direction):
                self._step_choice(name, direction, now)
            case Action.STYLE:
                self._choose_number(int(press.key), now)
            case Action.NEXT:
                self._step_style(1, now)
            case Action.PREVIOUS:
                self._step_style(-1, now)
            case Action.CYCLE:
                self._toggle_cycle(now)
            case Action.HOLD:
                self._hold(now)
            case Action.MIX_TO_HELD:
                self._move_mix(-1, now)
            case Action.MIX_TO_CURRENT:
                self._move_mix(1, now)
            case Action.CROSSFADE:
                self._toggle_crossfade()
            case Action.PLAIN:
                self.look = replace(self.look, plain=not self.look.plain)
        return self.look

    def tick(self, now: float) -> Look:
        """The look as time alone changes it: the next style, where they change by themselves.

        Args:
            now: in seconds.
        """
        if self._next_change is not None and now >= self._next_change:
            self._step_style(1, now)
        return self.look

    def set_styles(self, styles: Sequence[Style], now: float) -> Look:
        """The look after styles have come, gone or changed; where the chosen one is gone, its neighbour is chosen.

        Args:
            styles: to choose from. None at all, as of a model without presets and an empty folder, leaves the old ones.
            now: in seconds.
        """
        before, self.styles = self.styles, styles or self.styles
        if before is self.styles:
            return self.look
        place = self.place
        if place is not None:
            style = self.styles[place]
            if not np.array_equal(style.stats.values, self.chosen.stats.values):
                # Its image was overwritten.
                self._recolor({s: style for s in self._mixer.recipe if index_of(s, [style]) is not None}, now)
            self.chosen = style
        elif (place := index_of(self.chosen, before)) is not None:
            self._choose(self.styles[min(place, len(self.styles) - 1)], now)
        return self.look

    def matched(self, request: MatchRequest, result: Mapping[Style, Style] | LivestyleError, now: float) -> Look:
        """The look after colours have been matched.

        Args:
            request: that was carried out. One that is no longer `match_request` is outdated and changes nothing.
            result: its styles in matched colours, by the same keys; or why that failed.
            now: in seconds.
        """
        if request is self.match_request:
            self.match_request = None
            if isinstance(result, LivestyleError):
                self._messages.append(str(result))
            else:
                self._apply(result, request.reveal, now)
        return self.look

    def recipe_text(self) -> str:
        """The mix as `StyleLibrary.find` reads it; where it cannot be written so, the chosen style."""
        recipe = self._mixer.recipe
        texts = [style_text(style) for style in recipe]
        if len(recipe) == 1:
            return texts[0]
        if set("".join(texts)) & set(",:"):
            return style_text(self.chosen)
        return ",".join(f"{text}:{share:g}" for text, share in zip(texts, recipe.values(), strict=True))

    def _step_choice(self, name: str, direction: int, now: float) -> None:
        before = self.look
        self.look = before.stepped(name, direction)
        value = getattr(self.look, name)
        if isinstance(value, bool | str):
            # Numbers are in the caption.
            self._messages.append(describe(name, value))
        if self.look.color is not before.color and ColorMode.MATCH in (self.look.color, before.color):
            self._recolor({style: self._original(style) for style in self._mixer.recipe}, now)

    def _choose_number(self, number: int, now: float) -> None:
        if number > len(self.styles):
            self._messages.append(f"there are {len(self.styles)} styles, no number {number}")
        else:
            self._choose(self.styles[number - 1], now)

    def _step_style(self, step: int, now: float) -> None:
        place = self.place
        # A style that was named beside the others lies before all of them.
        place = (0 if step > 0 else -1) if place is None else place + step
        self._choose(self.styles[place % len(self.styles)], now)

    def _choose(self, style: Style, now: float) -> None:
        """Fade to a style; with matched colours, as soon as these are ready."""
        self.chosen = style
        if self._next_change is not None:
            self._next_change = now + self._cycle
        self._mixer.choose(style)
        self._recolor({style: style}, now, reveal=True)

    def _hold(self, now: float) -> None:
        self._mixer.hold()
        self._fade(self.crossfade, now)
        self._messages.append("held: choose a style to mix in" if self._mixer.is_fresh else "let go")

    def _move_mix(self, sign: int, now: float) -> None:
        if self._mixer.is_mixing:
            self._mixer.move(sign * MIX_STEP)
            self._fade(MIX_SECONDS, now)
        else:
            self._messages.append("nothing to mix: hold a style with Space, then choose another")

    def _toggle_crossfade(self) -> None:
        self.crossfade = 0.0 if self.crossfade else self._crossfade_on
        self._messages.append(f"crossfade of {self.crossfade:g} s" if self.crossfade else "crossfade off")

    def _toggle_cycle(self, now: float) -> None:
        if self._next_change is None:
            self._next_change = now + self._cycle
            self._messages.append(f"all styles in turn, {self._cycle:g} s each")
        else:
            self._next_change = None
            self._messages.append("this style stays")

    def _recolor(self, styles: Mapping[Style, Style], now: float, reveal: bool = False) -> None:
        """Put styles in the places of some in the mix; in matched colours, as soon as somebody has matched them.

        Args:
            styles: by those whose places they take.
            now: in seconds.
            reveal: show the painting where the plain camera is on.
        """
        # What was requested before is outdated.
        self.match_request = None
        if self.look.color is ColorMode.MATCH:
            without = [style.name for style in styles.values() if style.source is None]
            if without:
                self._messages.append(
                    f"{', '.join(without)}: no picture of its own that could be matched, so its colours stay"
                )
            if len(without) < len(styles):
                self.match_request = MatchRequest(styles, reveal)
                return
        self._apply(styles, reveal, now)

    def _apply(self, styles: Mapping[Style, Style], reveal: bool, now: float) -> None:
        self._mixer.replace(dict(styles))
        # From the plain camera there is nothing to fade from.
        self._fade(0.0 if self.look.plain else self.crossfade, now)
        if reveal:
            self.look = replace(self.look, plain=False)

    def _original(self, style: Style) -> Style:
        """A style of the mix without matched colours: of the same name in `styles`, or the chosen one, or itself."""
        known = (*self.styles, self.chosen)
        place = index_of(style, known)
        return style if place is None else known[place]

    def _fade(self, seconds: float, now: float) -> None:
        """Add the mix to the timeline as a cue that begins now."""
        timeline = self.look.style
        assert isinstance(timeline, Timeline)
        mix = Style(self._mixer.label, self._mixer.stats)
        self.look = replace(self.look, style=timeline.switched(mix, now, seconds))


def describe(name: str, value: Any) -> str:
    """A choice of `Look` in words for the screen: ``mirror on``, ``strength 80%``, ``matched colours``."""
    choice = CHOICES[name]
    what = choice.name.removeprefix("the ")
    if isinstance(value, bool):
        return f"{what} {'on' if value else 'off'}"
    if isinstance(value, int | float):
        return f"{what} {value:.0%}" if choice.high == 1 else f"{what} {value:g}"
    return COLORS.get(value, f"{what} {value}")


def style_text(style: Style) -> str:
    """A style as `StyleLibrary.find` reads it."""
    return style.name if style.source is None else str(style.source.resolve())


def index_of(style: Style, styles: Sequence[Style]) -> int | None:
    """Index of a style among others by its name and image, whatever its statistics; None where it is not."""
    for place, other in enumerate(styles):
        if (other.name, other.source) == (style.name, style.source):
            return place
    return None
