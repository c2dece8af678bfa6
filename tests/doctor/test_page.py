"""The page as a whole: what it covers, its JSON, its exit code, and checks that fail by themselves."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import livestyle.doctor.packages
import livestyle.doctor.peripherals
from livestyle.doctor.finding import Finding, Section, State
from livestyle.doctor.page import print_page, summary
from livestyle.engine.devices import has_nvidia_driver
from livestyle.errors import InputError
from tests.program import IDENTITY
from tests.program import livestyle as run

from .conftest import examine

TABLE = Path(__file__).parents[2] / "docs" / "doctor.md"


@pytest.mark.usefixtures("hurried")
def test_the_page_answers_each_of_the_twelve_complaints_as_its_table_says() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    found = examine()
    for _, names in rows:
        lines = re.findall(r"`([^`]+)`", names)
        assert lines
        assert set(lines) <= found.keys()
    assert {finding["section"] for finding in found.values()} == set(Section)
    # What is not as it should be is mended by something that the page says.
    assert [name for name, f in found.items() if f["state"] in ("warning", "broken") and not f["mend"]] == []


def test_sections_are_examined_alone() -> None:
    assert {finding["section"] for finding in examine("storage", "install").values()} == {"install", "storage"}


def test_an_unknown_section_is_refused() -> None:
    assert run("doctor", "weather").returncode == 2


def test_people_read_lines_with_what_mends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    result = run("doctor", "screen", "--model", IDENTITY)
    assert result.returncode == 0
    assert "\n  !      display: no display found: a window needs a screen" in result.stdout
    assert "\n           -> livestyle webcam --no-window --serve 8080" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("all that livestyle needs works; ")


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ([State.OK, State.NOTE], "all that livestyle needs works"),
        ([State.WARNING], "all that livestyle needs works; 1 optional thing does not (!)"),
        ([State.WARNING, State.BROKEN, State.BROKEN], "2 things that livestyle needs are broken"),
    ],
)
def test_the_last_line_sums_up(states: list[State], text: str) -> None:
    assert summary([Finding(Section.GPU, "CPU", state, "") for state in states]) == text


def test_a_driver_that_says_several_lines_gets_one(capsys: pytest.CaptureFixture[str]) -> None:
    print_page([Finding(Section.GPU, "CPU", State.BROKEN, "one\ntwo\x1b[31m")])
    assert "CPU: one two [31m\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "text", "mend"),
    [
        (InputError("plug it in"), "plug it in", "do that, then livestyle doctor cameras"),
        (RuntimeError("a riddle\nof two lines"), "not checked to its end (RuntimeError: a riddle)", "report it"),
        (ImportError("libGL.so.1: cannot open"), "not checked (libGL.so.1: cannot open)", "livestyle doctor install"),
    ],
)
def test_a_check_that_fails_is_a_line_and_the_others_go_on(
    error: Exception, text: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(measure: bool) -> Any:
        raise error

    monkeypatch.setattr(livestyle.doctor.peripherals, "check_cameras", fail)
    found = examine("cameras", "storage")
    assert found["cameras"]["state"] == "warning"
    assert found["cameras"]["text"] == text
    assert mend in found["cameras"]["mend"]
    assert "settings" in found


def test_a_check_of_what_is_needed_that_fails_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livestyle.doctor.encoders", None)
    found = examine("video", "storage", code=1)
    assert found["video"]["mend"] == "mend what livestyle doctor install says"
    assert "settings" in found


@pytest.mark.skipif(has_nvidia_driver(), reason="CUDA may start here")
@pytest.mark.usefixtures("hurried")
def test_a_device_that_was_asked_for_is_needed() -> None:
    found = examine("model", "speed", "--device", "cuda", code=1)
    assert found["device"]["state"] == "broken"
    assert found["device"]["text"].startswith("cuda does not start (no NVIDIA driver found)")
    assert 'pip install "livestyle[cuda]"' in found["device"]["mend"]
    assert found["frame rate"]["text"].startswith("cannot be measured: cuda does not start")


def test_a_device_that_there_is_not_is_said() -> None:
    found = examine("model", "--device", "tpu", code=1)
    assert "auto, cpu, cpu-float32, cuda" in found["device"]["text"]


def test_json_is_one_object() -> None:
    page = json.loads(run("doctor", "install", "--json").stdout)
    assert page.keys() == {"format", "version", "system", "works", "findings"}
    assert page["findings"][0].keys() == {"section", "name", "state", "text", "mend", "figures"}
