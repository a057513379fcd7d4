"""Train weights on landmarks that never stood: drawn from seeds, no photo, no licence, no download.

    python benchmarks/rendered_weights.py OUT [--landmarks 1000] [--views 16] [--epochs 6] [--photos PHOTOS]

``lz.finetune`` on ``RenderedLandmarks``; after Ctrl-C or a crash the same command goes on. ``--minutes``
measures how fast this machine draws and trains, and chooses the views that fit. PHOTOS are real ones as in
``benchmarks/landmark_photos.py``; they measure and are never trained on: mAP@100 of unseen landmarks, alone
and re-ranked without labels (k-reciprocal), and GAP with rejection, of ImageNet weights, of the same whitened
on the rendered photos, and of the trained ones.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from landmark_photos import read_splits
from measuring import machine, peak_mib
from torch import nn

import landmarkzoo as lz

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
    settings["lr"] = options.lr
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


def show(name: str, values: dict[str, float]) -> None:
    print(f"{name:28}" + "  ".join(f"{key} {value:.3f}" for key, value in values.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the model")
    parser.add_argument("--landmarks", type=int, default=1000)
    parser.add_argument("--views", type=int, default=16)
    parser.add_argument("--minutes", type=float, help="choose the views so that all takes about so long")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--image-size", type=int, default=288, help="longer side of the drawn photos")
    parser.add_argument("--crop", type=int, default=256, help="side of the crops that are trained on")
    parser.add_argument("--test-size", type=int, default=384, help="side of the real photos")
    parser.add_argument("--lr", type=float, default=2.5e-4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--photos", type=Path, help="real photos that measure")
    options = parser.parse_args()
    print(machine())
    views = planned(options)
    print(f"{options.landmarks} landmarks x {views} views, {options.epochs} epochs")
    start = time.perf_counter()
    model = train(options, options.out, options.landmarks, views, options.epochs)
    print(f"{(time.perf_counter() - start) / 60:.0f} minutes, {peak_mib() / 1024:.1f} GiB")
    if options.photos:
        frozen = lz.create_model(MODEL, pretrained_backbone=True, neck="none")
        show("ImageNet", scores(frozen, options.photos, options.test_size))
        show("whitened on rendered photos", scores(whitened(options), options.photos, options.test_size))
        show("trained on rendered photos", scores(model, options.photos, options.test_size))


if __name__ == "__main__":
    main()
