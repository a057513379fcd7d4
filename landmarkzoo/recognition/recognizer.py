"""Labels whose scores rank photos of landmarks before others (Henkel and Singer 2020; Henkel 2021, 2.4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import FloatArray, IntArray, Labels, as_device, as_labels, check_count
from landmarkzoo.recognition.quantiles import quantile_normal
from landmarkzoo.rerank.voting import count_votes
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.descriptors import Vectors, as_vectors, check_comparable


@dataclass(frozen=True, eq=False)
class Recognition:
    """Outcome of :func:`recognize` for Q photos.

    Attributes:
        labels: Label (Q,), int64.
        scores: Score (Q,), float64: the higher, the surer that this landmark is there. They rank photos; they
            are no probabilities.
        support: Rows of the train photos that voted (Q, neighbors), best first; -1 where there are fewer.
    """

    labels: IntArray
    scores: NDArray[np.float64]
    support: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def above(self, threshold: float) -> IntArray:
        """Labels (Q,), -1 (no landmark) where the score is below a threshold.

        Examples:
            >>> r = lz.Recognition(np.array([4, 7]), np.array([1.2, 0.1]), np.array([[0], [1]]))
            >>> r.above(0.5)
            array([ 4, -1])
        """
        return np.where(self.scores >= threshold, self.labels, -1)


def recognize(
    queries: Vectors,
    train: Vectors,
    train_labels: Labels,
    *,
    non_landmark: Vectors | None = None,
    neighbors: int = 3,
    train_penalty_k: int = 5,
    query_penalty_k: int = 10,
    quantile: bool = False,
    device: str | torch.device | None = None,
) -> Recognition:
    """Label photos by their nearest train photos, and lower the score of those that look like no landmark.

    1. A train photo's penalty is its mean cosine with the 5 nearest photos without landmark.
    2. A query's similarity to a train photo is ``clip(cos, 0, 1)`` less that penalty; the 3 nearest so vote.
    3. The label with the largest sum wins, on a tie the one of the nearest; the sum is the score,
    4. less the query's mean cosine with its 10 nearest photos without landmark.

    Nothing is dropped: a low score says "no landmark". :meth:`Recognition.above` draws a line.

    Args:
        queries: Descriptors or an array (Q, D).
        train: Descriptors or an array (T, D) of labelled photos.
        train_labels: Integers (T,).
        non_landmark: Descriptors or an array (M, D) of photos that show no landmark. Without them steps 1 and
            4 fall away.
        neighbors: Train photos that vote.
        train_penalty_k: See 1; all where there are fewer.
        query_penalty_k: See 4; all where there are fewer.
        quantile: First map each dimension to a normal distribution by its quantiles among the queries.
        device: Where the products are computed; the CPU unless told otherwise.

    Returns:
        Labels, scores, and the train photos that voted.

    Raises:
        ModuleNotFoundError: If ``quantile`` is asked for without scikit-learn.
        TypeError: If labels are not integers.
        ValueError: If shapes do not fit, a set is empty, or they come from different models.

    Examples:
        >>> test, train = np.array([[0.96, 0.28]]), np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]])
        >>> others = np.array([[0, 1], [-0.6, 0.8]])
        >>> r = lz.recognize(test, train, [1, 1, 2, 2], non_landmark=others)
        >>> r.labels, r.support
        (array([1]), array([[0, 1, 3]]))
    """
    neighbors = check_count(neighbors, "neighbors")
    q, x, others = _checked(queries, train, non_landmark)
    labels = as_labels(train_labels, len(x), "train_labels")
    if quantile:
        q, x, others = quantile_normal(q, x, others)
    where = as_device(device)
    penalty = _Penalty(_mean_cosines(x, others, check_count(train_penalty_k, "train_penalty_k"), where))
    rows, similarities = top_k(q, x, min(neighbors, len(x)), bonus=penalty, lowest=0.0, device=where)
    found, sums = count_votes(labels[rows], similarities, 1)
    sums -= _mean_cosines(q, others, check_count(query_penalty_k, "query_penalty_k"), where)
    support = np.full((len(q), neighbors), -1)
    support[:, : rows.shape[1]] = rows
    return Recognition(found, sums, support)


def _checked(
    queries: Vectors, train: Vectors, non_landmark: Vectors | None
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    q, x = as_vectors(queries, "queries"), as_vectors(train, "train")
    if len(x) == 0:
        raise ValueError("the train set is empty: nobody can vote")
    check_comparable(queries, train, "queries", "train")
    if non_landmark is None:
        return q, x, None
    check_comparable(queries, non_landmark, "queries", "non_landmark")
    others = as_vectors(non_landmark, "non_landmark")
    if len(others) == 0:
        raise ValueError("non_landmark is empty: leave it out")
    return q, x, others


def _mean_cosines(
    x: FloatArray, others: FloatArray | None, k: int, device: torch.device
) -> NDArray[np.float64]:
    """Mean cosine (N,) with the k nearest of others; 0 without any."""
    if others is None:
        return np.zeros(len(x))
    cosines = top_k(x, others, min(k, len(others)), device=device)[1]
    return np.asarray(cosines.mean(axis=1, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class _Penalty:
    """Taken off the cosine with each train photo (T,)."""

    values: NDArray[np.float64]

    @property
    def largest(self) -> float:
        return float(np.abs(self.values).max())

    def block(self, queries: slice, index: slice, device: torch.device) -> Tensor:
        row = torch.from_numpy(-self.values[index]).to(device, torch.float32)
        return row.expand(queries.stop - queries.start, -1)

    def pairs(self, queries: slice, index: Tensor) -> Tensor:
        return torch.from_numpy(-self.values)[index]
