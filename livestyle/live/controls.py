"""Which style is on, as keys, time and a watched folder of pictures change it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from livestyle.errors import LivestyleError
from livestyle.render.color import ColorMode
from livestyle.styles.library import Style
from livestyle.styles.mixer import MIX_STEP, Mixer

from .config import CROSSFADE_SECONDS, Plan
from .render_thread import Look, Painter
from .session import Session

MIX_SECONDS = 0.15
"""A crossfade so short takes the steps out of a mix that is moved by keys."""
COLORS = {
    ColorMode.STYLE: "the style's colours",
    ColorMode.CONTENT: "the camera's colours",
    ColorMode.MATCH: "matched colours",
}


class Controls:
    """Chooses styles and sets the painter's look to them.

    Args:
        plan: what to begin with.
        studio: where the styles are.
        painter: which has a look already.
        say: takes what the person in front of the screen should know.
    """

    def __init__(self, plan: Plan, studio: Session, painter: Painter, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._studio = studio
        self._painter = painter
        self._say = say
        self.mixer = Mixer(studio.first)
        self.styles: Sequence[Style] = studio.shelf.styles or (studio.first,)
        """What keys choose from."""
        self.chosen = studio.first
        """One of them, or one that was named beside them; as it is, without matched colours."""
        self.crossfade = plan.crossfade
        """Seconds."""
        self._worker = ThreadPoolExecutor(1, "matching colours")
        self._matching: Future[dict[Style, Style]] | None = None
        self._reveals = False
        self._next_change: float | None = None
        if plan.cycling:
            self._restart_cycle()
        if plan.color is ColorMode.MATCH:
            self.choose(studio.first)

    @property
    def look(self) -> Look:
        """The painter's."""
        look = self._painter.look
        assert look is not None
        return look

    @property
    def place(self) -> int | None:
        """Of the chosen style among `styles`."""
        return place_of(self.chosen, self.styles)

    @property
    def label(self) -> str:
        """The style in words, with its number."""
        place = self.place
        number = "" if place is None or self.mixer.is_mixing else f"{place + 1} "
        look = self.look
        own = look.color is ColorMode.STYLE or (look.color is ColorMode.MATCH and self.chosen.source is None)
        color = "" if own else f", {COLORS[look.color]}"
        strokes = "" if look.stroke_size == 1 else f", strokes x{look.stroke_size:g}"
        return f"{number}{self.mixer.label}, strength {look.strength:.0%}{strokes}{color}"

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)

    def look_around(self) -> None:
        """Notice what happens by itself: pictures come and go, colours have been matched, it is time for a change."""
        self._follow_shelf()
        if self._matching is not None and self._matching.done():
            matching, self._matching = self._matching, None
            try:
                self._apply(matching.result(), self._reveals)
            except LivestyleError as error:
                self._say(str(error))
        if self._next_change is not None and time.monotonic() >= self._next_change:
            self.step(1)

    def choose_number(self, number: int) -> None:
        """Choose by number, from 1."""
        if number > len(self.styles):
            self._say(f"there are {len(self.styles)} styles, no number {number}")
        else:
            self.choose(self.styles[number - 1])

    def step(self, step: int) -> None:
        """The next style (1) or the one before (-1), round and round."""
        place = self.place
        # One that was named beside the others lies before all of them.
        place = (0 if step > 0 else -1) if place is None else place + step
        self.choose(self.styles[place % len(self.styles)])

    def choose(self, style: Style) -> None:
        """Fade to a style; with matched colours, as soon as these are ready."""
        self.chosen = style
        if self._next_change is not None:
            self._restart_cycle()
        self.mixer.choose(style)
        self._recolor({style: style}, reveal=True)

    def hold(self) -> None:
        """See `Mixer.hold`."""
        self.mixer.hold()
        self._retarget(self.crossfade)
        self._say("held: choose a style to mix in" if self.mixer.is_fresh else "let go")

    def move_mix(self, sign: int) -> None:
        """More of the chosen style (1) or of what is held (-1)."""
        if self.mixer.is_mixing:
            self.mixer.move(sign * MIX_STEP)
            self._retarget(MIX_SECONDS)
        else:
            self._say("nothing to mix: hold a style with Space, then choose another")

    def toggle_crossfade(self) -> None:
        self.crossfade = 0.0 if self.crossfade else self._plan.crossfade or CROSSFADE_SECONDS
        self._say(f"crossfade of {self.crossfade:g} s" if self.crossfade else "crossfade off")

    def toggle_cycle(self) -> None:
        """Go through all styles by itself, or stop that."""
        if self._next_change is None:
            self._restart_cycle()
            self._say(f"all styles in turn, {self._plan.cycle:g} s each")
        else:
            self._next_change = None
            self._say("this style stays")

    def next_color(self) -> None:
        """The next colour mode."""
        modes = list(ColorMode)
        before = self.look.color
        color = modes[(modes.index(before) + 1) % len(modes)]
        self._painter.look = replace(self.look, color=color)
        self._say(COLORS[color])
        if ColorMode.MATCH in (color, before):
            self._recolor({style: self._original(style) for style in self.mixer.recipe})

    def recipe_text(self) -> str:
        """What is on as ``--style`` takes it; of a mix that cannot be written so, the chosen style."""
        recipe = self.mixer.recipe
        texts = [style_text(style) for style in recipe]
        if len(recipe) == 1:
            return texts[0]
        if set("".join(texts)) & set(",:"):
            return style_text(self.chosen)
        return ",".join(f"{text}:{share:g}" for text, share in zip(texts, recipe.values(), strict=True))

    def _restart_cycle(self) -> None:
        self._next_change = time.monotonic() + self._plan.cycle

    def _recolor(self, styles: dict[Style, Style], reveal: bool = False) -> None:
        """Put styles in the places of some in the mix, with matched colours where that is the mode and can be done.

        Args:
            styles: by those whose places they take.
            reveal: show the painting where the plain camera is on.
        """
        painting = self._painter.painting
        if self._matching is not None:
            # Matching takes longer than a key; what is outdated would come first.
            self._matching.cancel()
            self._matching = None
        if self.look.color is not ColorMode.MATCH or painting is None:
            self._apply(styles, reveal)
            return
        without = [style.name for style in styles.values() if style.source is None]
        if without:
            self._say(f"{', '.join(without)}: no picture of its own that could be matched, so its colours stay")
        image, library = painting.frame.image, self._studio.library

        def match() -> dict[Style, Style]:
            return {
                place: style if style.source is None else library.matched(style, image)
                for place, style in styles.items()
            }

        self._matching, self._reveals = self._worker.submit(match), reveal

    def _apply(self, styles: dict[Style, Style], reveal: bool) -> None:
        self.mixer.replace(styles)
        # From the plain camera there is nothing to fade from.
        self._retarget(0.0 if self.look.plain else self.crossfade)
        if reveal:
            self._painter.look = replace(self.look, plain=False)

    def _original(self, style: Style) -> Style:
        """As it is on the shelf, or was chosen; itself where it is neither."""
        known = (*self.styles, self.chosen)
        place = place_of(style, known)
        return style if place is None else known[place]

    def _retarget(self, seconds: float) -> None:
        look, now = self.look, time.monotonic()
        # A switch in the middle of a crossfade goes on from what is on the screen.
        before = look.stats(now) if seconds else None
        self._painter.look = replace(look, style=self.mixer.stats, before=before, since=now, crossfade=seconds)

    def _follow_shelf(self) -> None:
        for news in self._studio.shelf.take_news():
            self._say(news)
        # A model without presets and an emptied folder leave nothing, but there is always something to choose from.
        before, self.styles = self.styles, self._studio.shelf.styles or self.styles
        if before is self.styles:
            return
        place = self.place
        if place is not None:
            style = self.styles[place]
            if not np.array_equal(style.stats.values, self.chosen.stats.values):
                # Its picture has changed.
                self._recolor({s: style for s in self.mixer.recipe if place_of(s, [style]) is not None})
            self.chosen = style
        elif (place := place_of(self.chosen, before)) is not None:
            self.choose(self.styles[min(place, len(self.styles) - 1)])


def style_text(style: Style) -> str:
    """A style as ``--style`` takes it."""
    return style.name if style.source is None else str(style.source.resolve())


def place_of(style: Style, styles: Sequence[Style]) -> int | None:
    """Where a style is among others, by its name and picture; None where it is not."""
    for place, other in enumerate(styles):
        if (other.name, other.source) == (style.name, style.source):
            return place
    return None
