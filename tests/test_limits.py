"""Absurd values: one sentence, at once, whichever way they come in."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle import Look, Style, Stylizer, VideoOptions
from livestyle.errors import InputError, LivestyleError
from livestyle.jobs.frame_rate import parse_rate
from livestyle.limits import LONGEST_TEXT, exact, shown
from livestyle.live.settings import load_settings
from livestyle.media.resize import parse_size
from livestyle.media.video.stdio import parse_raw
from livestyle.styles.library import StyleLibrary
from livestyle.styles.timeline import parse_time, read_styles
from tests.program import IDENTITY, livestyle

HUGE = "9" * 5000


@pytest.mark.parametrize(
    "text",
    ["9" * 400, "1e99999", "1e-99999", "1/" + "9" * 400, HUGE, "1" * 400 + "/3", "nan", "inf", "-1", "0", "1/0",
     "1e99", "1001", "1_0", "", " ", "0x10", "\u0661/\u0660"],
)  # fmt: skip
def test_an_absurd_rate_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="frame rate") as raised:
        parse_rate(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "value",
    [10**400, Fraction(10**400, 3), Fraction(1, 10**400), float("nan"), np.inf, Decimal("1e99999"), Decimal("nan"),
     "1e99999", True, [1], b"1", 1j, ""],
)  # fmt: skip
@pytest.mark.parametrize("name", ["fps", "start", "end"])
def test_an_absurd_number_of_a_program_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError) as raised:
        VideoOptions(**{name: value})
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("value", "expected"),
    [(25, Fraction(25)), (29.97, Fraction(2997, 100)), ("30000/1001", Fraction(30000, 1001)), (np.float32(12.5), 12.5),
     (np.int64(3), 3), (Decimal("23.976"), Fraction(23976, 1000)), (1e-7, Fraction(1, 10**7)), ("2.5e1", 25)],
)  # fmt: skip
def test_numbers_are_exact(value: Any, expected: Any) -> None:
    assert exact(value) == expected


@pytest.mark.parametrize(
    "text", [HUGE, "9" * 400, f"{HUGE}:00", "1:" + "9" * 90, "10000001", ".", "1e3", "-1", "1:2:3:4"]
)
def test_an_absurd_time_is_refused(text: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_time(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("text", ["99999x99999", "65536x64", HUGE, "63x64", "64x", "-64x64", "1e3x64"])
def test_an_absurd_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="size") as raised:
        parse_size(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "text", ["99999x99999@25", "64x64@" + "9" * 400, "64x64@1/" + "9" * 400, "64x64@1e9", "64x64@5000"]
)
def test_absurd_raw_frames_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="raw frames") as raised:
        parse_raw(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "text",
    ["dusk," * 100_000, "x" * (LONGEST_TEXT + 1), "x" * LONGEST_TEXT, "dusk@0," * 10**4, f"dusk@{HUGE}",
     "dusk:1e999,moss", "dusk:nan,moss:1", f"dusk@0,moss@{'9' * 400}"],
)  # fmt: skip
def test_absurd_styles_are_refused(identity_library: StyleLibrary, text: str) -> None:
    with pytest.raises(LivestyleError) as raised:
        read_styles(identity_library, text)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("name", ["strength", "stroke_size", "sharpness"])
@pytest.mark.parametrize("value", ["1", None, float("nan"), float("inf"), 10**400, -1, True, [0.5], 1j])
def test_a_look_of_absurd_numbers_is_refused(dusk: Style, name: str, value: Any) -> None:
    with pytest.raises(InputError) as raised:
        Look(dusk, **{name: value})
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("name", ["mirror", "side_by_side", "stabilise"])
@pytest.mark.parametrize("value", ["yes", None, 1, 0.0, []])
def test_a_look_of_absurd_switches_is_refused(dusk: Style, name: str, value: Any) -> None:
    with pytest.raises(InputError, match="is true or false, not"):
        Look(dusk, **{name: value})


def test_numbers_of_numpy_are_numbers(dusk: Style) -> None:
    look = Look(dusk, strength=np.float32(0.5), mirror=np.bool_(True))  # type: ignore[arg-type]
    assert look.strength == 0.5


@pytest.mark.parametrize("threads", [10**6, 0, -1, 2.5, "4", True])
def test_an_absurd_number_of_threads_is_refused(threads: Any) -> None:
    with pytest.raises(InputError, match="the number of threads is between 1 and 1024, not"):
        Stylizer(IDENTITY, "cpu", threads)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 50_000, "cycle = 1e999", f"fps = {HUGE}", f"fps = {'9' * 400}", "crossfade = nan",
     "strength = inf", "style = '" + "x" * 20_000 + "'", 'size = "99999x99999"', "fps = 1e6", "\x00", "a = " + "{" * 9],
)  # fmt: skip
def test_absurd_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    monkeypatch.setenv("LIVESTYLE_SETTINGS", str(path))
    with pytest.raises(InputError, match=r"settings\.toml") as raised:
        load_settings()
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("video", ("--fps", "1e99999")),
        ("video", ("--fps", "9" * 400)),
        ("video", ("--start", "9" * 400)),
        ("video", ("--style", f"dusk@0,moss@{'9' * 400}")),
        ("video", ("--jobs", "1000000")),
        ("video", ("--video-track", "-1")),
        ("video", ("--crossfade", "1e300")),
        ("video", ("--crf", "1000000000000000000000000")),
        ("video", ("--size", "99999x99999")),
        ("image", ("--size", "99999x99999")),
        ("image", ("--strength", "nan")),
        ("image", ("--style", "x" * 200)),
        ("image", ("--model", "x" * 5000)),
        ("image", ("--device", "x" * 500)),
        ("webcam", ("--camera", "9" * 400)),
        ("webcam", ("--camera", HUGE)),
        ("webcam", ("--fps", "1e300")),
        ("webcam", ("--cycle", "inf")),
        ("webcam", ("--serve", HUGE)),
        ("bench", ("--threads", "1000000")),
        ("bench", ("--seconds", "nan")),
    ],
)
def test_an_absurd_option_is_one_sentence(
    tmp_path: Path, image_path: Path, verb: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "a.mp4").touch()
    ends = {"video": ("a.mp4", "-o", "o.mp4"), "image": (image_path, "-o", "o.png"), "webcam": ("--no-window",)}
    model = () if "--model" in options else ("--model", IDENTITY)
    result = livestyle(verb, *ends.get(verb, ()), *model, *options, cwd=tmp_path)
    assert result.returncode == 1
    # Styles are looked up in a model, whose device is said first.
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert result.stderr.count("\n") == 1 + result.stderr.startswith("CPU")
    assert "Traceback" not in result.stderr


def test_a_wrong_value_is_cut_off() -> None:
    assert len(shown("x" * 10**6)) < 110
    with pytest.raises(InputError, match="fps is a number, not a int of too many digits"):
        VideoOptions(fps=10**5000)  # type: ignore[arg-type]
    assert shown(10**5000) == "a int of too many digits"
    assert shown(Fraction(1, 3)) == "1/3"
