"""From photos to descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, get_args

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, check_count
from landmarkzoo.embedding.inference import Precision, evaluating
from landmarkzoo.embedding.provenance import provenance_of
from landmarkzoo.embedding.resuming import PART_SIZE, FinishedParts, job_fingerprint
from landmarkzoo.embedding.tta import TestTimeAugmentation
from landmarkzoo.photos import PhotoSource, photo_source
from landmarkzoo.photos.batches import OnError, PhotoBatch, Transform, photo_batches, transform_for
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
        out: Save to this file. If the photos are files, a killed job that is started again goes on where it
            was; a transform of your own then needs the same ``repr`` in both runs.
        scales: Sizes of the transformed image, whose descriptors of length 1 are averaged.
        flip: Average also with the descriptors of the mirrored images.
        boxes: Crop each photo before anything else: (x1, y1, x2, y2) in pixels, or ``None`` for all of it.

    Returns:
        Descriptors. Their ids are paths relative to the folder, paths as given, the ``ids`` of a data set (a
        ``Subset`` or ``ConcatDataset`` has those of its data sets), or running numbers for images in memory.

    Raises:
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
    job = _Job(source, origin, out, precision=precision, on_error=on_error)
    options = {"batch_size": check_count(batch_size, "batch_size"), "num_workers": num_workers}
    with job, job.bar(progress) as bar, evaluating(model, device) as where:
        for batch in photo_batches(source, transform, start=job.seen, **options):
            job.add(batch, views.embed(model, batch.images, where, precision))
            bar.update(len(batch))
    return job.finish()


def _cropped_source(photos: Photos, boxes: Sequence[Sequence[float] | None] | None) -> PhotoSource:
    source = photo_source(photos)
    return source if boxes is None else replace(source, boxes=check_boxes(boxes, len(source)))


class _Job:
    """Descriptors of a source as they come in, with their parts on disk if there is a file to write."""

    def __init__(
        self,
        source: PhotoSource,
        provenance: dict[str, str],
        out: str | Path | None,
        *,
        precision: Precision,
        on_error: OnError,
    ) -> None:
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error must be one of {get_args(OnError)}, got {on_error!r}")
        self.source, self.skip = source, on_error == "skip"
        self.provenance = provenance
        self.parts: FinishedParts | None = None
        if out is not None:
            job = job_fingerprint(source, precision, source.boxes)
            self.parts = FinishedParts(out, job, provenance, keep_skipped=self.skip)
        self.ids: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.vectors: FloatArray | None = None  # room for all, made when the dimension is known
        self.in_parts = (0, 0)  # how many ids and skipped are in parts
        for part in self.parts.load() if self.parts is not None else []:
            self._append(part.ids, part.vectors if part.ids else None, part.skipped)
            self.in_parts = (len(self.ids), len(self.skipped))

    @property
    def seen(self) -> int:
        """Photos done."""
        return len(self.ids) + len(self.skipped)

    def bar(self, progress: bool) -> tqdm[NoReturn]:
        """A progress bar over all photos, those that are done already included."""
        return tqdm(
            total=len(self.source), initial=self.seen, desc="embed", unit=" photos", disable=not progress
        )

    def add(self, batch: PhotoBatch, descriptors: Tensor | None) -> None:
        """Take a batch and its vectors (B, D).

        Raises:
            PhotoError: If a photo of it could not be read and is not to be skipped.
            ValueError: If a vector is not finite.
        """
        if batch.errors and not self.skip:
            raise batch.errors[0]
        ids = [self.source.ids[position] for position in batch.positions]
        vectors = None if descriptors is None else descriptors.numpy()
        if vectors is not None and not np.isfinite(vectors).all():
            bad = ids[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
            raise ValueError(f"the model gives NaN or infinite values for the photo {bad}")
        self._append(ids, vectors, [(error.photo, error.reason) for error in batch.errors])
        if self.seen - sum(self.in_parts) >= PART_SIZE:
            self._write_part()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # interrupted, or a photo that cannot be read: keep what is done
            self._write_part()

    def finish(self) -> Descriptors:
        """All descriptors; saved if there is a file to write."""
        if not self.ids:
            first, reason = self.skipped[0]
            raise ValueError(f"none of {self.seen} photos could be read; the first, {first}: {reason}")
        descriptors = self._since(0, 0)
        if self.parts is not None:
            self.parts.finish(descriptors)
        return descriptors

    def _write_part(self) -> None:
        if self.parts is not None and self.seen > sum(self.in_parts):
            self.parts.add(self._since(*self.in_parts))
            self.in_parts = (len(self.ids), len(self.skipped))

    def _append(self, ids: list[str], vectors: FloatArray | None, skipped: list[tuple[str, str]]) -> None:
        if vectors is not None:
            if self.vectors is None:
                self.vectors = np.empty((len(self.source), vectors.shape[1]), np.float32)
            self.vectors[len(self.ids) : len(self.ids) + len(ids)] = vectors
        self.ids += ids
        self.skipped += skipped

    def _since(self, ids: int, skipped: int) -> Descriptors:
        vectors = np.empty((0, 1), np.float32) if self.vectors is None else self.vectors
        rows = slice(ids, len(self.ids))
        return Descriptors(self.ids[rows], vectors[rows], self.skipped[skipped:], self.provenance)
