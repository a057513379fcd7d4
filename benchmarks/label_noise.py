"""What ``landmarkzoo clean`` finds on real landmark photos when some labels are switched.

    python benchmarks/label_noise.py PHOTOS [--share 0.1] [--seeds 0 1 2] [--train] [--out RUNS]

PHOTOS is as in ``benchmarks/landmark_photos.py``. A share of the labels of the split ``train`` is switched,
each to another landmark, by a seed. Prints tables in Markdown. Precision and recall of the photos that are
named are counted against the switched ones only, so an interior that nobody switched counts as a mistake.
Of each method also the average precision, which knows no threshold: of the whole list, the surest first. Then
the same with 20 photos of the split ``non_landmark_test`` that get random labels; those of ``non_landmark``
are the known ones.

With ``--train`` models are fine-tuned on the right labels, on the switched ones, and on the switched ones
without the photos that were named, and measured as in ``benchmarks/finetune_photos.py``; and the head of the
second says by ``Index.suspicious_labels`` what it finds. Five minutes a model on two cores. With ``--out``
they are kept, and what is there already is not trained again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from finetune_photos import measure
from landmark_photos import read_splits
from measuring import machine

import landmarkzoo as lz

STRANGERS = 20


def switched(labels: Sequence[str], share: float, seed: int) -> tuple[list[str], np.ndarray]:
    """Labels of which a share is switched, each to another landmark, and their rows."""
    random, names = np.random.default_rng(seed), sorted(set(labels))
    rows = random.choice(len(labels), round(share * len(labels)), replace=False)
    changed = list(labels)
    for row in rows:
        place = names.index(labels[row]) + random.integers(1, len(names))
        changed[row] = names[place % len(names)]
    return changed, rows


def scores(ranked: Iterable[tuple[str, str]], wrong: Mapping[str, str], listed: int) -> dict[str, float]:
    """Precision and recall of the first ``listed`` ids, and average precision of all.

    Args:
        ranked: Ids with the likelier label, the surest first.
        wrong: The right label of each photo that is to be found.
        listed: How many are named.
    """
    ids, likelier = zip(*ranked)
    hits = np.array([id_ in wrong for id_ in ids])
    right = [name == wrong[id_] for id_, name in zip(ids[:listed], likelier) if id_ in wrong]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return {
        "named": listed,
        "precision": float(hits[:listed].mean()) if listed else np.nan,
        "recall": float(hits[:listed].sum()) / len(wrong),
        "likelier is right": float(np.mean(right)) if right else np.nan,
        "AP": float((precision * hits).sum() / len(wrong)),
    }


def by_clean(d: lz.Descriptors, labels: Sequence[str], wrong: Mapping[str, str]) -> dict[str, float]:
    """``lz.finetuning.suspicious_photos``."""
    look = partial(lz.finetuning.suspicious_photos, (d, labels), progress=False)
    found = look()
    whole = look(threshold=0)  # those with another landmark that is nearer, in order
    named = [(one.id, one.likelier) for one in found if one.reason != "duplicate"]
    order = {one.id: one for one in (*whole, *found)}
    rest = sorted((one for one in order.values() if one.id not in dict(named)), key=lambda one: -one.score)
    surest = sorted(named, key=lambda pair: -order[pair[0]].score)
    return scores([*surest, *((one.id, one.likelier) for one in rest)], wrong, len(named))


def by_index(
    d: lz.Descriptors, labels: Sequence[str], wrong: Mapping[str, str], **head: Any
) -> dict[str, float]:
    """``Index.suspicious_labels``."""
    with tempfile.TemporaryDirectory() as folder:
        index = lz.Index.create(Path(folder) / "index")
        index.add(lz.Descriptors(d.ids, d.vectors), labels=labels)  # which says nothing of the whitening
        found = index.suspicious_labels(**head)
    return scores([(id_, likelier) for id_, _, likelier, _ in found], wrong, len(found))


def strangers_found(
    photos: lz.Descriptors, labels: Sequence[str], known: lz.Descriptors | None
) -> dict[str, float]:
    """How many of the last photos are named as no landmark, and for any reason."""
    found = lz.finetuning.suspicious_photos((photos, labels), non_landmark=known, progress=False)
    strangers = set(photos.ids[-STRANGERS:])
    named = [one.id for one in found if one.reason == "no landmark"]
    right = strangers & set(named)
    return {
        "named": len(named),
        "precision": len(right) / max(len(named), 1),
        "recall": len(right) / STRANGERS,
        "recall for any reason": len(strangers & set(found.ids)) / STRANGERS,
    }


class Photos:
    """Photos of the splits with the descriptors that ``landmarkzoo clean`` makes by default."""

    def __init__(self, root: Path) -> None:
        self.paths, self.labels, self.split = read_splits(root)
        model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none")
        model.cfg = replace(model.cfg, input_size=(3, 384, 384))
        wanted = [p for p, s in zip(self.paths, self.split) if s == "train" or s.startswith("non_landmark")]
        self.pooled = lz.embed(model, wanted)
        self.names = [Path(path).parent.name for path in self.paths]

    def of(self, split: str) -> tuple[list[str], list[str]]:
        """Paths and names of landmarks."""
        rows = np.flatnonzero(self.split == split)
        return [self.paths[row] for row in rows], [self.names[row] for row in rows]

    def whitened(self, *parts: Sequence[str]) -> list[lz.Descriptors]:
        """Descriptors of photos, whitened together."""
        every = self.pooled[[path for part in parts for path in part]]
        whitening = lz.Whitening.fit(every, min(512, len(every) - 1), shrinkage=0.1)
        return [whitening.apply(self.pooled[list(part)]) for part in parts]


def detection(photos: Photos, share: float, seeds: Sequence[int]) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and scores of each row of the first table."""
    paths, names = photos.of("train")
    (d,) = photos.whitened(paths)
    for name, method in (("clean", by_clean), ("index suspicious", by_index)):
        yield from summed(f"{name}", (noisy(method, d, names, share, seed) for seed in seeds))


def noisy(method: Any, d: lz.Descriptors, names: Sequence[str], share: float, seed: int) -> dict[str, float]:
    labels, rows = switched(names, share, seed)
    return method(d, labels, {d.ids[row]: names[row] for row in rows})


def strangers(photos: Photos, share: float, seeds: Sequence[int]) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and scores of each row of the second table."""
    (paths, names), (known, _), (others, _) = (
        photos.of(s) for s in ("train", "non_landmark", "non_landmark_test")
    )

    def one(seed: int, with_known: bool) -> dict[str, float]:
        random = np.random.default_rng(seed)
        some = [others[row] for row in random.choice(len(others), STRANGERS, replace=False)]
        labels = switched(names, share, seed)[0] + [
            names[row] for row in random.integers(0, len(names), STRANGERS)
        ]
        parts = photos.whitened([*paths, *some], *([known] if with_known else []))
        return strangers_found(parts[0], labels, parts[1] if with_known else None)

    for name, with_known in ((f"{len(known)} known ones", True), ("none known", False)):
        yield from summed(name, (one(seed, with_known) for seed in seeds))


def trained(
    photos: Photos, share: float, seeds: Sequence[int], out: Path, settings: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and scores of models that are trained on right, switched and cleaned labels."""
    paths, names = photos.of("train")
    (d,) = photos.whitened(paths)
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        labels, wrong = switched(names, share, seed)
        named = lz.finetuning.suspicious_photos((d, labels), progress=False)
        left_out = [one.id for one in named if one.reason != "duplicate"]
        for name, given, exclude in (
            ("right labels", names, []),
            ("switched", labels, []),
            ("switched, cleaned", labels, left_out),
        ):
            folder = out / f"{name.replace(', ', '_').replace(' ', '_')}_{share}_{seed}"
            result = lz.finetune(
                (paths, given), folder, validation=None, exclude=exclude, seed=seed, **settings
            )
            embedded = lz.embed(result.model, photos.paths, flip=True)
            scores_of = measure(embedded, photos.labels, photos.split)
            rows.setdefault(name, []).append(
                {key: scores_of[key] for key in ("mAP@100", "k-reciprocal", "GAP")}
            )
            if name == "switched":
                right = {paths[row]: names[row] for row in wrong}
                head = {"head": result.head, "class_names": result.class_names}
                by_head = by_index(embedded[paths], labels, right, **head)
                print(
                    f"seed {seed}: index suspicious by the model that was trained on them: {by_head}",
                    flush=True,
                )
    for name, of_seeds in rows.items():
        yield from summed(name, of_seeds)


def summed(name: str, results: Iterable[dict[str, float]]) -> Iterator[tuple[str, dict[str, float]]]:
    """Mean and spread (largest minus smallest) of some seeds."""
    rows = list(results)
    for title, reduce in (("mean", np.nanmean), ("spread", np.ptp)):
        yield f"{name}, {title}", {key: float(reduce([row[key] for row in rows])) for key in rows[0]}


def table(title: str, rows: Iterable[tuple[str, dict[str, float]]]) -> None:
    for number, (name, values) in enumerate(rows):
        if number == 0:
            print(f"\n| {title} | {' | '.join(values)} |\n|{'---|' * (len(values) + 1)}")
        cells = (f"{value:.0f}" if key == "named" else f"{value:.3f}" for key, value in values.items())
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--share", type=float, default=0.1, help="of the labels that is switched")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--epochs", type=int, help="of the training")
    parser.add_argument("--out", type=Path, help="folder for the models")
    arguments = parser.parse_args()
    photos = Photos(arguments.photos)
    paths, names = photos.of("train")
    print(f"{machine()}; {len(paths)} photos of {len(set(names))} landmarks, seeds {arguments.seeds}")
    settings = (photos, arguments.share, arguments.seeds)
    table(f"{arguments.share:.0%} switched", detection(*settings))
    table(f"{STRANGERS} of no landmark", strangers(*settings))
    if arguments.train:
        with tempfile.TemporaryDirectory() as temporary:
            out = arguments.out or Path(temporary)
            recipe = {} if arguments.epochs is None else {"epochs": arguments.epochs}
            table("trained on", trained(*settings, out, recipe))


if __name__ == "__main__":
    main()
