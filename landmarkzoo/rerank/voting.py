"""Labels by a vote of the nearest train images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, Labels, as_device, check_count, encode_labels
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.descriptors import Vectors, check_comparable, descriptors_of
from landmarkzoo.retrieval.vector_rows import as_rows

_BLOCK_VALUES = 2**20  # votes in flight


@dataclass(frozen=True, eq=False)
class Votes:
    """Outcome of ``vote`` for N images.

    Attributes:
        labels: Winning label (N,), an integer or a name as the train labels were; -1 or ``None`` where "no
            landmark" won.
        confidence: Sum of the winner's cosines divided by the number of neighbours asked for (N,), float64.
        neighbors: Rows of the nearest train images (N, m), best first.
        similarities: Their cosines (N, m).
    """

    labels: NDArray[Any]
    confidence: NDArray[np.float64]
    neighbors: IntArray
    similarities: FloatArray

    def __len__(self) -> int:
        return len(self.labels)


def vote(
    x: Vectors,
    train: Vectors,
    train_labels: Labels,
    neighbors: int = 3,
    *,
    device: str | torch.device | None = None,
) -> Votes:
    """Label images by their nearest train images; each votes with its cosine.

    Section 2.4.1 of [Henkel 2021](https://arxiv.org/abs/2110.03786). The label with the largest sum wins; on
    a tie the label of the nearer neighbour. The confidence is the winning sum divided by ``neighbors``, not
    by the number of votes for the winner. A train label of -1 (or ``None``) votes like any other.

    Args:
        x: Descriptors or an array (N, D).
        train: Descriptors or an array (T, D).
        train_labels: Labels (T,): integers, -1 for no landmark, or names, ``None`` for no landmark.
        neighbors: How many vote; all T where T is smaller.
        device: Where the products are computed; the CPU unless told otherwise.

    Raises:
        TypeError: If labels are neither integers nor names.
        ValueError: If shapes do not fit, the train set is empty, or the two sides come from different
            models.

    Examples:
        >>> train = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> votes = lz.rerank.vote(np.array([[1.0, 0.0]]), train, [7, 7, 9])
        >>> votes.labels, votes.confidence.round(3)
        (array([7]), array([0.6]))
        >>> lz.rerank.vote(np.array([[1.0, 0.0]]), train, ["Big Ben", "Big Ben", None]).labels
        array(['Big Ben'], dtype=object)
    """
    x, train = descriptors_of(x), descriptors_of(train)
    vectors, database = as_rows(x, "x"), as_rows(train, "train")
    if len(database) == 0:
        raise ValueError("the train set is empty: nobody can vote")
    check_comparable(x, train, "x", "train")
    labels, names = encode_labels(train_labels, len(database), "train_labels")
    neighbors = check_count(neighbors, "neighbors")
    where = as_device(device)
    nearest, cosines = top_k(vectors, database, min(neighbors, len(database)), device=where)
    winners, confidence = count_votes(labels[nearest], cosines, neighbors)
    return Votes(winners if names is None else names[winners], confidence, nearest, cosines)


def count_votes(
    labels: IntArray, similarities: FloatArray, neighbors: int
) -> tuple[IntArray, NDArray[np.float64]]:
    """Winning label and confidence of each row of votes.

    Args:
        labels: Labels of the voters (N, m), nearest first.
        similarities: Their cosines (N, m).
        neighbors: Divisor of the winning sum.

    Examples:
        >>> count_votes(np.array([[20, 30, 10]]), np.array([[0.8, 0.3, 0.2]]), 3)
        (array([20]), array([0.26666667]))
    """
    winners, confidence = np.empty(len(labels), np.int64), np.empty(len(labels))
    step = max(1, _BLOCK_VALUES // labels.shape[1])
    for start in range(0, len(labels), step):
        block = slice(start, start + step)
        winners[block], sums = _winners(labels[block], similarities[block])
        confidence[block] = sums / neighbors
    return winners, confidence


def _winners(labels: IntArray, similarities: FloatArray) -> tuple[IntArray, NDArray[np.float64]]:
    """Winning label and its sum of each row of votes (n, m), nearest first."""
    order = np.argsort(labels, axis=1, kind="stable")  # votes for one label side by side, the nearest first
    by_label = np.take_along_axis(labels, order, axis=1)
    opens = np.ones(labels.shape, dtype=bool)  # where the votes for another label begin
    opens[:, 1:] = by_label[:, 1:] != by_label[:, :-1]
    cosines = np.take_along_axis(similarities, order, axis=1).astype(np.float64)
    label = np.cumsum(opens).reshape(labels.shape) - 1  # counted through all rows
    sums = np.empty(labels.shape)  # of the label of each voter
    np.put_along_axis(sums, order, np.bincount(label.ravel(), cosines.ravel())[label], axis=1)
    winner = sums.argmax(axis=1)  # the first maximum: on a tie the nearer neighbour's label
    rows = np.arange(len(labels))
    return labels[rows, winner], sums[rows, winner]
