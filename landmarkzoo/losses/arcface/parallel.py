"""Classes spread over processes (after An et al. 2021, "Partial FC"): shards, gathers and reductions.

Rank r of W owns ``C // W + (r < C % W)`` classes in a row, with all their centers. The ranks share their
embeddings and labels, and each computes its block of the softmax; three numbers a sample go around. Losses
and gradients are those of one process that sees the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class ProcessGroupInfo:
    """The processes that share the classes; without a group there is one, and nothing is sent.

    Attributes:
        group: The process group.
    """

    group: dist.ProcessGroup | None = None

    def __post_init__(self) -> None:
        if self.group is not None and self.rank < 0:
            raise ValueError(
                "this process is no member of the process_group: build the head on its members only"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> ProcessGroupInfo:
        return self  # a connection is not copied

    def __reduce__(self) -> tuple[type[ProcessGroupInfo], tuple[()]]:
        if self.group is not None:
            raise TypeError(
                "a head whose classes are spread over processes cannot be pickled: save_pretrained and "
                "load_head save and spread it"
            )
        return ProcessGroupInfo, ()

    @property
    def count(self) -> int:
        """Number of processes."""
        return 1 if self.group is None else dist.get_world_size(self.group)

    @property
    def rank(self) -> int:
        """Number of this process among them."""
        return 0 if self.group is None else dist.get_rank(self.group)

    def shard(self, classes: int) -> range:
        """The classes that this process owns.

        Examples:
            >>> ProcessGroupInfo().shard(5)
            range(0, 5)
        """
        return self.shard_of(self.rank, classes)

    def shard_of(self, rank: int, classes: int) -> range:
        """The classes that some process owns."""
        return shard(classes, rank, self.count)

    def check_classes(self, classes: int) -> None:
        """Raise a ValueError if there are more processes than classes."""
        if classes < self.count:
            raise ValueError(f"{classes} classes cannot be spread over {self.count} processes")

    def sum(self, x: Tensor) -> Tensor:
        """Sum over the processes; ``x`` itself where there is one."""
        return x if self.group is None else self._reduce(x, dist.ReduceOp.SUM)

    def max(self, x: Tensor) -> Tensor:
        """Maximum over the processes; ``x`` itself where there is one."""
        return x if self.group is None else self._reduce(x, dist.ReduceOp.MAX)

    def _reduce(self, x: Tensor, operation: Any) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)  # NCCL takes nothing else
        dist.all_reduce(x, operation, group=self.group)
        return x

    def gather(self, x: Tensor, sizes: list[int]) -> Tensor:
        """Rows of all processes in order of rank; ``sizes`` says how many each has."""
        if self.group is None:
            return x
        padded = x.new_zeros(max(sizes), *x.shape[1:])
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded, group=self.group)
        return torch.cat([part[:size] for part, size in zip(parts, sizes)])

    def gather_columns(self, x: Tensor) -> Tensor:
        """Columns (N, k) of all processes beside each other (N, W * k), in order of rank."""
        stacked = self.gather(x, [len(x)] * self.count)  # (W * N, k)
        return stacked.view(self.count, *x.shape).transpose(0, 1).flatten(1)


def shard(classes: int, rank: int, count: int) -> range:
    """The classes of one of ``count`` ranks.

    Examples:
        >>> [shard(8, rank, 3) for rank in range(3)]
        [range(0, 3), range(3, 6), range(6, 8)]
    """
    start = rank * (classes // count) + min(rank, classes % count)
    return range(start, start + classes // count + (rank < classes % count))


@dataclass(frozen=True)
class DistributedBatch:
    """Who has how many rows of the whole batch.

    Attributes:
        ranks: The processes.
        sizes: Rows of each.
    """

    ranks: ProcessGroupInfo
    sizes: list[int]

    @staticmethod
    def exchange(
        ranks: ProcessGroupInfo,
        size: int,
        device: torch.device,
        error: Exception | None,
        alike: Mapping[str, int] | None = None,
    ) -> DistributedBatch:
        """Tell the others how many rows are here, and learn theirs.

        One small message, and on GPUs one host sync, a step: the price for batches of different sizes,
        and for an error on one rank that is an error on all instead of a hang.

        Args:
            ranks: The processes.
            size: Rows on this rank.
            device: Where collectives run.
            error: What is wrong on this rank.
            alike: What must be the same on all ranks, or they would wait for each other later.

        Raises:
            ValueError: If something is wrong on another rank, or not alike.
            Exception: ``error``, if there is one.
        """
        alike = alike or {}
        if ranks.group is None:
            if error is not None:
                raise error
            return DistributedBatch(ranks, [size])
        mine = torch.tensor([[-1 if error else size, *alike.values()]], device=device)
        sizes, *others = ranks.gather(mine, [1] * ranks.count).T.tolist()
        if error is not None:
            raise error
        if min(sizes) < 0:
            raise ValueError(f"rank {sizes.index(-1)} stopped with an error: see what it says")
        for name, values in zip(alike, others):
            if len(set(values)) > 1:
                raise ValueError(f"the ranks must be alike in {name}, got {values} in order of rank")
        return DistributedBatch(ranks, sizes)

    @property
    def own(self) -> slice:
        """Rows of this rank."""
        start = sum(self.sizes[: self.ranks.rank])
        return slice(start, start + self.sizes[self.ranks.rank])

    def gather(self, x: Tensor) -> Tensor:
        """Rows of all ranks, with gradient: that of a row is the sum of what each rank has for it."""
        if self.ranks.group is None:
            return x
        gathered: Tensor = _Gather.apply(x, self)
        return gathered

    def scatter(self, x: Tensor) -> Tensor:
        """Rows of this rank out of those of all, with gradient: every rank gets that of all rows."""
        if self.ranks.group is None:
            return x
        scattered: Tensor = _Scatter.apply(x, self)
        return scattered

    def join_columns(self, x: Tensor, columns: range, total: int) -> Tensor:
        """Put the columns of all ranks beside each other, for the whole batch, with gradient.

        Args:
            x: Columns of this rank for the rows of all (N, n).
            columns: Which they are.
            total: Columns of all ranks.

        Returns:
            (N, total), the same on all ranks; to be followed by :meth:`scatter`.
        """
        if self.ranks.group is None:
            return x
        joined: Tensor = _JoinColumns.apply(x, self.ranks, columns, total)
        return joined


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, batch: DistributedBatch) -> Tensor:
        ctx.batch = batch
        return batch.ranks.gather(x, batch.sizes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_all: Tensor) -> tuple[Tensor, None]:
        return ctx.batch.ranks.sum(by_all)[ctx.batch.own], None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, batch: DistributedBatch) -> Tensor:
        ctx.batch = batch
        return x[batch.own].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_own: Tensor) -> tuple[Tensor, None]:
        return ctx.batch.ranks.gather(by_own.contiguous(), ctx.batch.sizes), None


class _JoinColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: ProcessGroupInfo, columns: range, total: int) -> Tensor:
        ctx.columns = slice(columns.start, columns.stop)
        joined = x.new_zeros(len(x), total)
        joined[:, ctx.columns] = x
        return ranks.sum(joined)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_joined: Tensor) -> tuple[Tensor, None, None, None]:
        return by_joined[:, ctx.columns], None, None, None  # scatter gave each rank all rows already
