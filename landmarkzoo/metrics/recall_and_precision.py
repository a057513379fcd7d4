"""Recall, precision and hit rate of the first k results."""

from __future__ import annotations

import numpy as np

from landmarkzoo.metrics.ground_truth import FloatValues, Rankings, Relevant, relevant_hits, shares


def recall_at_k(indices: Rankings, relevant: Relevant, k: int) -> FloatValues:
    """Recall at k of each query: ``found among the first k / relevant``.

    The share of the relevant images that is found, as in information retrieval. A query with more than k
    relevant images cannot reach 1. Papers on metric learning call something else recall@k: whether any
    relevant image is among the first k, which is ``hit_rate_at_k`` here.

    Args:
        indices: A ``Ranking``, or ranked index rows (Q, K), best first; -1 is padding. An image that is
            listed again counts once.
        relevant: Relevant index rows of each query.
        k: Depth. A ranking may have fewer results: what it does not list is not found. A warning says so
            where the index has more.

    Returns:
        Values (Q,) in [0, 1]; NaN for a query without relevant image.

    Raises:
        TypeError: If an entry of ``relevant`` is not a collection of integers.
        ValueError: If shapes do not fit, a row is negative or not in the index, or k is not
            positive.

    Examples:
        >>> lz.metrics.recall_at_k([[5, 0, 1], [2, 3, 4]], [[0, 1, 9], []], 2)
        array([0.33333333,        nan])
    """
    hits, counts = relevant_hits(indices, relevant, k)
    return shares(hits.sum(axis=1), counts)


def precision_at_k(indices: Rankings, relevant: Relevant, k: int) -> FloatValues:
    """Precision at k of each query: ``found among the first k / k``.

    Divided by k also where fewer results are listed or fewer images are relevant, so a query with fewer than
    k relevant images cannot reach 1. The Revisited protocol stops at the last relevant image instead: see
    ``revisited``. Arguments, result and errors are those of ``recall_at_k``.

    Examples:
        >>> lz.metrics.precision_at_k([[5, 0, 1], [2, 3, 4]], [[0, 1, 9], []], 2)
        array([0.5, nan])
    """
    hits, counts = relevant_hits(indices, relevant, k)
    return shares(hits.sum(axis=1), np.where(counts > 0, k, 0))


def hit_rate_at_k(indices: Rankings, relevant: Relevant, k: int) -> FloatValues:
    """Hit at k of each query: 1 if any relevant image is among the first k, otherwise 0.

    The mean is the hit rate at k, which papers on metric learning call recall@k. Arguments, result and errors
    are those of ``recall_at_k``.

    Examples:
        >>> lz.metrics.hit_rate_at_k([[5, 0, 1], [2, 3, 4]], [[0, 1, 9], []], 2)
        array([ 1., nan])
    """
    hits, counts = relevant_hits(indices, relevant, k)
    return shares(np.minimum(hits.sum(axis=1), 1), np.minimum(counts, 1))
