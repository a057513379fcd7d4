"""``lz.Index``: photos on disk that can be searched, and that come and go."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from landmarkzoo._utils.checks import FloatArray, check_count
from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.embedding.inference import Precision, check_module
from landmarkzoo.index.add_job import AddJob
from landmarkzoo.index.adding_descriptors import add_descriptors
from landmarkzoo.index.adding_photos import add_photos
from landmarkzoo.index.compaction import compact
from landmarkzoo.index.head_suspicions import known_head
from landmarkzoo.index.index_creation import created_index
from landmarkzoo.index.index_folder import IndexFolder
from landmarkzoo.index.index_info import IndexInfo, info_of
from landmarkzoo.index.index_snapshot import IndexSnapshot
from landmarkzoo.index.label_sources import GivenLabels, labels_by_id
from landmarkzoo.index.label_suspicions import suspicious_labels
from landmarkzoo.index.near_duplicates import similar_photos
from landmarkzoo.index.photo_embedder import PhotoEmbedder, embedder_like, rebuilt_model
from landmarkzoo.losses import Head
from landmarkzoo.photos.batches import OnError, Transform
from landmarkzoo.photos.sources import Photos
from landmarkzoo.retrieval import Descriptors, Ranking
from landmarkzoo.retrieval.row_selection import Rows, as_ids
from landmarkzoo.retrieval.shard_files import Storage
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors


class Index:
    """A folder with descriptors of photos, their ids and labels, that grows and is corrected for years.

    ``Index.create`` makes one, ``Index.open`` opens one. It goes wherever ``Descriptors`` go, such as
    ``lz.search(queries, index)``. One process writes at a time, and a second one is told who does; any number
    of processes and threads read meanwhile, and each sees the last commit whole. A process that is killed at
    any moment leaves the last commit; the same call goes on from there, with the same result.

    Examples:
        >>> import tempfile
        >>> index = lz.Index.create(Path(tempfile.mkdtemp()) / "monuments")
        >>> index.add(lz.Descriptors(["a", "b", "c"], np.eye(3)), labels=["x", "x", "y"])
        >>> index.remove("b")
        >>> len(index), "b" in index, index.ids, index.labels
        (2, False, ['a', 'c'], array(['x', 'y'], dtype=object))
        >>> index.search(np.array([0, 0, 1.0]), k=1).ids
        array([['c']], dtype=object)
    """

    def __init__(
        self,
        files: IndexFolder,
        model: nn.Module | None = None,
        transform: Transform | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        if not isinstance(files, IndexFolder):
            raise TypeError(
                f"an index is opened by lz.Index.open({str(files)!r}), or made by lz.Index.create"
            )
        self._files, self._device = files, device
        self._embedder: PhotoEmbedder | None = None
        self._making = threading.Lock()
        self._model, self._transform = model, transform
        if model is not None:
            self._embedder = self._embedder_of(model)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        model: nn.Module | str | Path | None = None,
        *,
        transform: Transform | None = None,
        scales: Sequence[float] | None = None,
        flip: bool | None = None,
        precision: Precision = "auto",
        batch_size: int = 32,
        storage: Storage = "float32",
        device: str | torch.device | None = None,
        exist_ok: bool = False,
    ) -> Index:
        """Make an empty index.

        Args:
            folder: Where: a folder that does not exist or is empty.
            model: The model of its photos, or its name for ``create_model``, with landmark weights. A model
                that cannot be had by name with these weights is saved in the folder. ``None``: descriptors
                are brought along.
            transform: As in ``lz.embed``, like all that follow but ``storage``; fixed for this index.
            scales: Sizes of the image whose descriptors become one.
            flip: Whether the mirrored images are views too.
            precision: What is computed in; what ``"auto"`` is gets decided now.
            batch_size: Photos a forward pass.
            storage: Type that vectors are kept in; ``"float16"`` takes half the room, and changes cosines by
                less than a thousandth.
            device: Where model and search compute; ``None``: where the model is, and the CPU.
            exist_ok: Open an index that is there, if it has the same model, transform and views.

        Raises:
            FileExistsError: If there is an index, or something else.
            OSError: If the folder cannot be made or written.
            TypeError: If ``model`` is something else, or needs a ``transform``.
            ValueError: If an option is wrong, or the index that is there was made in another way.
        """
        files, loaded = created_index(
            user_path(folder),
            model,
            storage,
            exist_ok,
            transform=transform,
            scales=scales,
            flip=flip,
            precision=precision,
            batch_size=batch_size,
            device=device,
        )
        return cls(files, loaded, transform, device)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        model: nn.Module | None = None,
        transform: Transform | None = None,
        device: str | torch.device | None = None,
    ) -> Index:
        """Open an index: milliseconds, however large it is.

        Args:
            folder: Where it is.
            model: Its model, where you have it at hand. ``None``: it is made from its name, or from the
                folder, when photos are to be embedded.
            transform: Its transform, if ``create`` was given one.
            device: Where model and search compute; ``None``: where the model is, and the CPU.

        Raises:
            FileNotFoundError: If there is no index.
            NotADirectoryError: If it is a file.
            ValueError: If it is damaged, or the model or transform is another one.
        """
        if model is not None:
            check_module(model)
        return cls(IndexFolder(user_path(folder)), model, transform, device)

    def add(
        self,
        photos: Photos | Descriptors | Index,
        *,
        labels: GivenLabels = None,
        ids: Sequence[object] | None = None,
        on_error: OnError = "skip",
        num_workers: int | None = None,
        progress: bool = True,
    ) -> None:
        """Add what is new, and embed again what has changed, by size and time of its file.

        Photos are committed every minute and every 1,024, so a killed call that is made again goes on. A
        photo that has changed takes its place at the end. One that could not be read is listed in
        ``skipped``, and tried again when its file has changed. What is in no file is new if its id is. Remove
        it to embed it again, as a file that was rewritten and has the size and time that it had.

        Args:
            photos: What ``lz.embed`` takes; an iterator of paths, or of pairs of id and photo, which is never
                read whole; or descriptors, those of another index too.
            labels: A dictionary by id, in which others may be missing; one a photo, in order; ``"folder"``:
                the first folder of an id; ``None``: those of a data set with ``targets`` and ``classes``.
                Those of photos that are there already are corrected.
            ids: One a photo, for images in memory, or in place of paths.
            on_error: ``"skip"`` photos that cannot be read, or ``"raise"``.
            num_workers: Processes that read photos; 0: this one reads them; ``None``: as suits the machine.
            progress: Show a progress bar on stderr.

        Raises:
            OSError: If somebody else writes the index, or it cannot be written; what is committed stays.
            PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
            TypeError: If ``photos`` or ``labels`` are something else.
            ValueError: If descriptors do not fit, an id is missing, stands there twice or is that of another
                photo, or the model cannot be made.
        """
        photos = photos.descriptors if isinstance(photos, Index) else photos
        if not isinstance(photos, Descriptors):
            options = (labels, ids, on_error, num_workers, progress)
            add_photos(self._files, self._ready, photos, *options)
            return
        if ids is not None:
            raise ValueError("ids= is for photos, and descriptors have their own: lz.Descriptors(ids, x)")
        with self._files.writing() as writer, AddJob(writer) as job:
            add_descriptors(job, photos, labels)

    def update(
        self,
        folder: str | Path,
        *,
        labels: GivenLabels = None,
        on_error: OnError = "skip",
        num_workers: int | None = None,
        progress: bool = True,
    ) -> None:
        """Add what is new in a folder, and drop what was added from it and is not in it any more.

        For the arguments and errors see ``add``. A folder without photos is an error: its disk may be away.

        Raises:
            NotADirectoryError: If it is not a folder.
        """
        if not isinstance(folder, (str, Path)) or user_path(folder).is_file():
            raise NotADirectoryError(f"update takes a folder, got {folder!r}: add takes the rest")
        options = (labels, None, on_error, num_workers, progress)
        add_photos(self._files, self._ready, folder, *options, mirror=True)

    def relabel(self, labels: Mapping[str, Any]) -> None:
        """Correct labels: by id, ``None`` for no landmark or unknown. Nothing is embedded.

        Raises:
            KeyError: If there is no such id.
            OSError: If somebody else writes the index, or it cannot be written.
            TypeError: If it is no dictionary, or a label is neither a name, an integer nor ``None``.
        """
        names = labels_by_id(labels)
        with self._files.writing() as writer, AddJob(writer) as job:
            job.relabel({job.base.rows[id_]: name for id_, name in names.items()})

    def remove(self, ids: str | Iterable[object], *, missing_ok: bool = False) -> None:
        """Take photos out: they are not found any more, and ``compact`` makes room.

        A photo whose file stays in its folder comes back when that is added again.

        Args:
            ids: One id or several, also of skipped photos.
            missing_ok: Ids that are not there are no error: a killed call may be made again.

        Raises:
            KeyError: If there is no such id and that is not ``missing_ok``; nothing is removed.
            OSError: If somebody else writes the index, or it cannot be written.
        """
        with self._files.writing() as writer, AddJob(writer) as job:
            given, base = as_ids([ids] if isinstance(ids, str) else ids), job.base
            rows = base.rows.find(given)
            others = {given[place] for place in np.flatnonzero(rows < 0).tolist()}
            skipped = others & job.skipped_before.keys()
            if not missing_ok and others != skipped:
                _ = base.rows[min(others - skipped)]  # which says what is near
            job.remove(rows[rows >= 0])
            job.forget(skipped)

    def compact(self) -> None:
        """Rewrite the index without what was removed, in large shards, which are quicker to search.

        Raises:
            OSError: If somebody else writes the index, or there is no room; it stays as it was.
        """
        with self._files.writing() as writer:
            compact(writer)

    def search(self, query: Any, k: int = 10) -> Ranking:
        """Best ``k`` photos by cosine, exactly; any number of threads may search.

        Args:
            query: A photo: path, bytes, open file, PIL image, uint8 array (H, W, 3); many of these as
                ``lz.embed`` takes them; descriptors; vectors (D,) or (Q, D).
            k: How many.

        Raises:
            PhotoError: If a photo cannot be read.
            TypeError: If ``query`` is something else.
            ValueError: If it does not fit the index, the index is empty, or the model cannot be made.
        """
        return self.snapshot().search(query, k)

    def snapshot(self) -> IndexSnapshot:
        """The last commit for several calls: whatever a writer does, rows, ids and labels stay together."""
        return IndexSnapshot(self._files.last(), self._ready, self._device)

    def duplicates(self, threshold: float = 0.95, *, progress: bool = False) -> list[tuple[str, str, float]]:
        """Pairs of photos whose cosine is at least ``threshold``: id, id, cosine; the most similar first.

        All N (N - 1) / 2 pairs are compared, in blocks. ``progress``: show a bar on stderr.
        """
        return similar_photos(self.descriptors, threshold, progress)

    def suspicious_labels(
        self,
        neighbors: int = 10,
        *,
        head: Head | None = None,
        class_names: Sequence[str] | None = None,
        progress: bool = False,
    ) -> list[tuple[str, str, str, float]]:
        """Photos whose neighbours, or a head, have another label: id, label, likelier label, score.

        A score is how much more cosine there is to another label than to its own, from 0 to 1, the worst
        first. By the neighbours: (votes for the likelier label - votes for its own) / neighbors, where each
        of the nearest labelled photos votes with its cosine; listed above 0. By the head: cosine to the
        nearest center of the likelier class - that of its own; listed if the photo is farther than 75 degrees
        from its own. A photo that both list has the larger score, with its label.

        Args:
            neighbors: How many vote.
            head: The one that the model was trained with, as ``lz.load_head`` gives it; ``None``: the one in
                the folder of the model, if it is there with these weights, or else none.
            class_names: The label of each class of ``head``; ``None``: labels are the numbers of the classes.
            progress: Show bars on stderr.

        Raises:
            TypeError: If ``head`` is something else.
            ValueError: If a number is not positive, the head does not fit, or knows none of the labels.
        """
        commit, neighbors = self._files.last(), check_count(neighbors, "neighbors")
        known = known_head(head, class_names, self._files.path, commit)
        return suspicious_labels(commit.descriptors, commit.labels, neighbors, known, progress)

    @property
    def descriptors(self) -> StoredDescriptors:
        """Those of the last commit, where they lie: the same object until the next commit."""
        return self._files.last().descriptors

    @property
    def info(self) -> IndexInfo:
        """What the index is, in a few numbers."""
        return info_of(self._files.last())

    @property
    def ids(self) -> list[str]:
        """Ids, in order: a list of your own."""
        return list(self._files.last().ids)

    @property
    def labels(self) -> NDArray[np.object_]:
        """Labels (N,), ``None`` for no landmark or unknown; read-only: ``relabel`` corrects them."""
        return self._files.last().labels

    @property
    def vectors(self) -> FloatArray:
        """All vectors (N, D), float32, in memory."""
        return self.descriptors.vectors

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Photos that could not be read: id and reason."""
        return list(self.descriptors.skipped)

    @property
    def provenance(self) -> dict[str, str]:
        """What makes the descriptors."""
        return dict(self._files.last().manifest.provenance)

    def __len__(self) -> int:
        return len(self._files.last())

    def __contains__(self, id_: object) -> bool:
        return id_ in self._files.last().rows

    def __getitem__(self, rows: Rows) -> Descriptors:
        """Descriptors of some rows: a number, an id, or several as a slice, a list, an array or a mask."""
        return self._files.last().chosen(rows)

    def __reduce__(self) -> tuple[Any, ...]:  # to another process, which opens it there
        return Index, (self._files, self._model, self._transform, self._device)

    def __array__(self, dtype: np.dtype[Any] | type | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self.descriptors.__array__(dtype, copy)

    def __repr__(self) -> str:
        return f"Index({str(self._files.path)!r}, {len(self)} photos)"

    def _ready(self) -> PhotoEmbedder:
        """What embeds photos, made when the first one is to be."""
        with self._making:
            manifest = self._files.last().manifest
            weights = manifest.provenance.get("weights")
            # In a folder that was made anew may be the index of another model.
            if self._embedder is None or self._embedder.provenance["weights"] != weights:
                model = self._model or rebuilt_model(self._files.path, manifest.options, weights)
                self._embedder = self._embedder_of(model)
            return self._embedder

    def _embedder_of(self, model: nn.Module) -> PhotoEmbedder:
        commit = self._files.last()
        return embedder_like(
            commit.descriptors, commit.manifest.options, model, transform=self._transform, device=self._device
        )
