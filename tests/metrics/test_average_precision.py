import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz


def map_of(truth, predictions, **options):
    """Golden examples are lists of names by query; ours takes rows, -1 for padding."""
    names = sorted({n for row in (*truth.values(), *predictions.values()) for n in row})
    width = max(len(row) for row in predictions.values())
    rows = [[names.index(n) for n in predictions.get(q, [])] for q in truth]
    rows = [row + [-1] * (width - len(row)) for row in rows]
    relevant = [[names.index(n) for n in truth[q]] for q in truth]
    return lz.metrics.mean_average_precision(np.array(rows), relevant, **options)


def test_golden_1():
    truth = {1: "AB", 2: "A", 3: "CDE", 4: "C"}
    predictions = {2: "ZA", 3: "D", 4: "CD"}
    assert map_of(truth, predictions) == pytest.approx(0.4583333, abs=1e-7)
    assert map_of(truth, predictions, k=1) == pytest.approx(0.5)


def test_golden_2_a_repeated_id_keeps_its_place_but_counts_once():
    truth, predictions = {"A": "xy", "B": "z", "C": "uvw"}, {"A": "xxy", "B": "nz"}
    assert map_of(truth, predictions) == pytest.approx(0.4444444, abs=1e-7)


@given(st.integers(1, 6), st.integers(0, 9), st.integers(1, 10), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_equals_a_slow_loop(q, width, k, seed):
    random = np.random.default_rng(seed)
    indices = random.integers(-1, 8, (q, width))
    relevant = [random.integers(0, 8, random.integers(1, 5)).tolist() for _ in range(q)]
    total = 0.0
    for row, truth in zip(indices.tolist(), relevant):
        wanted, found, precision = set(truth), [], 0.0
        for place in range(min(k, width)):
            if row[place] in wanted and row[place] not in row[:place]:
                found.append(row[place])
                precision += len(found) / (place + 1)
        total += precision / min(len(wanted), k)
    ours = lz.metrics.mean_average_precision(indices, relevant, k=k)
    assert ours == pytest.approx(total / q)
    rename = random.permutation(8)
    renamed = np.where(indices >= 0, rename[indices], -1)
    same = lz.metrics.mean_average_precision(renamed, [rename[t] for t in relevant], k=k)
    assert same == pytest.approx(ours)


def test_denominator_is_min_of_relevant_and_k():
    indices = np.arange(100)[None]
    assert lz.metrics.mean_average_precision(indices, [range(300)]) == 1.0
    assert lz.metrics.mean_average_precision(indices[:, :10], [range(100)]) == pytest.approx(0.1)


def test_queries_without_relevant_images():
    with pytest.raises(ValueError, match=r"query 1 \(1 in all\) has no relevant image.*skip_empty"):
        lz.metrics.mean_average_precision([[0], [0]], [[0], []])
    assert lz.metrics.mean_average_precision([[0], [0]], [[0], []], skip_empty=True) == 1.0
    with pytest.raises(ValueError, match="no query has a relevant image"):
        lz.metrics.mean_average_precision([[0]], [[]], skip_empty=True)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"shape \(2, K\)"):
        lz.metrics.mean_average_precision(np.zeros((1, 3), int), [[0], [1]])
    with pytest.raises(ValueError, match="pad short rows with -1"):
        lz.metrics.mean_average_precision(np.zeros((1, 3)), [[0]])
    with pytest.raises(ValueError, match="different lengths: pad"):
        lz.metrics.mean_average_precision([[0, 1], [0]], [[0], [0]])
    with pytest.raises(ValueError, match=r"relevant\[0\] has a negative"):
        lz.metrics.mean_average_precision([[-1, 1]], [[-1, 1]])
    assert lz.metrics.mean_average_precision([[], []], [[0], [0]]) == 0.0  # nothing was predicted
    with pytest.raises(TypeError, match="one label is"):
        lz.metrics.mean_average_precision([[0]], [0])
    with pytest.raises(ValueError, match="k must be"):
        lz.metrics.mean_average_precision([[0]], [[0]], k=0)
    assert lz.metrics.mean_average_precision(torch.tensor([[0]]), [torch.tensor([0])]) == 1.0


@given(st.integers(1, 6), st.integers(0, 9), st.integers(1, 10), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_values_of_queries(q, width, k, seed):
    random = np.random.default_rng(seed)
    indices = random.integers(-1, 8, (q, width))
    relevant = [random.integers(0, 8, random.integers(0, 4)).tolist() for _ in range(q)]
    values = lz.metrics.average_precisions(indices, relevant, k=k)
    assert values.shape == (q,)
    assert np.isnan(values).tolist() == [not truth for truth in relevant]
    for row, truth, value in zip(indices, relevant, values):
        if truth:
            alone = lz.metrics.mean_average_precision(row[None], [truth], k=k)
            assert value == alone
    order = random.permutation(q)
    shuffled = lz.metrics.average_precisions(indices[order], [relevant[i] for i in order], k=k)
    np.testing.assert_array_equal(shuffled, values[order])
    if any(relevant):
        mean = lz.metrics.mean_average_precision(indices, relevant, k=k, skip_empty=True)
        assert mean == pytest.approx(np.nanmean(values))


def test_a_query_a_column_is_noticed():
    with pytest.raises(ValueError, match=r"is that indices\.T\? A query is a row"):
        lz.metrics.average_precisions(np.zeros((5, 2), int), [[0], [1]])


def test_a_ranking_goes_wherever_indices_go():
    ranking = lz.Ranking([[5, 0], [0, -1]], [[0.9, 0.8], [0.7, -np.inf]])
    assert lz.metrics.mean_average_precision(ranking, [[0, 1], [0]]) == 0.625
    assert lz.metrics.average_precisions(ranking, [[0, 1], [0]]).tolist() == [0.25, 1.0]
    with pytest.raises(ValueError, match=r"shape \(3, K\)"):
        lz.metrics.mean_average_precision(ranking, [[0], [0], [0]])


def test_a_mask_is_not_a_list_of_rows():
    mask = np.array([[False, True], [True, False]])
    with pytest.raises(TypeError, match=r"relevant\[0\] is a mask: give what it marks"):
        lz.metrics.mean_average_precision([[1, 0], [0, 1]], mask)
