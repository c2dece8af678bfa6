"""How far a job is."""

from rich.progress import Progress

from livestyle.jobs.progress import Display


def test_a_film_that_is_longer_than_its_header_says_is_no_more_than_done() -> None:
    bars = Progress(disable=True)
    with Display(bars).bar("film.mp4", 12, "frames") as advance:
        for _ in range(13):
            advance()
    assert (bars.tasks[0].completed, bars.tasks[0].total) == (13, 13)
