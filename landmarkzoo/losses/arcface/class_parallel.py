"""Classes split over processes ([An et al. 2021](https://arxiv.org/abs/2010.05222), "Partial FC").

The process of rank r among W owns ``C // W + (r < C % W)`` classes in a row, with all their centers. The
processes share their embeddings and labels, and each computes its block of the softmax; three numbers a
sample go around. Losses and gradients are those of one process that sees the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import once_differentiable

from landmarkzoo.losses.base_head import Head, centers_come_from_a_file
from landmarkzoo.losses.head_checks import positive_integer

_INIT_CLASSES = 4096  # drawn at a time


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
                "this process does not belong to the process_group: build the head on its members only"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> ProcessGroupInfo:
        return self  # a connection is not copied

    def __reduce__(self) -> tuple[type[ProcessGroupInfo], tuple[()]]:
        if self.group is not None:
            raise TypeError(
                "a head whose classes are split over processes cannot be pickled: save_pretrained and "
                "load_head save it and split it anew"
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
        return shard(classes, self.rank, self.count)

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

    def gather_on_first(self, x: Tensor, sizes: list[int]) -> Tensor | None:
        """Rows of all processes, on the CPU of the first one; ``None`` on the others."""
        if self.group is None:
            return x.cpu()
        if self.rank > 0:
            dist.send(x, dist.get_global_rank(self.group, 0), self.group)
            return None
        whole = torch.empty(sum(sizes), *x.shape[1:], dtype=x.dtype)
        whole[: len(x)] = x.cpu()
        start = len(x)
        for rank in range(1, self.count):  # one after the other: never two parts beside the whole
            part = x.new_empty(sizes[rank], *x.shape[1:])
            dist.recv(part, dist.get_global_rank(self.group, rank), self.group)
            whole[start : start + len(part)] = part.cpu()
            start += len(part)
        return whole


def shard(classes: int, rank: int, count: int) -> range:
    """The classes of one of ``count`` processes.

    Examples:
        >>> [shard(8, rank, 3) for rank in range(3)]
        [range(0, 3), range(3, 6), range(6, 8)]
    """
    start = rank * (classes // count) + min(rank, classes % count)
    return range(start, start + classes // count + (rank < classes % count))


@dataclass(frozen=True)
class DistributedBatch:
    """Which process has how many rows of the whole batch.

    Attributes:
        processes: The processes.
        sizes: Rows of each.
    """

    processes: ProcessGroupInfo
    sizes: list[int]

    @staticmethod
    def exchange(
        processes: ProcessGroupInfo,
        size: int,
        device: torch.device,
        error: Exception | None,
        must_match: Mapping[str, int] | None = None,
    ) -> DistributedBatch:
        """Tell the other processes how many rows are here, and learn theirs.

        One small message a step, and on GPUs one host sync: the price for batches of different sizes, and for
        an error on one process that is an error on all instead of a hang.

        Args:
            processes: The processes.
            size: Rows on this process.
            device: Where collectives run.
            error: What is wrong on this process.
            must_match: Numbers that must be the same on all processes, by name: where they differ, the
                processes would wait for each other later.

        Raises:
            ValueError: If something is wrong on another process, or numbers do not match.
            Exception: ``error``, if there is one.
        """
        must_match = must_match or {}
        if processes.group is None:
            if error is not None:
                raise error
            return DistributedBatch(processes, [size])
        here = torch.tensor([[-1 if error else size, *must_match.values()]], device=device)
        sizes, *others = processes.gather(here, [1] * processes.count).T.tolist()
        if error is not None:
            raise error
        if min(sizes) < 0:
            raise ValueError(f"rank {sizes.index(-1)} stopped with an error: see what it says")
        for name, values in zip(must_match, others):
            if len(set(values)) > 1:
                raise ValueError(f"all processes must match in {name}, got {values} in order of rank")
        return DistributedBatch(processes, sizes)

    @property
    def own(self) -> slice:
        """Rows of this process."""
        start = sum(self.sizes[: self.processes.rank])
        return slice(start, start + self.sizes[self.processes.rank])

    def gather(self, x: Tensor) -> Tensor:
        """Rows of all processes, with gradient: that of a row is the sum of those that the processes have."""
        if self.processes.group is None:
            return x
        gathered: Tensor = _Gather.apply(x, self)
        return gathered

    def scatter(self, x: Tensor) -> Tensor:
        """Rows of this process out of those of all, with gradient: every process gets that of all rows."""
        if self.processes.group is None:
            return x
        scattered: Tensor = _Scatter.apply(x, self)
        return scattered

    def join_columns(self, x: Tensor, columns: range, total: int) -> Tensor:
        """Put the columns of all processes beside each other, for the whole batch, with gradient.

        Args:
            x: Columns of this process for the rows of all (N, n).
            columns: Which they are.
            total: Columns of all processes.

        Returns:
            (N, total), the same on all processes; to be followed by ``scatter``.
        """
        if self.processes.group is None:
            return x
        joined: Tensor = _JoinColumns.apply(x, self.processes, columns, total)
        return joined


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, batch: DistributedBatch) -> Tensor:
        ctx.batch = batch
        return batch.processes.gather(x, batch.sizes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_all: Tensor) -> tuple[Tensor, None]:
        return ctx.batch.processes.sum(by_all)[ctx.batch.own], None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, batch: DistributedBatch) -> Tensor:
        ctx.batch = batch
        return x[batch.own].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_own: Tensor) -> tuple[Tensor, None]:
        return ctx.batch.processes.gather(by_own.contiguous(), ctx.batch.sizes), None


class _JoinColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, processes: ProcessGroupInfo, columns: range, total: int) -> Tensor:
        ctx.columns = slice(columns.start, columns.stop)
        joined = x.new_zeros(len(x), total)
        joined[:, ctx.columns] = x
        return processes.sum(joined)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_joined: Tensor) -> tuple[Tensor, None, None, None]:
        return by_joined[:, ctx.columns], None, None, None  # scatter gave each process all rows already


class ShardedHead(Head):
    """A head whose classes may be split over processes: how its weight starts, is saved, and is loaded.

    Args:
        embedding_dim: D.
        num_classes: C.
        sub_centers: K, at most 255: which one is nearest is kept as uint8.
        process_group: The processes over which the classes are split.
        device: Where the weight is made.
        dtype: Of the weight.

    Attributes:
        processes: The processes over which the classes are split.

    Raises:
        ValueError: If a size is out of range, or there are more processes than classes.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        sub_centers: int,
        process_group: dist.ProcessGroup | None,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(embedding_dim, num_classes)
        self.sub_centers = positive_integer(sub_centers, "sub_centers")
        if self.sub_centers > 255:
            raise ValueError(f"sub_centers must be at most 255, got {self.sub_centers}; 3 is usual")
        self.processes = ProcessGroupInfo(process_group)
        if self.num_classes < self.processes.count:
            raise ValueError(f"{num_classes} classes cannot be split over {self.processes.count} processes")
        rows = len(self.shard) * self.sub_centers
        self.weight = nn.Parameter(torch.empty(rows, self.embedding_dim, device=device, dtype=dtype))
        self.reset_parameters()

    @property
    def shard(self) -> range:
        """The classes whose centers are on this process: all, unless there is a process group."""
        return self.processes.shard(self.num_classes)

    @property
    def writes_files(self) -> bool:
        """Whether this is the first process."""
        return self.processes.rank == 0

    @torch.no_grad()
    def whole_weight(self) -> Tensor | None:
        """The centers of all classes (C * K, D) on the CPU of the first process; ``None`` on the others."""
        count, classes = self.processes.count, self.num_classes
        rows = [len(shard(classes, rank, count)) * self.sub_centers for rank in range(count)]
        return self.processes.gather_on_first(self.weight.detach().contiguous(), rows)

    def raise_together(self, error: Exception | None) -> None:
        """Raise an error on all processes, if one of them has one."""
        DistributedBatch.exchange(self.processes, 1, self.weight.device, error)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the centers uniformly from +-1 / sqrt(D).

        Every process draws those of all classes and keeps its own: with one seed the shards differ.
        """
        if centers_come_from_a_file():
            return
        bound, k = self.embedding_dim**-0.5, self.sub_centers
        for start in range(0, self.num_classes, _INIT_CLASSES):
            classes = range(start, min(start + _INIT_CLASSES, self.num_classes))
            drawn = self.weight.new_empty(len(classes) * k, self.embedding_dim).uniform_(-bound, bound)
            ours = range(max(classes.start, self.shard.start), min(classes.stop, self.shard.stop))
            if len(ours):
                to, of = (ours.start - self.shard.start) * k, (ours.start - classes.start) * k
                self.weight[to : to + len(ours) * k] = drawn[of : of + len(ours) * k]

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Say which classes the weight is of, if they are not all."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.processes.group is not None and hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]]["classes"] = self._classes_here()

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        """Of a weight with all classes, a process that owns some of them takes these."""
        weight, k, here = state_dict.get(f"{prefix}weight"), self.sub_centers, self._classes_here()
        start, stop, classes = local_metadata.get("classes", here)
        if [start, stop, classes] != here:
            raise ValueError(
                f"this state_dict has classes {start} to {stop - 1} of {classes}, the head on this process "
                f"{here[0]} to {here[1] - 1} of {here[2]}: load on each process what it saved itself, or use "
                "save_pretrained and load_head, which split the classes anew"
            )
        whole = isinstance(weight, Tensor) and len(weight) == self.num_classes * k
        if weight is not None and whole and self.processes.group is not None:
            ours = weight[self.shard.start * k : self.shard.stop * k].clone()  # not a view of the whole
            state_dict = {**state_dict, f"{prefix}weight": ours}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def _classes_here(self) -> list[int]:
        return [self.shard.start, self.shard.stop, self.num_classes]
