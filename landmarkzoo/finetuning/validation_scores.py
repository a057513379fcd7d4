"""How good a model is on photos that it is not trained on: quickly each epoch, thoroughly at the ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchvision.transforms import v2

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.evaluation import Evaluation, score_retrieval
from landmarkzoo.finetuning.landmark_labels import LabelledPhotos
from landmarkzoo.finetuning.photo_store import PhotoStore
from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.finetuning.shared_embedding import embedded_photos
from landmarkzoo.finetuning.splitting import Split
from landmarkzoo.finetuning.training_state import Training
from landmarkzoo.metrics import mean_average_precision
from landmarkzoo.models import DescriptorModel
from landmarkzoo.photos import create_transform
from landmarkzoo.retrieval import Descriptors, search
from landmarkzoo.retrieval.exact_search import search_others

ACCURACY, MAP = "accuracy", "mAP@100"
_AN_EPOCH = 4000  # photos at most that are measured after each epoch
_DEPTH = 100


@dataclass(frozen=True, eq=False)
class EpochMeasure:
    """The photos that are measured after each epoch, one view each.

    Attributes:
        store: The photos at the size at which they are embedded.
        transform: From a photo of the store to a tensor.
        labels: Label of each among the landmarks of the head; -1 for another landmark.
        relevant: For each photo the others of its landmark.
        watched: The score that decides which epoch is best.
    """

    store: PhotoStore
    transform: v2.Compose
    labels: IntArray
    relevant: list[IntArray]
    watched: str

    def scores(self, training: Training) -> dict[str, float]:
        """Accuracy of the head's first choice, and mAP@100 of each photo among the others."""
        processes = training.processes
        how: dict[str, Any] = {"transform": self.transform, "scales": (1.0,), "flip": False}
        found = embedded_photos(training.model, self.store, processes, progress=False, num_workers=0, **how)
        scores: dict[str, float] = {}
        known = self.labels >= 0
        if known.any():
            best = training.head.predict(torch.from_numpy(found.vectors).to(processes.device), k=1)
            guesses = best.classes[:, 0].cpu().numpy()
            scores[ACCURACY] = float((guesses == self.labels)[known].mean())
        asking = np.array([len(rows) > 0 for rows in self.relevant])
        if asking.any():
            rows = np.flatnonzero(asking)
            ranking = search_others(found.vectors, _DEPTH, rows=rows)
            wanted = [self.relevant[row] for row in rows]
            scores[MAP] = float(mean_average_precision(ranking.indices, wanted, k=_DEPTH))
        return scores


def epoch_measure(
    validation: LabelledPhotos, classes: list[str], model: DescriptorModel, size: int, seed: int
) -> EpochMeasure | None:
    """What is measured after each epoch: all validation photos, or those of some landmarks if they are many.

    ``None`` if there is nothing to measure: no photo shows a landmark that is trained on, or shares one.
    """
    if len(validation) > _AN_EPOCH:
        order = np.random.default_rng(seed).permutation(len(validation.classes))
        counts = np.bincount(validation.labels)[order]
        some = order[: max(1, int(np.searchsorted(np.cumsum(counts), _AN_EPOCH)))]
        rows = np.flatnonzero(np.isin(validation.labels, some))[:_AN_EPOCH]
        validation = validation.take(rows)
    transform = create_transform(model, image_size=size)
    store = PhotoStore(validation.source, transform.transforms[0])
    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of.get(name, -1) for name in validation.names], dtype=np.int64)
    rows = np.arange(len(validation))
    relevant = [
        rows[(validation.labels == label) & (rows != row)] for row, label in enumerate(validation.labels)
    ]
    if not (labels >= 0).any() and not any(len(of_photo) for of_photo in relevant):
        return None
    with_others = np.mean([len(of_photo) > 0 for of_photo in relevant])
    watched = MAP if with_others >= 0.5 or not (labels >= 0).any() else ACCURACY
    return EpochMeasure(store, v2.Compose(transform.transforms[1:]), labels, relevant, watched)


def evaluate_split(
    model: DescriptorModel,
    split: Split,
    size: int,
    processes: Processes,
    num_workers: int | None,
    progress: bool,
) -> Evaluation | None:
    """Search each validation photo among those trained on, at ``size`` and mirrored: mAP@100 and more.

    Validation photos of a landmark that is not trained on are in the index themselves, but for the one that
    is searched. ``None`` if there is nothing to find.
    """
    if split.validation is None:
        return None
    how: dict[str, Any] = {"transform": create_transform(model, image_size=size), "flip": True}
    how |= {"progress": progress and processes.rank == 0, "num_workers": num_workers}
    queries, index = (
        embedded_photos(model, photos.source, processes, **how) for photos in (split.validation, split.train)
    )
    if processes.rank > 0:
        first: Evaluation | None = processes.of_first(None)
    else:
        first = processes.of_first(_scored(queries, index, split))
    return first


def _scored(queries: Descriptors, index: Descriptors, split: Split) -> Evaluation | None:
    assert split.validation is not None
    train, names = np.array(split.train.names), split.validation.names
    of_train = {name: np.flatnonzero(train == name) for name in dict.fromkeys(names)}
    data = "validation photos among those trained on, flip=True"
    if all(len(rows) for rows in of_train.values()):
        relevant = [of_train[name].tolist() for name in names]
        ranking = search(queries, index, k=_DEPTH)
    else:
        data = "validation photos among those trained on and each other, flip=True"
        vectors = np.concatenate([index.vectors, queries.vectors])
        every = np.concatenate([train, np.array(names)])
        rows = np.arange(len(train), len(every))
        relevant = [np.setdiff1d(np.flatnonzero(every == every[row]), [row]).tolist() for row in rows]
        ranking = search_others(
            Descriptors([f"{row}" for row in range(len(vectors))], vectors), _DEPTH, rows=rows
        )
    if not any(relevant):
        return None
    result = score_retrieval(ranking, relevant, k=_DEPTH, data=data)
    return Evaluation(
        result.scores, result.intervals, result.per_query, list(queries.ids), dict(queries.provenance)
    )
