"""The Python API with any values: what is asked for, or one of the library's own errors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livestyle import Look, Style, StyleStats, Stylizer, VideoOptions, mix, stylize_image
from livestyle.engine.stabilizer import Stabilizer
from livestyle.errors import LivestyleError
from livestyle.live.config import Config
from livestyle.live.settings import KEYS, Settings
from livestyle.media.video.codecs import Encoding
from livestyle.render.color import ColorMode
from livestyle.render.look import CHOICES
from livestyle.render.renderer import Renderer

from .values import anything, arrays

Kinds = st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 0.5, 1.0, 2.0])


def is_sentence(error: LivestyleError) -> None:
    text = str(error)
    assert text
    assert len(text) < 1000
    assert "\n" not in text


@given(image=arrays(), strength=st.floats(0, 1), color=st.sampled_from([ColorMode.STYLE, ColorMode.CONTENT]))
def test_any_array_is_painted_or_refused(
    identity: Stylizer, dusk: Style, image: np.ndarray, strength: float, color: ColorMode
) -> None:
    before = image.copy()
    try:
        painted = stylize_image(image, Look(dusk, strength, color=color), identity)
    except LivestyleError:
        return
    assert painted.dtype == image.dtype
    assert painted.shape == image.shape
    assert np.array_equal(image, before)


@given(frames=arrays(), mask=st.none() | arrays(), strength=st.one_of(Kinds, anything), two=st.booleans())
def test_the_stylizer_takes_frames_or_refuses_them(
    identity: Stylizer, dusk: Style, frames: np.ndarray, mask: np.ndarray | None, strength: Any, two: bool
) -> None:
    try:
        background = dusk.stats if two else None
        painted = identity.stylize(frames, dusk.stats, strength, Stabilizer(), mask=mask, background=background)
    except LivestyleError:
        return
    assert painted.shape == frames.shape


@given(image=arrays())
def test_any_array_is_a_style_or_refused(identity: Stylizer, image: np.ndarray) -> None:
    try:
        assert np.isfinite(identity.encode_style(image).values).all()
    except LivestyleError:
        return


@given(images=st.lists(arrays(70), min_size=1, max_size=4))
def test_a_sequence_of_any_sizes_is_rendered(identity: Stylizer, dusk: Style, images: list[np.ndarray]) -> None:
    renderer, look = Renderer(identity), Look(dusk)
    for image in images:
        try:
            assert renderer.render(image, look).shape == image.shape
        except LivestyleError:
            continue


@given(values=st.dictionaries(st.sampled_from(sorted(CHOICES)), anything))
def test_a_look_of_any_values(dusk: Style, values: dict[str, Any]) -> None:
    try:
        look = Look(dusk, **values)
    except LivestyleError as error:
        is_sentence(error)
        return
    for name in CHOICES:
        look.stepped(name, 1)


FIELDS = ("size", "fps", "start", "end", "segment_frames", "video_track", "deinterlace", "tone_map")


@given(values=st.dictionaries(st.sampled_from(FIELDS), anything))
def test_options_of_any_values(values: dict[str, Any]) -> None:
    try:
        VideoOptions(**values)
    except LivestyleError as error:
        is_sentence(error)


@given(values=st.dictionaries(st.sampled_from(("codec", "crf", "preset", "hardware")), anything))
def test_an_encoding_of_any_values(values: dict[str, Any]) -> None:
    try:
        Encoding(**values).within("mp4")
    except LivestyleError as error:
        is_sentence(error)


@given(values=st.dictionaries(st.sampled_from(sorted(KEYS)), anything))
def test_settings_of_any_values(values: dict[str, Any]) -> None:
    try:
        Config.of(Settings(), Settings.of(values))
    except LivestyleError as error:
        is_sentence(error)


@given(threads=anything)
def test_threads_of_any_value(threads: Any) -> None:
    from tests.program import IDENTITY

    if threads is None or (isinstance(threads, int | np.integer | Fraction) and 0 < threads <= 1024):
        return
    with pytest.raises(LivestyleError):
        Stylizer(IDENTITY, "cpu", threads)


@given(weights=st.lists(st.one_of(Kinds, anything), max_size=4), count=st.integers(0, 4))
def test_a_mix_of_any_weights(weights: list[Any], count: int) -> None:
    try:
        found = mix([StyleStats(np.full(6, number, np.float32)) for number in range(count)], weights)
    except LivestyleError:
        return
    assert np.isfinite(found.values).all()
