"""Average precision at k, the metric of Google Landmark Retrieval."""

from __future__ import annotations

import numpy as np

from landmarkzoo.metrics.ground_truth import FloatValues, Rankings, Relevant, relevant_hits, shares


def average_precisions(indices: Rankings, relevant: Relevant, *, k: int = 100) -> FloatValues:
    """Average precision at k of each query: the values whose mean is ``mean_average_precision``.

    That function has the definition and the arguments.

    Returns:
        Values (Q,) in [0, 1]; NaN for a query without relevant image.

    Raises:
        TypeError: If an entry of ``relevant`` is not a collection of integers.
        ValueError: If shapes do not fit, a row is negative or not in the index, or k is not
            positive.

    Examples:
        >>> lz.metrics.average_precisions([[5, 0], [0, -1], [3, 4]], [[0, 1], [0], []])
        array([0.25, 1.  ,  nan])
    """
    hits, counts = relevant_hits(indices, relevant, k)
    precisions = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return shares((precisions * hits).sum(axis=1), np.minimum(counts, k))


def mean_average_precision(
    indices: Rankings,
    relevant: Relevant,
    *,
    k: int = 100,
    skip_empty: bool = False,
) -> float:
    """Mean average precision at k, the metric of Google Landmark Retrieval.

    Section 5.2 of [Weyand et al. 2020](https://arxiv.org/abs/2004.01804):
    ``AP = 1/min(m, k) sum_{i<=k} P(i) rel(i)`` with ``m`` the number of relevant images of the query, found
    or not, and ``P(i)`` the precision among the first i. Dividing by the number found, as some libraries do,
    rewards short lists. An image that is listed again keeps its place but counts once.
    ``average_precisions`` gives the value of each query.

    Args:
        indices: A ``Ranking``, or ranked index rows (Q, K), best first; -1 is padding.
        relevant: Relevant index rows of each query.
        k: Depth.
        skip_empty: Leave out queries without relevant images instead of refusing them.

    Returns:
        The mean over queries, in [0, 1].

    Raises:
        TypeError: If an entry of ``relevant`` is not a collection of integers.
        ValueError: If shapes do not fit, a row is negative or not in the index, a query has no
            relevant image and ``skip_empty`` is off, or no query is left.

    Examples:
        >>> lz.metrics.mean_average_precision([[5, 0], [0, -1]], [[0, 1], [0]], k=100)
        0.625
        >>> ranking = lz.search(np.eye(3)[:2], np.eye(3))
        >>> lz.metrics.mean_average_precision(ranking, [[0], [1]])
        1.0
    """
    values = average_precisions(indices, relevant, k=k)
    empty = np.flatnonzero(np.isnan(values))
    if len(empty) == len(values):
        raise ValueError("mAP is not defined: no query has a relevant image")
    if len(empty) and not skip_empty:
        raise ValueError(
            f"query {empty[0]} ({len(empty)} in all) has no relevant image, so its AP is not defined: "
            "leave such queries out with skip_empty=True"
        )
    return float(np.nanmean(values))
