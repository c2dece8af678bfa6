"""The worker that matches colours while keys go on."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from livestyle import ColorMode, Look, Style, StyleError, Timeline
from livestyle.live.color_matcher import ColorMatcher
from livestyle.live.controls import Controls
from livestyle.live.keymap import Action, Press
from tests.waiting import PATIENCE, wait_for

CONTENT = np.zeros((8, 8, 3), np.uint8)


def controls_of(*styles: Style) -> Controls:
    return Controls(Look(Timeline.of(styles[0]), color=ColorMode.MATCH), styles[0], styles, crossfade=0.0)


def test_colours_that_nobody_waits_for_any_more_are_not_matched(style: Style) -> None:
    begun, go_on = threading.Event(), threading.Event()
    matched: list[str] = []

    def match(style: Style, _: np.ndarray) -> Style:
        begun.set()
        assert go_on.wait(PATIENCE)
        matched.append(style.name)
        return style

    library: Any = SimpleNamespace(matched=match)
    controls = controls_of(*(Style(str(number), style.stats, Path(f"{number}.png")) for number in range(9)))
    matcher = ColorMatcher(library)
    matcher.follow(controls, CONTENT)
    assert begun.wait(PATIENCE)
    for _ in range(8):
        controls.handle(Press(Action.NEXT, "n"), time.monotonic())
        matcher.follow(controls, CONTENT)
    go_on.set()

    def is_over() -> bool:
        matcher.follow(controls, CONTENT)
        return controls.match_request is None

    wait_for(is_over, "the last style's colours")
    matcher.close()
    assert matched == ["0", "8"]


def test_a_style_whose_image_is_gone_is_said(style: Style) -> None:
    def match(style: Style, _: np.ndarray) -> Style:
        raise StyleError(f"{style.name} is gone")

    library: Any = SimpleNamespace(matched=match)
    controls = controls_of(Style("wave", style.stats, Path("wave.png")))
    matcher = ColorMatcher(library)

    def messages() -> list[str]:
        matcher.follow(controls, CONTENT)
        return controls.take_messages()

    assert wait_for(messages, "the error") == ["wave is gone"]
    matcher.close()
