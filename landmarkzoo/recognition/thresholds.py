"""Where to draw the line between a landmark and none."""

from __future__ import annotations

import numpy as np

from landmarkzoo.metrics.ground_truth import Truth, right_predictions
from landmarkzoo.recognition.recognizer import Recognition


def threshold_at_precision(recognition: Recognition, truth: Truth, precision: float = 0.95) -> float:
    """The lowest score above which the share of right answers is at least as wanted.

    Fit it on a validation set that looks like what comes later, photos without landmark among them, and give
    it to ``Recognition.above``.

    Args:
        recognition: Answers for the validation set (Q,).
        truth: True labels of each photo, integers or names as the answers are: a collection, empty for a
            photo without landmark.
        precision: Share wanted, in (0, 1].

    Returns:
        The threshold; answers with this score and higher ones count.

    Raises:
        TypeError: If an entry of ``truth`` is not a collection of integers or names.
        ValueError: If lengths differ, or no threshold gives that precision.

    Examples:
        >>> r = lz.Recognition([1, 2, 3], [0.9, 0.8, 0.1], [[0], [1], [2]])
        >>> lz.recognition.threshold_at_precision(r, [[1], [2], []], precision=1.0)
        0.8
    """
    if not 0 < precision <= 1:
        raise ValueError(f"precision must be in (0, 1], got {precision}")
    if len(truth) != len(recognition):
        raise ValueError(f"got truth of {len(truth)} photos for {len(recognition)} answers")
    right, is_answer, _ = right_predictions(recognition.labels, truth)
    answered = np.flatnonzero(is_answer)  # a photo without answer is neither right nor wrong
    order = answered[np.argsort(-recognition.scores[answered], kind="stable")]
    scores = recognition.scores[order]
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_ties = np.append(scores[1:] < scores[:-1], True)  # equal scores are above a threshold together
    good = np.flatnonzero((shares >= precision) & last_of_ties)
    if len(good) == 0:
        best = float(shares[last_of_ties].max()) if len(shares) else 0.0
        raise ValueError(f"no threshold has a precision of {precision}; the highest is {best:.3f}")
    return float(scores[good[-1]])
