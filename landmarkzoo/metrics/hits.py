"""What all metrics of retrieval begin with: which results are right."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import IntArray, check_count
from landmarkzoo.metrics.ground_truth import Rankings, as_index_sets, as_rankings

FloatValues = NDArray[np.float64]


def relevant_hits(
    indices: Rankings, relevant: Sequence[Collection[int]], k: int
) -> tuple[NDArray[np.bool_], IntArray]:
    """Which of the first ``k`` results are relevant, and how many images are relevant at all.

    An image that is listed again keeps its place but is no second hit; padding is never one.

    Args:
        indices: Ranked index rows (Q, K), best first; -1 is padding.
        relevant: Relevant index rows of each query, duplicates count once.
        k: Depth.

    Returns:
        Hits (Q, min(k, K)) and the number of relevant images (Q,).

    Raises:
        TypeError: If an entry of ``relevant`` is no collection of integers.
        ValueError: If shapes do not fit, a relevant row is negative, or k is not positive.

    Examples:
        >>> hits, counts = relevant_hits([[5, 5, 0]], [[0, 5, 9]], k=10)
        >>> hits, counts
        (array([[ True, False,  True]]), array([3]))
    """
    sets = as_index_sets(relevant, "relevant")
    ranked = as_rankings(indices, len(sets), "indices", "relevant")[:, : check_count(k, "k")]
    hits = np.zeros(ranked.shape, dtype=bool)
    for query, truth in enumerate(sets):
        missing = set(truth)
        for place, image in enumerate(ranked[query].tolist() if missing else ()):
            if image in missing:
                missing.remove(image)
                hits[query, place] = True
    return hits, np.array([len(truth) for truth in sets], dtype=np.int64)


def shares(found: FloatValues | IntArray, of: IntArray) -> FloatValues:
    """``found / of`` (Q,), NaN where ``of`` is 0: for such a query the metric is not defined.

    Examples:
        >>> shares(np.array([1, 0]), np.array([2, 0]))
        array([0.5, nan])
    """
    values = np.full(len(of), np.nan)
    np.divide(found, of, out=values, where=of > 0)
    return values
