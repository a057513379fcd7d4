"""Some of the classes for one step: those of the batch and random others ("Partial FC", An et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sample_classes(rows: Tensor, num_classes: int, rate: float) -> Tensor:
    """Classes to compute a step on, ascending: all of the batch, filled up with others at random.

    Args:
        rows: Class of each sample (B,); -1 for samples whose class is elsewhere.
        num_classes: C.
        rate: Share of the classes wanted, in (0, 1].

    Returns:
        Different classes (n,), ``n = min(C, max(ceil(rate * C), B))``: as many as the batch could need,
        so that their number does not depend on the labels and a GPU need not wait to learn it.

    Examples:
        >>> sample_classes(torch.tensor([4, 0, -1]), num_classes=5, rate=1.0)
        tensor([0, 1, 2, 3, 4])
    """
    count = min(num_classes, max(math.ceil(rate * num_classes), len(rows)))
    priority = torch.rand(num_classes + 1, device=rows.device)  # the last place is for the -1
    priority[rows] = 2.0
    return priority[:-1].topk(count, sorted=False).indices.sort().values


def rows_among(classes: Tensor, rows: Tensor) -> Tensor:
    """Where each sample's class stands among the sampled ones (B,); -1 stays -1.

    Examples:
        >>> rows_among(torch.tensor([2, 5, 9]), torch.tensor([9, -1, 2]))
        tensor([ 2, -1,  0])
    """
    return torch.where(rows >= 0, torch.searchsorted(classes, rows), rows)
