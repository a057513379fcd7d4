"""``lz.finetune`` on a folder of real landmark photos, seed by seed.

    python benchmarks/finetune_photos.py PHOTOS [--recipe gem dolg] [--seeds 0 1 2] [--epochs 12] [--extra]
        [--models efficientnet_lite0_gem local-dir:my-model] [--set average=0.99 patience=3] [--out RUNS]
        [--landmarks 10] [--views 10]

PHOTOS and the protocols are those of ``benchmarks/landmark_photos.py``; only the split ``train`` is trained
on, with ``--extra`` the photos of ``landmarks_extra/<name>/`` too, and none of them is held out;
``--landmarks`` and ``--views`` take fewer: the first ones that have so many photos, and so many of them.
Prints a table in Markdown: mAP@100 of unseen landmarks, alone and re-ranked without labels (k-reciprocal, the
same on an augmented index, diffusion, superglobal), GAP with rejection, and minutes; of the model before the
first step (one epoch with a learning rate of 0), of each seed, and their mean and spread (largest minus
smallest). With ``--out`` the models are kept, and what is there already is not trained again.
"""

from __future__ import annotations

import argparse
import ast
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from landmark_photos import read_splits
from measuring import machine

import landmarkzoo as lz

STILL = {"lr": 0.0, "head_lr": 0.0, "epochs": 1}


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


def photos_to_train_on(
    root: Path, extra: bool, landmarks: int | None, views: int | None
) -> tuple[list[str], list[str]]:
    """Paths and names of landmarks."""
    paths, labels, split = read_splits(root)
    rows = np.flatnonzero(split == "train")
    found, names = [paths[row] for row in rows], [f"{labels[row]}" for row in rows]
    more = sorted((root / "landmarks_extra").glob("*/*.jpg")) if extra else []
    if extra and not more:
        raise SystemExit(f"--extra: there are no photos landmarks_extra/<name>/*.jpg in {root}")
    by_landmark: dict[str, list[str]] = {}
    for path, name in zip(
        found + [str(path) for path in more], names + [path.parent.name for path in more], strict=True
    ):
        by_landmark.setdefault(name, []).append(path)
    enough = [name for name in by_landmark if len(by_landmark[name]) >= (views or 1)][:landmarks]
    kept = [(path, name) for name in enough for path in by_landmark[name][:views]]
    return [path for path, _ in kept], [name for _, name in kept]


def trainings(arguments: argparse.Namespace, out: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and scores of each row of the table."""
    paths, labels, split = read_splits(arguments.photos)
    train = photos_to_train_on(arguments.photos, arguments.extra, arguments.landmarks, arguments.views)

    def scored(name: str, **settings: Any) -> dict[str, float]:
        start = time.perf_counter()
        result = lz.finetune(
            train, out / name.replace("/", "_").replace(":", "_"), validation=None, **settings
        )
        minutes = (time.perf_counter() - start) / 60
        d = lz.embed(result.model, paths, flip=True)  # of the size that the recipe tests with
        return {**measure(d, labels, split), "minutes": minutes}

    for recipe, model in product(arguments.recipe, arguments.models):
        name = recipe if model is None else f"{recipe}, {model}"
        settings = {**arguments.settings, "recipe": recipe}
        settings |= {} if model is None else {"model": model}
        settings |= {} if arguments.epochs is None else {"epochs": arguments.epochs}
        start = scored(f"{name}, start", **{**settings, **STILL})
        yield f"{name}, start", {**start, "minutes": np.nan}
        results = []
        for seed in arguments.seeds:
            results.append(scored(f"{name}, seed {seed}", **settings, seed=seed))
            yield f"{name}, seed {seed}", results[-1]
        for title, reduce in (("mean", np.mean), ("spread", np.ptp)):
            yield (
                f"{name}, {title}",
                {key: float(reduce([result[key] for result in results])) for key in results[0]},
            )


def setting(text: str) -> tuple[str, Any]:
    """A setting of the recipe, such as ``average=0.99``."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--recipe", choices=lz.finetuning.RECIPES, nargs="+", default=["gem"])
    parser.add_argument("--models", nargs="+", default=[None], help="in place of the recipe's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--extra", action="store_true", help="train on landmarks_extra too")
    parser.add_argument("--landmarks", type=int, help="how many landmarks are trained on, default: all")
    parser.add_argument("--views", type=int, help="how many photos of each, default: all")
    parser.add_argument("--set", type=setting, nargs="+", default=[], dest="settings")
    parser.add_argument("--out", type=Path, help="folder for the models")
    arguments = parser.parse_args()
    arguments.settings = dict(arguments.settings)
    paths, names = photos_to_train_on(arguments.photos, arguments.extra, arguments.landmarks, arguments.views)
    print(f"{machine()}; trained on {len(paths)} photos of {len(set(names))} landmarks\n")
    first = True
    with tempfile.TemporaryDirectory() as temporary:
        for name, scores in trainings(arguments, arguments.out or Path(temporary)):
            if first:
                print(f"| | {' | '.join(scores)} |\n|{'---|' * (len(scores) + 1)}")
            first = False
            cells = (
                "" if np.isnan(value) else f"{value:.1f}" if key == "minutes" else f"{value:.3f}"
                for key, value in scores.items()
            )
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
