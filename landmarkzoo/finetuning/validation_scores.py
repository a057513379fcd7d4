"""How good a model is on photos that it is not trained on: quickly each epoch, thoroughly at the ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torchvision.transforms import v2

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.evaluation import Evaluation, score_retrieval
from landmarkzoo.finetuning.landmark_labels import LabelledPhotos
from landmarkzoo.finetuning.photo_store import PhotoStore
from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.finetuning.results import confusions_of
from landmarkzoo.finetuning.shared_embedding import embedded_photos
from landmarkzoo.finetuning.splitting import Split
from landmarkzoo.finetuning.training_job import TrainingJob
from landmarkzoo.finetuning.training_state import Training
from landmarkzoo.losses import Head
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
            right = first_choices(training.head, found, processes) == self.labels
            scores[ACCURACY] = float(right[known].mean())
        asking = np.flatnonzero([len(rows) > 0 for rows in self.relevant])
        if len(asking):
            ranking = search_others(found.vectors, _DEPTH, rows=asking)
            wanted = [self.relevant[row] for row in asking]
            scores[MAP] = float(mean_average_precision(ranking.indices, wanted, k=_DEPTH))
        return scores


def epoch_measure(job: TrainingJob, model: DescriptorModel) -> EpochMeasure | None:
    """What is measured after each epoch: all validation photos, or those of some landmarks if they are many.

    ``None`` if there is nothing to measure: no photo shows a landmark that is trained on, or shares one.
    """
    if job.split.validation is None:
        return None
    validation = _some_landmarks(job.split.validation, job.recipe.seed)
    transform = transform_at(model, model.cfg.input_size[1:])
    store = PhotoStore(validation.source, transform.transforms[0])
    label_of = {name: label for label, name in enumerate(job.split.train.classes)}
    labels = np.array([label_of.get(name, -1) for name in validation.names], dtype=np.int64)
    members = [np.flatnonzero(validation.labels == label) for label in range(len(validation.classes))]
    relevant = [members[label][members[label] != row] for row, label in enumerate(validation.labels)]
    sharing = np.mean([len(rows) > 0 for rows in relevant])
    if sharing == 0 and not (labels >= 0).any():
        return None
    watched = MAP if sharing >= 0.5 or not (labels >= 0).any() else ACCURACY
    return EpochMeasure(store, v2.Compose(transform.transforms[1:]), labels, relevant, watched)


@dataclass(frozen=True, eq=False)
class Measured:
    """What the validation photos say of a model.

    Attributes:
        evaluation: Their scores.
        confusions: What the head takes for what, see ``confusions_of``.
    """

    evaluation: Evaluation
    confusions: list[dict[str, Any]]


def measured_views(job: TrainingJob, model: DescriptorModel, head: Head | None = None) -> Measured | None:
    """Search each validation photo among those trained on, with its mirror image: mAP@100 and more.

    Validation photos of a landmark that is not trained on are in the index themselves, but for the one that
    is searched. ``None`` if there is nothing to find.
    """
    split, processes = job.split, job.processes
    if split.validation is None:
        return None
    size = model.cfg.input_size[1:]
    how: dict[str, Any] = {"transform": transform_at(model, size), "flip": True, "progress": job.shown}
    queries, index = (
        embedded_photos(model, source, processes, num_workers=job.readers(source, max(size)), **how)
        for source in (split.validation.source, split.train.source)
    )
    first = processes.of_first(_scored(queries, index, split) if processes.rank == 0 else None)
    if first is None:
        return None
    if head is None:
        return Measured(first, [])
    guesses = first_choices(head, queries, processes)
    names = [split.train.classes[guess] for guess in guesses]
    return Measured(first, confusions_of(split.validation.names, queries.ids, names, split.train.classes))


def first_choices(head: Head, descriptors: Descriptors, processes: Processes) -> IntArray:
    """The class (N,) that a head takes each photo for, on all processes."""
    # Where the classes are split, all processes must ask for something; one asks for all photos.
    vectors = descriptors.vectors if processes.rank == 0 else descriptors.vectors[:1]
    best = head.predict(torch.from_numpy(vectors).to(head.weight.device), k=1)
    found: IntArray = processes.of_first(best.classes[:, 0].cpu().numpy())
    return found


def transform_at(model: DescriptorModel, size: tuple[int, ...]) -> v2.Compose:
    """The transform of a model at a size, (height, width): where the aspect ratio is kept, its height."""
    squash = model.cfg.resize == "squash"
    return create_transform(model, image_size=(size[0], size[1]) if squash else size[0])


def _some_landmarks(photos: LabelledPhotos, seed: int) -> LabelledPhotos:
    if len(photos) <= _AN_EPOCH:
        return photos
    order = np.random.default_rng(seed).permutation(len(photos.classes))
    up_to = np.cumsum(np.bincount(photos.labels)[order])
    some = order[: max(1, int(np.searchsorted(up_to, _AN_EPOCH)))]
    return photos.take(np.flatnonzero(np.isin(photos.labels, some))[:_AN_EPOCH])


def _scored(queries: Descriptors, index: Descriptors, split: Split) -> Evaluation | None:
    assert split.validation is not None
    names = split.validation.names
    rows_of = _rows_by_name(split.train.names)
    data = "validation photos among those trained on, flip=True"
    if all(name in rows_of for name in names):
        relevant = [rows_of[name] for name in names]
        ranking = search(queries, index, k=_DEPTH)
    else:
        data = "validation photos among those trained on and each other, flip=True"
        rows_of = _rows_by_name([*split.train.names, *names])
        rows = np.arange(len(index), len(index) + len(queries))
        relevant = [[other for other in rows_of[name] if other != row] for row, name in zip(rows, names)]
        ranking = search_others(np.concatenate([index.vectors, queries.vectors]), _DEPTH, rows=rows)
    if not any(relevant):
        return None
    result = score_retrieval(ranking, relevant, k=_DEPTH, data=data)
    return replace(result, query_ids=list(queries.ids), provenance=dict(queries.provenance))


def _rows_by_name(names: list[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows
