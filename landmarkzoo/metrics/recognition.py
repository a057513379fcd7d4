"""Metrics of recognition."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo.metrics.truth import as_label_sets
from landmarkzoo.retrieval.arrays import Labels, as_labels


def gap(
    labels: Labels,
    scores: NDArray[np.floating] | Tensor | Sequence[float],
    truth: Sequence[Collection[int]],
    *,
    ids: Sequence[str] | None = None,
    ignore_non_landmarks: bool = False,
) -> float:
    """Global average precision, the metric of Google Landmark Recognition (GLDv2 paper, section 5.1).

    All predictions of all images are sorted by score; ``GAP = 1/M sum_i P(i) rel(i)`` with ``M`` the number
    of images with a landmark, predicted or not, and ``P(i)`` the precision among the first i. A prediction
    on an image without landmark counts in i and so lowers the precision of all that stand below it.

    Args:
        labels: Predicted label (N,) of each image; -1 for no prediction.
        scores: Its score (N,).
        truth: True labels of each image: a collection, empty for an image without landmark. A prediction
            is right if it is any of them.
        ids: Ids (N,) that order predictions of equal score, ascending; otherwise their position does.
        ignore_non_landmarks: Leave out predictions on images without landmark.

    Returns:
        A value in [0, 1].

    Raises:
        TypeError: If labels are not integers, or a truth is no collection.
        ValueError: If lengths differ, a score is NaN, or no image has a landmark.

    Example:
        >>> lz.metrics.gap([0, 1, 150], [0.01, 10.0, 15.0], [[100, 200], [1], []])
        0.25
    """
    sets = as_label_sets(truth, "truth")
    predicted = as_labels(labels, len(sets), "labels")
    if isinstance(scores, Tensor):
        scores = scores.detach().double().cpu().numpy()
    values = np.asarray(scores, np.float64)
    if values.shape != predicted.shape:
        raise ValueError(f"scores must have shape {predicted.shape}, got {values.shape}")
    if np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values))[0])
        raise ValueError(f"the score of image {row} is NaN: give a number, any number for no prediction")
    if ids is not None and len(ids) != len(sets):
        raise ValueError(f"got {len(ids)} ids for {len(sets)} images")
    with_landmark = sum(bool(s) for s in sets)
    if with_landmark == 0:
        raise ValueError("GAP is not defined: no image has a landmark, all truths are empty")
    counted = [i for i in range(len(sets)) if predicted[i] != -1 and (sets[i] or not ignore_non_landmarks)]
    counted.sort(key=lambda i: (-values[i], ids[i] if ids is not None else i))
    right = np.array([int(predicted[i]) in sets[i] for i in counted], dtype=np.float64)
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float((precision * right).sum() / with_landmark)
