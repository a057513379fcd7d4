"""Random descriptors with ties for the tests of re-ranking."""

import numpy as np

LABELS = [10, 10, 20, 30]
TO_TRAIN = {
    "q": [0.7, 0.6, 0.5, 0.1],
    "i0": [0.2, 0.1, 0.8, 0.3],
    "i1": [0.9, 0.8, 0.1, 0.0],
    "i2": [0.3, 0.3, 0.2, 0.9],
    "i3": [0.6, 0.5, 0.7, 0.1],
    "i4": [0.5, 0.45, 0.2, 0.1],
}
TO_QUERY = [0.80, 0.55, 0.50, 0.45, 0.30]


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


def golden_vectors():
    """Unit vectors with exactly the cosines of the golden example.

    They need not exist among themselves (the given Gram matrix is not positive), so each pair of sets gets
    what it needs: train images are orthogonal, and every other vector has free coordinates of its own that
    make it unit. Where the cosines are too large for that, all are scaled, which the tests undo.
    """
    scale = 0.5
    train = np.eye(4, 11)
    rows = {}
    for n, (name, cosines) in enumerate(TO_TRAIN.items()):
        rows[name] = np.zeros(11)
        rows[name][:4] = scale * np.array(cosines)
        if name == "q":
            rows["q"][4] = np.sqrt(1 - (rows["q"] ** 2).sum())
        else:
            inner = scale * TO_QUERY[n - 1] - (rows[name] * rows["q"]).sum()
            rows[name][4] = inner / rows["q"][4]
            rows[name][4 + n] = np.sqrt(1 - (rows[name] ** 2).sum())
    return rows, train, scale


def slow_vote(x, train, labels, neighbors):
    cosines = [float(np.float32(cosine(x, t))) for t in train]
    nearest = sorted(range(len(train)), key=lambda i: (-cosines[i], i))[:neighbors]
    sums = {}
    for i in nearest:
        sums[labels[i]] = sums.get(labels[i], 0.0) + cosines[i]
    best = max(sums.values())
    label = next(labels[i] for i in nearest if sums[labels[i]] == best)
    return label, best / neighbors, [cosines[i] for i in nearest]
