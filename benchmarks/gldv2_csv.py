"""The CSV files of Google Landmarks v2 at full size: seconds and peak memory of every split and of the lists.

    python benchmarks/gldv2_csv.py [--scale 1.0] [--folder DIR]

Generates files of the published sizes (4,132,914 train rows, 203,094 landmarks, 1,580,470 clean images of
81,313 classes, 3,223,078 images of these classes) in a temporary folder, about 600 MB, and reads each split
in a process of its own. Memory is the peak of that process, imports included; beside it what the imports
alone take.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measuring import machine, peak_mib, seconds
from numpy.typing import NDArray

import landmarkzoo as lz

TRAIN, LANDMARKS = 4_132_914, 203_094
CLEAN, CLASSES, X = 1_580_470, 81_313, 3_223_078
INDEX, INDEX_LANDMARKS, TEST, QUERIES = 761_757, 101_302, 117_577, 1_129
URL = "https://upload.wikimedia.org/wikipedia/commons/%x/%x%x/Photograph_of_a_landmark_%d%%2C_Germany.jpg"
WHAT = ("clean", "x", "full", "index", "test", "lists")


def ids(count: int, seed: int) -> list[str]:
    """Ids of 16 hexadecimal digits: an odd multiplier turns counting into chance without repeats."""
    numbers = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed << 40)
    return [f"{number:016x}" for number in numbers.tolist()]


def landmark_rows(count: int, landmarks: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Landmarks of images, each at least once, few of them often."""
    share = random.pareto(1.2, len(landmarks)) + 0.2
    more = random.choice(landmarks, count - len(landmarks), p=share / share.sum())
    return np.concatenate([landmarks, more])


def write(path: Path, header: str, lines: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(header + "\n")
        file.writelines(lines)


def write_train(root: Path, size: dict[str, int], random: np.random.Generator) -> None:
    landmarks = random.permutation(size["landmarks"]).astype(np.int64)
    clean, other = landmarks[: size["classes"]], landmarks[size["classes"] :]
    of_image = np.concatenate(
        [landmark_rows(size["x"], clean, random), landmark_rows(size["train"] - size["x"], other, random)]
    )
    kept = np.concatenate(
        [np.arange(size["classes"]), random.permutation(np.arange(size["classes"], size["x"]))]
    )
    kept = np.sort(kept[: size["clean"]])  # at least one of each class
    train = ids(size["train"], seed=1)
    order = random.permutation(size["train"]).tolist()
    rows = of_image.tolist()
    lines = (f"{train[i]},{URL % (i % 16, i % 16, i % 7, i)},{rows[i]}\n" for i in order)
    write(root / "train.csv", "id,url,landmark_id", lines)
    by_landmark: dict[int, list[str]] = {}
    for i in kept.tolist():
        by_landmark.setdefault(rows[i], []).append(train[i])
    write(
        root / "train_clean.csv",
        "landmark_id,images",
        (f"{landmark},{' '.join(images)}\n" for landmark, images in by_landmark.items()),
    )


def write_index_and_test(root: Path, size: dict[str, int], random: np.random.Generator) -> None:
    index, test = ids(size["index"], seed=2), ids(size["test"], seed=3)
    landmarks = landmark_rows(size["index"], np.arange(size["index_landmarks"]), random).tolist()
    write(root / "index.csv", "id", (f"{id_}\n" for id_ in index))
    write(root / "test.csv", "id", (f"{id_}\n" for id_ in test))
    lines = (f"{id_},{landmark}\n" for id_, landmark in zip(index, landmarks))
    write(root / "index_image_to_landmark.csv", "id,landmark_id", lines)
    for name, count, step in (("train", size["landmarks"], 1), ("index", size["index_landmarks"], 3)):
        lines = (
            f"{i},http://commons.wikimedia.org/wiki/Category:Landmark_{i * step}\n" for i in range(count)
        )
        write(root / f"{name}_label_to_category.csv", "landmark_id,category", lines)
    lines = (
        f"{id_},{i if i % 60 == 0 else ''},{'Private' if i % 3 else 'Public'}\n" for i, id_ in enumerate(test)
    )
    write(root / "recognition_solution_v2.1.csv", "id,landmarks,Usage", lines)
    right = [" ".join(index[i * 7 : i * 7 + 50]) for i in range(size["queries"])]
    lines = (
        f"{id_},{right[i]},Public\n" if i < size["queries"] else f"{id_},None,Ignored\n"
        for i, id_ in enumerate(test)
    )
    write(root / "retrieval_solution_v2.1.csv", "id,images,Usage", lines)


def generate(root: Path, scale: float) -> None:
    size = {
        "train": TRAIN, "landmarks": LANDMARKS, "clean": CLEAN, "classes": CLASSES, "x": X,
        "index": INDEX, "index_landmarks": INDEX_LANDMARKS, "test": TEST, "queries": QUERIES,
    }  # fmt: skip
    size = {name: max(10, round(count * scale)) for name, count in size.items()}
    random = np.random.default_rng(0)
    write_train(root, size, random)
    write_index_and_test(root, size, random)


def measure(root: Path, what: str) -> None:
    imports = peak_mib()
    result: list[object] = []
    if what == "lists":
        out = root / "lists"
        out.mkdir(exist_ok=True)
        took = seconds(lambda: lz.datasets.build_gldv2_lists(root).save(out))
        summary = "built and written"
    else:
        took = seconds(lambda: result.append(lz.datasets.GLDv2(root, what)))
        summary = repr(result[0])
    print(f"{what:6} {took:6.1f} s, peak {peak_mib():6.0f} MiB (imports {imports:.0f})  {summary}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size")
    parser.add_argument("--folder", type=Path, help="keep the files here, and use those that are here")
    parser.add_argument("--measure", choices=WHAT, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        measure(arguments.folder, arguments.measure)
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.folder or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "retrieval_solution_v2.1.csv").is_file():
            start = time.perf_counter()
            generate(root, arguments.scale)
            print(f"generated in {time.perf_counter() - start:.0f} s")
        megabytes = (root / "train.csv").stat().st_size / 1e6
        print(f"{machine()}, load {os.getloadavg()[0]:.1f}, train.csv {megabytes:.0f} MB")
        for what in WHAT:
            command = [sys.executable, __file__, "--folder", str(root), "--measure", what]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
