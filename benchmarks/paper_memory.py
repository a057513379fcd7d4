"""Memory of examples/paper.py with as many photos as Google Landmarks v2, behind embedding.

    python benchmarks/paper_memory.py [--scale 1.0] [--models 2]

What grows with the photos does not depend on the size of a descriptor, as vectors stay in their files: here
they have 16 numbers. One block of each stage is computed; the others are alike. Stated is what is not mapped
from files, beyond what the process held before (Linux).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import anonymous_mib, machine

import landmarkzoo as lz

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import paper
import paper_job

PARTS = {"train": 1_580_470, "index": 761_757, "test": 117_577}
DIM, ADDED = 16, 200_000


def stored(folder: Path, part: str, count: int, seed: int) -> None:
    random, index = np.random.default_rng(seed), lz.Index.create(folder / part)
    for start in range(0, count, ADDED):
        rows = np.arange(start, min(start + ADDED, count))
        ids = [f"{part[0]}{row * 2654435761 % 2**60:015x}" for row in rows.tolist()]
        vectors = random.standard_normal((len(rows), DIM), dtype=np.float32)
        index.add(lz.Descriptors(ids, vectors), labels=rows // 20 if part == "train" else None)


def one_block(folder: Path, total: int, size: int, compute: Any) -> Path:
    """In place of ``paper.in_blocks``: the first block; of the votes as many copies as there would be."""
    in_blocks(folder, min(size, total), size, compute)
    if folder.name == "votes":
        first = next(paper.blocks_of(folder))
        for start in range(size, total, size):
            block = {name: array[: total - start].copy() for name, array in first.items()}
            paper.save_file(block, folder / f"{start:09}.safetensors")
    return folder


class Watch:
    """The most memory, not mapped from files, since the start."""

    def __init__(self) -> None:
        self.before = self.most = anonymous_mib()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.most = max(self.most, anonymous_mib())
            time.sleep(0.02)

    def say(self, what: str) -> None:
        held = anonymous_mib() - self.before
        print(f"| {what} | {self.most - self.before:,.0f} | {held:,.0f} |", flush=True)


in_blocks = paper.in_blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the photos")
    parser.add_argument("--models", type=int, default=2)
    options = parser.parse_args()
    paper.in_blocks, paper.VOTES, paper.ANSWERS = one_block, 2048, 2048
    models = tuple(paper_job.Model(f"m{n}", "one", ("retrieval",)) for n in range(options.models))
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        how: Any = (None, False, "float32", "float32", "cpu", 0)
        job = paper_job.Job(out, models, dict.fromkeys(PARTS), *how)
        for number, model in enumerate(models):
            for part, count in PARTS.items():
                seed = len(PARTS) * number + len(part)
                stored(paper.folder_of(job, model.name), part, int(count * options.scale), seed)
        print(f"{machine()}\n\n| {options.models} models | most, MiB | held, MiB |\n|---|---|---|")
        watch = Watch()
        folders = {model.name: paper.folder_of(job, model.name) for model in models}
        sets = {name: {part: lz.Index.open(folders[name] / part) for part in PARTS} for name in folders}
        paper.check_alike(job, sets)
        watch.say("compare the ids")
        for name, own in sets.items():
            rankings = paper.ranked(job, name, own["test"], own["index"], own["train"])
            watch.say(f"{name}: votes and rankings")
            paper.best_of([rankings], own["test"][:1024], own["index"])
            answers = {part: own[part] for part in ("train", "test")}
            paper.recognized(job, name, answers)
            watch.say(f"{name}: recognition")


if __name__ == "__main__":
    main()
