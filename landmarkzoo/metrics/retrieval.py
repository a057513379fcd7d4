"""Metrics of retrieval."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo.metrics.truth import as_label_sets
from landmarkzoo.retrieval.arrays import check_count


def mean_average_precision(
    indices: NDArray[Any] | Tensor | Sequence[Sequence[int]],
    relevant: Sequence[Collection[int]],
    *,
    k: int = 100,
    skip_empty: bool = False,
) -> float:
    """Mean average precision at k, the metric of Google Landmark Retrieval (GLDv2 paper, section 5.2).

    ``AP = 1/min(m, k) sum_{i<=k} P(i) rel(i)`` with ``m`` the number of relevant images of the query, found
    or not: dividing by the number found, as some libraries do, rewards short lists. An image that is listed
    again keeps its place but counts once.

    Args:
        indices: Ranked index rows (Q, K), best first; -1 is padding.
        relevant: Relevant index rows of each query.
        k: Depth.
        skip_empty: Leave out queries without relevant images instead of refusing them.

    Returns:
        The mean over queries, in [0, 1].

    Raises:
        TypeError: If a truth is no collection of integers.
        ValueError: If shapes do not fit, or a query has no relevant image and ``skip_empty`` is off, or
            no query is left.

    Example:
        >>> lz.metrics.mean_average_precision([[5, 0], [0, -1]], [[0, 1], [0]], k=100)
        0.625
    """
    sets = as_label_sets(relevant, "relevant")
    ranked = _as_rows(indices, len(sets))
    k = check_count(k, "k")
    negative = [row for row, truth in enumerate(sets) if truth and min(truth) < 0]
    if negative:
        raise ValueError(f"relevant[{negative[0]}] has a negative index row; -1 is the padding of indices")
    empty = [row for row, truth in enumerate(sets) if not truth]
    if empty and not skip_empty:
        raise ValueError(
            f"query {empty[0]} ({len(empty)} in all) has no relevant image, so its AP is not defined: "
            "leave such queries out with skip_empty=True"
        )
    precisions = [_average_precision(row[:k], truth, k) for row, truth in zip(ranked, sets) if truth]
    if not precisions:
        raise ValueError("mAP is not defined: no query has a relevant image")
    return float(np.mean(precisions))


def _as_rows(indices: Any, queries: int) -> NDArray[np.int64]:
    """Integer array (queries, K), K may be 0."""
    try:
        rows = indices.detach().cpu().numpy() if isinstance(indices, Tensor) else np.asarray(indices)
    except ValueError as error:  # rows of different lengths
        raise ValueError("the rows of indices have different lengths: pad short ones with -1") from error
    if rows.ndim != 2 or len(rows) != queries or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(
            f"indices must be integers of shape ({queries}, K), a row for each entry of relevant, got "
            f"{rows.dtype} {rows.shape}; pad short rows with -1"
        )
    return rows.astype(np.int64)


def _average_precision(ranked: NDArray[Any], relevant: set[int], k: int) -> float:
    hits, total = set[int](), 0.0
    for place, image in enumerate(ranked.tolist(), start=1):
        if image in relevant and image not in hits:
            hits.add(image)
            total += len(hits) / place
    return total / min(len(relevant), k)
