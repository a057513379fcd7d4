"""Before the first step: the neck as a whitening of the photos, the centers as means of their landmarks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional as F

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.embedding import whiten_neck
from landmarkzoo.finetuning.photo_store import PhotoStore
from landmarkzoo.finetuning.processes import Processes
from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.finetuning.shared_embedding import embedded_photos
from landmarkzoo.losses import SubCenterArcFaceDynamic
from landmarkzoo.models import DescriptorModel
from landmarkzoo.models.rebuilding import normalize_pooled_features
from landmarkzoo.photos import PhotoSource

MANY_CLASSES = 5000  # from which several processes split the landmarks among them
_WHITENED = 20_000  # photos: more of them do not change a covariance
_OF_A_CLASS = 50  # photos: more of them do not move its mean
_APART = 0.05  # between the centers of one landmark, so that photos choose among them


def whiten_together(
    model: DescriptorModel, photos: PhotoSource | PhotoStore, recipe: Recipe, processes: Processes, **how: Any
) -> None:
    """Make the neck a whitening of the photos, or of some where there are very many."""
    if processes.rank == 0:
        if len(photos) > _WHITENED:
            drawn = np.random.default_rng(recipe.seed).permutation(len(photos))[:_WHITENED]
            photos = photos.take(np.sort(drawn).tolist())
        whiten_neck(model, photos, shrinkage=recipe.shrinkage, **how)
    else:
        normalize_pooled_features(model)
    processes.copy_from_first(model)


def head_of_class_means(
    model: DescriptorModel,
    photos: PhotoSource | PhotoStore,
    labels: IntArray,
    recipe: Recipe,
    processes: Processes,
    **how: Any,
) -> SubCenterArcFaceDynamic:
    """ArcFace whose centers are the mean descriptors of the landmarks."""
    classes = int(labels.max()) + 1
    rows = first_of_each(labels, _OF_A_CLASS)
    some = photos if len(rows) == len(labels) else photos.take(rows.tolist())
    vectors = torch.from_numpy(embedded_photos(model, some, processes, **how).vectors)
    own = torch.from_numpy(labels[rows])
    sums = vectors.new_zeros(classes, vectors.shape[1]).index_add_(0, own, vectors)  # (C, D)
    head = new_head(recipe, model.embedding_dim, classes, processes)
    head.load_state_dict({"weight": _centers(sums, recipe)})
    return head


def new_head(
    recipe: Recipe, embedding_dim: int, classes: int, processes: Processes
) -> SubCenterArcFaceDynamic:
    """ArcFace with the settings of a recipe, its landmarks split over the processes if they are many."""
    split = classes >= MANY_CLASSES if recipe.class_parallel == "auto" else recipe.class_parallel
    return SubCenterArcFaceDynamic(
        embedding_dim,
        classes,
        margins=recipe.margin,
        sub_centers=recipe.sub_centers,
        scale=recipe.scale,
        process_group=dist.group.WORLD if split and processes.count > 1 else None,
    )


def first_of_each(labels: IntArray, most: int) -> IntArray:
    """Rows of the first photos of each label, in order.

    Examples:
        >>> from landmarkzoo.finetuning.starting_heads import first_of_each
        >>> first_of_each(np.array([0, 1, 0, 0, 1]), most=2)
        array([0, 1, 2, 4])
    """
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    place = np.arange(len(labels)) - np.repeat(starts, np.diff(starts, append=len(labels)))
    return np.sort(order[place < most])


def _centers(sums: Tensor, recipe: Recipe) -> Tensor:
    """Centers (C * K, D) of length 1 from sums or means (C, D)."""
    centers = F.normalize(sums, dim=1).repeat_interleave(recipe.sub_centers, dim=0)
    if recipe.sub_centers == 1:
        return centers
    noise = torch.randn(centers.shape, generator=torch.Generator().manual_seed(recipe.seed))
    return F.normalize(centers + _APART * F.normalize(noise, dim=1), dim=1)
