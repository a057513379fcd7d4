"""The steps of the demo, each with its scores and its time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch.utils.data import Dataset

from landmarkzoo.demo.demo_split import DemoSplit
from landmarkzoo.embedding import embed
from landmarkzoo.metrics import gap, mean_average_precision
from landmarkzoo.models import create_model, get_model_cfg
from landmarkzoo.photos import create_transform
from landmarkzoo.photos.dataset_items import ids_of
from landmarkzoo.reports import RankedPhotos
from landmarkzoo.rerank import soft_discriminative, vote
from landmarkzoo.retrieval import Descriptors, Ranking, Whitening, search

MODEL = "efficientnet_lite0_gem"

# Ten times the default of `whiten_neck`: some hundred photos span fewer directions than a descriptor has, and
# the weakest of these are noise. On a thousand photos both values give the same scores.
SHRINKAGE = 0.1


@dataclass(frozen=True, eq=False)
class Step:
    """Scores and time of one step.

    Attributes:
        name: What was done.
        ranking: Index photos for each query, best first.
        mean_average_precision: mAP@100 over the queries that show a landmark.
        gap: GAP of recognition by the vote of the train photos.
        seconds: Wall time.
    """

    name: str
    ranking: Ranking
    mean_average_precision: float
    gap: float
    seconds: float


def run_steps(
    split: DemoSplit, *, progress: bool = True, num_workers: int | None = None, skip_errors: bool = False
) -> tuple[DemoSplit, list[Step]]:
    """Search with ImageNet weights, with these whitened, and with landmark weights, then re-rank.

    The photos go through the ImageNet backbone once: a neck that `whiten_neck` has whitened is the whitening
    of the pooled features, which are there already. The landmark weights of the package were trained on
    rendered landmarks, none of which is in the demo; they read photos at the same size.

    Args:
        split: Labelled photos.
        progress: Show progress bars on stderr.
        num_workers: Processes that read photos; ``None``: as suits the machine.
        skip_errors: Leave out photos that cannot be read.

    Returns:
        The split without these, and the steps.

    Raises:
        PhotoError: If a photo cannot be read and is not to be left out.
        WeightsNotFoundError: If the ImageNet weights cannot be found.
    """
    photos = split.photos
    how: dict[str, Any] = {
        "num_workers": num_workers,
        "progress": progress,
        "on_error": "skip" if skip_errors else "raise",
    }

    start = time.perf_counter()
    frozen = embed(create_model(MODEL, pretrained_backbone=True, neck="none"), photos, **how)
    frozen, split = _without_skipped(frozen, split)
    name = f"ImageNet lite0, GeM ({frozen.vectors.shape[1]}-d)"
    steps = [_search_step(name, split, frozen, start)]

    start = time.perf_counter()
    cfg = get_model_cfg(MODEL)
    spanned = min(cfg.embedding_dim, len(split.train) - 1)  # the other dimensions of the neck would be zero
    whitening = Whitening.fit(frozen[split.train], spanned, shrinkage=SHRINKAGE)
    whitened = cast(Descriptors, whitening.apply(frozen))
    steps.append(_search_step(f"+ whitened neck ({cfg.embedding_dim}-d)", split, whitened, start))

    start = time.perf_counter()
    model = create_model(MODEL, pretrained=True)
    trained = embed(model, photos, transform=create_transform(model, image_size=cfg.input_size[1]), **how)
    trained, split = _without_skipped(trained, split)
    name = f"weights from rendered landmarks ({trained.vectors.shape[1]}-d)"
    steps.append(_search_step(name, split, trained, start))

    start = time.perf_counter()
    query, index, train = (trained[rows] for rows in (split.query, split.index, split.train))
    ranking = soft_discriminative(query, index, train, split.targets[split.train])
    steps.append(_step("+ soft discriminative re-ranking", split, trained, ranking, start))
    return split, steps


def _without_skipped(found: Descriptors, split: DemoSplit) -> tuple[Descriptors, DemoSplit]:
    """Descriptors with a row for each photo again, zeros where there is none, and a split without these."""
    if not found.skipped:
        return found, split
    ids = ids_of(split.photos)
    unread = np.array([id_ not in found for id_ in ids])
    vectors = np.zeros((len(ids), found.vectors.shape[1]), np.float32)
    vectors[~unread] = found.vectors
    return Descriptors(ids, vectors, provenance=found.provenance), split.without(unread, found.skipped)


def picture_rows(split: DemoSplit, ranking: Ranking, *, rows: int = 8, top: int = 5) -> list[RankedPhotos]:
    """Some queries that show a landmark, evenly spread, each with its first results."""
    shown = np.flatnonzero(split.targets[split.query] >= 0)
    chosen = shown[np.linspace(0, len(shown) - 1, min(rows, len(shown))).round().astype(int)]
    return [_picture_row(split, ranking, int(q), top) for q in chosen]


def _picture_row(split: DemoSplit, ranking: Ranking, query: int, top: int) -> RankedPhotos:
    photos = cast("Dataset[Any]", split.photos)
    row = int(split.query[query])
    results = []
    for position, score in zip(ranking.indices[query, :top], ranking.scores[query, :top]):
        found = int(split.index[position])
        right = bool(split.targets[found] == split.targets[row])
        results.append((photos[found][0], f"{score:.2f} {_name(split, found)}", right))
    to_find = int((split.targets[split.index] == split.targets[row]).sum())
    return RankedPhotos(photos[row][0], f"({to_find}) {_name(split, row)}", results)


def _name(split: DemoSplit, row: int) -> str:
    label = int(split.targets[row])
    return split.classes[label] if label >= 0 else "no landmark"


def _search_step(name: str, split: DemoSplit, descriptors: Descriptors, start: float) -> Step:
    ranking = search(descriptors[split.query], descriptors[split.index])
    return _step(name, split, descriptors, ranking, start)


def _step(name: str, split: DemoSplit, descriptors: Descriptors, ranking: Ranking, start: float) -> Step:
    index_labels, query_labels = split.targets[split.index], split.targets[split.query]
    relevant = [np.flatnonzero((index_labels == label) & (label >= 0)) for label in query_labels]
    precision = mean_average_precision(ranking.indices, relevant, skip_empty=True)
    votes = vote(descriptors[split.query], descriptors[split.train], split.targets[split.train])
    truth = [[label] if label >= 0 else [] for label in query_labels.tolist()]
    score = gap(votes.labels, votes.confidence, truth)
    return Step(name, ranking, precision, score, time.perf_counter() - start)
