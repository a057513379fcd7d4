"""Ground truth and rankings at the border of the metrics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import IntArray

Rankings: TypeAlias = "NDArray[Any] | Tensor | Sequence[Sequence[int]]"


def as_label_sets(truth: Sequence[Collection[int]], name: str) -> list[set[int]]:
    """One set of integers an image or query.

    Args:
        truth: A collection of integers for each.
        name: What it is called in error messages.

    Raises:
        TypeError: If an entry is no collection of integers.
    """
    sets = []
    for row, entry in enumerate(truth):
        if isinstance(entry, (np.ndarray, Tensor)):
            entry = entry.tolist()
        if isinstance(entry, (str, bytes)) or not isinstance(entry, Collection):
            raise TypeError(
                f"{name}[{row}] must be a collection of integers, got {entry!r}; one label is [label]"
            )
        if not all(isinstance(label, (int, np.integer)) for label in entry):
            raise TypeError(f"{name}[{row}] must hold integers only, got {entry!r}")
        sets.append({int(label) for label in entry})
    return sets


def as_index_sets(truth: Sequence[Collection[int]], name: str) -> list[set[int]]:
    """One set of index rows a query.

    Args:
        truth: A collection of rows for each.
        name: What it is called in error messages.

    Raises:
        TypeError: If an entry is no collection of integers.
        ValueError: If a row is negative.
    """
    sets = as_label_sets(truth, name)
    negative = [row for row, entry in enumerate(sets) if entry and min(entry) < 0]
    if negative:
        raise ValueError(f"{name}[{negative[0]}] has a negative index row; -1 is the padding of rankings")
    return sets


def as_rankings(rankings: Rankings, queries: int, name: str, truth_name: str) -> IntArray:
    """Index rows (queries, K), best first; K may be 0.

    Args:
        rankings: What the user gave.
        queries: How many rows there must be.
        name: What the rankings are called in error messages.
        truth_name: What their ground truth is called.

    Raises:
        ValueError: If they are no integers of that shape.
    """
    try:
        rows = rankings.detach().cpu().numpy() if isinstance(rankings, Tensor) else np.asarray(rankings)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"the rows of {name} have different lengths: pad short ones with -1") from error
    if rows.ndim != 2 or len(rows) != queries or (rows.size and rows.dtype.kind not in "iu"):
        turned = rows.ndim == 2 and rows.shape[1] == queries
        hint = f"is that {name}.T? A query is a row" if turned else "pad short rows with -1"
        raise ValueError(
            f"{name} must be integers of shape ({queries}, K), a row for each entry of {truth_name}, got "
            f"{rows.dtype} {rows.shape}; {hint}"
        )
    return rows.astype(np.int64)
