"""Voting and soft re-ranking: ours and a pipeline on faiss, interleaved in one process.

    python benchmarks/rerank.py [--train 100000] [--index 50000] [--queries 1000] [--rounds 3]

Needs ``pip install faiss-cpu``. Each index image is labelled by its 3 nearest train images; then the whole
index is ranked for each query with those votes. Prints seconds, the ratio of medians, the peak memory beyond
the data, in how many labels and results the two differ, and how time and memory grow with the index.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
import torch
from measuring import machine, peak_mib, restart_peak, seconds
from numpy.typing import NDArray

import landmarkzoo as lz

K, NEIGHBORS, UP, DOWN, PER_LANDMARK = 100, 3, 1.0, 0.1, 40


@dataclass(frozen=True, eq=False)
class Photos:
    """Descriptors of random landmarks; the train set knows their labels."""

    train: NDArray[np.float32]
    labels: NDArray[np.int64]
    index: NDArray[np.float32]
    query: NDArray[np.float32]


def photos(train: int, index: int, queries: int, dim: int) -> Photos:
    random = np.random.default_rng(0)
    landmarks = max(1, train // PER_LANDMARK)
    centers = random.standard_normal((landmarks, dim), dtype=np.float32)

    def of(labels: NDArray[np.int64]) -> NDArray[np.float32]:
        x = np.empty((len(labels), dim), np.float32)
        for start in range(0, len(labels), 1000):  # in blocks: temporaries would hide what is measured
            block = centers[labels[start : start + 1000]]
            block = block + 1.5 * random.standard_normal(block.shape, dtype=np.float32)
            x[start : start + 1000] = block / np.linalg.norm(block, axis=1, keepdims=True)
        return x

    labels = [random.integers(0, landmarks, n) for n in (train, index, queries)]
    return Photos(of(labels[0]), labels[0], of(labels[1]), of(labels[2]))


def vote_by_faiss(
    index: faiss.Index, labels: NDArray[np.int64], x: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    cosines, rows = index.search(x, NEIGHBORS)
    votes = labels[rows]  # (N, 3)
    sums = np.stack(
        [(cosines * (votes == votes[:, i : i + 1])).sum(axis=1) for i in range(NEIGHBORS)], axis=1
    )
    winner = sums.argmax(axis=1)
    at = np.arange(len(x))
    return votes[at, winner], sums[at, winner] / NEIGHBORS


def soft_by_faiss(
    p: Photos, train: faiss.Index, votes: tuple[NDArray[np.int64], NDArray[np.float32]]
) -> NDArray[np.int64]:
    """All scores of 100 queries at a time, as the winners' write-ups describe it; faiss finds the labels."""
    labels, confidence = votes
    confidence = confidence.clip(min=0)
    of_query, _ = vote_by_faiss(train, p.labels, p.query)
    best = np.empty((len(p.query), min(K, len(p.index))), np.int64)
    for start in range(0, len(p.query), 100):
        scores = p.query[start : start + 100] @ p.index.T  # (100, N)
        same = of_query[start : start + 100, None] == labels
        scores += np.where(same, UP * confidence, -DOWN * confidence)
        top = np.argpartition(-scores, best.shape[1] - 1, axis=1)[:, : best.shape[1]]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
        best[start : start + 100] = np.take_along_axis(top, order, axis=1)
    return best


def steps(p: Photos) -> dict[str, dict[str, Callable[[], object]]]:
    index = faiss.IndexFlatIP(p.train.shape[1])
    index.add(p.train)
    ours = lz.rerank.vote(p.index[:8], p.train, p.labels)  # what libraries allocate first is not counted
    index.search(p.index[:8], NEIGHBORS)
    ours = lz.rerank.vote(p.index, p.train, p.labels)
    theirs = (ours.labels, ours.confidence.astype(np.float32))
    return {
        "vote": {
            "ours": lambda: lz.rerank.vote(p.index, p.train, p.labels),
            "faiss": lambda: vote_by_faiss(index, p.labels, p.index),
        },
        "soft": {
            "ours": lambda: lz.rerank.soft_discriminative(
                p.query, p.index, p.train, p.labels, k=K, index_votes=ours
            ),
            "faiss": lambda: soft_by_faiss(p, index, theirs),
        },
    }


def compare(p: Photos) -> str:
    """Share of labels and of results in which the two agree."""
    both = steps(p)
    votes, (labels, _) = both["vote"]["ours"](), both["vote"]["faiss"]()
    ranking, rows = both["soft"]["ours"](), both["soft"]["faiss"]()
    shared = np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(ranking.indices.tolist(), rows.tolist())])
    return f"labels alike {(votes.labels == labels).mean():.5%}, results in both {shared:.4%}"


def peak(arguments: argparse.Namespace, step: str, which: str, index: int) -> float:
    """MiB that a step adds to the peak of a process that holds the data already."""
    sizes = ["--train", arguments.train, "--index", index, "--queries", arguments.queries]
    command = [
        sys.executable,
        __file__,
        *map(str, sizes),
        "--dim",
        str(arguments.dim),
        "--memory-of",
        step,
        which,
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=int, default=100_000)
    parser.add_argument("--index", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    p = photos(arguments.train, arguments.index, arguments.queries, arguments.dim)
    if arguments.memory_of:
        step, which = arguments.memory_of
        function = steps(p)[step][which]
        restart_peak()
        before = peak_mib()
        function()
        print(peak_mib() - before)
        return

    print(f"{machine()}, faiss {faiss.__version__}, {arguments.dim} dimensions")
    print(
        f"{arguments.train} train, {arguments.index} index images, {arguments.queries} queries: {compare(p)}"
    )
    for step, both in steps(p).items():
        times: dict[str, list[float]] = {"ours": [], "faiss": []}
        for _ in range(arguments.rounds):
            for which, function in both.items():
                times[which].append(seconds(function))
        medians = {which: statistics.median(values) for which, values in times.items()}
        for which, values in times.items():
            memory = peak(arguments, step, which, arguments.index)
            print(f"{step:5} {which:6} median {medians[which]:.2f} s (min {min(values):.2f}, max "
                  f"{max(values):.2f}), peak beyond the data {memory:.0f} MiB")  # fmt: skip
        print(f"{step:5} ratio of medians, ours / faiss: {medians['ours'] / medians['faiss']:.2f}")
    for index in (arguments.index // 4, arguments.index // 2, arguments.index):
        grown = photos(arguments.train, index, arguments.queries, arguments.dim)
        both = steps(grown)
        line = [f"{step} {seconds(both[step]['ours']):.2f} s, {peak(arguments, step, 'ours', index):.0f} MiB"
                for step in both]  # fmt: skip
        print(f"ours with {index} index images: {'; '.join(line)}")


if __name__ == "__main__":
    main()
