"""Diffusion against the matrix that it inverts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import cosine, descriptors, nearest

import landmarkzoo as lz
from landmarkzoo.rerank import graph_diffusion


def dense_scores(query, index, neighbors, query_neighbors, gamma, alpha):
    n = len(index)
    near = [set(nearest(x, index, min(neighbors + 1, n))) for x in index]
    w = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j and i in near[j] and j in near[i]:
                w[i, j] = max(cosine(index[i], index[j]), 0.0) ** gamma
    degree = w.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1.0))
    s = scale[:, None] * w * scale
    y = np.zeros((len(query), n))
    for row, q in enumerate(query):
        for i in nearest(q, index, min(query_neighbors, n)):
            y[row, i] = max(cosine(q, index[i]), 0.0) ** gamma
    f = np.linalg.solve(np.eye(n) - alpha * s, y.T).T
    cosines = np.array([[cosine(q, x) for x in index] for q in query])
    linked = (np.eye(n) + (w > 0)).clip(max=1) if alpha else np.eye(n)
    for _ in range(n):
        linked = np.minimum(linked @ linked, 1)
    return np.where((y > 0) @ linked > 0, f, cosines - 2)


@given(
    st.integers(1, 3), st.integers(1, 15), st.integers(1, 6), st.integers(1, 4),
    st.sampled_from([1.0, 3.0]), st.sampled_from([0.0, 0.5, 0.99]), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_equals_the_inverse_of_the_whole_matrix(q, n, neighbors, starts, gamma, alpha, seed):
    query, index = descriptors(seed, q, n)
    options = {"neighbors": neighbors, "query_neighbors": starts, "gamma": gamma, "alpha": alpha}
    ranking = lz.rerank.diffusion(query, index, **options)
    expected = dense_scores(query, index, neighbors, starts, gamma, alpha)
    found = np.take_along_axis(expected, ranking.indices, axis=1)
    np.testing.assert_allclose(ranking.scores, found, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ranking.scores, -np.sort(-expected, axis=1), rtol=1e-4, atol=1e-4)
    assert (np.sort(ranking.indices, axis=1) == np.arange(n)).all()


def test_follows_a_chain_to_its_end():
    angles = np.concatenate([np.linspace(0, 1.2, 13), [-0.5, -0.55, -0.6]])
    index = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    query = np.array([[1.0, 0.0]])
    assert set(lz.search(query, index, k=13).indices[0]) != set(range(13))
    ranking = lz.rerank.diffusion(query, index, k=13, neighbors=4, query_neighbors=1)
    assert set(ranking.indices[0].tolist()) == set(range(13))


def test_a_faint_link_still_leads_there():
    """f is 1e-7 behind it, below the error of the solution; its images come before those without link."""
    query, index = descriptors(2, 2, 8)
    ranking = lz.rerank.diffusion(query, index, neighbors=4, query_neighbors=1, gamma=3.0, alpha=0.5)
    expected = dense_scores(query, index, 4, 1, 3.0, 0.5)
    assert (expected > -1e-6).sum() == (ranking.scores >= 0).sum()


def test_blocks_and_order_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    query, index = random.standard_normal((7, 6)), random.standard_normal((60, 6))
    whole = lz.rerank.diffusion(query, index, neighbors=8)
    order = random.permutation(60)
    other = lz.rerank.diffusion(query, index[order], neighbors=8)
    assert np.array_equal(order[other.indices], whole.indices)
    monkeypatch.setattr(graph_diffusion, "_BLOCK_VALUES", 1)
    alone = lz.rerank.diffusion(query, index, neighbors=8)
    assert np.array_equal(alone.indices, whole.indices)
    np.testing.assert_allclose(alone.scores, whole.scores, rtol=1e-6)


def test_wrong_values():
    for wrong, message in (({"alpha": 1.0}, r"alpha must be in \[0, 1\)"), ({"gamma": -1}, "gamma must not")):
        with pytest.raises(ValueError, match=message):
            lz.rerank.diffusion(np.eye(2), np.eye(2), **wrong)
