"""The processes of a training: one, or those that ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from landmarkzoo._utils.checks import as_device
from landmarkzoo.index.many_ranks import Ranks
from landmarkzoo.models import HybridSwin

_PATIENCE = timedelta(hours=6)  # the others wait while one whitens, or writes a large model


@dataclass(frozen=True)
class Processes:
    """Which of several processes this is, and what they do together.

    Attributes:
        rank: 0 to ``count - 1``; rank 0 writes.
        count: How many there are.
        local_count: How many of them are on this machine.
        device: Where this one computes.
    """

    rank: int
    count: int
    local_count: int
    device: torch.device

    def mean(self, x: Tensor) -> Tensor:
        """Mean over the processes, in place."""
        if self.count > 1:
            dist.all_reduce(x)
            x /= self.count
        return x

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on some process: so all of them do the same."""
        if self.count == 1:
            return list(flags)
        counts = torch.tensor([float(flag) for flag in flags], device=self.device)
        dist.all_reduce(counts)
        return [count > 0 for count in counts.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """What each process has, in order of rank."""
        values = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(values, value)
        return values

    def of_first(self, value: Any) -> Any:
        """What rank 0 has."""
        values = [value]
        if self.count > 1:
            dist.broadcast_object_list(values, 0)
        return values[0]

    def copy_from_first(self, module: nn.Module) -> None:
        """Give a module the weights that it has on rank 0."""
        for tensor in module.state_dict().values() if self.count > 1 else ():
            here = tensor.to(self.device)
            dist.broadcast(here, 0)
            tensor.copy_(here)

    def barrier(self) -> None:
        """Wait for the others."""
        if self.count > 1:
            dist.barrier()

    def together(self, module: nn.Module) -> nn.Module:
        """A module whose gradients are the mean over the processes."""
        if self.count == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        # The last block of a hybrid has a bias table without gradient.
        unused = isinstance(module, HybridSwin)
        return DistributedDataParallel(module, find_unused_parameters=unused)


@contextmanager
def joined_processes(device: str | torch.device | None) -> Iterator[Processes]:
    """The processes that ``torchrun`` started, or that the user has joined already.

    Args:
        device: Where to compute; ``None``: on the GPU of this process, if there is one.

    Raises:
        ValueError: If nothing can be computed on the device.
    """
    ranks = Ranks.of_environment()
    if device is None:
        gpu = "cuda" if ranks.count == 1 else f"cuda:{ranks.local}"
        device = gpu if torch.cuda.is_available() else "cpu"
    where = as_device(device)
    ours = ranks.count > 1 and not dist.is_initialized()
    if ours:
        backend = "cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        if where.type == "cuda" and where.index is not None:
            torch.cuda.set_device(where)
        if dist.is_available() and dist.is_initialized():
            count = dist.get_world_size()
            yield Processes(dist.get_rank(), count, int(os.environ.get("LOCAL_WORLD_SIZE", count)), where)
        else:
            yield Processes(0, 1, 1, where)
    finally:
        if ours:
            dist.destroy_process_group()
