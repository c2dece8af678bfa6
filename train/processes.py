"""A run on several processes: each takes its part of every batch, and the sum is what one process would compute."""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from livestyle.errors import LivestyleError

if TYPE_CHECKING:
    from lightning.fabric import Fabric

T = TypeVar("T")


def check_processes(devices: int, num_nodes: int, batch_size: int, device: torch.device) -> None:
    """Refuse what cannot be started or cannot be shared out.

    Args:
        devices: processes on this machine.
        num_nodes: machines.
        batch_size: of all processes together.
        device: that each process is to have one of, or the CPU, which they share.

    Raises:
        LivestyleError: there are too few GPUs, the batch cannot be shared out, or several machines, or processes that
            torchrun started, do not fit the options.
    """
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise LivestyleError(f"--devices {devices} is more than the {torch.cuda.device_count()} GPUs of this machine")
    count = devices * num_nodes
    if batch_size % count:
        near = max(1, round(batch_size / count)) * count
        raise LivestyleError(
            f"--batch-size {batch_size}, that of all processes together, cannot be shared out to {count}: use {near}"
        )
    if dist.is_torchelastic_launched():
        started, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if (here, started) != (devices, count):
            raise LivestyleError(
                f"torchrun started {here} of {started} processes on this machine: "
                f"use --devices {here} --num-nodes {started // here}"
            )
    elif num_nodes > 1:
        raise LivestyleError(
            f"--num-nodes {num_nodes} needs torchrun on each machine: "
            f"torchrun --nnodes {num_nodes} --nproc-per-node {devices} ... -m train fit ..."
        )


class Processes:
    """This process among those of a run, and what they tell each other besides gradients.

    Attributes:
        rank: number of this process; 0 validates, saves and speaks.
        count: of all processes.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.rank, self.count = fabric.global_rank, fabric.world_size
        # Of its own, since others wait here for as long as the first takes, and since flags need no GPU.
        self._group: dist.ProcessGroup | None = None
        if self.count > 1:
            group = dist.new_group(backend="gloo", timeout=timedelta(days=30))
            assert isinstance(group, dist.ProcessGroup)
            self._group = group
            # Lightning does so for NCCL alone; an interpreter that ends under gloo's threads is aborted at times.
            atexit.register(dist.destroy_process_group)

    def part(self, size: int) -> slice:
        """Which of the ``size`` pairs of a batch this process takes."""
        each = size // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def anywhere(self, flag: bool) -> bool:
        """Whether ``flag`` holds in any process; to be called by all."""
        if self._group is None:
            return flag
        value = torch.tensor(int(flag))
        dist.all_reduce(value, dist.ReduceOp.MAX, self._group)
        return bool(value)

    def mean(self, values: dict[str, Tensor]) -> dict[str, float]:
        """The means of scalars over the processes; to be called by all."""
        total = torch.stack(list(values.values())).double().cpu()
        if self._group is not None:
            dist.all_reduce(total, dist.ReduceOp.SUM, self._group)
        return dict(zip(values, (total / self.count).tolist(), strict=True))

    def union(self, items: set[T]) -> set[T]:
        """What is in the sets of all processes; to be called by all."""
        if self._group is None:
            return items
        everyone: list[set[T]] = [set()] * self.count
        dist.all_gather_object(everyone, items, self._group)
        return set().union(*everyone)

    def first_does(self, work: Callable[[], object]) -> None:
        """Do something in the first process alone while the others wait; where it fails there, they end silently."""
        if self._group is None:
            work()
            return
        if self.rank == 0:
            try:
                work()
            except Exception:
                self.anywhere(True)
                raise
            self.anywhere(False)
            return
        try:
            failed = self.anywhere(False)
        except RuntimeError:
            # The connection is lost: the first process was killed.
            failed = True
        if failed:
            raise SystemExit


class WholeBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the batch of all processes, on the CPU too, where torch has no `SyncBatchNorm`."""

    def __init__(self, norm: nn.BatchNorm1d, fabric: Fabric) -> None:
        super().__init__(norm.num_features)
        self.load_state_dict(norm.state_dict())
        self._fabric = fabric

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        if not self.training:
            return super().forward(input)
        with warnings.catch_warnings():
            # How Lightning gathers is no matter of the person who trains.
            warnings.filterwarnings("ignore", "torch.distributed.nn.functional.all_gather is deprecated")
            gathered = self._fabric.all_gather(input, sync_grads=True)
        assert isinstance(gathered, Tensor)
        return super().forward(gathered.flatten(0, 1)).unflatten(0, gathered.shape[:2])[self._fabric.global_rank]
