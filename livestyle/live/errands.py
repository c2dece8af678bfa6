"""Errands: tasks off the main thread that may take long, such as writing to a disk."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from livestyle.errors import LivestyleError, first_line

MOST_WAITING = 8
"""Each may hold an image."""

log = logging.getLogger(__name__)


class Errands:
    """Runs tasks one after the other on a thread, so that a slow disk delays no key; what they say is passed on.

    Args:
        say: takes a sentence for the person in front of the screen.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._worker = ThreadPoolExecutor(1, "errand")
        self._waiting: deque[tuple[str, Future[str]]] = deque()

    def begin(self, name: str, task: Callable[[], str]) -> None:
        """Run a task soon.

        Args:
            name: of what it does, such as ``snapshot``.
            task: gives the sentence to say.
        """
        if len(self._waiting) == MOST_WAITING:
            self._say(f"the {name} is left out: {MOST_WAITING} others wait for the disk")
        else:
            self._waiting.append((name, self._worker.submit(task)))

    def follow(self) -> None:
        """Say what came of the tasks that have ended."""
        while self._waiting and self._waiting[0][1].done():
            name, task = self._waiting.popleft()
            self._say(outcome(name, task))

    def close(self) -> None:
        """Wait for all tasks."""
        self._worker.shutdown()
        self.follow()


def outcome(name: str, task: Future[str]) -> str:
    """What a task that has ended says, or why it failed."""
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, LivestyleError):
        return str(error)
    # Whatever it is, it must not end the painting.
    log.debug("the %s failed", name, exc_info=error)
    return f"the {name} failed ({first_line(error)})"
