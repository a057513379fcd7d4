import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz


def gap_of(truth, predictions, **options):
    """Golden examples are dictionaries by id; ours takes arrays."""
    ids = sorted(truth)
    labels = [predictions[i][0] if i in predictions else -1 for i in ids]
    scores = [predictions[i][1] if i in predictions else 0.0 for i in ids]
    return lz.metrics.gap(labels, scores, [truth[i] for i in ids], ids=ids, **options)


def test_golden_1():
    truth = {"01": [0, 12], "02": [100, 200, 300], "03": [1], "04": [], "05": []}
    predictions = {"02": (0, 0.01), "03": (1, 10.0), "04": (150, 15.0)}
    assert gap_of(truth, predictions) == pytest.approx(0.1666667, abs=1e-7)
    assert gap_of(truth, predictions, ignore_non_landmarks=True) == pytest.approx(0.3333333, abs=1e-7)


def test_golden_2():
    truth = {"q1": [1], "q2": [], "q3": [3], "q4": [4], "q5": [6, 5]}
    predictions = {"q1": (1, 0.9), "q3": (3, 0.8), "q2": (2, 0.8), "q5": (5, 0.1)}
    assert gap_of(truth, predictions) == pytest.approx(0.6041667, abs=1e-7)
    assert gap_of(truth, predictions, ignore_non_landmarks=True) == pytest.approx(0.75, abs=1e-7)


@given(st.integers(1, 12), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_equals_a_slow_loop(n, ignore, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(-1, 3, n)
    scores = random.integers(0, 4, n) / 4  # ties
    truth = [set(random.integers(0, 3, random.integers(0, 3)).tolist()) for _ in range(n)]
    truth[0] = truth[0] or {1}
    ids = [f"{i:02d}" for i in random.permutation(n)]
    rows = [i for i in range(n) if labels[i] != -1 and not (ignore and not truth[i])]
    rows.sort(key=lambda i: (-scores[i], ids[i]))
    right, total = 0, 0.0
    for place, i in enumerate(rows, 1):
        if labels[i] in truth[i]:
            right += 1
            total += right / place
    expected = total / sum(bool(t) for t in truth)
    ours = lz.metrics.gap(labels, scores, truth, ids=ids, ignore_non_landmarks=ignore)
    assert ours == pytest.approx(expected)
    order = random.permutation(n)
    shuffled = lz.metrics.gap(
        labels[order], scores[order], [truth[i] for i in order], ids=[ids[i] for i in order],
        ignore_non_landmarks=ignore,
    )  # fmt: skip
    assert shuffled == pytest.approx(ours)


def test_perfect_none_and_tensors():
    assert lz.metrics.gap(torch.tensor([1, 2]), torch.tensor([0.3, 0.2]), [[1], np.array([2])]) == 1.0
    assert lz.metrics.gap([-1, -1], [0, 0], [[1], [2]]) == 0.0


def test_ties_without_ids_go_by_position():
    assert lz.metrics.gap([1, 9], [0.5, 0.5], [[1], [2]]) == 0.5
    assert lz.metrics.gap([9, 1], [0.5, 0.5], [[2], [1]]) == 0.25
    assert lz.metrics.gap([9, 1], [0.5, 0.5], [[2], [1]], ids=["b", "a"]) == 0.5


def test_names_are_labels_as_well():
    _, labels, scores, truth, ids = images(40, seed=5)
    names = np.array(["b", "a", "c", None], dtype=object)
    by_name = [[names[label] for label in entry] for entry in truth]
    for metric in (lz.metrics.gap, lz.metrics.per_image_gap):
        expected = metric(labels, scores, truth, ids=ids)
        np.testing.assert_array_equal(metric(names[labels], scores, by_name, ids=ids), expected)
        np.testing.assert_array_equal(metric(names[labels].tolist(), scores, by_name, ids=ids), expected)


def test_wrong_input():
    with pytest.raises(ValueError, match="no image has a landmark"):
        lz.metrics.gap([1], [0.5], [[]])
    with pytest.raises(ValueError, match="score of image 1 is NaN"):
        lz.metrics.gap([1, 1], [0.5, np.nan], [[1], [1]])
    with pytest.raises(ValueError, match="score of image 0 is NaN"):
        lz.metrics.gap([-1], [np.nan], [[1]])
    assert lz.metrics.gap(torch.tensor([1]), torch.tensor([0.5], dtype=torch.bfloat16), [[1]]) == 1.0
    with pytest.raises(TypeError, match=r"truth\[0\] must be a collection of integers or names, got 1"):
        lz.metrics.gap([1], [0.5], [1])
    with pytest.raises(TypeError, match="integers or names only"):
        lz.metrics.gap([1], [0.5], [[0.5]])
    with pytest.raises(TypeError, match=r"labels are integers, but truth\[0\] has \{'a'\}"):
        lz.metrics.gap([1], [0.5], [["a"]])
    with pytest.raises(TypeError, match=r"labels are names, but truth\[1\] has \{3\}"):
        lz.metrics.gap(["a", "b"], [0.5, 0.4], [["a"], [3]])
    with pytest.raises(ValueError, match=r"truth\[1\] has a negative label"):
        lz.metrics.gap([1, 1], [0.5, 0.4], [[1], [-1]])
    with pytest.raises(TypeError, match="labels must be integers"):
        lz.metrics.gap([1.5], [0.5], [[1]])
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\)"):
        lz.metrics.gap([1], [0.5], [[1], [2]])
    with pytest.raises(ValueError, match=r"scores must have shape \(1,\)"):
        lz.metrics.gap([1], [0.5, 0.5], [[1]])
    with pytest.raises(ValueError, match="got 2 ids for 1 images"):
        lz.metrics.gap([1], [0.5], [[1]], ids=["a", "b"])


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
        with pytest.raises(
            ValueError, match=r'truth\[1\] has the name "": an image without landmark is empty'
        ):
            metric(["a", None], [0.5, 0.4], [["a"], [""]])
