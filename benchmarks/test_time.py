"""What helps at test time: finished models of ``lz.finetune`` on a folder of real landmark photos.

    python benchmarks/test_time.py PHOTOS MODEL [MODEL ...] [--levers whitening scales average]
        [--out FOLDER]

PHOTOS and the protocols are those of ``benchmarks/landmark_photos.py``; a MODEL is a folder that
``lz.finetune`` wrote, trained on the split ``train``. Prints a table in Markdown: a row for each model as it
is, and one for each lever. ``whitening``: descriptors whitened again on ``train``. ``scales``: 448 px, seen
at 320, 384 and 448. ``average``: the mean of the weights of all models, which must have the same start. All
photos are seen in a mirror too.

Columns: mAP@100 of unseen landmarks, alone and re-ranked without labels, by k-reciprocal with its defaults
and with ``k2=4, weight=0.1``, each also on an index after database augmentation; GAP with rejection. With
``--out`` the descriptors are kept, and what is there already is not computed again.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from landmark_photos import read_splits
from measuring import machine
from torch import nn

import landmarkzoo as lz

LEVERS = ("whitening", "scales", "average")
SIZE, SCALES = 448, (5 / 7, 6 / 7, 1.0)
SHRINKAGE = 0.3


def average(models: Sequence[nn.Module]) -> nn.Module:
    """A model whose weights are the means of those of several."""
    averaged = copy.deepcopy(models[0])
    states = [model.state_dict() for model in models]
    averaged.load_state_dict(
        {
            name: sum(state[name] for state in states) / len(states)
            for name, value in states[0].items()
            if value.is_floating_point()
        },
        strict=False,  # counters of batches stay
    )
    return averaged


class Photos:
    """The photos of the splits, and their descriptors by model and views."""

    def __init__(self, root: Path, out: Path) -> None:
        self.paths, self.labels, self.split = read_splits(root)
        self.out = out

    def embed(self, model: nn.Module, name: str, scales: bool = False) -> lz.Descriptors:
        """Descriptors of all photos, from the folder where they are there."""
        file = self.out / f"{name}{', scales' if scales else ''}.safetensors"
        if file.exists():
            return lz.Descriptors.load(file)
        self.out.mkdir(parents=True, exist_ok=True)
        options = (
            {"transform": lz.create_transform(model, image_size=SIZE), "scales": SCALES} if scales else {}
        )
        return lz.embed(model, self.paths, flip=True, out=file, **options)

    def whitened(self, d: lz.Descriptors) -> lz.Descriptors:
        """Descriptors whitened on those of the train photos."""
        train = np.flatnonzero(self.split == "train")
        return lz.Whitening.fit(d[train], shrinkage=SHRINKAGE).apply(d)

    def scores(self, d: lz.Descriptors) -> dict[str, float]:
        """One row of the table."""
        rows = {part: np.flatnonzero(self.split == part) for part in np.unique(self.split)}
        index = np.flatnonzero(np.isin(self.split, ["index", "train"]))
        relevant = [np.flatnonzero(self.labels[index] == label) for label in self.labels[rows["query"]]]
        q, x = d[rows["query"]], d[index]
        again, augment = lz.rerank.k_reciprocal, lz.rerank.database_augmentation
        rankings = {
            "mAP@100": lz.search(q, x),
            "k-reciprocal": again(q, x),
            "augmented": again(q, augment(x)),
            "k-reciprocal, k2=4, weight=.1": again(q, x, k2=4, weight=0.1),
            "augmented, k=5, the same": again(q, augment(x, k=5), k2=4, weight=0.1),
        }
        test = np.flatnonzero(np.isin(self.split, ["test", "non_landmark_test"]))
        truth = [[label] if label >= 0 else [] for label in self.labels[test].tolist()]
        train, others = rows["train"], rows["non_landmark"]
        found = lz.recognize(d[test], d[train], self.labels[train], non_landmark=d[others])
        scores = {k: lz.metrics.mean_average_precision(r.indices, relevant) for k, r in rankings.items()}
        return {**scores, "GAP": lz.metrics.gap(found.labels, found.scores, truth)}


def rows(arguments: argparse.Namespace, photos: Photos) -> Iterator[tuple[str, lz.Descriptors]]:
    """Name and descriptors of each row; the cheap ones first."""
    models = {path.name: lz.create_model(f"local-dir:{path}") for path in arguments.models}
    for name, model in models.items():
        d = photos.embed(model, name)
        yield name, d
        if "whitening" in arguments.levers:
            yield f"{name}, whitened again", photos.whitened(d)
    if "average" in arguments.levers and len(models) > 1:
        d = photos.embed(average(list(models.values())), "mean of weights")
        yield "mean of weights", d
        if "whitening" in arguments.levers:
            yield "mean of weights, whitened again", photos.whitened(d)
    if "scales" in arguments.levers:
        for name, model in models.items():
            d = photos.embed(model, name, scales=True)
            yield f"{name}, 320, 384 and 448 px", d
            if "whitening" in arguments.levers:
                yield f"{name}, 320, 384 and 448 px, whitened again", photos.whitened(d)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="model")
    parser.add_argument("--levers", choices=LEVERS, nargs="*", default=LEVERS)
    parser.add_argument("--out", type=Path, help="folder for the descriptors")
    arguments = parser.parse_args()
    print(machine() + "\n")
    first = True
    with tempfile.TemporaryDirectory() as temporary:
        photos = Photos(arguments.photos, arguments.out or Path(temporary))
        for name, d in rows(arguments, photos):
            scores = photos.scores(d)
            if first:
                print(f"| | {' | '.join(scores)} |\n|{'---|' * (len(scores) + 1)}")
            first = False
            print(f"| {name} | {' | '.join(f'{value:.3f}' for value in scores.values())} |", flush=True)


if __name__ == "__main__":
    main()
