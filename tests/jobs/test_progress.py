"""How far a job is."""

import pytest
from rich.progress import Progress

from livestyle.jobs.progress import Display, shown_display


def test_a_film_that_is_longer_than_its_header_says_is_no_more_than_done() -> None:
    bars = Progress(disable=True)
    with Display(bars).bar("film.mp4", 12, "frames") as advance:
        for _ in range(13):
            advance()
    assert (bars.tasks[0].completed, bars.tasks[0].total) == (13, 13)


@pytest.mark.parametrize("terminal", ["1", "0"])
def test_only_a_terminal_is_shown_a_bar(
    terminal: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    with shown_display(True) as display, display.bar("film.mp4", 1, "frames") as advance:
        advance()
    shown = capsys.readouterr().err
    assert ("1/1" in shown) is (terminal == "1")
    # It is done.
    assert "left" not in shown.rpartition("1/1")[2]
