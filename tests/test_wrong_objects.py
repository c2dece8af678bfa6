"""Python programs that hand over something else than what is asked for: an error of the library says what, at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import livestyle
from livestyle import Style, Stylizer
from livestyle.errors import DeviceError, InputError, LivestyleError, ModelError, StyleError
from tests.program import IDENTITY

IMAGE = np.full((72, 96, 3), 90, np.uint8)
Call = Callable[[Stylizer, Style], object]
api: Any = livestyle
"""As a program without types sees it."""


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda s, style: s.stylize(IMAGE, style), StyleError, "StyleStats, not Style: take its stats"),
        (lambda s, style: s.stylize(IMAGE, style.stats, state={}), InputError, "is a Stabilizer, not dict"),
        (lambda s, style: api.mix([style, style], [1, 2]), StyleError, "StyleStats, not Style: take its stats"),
        (lambda s, style: api.mix("ab", [1, 2]), StyleError, "StyleStats, not str$"),
        (lambda s, style: api.StyleStats("scream"), StyleError, "are numbers, not 'scream'"),
        (lambda s, style: api.StyleStats(None), StyleError, "one row of finite numbers"),
        (lambda s, style: api.StyleStats(np.ones((2, 3))), StyleError, r"one row of finite numbers, not \[2, 3\]"),
        (lambda s, style: api.StyleStats([1, np.nan]), StyleError, "one row of finite numbers"),
        (lambda s, style: api.Stabilizer("much"), InputError, "momentum is 0 or more and below 1, not 'much'"),
        (lambda s, style: api.Stabilizer(1.0), InputError, "momentum is 0 or more and below 1, not 1$"),
        (lambda s, style: api.Look(None), InputError, "None is no style"),
        (
            lambda s, style: api.Look(style, mask=IMAGE[:, :, 0]),
            InputError,
            "of an array, not ndarray",
        ),
        (lambda s, style: api.Look(style, mask="mask.png"), InputError, "a mask is a Mask of a file, .* not str"),
        (
            lambda s, style: api.Renderer(s).render(IMAGE, style),
            InputError,
            r"by a Look, such as Look\(style\), not",
        ),
        (lambda s, style: api.stylize_image(IMAGE, style, s), InputError, r"by a Look, such as Look\(style\)"),
        (lambda s, style: api.Renderer(s).restore({"mean": 3}), InputError, "a snapshot has arrays by name"),
        (lambda s, style: api.Renderer(s).restore([1]), InputError, "a snapshot has arrays by name"),
        (
            lambda s, style: api.Renderer(s).restore({"mean": np.ones(3)}),
            InputError,
            "'mean' is no part of",
        ),
        (
            lambda s, style: api.Renderer(s).restore({"more": np.ones(3)}),
            InputError,
            "'more' is no part of",
        ),
        (lambda s, style: api.Timeline("none", ()), StyleError, "a timeline has one cue or more"),
        (lambda s, style: api.Timeline("styles", (style,)), StyleError, "a timeline has one cue or more"),
        (lambda s, style: api.Stylizer(3), ModelError, "there is no model '3'"),
        (lambda s, style: api.Stylizer(b"lite"), ModelError, "there is no model"),
        (lambda s, style: api.Stylizer(IDENTITY, None), DeviceError, "there is no device None"),
        (lambda s, style: api.Stylizer(IDENTITY, 0), DeviceError, "there is no device 0"),
        (lambda s, style: api.StyleLibrary(s).from_image("a\0.png"), StyleError, "null byte"),
        (lambda s, style: api.Mask("a\0.png"), InputError, "mask"),
    ],
)
def test_something_else_is_an_error_of_the_library(
    identity: Stylizer, dusk: Style, call: Call, kind: type[LivestyleError], words: str
) -> None:
    with pytest.raises(kind, match=words) as raised:
        call(identity, dusk)
    assert "\n" not in str(raised.value)


def test_a_video_is_painted_by_a_look_and_not_by_a_style(identity: Stylizer, dusk: Style, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.touch()
    with pytest.raises(InputError, match="by a Look"):
        api.stylize_video(source, tmp_path / "b.mp4", dusk, identity)
    assert not (tmp_path / "b.mp4").exists()
