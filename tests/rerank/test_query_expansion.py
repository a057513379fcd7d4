"""Query expansion and database augmentation."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import cosine, descriptors, nearest, unit

import landmarkzoo as lz
from landmarkzoo.rerank import query_expansion


def test_golden_expansion():
    index = np.array([[0.8, 0.6], [0.6, 0.8], [0, 1]])
    expanded = lz.rerank.alpha_query_expansion(np.array([[1.0, 0.0]]), index, k=2, alpha=3)
    np.testing.assert_allclose(expanded, [[0.954656, 0.297710]], atol=1e-6)


@given(
    st.integers(1, 4), st.integers(1, 12), st.integers(1, 14), st.sampled_from([0.0, 1.0, 3.0, 2.5]),
    st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_expansion_equals_a_slow_loop(q, n, k, alpha, seed):
    query, index = descriptors(seed, q, n)
    expanded = lz.rerank.alpha_query_expansion(query, index, k=k, alpha=alpha)
    for row in range(q):
        total = unit(query[row])
        for i in nearest(query[row], index, k):
            similarity = float(np.float32(max(cosine(query[row], index[i]), 0.0)))
            total = total + similarity**alpha * unit(index[i])
        np.testing.assert_allclose(expanded[row], unit(total), atol=1e-5)


@given(st.integers(1, 14), st.integers(1, 12), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_augmentation_equals_a_slow_loop(n, k, seed):
    (index,) = descriptors(seed, n)
    augmented = lz.rerank.database_augmentation(index, k=k)
    weights = np.logspace(0, -1.5, k)[: min(k, n)]
    for row in range(n):
        others = [i for i in nearest(index[row], index, n) if i != row]
        total = sum(w * unit(index[i]) for w, i in zip(weights, [row, *others]))
        np.testing.assert_allclose(augmented[row], total / weights.sum(), atol=1e-6)


def test_augmentation_starts_from_the_image_itself_among_many_duplicates():
    index = np.concatenate([np.tile([[3.0, 4.0]], (30, 1)), [[1.0, 0.0]]])
    augmented = lz.rerank.database_augmentation(index, k=5)
    np.testing.assert_allclose(augmented[:30], np.tile([[0.6, 0.8]], (30, 1)), atol=1e-6)


def test_descriptors_keep_ids_and_provenance(monkeypatch):
    query, index = descriptors(1, 5, 20)
    index = lz.Descriptors([f"i{n}" for n in range(20)], index, provenance={"model": "m"})
    query = lz.Descriptors([f"q{n}" for n in range(5)], query, provenance={"model": "m"})
    expanded, augmented = (
        lz.rerank.alpha_query_expansion(query, index),
        lz.rerank.database_augmentation(index),
    )
    assert (expanded.ids, augmented.ids) == (query.ids, index.ids)
    assert expanded.provenance == augmented.provenance == {"model": "m"}
    monkeypatch.setattr(query_expansion, "_BLOCK_VALUES", 1)  # a row at a time
    np.testing.assert_array_equal(lz.rerank.alpha_query_expansion(query, index).vectors, expanded.vectors)


def test_memory_does_not_grow_with_the_number_of_queries():
    random = np.random.default_rng(0)
    query, index = random.random((3000, 128)), random.random((500, 128))
    tracemalloc.start()
    lz.rerank.alpha_query_expansion(query, index, k=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 2**20  # all 3,000 x 20 neighbours at once: 125


def test_memory_holds_the_index_once_more(monkeypatch):
    monkeypatch.setattr(query_expansion, "_BLOCK_VALUES", 2**16)
    index = np.random.default_rng(0).random((20_000, 128), dtype=np.float32)
    tracemalloc.start()
    lz.rerank.database_augmentation(index, k=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * index.nbytes  # in float64 all at once: 3 times


def test_a_set_expanded_by_itself_leaves_itself_out():
    ids, x = ["a", "b", "c"], np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    d = lz.Descriptors(ids, x)
    expanded = lz.rerank.alpha_query_expansion(d, d, k=1, alpha=1, exclude_same_id=True)
    np.testing.assert_allclose(expanded.vectors[0], unit(x[0] + 0.8 * x[1]), atol=1e-6)


def test_wrong_values():
    with pytest.raises(ValueError, match="alpha must not be negative"):
        lz.rerank.alpha_query_expansion(np.eye(2), np.eye(2), alpha=-1)
    with pytest.raises(ValueError, match="k must be a positive integer"):
        lz.rerank.database_augmentation(np.eye(2), k=0)
    with pytest.raises(ValueError, match="the index is empty"):
        lz.rerank.database_augmentation(np.empty((0, 2)))
