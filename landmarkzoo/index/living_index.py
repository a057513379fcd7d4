"""``lz.Index``: a folder of descriptors that lives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray
from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.index.add_job import AddJob
from landmarkzoo.index.adding_descriptors import add_descriptors
from landmarkzoo.index.compaction import compact
from landmarkzoo.index.index_folder import IndexFolder, make_folder, now
from landmarkzoo.index.label_sources import GivenLabels
from landmarkzoo.index.manifest import MANIFEST_FILE, Manifest
from landmarkzoo.index.shard_files import Storage
from landmarkzoo.retrieval import Descriptors, Ranking, search
from landmarkzoo.retrieval.descriptors import Vectors
from landmarkzoo.retrieval.row_selection import Rows, as_ids, select_rows
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors


class Index:
    """A folder with descriptors of photos."""

    def __init__(self, files: IndexFolder) -> None:
        self._files = files

    @classmethod
    def create(cls, folder: str | Path, *, storage: Storage = "float32", exist_ok: bool = False) -> Index:
        """Make an empty index."""
        path = user_path(folder)
        if (path / MANIFEST_FILE).exists():
            if not exist_ok:
                raise FileExistsError(f"{path} is an index already: lz.Index.open opens it, or exist_ok=True")
            return cls.open(path)
        path.mkdir(parents=True, exist_ok=True)
        make_folder(path, Manifest(now(), now(), storage))
        return cls.open(path)

    @classmethod
    def open(cls, folder: str | Path) -> Index:
        """Open an index."""
        return cls(IndexFolder(user_path(folder)))

    @property
    def descriptors(self) -> StoredDescriptors:
        """Descriptors of the last commit: the same object until the next one."""
        return self._files.last().descriptors

    def __len__(self) -> int:
        return len(self._files.last())

    def __contains__(self, id_: object) -> bool:
        return id_ in self._files.last().rows

    def __getitem__(self, rows: Rows) -> Descriptors:
        commit = self._files.last()
        chosen = select_rows(rows, len(commit), commit.rows)
        numbers = np.arange(len(commit))[chosen]
        stored = commit.descriptors
        return Descriptors(
            [stored.ids[row] for row in numbers.tolist()], stored.stored.take(numbers), [], stored.provenance
        )

    @property
    def ids(self) -> list[str]:
        """Ids, in order."""
        return self._files.last().ids

    @property
    def labels(self) -> NDArray[np.object_]:
        """Labels (N,)."""
        return self._files.last().labels

    @property
    def vectors(self) -> FloatArray:
        """Vectors (N, D), in memory."""
        return self.descriptors.vectors

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Photos that could not be read, with the reason."""
        return self.descriptors.skipped

    @property
    def provenance(self) -> dict[str, str]:
        """What makes the descriptors."""
        return dict(self._files.last().manifest.provenance)

    def add(self, descriptors: Descriptors, *, labels: GivenLabels = None) -> None:
        """Add what is new."""
        with self._files.writing() as writer, AddJob(writer) as job:
            add_descriptors(job, descriptors, labels)

    def remove(self, ids: Any) -> None:
        """Take photos out."""
        with self._files.writing() as writer, AddJob(writer) as job:
            given = as_ids([ids] if isinstance(ids, str) else ids)
            job.remove(np.array([job.base.rows[id_] for id_ in given], dtype=np.int64))

    def compact(self) -> None:
        """Rewrite without what was removed."""
        with self._files.writing() as writer:
            compact(writer)

    def search(self, query: Vectors, k: int = 10) -> Ranking:
        """Best k."""
        return search(query, self.descriptors, k)
