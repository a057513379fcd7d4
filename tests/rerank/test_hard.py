"""Hard discriminative re-ranking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_rerank import LABELS, golden_vectors
from vectors import cosine, descriptors, nearest

import landmarkzoo as lz


def test_golden_order():
    rows, train, scale = golden_vectors()  # whose cosines, and so confidences, are halved
    index = np.stack([rows[f"i{n}"] for n in range(5)])
    options = {"train": train, "train_labels": LABELS, "threshold": 0.6 * scale}
    ranking = lz.rerank.hard_discriminative(rows["q"][None], index, k=4, **options)
    assert [f"i{n}" for n in ranking.indices[0]] == ["i1", "i3", "i4", "i0"]
    three = lz.rerank.hard_discriminative(rows["q"][None], index, k=3, **options)
    assert [f"i{n}" for n in three.indices[0]] == ["i1", "i3", "i4"]  # of i0, i1, i2 retrieved
    strict = {**options, "threshold": (0.4333333 + 0.3166667) * scale + 1e-6}  # i4 is not sure enough
    ranking = lz.rerank.hard_discriminative(rows["q"][None], index, k=4, **strict)
    assert [f"i{n}" for n in ranking.indices[0]] == ["i1", "i3", "i0", "i2"]


@given(
    st.integers(1, 4), st.integers(1, 15), st.integers(1, 10), st.integers(1, 20), st.floats(-1, 2),
    st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_equals_a_slow_loop(q, n, t, k, threshold, seed):
    query, index, train = descriptors(seed, q, n, t)
    labels = np.random.default_rng(seed).integers(-1, 2, t)
    ranking = lz.rerank.hard_discriminative(query, index, train, labels, k=k, threshold=threshold)
    of_query, of_index = (lz.rerank.vote(x, train, labels) for x in (query, index))
    for row in range(q):
        retrieved = nearest(query[row], index, min(k, n))
        label = of_query.labels[row]
        first = [i for i in retrieved if of_index.labels[i] == label]
        sure = [
            i
            for i in range(n)
            if of_index.labels[i] == label
            and i not in retrieved
            and of_index.confidence[i] + of_query.confidence[row] > threshold
        ]
        sure.sort(key=lambda i: (-of_index.confidence[i], i))
        rest = [i for i in retrieved if i not in first]
        expected = retrieved if label == -1 else (first + sure + rest)[: len(retrieved)]
        assert ranking.indices[row].tolist() == expected
        assert (np.diff(ranking.scores[row]) <= 0).all()
        if label == -1:
            cosines = [cosine(query[row], index[i]) for i in expected]
            np.testing.assert_allclose(ranking.scores[row], cosines, atol=1e-6)


def test_votes_computed_before_are_taken_and_checked():
    query, index, train = descriptors(3, 2, 9, 6)
    labels = [0, 0, 1, 1, 2, -1]
    votes = lz.rerank.vote(index, train, labels)
    fresh = lz.rerank.hard_discriminative(query, index, train, labels, threshold=0.1)
    again = lz.rerank.hard_discriminative(query, index, train, labels, threshold=0.1, index_votes=votes)
    assert np.array_equal(fresh.indices, again.indices)
    with pytest.raises(ValueError, match="index_votes are of 9 images and 3 neighbors, needed are 8 and 3"):
        lz.rerank.hard_discriminative(query, index[:8], train, labels, index_votes=votes)
    with pytest.raises(ValueError, match="threshold must be finite"):
        lz.rerank.hard_discriminative(query, index, train, labels, threshold=np.nan)


def test_two_confidences_at_the_threshold_are_not_enough():
    train, labels, query = np.eye(3), [7, 8, 9], np.array([[1.0, 0, 0]])
    # The first has the query's label; the second is nearer than the third, which has that label too.
    index = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.59, 0.57, 0.57]])
    votes = lz.rerank.vote(index, train, labels, 1)
    assert votes.labels.tolist() == [7, 8, 7]
    at = float(votes.confidence[2] + lz.rerank.vote(query, train, labels, 1).confidence[0])
    for threshold, expected in ((at, [0, 1]), (np.nextafter(at, 0), [0, 2])):
        options = {"k": 2, "neighbors": 1, "threshold": threshold}
        ranking = lz.rerank.hard_discriminative(query, index, train, labels, **options)
        assert ranking.indices[0].tolist() == expected
