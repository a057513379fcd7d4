"""No re-ranking, recognition or evaluation compares descriptors that were not embedded alike."""

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo import evaluation, rerank

LABELS = [0, 1, 0, 1]
GND = [{"easy": [0], "hard": [], "junk": []}] * 4
# Each takes queries and what they are compared with.
COMPARE = {
    "search": lz.search,
    "vote": lambda a, b: rerank.vote(a, b, LABELS),
    "soft: index": lambda a, b: rerank.soft_discriminative(a, b, a, LABELS),
    "soft: train": lambda a, b: rerank.soft_discriminative(a, a, b, LABELS),
    "hard: index": lambda a, b: rerank.hard_discriminative(a, b, a, LABELS),
    "hard: train": lambda a, b: rerank.hard_discriminative(a, a, b, LABELS),
    "query expansion": rerank.alpha_query_expansion,
    "diffusion": rerank.diffusion,
    "k-reciprocal": rerank.k_reciprocal,
    "superglobal": rerank.superglobal,
    "recognize: train": lambda a, b: lz.recognize(a, b, LABELS),
    "recognize: non_landmark": lambda a, b: lz.recognize(a, a, LABELS, non_landmark=b),
    "retrieval": lambda a, b: evaluation.evaluate_retrieval(a, b, [["a"]] * 4),
    "recognition": lambda a, b: evaluation.evaluate_recognition(a, b, LABELS, [[0]] * 4),
    "revisited": lambda a, b: evaluation.evaluate_revisited(a, b, GND),
    "ensembles": lambda a, b: lz.search(
        lz.ensemble.concat_families([[a], [a]]), lz.ensemble.concat_families([[a], [b]])
    ),
}
PLAIN = {"model": "m", "weights": "1", "transform": "Resize(96)", "precision": "float32"}


def descriptors(**stated):
    provenance = {**PLAIN, **stated}
    return lz.Descriptors(list("abcd"), np.eye(4), provenance=provenance)


@pytest.mark.parametrize("compare", list(COMPARE.values()), ids=list(COMPARE))
class TestUnlike:
    @pytest.mark.parametrize(
        ("stated", "message"),
        [
            ({"weights": "2"}, "embed both with one model"),
            ({"transform": "Resize(224)"}, r"Resize\(224\).*embed both alike"),
            ({"views": "flip"}, "flip.*embed both alike"),
            ({"whitening": "0"}, "apply one Whitening to both"),
        ],
    )
    def test_is_refused(self, compare, stated, message):
        for one, other in ((PLAIN, stated), (stated, PLAIN)):
            with pytest.raises(ValueError, match=message):
                compare(descriptors(**one), descriptors(**other))

    def test_alike_is_compared(self, compare):
        assert compare(descriptors(), descriptors()) is not None

    def test_what_is_not_known_is_compared(self, compare):
        old = lz.Descriptors(list("abcd"), np.eye(4), provenance={"weights": "1"})
        assert compare(descriptors(), old) is not None
