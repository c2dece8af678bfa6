"""The job runner: several jobs at a time, each with a model of its own; one that fails does not end the others."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Protocol

from livestyle.engine.devices import default_threads
from livestyle.errors import InputError, LivestyleError, first_line, stage_of
from livestyle.limits import LIMITS, check
from livestyle.memory import is_memory_error

from .progress import Display, shown_display
from .report import Done, Failure, Outcome, Result, Skipped, style_name

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.render.look import Look

log = logging.getLogger(__name__)


class Job(Protocol):
    """One file to write, such as `VideoJob` or `ImageJob`."""

    @property
    def source(self) -> Path: ...

    @property
    def path(self) -> Path: ...

    @property
    def look(self) -> Look: ...

    def run(self, stylizer: Stylizer, display: Display, cancelled: Event, /) -> Result | Skipped: ...


def run_jobs(
    jobs: Sequence[Job],
    unit: str,
    several: bool,
    stylizer: Stylizer,
    workers: int = 1,
    progress: bool = False,
    done: Done | None = None,
    outcomes: Generator[Result | Failure] | None = None,
) -> list[Result]:
    """Results of jobs; where they have several sources, the failure of one does not keep the others from being done.

    Args:
        jobs: to run.
        unit: what their sources are, in the plural.
        several: whether there are several sources.
        stylizer: model and device; each worker beyond the first gets one of its own.
        workers: jobs that run at a time.
        progress: show progress bars on stderr.
        done: called with each result and failure.
        outcomes: of the jobs, where they are run elsewhere; None runs them here.

    Raises:
        LivestyleError: that of the only source; of several, an `InputError` after the others are done.
    """
    results: list[Result] = []
    failures: list[Failure] = []
    with (
        shown_display(progress) as display,
        display.overall(len(jobs), unit) as advance,
        closing(outcomes or _outcomes(jobs, stylizer, workers, display)) as coming,
    ):
        for outcome in coming:
            advance()
            if done is not None:
                display.call(done, outcome)
            if isinstance(outcome, Result):
                results.append(outcome)
            elif isinstance(outcome, Skipped):
                log.warning("%s is there already and stays as it is", outcome.path)
            elif several:
                failures.append(outcome)
            else:
                raise outcome.error
    if failures:
        # In several styles a source may fail in several ways, or for one reason several times.
        for text in dict.fromkeys(str(failure.error) for failure in failures):
            log.warning("%s", text)
        failed, sources = dict.fromkeys(failure.source for failure in failures), {job.source for job in jobs}
        names = ", ".join(map(str, failed))
        raise InputError(f"{len(failed)} of {len(sources)} {unit} failed, the rest is done: {names}")
    return results


def _outcomes(jobs: Sequence[Job], stylizer: Stylizer, workers: int, display: Display) -> Generator[Outcome]:
    """What becomes of each job, as soon as it is known."""
    cancelled = Event()

    def attempt(job: Job, stylizer: Stylizer) -> Outcome:
        try:
            return job.run(stylizer, display, cancelled)
        except LivestyleError as error:
            log.debug("%s could not be painted", job.source, exc_info=error)
            return Failure(job.source, job.path, style_name(job.look), error)
        except Exception as error:
            return Failure(job.source, job.path, style_name(job.look), _explained(job.source, error))

    workers = min(workers, len(jobs))
    if workers <= 1:
        for job in jobs:
            yield attempt(job, stylizer)
        return
    # Threads do: onnxruntime, the codecs and OpenCV all release the GIL while they work.
    idle: SimpleQueue[Stylizer] = SimpleQueue()
    for _ in range(workers):
        idle.put(type(stylizer)(stylizer.model.folder, stylizer.device.name, max(1, default_threads() // workers)))

    def attempt_with_idle(job: Job) -> Outcome:
        if cancelled.is_set():
            raise KeyboardInterrupt
        own = idle.get()
        try:
            return attempt(job, own)
        finally:
            idle.put(own)

    with ThreadPoolExecutor(workers, "job") as pool:
        pending = {pool.submit(attempt_with_idle, job) for job in jobs}
        try:
            while pending:
                # With a timeout, since Windows delivers Ctrl-C between two waits only.
                finished, pending = wait(pending, 0.2, FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            cancelled.set()


def _explained(source: Path, error: Exception) -> LivestyleError:
    """An unforeseen error of one job as an error of ours, with it as the cause."""
    log.debug("%s could not be painted", source, exc_info=error)
    if is_memory_error(error):
        text = f"there is not enough memory to paint {source}: take a smaller size, or fewer jobs at a time"
    else:
        where = f": {found} failed" if (found := stage_of(error)) else ""
        reason = f"{type(error).__name__}: {first_line(error)}"
        text = f"{source} could not be painted{where} ({reason}), which nobody foresaw: LIVESTYLE_DEBUG=1 shows where"
    explained = LivestyleError(text)
    explained.__cause__ = error
    return explained


def check_workers(workers: int) -> int:
    """The number of jobs that run at a time; raises an `InputError` for less than one."""
    check("jobs", workers, f"at least one job is done at a time, and {LIMITS['jobs'].high} are the most")
    return workers
