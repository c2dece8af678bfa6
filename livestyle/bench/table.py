"""Bench reports as tables: one on the terminal or in Markdown, two as ratios."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from livestyle.errors import InputError
from livestyle.results import write_result
from livestyle.text import escaped

from .report import TITLES

if TYPE_CHECKING:
    from pathlib import Path

    from .report import Measurement, Report

WIDTH = 120
"""Columns of a table that does not go to a terminal."""


COLUMNS = ("candidate", "network", "size", "p10", "p50", "p90", "p99 ms", "fps", "MiB", "share")
"""Heads of a table; the first two are texts."""


def print_report(report: Report) -> None:
    """Print the measurements of a report, a table for each scope, and what they depend on."""
    console = _console()
    for scope, rows in _by_scope(report.measurements).items():
        table = _table(scope, *COLUMNS[:2])
        _add_numbers(table, *COLUMNS[2:])
        for each in rows:
            table.add_row(*map(escape, _cells(each)))
        console.print(table)
    print("\n".join(_notes(report)))


def write_markdown(report: Report, path: Path, *, replace: bool = True) -> Path:
    """Write the same in Markdown, and return where it is.

    Args:
        report: with one measurement or more.
        path: of the file.
        replace: as of `livestyle.results.write_result`.

    Raises:
        OutputError: it cannot be written.
    """
    lines: list[str] = []
    for scope, rows in _by_scope(report.measurements).items():
        lines += [f"**{TITLES.get(scope, scope)}**", "", _row(COLUMNS), _row(["---"] * 2 + ["---:"] * 8)]
        lines += [*(_row(_cells(each)) for each in rows), ""]
    lines += [f"* {note}" for note in _notes(report)]
    return write_result(path, ("\n".join(lines) + "\n").encode(), replace=replace)


def _cells(each: Measurement) -> list[str]:
    """Of one row, in the order of `COLUMNS`."""
    times = (each.p10, each.p50, each.p90, each.p99, each.frames_per_second)
    return [
        *map(escaped, (each.candidate, each.network, each.size)),
        *(f"{value:.1f}" for value in times),
        "" if each.peak_mib is None else f"{each.peak_mib:.0f}",
        "" if each.share is None else f"{each.share:.0%}",
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _notes(report: Report) -> list[str]:
    """What the figures mean and depend on, a line each."""
    notes = ["p10 to p99: percentiles of the time of a frame; fps: frames per second; MiB: peak memory"]
    if report.ceilings:
        rates = ", ".join(f"{rate:.0f} GMAC/s in {precision}" for precision, rate in report.ceilings.items())
        notes.append(f"share: of the machine's ceiling in one large matrix product: {rates}")
    notes += [report.machine.text, report.text]
    if report.machine.is_busy:
        notes.append(f"the machine was busy before the run (load {report.machine.load}): compare within this run only")
    return [escaped(note) for note in notes]


def print_comparison(first: Report, second: Report, names: tuple[str, str]) -> None:
    """Print the measurements that two reports share, and how many times as fast the second one is.

    Args:
        first: what is compared with.
        second: what is compared.
        names: what they are called, the names of their files.

    Raises:
        InputError: the reports are of different machines or settings, or share no measurement.
    """
    check_comparable(first, second, names)
    console = _console()
    before = {each.key: each for each in first.measurements}
    for scope, rows in _by_scope([each for each in second.measurements if each.key in before]).items():
        table = _table(scope, "candidate", "network")
        _add_numbers(table, "size", "ms A", "ms B", "A/B", "fps B/A", "MiB A", "MiB B")
        for each in rows:
            table.add_row(*_compared(before[each.key], each))
        console.print(table)
    for letter, name, report in zip("AB", names, (first, second), strict=True):
        print(escaped(f"{letter}: {name}, {report.text}, load {report.machine.load}"))
    for precision, ceiling in first.ceilings.items():
        if precision in second.ceilings:
            print(f"the machine's ceiling in {precision}, B/A: {second.ceilings[precision] / ceiling:.2f}")


def check_comparable(first: Report, second: Report, names: tuple[str, str]) -> None:
    """Raise an `InputError` for reports whose ratios would say nothing about livestyle."""
    both = f"{names[0]} and {names[1]}"
    one, other = first.machine, second.machine
    if one.text != other.text:
        raise InputError(
            f"{both} cannot be compared, since they are of different machines: {one.text}; and {other.text}"
        )
    for name, value in vars(first.settings).items():
        if getattr(second.settings, name) != value:
            raise InputError(
                f"{both} cannot be compared, since their settings differ: "
                f"{name.replace('_', '-')} {value:g} and {getattr(second.settings, name):g}"
            )
    if not {each.key for each in first.measurements} & {each.key for each in second.measurements}:
        raise InputError(f"{both} cannot be compared, since they have no candidate in one scope and size in common")


def _compared(first: Measurement, second: Measurement) -> list[str]:
    networks = dict.fromkeys((first.network, second.network))
    row = [_plain(second.candidate), _plain(" / ".join(networks)), _plain(second.size)]
    row += [f"{first.p50:.1f}", f"{second.p50:.1f}", f"{first.p50 / second.p50:.2f}"]
    row.append(f"{second.frames_per_second / first.frames_per_second:.2f}")
    if first.peak_mib is None or second.peak_mib is None:
        return [*row, "", ""]
    return [*row, f"{first.peak_mib:.0f}", f"{second.peak_mib:.0f}"]


def _by_scope(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """In the order of the first of each scope."""
    scopes: dict[str, list[Measurement]] = {}
    for each in measurements:
        scopes.setdefault(each.scope, []).append(each)
    return scopes


def _table(scope: str, *names: str) -> Table:
    table = Table(title=TITLES.get(scope, scope), title_justify="left", box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold", min_width=8)
    return table


def _add_numbers(table: Table, *names: str) -> None:
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)


def _plain(text: object) -> str:
    """Text of a report for a cell, whose markup and control characters are of a stranger."""
    return escape(escaped(text))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
