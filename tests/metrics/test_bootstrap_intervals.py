import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo.metrics import bootstrap


@given(st.integers(1, 20), st.integers(1, 50), st.floats(0.5, 0.99), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_equals_a_slow_loop(n, resamples, level, seed):
    values = np.random.default_rng(seed).integers(0, 4, n) / 3  # ties
    random, means = np.random.default_rng(seed), []
    for _ in range(resamples):
        drawn = random.integers(n, size=n)
        means.append(sum(values[row] for row in drawn) / n)
    means.sort()
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        position = share * (resamples - 1)  # linear between neighbours
        below = min(int(position), resamples - 1)
        above = min(below + 1, resamples - 1)
        ends.append(means[below] + (means[above] - means[below]) * (position - below))
    interval = bootstrap(values, resamples=resamples, level=level, seed=seed)
    assert [interval.low, interval.high] == pytest.approx(ends)
    assert interval.value == pytest.approx(values.mean())
    assert interval.level == level


def test_the_seed_decides_and_the_global_one_is_left_alone():
    values = np.random.default_rng(0).random(50)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert bootstrap(values, seed=1) == bootstrap(torch.from_numpy(values), seed=1)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_covers_the_true_mean_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    samples = (random.random((400, 80)) < 0.3).astype(float)
    intervals = [bootstrap(sample, resamples=300, level=0.9, seed=i) for i, sample in enumerate(samples)]
    covered = np.mean([interval.low <= 0.3 <= interval.high for interval in intervals])
    assert 0.84 < covered < 0.95


def test_undefined_queries_are_left_out_of_the_draw():
    values = np.array([0.0, np.nan, 1.0, np.nan])
    assert bootstrap(values) == bootstrap([0.0, 1.0])


def test_of_gap_equals_gap_computed_anew():
    random = np.random.default_rng(0)
    labels, scores = random.integers(-1, 4, 30), random.integers(0, 10, 30) / 10
    truth = [[int(label)] if label >= 0 else [] for label in random.integers(-1, 4, 30)]
    ids = [f"{i:02d}" for i in random.permutation(30)]
    interval = bootstrap(lz.metrics.gap_statistic(labels, scores, truth, ids=ids), 30, resamples=200, seed=3)
    random, drawn = np.random.default_rng(3), []
    for _ in range(200):
        rows = random.integers(30, size=30)
        chosen = [truth[i] for i in rows]
        drawn.append(lz.metrics.gap(labels[rows], scores[rows], chosen, ids=[ids[i] for i in rows]))
    assert [interval.low, interval.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert interval.value == lz.metrics.gap(labels, scores, truth, ids=ids)


def test_resamples_without_a_value_are_left_out():
    statistic = lz.metrics.gap_statistic([1, 1], [0.9, 0.8], [[1], []])
    interval = bootstrap(statistic, 2)  # a quarter of the resamples has no landmark
    assert interval == lz.metrics.Interval(1.0, 1.0, 1.0, 0.95)


def test_gap_is_checked_and_sorted_once():
    random = np.random.default_rng(0)
    truth = [[int(label)] for label in random.integers(0, 9, 400)]
    labels, scores = random.integers(0, 9, 400), random.random(400)
    statistic = lz.metrics.gap_statistic(labels, scores, truth)
    expected = bootstrap(statistic, 400, resamples=50)
    truth.clear()  # what came in is not looked at again
    labels[:], scores[:] = -1, np.nan
    assert bootstrap(statistic, 400, resamples=50) == expected


def test_interval_as_text():
    assert str(lz.metrics.Interval(0.5626, 0.51249, 0.611)) == "0.563 [0.512, 0.611]"


def test_wrong_input():
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, such as 0\.95, got 95"):
        bootstrap([0.5], level=95)
    with pytest.raises(ValueError, match="resamples must be a positive integer"):
        bootstrap([0.5], resamples=0)
    with pytest.raises(ValueError, match="none of 2 queries has a value"):
        bootstrap([np.nan, np.nan])
    with pytest.raises(ValueError, match=r"shape \(Q,\), one a query, got \(2, 1\)"):
        bootstrap([[0.5], [0.5]])
    with pytest.raises(TypeError, match=r"bootstrap\(statistic, n\)"):
        bootstrap(lambda rows: 0.5)
    with pytest.raises(TypeError, match="n is for a function of rows"):
        bootstrap([0.5], 1)
    with pytest.raises(ValueError, match="NaN on all rows"):
        bootstrap(lambda rows: float("nan"), 3)
    with pytest.raises(ValueError, match="NaN on all 1000 resamples"):
        bootstrap(lambda rows: 1.0 if len(set(rows)) == len(rows) else float("nan"), 1000)
