"""Which style is on: the one that was chosen, or a mix of it with what is held."""

from __future__ import annotations

from livestyle.engine.style import StyleStats, mix

from .library import Style

MIX_STEP = 0.1
FIRST_SHARE = 0.5
"""Of the new style, in a mix that has just been begun."""


class Mixer:
    """The current style, and a recipe that may be held beside it.

    Args:
        current: the style to begin with.
    """

    def __init__(self, current: Style) -> None:
        self.current = current
        self._held: dict[Style, float] = {}
        # Of the current style; None while nothing has been chosen since holding.
        self._share: float | None = None

    @property
    def recipe(self) -> dict[Style, float]:
        """Styles and their shares, which add up to 1."""
        if not self._held:
            return {self.current: 1.0}
        if self._share is None:
            return self._held
        recipe = {style: (1 - self._share) * weight for style, weight in self._held.items()}
        recipe[self.current] = recipe.get(self.current, 0.0) + self._share
        return recipe

    @property
    def stats(self) -> StyleStats:
        """What to paint with."""
        recipe = self.recipe
        if len(recipe) == 1:
            return next(iter(recipe)).stats
        return mix([style.stats for style in recipe], list(recipe.values()))

    @property
    def label(self) -> str:
        """In words: ``scream``, or ``50% starry-night + 50% scream``."""
        recipe = self.recipe
        if len(recipe) == 1:
            text = next(iter(recipe)).name
        else:
            text = " + ".join(f"{weight:.0%} {style.name}" for style, weight in recipe.items())
        return f"{text} (held)" if self.is_fresh else text

    @property
    def is_mixing(self) -> bool:
        """Whether there is a share to move."""
        return self._share is not None

    @property
    def is_fresh(self) -> bool:
        """Whether something is held and nothing was chosen since."""
        return bool(self._held) and self._share is None

    def choose(self, style: Style) -> None:
        """Make a style the current one; what is held stays in the mix."""
        self.current = style
        if self.is_fresh:
            self._share = FIRST_SHARE

    def replace(self, changes: dict[Style, Style]) -> None:
        """Put other styles in the places of some, as the same ones with other statistics; shares stay."""
        self.current = changes.get(self.current, self.current)
        self._held = {changes.get(style, style): share for style, share in self._held.items()}

    def hold(self) -> None:
        """Hold what is on, so that the next style is mixed into it; right after holding, let go of it."""
        self._held, self._share = ({} if self.is_fresh else self.recipe), None

    def move(self, step: float) -> None:
        """Change the share of the current style by ``step``, within 0..1."""
        if self._share is not None:
            self._share = round(min(1.0, max(0.0, self._share + step)), 2)
