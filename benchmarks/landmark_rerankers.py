"""Every re-ranker and recognition step on a folder of real landmark photos, with confidence intervals.

    python benchmarks/landmark_rerankers.py PHOTOS

PHOTOS and the protocols are those of ``benchmarks/landmark_photos.py``. For the frozen and the whitened
lite0: mAP@100 of unseen landmarks after each re-ranking and its seconds (median), and GAP with photos without
landmark among the queries after each step of recognition. In brackets the 95% interval of the bootstrap over
queries. Soft and hard re-ranking use a train set that knows none of the searched landmarks, which is not
what they are for.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from landmark_photos import models, read_splits
from measuring import machine

import landmarkzoo as lz

ROUNDS = 5
Rankings = dict[str, Callable[[lz.Descriptors, lz.Descriptors], lz.Ranking]]


def rerankers(train: lz.Descriptors, labels: np.ndarray) -> Rankings:
    """Rankings of queries in an index, by name; those of one method with the settings that were tried."""
    expand, augment = lz.rerank.alpha_query_expansion, lz.rerank.database_augmentation
    return {
        "search": lambda q, x: lz.search(q, x),
        "query expansion, k=10, alpha=1": lambda q, x: lz.search(expand(q, x, k=10, alpha=1), x),
        "query expansion, k=10, alpha=3": lambda q, x: lz.search(expand(q, x, k=10, alpha=3), x),
        "database augmentation, k=10": lambda q, x: lz.search(q, augment(x, k=10)),
        "both, k=10, alpha=1": lambda q, x: lz.search(expand(q, augment(x), alpha=1), augment(x)),
        "k-reciprocal": lambda q, x: lz.rerank.k_reciprocal(q, x),
        "diffusion, 50 neighbours": lambda q, x: lz.rerank.diffusion(q, x),
        "diffusion, 15 neighbours": lambda q, x: lz.rerank.diffusion(q, x, neighbors=15),
        "diffusion, 15, alpha=.9": lambda q, x: lz.rerank.diffusion(q, x, neighbors=15, alpha=0.9),
        "superglobal": lambda q, x: lz.rerank.superglobal(q, x),
        "superglobal, beta=1": lambda q, x: lz.rerank.superglobal(q, x, beta=1),
        "soft discriminative": lambda q, x: lz.rerank.soft_discriminative(q, x, train, labels),
        "hard discriminative": lambda q, x: lz.rerank.hard_discriminative(q, x, train, labels),
    }


def retrieval(d: lz.Descriptors, labels: np.ndarray, split: np.ndarray) -> dict[str, str]:
    query, train = np.flatnonzero(split == "query"), np.flatnonzero(split == "train")
    index = np.flatnonzero(np.isin(split, ["index", "train"]))
    relevant = [np.flatnonzero(labels[index] == labels[q]) for q in query]
    of_all = rerankers(d[train], labels[train])
    rankings: dict[str, lz.Ranking] = {}
    times: dict[str, list[float]] = {name: [] for name in of_all}
    for _ in range(ROUNDS):  # in turns, as other programs may take time
        for name, rank in of_all.items():
            start = time.perf_counter()
            rankings[name] = rank(d[query], d[index])
            times[name].append(time.perf_counter() - start)
    intervals = {
        name: lz.evaluation.score_retrieval(ranking, relevant).intervals["mAP@100"]
        for name, ranking in rankings.items()
    }
    return {name: f"{intervals[name]}  {statistics.median(times[name]):.2f} s" for name in of_all}


def recognition(d: lz.Descriptors, labels: np.ndarray, split: np.ndarray) -> dict[str, str]:
    test = np.flatnonzero(np.isin(split, ["test", "non_landmark_test"]))
    train, others = np.flatnonzero(split == "train"), np.flatnonzero(split == "non_landmark")
    truth = [[label] if label >= 0 else [] for label in labels[test].tolist()]
    votes = lz.rerank.vote(d[test], d[train], labels[train])
    answers = {"vote": (votes.labels, votes.confidence)}
    for name, options in {
        "recognize": {},
        "recognize, rejecting": {"non_landmark": d[others]},
        "recognize, quantiles": {"quantile": True},
        "recognize, quantiles, rejecting": {"quantile": True, "non_landmark": d[others]},
    }.items():
        found = lz.recognize(d[test], d[train], labels[train], **options)
        answers[name] = (found.labels, found.scores)
    return {
        name: str(lz.evaluation.score_recognition(*answer, truth).intervals["GAP"])
        for name, answer in answers.items()
    }


def whitened(d: lz.Descriptors, labels: np.ndarray, train: np.ndarray) -> dict[str, lz.Descriptors]:
    """The frozen descriptors after ``lz.Whitening`` to 256 dimensions, without labels and with them."""
    return {
        f"lz.Whitening, 256-d, {name}": lz.Whitening.fit(d[train], 256, labels=of).apply(d)
        for name, of in (("no labels", None), ("labels", labels[train]))
    }


def measure(root: Path, progress: bool = True) -> dict[str, dict[str, str]]:
    """All scores of each set of descriptors."""
    paths, labels, split = read_splits(root)
    train = np.flatnonzero(split == "train")
    described = {
        name: lz.embed(model, paths, progress=progress)
        for name, model in models([paths[row] for row in train], (0.01,), progress).items()
    }
    described |= whitened(described["frozen, neck 'none'"], labels, train)
    return {
        name: {**retrieval(d, labels, split), **recognition(d, labels, split)}
        for name, d in described.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    results = measure(parser.parse_args().photos)
    print(machine())
    for name, scores in results.items():
        print(f"\n{name}")
        for step, score in scores.items():
            print(f"  {step:34}{score}")


if __name__ == "__main__":
    main()
