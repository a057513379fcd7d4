"""Train weights on landmarks that never stood: drawn from seeds, no photo, no licence, no download.

    python benchmarks/rendered_weights.py OUT [--landmarks 2000] [--views 12] [--epochs 6] [--photos PHOTOS]

``lz.finetune`` on ``RenderedLandmarks``; after Ctrl-C or a crash the same command goes on. ``--minutes``
measures how fast this machine draws and trains, and chooses the views that fit. PHOTOS are real ones as in
``benchmarks/landmark_photos.py``; they measure and are never trained on: mAP@100 of unseen landmarks, alone
and re-ranked without labels (k-reciprocal), and GAP with rejection, of ImageNet weights, of the same whitened
on the rendered photos, and of the trained ones. ``OUT.scores.json`` beside OUT keeps settings, machine,
minutes and scores; ``benchmarks/package_weights.py`` makes of both the weights that lie in the package.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from landmark_photos import read_splits
from measuring import machine, peak_mib
from torch import nn

import landmarkzoo as lz
from landmarkzoo._utils.atomic_writing import atomic_write

MODEL, BATCH = "efficientnet_lite0_gem", 32


def scores(model: nn.Module, photos: Path, size: int) -> dict[str, float]:
    """What a model does on real photos that it has never seen, each with its mirror image."""
    paths, labels, split = read_splits(photos)
    d = lz.embed(model, paths, transform=lz.create_transform(model, image_size=size), flip=True)
    rows = {part: np.flatnonzero(split == part) for part in ("query", "train", "non_landmark")}
    index = np.flatnonzero(np.isin(split, ["index", "train"]))
    test = np.flatnonzero(np.isin(split, ["test", "non_landmark_test"]))
    relevant = [np.flatnonzero(labels[index] == labels[query]) for query in rows["query"]]
    q, x, train = d[rows["query"]], d[index], d[rows["train"]]
    found = lz.recognize(d[test], train, labels[rows["train"]], non_landmark=d[rows["non_landmark"]])
    truth = [[label] if label >= 0 else [] for label in labels[test].tolist()]
    precision = lz.metrics.mean_average_precision
    return {
        "mAP@100": precision(lz.search(q, x).indices, relevant),
        "k-reciprocal": precision(lz.rerank.k_reciprocal(q, x).indices, relevant),
        "GAP": lz.metrics.gap(found.labels, found.scores, truth),
    }


def train(options: argparse.Namespace, out: Path, landmarks: int, views: int, epochs: int) -> nn.Module:
    """Train, or go on; the model."""
    photos = lz.rendered.RenderedLandmarks(
        landmarks, views, 0, image_size=options.image_size, seed=options.seed
    )
    settings = {"epochs": epochs, "batch_size": BATCH, "seed": options.seed, "image_size": options.crop}
    settings |= {"lr": options.lr, "trainable": options.trainable, "test_size": options.test_size}
    return lz.finetune(
        photos, out, model=MODEL, validation=None, num_workers=options.workers, **settings
    ).model


def fitting_views(options: argparse.Namespace) -> int:
    """Views of each landmark so that all takes about ``--minutes``: a few batches tell."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for epochs in (1, 3):
            start = time.perf_counter()
            train(options, Path(folder) / str(epochs), 8, 16, epochs)
            seconds.append(time.perf_counter() - start)
    step = (seconds[1] - seconds[0]) / 2 / (8 * 16)
    before = max(seconds[0] / (8 * 16) - step, 0)  # drawing, whitening, and means of the landmarks
    photos = options.minutes * 60 / (before + options.epochs * step)
    print(f"a photo takes {before:.3f} s before the training and {step:.3f} s in each epoch")
    return max(int(photos / options.landmarks), 4)


def planned(options: argparse.Namespace) -> int:
    """The views; those that were chosen by time are kept beside ``OUT``, for the command that goes on."""
    plan = options.out.with_name(f"{options.out.name}.views.json")
    if not options.minutes:
        return int(options.views)
    if not plan.exists():
        plan.parent.mkdir(parents=True, exist_ok=True)
        plan.write_text(json.dumps(fitting_views(options)))
    return int(json.loads(plan.read_text()))


def whitened(options: argparse.Namespace) -> nn.Module:
    """ImageNet weights, whitened on some of the rendered photos."""
    some = lz.rendered.RenderedLandmarks(
        min(options.landmarks, 250), 4, 0, image_size=options.image_size, seed=options.seed
    )
    return lz.whiten_neck(lz.create_model(MODEL, pretrained_backbone=True), some, shrinkage=0.03)


SETTINGS = ("landmarks", "views", "epochs", "image_size", "crop", "test_size", "lr", "trainable", "seed")


def record_file(out: Path) -> Path:
    return out.with_name(f"{out.name}.scores.json")


def record_of(options: argparse.Namespace, views: int) -> dict[str, Any]:
    """What is written beside ``OUT``, or was by an earlier run of this command.

    Minutes and memory of a training that was begun without a record are ``None``: nobody counted them.
    """
    file = record_file(options.out)
    new = {
        "machine": machine(),
        "versions": {"landmarkzoo": lz.__version__, "torch": torch.__version__, "timm": timm.__version__},
        "minutes": None if options.out.exists() else 0.0,
        "peak_gib": None if options.out.exists() else 0.0,
        "photos": None,
        "scores": {},
    }
    record = json.loads(file.read_text()) if file.exists() else new
    settings = {name: views if name == "views" else getattr(options, name) for name in SETTINGS}
    return {**record, "settings": settings}


def write_record(out: Path, record: dict[str, Any]) -> None:
    with atomic_write(record_file(out)) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")


def timed(record: dict[str, Any], out: Path, work: Callable[[], nn.Module]) -> nn.Module:
    """Do the work, and count its minutes, also where it is stopped."""
    start = time.perf_counter()
    try:
        return work()
    finally:
        if record["minutes"] is not None:
            record["minutes"] = round(record["minutes"] + (time.perf_counter() - start) / 60, 1)
            record["peak_gib"] = max(record["peak_gib"], round(peak_mib() / 1024, 1))
        write_record(out, record)


def measure(options: argparse.Namespace, model: nn.Module, record: dict[str, Any]) -> None:
    """The scores on real photos, row by row."""
    split = read_splits(options.photos)[2]
    count = {part: int((split == part).sum()) for part in sorted(set(split))}
    record["photos"] = {
        "queries": count["query"],
        "index": count["index"] + count["train"],
        "recognized": count["test"] + count["non_landmark_test"],
    }
    rows: dict[str, Callable[[], nn.Module]] = {
        "ImageNet": lambda: lz.create_model(MODEL, pretrained_backbone=True, neck="none"),
        "whitened on rendered photos": lambda: whitened(options),
        "trained on rendered photos": lambda: model,
    }
    for name, made in rows.items():
        record["scores"][name] = scores(made(), options.photos, options.test_size)
        show(name, record["scores"][name])
        write_record(options.out, record)


def show(name: str, values: dict[str, float]) -> None:
    print(f"{name:28}" + "  ".join(f"{key} {value:.3f}" for key, value in values.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the model")
    parser.add_argument("--landmarks", type=int, default=2000)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--minutes", type=float, help="choose the views so that all takes about so long")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--image-size", type=int, default=288, help="longer side of the drawn photos")
    parser.add_argument("--crop", type=int, default=224, help="side of the crops that are trained on")
    parser.add_argument("--test-size", type=int, default=384, help="side of the real photos")
    parser.add_argument("--lr", type=float, default=2.5e-4)
    parser.add_argument("--trainable", type=int, default=10, help="last layers of the backbone that learn")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--photos", type=Path, help="real photos that measure")
    options = parser.parse_args()
    print(machine())
    views = planned(options)
    print(f"{options.landmarks} landmarks x {views} views, {options.epochs} epochs")
    record = record_of(options, views)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    model = timed(
        record,
        options.out,
        lambda: train(options, options.out, options.landmarks, views, options.epochs),
    )
    print(f"{record['minutes']} minutes, {record['peak_gib']} GiB")
    if options.photos:
        measure(options, model, record)


if __name__ == "__main__":
    main()
