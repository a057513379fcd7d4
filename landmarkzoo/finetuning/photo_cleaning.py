"""The public call: which photos have a wrong label, show no landmark, or are there twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast, get_args

import numpy as np
import torch

from landmarkzoo._utils.checks import check_number
from landmarkzoo.embedding import embed
from landmarkzoo.finetuning.landmark_labels import LabelledInput, labelled_photos
from landmarkzoo.finetuning.recipes import RECIPES
from landmarkzoo.finetuning.starting_models import (
    StartingModel,
    fitting_size,
    starting_model,
    with_test_size,
)
from landmarkzoo.finetuning.suspicions import Suspicions, suspicions_of
from landmarkzoo.index import Index
from landmarkzoo.index.label_sources import label_names
from landmarkzoo.models import DescriptorModel, GlobalDescriptor, create_model
from landmarkzoo.photos.batches import OnError
from landmarkzoo.photos.sources import Photos
from landmarkzoo.retrieval import Descriptors, Whitening
from landmarkzoo.retrieval.comparability import refuse_unlike
from landmarkzoo.retrieval.descriptors import check_comparable, descriptors_of

WRONG_LABEL = 0.5
_DIMENSIONS = 512
_SHRINKAGE = 0.1  # more than for a training: photos that are fewer than dimensions stay comparable

PhotosOrDescriptors: TypeAlias = "Photos | Descriptors"


def suspicious_photos(
    photos: LabelledInput | Index,
    *,
    model: StartingModel | None = None,
    non_landmark: PhotosOrDescriptors | None = None,
    threshold: float = WRONG_LABEL,
    duplicates: float | None = None,
    device: str | torch.device | None = None,
    num_workers: int | None = None,
    on_error: OnError = "skip",
    progress: bool = True,
) -> Suspicions:
    """Find photos that should not be trained on as they are, before ``finetune`` does.

    How near a photo is to a landmark is the cosine to its mean descriptor, plus the votes of the ten nearest
    photos, all without the photo itself and its duplicates. Photos of no landmark count like a landmark.

    - ``"duplicate elsewhere"``: nearly the same photo has another label, ``likelier``.
    - ``"no landmark"``: it is far from all. Without ``non_landmark``: it is farther from each landmark than
      photos usually are, by the median, from the nearest one that they do not show. That is a guess: a detail
      or an interior is far too. With ``non_landmark``: it is nearer to those photos than to any landmark.
    - ``"wrong label"``: it is nearer to another landmark, ``likelier``. The score is by how much, where 1 is
      how much nearer photos usually are to their own.
    - ``"duplicate"``: nearly the same photo has the same label.

    Of two duplicates the one that fits its landmark less well is listed, and ``other`` is the better one. A
    photo is listed once, with the first of these reasons. The only photo of a landmark is not judged, but for
    duplicates.

    Args:
        photos: What ``finetune`` takes: a folder with a folder for each landmark, a CSV file, a data set, a
            pair (photos, labels); or a pair (descriptors, labels), or an ``Index`` with labels.
        model: As in ``finetune``. Of a registered name without landmark weights the pooled features, by
            ImageNet weights, are whitened on these photos, at the size that a fine-tuning tests with; all
            else is taken as it is. ``None``: ``"efficientnet_lite0_gem"``. Not for descriptors.
        non_landmark: Photos, as ``lz.embed`` takes them, that show no landmark: they make that judgement
            surer. Descriptors, where ``photos`` are.
        threshold: Score from which a label is wrong; larger ones list fewer photos.
        duplicates: Cosine from which two photos are nearly the same. ``None``: half way from the one that
            photos usually have to their nearest neighbour, by the median, to 1.
        device: Where the model runs; ``None``: on a GPU, if there is one.
        num_workers: Processes that read photos; ``None``: as suits the machine.
        on_error: ``"skip"`` photos that cannot be read, and list them in ``skipped``, or ``"raise"``.
        progress: Show bars on stderr.

    Raises:
        FileNotFoundError: If there are no such photos.
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If an argument is of another kind.
        ValueError: If there are no labels, a number is out of its range, or sizes do not fit.
        WeightsNotFoundError: If ImageNet weights cannot be found.

    Examples:
        >>> x = np.array([[9, 1], [9, 2], [8, 0], [1, 9], [2, 9], [0, 8]])
        >>> photos = lz.Descriptors(["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg"], x)
        >>> labels = ["arch", "arch", "tower", "tower", "tower", "tower"]
        >>> found = lz.finetuning.suspicious_photos((photos, labels), duplicates=0.9999)
        >>> found[0].id, found[0].reason, found[0].likelier, found.ids
        ('3.jpg', 'wrong label', 'arch', ['3.jpg'])
    """
    _check(threshold, duplicates, on_error)
    given = _descriptors_with_labels(photos)
    if given is None:
        device = ("cuda" if torch.cuda.is_available() else "cpu") if device is None else device
        how = {"device": device, "num_workers": num_workers, "progress": progress, "on_error": on_error}
        start = RECIPES["gem"].model if model is None else model
        descriptors, names, strangers = _embedded(photos, non_landmark, start, how)
    else:
        if model is not None:
            raise ValueError("model= would be ignored: the photos are embedded already")
        descriptors, names = given
        strangers = _descriptors_of_strangers(non_landmark, descriptors)
    classes = sorted(set(names))
    number_of = {name: number for number, name in enumerate(classes)}
    labels = np.array([number_of[name] for name in names], np.int64)
    found = suspicions_of(
        descriptors.ids,
        descriptors.vectors,
        labels,
        classes,
        threshold=threshold,
        duplicates=duplicates,
        non_landmark=None if strangers is None else strangers.vectors,
        progress=progress,
    )
    return replace(found, skipped=[*descriptors.skipped, *([] if strangers is None else strangers.skipped)])


def _check(threshold: float, duplicates: float | None, on_error: OnError) -> None:
    if check_number(threshold, "threshold") < 0:
        raise ValueError(f"threshold must be 0 or more, got {threshold}")
    if duplicates is not None and not 0 < check_number(duplicates, "duplicates") <= 1:
        raise ValueError(f"duplicates must be a cosine above 0 and at most 1, got {duplicates}")
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error must be one of {get_args(OnError)}, got {on_error!r}")


def _descriptors_with_labels(photos: Any) -> tuple[Descriptors, list[str]] | None:
    """Descriptors that are brought along, with the names of their labels; ``None`` for photos."""
    if isinstance(photos, Index):
        snapshot = photos.snapshot()
        photos = snapshot.descriptors, snapshot.labels.tolist()
    if not (isinstance(photos, tuple) and len(photos) == 2 and isinstance(photos[0], Descriptors)):
        return None
    descriptors, labels = photos[0], label_names(photos[1], photos[0].ids)
    rows = [row for row in range(len(descriptors)) if labels.get(row) is not None]
    if not rows:
        raise ValueError(f"none of the {len(descriptors)} photos has a label, the name of its landmark")
    return descriptors[rows], [str(labels[row]) for row in rows]


def _descriptors_of_strangers(non_landmark: Any, like: Descriptors) -> Descriptors | None:
    if non_landmark is None:
        return None
    held = descriptors_of(non_landmark)
    if not isinstance(held, Descriptors):
        raise TypeError(
            "the photos are descriptors, so non_landmark must be descriptors too, by the same model, got "
            f"{type(held).__name__}"
        )
    check_comparable(like.vectors, held.vectors, "photos", "non_landmark")
    refuse_unlike(like.provenance, held.provenance, "photos", "non_landmark")
    return held


def _embedded(
    photos: LabelledInput, non_landmark: Photos | None, model: StartingModel, how: Mapping[str, Any]
) -> tuple[Descriptors, list[str], Descriptors | None]:
    """Descriptors of the photos, the names of their labels, and descriptors of photos of no landmark."""
    labelled = labelled_photos(photos)
    start = starting_model(model, RECIPES["gem"])
    ready = start.model if start.is_trained else _pooled_features(model, start.model)
    sources = [labelled.source] if non_landmark is None else [labelled.source, non_landmark]
    parts = [embed(ready, source, **how) for source in sources]
    if not start.is_trained:
        parts = _whitened(parts)
    name_of = dict(zip(labelled.source.ids, labelled.names))
    names = [name_of[id_] for id_ in parts[0].ids]
    return parts[0], names, parts[1] if len(parts) > 1 else None


def _pooled_features(name: Any, start: DescriptorModel) -> DescriptorModel:
    """The model without its neck, which was not trained, at the size that a fine-tuning would test with."""
    if not isinstance(start, GlobalDescriptor):
        raise ValueError(
            f"{name} has no landmark weights, and with those of ImageNet parts of a {type(start).__name__} "
            "stay random: give a trained one, or one like 'efficientnet_lite0_gem'"
        )
    model = create_model(name, pretrained_backbone=True, neck="none")
    model.cfg = with_test_size(model.cfg, fitting_size(model, RECIPES["gem"].test_size))
    return model


def _whitened(parts: Sequence[Descriptors]) -> list[Descriptors]:
    """All of them whitened together: photos that a whitening has not seen seem nearer than others."""
    x = np.concatenate([part.vectors for part in parts])
    if len(x) < 2:
        return list(parts)
    whitening = Whitening.fit(x, min(_DIMENSIONS, x.shape[1], len(x) - 1), shrinkage=_SHRINKAGE)
    return [cast("Descriptors", whitening.apply(part)) for part in parts]
