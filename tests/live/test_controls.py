from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from livestyle import Style
from livestyle.live.config import Plan
from livestyle.live.controls import Controls
from livestyle.live.render_thread import Look
from livestyle.live.settings import Settings
from livestyle.render.color import ColorMode

PATIENCE = 60.0


def test_colours_that_nobody_waits_for_any_more_are_not_matched(style: Style) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    matched: list[str] = []

    def match(style: Style, _: np.ndarray) -> Style:
        begun.release()
        assert go_on.wait(PATIENCE)
        matched.append(style.name)
        return style

    styles = [Style(str(number), style.stats, Path(f"{number}.png")) for number in range(9)]
    shelf = SimpleNamespace(styles=styles, take_news=list)
    studio: Any = SimpleNamespace(first=styles[0], shelf=shelf, library=SimpleNamespace(matched=match))
    frame = SimpleNamespace(image=np.zeros((8, 8, 3), np.uint8))
    look = Look(style.stats, color=ColorMode.MATCH)
    painter: Any = SimpleNamespace(look=look, painting=SimpleNamespace(frame=frame))
    plan = Plan.of(Settings(color=ColorMode.MATCH), Settings())
    picker = Controls(plan, studio, painter, lambda _: None)
    assert begun.acquire(timeout=PATIENCE)
    for _ in range(8):
        picker.step(1)
    go_on.set()
    end = time.monotonic() + PATIENCE
    while matched[-1:] != ["8"] and time.monotonic() < end:
        picker.look_around()
        time.sleep(0.01)
    picker.close()
    assert matched == ["0", "8"]
