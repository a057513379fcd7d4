"""From photos to descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from landmarkzoo._utils.checks import check_count
from landmarkzoo.embedding.embedding_job import EmbeddingJob
from landmarkzoo.embedding.inference import Precision, evaluating
from landmarkzoo.embedding.provenance import provenance_of
from landmarkzoo.embedding.tta import TestTimeAugmentation
from landmarkzoo.photos import PhotoSource, photo_source
from landmarkzoo.photos.batches import OnError, Transform, photo_batches, transform_for
from landmarkzoo.photos.crops import check_boxes
from landmarkzoo.photos.sources import Photos
from landmarkzoo.retrieval import Descriptors


def embed(
    model: nn.Module,
    photos: Photos,
    *,
    transform: Transform | None = None,
    batch_size: int = 32,
    num_workers: int = 0,
    device: str | torch.device | None = None,
    precision: Precision = "auto",
    progress: bool = True,
    on_error: OnError = "raise",
    out: str | Path | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    boxes: Sequence[Sequence[float] | None] | None = None,
) -> Descriptors:
    """Embed photos: one L2-normalised descriptor each, in the order of the photos.

    The model runs in eval mode and gets its mode back. Memory holds the descriptors and a few batches.

    Args:
        model: A landmarkzoo model, or any module (B, 3, H, W) -> (B, D) together with a ``transform``.
        photos: A folder (all levels), paths, PIL images, uint8 arrays (H, W, 3), a map-style data set whose
            items are these, ``(image, label)`` or ``{"image": ...}``. Float tensors, (N, 3, H, W) or items
            (3, H, W) of a data set, are taken as transformed already. Data sets of landmarkzoo are read by
            their method ``photo``: their own transform is not applied.
        transform: From an RGB PIL image to a tensor; ``create_transform(model)`` if ``None``. Not for float
            tensors.
        batch_size: Photos a forward pass.
        num_workers: Processes that read photos; 0: this process reads them.
        device: Where the model runs; where it is if ``None``. It is moved back afterwards.
        precision: ``"auto"`` is float16 on CUDA and float32 elsewhere.
        progress: Show a progress bar with photos/s on stderr.
        on_error: ``"raise"``, or ``"skip"`` to leave unreadable photos out and list them in ``skipped``.
        out: Save to this file. It is tried first; a file that does not hold descriptors is never replaced.
            If the photos are files, also those of a data set, a killed job that is started again goes on
            where it was; a transform of your own then needs the same ``repr`` in both runs.
        scales: Sizes of the transformed image, whose descriptors of length 1 are averaged.
        flip: Average also with the descriptors of the mirrored images.
        boxes: Crop each photo before anything else: (x1, y1, x2, y2) in pixels, or ``None`` for all of it.

    Returns:
        Descriptors. Their ids are paths relative to the folder, paths as given, the ``ids`` of a data set (a
        ``Subset`` or ``ConcatDataset`` has those of its data sets), or running numbers for images in memory.

    Raises:
        OSError: If ``out`` cannot be written: no room, no rights, a file of another kind, another job that
            writes it.
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If ``photos`` is something else, the model needs a ``transform`` and has none, or there is
            a ``transform`` for float tensors.
        ValueError: If no photo can be read, an option is wrong, or the model gives NaN.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem")
        >>> lz.embed(model, np.zeros((2, 48, 64, 3), np.uint8), progress=False).vectors.shape
        (2, 512)
    """
    source, views = _cropped_source(photos, boxes), TestTimeAugmentation(scales, flip)
    transform = transform_for(source, model, transform)
    origin = {**provenance_of(model, transform), **views.provenance}
    if transform is None:
        origin["transform"] = "already transformed"
    job = EmbeddingJob(source, origin, out, transform=transform, precision=precision, on_error=on_error)
    options = {"batch_size": check_count(batch_size, "batch_size"), "num_workers": num_workers}
    with job:  # it holds the file
        with job.bar(progress) as bar, evaluating(model, device) as where:
            for batch in photo_batches(source, transform, start=job.seen, **options):
                job.add(batch, views.embed(model, batch.images, where, precision))
                bar.update(len(batch))
        return job.finish()


def _cropped_source(photos: Photos, boxes: Sequence[Sequence[float] | None] | None) -> PhotoSource:
    source = photo_source(photos)
    return source if boxes is None else replace(source, boxes=check_boxes(boxes, len(source)))
