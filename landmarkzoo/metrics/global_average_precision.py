"""Global average precision, the metric of Google Landmark Recognition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import IntArray, Labels
from landmarkzoo.metrics.ground_truth import FloatValues, Scores, Truth, as_scores, right_predictions


def gap(
    labels: Labels,
    scores: Scores,
    truth: Truth,
    *,
    ids: Sequence[str] | None = None,
    ignore_non_landmarks: bool = False,
) -> float:
    """Global average precision, the metric of Google Landmark Recognition.

    Section 5.1 of [Weyand et al. 2020](https://arxiv.org/abs/2004.01804): all predictions of all images are
    sorted by score; ``GAP = 1/M sum_i P(i) rel(i)`` with ``M`` the number of images with a landmark,
    predicted or not, and ``P(i)`` the precision among the first i. A prediction on an image without landmark
    counts in i, and so lowers the precision of all that stand below it.

    Args:
        labels: Predicted label (N,) of each image: integers, -1 for no prediction, or names, ``None`` for no
            prediction.
        scores: Its score (N,).
        truth: True labels of each image, integers or names as the predictions are: a collection, empty for
            an image without landmark. A prediction is right if it is any of them.
        ids: Ids (N,) that order predictions of equal score, ascending; otherwise their position does.
        ignore_non_landmarks: Leave out predictions on images without landmark.

    Returns:
        A value in [0, 1].

    Raises:
        TypeError: If labels are neither integers nor names, an entry of ``truth`` is not a collection of the
            same, or scores are not numbers.
        ValueError: If lengths differ, a score is NaN, or no image has a landmark.

    Examples:
        >>> lz.metrics.gap([0, 1, 150], [0.01, 10.0, 15.0], [[100, 200], [1], []])
        0.25
        >>> lz.metrics.gap(["Big Ben", None], [0.9, 0.1], [["Big Ben"], []])
        1.0
    """
    statistic = gap_statistic(labels, scores, truth, ids=ids, ignore_non_landmarks=ignore_non_landmarks)
    return statistic(np.arange(len(truth)))


def per_image_gap(
    labels: Labels,
    scores: Scores,
    truth: Truth,
    *,
    ids: Sequence[str] | None = None,
    ignore_non_landmarks: bool = False,
) -> FloatValues:
    """What each image adds to GAP: ``P(i) rel(i)``, the values whose mean is ``gap``.

    0 for a wrong or missing prediction; below 1 for a right one that stands behind wrong ones. The value of
    an image depends on the others, so a confidence interval needs ``gap_statistic``, not these values.
    Arguments and errors are those of ``gap``.

    Returns:
        Values (N,) in [0, 1]; NaN for an image without landmark.

    Examples:
        >>> lz.metrics.per_image_gap([0, 1, 150], [0.01, 10.0, 15.0], [[100, 200], [1], []])
        array([0. , 0.5, nan])
    """
    images = _sorted_images(labels, scores, truth, ids, ignore_non_landmarks)
    values = np.where(images.has_landmark, 0.0, np.nan)
    places = np.flatnonzero(images.counted)
    values[places[images.right[places]]] = _precisions_of_right(images.right[places])
    return values[images.place]


def gap_statistic(
    labels: Labels,
    scores: Scores,
    truth: Truth,
    *,
    ids: Sequence[str] | None = None,
    ignore_non_landmarks: bool = False,
) -> Callable[[IntArray], float]:
    """GAP as a function of rows of images, for ``bootstrap``.

    Everything is checked and sorted once, so that a call takes one sort of integers. Arguments and errors are
    those of ``gap``.

    Returns:
        A function from rows (n,), each any number of times, to the GAP of these images; NaN if no image among
        them has a landmark.

    Examples:
        >>> statistic = lz.metrics.gap_statistic([3, 3, 5], [0.9, 0.8, 0.7], [[3], [4], [5]])
        >>> print(lz.metrics.bootstrap(statistic, 3))
        0.556 [0.000, 1.000]
    """
    images = _sorted_images(labels, scores, truth, ids, ignore_non_landmarks)

    def statistic(rows: IntArray) -> float:
        places = np.sort(images.place[rows])
        with_landmark = int(images.has_landmark[places].sum())
        if with_landmark == 0:
            return float("nan")
        right = images.right[places[images.counted[places]]]
        return float(_precisions_of_right(right).sum() / with_landmark)

    return statistic


@dataclass(frozen=True, eq=False)
class _SortedImages:
    """Images by descending score; ``place`` leads from a row to its position there."""

    place: IntArray
    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    has_landmark: NDArray[np.bool_]


def _sorted_images(
    labels: Labels, scores: Scores, truth: Truth, ids: Sequence[str] | None, ignore_non_landmarks: bool
) -> _SortedImages:
    right, predicted, has_landmark = right_predictions(labels, truth)
    values = as_scores(scores, len(right))
    names = range(len(right)) if ids is None else list(ids)  # a Series would be asked by its own index
    if len({isinstance(name, str) for name in names}) > 1:
        raise TypeError("ids must be strings, got strings mixed with others, so they have no order")
    if len(names) != len(right):
        raise ValueError(f"got {len(names)} ids for {len(right)} images")
    if not has_landmark.any():
        raise ValueError("GAP is not defined: no image has a landmark, all truths are empty")
    counted = predicted & (has_landmark | (not ignore_non_landmarks))
    # Both sorts are stable: where scores and ids are equal, the position decides.
    by_id = np.array(sorted(range(len(right)), key=names.__getitem__), dtype=np.int64)
    order = by_id[np.argsort(-values[by_id], kind="stable")]
    place = np.empty(len(right), dtype=np.int64)
    place[order] = np.arange(len(right))
    return _SortedImages(place, right[order], counted[order], has_landmark[order])


def _precisions_of_right(right: NDArray[np.bool_]) -> FloatValues:
    """Precision at the place of each right prediction; ``right`` (n,) is sorted by score."""
    places = np.flatnonzero(right)
    precisions: FloatValues = np.arange(1, len(places) + 1) / (places + 1)
    return precisions
