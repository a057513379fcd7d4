"""Rows on their way into an index: committed by time and by count, whole batches or nothing of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from landmarkzoo.index.edits import Edits
from landmarkzoo.index.index_folder import Writer
from landmarkzoo.retrieval.shard_files import NewRows, as_stored, joined_rows, new_name

SHARD_ROWS = 1024  # photos
SHARD_SECONDS = 60.0  # a killed job repeats no more than one shard

_logger = logging.getLogger(__name__)


class AddJob:
    """One call of ``add``. It is a context: an error or an interrupt in it commits what is done.

    Args:
        writer: What makes commits.
        clock: Seconds, which say when a commit is due.
    """

    def __init__(self, writer: Writer, clock: Callable[[], float] = time.monotonic) -> None:
        self.writer, self.base = writer, writer.last
        self.clock, self.last_commit = clock, clock()
        self.number, self.done = self.base.manifest.jobs, 0
        self.dimensions = self.base.manifest.dimensions
        self.provenance = self.base.manifest.provenance
        self.skipped_before = {photo.id: photo.state for photo in self.base.skipped}
        self._batches: list[NewRows] = []
        self._edits = Edits()
        self._shard = new_name()

    def __enter__(self) -> AddJob:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
            return
        try:
            # An interrupt may have come after a commit, and before it was known here.
            if all(entry.name != self._shard for entry in self.writer.last.manifest.shards):
                self.commit()
        except OSError as error:
            _logger.warning("the last %d photos are not kept: %s", self.waiting, error)

    @property
    def waiting(self) -> int:
        """Photos that are in no commit yet."""
        return sum(map(len, self._batches))

    def take(self, rows: NewRows) -> None:
        """Take one whole batch; commit if that is due.

        Raises:
            OSError: If a commit is due and cannot be made.
            ValueError: If vectors are not finite, or of another size than those of the index.
        """
        vectors = [self._checked(part, rows.ids) for part in rows.vectors]
        self._batches.append(replace(rows, vectors=vectors))  # in one step: an interrupt may come at any time
        if self.waiting >= SHARD_ROWS or self.clock() - self.last_commit >= SHARD_SECONDS:
            self.commit()

    def relabel(self, labels: Mapping[int, str | None]) -> None:
        """Give rows of the commit that the job began with other labels."""
        in_order = iter([labels[row] for row in sorted(labels)])
        found = {
            shard: dict(zip(inside.tolist(), in_order))
            for shard, inside in self.base.inside_shards(labels).items()
        }
        self._edits = self._edits.joined(Edits(labels=found))

    def remove(self, rows: NDArray[Any]) -> None:
        """Take out rows of the commit that the job began with."""
        self._edits = self._edits.joined(Edits(removed=self.base.inside_shards(rows.tolist())))

    def forget(self, skipped: set[str]) -> None:
        """Take out skipped photos of the commit that the job began with."""
        if skipped:
            self._edits = self._edits.joined(Edits(forgotten=self.base.skipped_inside_shards(skipped)))

    def commit(self) -> None:
        """Make all that was taken part of the index.

        Raises:
            OSError: If it cannot be written.
        """
        self.last_commit = self.clock()
        if not self._batches and not self._edits:
            return
        last = self.writer.last
        shards = last.manifest.shards
        if self._batches:
            rows = joined_rows(self._batches)
            self._replace(rows)
            # Without a vector, and before there was one, the size is not known yet.
            entry = self.writer.write_shard(rows, self.dimensions or 0, (self.number, self.done), self._shard)
            shards += (entry,)
        manifest = replace(
            last.manifest,
            shards=shards,
            jobs=max(last.manifest.jobs, self.number + 1),  # a job that goes on may have an older number
            dimensions=self.dimensions,
            provenance=self.provenance,
        )
        self.writer.commit(manifest, last.edits.joined(self._edits) if self._edits else last.edits)
        self.done += self.waiting
        self._batches, self._edits, self._shard = [], Edits(), new_name()

    def _replace(self, rows: NewRows) -> None:
        """What was there of photos that are new now does not count any more."""
        ids = [*rows.ids, *(photo.id for photo in rows.skipped)]
        old = self.base.rows.find(ids)
        if (old >= 0).any():
            self.remove(old[old >= 0])
        self.forget({id_ for id_ in ids if id_ in self.skipped_before})

    def _checked(self, vectors: NDArray[Any], ids: list[str]) -> NDArray[Any]:
        size = vectors.shape[1]
        if self.dimensions is None:
            self.dimensions = size
        if size != self.dimensions:
            raise ValueError(f"the index has {self.dimensions} dimensions, and these vectors have {size}")
        try:
            return as_stored(vectors, self.base.manifest.storage)
        except ValueError as error:
            raise ValueError(f"{error}: in the batch from {ids[0]} on") from error
