"""Rankings of several models by the sum of their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landmarkzoo._utils.checks import FloatArray, IntArray, check_count
from landmarkzoo._utils.unicode_names import nfc
from landmarkzoo.retrieval.ranking import Ranking


def sum_scores(rankings: Sequence[Ranking], *, per_model: int = 750, k: int = 100) -> Ranking:
    """Add up the scores that several models give an image; a model that does not list it gives 0.

    Section 2.4.1 of [Henkel 2021](https://arxiv.org/abs/2110.03786). Scores are taken as they are: the models
    must score alike, as re-ranked ones do. Ties go to the image that more models list, then to the smaller
    row.

    Args:
        rankings: Of the same queries in the same index.
        per_model: Results of each model that count.
        k: How many come back; rows with fewer end in -1, score -inf.

    Raises:
        TypeError: If ``rankings`` is not a list of rankings.
        ValueError: If there is no ranking, they are of different queries or indexes, or a score is infinite.

    Examples:
        >>> one = lz.Ranking([[0, 1, 2]], [[0.9, 0.8, 0.7]])
        >>> other = lz.Ranking([[2, 0, 3]], [[0.95, 0.5, 0.45]])
        >>> r = lz.ensemble.sum_scores([one, other])
        >>> r.indices, r.scores
        (array([[2, 0, 1, 3]]), array([[1.65, 1.4 , 0.8 , 0.45]], dtype=float32))
    """
    given: object = rankings  # a ranking is a sequence of rankings of one query each
    if isinstance(given, Ranking):
        raise TypeError("sum_scores takes a list of rankings: [ranking], not ranking")
    rankings = list(rankings)
    _check(rankings)
    per_model, k = check_count(per_model, "per_model"), check_count(k, "k")
    rows = []
    for query in range(len(rankings[0])):
        indices = np.concatenate([r.indices[query, :per_model] for r in rankings])
        scores = np.concatenate([r.scores[query, :per_model] for r in rankings])
        if np.isinf(scores[indices >= 0]).any():
            raise ValueError(f"query {query} has infinite scores, which do not add up")
        rows.append(_sum(indices, scores, k))
    width = max((len(found) for found, _ in rows), default=0)
    best, sums = np.full((len(rows), width), -1), np.full((len(rows), width), -np.inf, dtype=np.float32)
    for row, (found, total) in enumerate(rows):
        best[row, : len(found)], sums[row, : len(found)] = found, total
    return Ranking(
        best,
        sums,
        next((r.query_ids for r in rankings if r.query_ids is not None), None),
        next((r.index_ids for r in rankings if r.index_ids is not None), None),
    )


def _sum(indices: IntArray, scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The best k images of one query, best first, and their sums."""
    listed = indices >= 0
    found, place, models = np.unique(indices[listed], return_inverse=True, return_counts=True)
    total = np.zeros(len(found))
    np.add.at(total, place, scores[listed].astype(np.float64))
    sums = total.astype(np.float32)
    order = np.lexsort((found, -models, -sums))[:k]
    return found[order], sums[order]


def _check(rankings: list[Ranking]) -> None:
    if not rankings:
        raise ValueError("sum_scores needs at least one ranking, got an empty list")
    for n, ranking in enumerate(rankings):
        if not isinstance(ranking, Ranking):
            raise TypeError(f"rankings[{n}] must be a Ranking, got {type(ranking).__name__}")
        if len(ranking) != len(rankings[0]):
            raise ValueError(f"ranking 0 has {len(rankings[0])} queries, ranking {n} has {len(ranking)}")
        for what in ("query_ids", "index_ids"):
            one, other = getattr(rankings[0], what), getattr(ranking, what)
            if one is not None and other is not None and one != other and not _same_names(one, other):
                raise ValueError(
                    f"rankings 0 and {n} have different {what}: all must be of the same photos in the same "
                    "order. Embed the same list of photos with each model."
                )


def _same_names(one: list[str], other: list[str]) -> bool:
    """Whether the ids are the same photos, be they spelled in one Unicode form or the other."""
    return len(one) == len(other) and all(nfc(a) == nfc(b) for a, b in zip(one, other))
