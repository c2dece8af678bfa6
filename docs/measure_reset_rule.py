"""Measures what a change of style does to the frames after it, with and without a restart of the running statistics.

python docs/measure_reset_rule.py CLIP prints the rows of docs/rendering.md for a clip.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np

from livestyle import Cue, Stabilizer, Style, StyleLibrary, Stylizer, Timeline, open_source
from livestyle.media.resize import resize

CHANGE = 40
"""Frame at which the style changes."""
SETTLED = 18
"""Frames that a style has been shown for when its painting is taken as the reference."""
AFTER = (0, 1, 3, 8, 16, 25)
PAIRS = 6


def frames(path: str) -> list[np.ndarray]:
    with open_source(path) as source:
        images = [frame.image for frame in islice(source, CHANGE + AFTER[-1] + 1)]
    return [resize(image, 320, round(image.shape[0] * 320 / image.shape[1])) for image in images]


def painted(stylizer: Stylizer, images: list[np.ndarray], timeline: Timeline, restarts: bool) -> Iterator[np.ndarray]:
    state, before = Stabilizer(), None
    for number, image in enumerate(images):
        stats = timeline.stats_at(number)
        if restarts and before is not None and stats is not before:
            state.reset_statistics()
        before = stats
        yield stylizer.stylize(image, stats, 1.0, state).astype(int)


def main(path: str) -> None:
    stylizer, images, random = Stylizer(device="cpu"), frames(path), np.random.default_rng(0)
    presets = list(StyleLibrary(stylizer).presets.values())
    pairs: list[list[Style]] = [[presets[i] for i in random.choice(len(presets), 2, False)] for _ in range(PAIRS)]
    for crossfade in (0, 15):
        errors = {True: np.zeros(len(AFTER)), False: np.zeros(len(AFTER))}
        for one, other in pairs:
            timeline = Timeline("", (Cue(0, one), Cue(CHANGE, other, crossfade)))
            results = {rule: list(painted(stylizer, images, timeline, rule)) for rule in errors}
            for place, after in enumerate(AFTER):
                number = CHANGE + after
                always = Timeline("", (Cue(0, Style("", timeline.stats_at(number))),))
                *_, reference = painted(stylizer, images[number - SETTLED : number + 1], always, False)
                for rule, result in results.items():
                    errors[rule][place] += abs(result[number] - reference).mean() / PAIRS
        for rule, mean in errors.items():
            name = "restart" if rule else "never"
            print(f"crossfade {crossfade:2}  {name:8}", *(f"+{a}: {e:.2f}" for a, e in zip(AFTER, mean, strict=True)))


if __name__ == "__main__":
    main(sys.argv[1])
