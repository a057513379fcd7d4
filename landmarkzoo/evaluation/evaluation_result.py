"""The result of every evaluation, and how the protocols make one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import check_count
from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.metrics import Interval, Score, bootstrap
from landmarkzoo.metrics.ground_truth import FloatValues
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors, descriptors_of


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores with their protocol, their confidence intervals, and the value of each query.

    Args:
        scores: Each metric with its value and protocol.
        intervals: Confidence interval of each, by metric.
        per_query: Values (Q,) of each, by metric; NaN where the metric is not defined for a query.
        query_ids: Ids of the queries, or row numbers.
        provenance: Where the descriptors come from: model, weights fingerprint, transform.

    Raises:
        ValueError: If a metric is given twice, or the parts do not fit each other.

    Examples:
        >>> ranking = lz.search(np.eye(3), np.eye(3), k=2)
        >>> print(lz.evaluation.score_retrieval(ranking, [[0], [0], [2]], k=2, data="unit vectors"))
        mAP@2       0.833 [0.500, 1.000]
        recall@2    1.000 [1.000, 1.000]
        hit rate@1  0.667 [0.000, 1.000]
        <BLANKLINE>
        Protocol: unit vectors; 3 queries, the first 2 results of each.
        In brackets: 95% of the bootstrap over queries.
    """

    scores: tuple[Score, ...]
    intervals: dict[str, Interval]
    per_query: dict[str, NDArray[np.float64]]
    query_ids: list[str]
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", tuple(self.scores))
        names = self.metrics
        for metric in names:
            if names.count(metric) > 1:
                raise ValueError(f"{metric} is given twice: an evaluation has one score for each metric")
        for part in ("intervals", "per_query"):
            if set(getattr(self, part)) != set(names):
                raise ValueError(f"{part} must be of the metrics {names}, got {list(getattr(self, part))}")
        for metric, values in self.per_query.items():
            if np.shape(values) != (len(self.query_ids),):
                raise ValueError(
                    f"the values of {metric} must have shape ({len(self.query_ids)},), got {np.shape(values)}"
                )

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return [score.metric for score in self.scores]

    def __getitem__(self, metric: str) -> float:
        """Value of a metric.

        Raises:
            KeyError: If the evaluation does not have this metric.
        """
        return self.scores[self._row(metric)].value

    def worst(self, metric: str, count: int = 10) -> list[tuple[str, float]]:
        """Ids and values of the queries with the lowest values, worst first: the errors to look at.

        Args:
            metric: Name of the metric.
            count: How many. Queries for which the metric is not defined are left out.

        Raises:
            KeyError: If the evaluation does not have this metric.
            ValueError: If ``count`` is not a positive integer.
        """
        self._row(metric)
        values = self.per_query[metric]
        order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]  # NaN is sorted last
        return [(self.query_ids[row], float(values[row])) for row in order[: check_count(count, "count")]]

    def __str__(self) -> str:
        width = max(len(metric) for metric in self.metrics)
        lines = [f"{metric:<{width}}  {self.intervals[metric]}" for metric in self.metrics]
        level = f"{100 * self.intervals[self.metrics[0]].level:g}%"
        protocols: dict[str, list[str]] = {}
        for score in self.scores:
            protocols.setdefault(score.protocol, []).append(score.metric)
        shared = len(protocols) == 1
        notes = [f"{'Protocol' if shared else ', '.join(of)}: {text}." for text, of in protocols.items()]
        notes.append(f"In brackets: {level} of the bootstrap over queries.")
        if "model" in self.provenance:
            notes.append(f"Model: {self.provenance['model']}, weights {self.provenance.get('weights')}.")
        wrapped = [fill(note, 100, break_long_words=False, break_on_hyphens=False) for note in notes]
        return "\n".join([*lines, "", *wrapped])

    def __repr__(self) -> str:
        scores = ", ".join(f"{metric} {self.intervals[metric]}" for metric in self.metrics)
        return f"Evaluation({scores}; {len(self.query_ids)} queries)"

    def to_dict(self) -> dict[str, Any]:
        """All values as numbers, strings, lists and dictionaries, ready for JSON; NaN becomes ``None``."""
        return {
            "scores": [
                {
                    "metric": score.metric,
                    "value": score.value,
                    "low": self.intervals[score.metric].low,
                    "high": self.intervals[score.metric].high,
                    "level": self.intervals[score.metric].level,
                    "protocol": score.protocol,
                }
                for score in self.scores
            ],
            "provenance": dict(self.provenance),
            "query_ids": list(self.query_ids),
            "per_query": {
                metric: [None if np.isnan(value) else float(value) for value in self.per_query[metric]]
                for metric in self.metrics
            },
        }

    def to_json(self, path: str | Path) -> None:
        """Write ``to_dict`` to a JSON file, whole or not at all.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False), encoding="utf-8")

    def _row(self, metric: str) -> int:
        if metric not in self.metrics:
            near = did_you_mean(metric, self.metrics)
            raise KeyError(f"no metric {metric!r}; the metrics are {', '.join(self.metrics)}.{near}")
        return self.metrics.index(metric)


def join(parts: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of the same queries by different metrics as one.

    Raises:
        ValueError: If ``parts`` is empty, the queries differ, or two have a metric in common.
    """
    if not parts or any(part.query_ids != parts[0].query_ids for part in parts):
        raise ValueError("only evaluations of the same queries, in the same order, can be joined")
    return Evaluation(
        tuple(score for part in parts for score in part.scores),
        {metric: interval for part in parts for metric, interval in part.intervals.items()},
        {metric: values for part in parts for metric, values in part.per_query.items()},
        parts[0].query_ids,
        parts[0].provenance,
    )


def evaluation_of_means(
    per_query: Mapping[str, FloatValues],
    protocols: Mapping[str, str],
    query_ids: list[str] | None,
    *,
    resamples: int,
    seed: int,
) -> Evaluation:
    """Evaluation by metrics that are means over queries.

    Args:
        per_query: Values (Q,) by metric; NaN where it is not defined, which the mean leaves out.
        protocols: Protocol by metric.
        query_ids: Ids of the queries; ``None`` for row numbers.
        resamples: Resamples of the bootstrap.
        seed: Its seed.
    """
    intervals = {
        metric: bootstrap(values, resamples=resamples, seed=seed) for metric, values in per_query.items()
    }
    scores = tuple(Score(metric, intervals[metric].value, protocols[metric]) for metric in per_query)
    queries = len(next(iter(per_query.values())))
    return Evaluation(scores, intervals, dict(per_query), query_ids or [str(row) for row in range(queries)])


def with_provenance(result: Evaluation, queries: Vectors) -> Evaluation:
    """The evaluation with the provenance of the descriptors of its queries; arrays have no provenance."""
    queries = descriptors_of(queries)
    return replace(result, provenance=queries.provenance if isinstance(queries, Descriptors) else {})


def join_clauses(*parts: str) -> str:
    """The protocol as one text; empty parts are left out.

    Examples:
        >>> join_clauses("GLDv2", "", "3 queries")
        'GLDv2; 3 queries'
    """
    return "; ".join(part for part in parts if part)
