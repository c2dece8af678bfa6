"""Workers that are processes of this machine, each on a device of its own where there are several."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from threading import Event
from typing import Any

from .scheduler import TRIES, Place, Progress, Scheduler, Work, WorkerError

_POLL_SECONDS = 0.2
_place: tuple[int, str] = (1, "auto")
_reports: Any = None


class Processes(Scheduler):
    """Scheduler whose workers are processes.

    Args:
        workers: how many.
        threads: of the CPU, for each of them.
        devices: as `livestyle.Stylizer` takes them; the workers take turns.
    """

    def __init__(self, workers: int, threads: int, devices: Sequence[str] = ("auto",)) -> None:
        self._workers = workers
        self._threads = threads
        self._devices = devices
        # Fork would copy the locks of onnxruntime's threads as they are.
        self._context = multiprocessing.get_context("spawn")
        self._reports: Any = self._context.SimpleQueue()
        self._pool = self._new_pool()

    @property
    def workers(self) -> int:
        return self._workers

    def _new_pool(self) -> ProcessPoolExecutor:
        devices: Any = self._context.SimpleQueue()
        for number in range(self._workers):
            devices.put(self._devices[number % len(self._devices)])
        return ProcessPoolExecutor(
            self._workers, self._context, initializer=_begin, initargs=(devices, self._threads, self._reports)
        )

    def run(
        self,
        work: Work,
        shared: Any,
        tasks: Iterable[tuple[Any, Any]],
        progress: Progress,
        cancelled: Event,
    ) -> Generator[tuple[Any, Any]]:
        coming = iter(tasks)
        running: dict[Future[Any], tuple[Any, Any]] = {}
        deaths = 0
        try:
            while True:
                # One more than there are workers, so that none waits for its next task.
                for key, task in islice(coming, self._workers + 1 - len(running)):
                    running[self._submit(work, shared, key, task)] = key, task
                if not running:
                    return
                # With a timeout, since Windows delivers Ctrl-C between two waits only.
                done, _ = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
                while not self._reports.empty():
                    progress(*self._reports.get())
                if cancelled.is_set():
                    raise KeyboardInterrupt
                for future in done:
                    key, _task = running[future]
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        break
                    del running[future]
                    deaths = 0
                    yield key, result
                else:
                    continue
                deaths += 1
                if deaths >= TRIES:
                    raise WorkerError(
                        f"a worker of this machine died {deaths} times: there may not be enough memory for "
                        f"{self._workers} of them",
                        setting="jobs",
                    )
                # A pool that has lost a process is lost as a whole.
                again = list(running.values())
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = self._new_pool()
                running = {self._submit(work, shared, key, task): (key, task) for key, task in again}
        finally:
            for future in running:
                future.cancel()

    def _submit(self, *task: Any) -> Future[Any]:
        try:
            return self._pool.submit(_execute, *task)
        except BrokenProcessPool as error:
            # A worker died while the caller had the last result: found with the results, as other deaths are.
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def close(self) -> None:
        for process in list((self._pool._processes or {}).values()):  # no public name until Python 3.14
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _begin(devices: Any, threads: int, reports: Any) -> None:
    global _place, _reports
    # Ctrl-C reaches all processes of a terminal; the one that started the others ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _place, _reports = (threads, devices.get()), reports


def _execute(work: Work, shared: Any, key: Any, task: Any) -> Any:
    threads, device = _place
    name = f"process {os.getpid()}"
    place = Place(name, threads, device, lambda count: _reports.put((name, key, count)))
    return work(shared, task, place)
