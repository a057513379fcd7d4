"""One commit of an index as a reader sees it: it never changes, whatever a writer does meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.index.edits import Edits
from landmarkzoo.index.manifest import Manifest
from landmarkzoo.retrieval import Descriptors
from landmarkzoo.retrieval.device_rows import DeviceCopies
from landmarkzoo.retrieval.row_selection import Rows, select_rows
from landmarkzoo.retrieval.shard_files import SUFFIX, FileState, Shard, SkippedPhoto, norms_of
from landmarkzoo.retrieval.stored_ids import StoredIds
from landmarkzoo.retrieval.stored_rows import StoredRows
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors

SHARDS, EDITS = "shards", "edits"  # folders of an index
_NO_ROWS = np.empty(0, np.int64)


class Commit:
    """One commit: its shards are mapped at once, and what is in them is read when somebody asks for it.

    Args:
        folder: The folder of the index.
        manifest: What the commit is made of.
        known: Shards that are mapped already, by name.
        copies: What searches keep of the vectors on other devices.

    Raises:
        FileNotFoundError: If a file is gone: there is a newer commit, or somebody removed it.
        ValueError: If a file is damaged.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, known: Mapping[str, Shard], copies: DeviceCopies
    ) -> None:
        self.manifest, self._copies = manifest, copies
        self.shards = [
            known.get(entry.name) or Shard(folder / SHARDS / f"{entry.name}{SUFFIX}")
            for entry in manifest.shards
        ]
        for shard, entry in zip(self.shards, manifest.shards):
            _check_shard(shard, entry.rows, manifest)
        self.edits = Edits.load(folder / EDITS / f"{manifest.edits}{SUFFIX}") if manifest.edits else Edits()
        for shard in self.shards:
            _check_edits(shard, self.edits, manifest)
        self.live = [_live_rows(shard, self.edits) for shard in self.shards]

    def __len__(self) -> int:
        return len(self.descriptors)

    @cached_property
    def descriptors(self) -> StoredDescriptors:
        """The rows that count, where they lie."""
        with_rows = [(shard, rows) for shard, rows in zip(self.shards, self.live) if len(shard)]
        shards, live = [shard for shard, _ in with_rows], [rows for _, rows in with_rows]
        manifest = self.manifest
        nothing = [] if shards else [np.empty((0, manifest.dimensions or 0), manifest.storage)]
        stored = StoredVectors(
            [shard.vectors for shard in shards] + nothing,
            live + [None for _ in nothing],
            norms_of(shards, live),
            self._copies,
        )
        ids = StoredIds([shard.id_arrays for shard in shards], live)
        skipped = [(photo.id, photo.reason) for photo in self.skipped]
        return StoredDescriptors(cast("list[str]", ids), stored, skipped, manifest.provenance)

    def chosen(self, rows: Rows) -> Descriptors:
        """Descriptors of some rows, in memory."""
        found = self.descriptors
        numbers = np.arange(len(self))[select_rows(rows, len(self), self.rows)]
        if found.stored.shape[1] == 0:  # nothing is known yet of an index that has just been made
            return StoredDescriptors([], found.stored, provenance=found.provenance)
        ids = [found.ids[row] for row in numbers.tolist()]
        return Descriptors(ids, found.stored.take(numbers), provenance=found.provenance)

    @cached_property
    def skipped(self) -> list[SkippedPhoto]:
        """Photos that could not be read."""
        found = []
        for shard in self.shards:
            gone = set(self.edits.forgotten.get(shard.name, _NO_ROWS).tolist())
            found += [photo for place, photo in enumerate(shard.skipped) if place not in gone]
        return found

    @cached_property
    def ids(self) -> list[str]:
        """Ids of all rows, in order."""
        return list(self.descriptors.ids)

    @cached_property
    def rows(self) -> StoredRows:
        """The row of each id."""
        hashes = [
            shard.id_hashes if rows is None else shard.id_hashes[rows]
            for shard, rows in zip(self.shards, self.live)
        ]
        return StoredRows(self.descriptors.ids, np.concatenate([np.empty(0, np.uint64), *hashes]))

    @cached_property
    def labels(self) -> NDArray[np.object_]:
        """Labels (N,), ``None`` for no landmark or unknown; read-only, as others see the same array."""
        parts = []
        for shard, live in zip(self.shards, self.live):
            names = np.array(shard.label_names, dtype=object)[shard.label_codes]
            for row, label in self.edits.labels.get(shard.name, {}).items():
                names[row] = label
            parts.append(names if live is None else names[live])
        labels = np.concatenate([np.empty(0, dtype=object), *parts])
        labels.flags.writeable = False
        return labels

    @cached_property
    def starts(self) -> IntArray:
        """Number of the first row of each shard, and behind them N."""
        sizes = [len(shard) if rows is None else len(rows) for shard, rows in zip(self.shards, self.live)]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])

    @cached_property
    def _states(self) -> IntArray:
        """Size, time and number of the root (N, 3) of all rows; the number counts in ``roots``."""
        parts = []
        for shard, live in zip(self.shards, self.live):
            states = shard.states if live is None else shard.states[live]
            number_of = np.array([*(self.roots.index(root) for root in shard.roots), -1])
            parts.append(np.column_stack([states[:, :2], number_of[states[:, 2]]]))
        return np.concatenate(parts) if parts else np.empty((0, 3), np.int64)

    @cached_property
    def roots(self) -> list[str]:
        """Folders that ids start from."""
        return sorted({root for shard in self.shards for root in shard.roots})

    def state(self, row: int) -> FileState | None:
        """The state that the file of a row had when it was read."""
        size, mtime, root = self._states[row].tolist()
        return None if root < 0 else FileState(size, mtime, self.roots[root])

    def rows_from(self, root: str) -> IntArray:
        """Rows whose ids start from a folder, ascending."""
        if root not in self.roots:
            return np.empty(0, np.int64)
        return np.flatnonzero(self._states[:, 2] == self.roots.index(root))

    def inside_shards(self, rows: Iterable[int]) -> dict[str, IntArray]:
        """Some rows as rows of the shards that they are in."""
        chosen = np.unique(np.fromiter(rows, np.int64))
        cuts = np.searchsorted(chosen, self.starts)
        found = {}
        for number, (shard, live) in enumerate(zip(self.shards, self.live)):
            inside = chosen[cuts[number] : cuts[number + 1]] - self.starts[number]
            if len(inside):
                found[shard.name] = inside if live is None else live[inside]
        return found

    def skipped_inside_shards(self, ids: set[str]) -> dict[str, IntArray]:
        """Skipped photos of some ids as places in the lists of their shards."""
        found = {}
        for shard in self.shards:
            places = [place for place, photo in enumerate(shard.skipped) if photo.id in ids]
            if places:
                found[shard.name] = np.array(places, dtype=np.int64)
        return found

    def nbytes(self) -> int:
        """Bytes of its shards on disk."""
        return sum(shard.nbytes for shard in self.shards)


def _check_shard(shard: Shard, rows: int, manifest: Manifest) -> None:
    found, wanted = shard.vectors, (rows, manifest.dimensions if rows else shard.vectors.shape[1])
    if found.shape != wanted or (rows and found.dtype != manifest.storage):
        raise ValueError(
            f"{shard.path} is damaged or of another index: its vectors are {found.dtype} {found.shape}, and "
            f"should be {manifest.storage} {wanted}"
        )


def _check_edits(shard: Shard, edits: Edits, manifest: Manifest) -> None:
    removed, relabelled = edits.removed.get(shard.name, _NO_ROWS), edits.labels.get(shard.name, {})
    inside = removed.ndim == 1 and removed.dtype == np.int64
    inside = inside and (not len(removed) or 0 <= removed.min() <= removed.max() < len(shard))
    if not inside or not all(isinstance(row, int) and 0 <= row < len(shard) for row in relabelled):
        raise ValueError(
            f"the edits {manifest.edits} of the index are damaged: they are of rows that are not there"
        )


def _live_rows(shard: Shard, edits: Edits) -> Any:
    removed = edits.removed.get(shard.name)
    return None if removed is None else np.setdiff1d(np.arange(len(shard)), removed, assume_unique=True)
