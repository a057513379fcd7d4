"""The best classes of each embedding, ties by the smaller class."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Predictions(NamedTuple):
    """Best classes of each embedding, best first.

    Attributes:
        classes: (B, k), int64.
        cosines: (B, k), with the nearest center of each.
    """

    classes: Tensor
    cosines: Tensor


def top_classes(cosines: Tensor, k: int) -> Predictions:
    """The k largest of each row of (B, C); of equal ones the smaller class comes first.

    Examples:
        >>> top_classes(torch.tensor([[0.5, 0.9, 0.5]]), k=2).classes
        tensor([[1, 0]])
    """
    top = cosines.topk(k, dim=1)
    # topk takes any of those that tie with the k-th: rows with more than k of them are sorted in full.
    tied = (cosines >= top.values[:, -1:]).sum(dim=1) > k
    classes, values = best_of(top.indices, top.values, k)
    if tied.any():
        whole = cosines[tied].sort(dim=1, descending=True, stable=True)
        values[tied], classes[tied] = whole.values[:, :k], whole.indices[:, :k]
    return Predictions(classes, values)


def best_of(classes: Tensor, cosines: Tensor, k: int) -> Predictions:
    """The k best of candidates (B, n), ties by the smaller class.

    Examples:
        >>> best_of(torch.tensor([[7, 2, 4]]), torch.tensor([[0.5, 0.5, 0.9]]), k=2).classes
        tensor([[4, 2]])
    """
    classes, order = classes.sort(dim=1)
    cosines, order = cosines.gather(1, order).sort(dim=1, descending=True, stable=True)
    return Predictions(classes.gather(1, order)[:, :k], cosines[:, :k])
