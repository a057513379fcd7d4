"""What a head costs in memory, before it is built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from landmarkzoo.losses.arcface.center_blocks import block_classes
from landmarkzoo.losses.arcface.class_parallel import shard
from landmarkzoo.losses.head_checks import one_of, positive_integer

Optimizer = Literal["sgd", "momentum", "adam"]
_COUNTS = ("num_classes", "embedding_dim", "sub_centers", "batch_size", "world_size")
_STATES = {"sgd": 0, "momentum": 1, "adam": 2}  # values that an optimizer keeps for each weight


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one process.

    Attributes:
        weights: The centers.
        gradient: Their gradient.
        optimizer: What the optimizer keeps.
        activations: What a step holds between forward and backward, and during both.
    """

    weights: int
    gradient: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Their sum: the peak of a training step."""
        return self.weights + self.gradient + self.optimizer + self.activations

    def __str__(self) -> str:
        parts = ("weights", "gradient", "optimizer", "activations", "total")
        return ", ".join(f"{part} {getattr(self, part) / 2**20:,.0f} MiB" for part in parts)


def memory_estimate(
    num_classes: int,
    *,
    embedding_dim: int = 512,
    sub_centers: int = 3,
    batch_size: int = 64,
    optimizer: Optimizer = "adam",
    world_size: int = 1,
    sample_rate: float | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> MemoryEstimate:
    """Memory of a training step of ``landmarkzoo.SubCenterArcFaceDynamic``.

    Args:
        num_classes: Classes.
        embedding_dim: Size of the embeddings.
        sub_centers: Centers a class.
        batch_size: Samples a step, of all processes together.
        optimizer: ``"sgd"``, ``"momentum"``, or ``"adam"`` for Adam and AdamW.
        world_size: Processes that the classes are split over.
        sample_rate: Share of the classes a step; ``None`` for all.
        dtype: Of the weights.
        device: Where the head is: GPUs compute larger blocks of classes at a time. Measured on CPUs only.

    Returns:
        Bytes on the process with the most classes; activations are those of the head alone, in float32.

    Raises:
        ValueError: If a number is out of range, or the optimizer is unknown.

    Examples:
        >>> print(lz.memory_estimate(81_313))
        weights 476 MiB, gradient 476 MiB, optimizer 953 MiB, activations 29 MiB, total 1,935 MiB
        >>> print(lz.memory_estimate(81_313, device="cuda"))
        weights 476 MiB, gradient 476 MiB, optimizer 953 MiB, activations 122 MiB, total 2,028 MiB
    """
    counts = (num_classes, embedding_dim, sub_centers, batch_size, world_size)
    for name, count in zip(_COUNTS, counts):
        positive_integer(count, name)
    if sample_rate is not None and not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must be in (0, 1] or None, got {sample_rate}")
    one_of(optimizer, get_args(Optimizer), "optimizer")
    classes = len(shard(num_classes, 0, world_size))
    in_use = classes
    if sample_rate is not None:
        in_use = min(classes, max(math.ceil(sample_rate * classes), batch_size))
    center = sub_centers * embedding_dim * dtype.itemsize  # bytes of a class
    # Between: cosines and nearest centers. During: about three arrays as large as the products of a block.
    block = block_classes(in_use, sub_centers, batch_size, embedding_dim, torch.device(device))
    activations = in_use * batch_size * (4 + 1) + in_use * sub_centers * 4
    activations += 3 * block * sub_centers * batch_size * 4 + 4 * batch_size * embedding_dim * 4
    if sample_rate is not None:
        activations += in_use * center  # the sampled centers, side by side
    return MemoryEstimate(
        weights=classes * center,
        gradient=in_use * center,
        optimizer=_STATES[optimizer] * classes * center,
        activations=activations,
    )
