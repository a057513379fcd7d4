"""Frozen and whitened lite0 on a folder of real landmark photos, with search, re-ranking and voting.

    python benchmarks/landmark_photos.py PHOTOS

PHOTOS holds ``splits.csv`` with the columns ``path,landmark,landmark_id,split``. Retrieval, unseen: queries
``query``, index ``index`` + ``train``, mAP@100, by plain search and by soft discriminative re-ranking, whose
train set knows none of these landmarks. Recognition: queries ``test`` + ``non_landmark_test``,
database ``train``, label and score by plain voting, GAP. The neck is whitened on ``train``, without labels.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch

import landmarkzoo as lz

MODEL = "efficientnet_lite0_gem"


def read_splits(root: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Paths, labels (-1 for no landmark) and splits."""
    with (root / "splits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["landmark_id"] or -1) for row in rows])
    return [str(root / row["path"]) for row in rows], labels, np.array([row["split"] for row in rows])


def retrieval(d: lz.Descriptors, labels: np.ndarray, split: np.ndarray) -> tuple[float, float]:
    """mAP@100 of plain search and of soft re-ranking."""
    query, train = np.flatnonzero(split == "query"), np.flatnonzero(split == "train")
    index = np.flatnonzero(np.isin(split, ["index", "train"]))
    relevant = [np.flatnonzero(labels[index] == labels[q]) for q in query]
    plain = lz.search(d[query], d[index], k=100)
    soft = lz.rerank.soft_discriminative(d[query], d[index], d[train], labels[train], k=100)
    score = lz.metrics.mean_average_precision
    return score(plain.indices, relevant), score(soft.indices, relevant)


def recognition(d: lz.Descriptors, labels: np.ndarray, split: np.ndarray) -> float:
    test = np.flatnonzero(np.isin(split, ["test", "non_landmark_test"]))
    train = np.flatnonzero(split == "train")
    votes = lz.rerank.vote(d[test], d[train], labels[train])
    truth = [[label] if label >= 0 else [] for label in labels[test].tolist()]
    return lz.metrics.gap(votes.labels, votes.confidence, truth)


def each_among_the_others(root: Path, progress: bool = True) -> dict[str, float]:
    """mAP@100 of all photos of the 13 unseen landmarks, each against the others.

    Whitened on photos of other landmarks, and on the very photos that are searched.
    """
    paths, labels, split = read_splits(root)
    rows = np.flatnonzero(np.isin(split, ["query", "index"]))
    searched, others = [paths[row] for row in rows], [p for p, s in zip(paths, split) if s == "train"]
    built = {"frozen, neck 'none'": lz.create_model(MODEL, pretrained_backbone=True, neck="none")}
    for name, photos in (("other", others), ("these", searched)):
        model = lz.create_model(MODEL, pretrained_backbone=True)
        built[f"whitened on {name} {len(photos)} photos"] = lz.whiten_neck(model, photos, progress=progress)
    relevant = [np.flatnonzero((labels[rows] == labels[row]) & (rows != row)) for row in rows]
    results = {}
    for name, model in built.items():
        d = lz.embed(model, searched, progress=progress)
        ranking = lz.search(d, d, k=100, exclude_same_id=True)
        results[name] = lz.metrics.mean_average_precision(ranking.indices, relevant)
    return results


def models(train: list[str], shrinkages: Sequence[float], progress: bool) -> dict[str, torch.nn.Module]:
    """The same backbone, frozen and whitened."""
    built = {"frozen, neck 'none'": lz.create_model(MODEL, pretrained_backbone=True, neck="none")}
    for shrinkage in shrinkages:
        model = lz.create_model(MODEL, pretrained_backbone=True)
        lz.whiten_neck(model, train, shrinkage=shrinkage, progress=progress)
        built[f"whitened, shrinkage {shrinkage}"] = model
    return built


def measure(
    root: Path, shrinkages: Sequence[float] = (0.01, 0.1), progress: bool = True
) -> dict[str, tuple[float, float, float]]:
    """mAP@100 of search and of soft re-ranking, and GAP, of each model."""
    paths, labels, split = read_splits(root)
    train = [path for path, part in zip(paths, split) if part == "train"]
    results = {}
    for name, model in models(train, shrinkages, progress).items():
        d = lz.embed(model, paths, progress=progress)
        results[name] = (*retrieval(d, labels, split), recognition(d, labels, split))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    arguments = parser.parse_args()
    start = time.perf_counter()
    results = measure(arguments.photos)
    print(f"{date.today()}, {platform.machine()}, {torch.get_num_threads()} threads, {MODEL}, 224 px")
    print(f"{'':26}mAP@100, search   soft re-ranked   GAP")
    for name, (plain, soft, gap) in results.items():
        print(f"{name:26}{plain:<18.3f}{soft:<17.3f}{gap:.3f}")
    print("each photo of the unseen landmarks against the others:")
    for name, precision in each_among_the_others(arguments.photos).items():
        print(f"{name:34}{precision:.3f}")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
