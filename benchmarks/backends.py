"""Backends of ``lz.search`` side by side: recall against exact search, time to build and to search, memory.

    python benchmarks/backends.py [PHOTOS] [--index 50000] [--queries 500] [--dim 512] [--rounds 5]
        [--backends exact faiss-flat faiss-hnsw faiss-ivf milvus]

Needs ``pip install 'landmarkzoo[faiss,milvus]'``. Without PHOTOS the vectors are drawn around landmarks, 50
for each. With PHOTOS, a folder with ``splits.csv`` as in ``landmark_photos.py``, they are those of its
photos, frozen lite0, each searched among the others. Searches are interleaved in one process; memory is
what a process of its own holds beyond the vectors after its first search.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import faiss
import numpy as np
import torch
from measuring import held_mib, machine, seconds

import landmarkzoo as lz

NAMES = ["exact", "faiss-flat", "faiss-hnsw", "faiss-ivf", "milvus"]
A_LANDMARK = 50  # photos of it, drawn with as much noise as there is between landmarks


def drawn(rows: int, queries: int, dim: int) -> tuple[lz.Descriptors, lz.Descriptors]:
    """Queries and index."""
    random = np.random.default_rng(0)
    centers = random.standard_normal((max(1, rows // A_LANDMARK), dim), dtype=np.float32)
    sets = []
    for name, count in (("query", queries), ("photo", rows)):
        x = np.empty((count, dim), np.float32)
        for start in range(0, count, 1000):  # in blocks: temporaries would hide what a search holds
            block = x[start : start + 1000]
            block[:] = centers[random.integers(0, len(centers), len(block))]
            block += random.standard_normal(block.shape, dtype=np.float32)
        sets.append(lz.Descriptors([f"{name}{row}.jpg" for row in range(count)], x))
    return sets[0], sets[1]


def of_photos(root: Path) -> lz.Descriptors:
    from landmark_photos import MODEL, read_splits

    model = lz.create_model(MODEL, pretrained_backbone=True, neck="none")
    return lz.embed(model, read_splits(root)[0])


def backend_of(name: str, folder: str) -> str | lz.Milvus:
    return lz.Milvus(Path(folder) / f"{name}.db", "benchmark") if name == "milvus" else name


def recall(found: lz.Ranking, exact: lz.Ranking, k: int) -> float:
    """Part of the best k of exact search that was found."""
    pairs = zip(found.indices[:, :k].tolist(), exact.indices[:, :k].tolist())
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs]))


def measure_memory(name: str, arguments: argparse.Namespace) -> None:
    queries, index = drawn(arguments.index, arguments.queries, arguments.dim)
    with tempfile.TemporaryDirectory() as folder:
        few, backend = lz.Descriptors(["a", "b"], np.eye(2)), backend_of(f"{name}", folder)
        lz.search(few, few, 1, backend=backend)  # what libraries hold is not the index
        if isinstance(backend, lz.Milvus):
            backend.drop()
        before = held_mib()
        lz.search(queries, index, 100, backend=backend)
        print(held_mib() - before)


def memory(name: str, arguments: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--memory-of", name]
    for option in ("index", "queries", "dim"):
        command += [f"--{option}", str(getattr(arguments, option))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--index", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backends", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--memory-of", choices=NAMES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        measure_memory(arguments.memory_of, arguments)
        return

    if arguments.photos:
        queries = index = of_photos(arguments.photos)
    else:
        queries, index = drawn(arguments.index, arguments.queries, arguments.dim)
    own = arguments.photos is not None
    print(f"{machine()}, faiss {faiss.__version__}")
    print(f"{len(index)} x {index.vectors.shape[1]}, {len(queries)} queries, top 100")
    with tempfile.TemporaryDirectory() as folder:
        backends = {name: backend_of(name, folder) for name in arguments.backends}
        build = {
            name: seconds(lambda b=backend: lz.search(queries[:1], index, 100, backend=b))
            for name, backend in backends.items()
        }
        exact = lz.search(queries, index, 100, exclude_same_id=own)
        found = {
            name: lz.search(queries, index, 100, exclude_same_id=own, backend=backend)
            for name, backend in backends.items()
        }
        all_at_once: dict[str, list[float]] = {name: [] for name in backends}
        one: dict[str, list[float]] = {name: [] for name in backends}
        for _ in range(arguments.rounds):
            for name, backend in backends.items():
                all_at_once[name].append(seconds(lambda b=backend: lz.search(queries, index, 100, backend=b)))
                one[name].append(seconds(lambda b=backend: lz.search(queries[:1], index, 100, backend=b)))
        for backend in backends.values():
            if isinstance(backend, lz.Milvus):
                backend.close()
    print("| backend | recall@10 | recall@100 | first search, s | all, s | one query, ms | memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    for name, ranking in found.items():
        held = "" if own else f"{memory(name, arguments):.0f}"
        print(
            f"| {name} | {recall(ranking, exact, 10):.3f} | {recall(ranking, exact, 100):.3f} | "
            f"{build[name]:.1f} | {statistics.median(all_at_once[name]):.2f} | "
            f"{1000 * statistics.median(one[name]):.1f} | {held} |"
        )


if __name__ == "__main__":
    main()
