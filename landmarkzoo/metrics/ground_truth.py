"""Rankings and predictions beside their ground truth: checked, and what of them is right."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import IntArray, Labels, as_int64, as_numpy, check_count, encode_labels
from landmarkzoo._utils.unicode_names import nfc
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.retrieval.ranking import Ranking

FloatValues: TypeAlias = NDArray[np.float64]
Rankings: TypeAlias = "Ranking | NDArray[Any] | Tensor | Sequence[Sequence[int]]"
Relevant: TypeAlias = Sequence[Collection[int]]
Scores: TypeAlias = "NDArray[np.floating] | Tensor | Sequence[float]"
Truth: TypeAlias = "Sequence[Collection[int] | Collection[str]]"


def as_rankings(rankings: Rankings, queries: int, name: str, truth_name: str) -> IntArray:
    """Index rows (queries, K), best first; K may be 0.

    Args:
        rankings: What the user gave.
        queries: How many rows there must be.
        name: What the rankings are called in error messages.
        truth_name: What their ground truth is called.

    Raises:
        ValueError: If they are not integers of that shape, or one is below -1.
    """
    try:
        rows = as_numpy(rankings)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"the rows of {name} have different lengths: pad short ones with -1") from error
    if rows.ndim != 2 or len(rows) != queries or (rows.size and rows.dtype.kind not in "iu"):
        turned = rows.ndim == 2 and len(rows) != queries and rows.shape[1] == queries
        hint = f"is that {name}.T? A query is a row" if turned else "pad short rows with -1"
        raise ValueError(
            f"{name} must be integers of shape ({queries}, K), a row for each entry of {truth_name}, got "
            f"{rows.dtype} {rows.shape}; {hint}"
        )
    numbers = as_int64(rows, name)
    if numbers.size and numbers.min() < -1:
        query = int((numbers < -1).any(axis=1).argmax())
        raise ValueError(
            f"row {query} of {name} has {numbers[query].min()}: rows count from 0, -1 is padding"
        )
    return numbers


def as_index_sets(relevant: Relevant, name: str, rankings: Rankings = ()) -> list[set[int]]:
    """The index rows of each query as a set.

    Args:
        relevant: A collection of rows for each.
        name: What it is called in error messages.
        rankings: The rankings beside them; a ``Ranking`` that knows its index knows which rows there are.

    Raises:
        TypeError: If an entry is not a collection of integers.
        ValueError: If a row is negative, or not in the index.
    """
    sets = _as_sets(relevant, name, "integers", (int, np.integer))
    negative = [row for row, entry in enumerate(sets) if entry and min(entry) < 0]
    if negative:
        raise ValueError(f"{name}[{negative[0]}] has a negative index row; -1 is the padding of rankings")
    images = index_size(rankings)
    for row, entry in enumerate(sets if images is not None else ()):
        if entry and max(entry) >= images:
            raise ValueError(
                f"{name}[{row}] has the row {max(entry)}, but the index of the ranking has {images} images"
            )
    return sets


def index_size(rankings: Rankings) -> int | None:
    """How many images were ranked, where that is known."""
    ids = rankings.index_ids if isinstance(rankings, Ranking) else None
    return None if ids is None else len(ids)


def as_scores(scores: Scores, length: int) -> FloatValues:
    """Scores (N,) as float64.

    Args:
        scores: What the user gave.
        length: The N that they must have.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If there are not ``length`` of them, or one is NaN.
    """
    values = as_numpy(scores)
    if values.size and values.dtype.kind not in "fiu":
        raise TypeError(f"scores must be numbers, got dtype {values.dtype}")
    if values.shape != (length,):
        raise ValueError(f"scores must have shape ({length},), got {values.shape}")
    if values.dtype.kind == "f" and np.isnan(values).any():
        row = int(np.isnan(values).argmax())
        raise ValueError(f"the score of image {row} is NaN: give a number, any number for no prediction")
    return values.astype(np.float64)


def _as_sets(truth: Sequence[Any], name: str, what: str, types: tuple[type, ...]) -> list[set[Any]]:
    if isinstance(truth, (str, bytes, Mapping)) or not (hasattr(truth, "__len__") and np.iterable(truth)):
        raise TypeError(f"{name} must be a list of collections of {what}, got {type(truth).__name__}")
    sets = []
    for row, entry in enumerate(truth):
        if isinstance(entry, (np.ndarray, Tensor)):
            entry = entry.tolist()
        if isinstance(entry, (str, bytes)) or not isinstance(entry, Collection):
            raise TypeError(
                f"{name}[{row}] must be a collection of {what}, got {entry!r}; one label is [label], and "
                "none is []"
            )
        if any(isinstance(label, (bool, np.bool_)) for label in entry):
            raise TypeError(f"{name}[{row}] is a mask: give what it marks, np.flatnonzero(mask)")
        if not all(isinstance(label, types) for label in entry):
            raise TypeError(f"{name}[{row}] must hold {what} only, got {entry!r}")
        sets.append({nfc(label) if isinstance(label, str) else int(label) for label in entry})
    return sets


def relevant_hits(indices: Rankings, relevant: Relevant, k: int) -> tuple[NDArray[np.bool_], IntArray]:
    """Which of the first ``k`` results are relevant, and how many images are relevant at all.

    An image that is listed again keeps its place but does not count again; padding never counts.

    Args:
        indices: Ranked index rows (Q, K), best first; -1 is padding.
        relevant: Relevant index rows of each query; duplicates count once.
        k: Depth.

    Returns:
        Hits (Q, min(k, K)) and the number of relevant images (Q,).

    Raises:
        TypeError: If an entry of ``relevant`` is not a collection of integers.
        ValueError: If shapes do not fit, a row is negative or not in the index, or k is not
            positive.

    Examples:
        >>> hits, counts = relevant_hits([[5, 5, 0]], [[0, 5, 9]], k=10)
        >>> hits, counts
        (array([[ True, False,  True]]), array([3]))
    """
    sets = as_index_sets(relevant, "relevant", indices)
    ranked = as_rankings(indices, len(sets), "indices", "relevant")[:, : check_count(k, "k")]
    check_depth(indices, k)
    hits = np.zeros(ranked.shape, dtype=bool)
    for query, truth in enumerate(sets):
        missing = set(truth)
        for place, image in enumerate(ranked[query].tolist() if missing else ()):
            if image in missing:
                missing.remove(image)
                hits[query, place] = True
    return hits, np.array([len(truth) for truth in sets], dtype=np.int64)


def check_depth(rankings: Rankings, k: int) -> None:
    """Warn of a ``Ranking`` with fewer than k results whose index has more: the others count as not found."""
    images = index_size(rankings)
    if images is None or (width := np.shape(rankings)[1]) >= min(k, images):
        return
    warn_user(
        f"the ranking has {width} results a query, fewer than k={k}: what it does not list counts as not "
        f"found. Search with k={k}, or give k={width}"
    )


def shares(found: FloatValues | IntArray, of: IntArray) -> FloatValues:
    """``found / of`` (Q,), NaN where ``of`` is 0: for such a query the metric is not defined.

    Examples:
        >>> shares(np.array([1, 0]), np.array([2, 0]))
        array([0.5, nan])
    """
    values = np.full(len(of), np.nan)
    np.divide(found, of, out=values, where=of > 0)
    return values


def right_predictions(
    labels: Labels, truth: Truth
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images (N,) are labelled rightly, which are labelled at all, and which show a landmark.

    Args:
        labels: Predicted labels (N,): integers, -1 for no prediction, or names, ``None`` for no prediction.
        truth: True labels of each image, of the same kind; empty for an image without landmark.

    Raises:
        TypeError: If an entry of the truth is not a collection, or one side has integers and the other names.
        ValueError: If there are not as many labels as entries, or a true label is negative or "".

    Examples:
        >>> right_predictions(["Big Ben", None], [["Big Ben", "Westminster"], []])
        (array([ True, False]), array([ True, False]), array([ True, False]))
    """
    sets = _as_sets(truth, "truth", "integers or names", (int, np.integer, str))
    integers, names = encode_labels(labels, len(sets), "labels")
    for row, entry in enumerate(sets):
        if any(isinstance(label, str) == (names is None) for label in entry):
            kind = "integers" if names is None else "names"
            raise TypeError(f"labels are {kind}, but truth[{row}] has {entry}: use one kind for both")
        if names is None and entry and max(entry) >= 2**63:
            raise ValueError(f"truth[{row}] has {max(entry)}, which does not fit into int64")
        if "" in entry or (names is None and entry and min(entry) < 0):
            what = 'the name ""' if "" in entry else "a negative label"
            raise ValueError(f"truth[{row}] has {what}: an image without landmark is empty, []")
    spelled = None if names is None else [*map(nfc, names[:-1]), None]
    predicted = integers.tolist() if spelled is None else [spelled[row] for row in integers]
    right = np.array([label in entry for label, entry in zip(predicted, sets)], dtype=bool)
    return right, integers != -1, np.array([bool(entry) for entry in sets], dtype=bool)
