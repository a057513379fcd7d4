"""Pairs of photos whose descriptors are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, IntArray, check_number, unit
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors

_BLOCK = 2048  # rows: products of two blocks are 16 MB


def similar_photos(
    descriptors: StoredDescriptors, threshold: float, progress: bool = False
) -> list[tuple[str, str, float]]:
    """Pairs of photos by id with their cosine; see ``similar_pairs``."""
    one, other, cosines = similar_pairs(descriptors.stored, threshold, progress)
    ids = descriptors.ids
    return [(ids[a], ids[b], c) for a, b, c in zip(one.tolist(), other.tolist(), cosines.tolist())]


def similar_pairs(
    stored: StoredVectors, threshold: float, progress: bool = False
) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs of rows, each once, whose cosine is at least a threshold; the most similar first.

    Blocks of float32 products find the pairs that could be; their cosines are then computed in float64.
    Memory is that of a few blocks, and of the result.

    Args:
        stored: Vectors (N, D).
        threshold: The least cosine.
        progress: Show a progress bar on stderr, if it takes more than two seconds.

    Returns:
        The smaller row of each pair (P,), the larger one, and the cosine; ties by the rows.

    Raises:
        TypeError: If ``threshold`` is no number.
        ValueError: If it is more than 1, which no cosine is.

    Examples:
        >>> from landmarkzoo.index.near_duplicates import similar_pairs
        >>> x = np.array([[1, 0], [0, 1], [2, 0]], np.float32)
        >>> from landmarkzoo.retrieval.stored_vectors import StoredVectors
        >>> similar_pairs(StoredVectors([x], [None]), 0.9)
        (array([0]), array([2]), array([1.], dtype=float32))
    """
    if check_number(threshold, "threshold") > 1:
        raise ValueError(f"threshold must be a cosine, at most 1, got {threshold}")
    found = list(_pairs(stored, threshold, progress))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    one, other, cosines = (np.concatenate(parts) for parts in zip(*found))
    order = np.lexsort((other, one, -cosines))
    return one[order], other[order], cosines[order]


def _pairs(
    stored: StoredVectors, threshold: float, progress: bool
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    count, dimensions = stored.shape
    margin = (dimensions + 16) * 2.0**-23  # of a float32 product of two unit vectors
    pairs = count * (count - 1) // 2
    with tqdm(total=pairs, desc="duplicates", unit=" pairs", disable=not progress, delay=2) as bar:
        for start in range(0, count, _BLOCK):
            block = _unit_block(stored, start)
            for begin in range(start, count, _BLOCK):
                others = block if begin == start else _unit_block(stored, begin)
                products = block.astype(np.float32) @ others.astype(np.float32).T
                rows, columns = np.nonzero(products >= threshold - margin)
                once = (columns > rows) if begin == start else np.ones(len(rows), bool)
                rows, columns = rows[once], columns[once]
                cosines = _exact(block, others, rows, columns)
                enough = cosines >= np.float32(threshold)
                yield rows[enough] + start, columns[enough] + begin, cosines[enough]
                size = len(block)
                bar.update(size * (size - 1) // 2 if begin == start else size * len(others))


def _unit_block(stored: StoredVectors, start: int) -> NDArray[np.float64]:
    return unit(stored.block(start, min(start + _BLOCK, len(stored))))


def _exact(
    block: NDArray[np.float64], others: NDArray[np.float64], rows: IntArray, columns: IntArray
) -> FloatArray:
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK):  # nearly all pairs of two blocks could be similar
        some = slice(start, start + _BLOCK)
        cosines[some] = np.einsum("ij,ij->i", block[rows[some]], others[columns[some]])
    return cosines
