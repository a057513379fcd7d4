"""From photos to descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from landmarkzoo._utils.checks import check_count
from landmarkzoo.embedding.alike import check_alike, options_like
from landmarkzoo.embedding.embedding_job import EmbeddingJob
from landmarkzoo.embedding.inference import Precision, check_module, inference_with
from landmarkzoo.embedding.long_jobs import LONG_JOB, ready_for_many
from landmarkzoo.embedding.provenance import provenance_of
from landmarkzoo.embedding.tta import TestTimeAugmentation, embedded
from landmarkzoo.photos import photo_source
from landmarkzoo.photos.batches import OnError, Transform, photo_batches, transform_for
from landmarkzoo.photos.crops import check_boxes
from landmarkzoo.photos.sources import Photos
from landmarkzoo.photos.worker_count import workers_for
from landmarkzoo.retrieval import Descriptors
from landmarkzoo.retrieval.descriptors import HasDescriptors, descriptors_of
from landmarkzoo.retrieval.row_selection import first_repeated


def embed(
    model: nn.Module,
    photos: Photos,
    *,
    transform: Transform | None = None,
    batch_size: int = 32,
    num_workers: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision = "auto",
    progress: bool = True,
    on_error: OnError = "raise",
    out: str | Path | None = None,
    scales: Sequence[float] | None = None,
    flip: bool | None = None,
    boxes: Sequence[Sequence[float] | None] | None = None,
    like: Descriptors | HasDescriptors | None = None,
) -> Descriptors:
    """Embed photos: one L2-normalised descriptor each, in the order of the photos.

    The model computes in eval mode, and is left as it is: nothing about it is switched, moved or converted,
    so any number of threads may embed with it at once, whatever mode it is in. Memory holds the descriptors
    and a few batches.

    Args:
        model: A landmarkzoo model, or any module (B, 3, H, W) -> (B, D) together with a ``transform``; also
            inside ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel``. A compiled model in
            training mode runs without being compiled: call ``model.eval()`` for its speed.
        photos: A folder (all levels), paths, PIL images, uint8 arrays (H, W, 3), a map-style data set whose
            items are these, ``(image, label)`` or ``{"image": ...}``. Float tensors, (N, 3, H, W) or items
            (3, H, W) of a data set, are taken as transformed already. Data sets of landmarkzoo are read by
            their method ``photo``: their own transform is not applied.
        transform: From an RGB PIL image to a tensor; ``create_transform(model)`` if ``None``. Not for float
            tensors.
        batch_size: Photos a forward pass at most, all of one shape. Where photos may have any size, there are
            fewer if they are large: as many as have the pixels of 8 photos of 1024 x 1024, or, with a
            transform of your own, of ``batch_size`` of these.
        num_workers: Processes that read photos; 0: this process reads them. ``None``: as many as suit the
            machine, for jobs of 64 photo files or more that go through a transform of ``create_transform``,
            where processes can be forked; otherwise 0.
        device: Where to run; where the model is if ``None``. Elsewhere a copy of the model runs.
        precision: ``"auto"`` is that of the weights, except for float32: on CUDA it is float16; on CPUs that
            multiply bfloat16 in hardware it is bfloat16 for jobs of 64 photos or more, if its cosine to
            float32, on a few images that are made for it, is at least .9995. That cosine goes into the
            provenance as ``precision_cosine``; small jobs and single queries are float32, and are compared
            with it as they are. Others are those of a float32 model, ``"bfloat16"`` and ``"float16"`` by
            autocast: weights of another type are converted in a copy, so that ``"float32"`` means float32 for
            a bfloat16 model too.
        progress: Show a progress bar with photos/s on stderr.
        on_error: ``"raise"``, or ``"skip"`` to leave unreadable photos out and list them in ``skipped``.
        out: Save to this file. It is tried first; a file that does not hold descriptors is never replaced.
            If the photos are files, also those of a data set, a killed job that is started again goes on
            where it was, or at the first photo that has changed meanwhile; a transform of your own then needs
            the same ``repr`` in both runs.
        scales: Sizes of the transformed image, relative to it, whose descriptors of length 1 become one as
            the cfg says: their mean, or the element-wise maximum; those of the cfg if ``None``. For a
            transformer in multiples of its patches. ``(1,)``: the photo as it is. One call with
            ``scales=(s,)`` for each scale gives the descriptors of the scales apart.
        flip: Whether the mirrored images are views too; as the cfg says if ``None``.
        boxes: Crop each photo before anything else: (x1, y1, x2, y2) in pixels, or ``None`` for all of it.
        like: Descriptors of an index that these are to be compared with: the image size, scales, flip and
            precision are theirs. The model must be theirs as well.

    Returns:
        Descriptors. Their ids are paths relative to the folder, paths as given, the ``ids`` of a data set (a
        ``Subset`` or ``ConcatDataset`` has those of its data sets), or running numbers for images in memory.

    Raises:
        OSError: If ``out`` cannot be written: no room, no rights, a file of another kind, another job that
            writes it.
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If ``photos`` is something else, the model needs a ``transform`` and has none, there is a
            ``transform`` for float tensors, or the model gives something else than a tensor.
        ValueError: If no photo can be read, an id is given twice, an option is wrong, the model gives NaN or
            other shapes, has no weights, or would have to be copied and cannot; or if ``like`` comes from
            another model or transform.

    Examples:
        >>> model = lz.create_model("efficientnet_lite0_gem")
        >>> lz.embed(model, np.zeros((2, 48, 64, 3), np.uint8), progress=False).vectors.shape
        (2, 512)
    """
    check_module(model)
    source = photo_source(photos, on_error=on_error)
    _check_ids(source.ids)
    if boxes is not None:
        source = replace(source, boxes=check_boxes(boxes, len(source)))
    if like is None:
        views = TestTimeAugmentation.of_model(model, scales, flip)
    else:
        transform, views, precision = options_like(
            like, model, source, transform=transform, scales=scales, flip=flip, precision=precision
        )
    run = inference_with(model, device, precision)
    transform = transform_for(source, model, transform)
    origin = provenance_of(model, source, transform, views=views, precision=run.precision)
    if like is not None:
        check_alike(origin, descriptors_of(like).provenance)
    if len(source) >= LONG_JOB:
        choose = precision == "auto" and like is None
        run, changed = ready_for_many(run, model, transform, origin["weights"], choose=choose)
        origin |= changed
    job = EmbeddingJob(source, origin, out, transform=transform, precision=precision, on_error=on_error)
    batch_size = check_count(batch_size, "batch_size")
    if num_workers is None:
        num_workers = workers_for(source, transform, batch_size, run.device)
    options = {"batch_size": batch_size, "num_workers": num_workers}
    with job:  # it holds the file
        with job.bar(progress) as bar:
            batches = photo_batches(source, transform, start=job.seen, **options)
            for batch, vectors in embedded(batches, run, views):
                job.add(batch, vectors)
                bar.update(len(batch))
        return job.finish()


def _check_ids(ids: list[str]) -> None:
    if (twice := first_repeated(ids)) is not None:
        first = ids.index(twice)
        raise ValueError(
            f"two photos have the id {twice!r}, at {first} and {ids.index(twice, first + 1)}: an id stands "
            "for one photo. list(dict.fromkeys(paths)) leaves out what is given twice"
        )
