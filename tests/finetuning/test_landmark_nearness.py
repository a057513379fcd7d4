"""How near photos are to landmarks: a plain loop over the definition, and its limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarkzoo.finetuning import landmark_nearness as module
from landmarkzoo.finetuning.landmark_nearness import nearness_to_landmarks


def plain(x, labels, classes, alike, strangers):
    """The definition, photo by photo and landmark by landmark."""
    x = np.asarray(x, np.float64)
    count = len(x)
    if strangers is not None:
        x, labels = np.concatenate([x, strangers]), [*labels, *[classes] * len(strangers)]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    near = np.full((count, classes + 1), np.nan)
    for row in range(count):
        copies = {b for pair in alike for a, b in (pair, pair[::-1]) if a == row}
        ranked = sorted((other for other in range(len(x)) if other != row), key=lambda o: -(x[o] @ x[row]))
        voters = [other for other in ranked[:10] if other not in copies]
        for landmark in range(classes + 1):
            members = [o for o in range(len(x)) if labels[o] == landmark and o != row and o not in copies]
            if members:
                mean = x[members].sum(axis=0)
                votes = sum(max(x[o] @ x[row], 0) / 10 for o in voters if labels[o] == landmark)
                near[row, landmark] = mean @ x[row] / np.linalg.norm(mean) + votes
    return near


def check(x, labels, classes, alike=(), strangers=None):
    near = plain(x, labels, classes, alike, strangers)
    found = nearness_to_landmarks(
        np.asarray(x, np.float32), np.array(labels), classes, alike=alike, strangers=strangers
    )
    place = np.arange(len(labels))
    np.testing.assert_allclose(found.own, near[place, labels], atol=1e-5)
    np.testing.assert_allclose(found.stranger, near[:, classes], atol=1e-5)
    others = near[:, :classes].copy()
    others[place, labels] = np.nan
    for row, of_others in enumerate(others):
        if np.isnan(of_others).all():
            assert np.isnan(found.other[row])
            assert found.likelier[row] == labels[row]
        else:
            assert found.other[row] == pytest.approx(np.nanmax(of_others), abs=1e-5)
            assert of_others[found.likelier[row]] == pytest.approx(np.nanmax(of_others), abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 30), st.booleans())
def test_it_is_the_plain_loop(seed, classes, count, with_strangers):
    random = np.random.default_rng(seed)
    labels = [*range(min(classes, count)), *random.integers(0, classes, max(0, count - classes))][:count]
    classes = min(classes, count)
    x = random.normal(size=(count, 6)).astype(np.float32)
    alike = []
    if count > 4:  # copies within a landmark and across
        x[count - 1] = 2 * x[0] + 1e-3 * random.normal(size=6)
        x[count - 2] = x[1]
        alike = [(0, count - 1), (1, count - 2)]
    strangers = random.normal(size=(3, 6)).astype(np.float32) if with_strangers else None
    check(x, [int(label) for label in labels], classes, alike, strangers)


def test_blocks_change_nothing(monkeypatch):
    monkeypatch.setattr(module, "_COSINES", 20)
    random = np.random.default_rng(0)
    check(random.normal(size=(25, 6)), [row % 3 for row in range(25)], 3)


def test_copies_do_not_hide_a_wrong_label():
    random = np.random.default_rng(0)
    x = np.eye(2, 8).repeat(5, axis=0) + 0.05 * random.normal(size=(10, 8))
    x[9] = x[8] = x[0] + 0.01  # two copies, of the landmark 0, that have the label 1
    labels = np.array([0] * 5 + [1] * 5)
    hidden = nearness_to_landmarks(x.astype(np.float32), labels, 2)
    seen = nearness_to_landmarks(x.astype(np.float32), labels, 2, alike=[(8, 9)])
    assert (seen.other - seen.own)[8] > (hidden.other - hidden.own)[8] + 0.1
    assert seen.likelier[8] == seen.likelier[9] == 0


def test_the_only_photo_of_a_landmark_is_not_judged():
    found = nearness_to_landmarks(np.eye(3, dtype=np.float32), np.array([0, 0, 1]), 2)
    assert found.judged.tolist() == [True, True, False]
    alone = nearness_to_landmarks(np.eye(3, dtype=np.float32), np.array([0, 1, 2]), 3)
    assert not alone.judged.any()
    assert np.isnan([alone.typical, alone.usual_other]).all()
    one = nearness_to_landmarks(np.eye(3, dtype=np.float32), np.array([0, 0, 0]), 1)
    assert np.isnan(one.other).all()
