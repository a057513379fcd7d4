"""One job of embedding: descriptors as they come in, with their parts on disk if there is a file to write."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn, get_args

import numpy as np
from torch import Tensor
from tqdm import tqdm

from landmarkzoo._utils.atomic_writing import check_writable
from landmarkzoo._utils.checks import FloatArray
from landmarkzoo._utils.file_locks import single_writer
from landmarkzoo.embedding.inference import Precision
from landmarkzoo.embedding.long_jobs import LONG_JOB
from landmarkzoo.embedding.resuming import FinishedParts, job_fingerprint
from landmarkzoo.photos import PhotoSource
from landmarkzoo.photos.batches import OnError, PhotoBatch
from landmarkzoo.photos.file_states import states_of_files
from landmarkzoo.retrieval import Descriptors
from landmarkzoo.retrieval.tensor_files import check_replaceable

PART_SIZE = 1024  # photos
PART_SECONDS = 60.0  # a killed job repeats no more than one part

_logger = logging.getLogger(__name__)


class EmbeddingJob:
    """Descriptors of a source as they come in, with their parts on disk if there is a file to write.

    It is a context: only inside of it the file is its own. An error or an interrupt in the block writes what
    is done as a part.

    Args:
        source: The photos.
        provenance: That of the descriptors.
        out: The file to write in the end; ``None`` for none.
        transform: What the photos go through. Its ``repr`` tells this job from others, as do its first photo,
            its provenance, and ``precision``. A function has another one in each process, so that a job with
            it starts anew.
        precision: That of ``embed``.
        on_error: ``"raise"`` or ``"skip"``, for photos that cannot be read.
        clock: Seconds, which say when a part is due.

    Raises:
        OSError: If ``out`` cannot be written.
        ValueError: If ``on_error`` is something else.
    """

    def __init__(
        self,
        source: PhotoSource,
        provenance: dict[str, str],
        out: str | Path | None,
        *,
        transform: object,
        precision: Precision,
        on_error: OnError,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error must be one of {get_args(OnError)}, got {on_error!r}")
        if out is not None:
            check_writable(out)
        self.source, self.skip = source, on_error == "skip"
        self.provenance = provenance
        # What makes long jobs faster may change the last bits of a descriptor.
        self.options = (repr(transform), precision, source.boxes, len(source) >= LONG_JOB)
        self.out = None if out is None else Path(os.path.realpath(out))  # also in another directory later
        self.clock, self.last_part = clock, clock()
        self.parts: FinishedParts | None = None
        self.ids: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.vectors: FloatArray | None = None  # room for all, made when the dimension is known
        self.done = (0, 0)  # how many ids and skipped; in one step, as an interrupt may come at any time
        self.in_parts = (0, 0)  # how many of them are in parts
        self.room_is_checked = out is None
        self._until_the_end = ExitStack()

    @property
    def seen(self) -> int:
        """Photos done."""
        return sum(self.done)

    def bar(self, progress: bool) -> tqdm[NoReturn]:
        """A progress bar over all photos, those that are done already included."""
        return tqdm(
            total=len(self.source), initial=self.seen, desc="embed", unit=" photos", disable=not progress
        )

    def __enter__(self) -> None:
        if self.out is None:
            return
        with self._until_the_end as until_checked:
            until_checked.enter_context(single_writer(self.out))
            check_replaceable(self.out, "descriptors")
            job = job_fingerprint(self.source, self.out.name, self.provenance, *self.options)
            states = [] if job is None else list(states_of_files(self.source, range(len(self.source))))
            if job is not None and None not in states:
                photos = list(zip(self.source.ids, states))
                self.parts = FinishedParts(self.out, job, photos, keep_skipped=self.skip)
                for part in self.parts.load():
                    skipped = [(photo.id, photo.reason) for photo in part.skipped]
                    self._append(part.ids, part.vectors[0] if part.ids else None, skipped)
            self.in_parts = self.done
            self._until_the_end = until_checked.pop_all()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._until_the_end:
            if kind is not None:  # interrupted, a photo that cannot be read, no room: keep what is done
                self._keep()

    def add(self, batch: PhotoBatch, descriptors: Tensor | None) -> None:
        """Take a batch and its vectors (B, D).

        Raises:
            OSError: If a part is due, and cannot be written.
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
        if vectors is not None and not self.room_is_checked:
            self._check_room(vectors.shape[1])
        self._append(ids, vectors, [(error.photo, error.reason) for error in batch.errors])
        many = self.seen - sum(self.in_parts) >= PART_SIZE
        if many or self.clock() - self.last_part >= PART_SECONDS:
            self._write_part()

    def finish(self) -> Descriptors:
        """All descriptors; saved if there is a file to write.

        Raises:
            OSError: If the file cannot be written; the parts stay, and the same job goes on from them.
            ValueError: If no photo could be read.
        """
        if not self.ids:
            if self.parts is not None:
                self.parts.remove()  # there is nothing in them to go on from
                self.parts = None
            first, reason = self.skipped[0]
            raise ValueError(f"none of {self.seen} photos could be read; the first, {first}: {reason}")
        descriptors = Descriptors(*self._since(0, 0), self.provenance)
        self._warn_of_zeros(descriptors)
        if self.out is not None:
            check_replaceable(self.out, "descriptors")
            descriptors.save(self.out)
        if self.parts is not None:
            self.parts.remove()
            self.parts = None
        return descriptors

    def _warn_of_zeros(self, descriptors: Descriptors) -> None:
        zero = np.flatnonzero(~descriptors.vectors.any(axis=1))
        if len(zero):
            warnings.warn(
                f"the model gives only zeros for {len(zero)} of {len(descriptors)} photos, such as "
                f"{descriptors.ids[zero[0]]}: they are similar to nothing. Has it been trained?",
                stacklevel=4,
            )

    def _check_room(self, dimensions: int) -> None:
        """Raise now, not after hours, if the disk has no room for the whole and the parts beside it."""
        assert self.out is not None
        photos = len(self.source)
        photos += 0 if self.parts is None else photos - self.seen
        check_writable(self.out, needs=photos * dimensions * 4)
        self.room_is_checked = True

    def _keep(self) -> None:
        try:
            self._write_part()
        except OSError as error:
            lost = self.seen - sum(self.in_parts)
            _logger.warning("the last %d photos are not kept: %s", lost, error)

    def _write_part(self) -> None:
        if self.parts is not None and self.seen > sum(self.in_parts):
            self.parts.add(sum(self.in_parts), *self._since(*self.in_parts))
            self.in_parts = self.done
        self.last_part = self.clock()

    def _append(self, ids: list[str], vectors: FloatArray | None, skipped: list[tuple[str, str]]) -> None:
        if vectors is not None:
            if self.vectors is None:
                self.vectors = np.empty((len(self.source), vectors.shape[1]), np.float32)
            self.vectors[len(self.ids) : len(self.ids) + len(ids)] = vectors
        self.ids += ids
        self.skipped += skipped
        self.done = (len(self.ids), len(self.skipped))

    def _since(self, ids: int, skipped: int) -> tuple[list[str], FloatArray, list[tuple[str, str]]]:
        """Ids, vectors and skipped photos that are done, from some numbers on."""
        vectors = np.empty((0, 1), np.float32) if self.vectors is None else self.vectors
        rows, others = slice(ids, self.done[0]), slice(skipped, self.done[1])
        return self.ids[rows], vectors[rows], self.skipped[others]
