"""Schedulers that stand in for a cluster: the work is done here, in the order of the tasks, or backwards."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable
from threading import Event
from typing import Any

from livestyle.scheduling.scheduler import Place, Progress, Scheduler, Work


class Here(Scheduler):
    """Runs the tasks in this process, pickled as for another one.

    Args:
        workers: that it says it has.
        backwards: give the last result first.
        fails_at: key of the task at which the cluster is lost.
        device: of the workers.
    """

    def __init__(
        self, workers: int = 2, *, backwards: bool = False, fails_at: object = None, device: str = "cpu"
    ) -> None:
        self._workers = workers
        self._backwards = backwards
        self._fails_at = fails_at
        self._device = device
        self.keys: list[Any] = []
        """Of the tasks that were done."""

    @property
    def workers(self) -> int:
        return self._workers

    def run(
        self, work: Work, shared: Any, tasks: Iterable[tuple[Any, Any]], progress: Progress, cancelled: Event
    ) -> Generator[tuple[Any, Any]]:
        for key, task in list(tasks)[:: -1 if self._backwards else 1]:
            if key == self._fails_at:
                raise KeyboardInterrupt
            place = Place("here", 1, self._device, lambda count, key=key: progress("here", key, count))  # type: ignore[misc]
            shared, task = pickle.loads(pickle.dumps((shared, task)))
            self.keys.append(key)
            yield key, pickle.loads(pickle.dumps(work(shared, task, place)))

    def close(self) -> None:
        pass
