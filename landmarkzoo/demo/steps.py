"""The steps of the demo, each measured."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import nn
from torch.utils.data import Dataset, Subset

from landmarkzoo.demo.albums import Album
from landmarkzoo.embedding import embed, whiten_neck
from landmarkzoo.metrics import gap, mean_average_precision
from landmarkzoo.models import create_model
from landmarkzoo.reports.ranking_picture import RankedPhotos
from landmarkzoo.rerank import soft_discriminative, vote
from landmarkzoo.retrieval import Descriptors, Ranking, search

MODEL = "efficientnet_lite0_gem"

# Ten times the default of `whiten_neck`: an album of some hundred photos spans fewer directions than a
# descriptor has, and the weakest of them are noise. On a thousand photos the two come out alike.
SHRINKAGE = 0.1


@dataclass(frozen=True, eq=False)
class Step:
    """What one step brings and costs.

    Attributes:
        name: What was done.
        ranking: Index photos of each query.
        mean_average_precision: mAP@100 of the queries that have a landmark.
        gap: GAP of the queries' votes among the train photos.
        seconds: Wall time.
    """

    name: str
    ranking: Ranking
    mean_average_precision: float
    gap: float
    seconds: float


def run_steps(album: Album, *, progress: bool = True, num_workers: int = 0) -> list[Step]:
    """Frozen, whitened, re-ranked.

    Args:
        album: Labelled photos with their parts.
        progress: Show progress bars on stderr.
        num_workers: Processes that read photos.

    Raises:
        WeightsNotFoundError: If the ImageNet weights are not to be had.
    """
    steps = []

    def embedded(model: nn.Module) -> Descriptors:
        return embed(model, album.photos, num_workers=num_workers, progress=progress)

    start = time.perf_counter()
    frozen = embedded(create_model(MODEL, pretrained_backbone=True, neck="none"))
    ranking = search(frozen[album.query], frozen[album.index])
    name = f"ImageNet lite0, GeM ({frozen.vectors.shape[1]}-d)"
    steps.append(_step(name, album, frozen, ranking, start))

    start = time.perf_counter()
    model = create_model(MODEL, pretrained_backbone=True)
    train_photos = Subset(cast("Dataset[Any]", album.photos), album.train.tolist())
    whiten_neck(model, train_photos, shrinkage=SHRINKAGE, num_workers=num_workers, progress=progress)
    whitened = embedded(model)
    query, index, train = (whitened[rows] for rows in (album.query, album.index, album.train))
    name = f"+ whitened neck ({model.embedding_dim}-d)"
    steps.append(_step(name, album, whitened, search(query, index), start))

    start = time.perf_counter()
    ranking = soft_discriminative(query, index, train, album.labels[album.train])
    steps.append(_step("+ soft discriminative re-ranking", album, whitened, ranking, start))
    return steps


def picture_rows(album: Album, ranking: Ranking, *, rows: int = 8, top: int = 5) -> list[RankedPhotos]:
    """Queries with a landmark, spread over all of them, each with its first results."""
    asked = np.flatnonzero(album.labels[album.query] >= 0)
    chosen = asked[np.linspace(0, len(asked) - 1, min(rows, len(asked))).round().astype(int)]
    return [_picture_row(album, ranking, int(q), top) for q in chosen]


def _picture_row(album: Album, ranking: Ranking, query: int, top: int) -> RankedPhotos:
    photos = cast("Dataset[Any]", album.photos)
    row = int(album.query[query])
    results = []
    for position, score in zip(ranking.indices[query, :top], ranking.scores[query, :top]):
        found = int(album.index[position])
        right = bool(album.labels[found] == album.labels[row])
        results.append((photos[found][0], f"{score:.2f} {_name(album, found)}", right))
    to_find = int((album.labels[album.index] == album.labels[row]).sum())
    return RankedPhotos(photos[row][0], f"({to_find}) {_name(album, row)}", results)


def _name(album: Album, row: int) -> str:
    label = int(album.labels[row])
    return album.class_names[label] if label >= 0 else "no landmark"


def _step(name: str, album: Album, descriptors: Descriptors, ranking: Ranking, start: float) -> Step:
    index_labels, query_labels = album.labels[album.index], album.labels[album.query]
    relevant = [np.flatnonzero((index_labels == label) & (label >= 0)) for label in query_labels]
    precision = mean_average_precision(ranking.indices, relevant, skip_empty=True)
    votes = vote(descriptors[album.query], descriptors[album.train], album.labels[album.train])
    truth = [[label] if label >= 0 else [] for label in query_labels.tolist()]
    score = gap(votes.labels, votes.confidence, truth)
    return Step(name, ranking, precision, score, time.perf_counter() - start)
