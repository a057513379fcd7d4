"""Whitening of descriptors, with and without labels."""

import numpy as np
import pytest

import landmarkzoo as lz


@pytest.fixture
def photos():
    random = np.random.default_rng(0)
    labels = np.arange(300) % 30
    spread = np.array([9, 7, 1, 1, 1, 1, 1, 1.0])  # what differs within a landmark is mostly the first two
    places = random.standard_normal((30, 8))
    return places[labels] + 0.4 * spread * random.standard_normal((300, 8)), labels


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_plain_whitening_makes_the_covariance_the_identity(photos):
    x, _ = photos
    whitening = lz.Whitening.fit(x, shrinkage=0.0)
    white = (unit(x.astype(np.float32).astype(np.float64)) - whitening.mean) @ whitening.projection.T
    np.testing.assert_allclose(white.T @ white / len(x), np.eye(8), atol=1e-8)
    np.testing.assert_allclose(whitening.apply(x), unit(white), atol=1e-5)
    fewer = lz.Whitening.fit(x, dim=3, shrinkage=0.0)
    np.testing.assert_allclose(fewer.projection, whitening.projection[:3])


def test_supervised_whitening_makes_what_differs_within_landmarks_the_identity(photos):
    x, labels = photos
    whitening = lz.Whitening.fit(x, labels=labels, shrinkage=0.0)
    white = (unit(x.astype(np.float32).astype(np.float64)) - whitening.mean) @ whitening.projection.T
    away = white - np.stack([white[labels == c].mean(axis=0) for c in range(30)])[labels]
    np.testing.assert_allclose(away.T @ away / len(x), np.eye(8), atol=1e-8)
    total = white.T @ white / len(x)
    np.testing.assert_allclose(total, np.diag(np.diag(total)), atol=1e-8)
    assert (np.diff(np.diag(total)) <= 1e-9).all()  # strongest first


def test_labels_help_where_landmarks_vary_more_within_than_between(photos):
    x, labels = photos
    learn, search = labels < 15, labels >= 15
    relevant = [np.flatnonzero(labels[search] == c) for c in labels[search]]

    def score(vectors):
        d = lz.Descriptors([str(i) for i in range(search.sum())], vectors)
        found = lz.search(d, d, k=100, exclude_same_id=True)
        others = [r[r != i] for i, r in enumerate(relevant)]
        return lz.metrics.mean_average_precision(found.indices, others)

    supervised = lz.Whitening.fit(x[learn], labels=labels[learn])
    assert score(supervised.apply(x[search])) > score(x[search]) + 0.1


def test_unknown_labels_and_single_photos_say_nothing(photos):
    x, labels = photos
    some = labels.copy()
    some[150:] = -1
    alone = np.append(some, 99)
    one = lz.Whitening.fit(x, labels=some)
    two = lz.Whitening.fit(np.append(x, x[:1], axis=0), labels=alone)
    assert one.projection.shape == two.projection.shape
    np.testing.assert_allclose(two.projection / one.projection, 1, atol=0.2)  # the mean moves a little
    with pytest.raises(ValueError, match="landmarks with 2 different photos"):
        lz.Whitening.fit(x, labels=np.arange(300))
    with pytest.raises(ValueError, match="landmarks with 2 different photos"):
        lz.Whitening.fit(np.repeat(x[:30], 3, axis=0), labels=np.repeat(np.arange(30), 3))
    with pytest.raises(ValueError, match="landmarks with 2 different photos"):
        lz.Whitening.fit(x, labels=np.full(300, -1))


def test_saved_and_loaded(photos, tmp_path):
    x, _ = photos
    whitening = lz.Whitening.fit(x, dim=5)
    whitening.save(tmp_path / "w.safetensors")
    loaded = lz.Whitening.load(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(loaded.apply(x), whitening.apply(x))
    with pytest.raises(FileNotFoundError, match="no whitening file"):
        lz.Whitening.load(tmp_path / "none.safetensors")
    lz.Descriptors(["a"], [[1.0]]).save(tmp_path / "d.safetensors")
    with pytest.raises(ValueError, match="does not hold whitening"):
        lz.Whitening.load(tmp_path / "d.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="is damaged"):
        lz.Whitening.load(tmp_path / "w.safetensors")


def test_wrong_input():
    for arguments, message in (
        ({"descriptors": np.eye(3), "dim": 4}, "dim must be at most 3"),
        ({"descriptors": np.eye(3)[:1]}, "at least 2 descriptors"),
        ({"descriptors": np.ones((3, 3))}, "photos that differ"),
        ({"descriptors": np.eye(3), "shrinkage": -1}, "shrinkage must not be negative"),
        ({"descriptors": np.eye(3), "labels": [0, 0]}, r"labels must have shape \(3,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            lz.Whitening.fit(**arguments)
    with pytest.raises(ValueError, match="takes 3 dimensions, got 2"):
        lz.Whitening.fit(np.eye(3)).apply(np.eye(2))


def test_directions_that_the_photos_do_not_span_are_zero_with_labels_too():
    random = np.random.default_rng(0)
    x, labels = random.standard_normal((20, 64)), np.arange(20) % 4
    whitening = lz.Whitening.fit(x, labels=labels)
    assert (np.linalg.norm(whitening.projection, axis=1) > 0).sum() == 19
    order = random.permutation(20)
    again = lz.Whitening.fit(x[order], labels=labels[order])
    np.testing.assert_allclose(again.apply(x), whitening.apply(x), atol=1e-4)
    with pytest.raises(ValueError, match="shrinkage=0 needs more photos than dimensions"):
        lz.Whitening.fit(x, labels=labels, shrinkage=0.0)
