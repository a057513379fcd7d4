"""One job of embedding: descriptors as they come in, with their parts on disk if there is a file to write."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn, get_args

import numpy as np
from torch import Tensor
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray
from landmarkzoo.embedding.inference import Precision
from landmarkzoo.embedding.resuming import PART_SIZE, FinishedParts, job_fingerprint
from landmarkzoo.photos import PhotoSource
from landmarkzoo.photos.batches import OnError, PhotoBatch
from landmarkzoo.retrieval import Descriptors


class EmbeddingJob:
    """Descriptors of a source as they come in, with their parts on disk if there is a file to write."""

    def __init__(
        self,
        source: PhotoSource,
        provenance: dict[str, str],
        out: str | Path | None,
        *,
        transform: object,
        precision: Precision,
        on_error: OnError,
    ) -> None:
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error must be one of {get_args(OnError)}, got {on_error!r}")
        self.source, self.skip = source, on_error == "skip"
        self.provenance = provenance
        self.parts: FinishedParts | None = None
        if out is not None:
            job = job_fingerprint(source, transform, precision, source.boxes)
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
