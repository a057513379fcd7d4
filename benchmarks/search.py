"""Exact search: ours and faiss.IndexFlatIP side by side, interleaved in one process.

    python benchmarks/search.py [--index 100000] [--queries 1000] [--dim 512] [-k 100] [--rounds 7]
        [--device cuda]

Needs ``pip install faiss-cpu``. Prints the ratio of medians, the largest difference between the two
rankings, and the peak memory that each search adds to the data. Candidates are found in float32, and in
bfloat16 where the CPU has it: both are measured. Then one query in an index twice as large, against one plain
product of the two arrays: for an array, and for vectors whose lengths are known, as those of an open index.
With ``--device`` only the searches there, against a product and ``topk`` of vectors that are there.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import faiss
import numpy as np
import torch
from measuring import machine, peak_mib, restart_peak, seconds
from numpy.typing import NDArray

import landmarkzoo as lz
from landmarkzoo._utils.cpu_features import has_native_bfloat16
from landmarkzoo.retrieval import blockwise_top_k
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors


def unit_vectors(rows: int, dim: int, seed: int) -> NDArray[np.float32]:
    x = np.empty((rows, dim), np.float32)
    random = np.random.default_rng(seed)
    for start in range(0, rows, 1000):  # in blocks: temporaries would hide what a search adds to the peak
        block = random.standard_normal((min(1000, rows - start), dim), dtype=np.float32)
        x[start : start + 1000] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return x


def differences(ours: lz.Ranking, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> tuple[int, float]:
    """Results that are not in both rankings, and the largest gap of scores at one place: ties or not?"""
    missing = sum(len(set(a) - set(b)) for a, b in zip(ours.indices.tolist(), rows.tolist()))
    return missing, float(np.abs(ours.scores - scores).max())


def peak_beyond_data(arguments: argparse.Namespace, which: str) -> float:
    """MiB that one search adds to the peak of a process that holds the data already."""
    command = [sys.executable, __file__, "--memory-of", which]
    for name in ("index", "queries", "dim", "k"):
        command += [f"--{name}" if name != "k" else "-k", str(getattr(arguments, name))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(x: NDArray[np.float32], q: NDArray[np.float32], k: int, which: str) -> None:
    index = faiss.IndexFlatIP(x.shape[1])
    if which == "faiss":
        index.add(x)  # the data once more; not counted
    lz.search(q[:8], x[:2000], 8)  # what libraries allocate on their first call is not the search's
    restart_peak()
    before = peak_mib()
    if which == "faiss":
        index.search(q, k)
    else:
        lz.search(q, x, k)
    print(peak_mib() - before)


def one_query(x: NDArray[np.float32], q: NDArray[np.float32], arguments: argparse.Namespace) -> None:
    lengths = np.linalg.norm(x, axis=1)
    opened = StoredDescriptors([str(row) for row in range(len(x))], StoredVectors([x], [None], lengths))
    ways = {
        "plain product": lambda: q @ x.T,
        "array": lambda: lz.search(q, x, arguments.k),
        "open index": lambda: lz.search(q, opened, arguments.k),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3 * arguments.rounds):
        for name, way in ways.items():
            times[name].append(seconds(way))
    plain = statistics.median(times["plain product"])
    print(f"one query, {len(x)} x {x.shape[1]}:")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:13} median {1000 * median:.1f} ms (min {1000 * min(values):.1f}), "
              f"{median / plain:.2f} plain products")  # fmt: skip


def on_device(x: NDArray[np.float32], q: NDArray[np.float32], arguments: argparse.Namespace) -> None:
    """An array, which goes to the device with every search, and an open index, which stays there."""
    device, k = torch.device(arguments.device), arguments.k
    lengths = np.linalg.norm(x, axis=1)
    opened = StoredDescriptors([str(row) for row in range(len(x))], StoredVectors([x], [None], lengths))
    there = torch.from_numpy(x).to(device)
    print(f"{machine()}, {torch.cuda.get_device_name(device) if device.type == 'cuda' else device}")
    for queries in (q, q[:1]):
        ways = {
            "plain product and topk": lambda q=queries: (
                (torch.from_numpy(q).to(device) @ there.T).topk(k).indices.cpu()
            ),
            "array": lambda q=queries: lz.search(q, x, k, device=device),
            "open index": lambda q=queries: lz.search(q, opened, k, device=device),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way()  # the first search uploads the index
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                times[name].append(seconds(way))
        print(f"{len(x)} x {x.shape[1]}, {len(queries)} queries, top {k}:")
        plain = statistics.median(times["plain product and topk"])
        for name, values in times.items():
            median = statistics.median(values)
            print(f"{name:22} median {1000 * median:.2f} ms (min {1000 * min(values):.2f}), "
                  f"{median / plain:.2f} plain products")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", help="measure searches there")
    parser.add_argument("--memory-of", choices=["ours", "faiss"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    x = unit_vectors(arguments.index, arguments.dim, seed=0)
    q = unit_vectors(arguments.queries, arguments.dim, seed=1)
    if arguments.memory_of:
        measure_memory(x, q, arguments.k, arguments.memory_of)
        return
    if arguments.device:
        on_device(x, q, arguments)
        return

    index = faiss.IndexFlatIP(arguments.dim)
    index.add(x)
    missing, gap = differences(lz.search(q, x, arguments.k), *index.search(q, arguments.k))
    times: dict[str, list[float]] = {"ours": [], "float32": [], "faiss": []}
    for _ in range(arguments.rounds):
        times["ours"].append(seconds(lambda: lz.search(q, x, arguments.k)))
        blockwise_top_k._BFLOAT16 = False
        times["float32"].append(seconds(lambda: lz.search(q, x, arguments.k)))
        blockwise_top_k._BFLOAT16 = None
        times["faiss"].append(seconds(lambda: index.search(q, arguments.k)))
    medians = {name: statistics.median(values) for name, values in times.items()}

    print(f"{machine()}, faiss {faiss.__version__}")
    print(f"{arguments.index} x {arguments.dim}, {arguments.queries} queries, top {arguments.k}")
    print(f"results not in both: {missing}; largest difference of scores at one place: {gap:.1e}")
    for name, values in times.items():
        memory = peak_beyond_data(arguments, "faiss" if name == "faiss" else "ours")
        print(f"{name:7} median {medians[name]:.3f} s (min {min(values):.3f}, max {max(values):.3f}), "
              f"peak beyond the data {memory:.0f} MiB")  # fmt: skip
    print(f"ratio of medians, ours / faiss: {medians['ours'] / medians['faiss']:.2f} with the CPU's own "
          f"choice (native bfloat16: {has_native_bfloat16()}), {medians['float32'] / medians['faiss']:.2f} "
          "with float32")  # fmt: skip
    one_query(np.concatenate([x, x[::-1]]), q[:1], arguments)


if __name__ == "__main__":
    main()
