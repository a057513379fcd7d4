"""Descriptors replaced by weighted means of their neighbours: query expansion and database augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, check_count, check_number, unit
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors, as_vectors, descriptors_of
from landmarkzoo.retrieval.exact_search import search, search_others
from landmarkzoo.retrieval.vector_rows import VectorRows, as_rows

_BLOCK_VALUES = 2**20  # float64 values of neighbour vectors in flight: 8 MiB


def alpha_query_expansion(
    query: Vectors,
    index: Vectors,
    *,
    k: int = 10,
    alpha: float = 3.0,
    exclude_same_id: bool = False,
    device: str | torch.device | None = None,
) -> Vectors:
    """Queries that have moved towards what they find.

    Section 3.4 of [Radenovic et al. 2018](https://arxiv.org/abs/1711.02512):
    ``q' = normalise(q + sum_j max(cos_j, 0)^alpha x_j)`` over the k nearest index images, all of length 1.
    Search again with the result.

    Args:
        query: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D).
        k: Images that take part.
        alpha: How much less farther images count; 0 for the plain mean.
        exclude_same_id: As for ``landmarkzoo.search``: an image is not its own neighbour.
        device: Where the products are computed; the CPU unless told otherwise.

    Returns:
        The expanded queries, of length 1: Descriptors for Descriptors, an array for an array.

    Raises:
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> index = np.array([[0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        >>> lz.rerank.alpha_query_expansion(np.array([[1.0, 0.0]]), index, k=2).round(6)
        array([[0.954656, 0.29771 ]], dtype=float32)
    """
    if check_number(alpha, "alpha") < 0:
        raise ValueError(f"alpha must not be negative, got {alpha}; 3 is usual")
    query, index = descriptors_of(query), descriptors_of(index)
    found = search(query, index, k, exclude_same_id=exclude_same_id, device=device)
    weights = np.where(found.indices >= 0, found.scores.clip(min=0.0).astype(np.float64) ** alpha, 0.0)
    q, x = as_vectors(query, "query"), as_rows(index, "index")
    expanded = np.empty_like(q)
    for block, sums in _weighted_sums(x, found.indices, weights):
        expanded[block] = unit(unit(q[block]) + sums)
    return _like_input(query, expanded)


def database_augmentation(
    index: Vectors, *, k: int = 10, device: str | torch.device | None = None
) -> Vectors:
    """Index images that have moved towards their neighbours.

    Gordo et al. 2017, "End-to-end learning of deep visual representations", section 5.4:
    ``x' = sum_r w_r x_r`` over the image itself, r = 0, and its k - 1 nearest others, all of length 1, with
    weights ``logspace(0, -1.5, k)`` that are divided by their sum. The result is shorter than 1, which
    search, voting and re-ranking do not mind.

    Args:
        index: Descriptors or an array (N, D).
        k: Images that take part, the image itself among them.
        device: Where the products are computed; the CPU unless told otherwise.

    Returns:
        The augmented index: Descriptors for Descriptors, an array for an array.

    Raises:
        ValueError: If the index is empty, or k is not positive.

    Examples:
        >>> index = np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
        >>> lz.rerank.database_augmentation(index, k=2).round(4)
        array([[ 0.9877,  0.0245],
               [ 0.6123,  0.7755],
               [-0.951 ,  0.0245]], dtype=float32)
    """
    index = descriptors_of(index)
    x, k = as_vectors(index, "index"), check_count(k, "k")
    if len(x) == 0:
        raise ValueError("the index is empty: there is nothing to augment")
    count = min(k, len(x))
    weights = 10 ** (-1.5 * np.arange(count) / max(1, k - 1))  # the first of logspace(0, -1.5, k)
    rows = np.arange(len(x))[:, None]
    if count > 1:
        rows = np.concatenate([rows, search_others(x, count - 1, device=device).indices], axis=1)
    weights = np.broadcast_to(weights / weights.sum(), rows.shape)
    augmented = np.empty_like(x)
    for block, sums in _weighted_sums(VectorRows(x), rows, weights):
        augmented[block] = sums
    return _like_input(index, augmented)


def _weighted_sums(
    x: VectorRows, rows: IntArray, weights: NDArray[np.float64]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """``sum_j weights[i, j] x[rows[i, j]]`` with vectors of length 1: blocks of rows i and their (n, D)."""
    step = max(1, _BLOCK_VALUES // (rows.shape[1] * x.shape[1]))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        neighbors = unit(x.take(np.maximum(rows[block], 0)))  # (n, k, D)
        yield block, np.einsum("nk,nkd->nd", weights[block], neighbors)


def _like_input(before: Vectors, vectors: FloatArray) -> Vectors:
    if isinstance(before, Descriptors):
        return Descriptors(before.ids, vectors, before.skipped, before.provenance)
    return vectors
