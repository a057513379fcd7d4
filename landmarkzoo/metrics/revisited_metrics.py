"""Revisited Oxford and Paris: easy, medium and hard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from landmarkzoo._utils.checks import IntArray, check_count
from landmarkzoo.metrics.ground_truth import FloatValues, Rankings, as_index_sets, as_rankings

_KINDS = ("easy", "hard", "junk")
# Which images a set-up looks for; those of the other kinds are taken out of the ranking.
POSITIVES = {"easy": ("easy",), "medium": ("easy", "hard"), "hard": ("hard",)}


def revisited(
    ranks: Rankings, gnd: Sequence[Mapping[str, Any]], *, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, dict[str, float]]:
    """MAP and mP@k of Revisited Oxford and Paris, each for easy, medium and hard.

    The protocol of [Radenovic et al. 2018](https://arxiv.org/abs/1803.11285). Easy looks for the easy images,
    medium for easy and hard ones, hard for the hard ones; the others of easy, hard and junk are taken out of
    the ranking. With ``r_j`` the rank, from 0, of the j-th positive (j from 0) in what is left, and ``n`` the
    number of positives, AP is the area under the precision-recall curve by trapezoids:
    ``AP = 1/(2n) sum_j (j / r_j + (j + 1) / (r_j + 1))``, where ``j / r_j`` is 1 for ``r_j = 0``. Precision
    at k is that at ``min(rank of the last positive, k)``, so that few positives do not bound it.

    Both differ from ``mean_average_precision`` and ``precision_at_k``. On full rankings the values
    are those of the official code; on shorter ones, a positive that is not listed counts as ranked behind all
    others and beyond k, where the official code would stop at the last one found.

    Args:
        ranks: A ``Ranking``, or ranked index rows (Q, N), best first, a query a row (the official code has a
            query a column); -1 is padding. An image that is listed again keeps its place but counts once.
        gnd: For each query a dictionary with index rows ``easy``, ``hard`` and ``junk``; other keys, such as
            ``bbx``, are not read.
        ks: Depths of the precisions.

    Returns:
        ``{"easy": {"map": ..., "mp@1": ...}, "medium": ..., "hard": ...}``, means over the queries that have
        positives in that set-up; NaN where no query has.

    Raises:
        TypeError: If an entry of ``gnd`` is not a dictionary of integers.
        ValueError: If shapes do not fit, a list is missing or has negative rows, an image is in two lists, or
            a depth is not positive.

    Examples:
        >>> gnd = [{"easy": [0, 1], "hard": [2, 6], "junk": [3]}]
        >>> scores = lz.metrics.revisited([[7, 0, 3, 1, 5, 2, 4, 6]], gnd)
        >>> round(scores["medium"]["map"], 4), scores["medium"]["mp@5"]
        (0.4798, 0.6)
    """
    return {
        setup: {f"m{name}": _mean(column) for name, column in values.items()}
        for setup, values in revisited_values(ranks, gnd, ks=ks).items()
    }


def revisited_values(
    ranks: Rankings, gnd: Sequence[Mapping[str, Any]], *, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, dict[str, FloatValues]]:
    """Average precision and precisions at k of each query: the values whose means ``revisited`` gives.

    Arguments and errors are those of ``revisited``.

    Returns:
        ``{"easy": {"ap": (Q,), "p@1": (Q,), ...}, "medium": ..., "hard": ...}``; NaN for a query without
        positives in that set-up.

    Examples:
        >>> gnd = [{"easy": [1], "hard": [], "junk": [0]}, {"easy": [2], "hard": [0], "junk": []}]
        >>> lz.metrics.revisited_values([[0, 1, 2], [0, 1, 2]], gnd, ks=[1])["easy"]
        {'ap': array([1.  , 0.25]), 'p@1': array([1., 0.])}
    """
    kinds = as_kinds(gnd, ranks)
    rows = as_rankings(ranks, len(kinds), "ranks", "gnd")
    if not np.iterable(ks):
        raise TypeError(f"ks must be a list of depths, got {ks!r}; one depth is [k]")
    depths = [check_count(k, "each of ks") for k in ks]
    names = ["ap", *(f"p@{k}" for k in depths)]
    tables = {setup: np.full((len(kinds), len(names)), np.nan) for setup in POSITIVES}
    for query, (ranked, truth) in enumerate(zip(rows, kinds)):
        for setup, looked_for in POSITIVES.items():
            positives = set().union(*(truth[kind] for kind in looked_for))
            junk = set().union(*(truth[kind] for kind in _KINDS if kind not in looked_for))
            if positives:
                tables[setup][query] = _query_values(ranked, positives, junk, depths)
    return {setup: dict(zip(names, table.T)) for setup, table in tables.items()}


def _query_values(ranked: IntArray, positives: set[int], junk: set[int], ks: Sequence[int]) -> list[float]:
    """AP and precisions of one query; ``ranked`` (N,)."""
    ranked = ranked[~np.isin(ranked, list(junk))]
    places = np.flatnonzero(np.isin(ranked, list(positives)))  # from 0, ascending
    _, first = np.unique(ranked[places], return_index=True)
    places = places[np.sort(first)]
    before = np.arange(len(places))  # positives above each
    above = np.divide(before, places, out=np.ones(len(places)), where=places > 0)
    average = float((above + (before + 1) / (places + 1)).sum() / (2 * len(positives)))
    complete = len(places) == len(positives)
    depths = [min(int(places[-1]) + 1, k) if complete else k for k in ks]
    return [average, *(float((places < depth).sum() / depth) for depth in depths)]


def as_kinds(gnd: Sequence[Mapping[str, Any]], ranks: Rankings = ()) -> list[dict[str, set[int]]]:
    """For each query the index rows that are easy, hard and junk, checked.

    Args:
        gnd: For each query a dictionary with index rows ``easy``, ``hard`` and ``junk``.
        ranks: The rankings beside it; a ``Ranking`` that knows its index knows which rows there are.

    Raises:
        TypeError: If an entry is not a dictionary of collections of integers.
        ValueError: If a list is missing or has rows that are negative or not in the index, or an image is in
            two lists.

    Examples:
        >>> as_kinds([{"easy": [4], "hard": np.array([2]), "junk": [], "bbx": [0, 0, 9, 9]}])
        [{'easy': {4}, 'hard': {2}, 'junk': set()}]
    """
    for query, entry in enumerate(gnd):
        if not isinstance(entry, Mapping):
            raise TypeError(f"gnd[{query}] must be a dictionary, got {type(entry).__name__}")
        missing = [kind for kind in _KINDS if kind not in entry]
        if missing:
            raise ValueError(f"gnd[{query}] has no {missing[0]!r}: use [] for an empty list")
    columns = {kind: as_index_sets(_column(gnd, kind), f"{kind} images of gnd", ranks) for kind in _KINDS}
    kinds = [dict(zip(_KINDS, sets)) for sets in zip(*columns.values())]
    for query, sets_of in enumerate(kinds):
        for one, other in (("easy", "hard"), ("easy", "junk"), ("hard", "junk")):
            both = sets_of[one] & sets_of[other]
            if both:
                raise ValueError(f"image {min(both)} is both {one} and {other} in gnd[{query}]")
    return kinds


def _column(gnd: Sequence[Mapping[str, Any]], kind: str) -> list[Collection[int]]:
    return [entry[kind] for entry in gnd]


def _mean(values: FloatValues) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
