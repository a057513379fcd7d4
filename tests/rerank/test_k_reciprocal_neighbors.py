"""k-reciprocal re-ranking against the definition, image by image."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import cosine, nearest, unit

import landmarkzoo as lz


def slow_scores(query, index, k1, k2, weight):
    """Scores (Q, N) with sets and dictionaries, as the paper defines them."""
    x = [*query, *index]
    k1, k2 = min(k1, len(x) - 1), min(k2, len(x))

    def around(i, k):
        return [i, *[j for j in nearest(x[i], x, len(x)) if j != i]][:k]

    def mutual(i, k):
        return {j for j in around(i, k + 1) if i in around(j, k + 1)}

    vectors = []
    for i in range(len(x)):
        own = grown = mutual(i, k1)
        for j in own:
            half = mutual(j, round(k1 / 2))  # of two halves the even one, as numpy rounds
            if len(half & own) > 2 / 3 * len(half):
                grown = grown | half
        weights = {j: np.exp(cosine(x[i], x[j]) - 1) for j in grown}
        vectors.append({j: w / sum(weights.values()) for j, w in weights.items()})
    means = []
    for i in range(len(x)):
        mean = {}
        for j in around(i, k2):
            for column, value in vectors[j].items():
                mean[column] = mean.get(column, 0) + value / k2
        means.append(mean)
    scores = np.empty((len(query), len(index)))
    for q in range(len(query)):
        for n in range(len(index)):
            a, b = means[q], means[len(query) + n]
            smaller = sum(min(a[c], b[c]) for c in a if c in b)
            scores[q, n] = (1 - weight) * smaller / (2 - smaller) + weight * cosine(query[q], index[n])
    return scores


@given(
    st.integers(1, 3), st.integers(2, 14), st.integers(1, 8), st.integers(1, 5),
    st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_equals_the_definition(q, n, k1, k2, weight, seed):
    random = np.random.default_rng(seed)
    query, index = (random.standard_normal((rows, 5)).astype(np.float32) for rows in (q, n))
    ranking = lz.rerank.k_reciprocal(query, index, k1=k1, k2=k2, weight=weight)
    expected = slow_scores(query, index, k1, k2, weight)
    found = np.take_along_axis(expected, ranking.indices, axis=1)
    np.testing.assert_allclose(ranking.scores, found, atol=1e-5)  # each image has its score
    np.testing.assert_allclose(ranking.scores, -np.sort(-expected, axis=1), atol=1e-5)  # the best come first
    assert (np.sort(ranking.indices, axis=1) == np.arange(n)).all()
    best = lz.rerank.k_reciprocal(query, index, k=3, k1=k1, k2=k2, weight=weight)
    assert np.array_equal(best.indices, ranking.indices[:, :3])


def test_order_of_the_index_does_not_matter():
    random = np.random.default_rng(0)
    query, index = random.standard_normal((4, 6)), random.standard_normal((40, 6))
    order = random.permutation(40)
    one, other = lz.rerank.k_reciprocal(query, index), lz.rerank.k_reciprocal(query, index[order])
    assert np.array_equal(one.indices, order[other.indices])


def test_duplicates_and_zero_vectors():
    index = np.concatenate([np.tile(unit([3, 4]), (30, 1)), np.zeros((2, 2)), [[1.0, 0.0]]])
    ranking = lz.rerank.k_reciprocal(np.array([[0.6, 0.8]]), index, k1=5, k2=3)
    assert np.isfinite(ranking.scores).all()
    assert sorted(ranking.indices[0, :30].tolist()) == list(range(30))


@pytest.mark.parametrize("weight", [0.3, 0.0])
def test_memory_holds_the_vectors_once_more(weight):
    random = np.random.default_rng(0)
    query, index = random.random((20, 4096), np.float32), random.random((1000, 4096), np.float32)
    tracemalloc.start()
    lz.rerank.k_reciprocal(query, index, weight=weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * index.nbytes  # in float64: 6 times


def test_many_copies_of_one_photo():
    """A placeholder photo 400 times: no image is lost, and the copies do not push others down."""
    random = np.random.default_rng(0)
    index = np.concatenate([random.standard_normal((100, 8)), np.tile(random.standard_normal(8), (400, 1))])
    query = index[:3] + random.standard_normal((3, 8)) / 100
    alone = lz.rerank.k_reciprocal(query, index[:100], k=5)
    among = lz.rerank.k_reciprocal(query, index, k=5)
    assert among.indices[:, 0].tolist() == alone.indices[:, 0].tolist() == [0, 1, 2]
    assert sorted(lz.rerank.k_reciprocal(query, index, k=500).indices[0].tolist()) == list(range(500))


def test_wrong_values():
    for wrong, message in (({"weight": 1.5}, "weight must be in"), ({"k1": 0}, "k1 must be a positive")):
        with pytest.raises(ValueError, match=message):
            lz.rerank.k_reciprocal(np.eye(2), np.eye(2), **wrong)
