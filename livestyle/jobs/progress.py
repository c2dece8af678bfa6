"""Progress bars of jobs on stderr: one display for all files of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from livestyle.text import escaped

if TYPE_CHECKING:
    from rich.progress import Progress


class Display:
    """Progress bars of a run, or none; made by `shown_display`.

    Args:
        bars: rich's renderer of them; None shows nothing.
    """

    def __init__(self, bars: Progress | None) -> None:
        self._bars = bars
        self._one_of_many = False

    @contextmanager
    def overall(self, count: int, unit: str) -> Iterator[Callable[[], None]]:
        """Bar of the whole run, shown for two files or more; yields a function that advances it by one.

        Args:
            count: number of files.
            unit: name of what is counted, in the plural.
        """
        if count < 2:
            yield lambda: None
            return
        with self.bar(f"{count} {unit}", count, unit) as advance:
            self._one_of_many = True
            yield advance

    @contextmanager
    def bar(self, text: str, total: float | None, unit: str) -> Iterator[Callable[[], None]]:
        """Bar of one file, removed at its end if there is an `overall` one; yields a function that advances it by one.

        Args:
            text: label before the bar.
            total: number of items; None where it is unknown.
            unit: name of what is counted, in the plural.
        """
        if self._bars is None:
            yield lambda: None
            return
        task = self._bars.add_task(escaped(text), total=total, unit=unit)
        bars, keep = self._bars, not self._one_of_many
        count = 0

        def advance() -> None:
            # The total is an estimate from the video's header: grow it rather than pass 100 %.
            nonlocal count
            count += 1
            bars.update(task, completed=count, total=None if total is None else max(total, count))

        try:
            yield advance
        finally:
            if not keep:
                bars.remove_task(task)

    def call(self, function: Callable[[Any], object], value: Any) -> None:
        """Call a function that may print, with the bars hidden meanwhile."""
        if self._bars is None:
            function(value)
            return
        self._bars.live.transient = True
        self._bars.stop()
        try:
            function(value)
        finally:
            self._bars.live.transient = False
            self._bars.start()


@contextmanager
def shown_display(shown: bool) -> Iterator[Display]:
    """Context manager of a `Display` on the screen, or of one that shows nothing, as in a file or a pipe."""
    from rich import progress
    from rich.console import Console
    from rich.table import Column
    from rich.text import Text

    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield Display(None)
        return

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed or 0
            return Text(f"{speed:.1f} {task.fields['unit']}/s")

    class Left(progress.TimeRemainingColumn):
        def render(self, task: progress.Task) -> Text:
            return Text() if task.finished else super().render(task).append(" left")

    columns = (
        progress.TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=24)),
        progress.BarColumn(bar_width=16),
        progress.MofNCompleteColumn(),
        Rate(table_column=Column(no_wrap=True)),
        Left(table_column=Column(no_wrap=True)),
    )
    # No redirection: results are printed to stdout, which may be a file or a pipe.
    with progress.Progress(*columns, console=console, redirect_stdout=False) as bars:
        yield Display(bars)
