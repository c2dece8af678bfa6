from __future__ import annotations

from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from livestyle import Style, StyleLibrary, mix
from livestyle.errors import LivestyleError, StyleError
from livestyle.styles.timeline import Cue, Timeline, parse_time, read_styles


@pytest.fixture
def presets(library: StyleLibrary) -> list[Style]:
    """The first three."""
    return list(islice(library.presets.values(), 3))


def read(library: StyleLibrary, text: str, crossfade: float = 0.0) -> Timeline:
    (found,) = read_styles(library, text, crossfade)
    assert isinstance(found, Timeline)
    return found


def test_a_text_without_times_is_what_the_library_finds(library: StyleLibrary, presets: list[Style]) -> None:
    assert read_styles(library, presets[0].name) == [presets[0]]
    (mixed,) = read_styles(library, f"{presets[0].name}:0.5,{presets[1].name}:0.5")
    assert isinstance(mixed, Style)


def test_each_style_shows_from_its_time_on(library: StyleLibrary, presets: list[Style]) -> None:
    one, two, three = presets
    timeline = read(library, f"{one.name}@0, {two.name}@2.5 ,{three.name}@1:00")

    shown = [timeline.stats_at(time) for time in (0, Fraction(249, 100), Fraction(5, 2), 59.9, 60, 1e6)]
    assert shown == [style.stats for style in (one, one, two, two, three, three)]


def test_what_comes_before_the_beginning_has_the_first_style(library: StyleLibrary, presets: list[Style]) -> None:
    assert read(library, f"{presets[0].name}@0,{presets[1].name}@5").stats_at(-1) is presets[0].stats


def test_a_crossfade_begins_at_the_time_of_the_next_style(library: StyleLibrary, presets: list[Style]) -> None:
    one, two, _ = presets
    timeline = read(library, f"{one.name}@0,{two.name}@10", crossfade=2)

    assert (timeline.stats_at(10).values == one.stats.values).all()
    assert np.allclose(timeline.stats_at(10.5).values, mix([one.stats, two.stats], [0.75, 0.25]).values)
    assert timeline.stats_at(12) is two.stats


def test_a_style_that_comes_within_a_crossfade_takes_over_without_a_jump(
    library: StyleLibrary, presets: list[Style]
) -> None:
    timeline = read(library, ",".join(f"{style.name}@{i}" for i, style in enumerate(presets)), crossfade=4)

    steps = [timeline.stats_at(Fraction(i, 100)).values for i in range(700)]
    largest = max(abs(b - a).max() for a, b in pairwise(steps))
    assert largest < 0.02 * max(abs(style.stats.values).max() for style in presets)


def test_a_switch_is_a_cue_that_is_added_now(presets: list[Style]) -> None:
    one, two, three = presets
    timeline = Timeline.of(one).switched(two, 5, crossfade=2)

    assert timeline.name == two.name
    assert timeline.stats_at(4) is one.stats
    assert np.allclose(timeline.stats_at(6).values, mix([one.stats, two.stats], [1, 1]).values)
    # In the middle of a crossfade it goes on from what shows.
    again = timeline.switched(three, 6, crossfade=2)
    assert np.allclose(again.stats_at(6).values, timeline.stats_at(6).values)
    assert again.stats_at(8) is three.stats
    # What no longer shows is forgotten.
    assert again.switched(one, 20, crossfade=2).styles == (three, one)
    assert again.switched(one, 20).cues == (Cue(20, one),)


def test_a_key_that_is_held_down_in_a_long_crossfade_adds_thousands_of_cues(presets: list[Style]) -> None:
    timeline = Timeline.of(presets[0])
    for n in range(1, 3000):
        timeline = timeline.switched(presets[n % 3], n / 100, crossfade=60)
    assert len(timeline.cues) == 3000
    assert np.isfinite(timeline.stats_at(30).values).all()
    assert timeline.stats_at(100) is presets[2999 % 3].stats


def test_a_mix_can_be_in_it(library: StyleLibrary, presets: list[Style]) -> None:
    one, two, three = presets
    timeline = read(library, f"{one.name}:0.5,{two.name}:1.5@0,{three.name}@2,{two.name}:1,{three.name}@3")

    assert np.allclose(timeline.stats_at(0).values, mix([one.stats, two.stats], [0.25, 0.75]).values)
    assert timeline.stats_at(2) is three.stats
    assert np.allclose(timeline.stats_at(3).values, mix([two.stats, three.stats], [1, 1]).values)


def test_images_can_be_in_it_even_with_an_at_in_their_name(
    library: StyleLibrary, presets: list[Style], image_path: Path
) -> None:
    odd = image_path.with_name("photo@2.png")
    odd.write_bytes(image_path.read_bytes())

    assert read_styles(library, str(odd))[0].name == "photo@2"
    mixed = f"{odd}:0.5,{presets[0].name}:0.5"
    assert [style.name for style in read_styles(library, mixed)] == [mixed]
    timeline = read(library, f"{odd}@0,{presets[0].name}@3")
    assert [style.name for style in timeline.styles] == ["photo@2", presets[0].name]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{0}@1,{1}@2", "begin at @0"),
        ("{0}@0,{1}@2,{2}@2", "out of order"),
        ("{0}@0,{1}", "^'{1}' in '{0}@0,{1}' has no time"),
        ("{0}@0,", "has no time"),
        ("{0}@0,no-such-style@2", "there is no style 'no-such-style'"),
        ("{0}@0,{1}@1:2:3:4", "is not a time"),
        ("{0}@soon", "'soon' is not a time"),
        ("{0}@0,{1}@soon", "'soon' is not a time"),
        ("{0}:0.5,{1}:0.5@later", "'later' is not a time"),
        ("{0}:0.5@0", "^'{0}:0.5' has a weight and nothing to be mixed with"),
        ("{0}@0,{1}:0.5@3", "has a weight and nothing to be mixed with"),
        ("{0}@0,{1}:0.5", "has no time"),
    ],
)
def test_what_cannot_be_read_is_refused(library: StyleLibrary, presets: list[Style], text: str, words: str) -> None:
    names = [style.name for style in presets]
    with pytest.raises(StyleError, match=words.format(*names)):
        read_styles(library, text.format(*names))


def test_a_folder_is_no_single_style(library: StyleLibrary, image_path: Path) -> None:
    image_path.with_name("other.png").write_bytes(image_path.read_bytes())

    with pytest.raises(StyleError, match="is a folder"):
        read_styles(library, f"{image_path.parent}@0")


@pytest.mark.parametrize("crossfade", [-1, float("inf"), float("nan")])
def test_a_crossfade_out_of_range_is_refused(library: StyleLibrary, crossfade: float) -> None:
    with pytest.raises(LivestyleError, match="a crossfade takes 0 seconds or more"):
        read_styles(library, "dusk", crossfade)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("12.5", Fraction(25, 2)),
        (".25", Fraction(1, 4)),
        ("1:02.5", Fraction(125, 2)),
        ("1:02:03.001", 3723 + Fraction(1, 1000)),
        ("90:00", 5400),
    ],
)
def test_times_are_read_exactly(text: str, seconds: Fraction) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1:2:3:4", "1:", ":5", "1.2:3", "1e3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(LivestyleError, match="is not a time"):
        parse_time(text)


def test_other_styles_at_the_same_times_are_as_many(library: StyleLibrary, presets: list[Style]) -> None:
    timeline = read(library, f"{presets[0].name}@0,{presets[1].name}@5", crossfade=2)
    changed = timeline.with_styles(presets[1:])
    assert [(cue.start, cue.style, cue.crossfade) for cue in changed.cues] == [(0, presets[1], 2), (5, presets[2], 2)]
    for wrong in (presets, presets[:1]):
        with pytest.raises(ValueError, match=r"zip\(\)"):
            timeline.with_styles(wrong)
