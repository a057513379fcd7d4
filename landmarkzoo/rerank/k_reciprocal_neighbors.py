"""Re-ranking by shared k-reciprocal neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, as_device, check_count, check_number, unit
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.descriptors import Vectors, descriptors_of
from landmarkzoo.retrieval.exact_search import search
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.vector_rows import VectorRows, as_rows, joined

_BLOCK_VALUES = 2**18  # float64 values of vectors in flight: 2 MiB


def k_reciprocal(
    query: Vectors,
    index: Vectors,
    *,
    k: int = 100,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    device: str | torch.device | None = None,
) -> Ranking:
    """Rank by how many mutual neighbours a query and an image share, and by their cosine.

    [Zhong et al. 2017](https://arxiv.org/abs/1701.08398), "Re-ranking person re-identification".

    Among queries and index images together, R(i) are the images j among the k1 nearest of i that have i
    among theirs. R(i) grows by R'(j), that of half of k1, for every j in it that shares more than two
    thirds of R'(j) with R(i). Image i becomes a vector of weights ``exp(cos - 1)`` over its R(i), of sum 1,
    and then the mean of those of its k2 nearest, itself among them. With J the weighted Jaccard similarity
    of two such vectors, the score is ``(1 - weight) J + weight cos``.

    Where the authors' code divides distances by the largest of each image, cosines are taken as they are.
    Memory holds the k1 neighbours of every image, not all pairs.

    Args:
        query: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D).
        k: How many come back; ``min(k, N)``.
        k1: Neighbours that must be mutual.
        k2: Neighbours whose weights are averaged.
        weight: Share of the cosine in the score, in [0, 1]; lambda in the paper.
        device: Where the products are computed; the CPU unless told otherwise.

    Raises:
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> angles = np.array([0.2, 0.4, -0.25, -0.27, -0.29])  # the third is near, but nearer to two others
        >>> index = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        >>> lz.rerank.k_reciprocal(np.array([[1.0, 0.0]]), index, k1=2, k2=1).indices
        array([[0, 1, 2, 3, 4]])
    """
    k1, k2 = check_count(k1, "k1"), check_count(k2, "k2")
    if not 0 <= check_number(weight, "weight") <= 1:
        raise ValueError(f"weight must be in [0, 1], got {weight}; 0.3 is usual")
    query, index = descriptors_of(query), descriptors_of(index)
    plain = search(query, index, k, device=device)
    q, x = as_rows(query, "query"), as_rows(index, "index")
    both = joined(q, x)
    k1, k2 = min(k1, len(both) - 1), min(k2, len(both))
    nearest = _itself_first(top_k(both, both, max(k1 + 1, k2), device=as_device(device))[0])
    weights = _mean_of_nearest(_mutual_weights(both, nearest, k1), nearest[:, :k2])
    return _rank(q, x, weights, plain, weight)


@dataclass(frozen=True, eq=False)
class _Sparse:
    """Rows of columns and values, one after the other: row i is ``starts[i]:starts[i + 1]``."""

    starts: IntArray
    columns: IntArray
    values: NDArray[np.float32]

    @staticmethod
    def of(columns: Sequence[IntArray], values: Sequence[NDArray[np.floating]]) -> _Sparse:
        starts = np.concatenate([[0], np.cumsum([len(row) for row in columns])])
        return _Sparse(starts, np.concatenate(columns), np.concatenate(values).astype(np.float32))

    def row(self, i: int) -> tuple[IntArray, NDArray[np.float32]]:
        part = slice(self.starts[i], self.starts[i + 1])
        return self.columns[part], self.values[part]

    def transposed(self, columns: int) -> _Sparse:
        rows = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        order = np.argsort(self.columns, kind="stable")
        counts = np.bincount(self.columns, minlength=columns)
        return _Sparse(np.concatenate([[0], np.cumsum(counts)]), rows[order], self.values[order])


def _itself_first(rows: IntArray) -> IntArray:
    """Neighbours (N, m) with each image first among its own, also where duplicates tie with it."""
    itself = rows == np.arange(len(rows))[:, None]
    itself[~itself.any(axis=1), -1] = True
    order = np.argsort(~itself, axis=1, kind="stable")
    rows = np.take_along_axis(rows, order, axis=1)
    rows[:, 0] = np.arange(len(rows))
    return rows


def _mutual_weights(x: VectorRows, nearest: IntArray, k1: int) -> _Sparse:
    """Weights of each image over its k-reciprocal neighbours, expanded, of sum 1."""
    mutual = _mutual_neighbors(nearest[:, : k1 + 1])
    mutual_half = _mutual_neighbors(nearest[:, : round(k1 / 2) + 1])
    columns, values = [], []
    for i, own in enumerate(mutual):
        grown = set(own)
        for j in own:
            if 3 * len(mutual_half[j] & own) > 2 * len(mutual_half[j]):
                grown |= mutual_half[j]
        columns.append(np.array(sorted(grown), dtype=np.int64))
        weights = np.exp(_cosines(x, columns[-1], x.take(np.array(i))) - 1)
        values.append(weights / weights.sum())
    return _Sparse.of(columns, values)


def _cosines(x: VectorRows, rows: IntArray, other: FloatArray) -> NDArray[np.float64]:
    """Cosines (n,) of some rows with another vector, in blocks."""
    step = max(1, _BLOCK_VALUES // x.shape[1])
    blocks = (rows[start : start + step] for start in range(0, len(rows), step))
    return np.concatenate([unit(x.take(block)) @ unit(other) for block in blocks])


def _mutual_neighbors(nearest: IntArray) -> list[set[int]]:
    """For each image those of its neighbours (n, k) that have it among theirs."""
    near = [set(row) for row in nearest.tolist()]
    return [{j for j in own if i in near[j]} for i, own in enumerate(near)]


def _mean_of_nearest(weights: _Sparse, nearest: IntArray) -> _Sparse:
    """Mean of the weights of the nearest images (n, k2) of each."""
    columns, values = [], []
    for row in nearest:
        parts = [weights.row(j) for j in row]
        found, place = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
        columns.append(found)
        values.append(np.bincount(place, np.concatenate([part[1] for part in parts])) / len(row))
    return _Sparse.of(columns, values)


def _rank(q: VectorRows, x: VectorRows, weights: _Sparse, plain: Ranking, weight: float) -> Ranking:
    """The best of the images that share a neighbour with the query and of those of the plain ranking.

    Others cannot be among the best k: without shared neighbours the cosine decides.
    """
    who_has = weights.transposed(len(q) + len(x))
    indices, scores = np.empty_like(plain.indices), np.empty_like(plain.scores)
    for row in range(len(q)):
        shared = np.zeros(len(q) + len(x))  # sum of the smaller of two weights
        for column, value in zip(*weights.row(row)):
            images, theirs = who_has.row(column)
            shared[images] += np.minimum(theirs, value)
        shared = shared[len(q) :]
        reached = np.union1d(np.flatnonzero(shared), plain.indices[row])
        found = reached if weight else np.arange(len(x))  # without the cosine all others tie
        score = (1 - weight) * shared[found] / (2 - shared[found])
        if weight:
            score += weight * _cosines(x, found, q.take(np.array(row)))
        score = score.astype(np.float32)
        best = np.lexsort((found, -score))[: indices.shape[1]]
        indices[row], scores[row] = found[best], score[best]
    return Ranking(indices, scores, plain.query_ids, plain.index_ids)
