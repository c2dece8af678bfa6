"""Pipelining: reader and writer threads with bounded queues, and the utilisation of each stage."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from time import perf_counter
from typing import Generic, TypeVar

from livestyle.errors import stage

READ_AHEAD = 3
"""Capacity of the reader's queue, in items."""
WRITE_BEHIND = 3
"""Capacity of the writer's queue, in items."""

_POLL_SECONDS = 0.1
"""Interval at which a thread that waits for room in a queue looks whether the other side has ended."""

T = TypeVar("T")


@dataclass
class Stopwatch:
    """Busy time of a stage.

    Attributes:
        seconds: total time inside `running`; waiting on queues is not included.
    """

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Context manager around the stage's work on one item."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds += perf_counter() - started


@dataclass(frozen=True)
class StageLoad:
    """Utilisation of the stages of a job: busy time as a share of the job's duration; the stages overlap.

    Attributes:
        decoding: 0..1.
        painting: 0..1.
        encoding: 0..1.
    """

    decoding: float
    painting: float
    encoding: float

    @property
    def slowest(self) -> str:
        """Name of the bottleneck, the stage with the highest utilisation."""
        shares = vars(self)
        return max(shares, key=lambda name: shares[name])

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in vars(self).items())
        return f"{self.slowest} is the slowest part: {shares}"


def read_ahead(items: Iterable[T], clock: Stopwatch) -> Generator[T]:
    """Prefetching generator: a thread iterates up to `READ_AHEAD` items ahead; its exceptions are raised here.

    Args:
        items: iterated on the thread, which has ended when the generator is closed.
        clock: measures the time that iterating takes.
    """
    queue: Queue[tuple[T | None, BaseException | None]] = Queue(READ_AHEAD)
    stopped = Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(Full):
                queue.put((item, error), timeout=_POLL_SECONDS)
                return

    def fill() -> None:
        try:
            iterator = iter(items)
            while not stopped.is_set():
                with clock.running(), stage("decoding"):
                    item = next(iterator, None)
                put(item, None)
                if item is None:
                    return
        except BaseException as error:
            put(None, error)

    thread = Thread(target=fill, name="read ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error:
                raise error
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def batches(items: Iterable[T], size: int, length: int) -> Iterator[list[T]]:
    """Items in lists of ``size``; every ``length`` items a list ends, and another begins."""
    batch: list[T] = []
    for number, item in enumerate(items, 1):
        batch.append(item)
        if len(batch) == size or number % length == 0:
            yield batch
            batch = []
    if batch:
        yield batch


class WriteBehind(Generic[T]):
    """Asynchronous writer: a thread calls a function with each item, in order, from a bounded queue (`WRITE_BEHIND`).

    A context manager: at its end all items have been written, or, where the body raised, queued items are dropped. An
    exception of the function is raised by the next `put`, or at the end.

    Args:
        write: function to call.
        clock: measures the time that it takes.
    """

    def __init__(self, write: Callable[[T], object], clock: Stopwatch) -> None:
        self._write = write
        self._clock = clock
        self._queue: Queue[T | None] = Queue(WRITE_BEHIND)
        self._dropped = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="write behind", daemon=True)

    def put(self, item: T) -> None:
        """Queue an item; blocks while the queue is full (backpressure)."""
        self._enqueue(item)
        if self._error is not None:
            raise self._error

    def _enqueue(self, item: T | None) -> None:
        while self._thread.is_alive():
            with suppress(Full):
                self._queue.put(item, timeout=_POLL_SECONDS)
                return

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None and not self._dropped.is_set():
                with self._clock.running(), stage("writing"):
                    self._write(item)
        except BaseException as error:
            self._error = error

    def __enter__(self) -> WriteBehind[T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                self._dropped.set()
            self._finish()
        except BaseException:
            # Ctrl-C while the queue drains: the caller must not touch the target before the thread has released it.
            self._dropped.set()
            self._finish()
            raise
        if kind is None and self._error is not None:
            raise self._error

    def _finish(self) -> None:
        self._enqueue(None)
        self._thread.join()
