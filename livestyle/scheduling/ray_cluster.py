"""Workers of a Ray cluster, see https://docs.ray.io: on this machine, or on many."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Generator, Iterable
from itertools import islice
from threading import Event
from typing import Any

from livestyle.errors import LivestyleError, first_line

from .scheduler import TRIES, Place, Progress, Scheduler, Work, WorkerError

THREADS = 4
"""CPUs of a worker, unless a node has fewer: more of them paint a single frame hardly faster."""
_POLL_SECONDS = 0.5
_BOARD_SECONDS = 2.0

log = logging.getLogger(__name__)


class RayCluster(Scheduler):
    """Scheduler on a Ray cluster; each task takes some CPUs of a node, and a GPU where the device is one.

    Args:
        address: ``auto`` (the cluster that this machine belongs to), ``local`` (one that is begun here and ended
            again), or ``ray://HOST:PORT``.
        device: as `livestyle.Stylizer` takes it.
        threads: CPUs of each worker; None is `THREADS`, or those of the smallest node where it has fewer.

    Raises:
        WorkerError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str, device: str = "auto", threads: int | None = None) -> None:
        check_address(address)
        # Nothing is sent to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise WorkerError('Ray is not installed: pip install "livestyle[ray]"') from error
        self._ray: Any = ray
        self._device = device
        begun: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address, **begun, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, OSError, ValueError) as error:
            raise WorkerError(
                f"there is no Ray cluster at {address} ({first_line(error)}): begin one with ray start --head, "
                "or take local",
                setting="ray",
            ) from error
        cpus = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
        self.threads = threads or max(1, min([THREADS, *filter(None, cpus)]))
        self._gpus = 1 if device.startswith(("cuda", "tensorrt")) else 0

    @property
    def workers(self) -> int:
        """Number of tasks that the cluster has room for; nodes may come and go."""
        room = [
            min(
                int(node["Resources"].get("CPU", 0)) // self.threads,
                int(node["Resources"].get("GPU", 0)) if self._gpus else 1 << 30,
            )
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        return sum(room)

    def run(
        self,
        work: Work,
        shared: Any,
        tasks: Iterable[tuple[Any, Any]],
        progress: Progress,
        cancelled: Event,
    ) -> Generator[tuple[Any, Any]]:
        ray = self._ray
        board = ray.remote(num_cpus=0)(_Board).remote()
        # Ray gives a task whose worker or node dies to another one; errors of ours are the same everywhere.
        execute = ray.remote(_execute).options(
            num_cpus=self.threads, num_gpus=self._gpus, max_retries=TRIES - 1, retry_exceptions=False
        )
        everywhere = ray.put(shared)
        coming = iter(tasks)
        running: dict[Any, Any] = {}
        try:
            while True:
                room = self.workers
                if not room:
                    raise WorkerError(f"no node of the Ray cluster has {self._needs} free: add one, or take local")
                for key, task in islice(coming, max(0, room + 1 - len(running))):
                    running[execute.remote(work, everywhere, key, task, board, self.threads, self._device)] = key
                if not running:
                    return
                done, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
                board = self._show(board, progress)
                if cancelled.is_set():
                    raise KeyboardInterrupt
                for reference in done:
                    key = running.pop(reference)
                    yield key, self._result(reference)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
            if board is not None:
                ray.kill(board)

    def _show(self, board: Any, progress: Progress) -> Any:
        """Pass on what the workers have reported; the board, or None once it is gone: the work goes on without it."""
        if board is None:
            return None
        try:
            for report in self._ray.get(board.take.remote(), timeout=_BOARD_SECONDS):
                progress(*report)
        except self._ray.exceptions.GetTimeoutError:
            log.debug("the board does not answer yet")
        except self._ray.exceptions.RayError as error:
            log.debug("the board is gone: %s", first_line(error))
            return None
        return board

    def _result(self, reference: Any) -> Any:
        ray = self._ray
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, LivestyleError):
                raise error.cause from error
            if isinstance(error.cause, ModuleNotFoundError):
                raise WorkerError(
                    f"a worker lacks {error.cause.name}: install the same livestyle on every node of the Ray cluster"
                ) from error
            raise WorkerError(f"a worker failed: {first_line(error.cause)}") from error
        except ray.exceptions.RayError as error:
            raise WorkerError(
                f"a worker of the Ray cluster died {TRIES} times over one piece ({first_line(error)}): "
                "it may need more memory than its node has"
            ) from error

    @property
    def _needs(self) -> str:
        return f"{self.threads} CPU{'s' if self.threads > 1 else ''}{' and a GPU' if self._gpus else ''}"

    def close(self) -> None:
        self._ray.shutdown()


class _Board:
    """Actor to which the workers report, and where the driver looks now and then."""

    def __init__(self) -> None:
        self._reports: dict[Any, tuple[str, Any, int]] = {}

    def put(self, name: str, key: Any, count: int) -> None:
        self._reports[key] = name, key, count

    def take(self) -> list[tuple[str, Any, int]]:
        taken, self._reports = list(self._reports.values()), {}
        return taken


def _execute(work: Work, shared: Any, key: Any, task: Any, board: Any, threads: int, device: str) -> Any:
    name = f"{platform.node()} {os.getpid()}"

    def report(count: int) -> None:
        if board is not None:
            board.put.remote(name, key, count)

    return work(shared, task, Place(name, threads, device, report))


def check_address(address: str) -> None:
    """Raise a `WorkerError` for what is no address of a Ray cluster."""
    if address not in ("auto", "local") and not address.startswith("ray://"):
        raise WorkerError(f"a Ray cluster is auto, local or ray://HOST:PORT, not {address!r}", setting="ray")
