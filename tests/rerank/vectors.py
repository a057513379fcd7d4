"""Random descriptors with ties for the tests of re-ranking."""

import numpy as np


def descriptors(seed, *rows, dim=4):
    """Arrays of random vectors, each with a duplicate and a zero vector where there is room."""
    random = np.random.default_rng(seed)
    arrays = [random.standard_normal((n, dim)).astype(np.float32) for n in rows]
    for x in arrays:
        if len(x) > 3:
            x[len(x) // 2] = x[0]
            x[-1] = 0
    return arrays


def cosine(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    norm = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def nearest(x, among, k):
    """Rows by cosine, rounded as the library rounds, ties by the smaller row."""
    scores = [np.float32(cosine(x, other)) for other in among]
    return sorted(range(len(among)), key=lambda i: (-scores[i], i))[:k]


def unit(x):
    norm = np.linalg.norm(np.asarray(x, np.float64))
    return np.asarray(x, np.float64) / (norm if norm > 0 else 1.0)
