"""Data-parallel training: each process computes a share of every batch; the result is that of one process."""

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
    """Refuse numbers of processes that cannot be started or do not divide the batch.

    Args:
        devices: processes on each machine.
        num_nodes: number of machines.
        batch_size: pairs per batch, of all processes together.
        device: CUDA, where each process takes one GPU, or the CPU, which all share.

    Raises:
        LivestyleError: there are too few GPUs, the batch does not divide evenly, several machines are asked for without
            torchrun, or torchrun started other numbers of processes.
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
    """The processes of a run, and their collective operations besides the exchange of gradients.

    Attributes:
        rank: of this process; rank 0 validates, saves and reports.
        count: number of processes.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.rank, self.count = fabric.global_rank, fabric.world_size
        # A group of its own: it needs no GPU, and no timeout while the others wait for rank 0.
        self._group: dist.ProcessGroup | None = None
        if self.count > 1:
            group = dist.new_group(backend="gloo", timeout=timedelta(days=30))
            assert isinstance(group, dist.ProcessGroup)
            self._group = group
            # Lightning does this for NCCL only; an interpreter that exits while gloo's threads run may abort.
            atexit.register(dist.destroy_process_group)

    def share(self, size: int) -> slice:
        """The slice of the ``size`` pairs of a batch that is this process's."""
        each = size // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is true in any process; a collective call."""
        if self._group is None:
            return flag
        value = torch.tensor(int(flag))
        dist.all_reduce(value, dist.ReduceOp.MAX, self._group)
        return bool(value)

    def mean(self, values: dict[str, Tensor]) -> dict[str, float]:
        """The means of scalars over the processes; a collective call."""
        total = torch.stack(list(values.values())).double().cpu()
        if self._group is not None:
            dist.all_reduce(total, dist.ReduceOp.SUM, self._group)
        return dict(zip(values, (total / self.count).tolist(), strict=True))

    def union(self, items: set[T]) -> set[T]:
        """The union of the sets of all processes; a collective call."""
        if self._group is None:
            return items
        everyone: list[set[T]] = [set()] * self.count
        dist.all_gather_object(everyone, items, self._group)
        return set().union(*everyone)

    def run_on_first(self, work: Callable[[], object]) -> None:
        """Run ``work`` in rank 0 while the others wait (a collective call); if it fails, they exit silently."""
        if self._group is None:
            work()
            return
        if self.rank == 0:
            try:
                work()
            except Exception:
                self.any(True)
                raise
            self.any(False)
            return
        try:
            failed = self.any(False)
        except RuntimeError:
            # The connection is lost: rank 0 was killed.
            failed = True
        if failed:
            raise SystemExit


class WholeBatchNorm(nn.BatchNorm1d):
    """Synchronised batch normalisation that also runs on the CPU, for which PyTorch's `SyncBatchNorm` is not made."""

    def __init__(self, norm: nn.BatchNorm1d, fabric: Fabric) -> None:
        super().__init__(norm.num_features)
        self.load_state_dict(norm.state_dict())
        self._fabric = fabric

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        if not self.training:
            return super().forward(input)
        with warnings.catch_warnings():
            # Lightning's own use of a deprecated function, which users cannot change.
            warnings.filterwarnings("ignore", "torch.distributed.nn.functional.all_gather is deprecated")
            gathered = self._fabric.all_gather(input, sync_grads=True)
        assert isinstance(gathered, Tensor)
        return super().forward(gathered.flatten(0, 1)).unflatten(0, gathered.shape[:2])[self._fabric.global_rank]
