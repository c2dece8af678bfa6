"""Every key that changes the look, pressed on `Controls`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle import ColorMode, Look, Style, StyleError, StyleStats, Timeline
from livestyle.live.controls import MIX_SECONDS, Controls
from livestyle.live.keymap import KEYMAP, Step, press_of
from livestyle.render.look import CHOICES
from livestyle.styles.timeline import CROSSFADE_SECONDS

LATER = 1000.0
"""Seconds, by when every crossfade is over."""


def style(name: str, value: float, *, image: bool = True) -> Style:
    return Style(name, StyleStats(np.full(4, value, np.float32)), Path(f"{name}.png") if image else None)


ONE, TWO, THREE = style("one", 1), style("two", 2), style("three", 3)
PRESET = style("preset", 7, image=False)


def begin(styles: Sequence[Style] = (ONE, TWO, THREE), first: Style = ONE, **options: Any) -> Controls:
    look = Look(Timeline.of(first), **options.pop("look", {}))
    return Controls(look, first, styles, **options)


def press(controls: Controls, *keys: str, now: float = 0.0) -> Look:
    for key in keys:
        pressed = press_of(key)
        assert pressed is not None
        controls.handle(pressed, now)
    return controls.look


def shown(controls: Controls, time: float = LATER) -> float:
    """The statistics that show at a time, all of which are one number in these tests."""
    values = controls.look.style.stats_at(time).values
    assert len(set(values.tolist())) == 1
    return round(float(values[0]), 3)


# -- styles -----------------------------------------------------------------------------------------------------------


def test_digits_n_and_p_choose_styles_round_and_round() -> None:
    controls = begin()
    seen = []
    for key in ("2", "n", "n", "p"):
        press(controls, key)
        seen.append((controls.place, shown(controls)))
    assert seen == [(1, 2), (2, 3), (0, 1), (2, 3)]


def test_a_digit_without_a_style_says_so_and_changes_nothing() -> None:
    controls = begin()
    before = controls.look
    assert press(controls, "9") is before
    assert controls.take_messages() == ["there are 3 styles, no number 9"]
    assert controls.take_messages() == []


def test_from_a_style_that_was_named_beside_the_others_n_goes_to_the_first_and_p_to_the_last() -> None:
    for key, place in (("n", 0), ("p", 2)):
        controls = begin(first=style("named", 9))
        assert controls.place is None
        press(controls, key)
        assert controls.place == place


def test_without_any_style_to_choose_from_there_is_the_first_one() -> None:
    controls = begin(styles=())
    assert list(controls.styles) == [ONE]


def test_a_switch_is_a_crossfade_that_takes_its_time() -> None:
    controls = begin(crossfade=0.6)
    press(controls, "2", now=100.0)
    at = [shown(controls, 100 + seconds) for seconds in (-1, 0, 0.3, 0.6)]
    assert at == [1, 1, 1.5, 2]
    assert controls.look.style.stats_at(200) is controls.look.style.stats_at(300)


def test_a_switch_in_the_middle_of_a_crossfade_goes_on_from_what_is_on_the_screen() -> None:
    controls = begin(crossfade=1.0)
    press(controls, "3", now=100.0)
    before = shown(controls, 100.5)
    press(controls, "2", now=100.5)
    assert shown(controls, 100.5) == before == 2
    assert shown(controls, 101.5) == 2


def test_x_switches_the_crossfade_off_and_on() -> None:
    controls = begin(crossfade=3.0)
    press(controls, "x", "2", now=100.0)
    assert shown(controls, 100.0) == 2
    press(controls, "x", "1", now=200.0)
    assert shown(controls, 201.5) == 1.5
    assert controls.take_messages() == ["crossfade off", "crossfade of 3 s"]


def test_x_makes_a_crossfade_of_the_usual_length_where_none_was_asked_for() -> None:
    controls = begin(crossfade=0.0)
    press(controls, "x")
    assert controls.crossfade == CROSSFADE_SECONDS


def test_a_changes_styles_by_itself_and_stops_that() -> None:
    controls = begin(cycle=5.0, crossfade=0.0)
    press(controls, "a", now=100.0)
    places = []
    for now in (104.9, 105.0, 106.0, 110.0, 115.0):
        controls.tick(now)
        places.append(controls.place)
    assert places == [0, 1, 1, 2, 0]
    press(controls, "a", now=116.0)
    controls.tick(LATER)
    assert controls.place == 0
    assert controls.take_messages() == ["all styles in turn, 5 s each", "this style stays"]


def test_styles_change_by_themselves_from_the_start_and_a_choice_gets_its_whole_time() -> None:
    controls = begin(cycle=5.0, cycling=True, now=100.0)
    press(controls, "3", now=104.0)
    controls.tick(105.0)
    assert controls.place == 2
    controls.tick(109.0)
    assert controls.place == 0


# -- mixes ------------------------------------------------------------------------------------------------------------


def test_space_and_brackets_mix_styles() -> None:
    controls = begin(crossfade=0.0)
    press(controls, "Space", "3")
    assert shown(controls) == 2
    press(controls, "]", "]")
    assert shown(controls) == 2.4
    press(controls, *["]"] * 5)
    assert shown(controls) == 3
    press(controls, *["["] * 12)
    assert shown(controls) == 1


def test_a_mix_moves_smoothly_even_where_switches_are_hard() -> None:
    controls = begin(crossfade=0.0)
    press(controls, "Space", "3")
    press(controls, "]", now=100.0)
    assert shown(controls, 100.0) == 2
    assert shown(controls, 100 + MIX_SECONDS / 2) == 2.1
    assert shown(controls, 100 + MIX_SECONDS) == 2.2


def test_holding_twice_lets_go() -> None:
    controls = begin(crossfade=0.0)
    press(controls, "2", "Space", "Space")
    assert shown(controls) == 2
    press(controls, "3")
    assert shown(controls) == 3
    assert controls.take_messages() == ["held: choose a style to mix in", "let go"]


def test_brackets_without_a_mix_say_how_to_make_one() -> None:
    controls = begin()
    before = controls.look
    assert press(controls, "[", "]") is before
    assert set(controls.take_messages()) == {"nothing to mix: hold a style with Space, then choose another"}


def test_a_mix_is_written_as_it_is_read() -> None:
    controls = begin([PRESET, style("other", 3, image=False)], PRESET, crossfade=0.0)
    assert controls.recipe_text() == "preset"
    press(controls, "Space", "2", "]")
    assert controls.recipe_text() == "preset:0.4,other:0.6"


def test_of_a_mix_that_cannot_be_written_there_is_the_chosen_style() -> None:
    strange = Style("a,b", ONE.stats, Path("a,b.png"))
    controls = begin([ONE, strange])
    press(controls, "Space", "2")
    assert controls.recipe_text() == str(Path("a,b.png").resolve())


# -- choices ----------------------------------------------------------------------------------------------------------


def test_plus_and_minus_change_the_strength_between_plain_and_full() -> None:
    controls = begin()
    assert press(controls, *["-"] * 5).strength == 0.5
    assert press(controls, *["-"] * 7).strength == 0
    assert press(controls, "=", "+").strength == 0.2
    assert press(controls, *["+"] * 11).strength == 1


def test_full_stop_and_comma_make_strokes_broader_and_finer() -> None:
    controls = begin()
    assert [press(controls, ".").stroke_size for _ in range(5)] == [1.5, 2, 3, 4, 4]
    assert [press(controls, ",").stroke_size for _ in range(5)] == [3, 2, 1.5, 1, 1]


def test_k_and_j_sharpen_and_soften() -> None:
    controls = begin()
    assert [press(controls, "k").sharpness for _ in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert press(controls, *["j"] * 9).sharpness == 0


def test_0_shows_the_plain_camera_and_back() -> None:
    controls = begin()
    assert press(controls, "0").plain
    assert controls.caption == "plain camera"
    assert not press(controls, "0").plain


@pytest.mark.parametrize("key", ["2", "+", "-", ".", ",", "k", "j"])
def test_keys_that_are_about_the_painting_show_it(key: str) -> None:
    assert not press(begin(), "0", key).plain


@pytest.mark.parametrize("key", ["Space", "m", "v", "t", "c"])
def test_other_keys_leave_the_plain_camera_on(key: str) -> None:
    assert press(begin(), "0", key).plain


def test_from_the_plain_camera_there_is_no_crossfade() -> None:
    controls = begin(crossfade=5.0)
    press(controls, "0", "2", now=100.0)
    assert shown(controls, 100.0) == 2


@pytest.mark.parametrize(
    ("key", "name", "messages"),
    [
        ("m", "mirror", ["mirror on", "mirror off"]),
        ("v", "side_by_side", ["side by side on", "side by side off"]),
        ("t", "stabilise", ["stabiliser off", "stabiliser on"]),
    ],
)
def test_switches_turn_over_and_say_so(key: str, name: str, messages: list[str]) -> None:
    controls = begin()
    before = getattr(controls.look, name)
    assert getattr(press(controls, key), name) is not before
    assert getattr(press(controls, key), name) is before
    assert controls.take_messages() == messages


def test_every_key_that_steps_changes_its_own_choice_and_no_other() -> None:
    assert {binding.action.choice for binding in KEYMAP if isinstance(binding.action, Step)} <= set(CHOICES)
    controls = begin()
    for binding in KEYMAP:
        for key in binding.keys if isinstance(binding.action, Step) else ():
            before = controls.look
            after = press(controls, key)
            changed = {f.name for f in fields(Look) if getattr(before, f.name) is not getattr(after, f.name)}
            assert isinstance(binding.action, Step)
            assert changed <= {binding.action.choice, "style"}


def test_the_caption_says_what_is_unusual() -> None:
    controls = begin()
    assert controls.caption == "1 one, strength 100%"
    press(controls, "3", "-", "-", ".", ".", "k", "c", "m")
    assert controls.caption == "3 three, strength 80%, stroke size 2, sharpness 25%, the camera's colours"
    press(controls, "Space", "1")
    assert controls.caption.startswith("50% three + 50% one, ")


# -- matched colours --------------------------------------------------------------------------------------------------


def match(controls: Controls, add: float = 100, now: float = 0.0) -> list[str]:
    """Carry the request out, as if matching added a number to a style; gives the names of what was matched."""
    request = controls.match_request
    assert request is not None
    result = {
        place: wanted
        if wanted.source is None
        else Style(wanted.name, StyleStats(wanted.stats.values + add), wanted.source)
        for place, wanted in request.styles.items()
    }
    controls.matched(request, result, now)
    return [wanted.name for wanted in request.styles.values()]


def test_c_goes_through_the_colour_modes_and_back() -> None:
    controls = begin(crossfade=0.0)
    assert press(controls, "c").color is ColorMode.CONTENT
    assert controls.match_request is None
    assert press(controls, "c").color is ColorMode.MATCH
    assert shown(controls) == 1
    assert match(controls) == ["one"]
    assert shown(controls) == 101
    assert press(controls, "c").color is ColorMode.STYLE
    assert shown(controls) == 1
    assert controls.take_messages() == ["the camera's colours", "matched colours", "the style's colours"]


def test_matched_colours_are_there_from_the_start_and_with_each_choice() -> None:
    controls = begin(look={"color": ColorMode.MATCH}, crossfade=0.0)
    assert match(controls) == ["one"]
    press(controls, "2")
    assert shown(controls) == 101
    assert match(controls) == ["two"]
    assert shown(controls) == 102
    assert controls.chosen is TWO


def test_a_result_fades_in_and_shows_the_painting_where_a_style_was_chosen() -> None:
    controls = begin(look={"color": ColorMode.MATCH}, crossfade=1.0)
    match(controls, now=LATER)
    press(controls, "2", now=LATER)
    match(controls, now=LATER + 5)
    assert shown(controls, LATER + 5.5) == 101.5
    press(controls, "0", "3", now=LATER + 10)
    assert controls.look.plain
    match(controls, now=LATER + 10)
    assert not controls.look.plain
    assert shown(controls, LATER + 10) == 103


def test_a_result_that_nobody_waits_for_any_more_is_dropped() -> None:
    controls = begin(look={"color": ColorMode.MATCH}, crossfade=0.0)
    outdated = controls.match_request
    assert outdated is not None
    press(controls, "2")
    newest = controls.match_request
    assert newest is not outdated
    before = controls.look
    assert controls.matched(outdated, {ONE: THREE}, 0.0) is before
    assert controls.match_request is newest
    press(controls, "c")
    assert newest is not None
    controls.matched(newest, {TWO: THREE}, 0.0)
    assert shown(controls) == 2


def test_matching_the_colours_of_what_is_held_is_no_choice() -> None:
    controls = begin(crossfade=0.0)
    press(controls, "Space", "c", "c")
    match(controls)
    assert shown(controls) == 101
    press(controls, "c")
    assert shown(controls) == 1
    press(controls, "2")
    assert shown(controls) == 1.5


def test_all_styles_of_a_mix_are_matched() -> None:
    controls = begin(crossfade=0.0)
    press(controls, "Space", "3", "c", "c")
    assert sorted(match(controls)) == ["one", "three"]
    assert shown(controls) == 102


def test_a_preset_keeps_its_colours_and_that_is_said() -> None:
    controls = begin([PRESET, ONE], PRESET, look={"color": ColorMode.MATCH}, crossfade=0.0)
    assert controls.match_request is None
    assert controls.take_messages() == ["preset: no picture of its own that could be matched, so its colours stay"]
    assert controls.caption == "1 preset, strength 100%"
    press(controls, "Space", "2")
    match(controls)
    assert shown(controls) == 54
    assert controls.caption.endswith(", matched colours")


def test_why_colours_cannot_be_matched_is_said() -> None:
    controls = begin(look={"color": ColorMode.MATCH})
    request = controls.match_request
    assert request is not None
    controls.matched(request, StyleError("the picture is gone"), 0.0)
    assert controls.take_messages() == ["the picture is gone"]
    assert controls.match_request is None
    assert shown(controls) == 1


# -- styles that come and go ------------------------------------------------------------------------------------------


def test_a_style_that_comes_can_be_chosen_and_changes_nothing_by_itself() -> None:
    controls = begin([ONE], crossfade=0.0)
    before = controls.look
    assert controls.set_styles((ONE, TWO), 0.0) is before
    press(controls, "2")
    assert shown(controls) == 2


def test_where_the_chosen_style_goes_its_neighbour_is_chosen() -> None:
    for key, left, place in (("3", (ONE, TWO), 1), ("1", (TWO, THREE), 0)):
        controls = begin(crossfade=0.0)
        press(controls, key)
        controls.set_styles(left, 0.0)
        assert controls.place == place
        assert shown(controls) == 2


def test_a_style_whose_image_has_changed_is_faded_to() -> None:
    controls = begin(crossfade=1.0)
    controls.set_styles((style("one", 5), TWO), LATER)
    assert shown(controls, LATER + 0.5) == 3
    assert controls.place == 0


def test_a_style_whose_image_has_changed_is_changed_within_a_mix() -> None:
    controls = begin(crossfade=0.0)
    press(controls, "Space", "3")
    controls.set_styles((ONE, TWO, style("three", 5)), 0.0)
    assert shown(controls) == 3


def test_an_emptied_folder_leaves_something_to_choose_from() -> None:
    controls = begin()
    before = controls.look
    assert controls.set_styles((), 0.0) is before
    assert list(controls.styles) == [ONE, TWO, THREE]


def test_a_thousand_switches_within_a_crossfade_leave_a_short_timeline() -> None:
    controls = begin(crossfade=1.0)
    lengths = []
    for number in range(1000):
        press(controls, "n", now=100 + number * 0.1)
        timeline = controls.look.style
        assert isinstance(timeline, Timeline)
        lengths.append(len(timeline.cues))
    assert max(lengths) < 20
    values = [shown(controls, 199.9 + step / 100) for step in range(200)]
    assert max(abs(a - b) for a, b in pairwise(values)) < 0.1
