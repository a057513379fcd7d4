"""Time of the re-rankings, votes and evaluations with many copies of one photo, against the same without.

    python benchmarks/cliffs_rerank.py --photos 5000 --copies 400

Crawls hold a placeholder photo hundreds of times. Both cases are measured in turns; what is printed is the
ratio of the medians. It also says how much memory Revisited takes beside its index.
"""

import argparse
import statistics

import numpy as np
from measuring import peak_mib, restart_peak, seconds

import landmarkzoo as lz


def tasks(index, queries, labels):
    gnd = [{"easy": [row], "hard": [], "junk": []} for row in range(len(queries))]
    return {
        "search": lambda: lz.search(queries, index),
        "vote, 500 neighbors": lambda: lz.rerank.vote(queries, index, labels, 500),
        "soft_discriminative": lambda: lz.rerank.soft_discriminative(queries, index, index, labels),
        "hard_discriminative": lambda: lz.rerank.hard_discriminative(queries, index, index, labels),
        "database_augmentation": lambda: lz.rerank.database_augmentation(index),
        "k_reciprocal": lambda: lz.rerank.k_reciprocal(queries, index),
        "diffusion": lambda: lz.rerank.diffusion(queries, index),
        "superglobal": lambda: lz.rerank.superglobal(queries, index),
        "recognize": lambda: lz.recognize(queries, index, labels),
        "evaluate_leave_one_out": lambda: lz.evaluation.evaluate_leave_one_out(index, labels, resamples=10),
        "evaluate_revisited": lambda: lz.evaluation.evaluate_revisited(queries, index, gnd, resamples=10),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--copies", type=int, default=400)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    plain = random.standard_normal((options.photos, options.dim)).astype(np.float32)
    with_copies = plain.copy()
    with_copies[-options.copies :] = plain[-1]
    labels = random.integers(0, options.photos // 20, options.photos)
    queries = (plain[:50] + random.standard_normal((50, options.dim)) / 2).astype(np.float32)
    ordinary, copied = (tasks(index, queries, labels) for index in (plain, with_copies))
    for name in ordinary:
        times = [(seconds(ordinary[name]), seconds(copied[name])) for _ in range(options.rounds)]
        before, after = (statistics.median(column) for column in zip(*times))
        print(f"{name:24} {before:7.2f} s without copies, {after / before:5.2f} times as long with them")

    index = random.standard_normal((20 * options.photos, options.dim)).astype(np.float32)
    gnd = [{"easy": [row], "hard": [], "junk": []} for row in range(50)]
    restart_peak()
    before = peak_mib()
    lz.evaluation.evaluate_revisited(queries, index, gnd, resamples=10)
    more = (peak_mib() - before) * 2**20
    print(f"Revisited with {len(index)} photos: {more / index.nbytes:.2f} times the index beside it")


if __name__ == "__main__":
    main()
