"""Command lines of training and export: the exit code and the one sentence on stderr that an error ends them with."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

import typer

from livestyle.errors import LivestyleError

T = TypeVar("T")


def with_progress(items: Iterable[T], text: str, total: int | None = None) -> Iterable[T]:
    """Items, with a bar and the time left on stderr while they are gone through, where that is a terminal.

    Args:
        items: that are worked on, one after the other.
        text: what is done with them.
        total: their number, where they have no length.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, text, total=total, console=console, transient=True, disable=not console.is_terminal)


def run_program(app: typer.Typer, argv: Sequence[str] | None) -> int:
    """Exit code of a command line, which it runs.

    Args:
        app: its commands.
        argv: the arguments after ``python -m NAME``; None takes those of this process.

    Returns:
        1 after a `LivestyleError` or a missing package, which are reported in one sentence on stderr; 130 after Ctrl+C.
    """
    try:
        app(argv)
    except LivestyleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f'error: {error.name} is not installed: pip install -e ".[train]" brings it', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        # How Typer ends, always with a number.
        return end.code if isinstance(end.code, int) else 0
    return 0
