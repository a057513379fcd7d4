"""Options of the re-rankings that are no numbers, or none that can be used."""

import numpy as np
import pytest

import landmarkzoo as lz

TRAIN = (np.eye(2), [0, 1])
OPTIONS = [
    (lz.rerank.soft_discriminative, TRAIN, "up"),
    (lz.rerank.soft_discriminative, TRAIN, "down"),
    (lz.rerank.hard_discriminative, TRAIN, "threshold"),
    (lz.rerank.alpha_query_expansion, (), "alpha"),
    (lz.rerank.diffusion, (), "alpha"),
    (lz.rerank.diffusion, (), "gamma"),
    (lz.rerank.k_reciprocal, (), "weight"),
    (lz.rerank.superglobal, (), "beta"),
]


@pytest.mark.parametrize(("rerank", "train", "option"), OPTIONS)
def test_numbers(rerank, train, option):
    for wrong in (None, "1", [1.0], True):
        with pytest.raises(TypeError, match=f"{option} must be a number, got"):
            rerank(np.eye(2), np.eye(2), *train, **{option: wrong})
    for endless in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=f"{option} must be finite, got"):
            rerank(np.eye(2), np.eye(2), *train, **{option: endless})
    rerank(np.eye(2), np.eye(2), *train, **{option: np.float32(0.5)})
