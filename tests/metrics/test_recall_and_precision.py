import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz

METRICS = (lz.metrics.recall_at_k, lz.metrics.precision_at_k, lz.metrics.hit_rate_at_k)


def test_golden():
    indices, relevant = [[4, 7, 1, 9, 2]], [[7, 2, 8]]
    for k, recall, precision, hit in [(1, 0, 0, 0), (2, 1 / 3, 1 / 2, 1), (5, 2 / 3, 2 / 5, 1)]:
        assert lz.metrics.recall_at_k(indices, relevant, k) == pytest.approx([recall])
        assert lz.metrics.precision_at_k(indices, relevant, k) == pytest.approx([precision])
        assert lz.metrics.hit_rate_at_k(indices, relevant, k) == [hit]


@given(st.integers(1, 6), st.integers(0, 9), st.integers(1, 10), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_equal_a_slow_loop(q, width, k, seed):
    random = np.random.default_rng(seed)
    indices = random.integers(-1, 6, (q, width))  # repeated ids and padding
    relevant = [random.integers(0, 6, random.integers(0, 4)).tolist() for _ in range(q)]
    expected = []
    for row, truth in zip(indices.tolist(), relevant):
        found = 0
        for image in set(truth):
            for place in range(min(k, width)):
                if row[place] == image:
                    found += 1
                    break
        wanted = len(set(truth))
        expected.append([found / wanted, found / k, float(found > 0)] if wanted else [np.nan] * 3)
    order, rename = random.permutation(q), random.permutation(6)
    renamed = np.where(indices >= 0, rename[indices], -1)
    for metric, values in zip(METRICS, np.array(expected).T):
        ours = metric(indices, relevant, k)
        np.testing.assert_allclose(ours, values)
        np.testing.assert_array_equal(metric(indices[order], [relevant[i] for i in order], k), ours[order])
        same = metric(renamed, [[int(rename[i]) for i in truth] for truth in relevant], k)
        np.testing.assert_array_equal(same, ours)


def test_short_rankings_are_divided_by_k_and_by_all_relevant():
    assert lz.metrics.precision_at_k([[3]], [[3]], 10) == [0.1]
    assert lz.metrics.recall_at_k([[3, -1, -1]], [[3, 4]], 10) == [0.5]
    assert lz.metrics.recall_at_k([[], []], [[0], [1]], 5).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("metric", METRICS)
def test_wrong_input(metric):
    assert metric(torch.tensor([[0]]), [torch.tensor([0])], 1) == [1.0]
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        metric([[0]], [[0]], 0)
    with pytest.raises(ValueError, match=r"relevant\[1\] has a negative index row"):
        metric([[0], [0]], [[0], [-1]], 1)
    with pytest.raises(TypeError, match="one label is"):
        metric([[0]], [0], 1)
    with pytest.raises(ValueError, match=r"shape \(1, K\), a row for each entry of relevant"):
        metric([0], [[0]], 1)


@pytest.mark.parametrize("metric", METRICS)
def test_a_ranking_goes_wherever_indices_go(metric):
    ranking = lz.Ranking([[4, 7, 1], [2, 0, -1]], [[0.9, 0.8, 0.7], [0.5, 0.4, -np.inf]])
    relevant = [[7, 2, 8], [0]]
    np.testing.assert_array_equal(metric(ranking, relevant, 2), metric(ranking.indices, relevant, 2))
