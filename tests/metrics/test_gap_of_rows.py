import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz


def images(n, seed):
    """Predictions with ties, missing labels and repeated ids; some images have no landmark."""
    random = np.random.default_rng(seed)
    labels, scores = random.integers(-1, 3, n), random.integers(0, 4, n) / 4
    truth = [random.integers(0, 3, random.integers(0, 3)).tolist() for _ in range(n)]
    truth[0] = truth[0] or [1]
    ids = [f"{i}" for i in random.integers(0, n, n)]
    return random, labels, scores, truth, ids


@given(st.integers(1, 12), st.booleans(), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_rows_equal_gap_of_these_images(n, ignore, with_ids, seed):
    random, labels, scores, truth, ids = images(n, seed)
    options = {"ignore_non_landmarks": ignore}
    statistic = lz.metrics.gap_statistic(labels, scores, truth, ids=ids if with_ids else None, **options)
    rows = np.sort(random.integers(n, size=n))  # sorted, so that ties by position stay what they are
    chosen = [truth[i] for i in rows]
    if not any(chosen):
        assert np.isnan(statistic(rows))
        return
    expected = lz.metrics.gap(
        labels[rows], scores[rows], chosen, ids=[ids[i] for i in rows] if with_ids else None, **options
    )
    assert statistic(rows) == pytest.approx(expected)
    assert statistic(random.permutation(rows)) == statistic(rows)


@given(st.integers(1, 12), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_terms_equal_a_slow_loop(n, ignore, seed):
    _, labels, scores, truth, ids = images(n, seed)
    terms = lz.metrics.per_image_gap(labels, scores, truth, ids=ids, ignore_non_landmarks=ignore)
    for i in range(n):
        if not truth[i]:
            assert np.isnan(terms[i])
            continue
        key = (-scores[i], ids[i], i)
        above = [
            j
            for j in range(n)
            if labels[j] != -1 and (truth[j] or not ignore) and (-scores[j], ids[j], j) <= key
        ]
        right = labels[i] in truth[i]
        precision = sum(labels[j] in truth[j] for j in above) / len(above) if right else 0.0
        assert terms[i] == pytest.approx(precision)
    gap = lz.metrics.gap(labels, scores, truth, ids=ids, ignore_non_landmarks=ignore)
    assert np.nanmean(terms) == pytest.approx(gap)


def test_wrong_input_is_refused_once_for_all():
    for metric in (lz.metrics.per_image_gap, lz.metrics.gap_statistic):
        with pytest.raises(ValueError, match="no image has a landmark"):
            metric([1], [0.5], [[]])
        with pytest.raises(ValueError, match="score of image 0 is NaN"):
            metric([1], [np.nan], [[1]])
