"""What examples/paper.py takes for all of Google Landmarks v2, from rates measured on a small part of it.

    python benchmarks/paper_stages.py [--train 100000] [--index 20000] [--queries 1000]

Random descriptors in indexes on disk go through the stages behind embedding. Rates are seconds of a core for
a thousand million pairs of photos, so that other programs on the machine count little; memory is the most
that is not mapped from files, beyond what was held before. Embedding is not measured here:
docs/model_cost.json has that.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from measuring import anonymous_mib, machine

import landmarkzoo as lz

TRAIN, INDEX, TEST, OTHERS = 1_580_470, 761_757, 117_577, 10_000
MODELS, VALIDATED, MATCHES = 8, 1_129, 40_000  # matches: a guess, as we have not seen the solution


class Peak:
    """The most memory, not mapped from files, while a block runs."""

    def __enter__(self) -> Peak:
        self.before = self.most = anonymous_mib()
        self.running = True
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.running = False
        self.thread.join()

    def _watch(self) -> None:
        while self.running:
            with suppress(OSError):
                self.most = max(self.most, anonymous_mib())
            time.sleep(0.01)


def stored(folder: Path, name: str, count: int, dim: int) -> lz.Index:
    random = np.random.default_rng(seed_of(name))
    index = lz.Index.create(folder / name)
    for start in range(0, count, 10_000):
        size = min(10_000, count - start)
        ids = [f"{name}{start + row}" for row in range(size)]
        index.add(lz.Descriptors(ids, random.standard_normal((size, dim), dtype=np.float32)))
    return lz.Index.open(folder / name)


def seed_of(name: str) -> list[int]:
    return list(name.encode())


def measured(what: str, pairs: float, run: Callable[[], object]) -> float:
    """Seconds of a core for 1e9 pairs."""
    run_started = time.process_time()
    with Peak() as peak:
        run()
    rate = (time.process_time() - run_started) / pairs * 1e9
    print(f"| {what} | {rate:.2f} | {peak.most - peak.before:,.0f} |", flush=True)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=int, default=100_000)
    parser.add_argument("--index", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=1_000)
    options = parser.parse_args()
    t, n, q = options.train, options.index, options.queries
    print(machine())
    print(f"\n| {t:,} train, {n:,} index, {q:,} queries | core s for 1e9 pairs | MiB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        train, index = stored(folder, "train", t, 512), stored(folder, "index", n, 512)
        queries, few = stored(folder, "queries", q, 512), stored(folder, "few", 10, 512)
        wide_train, wide = stored(folder, "wide_train", t, 1536), stored(folder, "wide", q, 1536)
        others = stored(folder, "others", OTHERS, 1536)
        labels, torch_threads = np.arange(t) // 20, torch.get_num_threads()
        torch.set_num_threads(1)
        votes = lz.rerank.vote(index, few, np.arange(10))
        vote = measured("votes, 512-d", n * t, lambda: lz.rerank.vote(index, train, labels))
        rank = measured(
            "best 750 of the whole index, 512-d",
            q * n,
            lambda: lz.rerank.soft_discriminative(
                queries, index, few, np.arange(10), k=750, index_votes=votes
            ),
        )
        name = measured("recognition, 512-d", q * t, lambda: lz.recognize(queries, train, labels))
        wide_name = measured("recognition, 1536-d", q * t, lambda: lz.recognize(wide, wide_train, labels))
        penalty = measured(
            "penalties, 1536-d",
            len(others) * t,
            lambda: lz.rerank.vote(wide_train, others, np.zeros(len(others), int)),
        )
        torch.set_num_threads(torch_threads)
    print("\n| all of Google Landmarks v2, behind embedding | core hours |\n|---|---|")
    hours = 1e-9 / 3600
    stages = {
        f"votes of the index, {MODELS} models": MODELS * vote * INDEX * TRAIN,
        f"rankings of the index, {MODELS} models": MODELS * (rank * TEST * INDEX + vote * TEST * TRAIN),
        f"validation of retrieval, {MODELS} models": MODELS * vote * (MATCHES + VALIDATED) * TRAIN,
        f"recognition, {MODELS} models": MODELS * (name * TEST * TRAIN + penalty / 3 * OTHERS * TRAIN * 8),
        "recognition, the ensemble": wide_name * TEST * TRAIN + penalty * OTHERS * TRAIN * 8,
    }
    for stage, seconds in stages.items():
        print(f"| {stage} | {seconds * hours:,.1f} |")
    print(f"| all of it | {sum(stages.values()) * hours:,.1f} |")


if __name__ == "__main__":
    main()
