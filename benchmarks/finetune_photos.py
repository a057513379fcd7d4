"""The gentle fine-tuning of ``examples/finetune.py`` on a folder of real landmark photos, seed by seed.

    python benchmarks/finetune_photos.py PHOTOS [--recipe gem dolg] [--seeds 0 1 2] [--epochs 12]

PHOTOS and the protocols are those of ``benchmarks/landmark_photos.py``; only the split ``train`` is trained
on. Prints mAP@100 of unseen landmarks, alone and re-ranked without labels (k-reciprocal, the same on an
augmented index, diffusion, superglobal), GAP with rejection, and minutes, before (whitened neck) and after,
and mean and spread (largest minus smallest) of the seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from landmark_photos import read_splits
from measuring import machine
from torch import nn

import landmarkzoo as lz

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from finetune import RECIPES, Photos, Recipe, finetune, whitened_model


def measure(d: lz.Descriptors, labels: np.ndarray, split: np.ndarray) -> dict[str, float]:
    """Scores of one set of descriptors."""
    query, train, others = (np.flatnonzero(split == part) for part in ("query", "train", "non_landmark"))
    index = np.flatnonzero(np.isin(split, ["index", "train"]))
    test = np.flatnonzero(np.isin(split, ["test", "non_landmark_test"]))
    relevant = [np.flatnonzero(labels[index] == labels[q]) for q in query]
    truth = [[label] if label >= 0 else [] for label in labels[test].tolist()]
    q, x = d[query], d[index]
    rankings = {
        "mAP@100": lz.search(q, x),
        "k-reciprocal": lz.rerank.k_reciprocal(q, x),
        "augmented": lz.rerank.k_reciprocal(q, lz.rerank.database_augmentation(x)),
        "diffusion": lz.rerank.diffusion(q, x, neighbors=15, alpha=0.9),
        "superglobal": lz.rerank.superglobal(q, x),
    }
    result = {k: lz.metrics.mean_average_precision(r.indices, relevant) for k, r in rankings.items()}
    found = lz.recognize(d[test], d[train], labels[train], non_landmark=d[others])
    return {**result, "GAP": lz.metrics.gap(found.labels, found.scores, truth)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--recipe", choices=RECIPES, nargs="+", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    arguments = parser.parse_args()
    paths, labels, split = read_splits(arguments.photos)
    rows = np.flatnonzero(split == "train")
    train = Photos([Path(paths[row]) for row in rows], np.unique(labels[rows], return_inverse=True)[1])

    def scored(model: nn.Module, size: int) -> dict[str, float]:
        transform = lz.create_transform(model, image_size=size)
        return measure(lz.embed(model, paths, transform=transform, flip=True), labels, split)

    print(machine())
    for name in arguments.recipe:
        results: list[dict[str, float]] = []
        for seed in arguments.seeds:
            recipe = replace(RECIPES[name], epochs=arguments.epochs, seed=seed)
            start = time.perf_counter()
            model = whitened_model(recipe, train)
            whitened = time.perf_counter() - start
            if not results:
                show(f"{name}, whitened", scored(model, recipe.test_size))
            start = time.perf_counter()
            finetune(recipe, model, train)
            minutes = (time.perf_counter() - start + whitened) / 60
            results.append({**scored(model, recipe.test_size), "minutes": minutes})
            show(f"{name}, seed {seed}", results[-1])
        for title, reduce in (("mean", np.mean), ("spread", np.ptp)):
            of_all = {key: float(reduce([result[key] for result in results])) for key in results[0]}
            show(f"{name}, {title}", of_all)


def show(name: str, scores: dict[str, float]) -> None:
    values = "  ".join(f"{key} {value:.3f}" for key, value in scores.items())
    print(f"{name:16}{values}", flush=True)


if __name__ == "__main__":
    main()
