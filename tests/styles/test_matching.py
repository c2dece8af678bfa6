"""`match_look` and `check_matching`: which styles of a look get the colours of a content."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import Look, Style, StyleLibrary, StyleStats, Stylizer, Timeline
from livestyle.errors import StyleError
from livestyle.media.mask import StillMask
from livestyle.render.color import ColorMode
from livestyle.styles.matching import check_matching, match_look
from livestyle.styles.timeline import Cue


@pytest.fixture
def pictures(library: StyleLibrary, tmp_path: Path, demo_frames: list[np.ndarray]) -> list[Style]:
    """Three styles with pictures."""
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), cv2.resize(demo_frames[5 * number], (96, 64)))
        found.append(library.from_image(path))
    return found


def values(style: object) -> list[float]:
    assert isinstance(style, Style)
    found: list[float] = style.stats.values.tolist()
    return found


def test_the_style_of_a_look_takes_the_colours_of_the_content(
    library: StyleLibrary, identity: Stylizer, pictures: list[Style], frame: np.ndarray
) -> None:
    look = match_look(Look(pictures[0], color=ColorMode.MATCH), frame, identity)
    assert values(look.style) == values(library.matched(pictures[0], frame)) != values(pictures[0])
    assert look.background is None


def test_both_styles_of_a_mask_take_the_colours_of_the_content(
    library: StyleLibrary, identity: Stylizer, pictures: list[Style], frame: np.ndarray
) -> None:
    mask = np.full(frame.shape[:2], 255, np.uint8)
    before = Look(pictures[0], color=ColorMode.MATCH, mask=StillMask(mask), background=pictures[1])
    after = match_look(before, frame, identity)
    assert values(after.style) == values(library.matched(pictures[0], frame))
    assert values(after.background) == values(library.matched(pictures[1], frame))


def test_each_style_of_a_timeline_takes_the_colours_and_keeps_its_time(
    library: StyleLibrary, identity: Stylizer, pictures: list[Style], frame: np.ndarray
) -> None:
    timeline = Timeline("all", tuple(Cue(3 * n, style, 0.5) for n, style in enumerate(pictures)))
    matched = match_look(Look(timeline, color=ColorMode.MATCH), frame, identity).style
    assert isinstance(matched, Timeline)
    assert [(cue.start, cue.crossfade) for cue in matched.cues] == [(0, 0.5), (3, 0.5), (6, 0.5)]
    assert list(map(values, matched.styles)) == [values(library.matched(style, frame)) for style in pictures]


@pytest.mark.parametrize("color", [ColorMode.STYLE, ColorMode.CONTENT])
def test_a_look_without_matching_comes_back(identity: Stylizer, library: StyleLibrary, color: ColorMode) -> None:
    look = Look(library["moss"], color=color)
    assert match_look(look, np.zeros((64, 64, 3), np.uint8), identity) is look
    check_matching(look)


def test_a_style_without_a_picture_is_refused_wherever_it_stands(library: StyleLibrary, pictures: list[Style]) -> None:
    picture, moss = pictures[0], library["moss"]
    mask = np.full((64, 64), 255, np.uint8)
    check_matching(Look(picture, color=ColorMode.MATCH))
    for look in (
        Look(moss, color=ColorMode.MATCH),
        Look(picture, color=ColorMode.MATCH, mask=StillMask(mask), background=moss),
        Look(Timeline("both", (Cue(0, picture), Cue(2, moss))), color=ColorMode.MATCH),
    ):
        with pytest.raises(StyleError, match=r"the colours of moss cannot be matched, since it is a preset or a mix"):
            check_matching(look)


def test_bare_statistics_cannot_be_matched() -> None:
    with pytest.raises(StyleError, match="in styles of pictures only"):
        check_matching(Look(StyleStats(np.ones(6, np.float32)), color=ColorMode.MATCH))
