"""The weight of a head: K centers of each class, or of the classes that one of several processes owns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from landmarkzoo.losses.arcface.head_arguments import positive_integer
from landmarkzoo.losses.arcface.parallel import ProcessGroupInfo

_INIT_CLASSES = 4096  # drawn at a time


class Centers(nn.Module):
    """Centers as a parameter ``weight`` (C * K, D), rows c * K + k; with a process group those of a shard.

    Args:
        embedding_dim: D.
        num_classes: C.
        sub_centers: K, at most 255: which one is nearest is kept as uint8.
        process_group: The processes over which the classes are spread.
        device: Where the weight is made.
        dtype: Of the weight.

    Raises:
        ValueError: If a size is not positive, or there are more processes than classes.
    """

    weight: nn.Parameter

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        sub_centers: int,
        process_group: dist.ProcessGroup | None,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.embedding_dim = positive_integer(embedding_dim, "embedding_dim")
        self.num_classes = positive_integer(num_classes, "num_classes")
        self.sub_centers = positive_integer(sub_centers, "sub_centers")
        if self.sub_centers > 255:
            raise ValueError(f"sub_centers must be at most 255, got {self.sub_centers}; 3 is usual")
        self.ranks = ProcessGroupInfo(process_group)
        self.ranks.check_classes(self.num_classes)
        rows = len(self.shard) * self.sub_centers
        self.weight = nn.Parameter(torch.empty(rows, self.embedding_dim, device=device, dtype=dtype))
        self.reset_parameters()

    @property
    def shard(self) -> range:
        """The classes whose centers are on this process: all, unless there is a process group."""
        return self.ranks.shard(self.num_classes)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the centers uniformly from +-1 / sqrt(D).

        Every process draws those of all classes and keeps its own: with one seed the shards differ.
        """
        bound, k = self.embedding_dim**-0.5, self.sub_centers
        for start in range(0, self.num_classes, _INIT_CLASSES):
            classes = range(start, min(start + _INIT_CLASSES, self.num_classes))
            drawn = self.weight.new_empty(len(classes) * k, self.embedding_dim).uniform_(-bound, bound)
            ours = range(max(classes.start, self.shard.start), min(classes.stop, self.shard.stop))
            if len(ours):
                to, of = (ours.start - self.shard.start) * k, (ours.start - classes.start) * k
                self.weight[to : to + len(ours) * k] = drawn[of : of + len(ours) * k]

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """With the classes that the weight is of, if these are not all."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.ranks.group is not None and hasattr(destination, "_metadata"):
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
                "save_pretrained and load_head, which spread the classes anew"
            )
        whole = isinstance(weight, Tensor) and len(weight) == self.num_classes * k
        if weight is not None and whole and self.ranks.group is not None:
            ours = weight[self.shard.start * k : self.shard.stop * k].clone()  # not a view of the whole
            state_dict = {**state_dict, f"{prefix}weight": ours}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def _classes_here(self) -> list[int]:
        return [self.shard.start, self.shard.stop, self.num_classes]
