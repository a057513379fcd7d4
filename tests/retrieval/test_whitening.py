"""Whitening of descriptors, with and without labels."""

import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save_file

import landmarkzoo as lz
from landmarkzoo.retrieval import whitening


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
    fitted = lz.Whitening.fit(x, shrinkage=0.0)
    white = (unit(x.astype(np.float32).astype(np.float64)) - fitted.mean) @ fitted.projection.T
    np.testing.assert_allclose(white.T @ white / len(x), np.eye(8), atol=1e-8)
    np.testing.assert_allclose(fitted.apply(x), unit(white), atol=1e-5)
    fewer = lz.Whitening.fit(x, dim=3, shrinkage=0.0)
    np.testing.assert_allclose(fewer.projection, fitted.projection[:3])


def test_supervised_whitening_makes_what_differs_within_landmarks_the_identity(photos):
    x, labels = photos
    fitted = lz.Whitening.fit(x, labels=labels, shrinkage=0.0)
    white = (unit(x.astype(np.float32).astype(np.float64)) - fitted.mean) @ fitted.projection.T
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
    fitted = lz.Whitening.fit(x, dim=5)
    fitted.save(tmp_path / "w.safetensors")
    loaded = lz.Whitening.load(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(loaded.apply(x), fitted.apply(x))
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
        lz.Whitening.fit(np.eye(3), dim=2).apply(np.eye(2))
    for mean, projection, message in (
        (np.ones((1, 3)), np.eye(3), "mean of a whitening is a finite float array of 1 dimensions"),
        (np.array(["a"]), np.eye(1), "got <U1 of shape"),
        (np.ones(3), np.full((2, 3), np.nan), "projection of a whitening is a finite"),
        (np.ones(3), np.eye(2), "the mean has 3 dimensions, the projection takes 2"),
    ):
        with pytest.raises(ValueError, match=message):
            lz.Whitening(mean, projection)


@pytest.mark.parametrize("labels", [None, [0, 0, 1, 1, 1]])
def test_dimensions_beyond_the_rank_are_told(labels):
    x = np.random.default_rng(0).standard_normal((5, 8))
    message = r"5 photos span 4 directions: the other 3 of 7 dimensions are zero.*dim=4 or less"
    with pytest.warns(UserWarning, match=message):
        fitted = lz.Whitening.fit(x, dim=7, labels=labels)
    assert (np.linalg.norm(fitted.projection, axis=1) > 0).tolist() == [True] * 4 + [False] * 3
    lz.Whitening.fit(x, dim=4, labels=labels)  # no warning


def whole_covariances(x, labels):
    """All at once, as the formulas say."""
    x = unit(x.astype(np.float32).astype(np.float64))
    away = x - np.stack([x[labels == label].mean(axis=0) for label in labels])
    several = np.array([(labels == label).sum() > 1 and label != -1 for label in labels])
    return (x - x.mean(axis=0)).T @ (x - x.mean(axis=0)) / len(x), away[several].T @ away[
        several
    ] / several.sum()


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_moments_in_blocks_are_those_of_all_at_once(photos, rows, monkeypatch):
    x, labels = photos
    labels = np.where(
        np.arange(300) < 100, -1, labels * (np.arange(300) < 290) + np.arange(300) // 290 * 1000
    )
    labels[-1] = 5000  # one photo of its own
    total, within = whole_covariances(x, labels)
    monkeypatch.setattr(whitening, "_BLOCK_VALUES", 8 * rows)
    x = x.astype(np.float32)
    mean = unit(x.astype(np.float64)).mean(axis=0)
    np.testing.assert_allclose(whitening._scatter(x, mean) / 300, total, atol=1e-14)
    np.testing.assert_allclose(whitening._covariance_within(x, labels), within, atol=1e-14)
    fitted = lz.Whitening.fit(x, labels=labels)
    monkeypatch.undo()
    again = lz.Whitening.fit(x, labels=labels)
    np.testing.assert_allclose(fitted.projection, again.projection, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fitted.apply(x), again.apply(x), atol=1e-6)


def test_memory_is_that_of_blocks():
    x = np.random.default_rng(0).standard_normal((60_000, 64), dtype=np.float32)  # 15 MB; 31 in float64
    labels = np.arange(60_000) // 20
    tracemalloc.start()
    for chosen in (None, labels):
        fitted = lz.Whitening.fit(x, dim=8, labels=chosen)
    of_fit = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    fitted.apply(x)
    of_apply = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert of_fit < 40e6  # before: 6 times the descriptors, 92 MB
    assert of_apply < 40e6


def test_a_whitening_of_another_model_is_refused(photos, tmp_path):
    x, _ = photos
    ids = [str(i) for i in range(300)]
    one, other = (lz.Descriptors(ids, x, provenance={"model": "m", "weights": w}) for w in ("w1", "w2"))
    lz.Whitening.fit(one).save(tmp_path / "w.safetensors")
    learned = lz.Whitening.load(tmp_path / "w.safetensors")
    assert learned.weights == "w1"
    learned.apply(one)
    with pytest.raises(ValueError, match=r"with weights w1.* from weights w2: learn a"):
        learned.apply(other)
    learned.apply(x)  # what it is, is not known
    lz.Whitening.fit(x).apply(one)


@pytest.mark.parametrize(
    "tensors",
    [
        {"mean": np.ones(2)},
        {"mean": np.array(1.0), "projection": np.eye(2)},
        {"mean": np.ones(2), "projection": np.eye(3)},
        {"mean": np.array([1, np.nan]), "projection": np.eye(2)},
        {"mean": np.ones(2, bool), "projection": np.eye(2)},
    ],
)
def test_damaged_files(tensors, tmp_path):
    save_file(tensors, tmp_path / "w", {"format": "landmarkzoo.whitening.v1"})
    with pytest.raises(ValueError, match="w is a damaged whitening file: ") as error:
        lz.Whitening.load(tmp_path / "w")
    assert "\n" not in str(error.value)


def test_directions_that_the_photos_do_not_span_are_zero_with_labels_too():
    random = np.random.default_rng(0)
    x, labels = random.standard_normal((20, 64)), np.arange(20) % 4
    fitted = lz.Whitening.fit(x, dim=19, labels=labels)
    assert (np.linalg.norm(fitted.projection, axis=1) > 0).sum() == 19
    order = random.permutation(20)
    again = lz.Whitening.fit(x[order], dim=19, labels=labels[order])
    np.testing.assert_allclose(again.apply(x), fitted.apply(x), atol=1e-4)
    with pytest.raises(ValueError, match="shrinkage=0 needs more photos than dimensions"):
        lz.Whitening.fit(x, labels=labels, shrinkage=0.0)
