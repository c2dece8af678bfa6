"""Command lines of training and export: the exit code and the one sentence on stderr that an error ends them with."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from livestyle.errors import LivestyleError


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
