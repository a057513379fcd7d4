"""From values a query to an evaluation: the mean, its interval, its protocol."""

from __future__ import annotations

from collections.abc import Mapping

from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.metrics import Score, bootstrap
from landmarkzoo.metrics.ground_truth import FloatValues


def evaluation_of_means(
    per_query: Mapping[str, FloatValues],
    protocols: Mapping[str, str],
    query_ids: list[str] | None,
    *,
    resamples: int,
    seed: int,
) -> Evaluation:
    """Evaluation by metrics that are means over the queries for which they are defined.

    Args:
        per_query: Values (Q,) by metric, NaN where it is not defined.
        protocols: Protocol by metric.
        query_ids: Ids of the queries, where known.
        resamples: Resamples of the bootstrap.
        seed: Its seed.
    """
    intervals = {
        metric: bootstrap(values, resamples=resamples, seed=seed) for metric, values in per_query.items()
    }
    scores = tuple(Score(metric, intervals[metric].value, protocols[metric]) for metric in per_query)
    queries = len(next(iter(per_query.values())))
    return Evaluation(scores, intervals, dict(per_query), query_ids or [str(row) for row in range(queries)])


def join_clauses(*parts: str) -> str:
    """Parts of a protocol that are not empty, one after another.

    Examples:
        >>> join_clauses("GLDv2", "", "3 queries")
        'GLDv2; 3 queries'
    """
    return "; ".join(part for part in parts if part)
