"""One commit of an index for several calls: its rows, ids and labels stay those of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import check_count
from landmarkzoo.index.commits import Commit
from landmarkzoo.index.photo_embedder import PhotoEmbedder
from landmarkzoo.photos import photo_source
from landmarkzoo.retrieval import Descriptors, Ranking, search
from landmarkzoo.retrieval.descriptors import descriptors_of
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors


class IndexSnapshot:
    """An index as it was at one commit, whatever a writer does meanwhile: ``index.snapshot()``.

    Row ``i`` of ``descriptors``, ``ids``, ``labels`` and of what ``search`` finds is the same photo. It
    goes wherever ``Descriptors`` go.

    Examples:
        >>> import tempfile
        >>> index = lz.Index.create(tempfile.mkdtemp())
        >>> index.add(lz.Descriptors(["a", "b"], np.eye(2)), labels=["x", "y"])
        >>> snapshot = index.snapshot()
        >>> index.remove("a")
        >>> found = snapshot.search(np.array([1.0, 0.1]), k=1)
        >>> snapshot.labels[found.indices[0, 0]], len(snapshot), len(index)
        ('x', 2, 1)
    """

    def __init__(
        self, commit: Commit, embedder: Callable[[], PhotoEmbedder], device: str | torch.device | None
    ) -> None:
        self._commit, self._embedder, self._device = commit, embedder, device

    @property
    def descriptors(self) -> StoredDescriptors:
        """Descriptors, where they lie: the same object as long as nobody makes another commit."""
        return self._commit.descriptors

    @property
    def ids(self) -> list[str]:
        """Ids, in order: a list of your own."""
        return list(self._commit.ids)

    @property
    def labels(self) -> NDArray[np.object_]:
        """Labels (N,), ``None`` for no landmark or unknown; read-only."""
        return self._commit.labels

    def search(self, query: Any, k: int = 10) -> Ranking:
        """Best ``k`` photos by cosine, as ``Index.search`` finds them."""
        return search(self._queries(query), self.descriptors, check_count(k, "k"), device=self._device)

    def __len__(self) -> int:
        return len(self._commit)

    def __repr__(self) -> str:
        return f"IndexSnapshot({len(self)} photos, commit {self._commit.manifest.generation})"

    def _queries(self, query: Any) -> Any:
        held = descriptors_of(query)
        if isinstance(held, Descriptors):
            return held
        floats = isinstance(query, Tensor) and query.is_floating_point()
        floats = floats or (isinstance(query, np.ndarray) and query.dtype.kind == "f")
        if floats and query.ndim < 3:
            return query[None] if query.ndim == 1 else query
        return self._embedder().embed(photo_source(query))
