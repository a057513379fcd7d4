"""An index on disk of ten thousand, a hundred thousand, a million descriptors: what each thing takes.

    python benchmarks/scale.py [--sizes 10000 100000 1000000] [--dim 512] [--storage float32]
        [--device cuda] [--folder DIR] [--out docs/scale.json]

Seconds, and the memory that all but writing takes beyond what is mapped from files (Linux). An index is
written by one process and measured by another, which opens it first. The files are removed in the end: a
million take 2 GB, and as much again while they are compacted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import anonymous_mib, machine, seconds
from numpy.typing import NDArray

import landmarkzoo as lz

STEP = 10_000  # descriptors that are made and added at a time
CHANGED = 1_000
COLUMNS = {
    "write": "write, s",
    "open": "open, ms",
    "first": "first query, ms",
    "one": "1 query, ms",
    "hundred": "100 queries, ms",
    "add": "add 1,000, ms",
    "remove": "remove 1,000, ms",
    "info": "info, ms",
    "compact": "compact, s",
    "search MiB": "search, MiB",
    "MiB": "all, MiB",
}


def descriptors(start: int, stop: int, dim: int) -> lz.Descriptors:
    x = np.random.default_rng(start).standard_normal((stop - start, dim), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return lz.Descriptors([f"{row // 100:06d}/{row:09d}.jpg" for row in range(start, stop)], x)


def write(folder: Path, size: int, dim: int, storage: Any) -> float:
    """Seconds to add so many descriptors, without making them."""
    index, taken = lz.Index.create(folder, storage=storage), 0.0
    for start in range(0, size, STEP):
        new = descriptors(start, min(start + STEP, size), dim)
        labels = [id_.partition("/")[0] for id_ in new.ids]
        taken += seconds(lambda: index.add(new, labels=labels))  # noqa: B023
    return taken


class Peak:
    """The most memory beyond mapped files in a block, beyond what was held before it, MiB."""

    def __enter__(self) -> Peak:
        self.before = self.most = anonymous_mib()
        self.over = threading.Event()
        self.watching = threading.Thread(target=self._watch)
        self.watching.start()
        return self

    def _watch(self) -> None:
        while not self.over.wait(0.002):
            self.most = max(self.most, anonymous_mib())

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.watching.join()

    @property
    def mib(self) -> float:
        return self.most - self.before


def measure(folder: Path, size: int, dim: int, device: str | None) -> dict[str, float]:
    """What an index takes that was written by another process."""
    queries = descriptors(size + CHANGED, size + CHANGED + 100, dim).vectors
    new = descriptors(size, size + CHANGED, dim)
    warm_up(queries, device)
    found: dict[str, float] = {}
    with Peak() as whole:
        with Peak() as searching:
            start = time.perf_counter()
            index = lz.Index.open(folder, device=device)
            found["open"] = time.perf_counter() - start
            found["first"] = seconds(lambda: index.search(queries[0]))
            found["one"] = median(lambda: index.search(queries[1]))
            found["hundred"] = median(lambda: index.search(queries))
        found["info"] = seconds(lambda: index.info)
        found["add"] = seconds(lambda: index.add(new))
        found["remove"] = seconds(lambda: index.remove(new.ids))
        found["compact"] = seconds(index.compact)
    assert len(index) == size
    return {**found, "search MiB": searching.mib, "MiB": whole.mib}


def warm_up(queries: NDArray[np.float32], device: str | None) -> None:
    """What libraries allocate and import when they are first called is not the index's."""
    with tempfile.TemporaryDirectory() as folder:
        index = lz.Index.create(Path(folder) / "small", device=device)
        index.add(lz.Descriptors([str(row) for row in range(len(queries))], queries))
        index.search(queries)
        index.remove("0")
        index.compact()


def median(function: Callable[[], object]) -> float:
    return statistics.median(seconds(function) for _ in range(5))


def measure_apart(folder: Path, size: int, dim: int, device: str | None) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", folder, "--sizes", str(size), "--dim", str(dim)]
    command += ["--device", device] if device else []
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def table(results: dict[int, dict[str, float]]) -> str:
    lines = ["| photos | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for size, found in results.items():
        cells = [found[key] * (1_000 if title.endswith("ms") else 1) for key, title in COLUMNS.items()]
        lines.append(f"| {size:,} | " + " | ".join(f"{cell:,.3g}" for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--storage", choices=["float32", "float16"], default="float32")
    parser.add_argument("--device", help="where searches compute; the CPU unless told otherwise")
    parser.add_argument("--folder", type=Path, help="where the files are for a while; a temporary folder")
    parser.add_argument("--out", type=Path, help="a JSON file for docs/scale_page.py")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.sizes[0], arguments.dim, arguments.device)))
        return
    results: dict[int, dict[str, float]] = {}
    load = os.getloadavg()[0]  # what others do
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path = Path(folder) / "index"
            taken = write(path, size, arguments.dim, arguments.storage)
            size_on_disk = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found = measure_apart(path, size, arguments.dim, arguments.device)
            results[size] = {"write": taken, **found, "bytes": size_on_disk}
    where = arguments.device or "CPU"
    print(f"{arguments.dim} dimensions, {arguments.storage}, {where}; {machine()}\n\n{table(results)}")
    if arguments.out:
        how = {
            "settings": machine(),
            "load": load,
            "dim": arguments.dim,
            "storage": arguments.storage,
            "device": where,
        }
        arguments.out.write_text(json.dumps({**how, "sizes": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
