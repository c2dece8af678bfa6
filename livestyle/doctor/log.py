"""Warnings of other modules, taken out of the log: the doctor says them in its own lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Gatherer(logging.Handler):
    """Handler that appends the text of each warning to a list."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(record.getMessage())


@contextmanager
def captured_warnings(name: str) -> Iterator[list[str]]:
    """Context manager that keeps what a module logs off the screen, and gives a list that it gathers in.

    Args:
        name: of the module's logger, which passes nothing on to its parents meanwhile.
    """
    found: list[str] = []
    logger = logging.getLogger(name)
    handler = _Gatherer(found)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
