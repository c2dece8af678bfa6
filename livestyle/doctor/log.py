"""Warnings of other modules, taken out of the log: the doctor says them in its own lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_warnings(name: str) -> Iterator[list[str]]:
    """Context manager that keeps what a module logs off the screen, and gives a list that it gathers in.

    Args:
        name: of the module's logger, which passes nothing on to its parents meanwhile.
    """
    found: list[str] = []
    logger = logging.getLogger(name)
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
