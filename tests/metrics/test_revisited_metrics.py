import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz

GOLDEN = [{"easy": [0, 1], "hard": [2, 6], "junk": [3], "bbx": [0.0, 0.0, 9.0, 9.0]}]
RANKS = np.array([[7, 0, 3, 1, 5, 2, 4, 6]])


def test_golden():
    scores = lz.metrics.revisited(RANKS, GOLDEN)
    assert scores["easy"]["map"] == pytest.approx(0.4166667, abs=1e-7)
    assert scores["medium"]["map"] == pytest.approx(0.4797619, abs=1e-7)
    assert scores["hard"]["map"] == pytest.approx(0.2458333, abs=1e-7)
    precisions = [scores["medium"][f"mp@{k}"] for k in (1, 5, 10)]
    assert precisions == pytest.approx([0, 0.6, 0.5714286], abs=1e-7)


def slow(ranked, positives, junk, ks):
    """AP and precisions of one query, a result at a time."""
    place, found, area, precisions = 0, [], 0.0, {}
    for image in ranked:
        if image in junk:
            continue
        if image in positives and image not in found:
            before = 1.0 if place == 0 else len(found) / place
            found.append(image)
            area += (before + len(found) / (place + 1)) / 2
        place += 1
        complete = len(found) == len(positives)
        for k in ks:
            if k not in precisions and (place == k or complete):
                precisions[k] = len(found) / place
    hits = len(found)
    return [area / len(positives), *(precisions.get(k, hits / k) for k in ks)]


@given(st.integers(1, 5), st.integers(1, 14), st.integers(0, 14), st.integers(0, 10**6))
@settings(max_examples=120, deadline=None)
def test_equals_a_slow_loop(q, images, width, seed):
    random = np.random.default_rng(seed)
    ranks = np.array([random.permutation(images) for _ in range(q)])[:, :width]
    if seed % 3 == 0:  # padding and repeated images
        ranks = random.integers(-1, images, ranks.shape)
    kinds = random.integers(0, 6, (q, images))  # most images are of no kind
    names = ("easy", "hard", "junk")
    gnd = [{name: np.flatnonzero(row == i) for i, name in enumerate(names)} for row in kinds]
    ks = (1, 3, 10)
    values = lz.metrics.revisited_values(ranks, gnd, ks=ks)
    means = lz.metrics.revisited(ranks, gnd, ks=ks)
    for setup, wanted in {"easy": {0}, "medium": {0, 1}, "hard": {1}}.items():
        assert list(means[setup]) == ["map", "mp@1", "mp@3", "mp@10"]
        expected = []
        for row, kind in zip(ranks.tolist(), kinds):
            positives = [i for i in range(images) if kind[i] in wanted]
            junk = [i for i in range(images) if kind[i] in {0, 1, 2} - wanted]
            expected.append(slow(row, positives, junk, ks) if positives else [np.nan] * 4)
        ours = np.array(list(values[setup].values())).T
        np.testing.assert_allclose(ours, expected)
        defined = ours[~np.isnan(ours[:, 0])]
        mean = defined.mean(axis=0) if len(defined) else [np.nan] * 4
        np.testing.assert_allclose(list(means[setup].values()), mean)
    order, rename = random.permutation(q), random.permutation(images)
    renamed = np.where(ranks >= 0, rename[ranks], -1)[order]
    same = [{name: rename[gnd[i][name]] for name in names} for i in order]
    for setup, columns in lz.metrics.revisited_values(renamed, same, ks=ks).items():
        for name, column in columns.items():
            np.testing.assert_array_equal(column, values[setup][name][order])


def test_full_rankings_equal_the_published_procedure():
    """What the authors' evaluation does on full rankings: shift positives by the junk above, then sum."""
    random = np.random.default_rng(0)
    images, ks = 60, (1, 5, 10)
    for _ in range(20):
        ranked = random.permutation(images)
        positives, junk = np.split(random.permutation(images)[: random.integers(4, 40)], [3])
        places = np.flatnonzero(np.isin(ranked, positives))
        places = places - [(np.flatnonzero(np.isin(ranked, junk)) < place).sum() for place in places]
        area = 0.0
        for j, place in enumerate(places):
            area += ((1.0 if place == 0 else j / place) + (j + 1) / (place + 1)) / (2 * len(positives))
        depths = [min(places.max() + 1, k) for k in ks]
        precisions = [(places < depth).sum() / depth for depth in depths]
        gnd = [{"easy": positives, "hard": [], "junk": junk}]
        ours = lz.metrics.revisited(ranked[None], gnd, ks=ks)["easy"]
        assert list(ours.values()) == pytest.approx([area, *precisions])


def test_missing_images_are_ranked_last():
    full = lz.metrics.revisited([[0, 8, 1, 9, 2]], [{"easy": [0, 2], "hard": [], "junk": []}])["easy"]
    short = lz.metrics.revisited([[0, 8, 1, -1]], [{"easy": [0, 2], "hard": [], "junk": []}])["easy"]
    assert short["map"] == pytest.approx(0.5)
    assert full["map"] == pytest.approx(0.5 + (1 / 4 + 2 / 5) / 4)
    assert full["mp@10"] == 2 / 5  # stops at the last positive
    assert short["mp@10"] == 1 / 10  # the last positive is not found, so nothing stops it
    nothing = lz.metrics.revisited(np.zeros((1, 0), int), [{"easy": [0], "hard": [], "junk": []}])["easy"]
    assert list(nothing.values()) == [0, 0, 0, 0]


def test_queries_without_positives_are_left_out():
    gnd = [{"easy": [0], "hard": [], "junk": []}, {"easy": [], "hard": [], "junk": [0]}]
    scores = lz.metrics.revisited([[0, 1], [0, 1]], gnd)
    assert scores["easy"]["map"] == scores["medium"]["mp@1"] == 1.0
    assert np.isnan(list(scores["hard"].values())).all()
    values = lz.metrics.revisited_values(torch.tensor([[0, 1], [0, 1]]), gnd)["easy"]["ap"]
    np.testing.assert_array_equal(values, [1.0, np.nan])


def test_wrong_input():
    with pytest.raises(ValueError, match=r"shape \(1, K\).*is that ranks\.T\?"):
        lz.metrics.revisited(RANKS.T, GOLDEN)
    with pytest.raises(ValueError, match=r"gnd\[0\] has no 'junk': use \[\] for an empty list"):
        lz.metrics.revisited(RANKS, [{"easy": [0], "hard": []}])
    with pytest.raises(ValueError, match=r"image 3 is both hard and junk in gnd\[0\]"):
        lz.metrics.revisited(RANKS, [{"easy": [0], "hard": [3], "junk": [3]}])
    with pytest.raises(ValueError, match=r"easy images of gnd\[0\] has a negative"):
        lz.metrics.revisited(RANKS, [{"easy": [-1], "hard": [], "junk": []}])
    with pytest.raises(TypeError, match=r"hard images of gnd\[0\] must hold integers only"):
        lz.metrics.revisited(RANKS, [{"easy": [0], "hard": ["a"], "junk": []}])
    with pytest.raises(TypeError, match=r"gnd\[0\] must be a dictionary, got list"):
        lz.metrics.revisited(RANKS, [[0]])
    with pytest.raises(ValueError, match="each of ks must be a positive integer"):
        lz.metrics.revisited(RANKS, GOLDEN, ks=(0,))


def test_a_ranking_goes_wherever_indices_go():
    ranking = lz.Ranking(RANKS, -np.arange(8.0)[None])
    assert lz.metrics.revisited(ranking, GOLDEN) == lz.metrics.revisited(RANKS, GOLDEN)
