"""Threads around a loop: what it needs is read ahead, what it makes is written behind, each stage's time is kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from time import perf_counter
from typing import Generic, TypeVar

READ_AHEAD = 4
"""Items that are read before they are needed."""
WRITE_BEHIND = 4
"""Items that wait to be written."""

_PATIENCE = 0.1
T = TypeVar("T")


@dataclass
class Stopwatch:
    """How long one stage was at work.

    Attributes:
        seconds: of all `running` together; waiting for others is no part of it.
    """

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds += perf_counter() - started


@dataclass(frozen=True)
class StageLoad:
    """Utilisation of the stages of a job: the share of its time that each was at work; they overlap.

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
        """The bottleneck."""
        shares = vars(self)
        return max(shares, key=lambda name: shares[name])

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in vars(self).items())
        return f"{self.slowest} is the slowest part: {shares}"


def read_ahead(items: Iterable[T], clock: Stopwatch) -> Generator[T]:
    """The items, taken by a thread that is up to `READ_AHEAD` of them ahead; what it raises is raised here.

    Args:
        items: are taken on that thread; it has ended when the generator is closed.
        clock: counts the time that they take.
    """
    queue: Queue[tuple[T | None, BaseException | None]] = Queue(READ_AHEAD)
    stopped = Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(Full):
                queue.put((item, error), timeout=_PATIENCE)
                return

    def fill() -> None:
        try:
            iterator = iter(items)
            while not stopped.is_set():
                with clock.running():
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


class WriteBehind(Generic[T]):
    """Hands items to a function on a thread of its own, in their order, with up to `WRITE_BEHIND` of them waiting.

    A context manager: at its end everything has been written, or, where the body raised, what waits is dropped. What
    the function raises is raised by the next `put`, or at the end.

    Args:
        write: the function.
        clock: counts the time that it takes.
    """

    def __init__(self, write: Callable[[T], object], clock: Stopwatch) -> None:
        self._write = write
        self._clock = clock
        self._queue: Queue[T | None] = Queue(WRITE_BEHIND)
        self._dropped = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="write behind", daemon=True)

    def put(self, item: T) -> None:
        """Let an item be written; waits where too many are waiting already."""
        self._enqueue(item)
        if self._error is not None:
            raise self._error

    def _enqueue(self, item: T | None) -> None:
        while self._thread.is_alive():
            with suppress(Full):
                self._queue.put(item, timeout=_PATIENCE)
                return

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None and not self._dropped.is_set():
                with self._clock.running():
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
            # Ctrl-C while the last items are written: nobody may touch their target before this thread lets go of it.
            self._dropped.set()
            self._finish()
            raise
        if kind is None and self._error is not None:
            raise self._error

    def _finish(self) -> None:
        self._enqueue(None)
        self._thread.join()
