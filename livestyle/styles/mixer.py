"""Interactive mixing: the current style, or a mix of it with a recipe that is held."""

from __future__ import annotations

from livestyle.engine.style import StyleStats, mix

from .library import Style

MIX_STEP = 0.1
FIRST_SHARE = 0.5
"""Initial share of the new style in a mix."""


class Mixer:
    """Current style and, beside it, a recipe that may be held: the next styles are mixed into it.

    Args:
        current: the style to begin with.
    """

    def __init__(self, current: Style) -> None:
        self.current = current
        self._held: dict[Style, float] = {}
        # Share of the current style, 0..1; None while nothing has been chosen since holding.
        self._share: float | None = None

    @property
    def recipe(self) -> dict[Style, float]:
        """Styles and their weights, which sum to 1."""
        if not self._held:
            return {self.current: 1.0}
        if self._share is None:
            return self._held
        recipe = {style: (1 - self._share) * weight for style, weight in self._held.items()}
        recipe[self.current] = recipe.get(self.current, 0.0) + self._share
        return recipe

    @property
    def stats(self) -> StyleStats:
        """Style statistics of the recipe."""
        recipe = self.recipe
        if len(recipe) == 1:
            return next(iter(recipe)).stats
        return mix([style.stats for style in recipe], list(recipe.values()))

    @property
    def label(self) -> str:
        """Text for the screen: ``scream``, or ``50% starry-night + 50% scream``."""
        recipe = self.recipe
        if len(recipe) == 1:
            text = next(iter(recipe)).name
        else:
            text = " + ".join(f"{weight:.0%} {style.name}" for style, weight in recipe.items())
        return f"{text} (held)" if self.is_fresh else text

    @property
    def is_mixing(self) -> bool:
        """Whether the current style has a share that `move` changes."""
        return self._share is not None

    @property
    def is_fresh(self) -> bool:
        """Whether a recipe is held and no style has been chosen since."""
        return bool(self._held) and self._share is None

    def choose(self, style: Style) -> None:
        """Make a style the current one; a held recipe stays in the mix."""
        self.current = style
        if self.is_fresh:
            self._share = FIRST_SHARE

    def replace(self, changes: dict[Style, Style]) -> None:
        """Replace styles by others, such as the same ones encoded again; the weights stay."""
        self.current = changes.get(self.current, self.current)
        self._held = {changes.get(style, style): share for style, share in self._held.items()}

    def hold(self) -> None:
        """Hold the current recipe, so that the next style is mixed into it; called again right after, release it."""
        self._held, self._share = ({} if self.is_fresh else self.recipe), None

    def move(self, step: float) -> None:
        """Change the share of the current style by ``step``, clamped to 0..1."""
        if self._share is not None:
            self._share = round(min(1.0, max(0.0, self._share + step)), 2)
