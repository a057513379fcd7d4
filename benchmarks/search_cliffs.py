"""Where a search could fall off a cliff: many copies, large k, vectors that are all alike.

    python benchmarks/search_cliffs.py [--index 20000] [--queries 200] [--dim 512] [--rounds 5] [--threads 1]

All cases are interleaved in one process. Prints the ratio of the medians to that of the ordinary case, k=100
on random vectors, and the peak memory that each search adds to its data and its result.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator

import numpy as np
import torch
from measuring import machine, peak_mib, restart_peak, seconds
from numpy.typing import NDArray

import landmarkzoo as lz

Case = tuple[str, NDArray[np.float32], NDArray[np.float32], int]


def cases(rows: int, queries: int, dim: int) -> Iterator[Case]:
    random = np.random.default_rng(0)
    x = random.standard_normal((rows, dim), dtype=np.float32)
    q = random.standard_normal((queries, dim), dtype=np.float32)
    yield "ordinary, k=100", q, x, 100
    copies = random.permutation(rows)[: rows // 50]
    with_copies = x.copy()
    with_copies[copies] = x[0]
    all_copies = np.repeat(x[:1], queries, axis=0)
    yield f"{len(copies)} copies of one photo", q, with_copies, 100
    yield f"{len(copies)} copies, and all queries", all_copies, with_copies, 100
    near = with_copies + 1e-7 * random.standard_normal(x.shape, dtype=np.float32)
    yield f"{len(copies)} near copies, and all queries", all_copies, near, 100
    yield "all vectors equal", q, np.repeat(x[:1], rows, axis=0), 100
    yield "all vectors zero", q, np.zeros_like(x), 100
    yield "queries zero", np.zeros_like(q), x, 100
    yield "entries -1 and 1: many ties", np.sign(q), np.sign(x), 100
    for k in (300, 750, rows // 2, rows - 1, rows):
        yield f"k={k}", q, x, k


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    all_cases = list(cases(arguments.index, arguments.queries, arguments.dim))
    times: dict[str, list[float]] = {name: [] for name, *_ in all_cases}
    peaks: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for name, q, x, k in all_cases:
            restart_peak()
            before = peak_mib()
            times[name].append(seconds(lambda q=q, x=x, k=k: lz.search(q, x, k)))  # type: ignore[misc]
            peaks[name] = peak_mib() - before - 12 * len(q) * min(k, len(x)) / 2**20
    scores = torch.rand(arguments.queries, arguments.index)
    sort = [seconds(lambda: scores.sort(dim=1, descending=True)) for _ in range(arguments.rounds)]

    print(machine())
    print(f"{arguments.index} x {arguments.dim}, {arguments.queries} queries")
    ordinary = statistics.median(times[all_cases[0][0]])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:36} {median:.3f} s, {median / ordinary:5.2f} x, {peaks[name]:4.0f} MiB")
    print(f"{'sorting all scores, and nothing else':36} {statistics.median(sort):.3f} s, "
          f"{statistics.median(sort) / ordinary:5.2f} x")  # fmt: skip


if __name__ == "__main__":
    main()
