"""Photos into an index: only those that are new or have changed are embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, get_args

import numpy as np
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo._utils.unicode_names import ByName
from landmarkzoo.index.add_job import AddJob
from landmarkzoo.index.index_folder import IndexFolder
from landmarkzoo.index.label_sources import GivenLabels, label_names
from landmarkzoo.index.photo_embedder import PhotoEmbedder
from landmarkzoo.photos import PhotoSource, photo_source
from landmarkzoo.photos.batches import OnError, PhotoBatch
from landmarkzoo.photos.file_states import root_of, states_of_files
from landmarkzoo.retrieval.row_selection import as_ids, first_repeated
from landmarkzoo.retrieval.shard_files import FileState, NewRows, SkippedPhoto, joined_rows

_MOVED = 4096  # photos in one shard, of a folder that was moved
_STREAMED = 128  # photos of an iterator that are committed together: about a minute of a large model


def add_photos(
    files: IndexFolder,
    embedder: Callable[[], PhotoEmbedder],
    photos: Any,
    labels: GivenLabels,
    ids: Sequence[object] | None,
    on_error: OnError,
    num_workers: int | None,
    progress: bool,
    mirror: bool = False,
) -> None:
    """Add photos to an index, as ``Index.add`` does, or make it what a folder is, as ``Index.update``.

    Args:
        files: The index.
        embedder: Gives what makes the descriptors; called once the photos are listed.
        photos: What ``Index.add`` takes, but descriptors; like all that follow.
        labels: By id, one a photo, or ``"folder"``.
        ids: One a photo.
        on_error: ``"raise"`` or ``"skip"``.
        num_workers: Processes that read photos.
        progress: Whether to show a progress bar.
        mirror: Drop what was added from the folder and is not in it any more.
    """
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error must be one of {get_args(OnError)}, got {on_error!r}")
    stream = is_stream(photos) and ids is None
    source = None if stream else named_source(photo_source(photos, on_error=on_error), ids)
    ready = embedder()
    ready.check_unchanged()
    total = None if source is None else len(source)
    bar = tqdm(total=total, desc="index", unit=" photos", disable=not progress)
    with files.writing() as writer, bar, AddJob(writer) as job:
        adding = PhotoAdding(job, ready, labels, on_error, num_workers, bar)
        if source is None:
            adding.add_stream(photos)
            return
        if mirror:
            adding.mirror(source)
        adding.add(source, photos)


@dataclass(eq=False)
class PhotoAdding:
    """How photos get into an index.

    Attributes:
        job: What takes the rows.
        embedder: What makes the descriptors.
        labels: Labels, as ``add`` takes them.
        on_error: ``"raise"`` or ``"skip"``, for photos that cannot be read.
        num_workers: Processes that read photos; ``None``: as suits the machine.
        bar: The progress bar.
    """

    job: AddJob
    embedder: PhotoEmbedder
    labels: GivenLabels
    on_error: OnError
    num_workers: int | None
    bar: tqdm[Any]

    def add(self, source: PhotoSource, photos: object = None) -> None:
        """Add photos whose ids are known.

        Raises:
            PhotoError: If one cannot be read, and is not to be skipped.
            ValueError: If an id stands there twice, or is that of another photo of the index.
        """
        labels = label_names(self.labels, source.ids, photos)
        states = self.new_photos(source, labels)
        self.bar.update(len(source) - len(states))
        if states:
            for batch in self.embedded(source, states, labels):
                self.job.take(batch)

    def new_photos(
        self, source: PhotoSource, labels: Mapping[int, str | None]
    ) -> dict[int, FileState | None]:
        """Positions of the photos that are to be embedded, with their states; labels of others are corrected.

        Raises:
            ValueError: If an id stands there twice, or is that of another photo of the index.
        """
        if (twice := first_repeated(source.ids)) is not None:
            raise ValueError(f"two photos have the id {twice!r}: an id stands for one photo")
        rows = self.job.base.rows.find(source.ids)
        states = {}
        for position, state in enumerate(states_of_files(source, range(len(source)))):
            row = int(rows[position])
            if self._is_new(source.ids[position], row, state):
                states[position] = state
        self._correct(rows, labels, states)
        return states

    def add_stream(self, items: Iterable[Any]) -> None:
        """Add what an iterator gives, paths or pairs of id and photo, without reading it to its end first.

        Raises:
            PhotoError: As ``add``, like the other error.
            TypeError: If it gives something else.
            ValueError: As ``add``.
        """
        if self.labels is not None and not isinstance(self.labels, (str, Mapping)):
            raise TypeError("labels of an iterator are a dictionary by id, or 'folder'")
        stream, seen = iter(items), set[str]()
        size = self.embedder.batch_size
        many = size * max(1, _STREAMED // size)
        while chunk := list(islice(self._new_items(stream, seen), many)):
            source = PhotoSource([id_ for id_, _ in chunk], [photo for _, photo in chunk])
            states = dict(enumerate(states_of_files(source, range(len(source)))))
            labels = label_names(self.labels, source.ids)
            # Committed together, so that a job that goes on cuts the same batches.
            self.job.take(joined_rows(list(self.embedded(source, states, labels))))

    def mirror(self, source: PhotoSource) -> None:
        """Drop photos of the folder of a source that are not in it any more.

        A folder that was moved is known by its photos, which are not embedded again.

        Raises:
            OSError: If the index cannot be written.
        """
        self._take_moved(source)
        root, listed, base = root_of(source), ByName(dict.fromkeys(source.ids)), self.job.base

        def has_vanished(id_: str) -> bool:  # a folder that may not be listed stands for all in it
            return id_ not in listed and not any(str(above) in listed for above in PurePath(id_).parents)

        gone = [row for row in base.rows_from(root).tolist() if has_vanished(base.ids[row])]
        if gone:
            self.job.remove(np.array(gone))
        before = self.job.skipped_before.items()
        self.job.forget({id_ for id_, state in before if state and state.root == root and has_vanished(id_)})

    def embedded(
        self, source: PhotoSource, states: Mapping[int, FileState | None], labels: Mapping[int, str | None]
    ) -> Iterator[NewRows]:
        """Rows of the photos at some positions, batch by batch; for arguments and errors see below."""
        for rows in embedded_rows(
            self.embedder, source, states, labels, on_error=self.on_error, num_workers=self.num_workers
        ):
            yield rows
            self.bar.update(len(rows))

    def _new_items(self, stream: Iterator[Any], seen: set[str]) -> Iterator[tuple[str, Any]]:
        """Items whose photos are to be embedded; those that are done are dropped at once."""
        for item in stream:
            id_, photo = _named(item)
            if id_ in seen:
                raise ValueError(f"two photos have the id {id_!r}: an id stands for one photo")
            seen.add(id_)
            row = self.job.base.rows.find([id_])
            (state,) = states_of_files(PhotoSource([id_], [photo]), [0])
            if self._is_new(id_, int(row[0]), state):
                yield id_, photo
            else:
                self._correct(row, label_names(self.labels, [id_]), {})
                self.bar.update()

    def _is_new(self, id_: str, row: int, state: FileState | None) -> bool:
        """Whether a photo is to be embedded; its row is -1 if the index does not have it."""
        base = self.job.base
        if row < 0:
            known = self.job.skipped_before
            return self.on_error == "raise" or id_ not in known or known[id_] != state
        old = base.state(row)
        if old is None or state is None or old[:2] == state[:2]:
            return False
        if old.root != state.root and Path(old.root, id_).exists():
            raise ValueError(
                f"the index has another photo of the id {id_!r}, {Path(old.root, id_)}: give ids=, or add "
                "the folder above both"
            )
        return True

    def _take_moved(self, source: PhotoSource) -> None:
        """Rows anew for photos whose files are gone from another folder, and lie in that of the source."""
        base, labels = self.job.base, label_names(self.labels, source.ids)
        rows, root = base.rows.find(source.ids), root_of(source)
        away = {}
        for position in np.flatnonzero(rows >= 0).tolist():
            was = base.state(int(rows[position]))
            if was is not None and was.root not in ("", root):
                away[position] = was
        moved = [
            (position, state)
            for (position, was), state in zip(away.items(), states_of_files(source, away))
            if state and was[:2] == state[:2] and not Path(was.root, source.ids[position]).exists()
        ]
        while chunk := moved[:_MOVED]:
            positions, moved = [position for position, _ in chunk], moved[_MOVED:]
            own = [int(row) for row in rows[positions]]
            self.job.take(
                NewRows(
                    [source.ids[position] for position in positions],
                    [base.descriptors.stored.take(np.array(own))],
                    [labels.get(position, base.labels[row]) for position, row in zip(positions, own)],
                    [state for _, state in chunk],
                )
            )
        self.job.commit()

    def _correct(self, rows: IntArray, labels: Mapping[int, str | None], new: Mapping[int, object]) -> None:
        """Correct labels of photos that are not embedded; rows (n,) are theirs, by position."""
        base, wrong = self.job.base, {}
        for position, label in labels.items():
            row = int(rows[position])
            if position not in new and row >= 0 and base.labels[row] != label:
                wrong[row] = label
        if wrong:
            self.job.relabel(wrong)


def embedded_rows(
    embedder: PhotoEmbedder,
    source: PhotoSource,
    states: Mapping[int, FileState | None],
    labels: Mapping[int, str | None],
    *,
    on_error: OnError,
    num_workers: int | None,
) -> Iterator[NewRows]:
    """Rows of the photos at some positions, batch by batch; labels are by position.

    Raises:
        PhotoError: If one cannot be read, and is not to be skipped.
        TypeError: If they are no photos.
        ValueError: If the model gives NaN.
    """
    positions = list(states)
    chosen = source.take(positions)
    if chosen.is_transformed():
        raise TypeError(
            "the photos of an index go through its transform, and these are float tensors: pass photos, "
            "or their descriptors"
        )
    for batch, vectors in embedder.embedded(chosen, num_workers):
        if batch.errors and on_error == "raise":
            raise batch.errors[0]
        rows = _rows(chosen, batch, vectors)
        rows.labels = [labels.get(positions[place]) for place in batch.positions]
        rows.states = [states[positions[place]] for place in batch.positions]
        place_of = {id_: place for place, id_ in enumerate(chosen.ids)} if batch.errors else {}
        rows.skipped = [
            SkippedPhoto(error.photo, error.reason, states[positions[place_of[error.photo]]])
            for error in batch.errors
        ]
        yield rows


def _rows(source: PhotoSource, batch: PhotoBatch, vectors: FloatArray | None) -> NewRows:
    ids = [source.ids[place] for place in batch.positions]
    if vectors is not None and not np.isfinite(vectors).all():
        bad = ids[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
        raise ValueError(f"the model gives NaN or infinite values for the photo {bad}")
    return NewRows(ids, [] if vectors is None else [vectors])


def named_source(source: PhotoSource, ids: Sequence[object] | None) -> PhotoSource:
    """A source with ids that say which photo it is.

    Raises:
        ValueError: If there are none, or another number of them.
    """
    if ids is not None:
        if len(ids) != len(source):
            raise ValueError(f"got {len(ids)} ids for {len(source)} photos")
        items = source.items if source.root is None else [source.root / item for item in source.items]
        return replace(source, ids=as_ids(ids), items=items, root=None, named=True)
    if not source.named:
        raise ValueError(
            "images in memory have no names, and an index knows photos by name: add(images, ids=[...]), or "
            "pairs of id and image, or a data set with ids"
        )
    return source


def is_stream(photos: object) -> bool:
    """Whether photos come from an iterator, or are pairs of id and photo."""
    pairs = isinstance(photos, (list, tuple)) and len(photos) > 0 and isinstance(photos[0], tuple)
    return pairs or isinstance(photos, Iterator)


def _named(item: Any) -> tuple[str, Any]:
    if isinstance(item, (str, Path)):
        return str(item), item
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], (str, int, PurePath)):
        return str(item[0]), item[1]
    raise TypeError(
        f"an iterator gives paths, or pairs of id and photo, got {type(item).__name__}: a photo needs a name"
    )
