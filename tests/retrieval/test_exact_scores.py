"""Exact scores of the whole index: for many copies, and for k up to N."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_by_hand import integers, slow_search, with_copies

from landmarkzoo.retrieval import exact_scores
from landmarkzoo.retrieval.exact_scores import ExactScores, _from_keys, _to_keys, largest


def scores_of(queries, index, lowest=-1.0):
    return ExactScores(torch.from_numpy(queries), torch.from_numpy(index), None, lowest)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=30), st.integers(0, 2**31))
def test_keys_have_the_order_of_results(values, first):
    scores = torch.tensor([values], dtype=torch.float32)
    keys = _to_keys(scores, first)
    order = sorted(range(len(values)), key=lambda i: (-scores[0, i].item(), i))
    assert keys[0].argsort().tolist() == order
    rows, back = _from_keys(keys)
    assert (rows - first).tolist() == [list(range(len(values)))]
    assert torch.equal(back, scores)
    assert (keys < exact_scores._NO_KEY).all()


def test_keys_of_a_very_large_index():
    last = 2**32 - 1
    rows, scores = _from_keys(_to_keys(torch.tensor([[-0.5, 0.5]]), last - 1))
    assert rows.tolist() == [[last - 1, last]]
    assert scores.tolist() == [[-0.5, 0.5]]


@pytest.mark.parametrize("keep", [1, 50, 512, 513])
def test_largest_finds_the_same_values_as_topk(keep):
    values = torch.randn(13, 4096).round(decimals=1)  # ties
    found, columns = largest(values, keep)
    assert torch.equal(found.sort(descending=True).values, values.topk(keep, dim=1).values)
    assert torch.equal(values.gather(1, columns), found)
    assert all(len(set(row)) == keep for row in columns.tolist())


@given(
    st.sampled_from(["integers", "copies", "near copies", "signs", "all equal"]),
    st.integers(1, 60),
    st.integers(1, 6),
    st.integers(1, 70),
    st.integers(0, 10**6),
    st.sampled_from([4, 8, 64]),
)
@settings(max_examples=80, deadline=None)
def test_the_best_equal_a_slow_loop(kind, n, dim, k, seed, block):
    queries = integers(3, dim, seed)
    if kind == "integers":
        index = integers(n, dim, seed + 1)
    elif kind == "all equal":
        index = np.repeat(integers(1, dim, seed + 1), n, axis=0)
    else:
        noise = {"copies": 0, "near copies": 1e-7, "signs": 0}[kind]
        index = with_copies(n, dim, seed, n // 2, noise)
        index = np.sign(index) if kind == "signs" else index
        queries[0] = index[0]
    k = min(k, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_scores, "_INDEX_BLOCK", block)
        patch.setattr(exact_scores, "_CACHED_VALUES", 2 * block)
        exact = scores_of(queries, index)
        rows, scores = exact.best(torch.arange(3), k)
        floor = scores[:, -1]  # as if candidates had been found before
        again = exact.best(torch.arange(3), k, floor)
    expected_rows, expected_scores = slow_search(queries, index, k)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-7)
    if kind in ("integers", "signs", "all equal"):  # their sums are the same in any order
        assert rows.tolist() == expected_rows.tolist()
    pairs = exact.of(torch.arange(3), torch.arange(n).expand(3, n)).numpy()
    by_pairs = np.array([np.lexsort((np.arange(n), -row))[:k] for row in pairs])
    assert rows.tolist() == by_pairs.tolist()
    assert np.array_equal(scores, np.take_along_axis(pairs, by_pairs, axis=1))
    assert torch.equal(again[0], rows)
    assert torch.equal(again[1], scores)


def test_the_last_bits_of_a_product_do_not_count(monkeypatch):
    """Libraries add up in any order: any product within the bound gives the same result."""
    queries, index = with_copies(20, 300, 0, 0), with_copies(3000, 300, 1, 100, 1e-7)
    exact = scores_of(queries, index)
    rows, scores = exact.best(torch.arange(20), 3000)
    rounded = ExactScores._rounded

    def shaken(self, products, *arguments):
        products += (2 * torch.rand(products.shape) - 1) * 0.9 * self._error
        return rounded(self, products, *arguments)

    monkeypatch.setattr(ExactScores, "_rounded", shaken)
    monkeypatch.setattr(exact_scores, "_INDEX_BLOCK", 777)
    for _ in range(3):
        again = exact.best(torch.arange(20), 3000)
        assert torch.equal(again[0], rows)
        assert torch.equal(again[1], scores)


def test_a_product_is_within_its_bound():
    for dim in (1, 7, 512, 3000):
        queries, index = with_copies(50, dim, 0, 0) + 1, with_copies(200, dim, 1, 0) + 1
        exact = scores_of(queries * 1e30, index * 1e-30)
        q, x = (exact_scores._unit(torch.from_numpy(a)) for a in (queries, index))
        pairs = exact_scores._cosines(torch.from_numpy(queries)[:, None], torch.from_numpy(index))
        assert (q @ x.T - pairs).abs().max() < exact._error / 2


def test_cosines_below_the_lowest_count_as_it():
    exact = scores_of(
        np.array([[1.0, 0.0]], dtype=np.float32), np.eye(2, dtype=np.float32) * [[-1], [1]], 0.0
    )
    rows, scores = exact.best(torch.arange(1), 2)
    assert rows.tolist() == [[0, 1]]  # they tie
    assert scores.tolist() == [[0.0, 0.0]]
