"""How far a score would move with other queries: bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import IntArray, as_numpy, check_count
from landmarkzoo.metrics.ground_truth import FloatValues
from landmarkzoo.metrics.scores import Interval

Values: TypeAlias = "NDArray[np.floating] | Tensor | Sequence[float]"
Statistic: TypeAlias = Callable[[IntArray], float]


@overload
def bootstrap(
    values: Values, n: None = None, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval: ...


@overload
def bootstrap(
    values: Statistic, n: int, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval: ...


def bootstrap(
    values: Values | Statistic,
    n: int | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Confidence interval by the percentile bootstrap: queries are drawn anew with replacement.

    ``bootstrap(values)`` is for the mean of values a query, such as those of ``average_precisions``;
    ``bootstrap(statistic, n)`` for any function of the rows of ``n`` queries or images, such as
    ``gap_statistic``. The ends are the ``(1 - level) / 2`` and ``(1 + level) / 2`` quantiles of the
    statistic over the resamples. It answers what other queries of the same kind would have given; the index
    and the model stay as they are.

    To compare two models on the same queries, look at the interval of the difference,
    ``bootstrap(values_a - values_b)``: what is hard for both cancels out.

    Args:
        values: Values (Q,), where NaN (a query for which the metric is not defined) is left out; or a
            function from rows, an integer array (n,) with repetitions, to a number. A resample for which it
            gives NaN is left out.
        n: Number of queries or images, for a function.
        resamples: How many times they are drawn.
        level: Share of the resamples between the ends.
        seed: The same seed gives the same interval.

    Returns:
        The statistic on all queries with its interval.

    Raises:
        TypeError: If ``n`` is missing for a function, or given for values.
        ValueError: If there is nothing to draw from, or an option is out of range.

    Examples:
        >>> values = lz.metrics.average_precisions([[0], [1], [2], [2]], [[0], [1], [0], [2]])
        >>> print(lz.metrics.bootstrap(values))
        0.750 [0.250, 1.000]
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}")
    count = check_count(resamples, "resamples")
    statistic, size = _as_statistic(values, n)
    value = float(statistic(np.arange(size)))
    if np.isnan(value):
        raise ValueError("the statistic is NaN on all rows: there is no score to give an interval for")
    random = np.random.default_rng(seed)
    drawn = np.array([statistic(random.integers(size, size=size)) for _ in range(count)], dtype=np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0:
        raise ValueError(f"the statistic is NaN on all {count} resamples")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


def _as_statistic(values: Values | Statistic, n: int | None) -> tuple[Statistic, int]:
    """A function of rows, and how many rows there are."""
    if callable(values):
        if n is None:
            raise TypeError("bootstrap of a function needs the number of rows: bootstrap(statistic, n)")
        return values, check_count(n, "n")
    if n is not None:
        raise TypeError("n is for a function of rows; values (Q,) need no n")
    given = as_numpy(values)
    if given.size and given.dtype.kind not in "fiub":
        raise TypeError(f"values must be numbers, one a query, got dtype {given.dtype}")
    array = given.astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"values must have shape (Q,), one a query, got {array.shape}")
    defined: FloatValues = array[~np.isnan(array)]
    if np.isinf(defined).any():
        row = int(np.isinf(array).argmax())
        raise ValueError(f"the value of query {row} is {array[row]}: values must be finite, or NaN")
    if len(defined) == 0:
        raise ValueError(f"none of {len(array)} queries has a value: there is nothing to draw from")
    return lambda rows: float(defined[rows].mean()), len(defined)
