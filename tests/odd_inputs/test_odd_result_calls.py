"""Whitening, votes, recognition, re-ranking and metrics of odd arrays."""

import numpy as np
import pytest
from odd_cases import Call, params

import landmarkzoo as lz

EYE = np.eye(6, 8, dtype=np.float32)


RESULTS = [
    Call(
        "whiten one photo",
        lambda: lz.Whitening.fit(EYE[:1]),
        ValueError,
        "whitening needs at least 2 descriptors, got 1",
    ),
    Call(
        "whiten equal photos",
        lambda: lz.Whitening.fit(np.ones((5, 3))),
        ValueError,
        "all photos have the same features: whitening needs photos",
    ),
    Call(
        "whiten to 0",
        lambda: lz.Whitening.fit(EYE, dim=0),
        ValueError,
        "dim must be a positive integer, got 0",
    ),
    Call(
        "whiten to more",
        lambda: lz.Whitening.fit(EYE, dim=9),
        ValueError,
        "dim must be at most 8, the size of the descriptors, got 9",
    ),
    Call(
        "whiten shrinkage text",
        lambda: lz.Whitening.fit(EYE, dim=2, shrinkage="0.1"),
        TypeError,
        "shrinkage must be a number, got '0.1'",
    ),
    Call(
        "whiten shrinkage NaN",
        lambda: lz.Whitening.fit(EYE, dim=2, shrinkage=float("nan")),
        ValueError,
        "shrinkage must be finite, got nan",
    ),
    Call(
        "whiten labels of one each",
        lambda: lz.Whitening.fit(EYE, dim=2, labels=list(range(6))),
        ValueError,
        "whitening with labels needs landmarks with 2 different photos",
    ),
    Call(
        "whiten labels too few",
        lambda: lz.Whitening.fit(EYE, dim=2, labels=[1]),
        ValueError,
        "labels must have shape (6,), one label an image, got (1,)",
    ),
    Call(
        "whitening of other size",
        lambda: lz.Whitening.load("white.st").apply(np.ones((2, 9))),
        ValueError,
        "the whitening takes 8 dimensions, got 9",
    ),
    Call(
        "whitening of descriptors",
        lambda: lz.Whitening.load("index.st"),
        ValueError,
        "index.st does not hold whitening of this version: its format",
    ),
    Call(
        "vote with half labels",
        lambda: lz.rerank.vote(EYE, EYE, ["a", 1, "a", 1, "a", 1]),
        TypeError,
        "train_labels must be integers (-1 for no landmark) or names",
    ),
    Call(
        "vote with an empty name",
        lambda: lz.rerank.vote(EYE, EYE, [""] * 6),
        ValueError,
        'train_labels has the name "" at row 0: use None for no',
    ),
    Call(
        "vote with label 2**63",
        lambda: lz.rerank.vote(EYE, EYE, [2**63] * 6),
        ValueError,
        "train_labels has 9223372036854775808, which does not fit into",
    ),
    Call(
        "recognize neighbors 10**30",
        lambda: lz.recognize(EYE, EYE, ["a"] * 6, neighbors=10**30),
        ValueError,
        "neighbors must be a positive integer that fits into 64 bits,",
    ),
    Call(
        "recognize threshold None",
        lambda: lz.recognize(EYE, EYE, ["a"] * 6).above(None),
        ValueError,
        "threshold must be a number, got None",
    ),
    Call("recognize nothing", lambda: lz.recognize(EYE[:0], EYE, ["a"] * 6), right=lambda r: len(r) == 0),
    Call(
        "recognize by nothing",
        lambda: lz.recognize(EYE, EYE[:0], []),
        ValueError,
        "the train set is empty: nobody can vote",
    ),
    Call(
        "hard threshold NaN",
        lambda: lz.rerank.hard_discriminative(EYE, EYE, EYE, list("aabbcc"), threshold=float("nan")),
        ValueError,
        "threshold must be finite, got nan",
    ),
    Call(
        "soft up NaN",
        lambda: lz.rerank.soft_discriminative(EYE, EYE, EYE, list("aabbcc"), up=float("nan")),
        ValueError,
        "up must be finite, got nan",
    ),
    Call(
        "expansion alpha infinite",
        lambda: lz.rerank.alpha_query_expansion(EYE, EYE, alpha=float("inf")),
        ValueError,
        "alpha must be finite, got inf",
    ),
    Call(
        "sum of nothing",
        lambda: lz.ensemble.sum_scores([]),
        ValueError,
        "sum_scores needs at least one ranking, got an empty list",
    ),
    Call(
        "sum of one ranking, bare",
        lambda: lz.ensemble.sum_scores(lz.search(EYE, EYE, 2)),
        TypeError,
        "sum_scores takes a list of rankings: [ranking], not ranking",
    ),
    Call(
        "gap of two lengths",
        lambda: lz.metrics.gap([1, 2], [0.5], [[1], [2]]),
        ValueError,
        "scores must have shape (2,), got (1,)",
    ),
    Call(
        "gap of NaN",
        lambda: lz.metrics.gap([1], [float("nan")], [[1]]),
        ValueError,
        "the score of image 0 is NaN: give a number, any number for no",
    ),
    Call(
        "gap of nothing",
        lambda: lz.metrics.gap([], [], []),
        ValueError,
        "GAP is not defined: no image has a landmark, all truths are",
    ),
    Call(
        "map of rows twice",
        lambda: lz.metrics.mean_average_precision(np.array([[1, 0, 0]]), [[0, 2]]),
        right=lambda ap: ap == 0.25,
    ),
    Call(
        "map of nothing relevant",
        lambda: lz.metrics.mean_average_precision(np.array([[0]]), [[]]),
        ValueError,
        "mAP is not defined: no query has a relevant image",
    ),
]


@pytest.mark.parametrize("case", params(RESULTS))
def test_odd_result_call(case, world):
    case.check(world)
