"""The interface of all schedulers: tasks in, results out, as workers become free, whatever the workers are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol, Self

from livestyle.errors import LivestyleError

TRIES = 3
"""How often a task is begun whose worker dies."""


class WorkerError(LivestyleError):
    """Workers cannot be reached, died again and again, or are not fit for the task."""


def _unheard(_count: int) -> None:
    pass


@dataclass(frozen=True)
class Place:
    """Where a task runs, and what it may use there.

    Attributes:
        name: of the worker, for people.
        threads: of the CPU.
        device: as `livestyle.Stylizer` takes it.
        report: takes the number of frames that are done so far.
    """

    name: str
    threads: int
    device: str
    report: Callable[[int], None] = field(default=_unheard, compare=False)


Work = Callable[[Any, Any, Place], Any]
"""Function of a module that a worker calls, with what all tasks share, a task, and where it runs; both are pickled."""
Progress = Callable[[str, Any, int], None]
"""Takes a worker's name, the key of its task and the number of frames that are done of it."""


class Scheduler(Protocol):
    """Runs tasks on workers; a context manager that ends them. A task whose worker dies is given to another."""

    @property
    def workers(self) -> int:
        """Number of tasks that run at a time, now."""

    def run(
        self,
        work: Work,
        shared: Any,
        tasks: Iterable[tuple[Any, Any]],
        progress: Progress,
        cancelled: Event,
    ) -> Generator[tuple[Any, Any]]:
        """Results, as soon as they are there.

        Args:
            work: what to do.
            shared: what it needs for all tasks.
            tasks: keys and tasks; the next one is taken when a worker is about to become free.
            progress: called now and then.
            cancelled: ends all of it.

        Yields:
            The key of each task and its result, in any order.

        Raises:
            LivestyleError: that of the work.
            WorkerError: the workers are gone, or died `TRIES` times over one task.
            KeyboardInterrupt: it was cancelled.
        """

    def close(self) -> None:
        """End the workers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
