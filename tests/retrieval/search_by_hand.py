"""The plain search that the fast one is held against."""

import numpy as np


def slow_search(queries, index, k):
    """Every pair by hand, in float64; sorted by score, then by row."""
    rows, scores = [], []
    for q in queries.astype(np.float64):
        cosines = []
        for x in index.astype(np.float64):
            norm = np.sqrt((q * q).sum()) * np.sqrt((x * x).sum())
            cosines.append(np.float32((q * x).sum() / norm if norm > 0 else 0))
        order = sorted(range(len(index)), key=lambda i: (-cosines[i], i))[:k]
        rows.append(order)
        scores.append([cosines[i] for i in order])
    return np.array(rows), np.array(scores)


def integers(rows, dim, seed, high=3):
    """Small integers: many exact ties and duplicates, some zero rows."""
    return np.random.default_rng(seed).integers(-1, high, (rows, dim)).astype(np.float32)


def with_copies(rows, dim, seed, copies, noise=0.0):
    """Random vectors of which some are copies of the first, or nearly so."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, dim)).astype(np.float32)
    places = random.permutation(rows)[:copies]
    x[places] = x[0] + noise * x[places]
    return x
