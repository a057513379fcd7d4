"""SuperGlobal re-ranking against the definition, image by image."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import cosine, descriptors, nearest, unit

import landmarkzoo as lz
from landmarkzoo.rerank import superglobal_shortlist

superglobal = lz.rerank.superglobal


def slow(query, index, shortlist, neighbors, beta):
    """Rows and scores of one query; ties by the smaller row."""
    plain = nearest(query, index, len(index))
    rows = sorted(plain[:shortlist])
    refined = {}
    for i in rows:
        others = [j for j in rows if j != i]
        best = [others[n] for n in nearest(index[i], [index[j] for j in others], neighbors)]
        total, divisor = unit(index[i]), 1.0
        for j in best:
            weight = beta * float(np.float32(cosine(index[i], index[j])))
            total, divisor = total + weight * unit(index[j]), divisor + weight
        refined[i] = total / divisor if divisor > 0 else unit(index[i])
    first = {i: float((unit(query) * refined[i]).sum()) for i in rows}
    by_first = sorted(rows, key=lambda i: (-np.float32(first[i]), i))
    expanded = np.max([refined[i] for i in by_first[: neighbors + 1]], axis=0)
    scores = {i: (first[i] + float((expanded * refined[i]).sum())) / 2 for i in rows}
    order = sorted(rows, key=lambda i: (-np.float32(scores[i]), i))
    return order + plain[shortlist:], scores


@given(
    st.integers(1, 3), st.integers(1, 16), st.integers(1, 18), st.integers(1, 18), st.integers(1, 12),
    st.sampled_from([0.0, 0.15, 0.6]), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_equals_a_slow_loop(q, n, k, shortlist, neighbors, beta, seed):
    queries, index = descriptors(seed, q, n, dim=6)
    options = {"shortlist": shortlist, "neighbors": neighbors, "beta": beta}
    ranking = superglobal(queries, index, k=k, **options)
    assert ranking.indices.shape == (q, min(k, n))
    assert (np.diff(ranking.scores) <= 0).all()
    for row in range(q):
        order, scores = slow(queries[row], index, **options)
        assert ranking.indices[row].tolist() == order[:k]
        expected = [scores[i] for i in order[: min(k, shortlist)]]
        np.testing.assert_allclose(ranking.scores[row, :shortlist], expected, rtol=1e-5, atol=1e-5)


def test_neighbors_count_without_the_image_itself():
    """By hand: with one neighbour each, two images at an angle refine each other and not the third."""
    index = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    ranking = superglobal(np.array([[1.0, 0.0]]), index, neighbors=1, beta=0.5)
    refined = np.array([[1.32, 0.24], [1.2, 0.6], [0.24, 1.18]]) / [[1.4], [1.4], [1.3]]
    expanded = refined[:2].max(axis=0)  # of the best two by the first score
    expected = (refined[:, 0] + refined @ expanded) / 2
    assert ranking.indices[0].tolist() == np.argsort(-expected).tolist()
    np.testing.assert_allclose(ranking.scores[0], -np.sort(-expected), atol=1e-6)


def test_without_refining_it_is_a_search_with_the_expanded_query():
    random = np.random.default_rng(1)
    queries, index = random.standard_normal((5, 12)), random.standard_normal((40, 12))
    ranking = superglobal(queries, index, shortlist=40, neighbors=6, beta=0)
    best = lz.search(queries, index, 7).indices
    expanded = unit_rows(queries) + unit_rows(index)[best].max(axis=1)
    assert np.array_equal(ranking.indices, lz.search(expanded, index).indices)


def unit_rows(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_a_shortlist_of_one_changes_nothing():
    queries, index = descriptors(4, 3, 30)
    plain = lz.search(queries, index)
    ranking = superglobal(queries, index, shortlist=1)
    assert np.array_equal(ranking.indices, plain.indices)
    assert (np.diff(ranking.scores) <= 0).all()


def test_behind_the_shortlist_the_plain_ranking_goes_on():
    random = np.random.default_rng(2)
    queries, index = random.standard_normal((4, 8)), random.standard_normal((60, 8))
    plain = lz.search(queries, index, k=60)
    ranking = superglobal(queries, index, k=60, shortlist=20)
    assert np.array_equal(ranking.indices[:, 20:], plain.indices[:, 20:])
    assert np.array_equal(np.sort(ranking.indices[:, :20]), np.sort(plain.indices[:, :20]))
    assert not np.array_equal(ranking.indices[:, :20], plain.indices[:, :20])
    falls = np.diff(plain.scores[:, 19:])
    np.testing.assert_allclose(np.diff(ranking.scores[:, 19:]), falls, atol=1e-6)
    short = superglobal(queries, index, k=5, shortlist=20)
    assert np.array_equal(short.indices, ranking.indices[:, :5])
    assert np.array_equal(short.scores, ranking.scores[:, :5])


def test_opposite_images_and_zero_vectors():
    """Ten images opposite to one: its divisor would be negative, so it stays as it is."""
    index = np.concatenate([np.tile([[0.6, 0.8]], (10, 1)), [[-0.6, -0.8]], np.zeros((2, 2))])
    ranking = superglobal(np.array([[0.0, 1.0]]), index, neighbors=12, beta=1.0)
    assert np.isfinite(ranking.scores).all()
    assert ranking.indices[0].tolist() == [*range(10), 11, 12, 10]


def test_length_and_order_of_the_index_do_not_matter():
    random = np.random.default_rng(0)
    queries, index = random.standard_normal((4, 6)), random.standard_normal((50, 6))
    order = random.permutation(50)
    one, other = superglobal(queries, index), superglobal(3 * queries, 2 * index[order])
    assert np.array_equal(one.indices, order[other.indices])


def test_copies_of_a_photo_get_one_score_and_stand_in_their_order():
    random = np.random.default_rng(0)
    index = np.concatenate([random.standard_normal((50, 8)), np.tile(random.standard_normal(8), (30, 1))])
    ranking = superglobal(index[50:51], index, k=80, shortlist=60)
    copies = ranking.indices[0] >= 50
    assert ranking.indices[0, copies].tolist() == list(range(50, 80))
    assert len(set(ranking.scores[0, copies].tolist())) == 1


def test_blocks_do_not_matter(monkeypatch):
    queries, index = descriptors(7, 3, 40)
    expected = superglobal(queries, index, shortlist=30)
    monkeypatch.setattr(superglobal_shortlist, "_BLOCK_VALUES", 4 * 30)  # the last block is smaller
    ranking = superglobal(queries, index, shortlist=30)
    assert np.array_equal(ranking.indices, expected.indices)
    np.testing.assert_allclose(ranking.scores, expected.scores, atol=1e-6)


def test_ids_stay_with_the_ranking():
    queries = lz.Descriptors(["q"], np.array([[1.0, 0.0]]))
    index = lz.Descriptors(["a", "b"], np.eye(2))
    assert superglobal(queries, index).ids.tolist() == [["a", "b"]]


def test_memory_grows_with_the_shortlist_only():
    random = np.random.default_rng(0)
    queries, index = random.random((40, 512), np.float32), random.random((4000, 512), np.float32)
    tracemalloc.start()
    superglobal(queries, index, shortlist=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 100 * 512 * 8  # the refined shortlists of all queries at once: 40 times


def test_wrong_values():
    for wrong, message in (
        ({"beta": -0.1}, "beta must not be negative"),
        ({"shortlist": 0}, "shortlist must be a positive integer, got 0"),
        ({"neighbors": 0}, "neighbors must be a positive integer"),
        ({"k": 0}, "k must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            superglobal(np.eye(2), np.eye(2), **wrong)
    with pytest.raises(ValueError, match="the index is empty"):
        superglobal(np.eye(2), np.empty((0, 2)))
