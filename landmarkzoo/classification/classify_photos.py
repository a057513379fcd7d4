"""From photos to classes: the cosine of each descriptor with the centers of a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from landmarkzoo._utils.checks import FloatArray, IntArray, check_count
from landmarkzoo.classification.predictions import Predictions
from landmarkzoo.classification.url_quoted_names import readable_name
from landmarkzoo.embedding import embed
from landmarkzoo.embedding.eval_copies import eval_copy
from landmarkzoo.embedding.fingerprints import weights_fingerprint
from landmarkzoo.embedding.inference import Precision, check_module
from landmarkzoo.layers.autocast import without_autocast
from landmarkzoo.losses import Head
from landmarkzoo.losses.head_files import checked_class_names
from landmarkzoo.losses.whole_head import check_whole_head
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos.batches import OnError, Transform
from landmarkzoo.photos.sources import Photos
from landmarkzoo.retrieval import Descriptors
from landmarkzoo.retrieval.descriptors import HasDescriptors, descriptors_of

_ROWS = 4096  # descriptors that are on the device of the head at a time


def classify(
    model: nn.Module | None,
    head: Head,
    photos: Photos | Descriptors | HasDescriptors,
    *,
    class_names: Sequence[str] | None = None,
    k: int = 5,
    transform: Transform | None = None,
    batch_size: int = 32,
    num_workers: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision = "auto",
    progress: bool = True,
    on_error: OnError = "raise",
    scales: Sequence[float] | None = None,
    flip: bool | None = None,
    boxes: Sequence[Sequence[float] | None] | None = None,
) -> Predictions:
    """Name the landmark in photos by the classes that a head was trained on; no reference photos are needed.

    A score is the cosine with the nearest center of a class. Each photo gets k classes, whatever it shows:
    scores rank classes, and are not probabilities. ``recognize`` uses labelled photos instead, and lowers
    the score of photos without landmark.

    Args:
        model: The model that the head was trained with; ``None`` for descriptors. That they belong together
            is seen by their sizes only.
        head: A head, as ``load_head`` gives it. The cosines are computed where it is.
        photos: Whatever ``embed`` takes, or Descriptors that were embedded already.
        class_names: Name of each class, in order, as ``load_head`` gives them. Where they stand as in an
            address, the predictions have "Taj Mahal" for "Taj%20Mahal".
        k: How many classes of each photo; all if there are fewer.
        transform: As in ``embed``, like all that follow.
        batch_size: Photos a forward pass.
        num_workers: Processes that read photos; ``None``: as suits the machine.
        device: Where the model runs; where it is if ``None``.
        precision: Of the model.
        progress: Show a progress bar.
        on_error: ``"raise"``, or ``"skip"`` to leave unreadable photos out and list them in ``skipped``.
        scales: Sizes of each photo that are seen; those of the cfg if ``None``.
        flip: Whether the mirrored photos are seen too; as the cfg says if ``None``.
        boxes: Crop each photo before anything else.

    Returns:
        Ids, classes (N, k), scores (N, k) and names (N, k): best first, ties by the smaller class.

    Raises:
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If ``head`` is not a head, photos come without a model, or ``embed`` raises it.
        ValueError: If model and head have other sizes, there are not as many names as classes, the
            descriptors come from other weights or are whitened, the head has centers that are NaN, is on the
            meta device or split over processes, or ``embed`` raises it.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
        >>> head = lz.SubCenterArcFaceDynamic(8, 3)
        >>> names = ["Taj Mahal", "Charminar", "Lotus Temple"]
        >>> photos = np.zeros((2, 48, 64, 3), np.uint8)
        >>> p = lz.classify(model, head, photos, class_names=names, k=2, progress=False)
        >>> p.labels.shape, p.names.shape
        ((2, 2), (2, 2))

        Photos that were embedded already:

        >>> d = lz.embed(model, photos, progress=False)
        >>> lz.classify(model, head, d).ids
        ['0', '1']
    """
    k = check_count(k, "k")
    check_whole_head(head, "lz.classify(model, head, photos)")
    names = None if class_names is None else checked_class_names(class_names, head.num_classes)
    held: Any = descriptors_of(photos)
    if isinstance(held, Descriptors):
        given = {"transform": transform, "scales": scales, "flip": flip, "boxes": boxes}
        _check_descriptors(held, model, [name for name, value in given.items() if value is not None])
        descriptors = held
    else:
        descriptors = embed(
            _fitting_model(model, head),
            held,
            transform=transform,
            batch_size=batch_size,
            num_workers=num_workers,
            device=device,
            precision=precision,
            progress=progress,
            on_error=on_error,
            scales=scales,
            flip=flip,
            boxes=boxes,
        )
    labels, scores = _best_classes(head, descriptors.vectors, min(k, head.num_classes))
    named = None if names is None else np.array([*map(readable_name, names)], dtype=object)[labels]
    return Predictions(descriptors.ids, labels, scores, named, descriptors.skipped)


def _fitting_model(model: nn.Module | None, head: Head) -> nn.Module:
    """The model; what does not fit is refused before the photos are embedded."""
    if model is None:
        raise TypeError("photos need the model: lz.classify(model, head, photos); None is for Descriptors")
    check_module(model)
    size = getattr(unwrapped(model), "embedding_dim", head.embedding_dim)
    if size != head.embedding_dim:
        raise ValueError(
            f"the model has embedding_dim {size}, the head {head.embedding_dim}: take the head that was "
            "trained with this model, head, class_names = lz.load_head(name) with the name of the model"
        )
    return model


def _check_descriptors(descriptors: Descriptors, model: nn.Module | None, ignored: list[str]) -> None:
    origin = descriptors.provenance
    if ignored:
        raise ValueError(
            f"{', '.join(ignored)} would be ignored: the photos are Descriptors, which are embedded already"
        )
    if "whitening" in origin:
        raise ValueError(
            f"the descriptors are whitened by {origin['whitening']}, and the head knows those of the model "
            "itself: give those that were not whitened, or, if the head was trained on whitened ones, "
            "lz.Descriptors(d.ids, d.vectors)"
        )
    if model is None or "weights" not in origin:
        return
    if (weights := weights_fingerprint(model)) != origin["weights"]:
        raise ValueError(
            f"the descriptors come from {origin.get('model')} (weights {origin['weights']}), the model has "
            f"the weights {weights}: embed with the model that the head was trained with"
        )


def _best_classes(head: Head, vectors: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """Classes and cosines (N, k) of descriptors (N, D), some of them at a time."""
    count, size = vectors.shape
    if size != head.embedding_dim:
        raise ValueError(
            f"the descriptors have {size} dimensions, the head {head.embedding_dim}: take the head that was "
            "trained with their model"
        )
    if head.training:  # as load_head gives it; a head of one's own may have dropout
        head = eval_copy(head)  # type: ignore[assignment]
    labels, scores = np.empty((count, k), np.int64), np.empty((count, k), np.float32)
    where = head.weight.device
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        with without_autocast(where):
            best = head.predict(torch.tensor(vectors[rows], device=where), k)
        labels[rows], scores[rows] = best.classes.cpu().numpy(), best.cosines.float().cpu().numpy()
    if np.isnan(scores).any():
        raise ValueError("the head gives cosines that are NaN: its centers are damaged, or it diverged")
    return labels, scores
