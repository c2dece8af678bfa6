"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from livestyle.errors import InputError
from livestyle.scheduling.processes import Processes
from livestyle.scheduling.scheduler import Place, WorkerError
from tests.batches import H264, lavfi
from tests.ffmpeg import Make, packets
from tests.program import IDENTITY, livestyle

PATIENCE = 60.0
"""Seconds until workers count as never meeting."""


def multiply(shared: int, task: int, place: Place) -> int:
    place.report(task)
    return shared * task


def meet(shared: str, _task: int, place: Place) -> str:
    """Device of a worker that waits for another one, so that neither does both tasks."""
    folder, end = Path(shared), time.monotonic() + PATIENCE
    (folder / place.device).touch()
    while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    return place.device


def fail(_shared: Any, _task: Any, _place: Place) -> None:
    raise InputError("no such film", setting="source")


def die_once(shared: str, task: int, _place: Place) -> int:
    """The first worker that gets task 1 dies of it."""
    mark = Path(shared)
    if task == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def die(_shared: Any, _task: Any, _place: Place) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(_shared: Any, task: float, _place: Place) -> float:
    time.sleep(task)
    return task


def run(processes: Processes, work: Any, shared: Any, tasks: list[Any], cancelled: Event | None = None) -> list[Any]:
    found = processes.run(work, shared, list(enumerate(tasks)), lambda *_: None, cancelled or Event())
    return sorted(found)


def test_each_worker_has_a_device_of_its_own(tmp_path: Path) -> None:
    with Processes(2, 1, ("cpu", "cpu-float32")) as processes:
        found = run(processes, meet, str(tmp_path), [0, 1])
    assert {device for _, device in found} == {"cpu", "cpu-float32"}


def test_every_task_is_done_once_and_reports() -> None:
    reports: list[Any] = []
    tasks = [(str(n), n) for n in range(8)]
    with Processes(2, 1) as processes:
        found = list(processes.run(multiply, 10, tasks, lambda *report: reports.append(report[1:]), Event()))
    assert sorted(found) == [(str(n), 10 * n) for n in range(8)]
    assert sorted(reports) == tasks


def test_an_error_of_the_work_is_passed_on_with_its_setting() -> None:
    with Processes(1, 1) as processes, pytest.raises(InputError, match="no such film") as caught:
        run(processes, fail, None, [1])
    assert caught.value.settings == ("source",)


def test_the_task_of_a_worker_that_died_is_done_by_another(tmp_path: Path) -> None:
    with Processes(2, 1) as processes:
        assert run(processes, die_once, str(tmp_path / "mark"), [0, 1, 2, 3]) == [(n, n) for n in range(4)]


def test_workers_that_die_between_two_results_are_replaced() -> None:
    with Processes(2, 1) as processes:
        results = processes.run(multiply, 10, list(enumerate(range(8))), lambda *_: None, Event())
        found = [next(results)]
        pool = processes._pool
        for process in list(pool._processes.values()):
            process.kill()
        deadline = time.monotonic() + 30
        while not pool._broken and time.monotonic() < deadline:
            time.sleep(0.01)
        found += results
    assert sorted(key for key, _ in found) == list(range(8))


def test_workers_that_always_die_end_the_run() -> None:
    with Processes(1, 1) as processes, pytest.raises(WorkerError, match="died 3 times"):
        run(processes, die, None, [1])


def test_a_run_that_is_cancelled_ends_before_its_tasks() -> None:
    cancelled = Event()
    cancelled.set()
    with Processes(1, 1) as processes, pytest.raises(KeyboardInterrupt):
        run(processes, sleep, None, [30.0], cancelled)


def test_a_film_is_painted_by_a_process_on_each_device(make: Make, tmp_path: Path) -> None:
    source = make("film.mp4", *lavfi(700, "100"), *H264, "-g", "50")
    done = livestyle("video", source, "-o", tmp_path / "out.mp4", "--model", IDENTITY, "--device", "cpu, cpu")
    assert done.returncode == 0, done.stderr
    assert "2 processes on cpu, cpu" in done.stderr
    assert len(packets(tmp_path / "out.mp4")) == 700
