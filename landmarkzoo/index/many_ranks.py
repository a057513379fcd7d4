"""Photos into an index by many processes: each embeds a share, and rank 0 commits. They meet in files only.

Rank 0 writes down which photos are new: the plan, in a folder ``incoming/<name>``. It is cut into units of
whole batches. Each rank embeds the units of its share and writes each into that folder, whole or not at all.
Who is done helps the others from the end, so that the share of a dead or slow rank is taken up. Rank 0 moves
the units into the index, in the order of the plan, and removes the plan in the end. If it is killed, the next
call finds the plan and all units that are there.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import torch
from tqdm import tqdm

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.index.add_job import SHARD_SECONDS, AddJob
from landmarkzoo.index.adding_photos import PhotoAdding, is_stream, named_source
from landmarkzoo.index.index_folder import IndexFolder, Writer
from landmarkzoo.index.label_sources import GivenLabels, label_names
from landmarkzoo.index.living_index import Index
from landmarkzoo.photos import PhotoSource, photo_source
from landmarkzoo.photos.batches import OnError
from landmarkzoo.photos.file_states import states_of_files
from landmarkzoo.photos.sources import Photos
from landmarkzoo.retrieval.shard_files import (
    SUFFIX,
    Shard,
    as_stored,
    joined_rows,
    new_name,
    write_shard,
)

INCOMING = "incoming"  # folder of an index
_PLAN = "photos.json"
_PATIENCE = 600.0  # seconds that a rank waits for a plan: listing millions of photos takes minutes
_TURN = 0.2  # seconds between two looks at the folder
_UNIT = {"cpu": 128}  # photos: about a minute of a large model
_UNIT_OF_GPUS = 1024

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ranks:
    """Which of several processes this is.

    Attributes:
        rank: 0 to ``count - 1``; rank 0 commits.
        count: How many there are.
        local: Number of this one on its machine, and so of its GPU.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @staticmethod
    def of_environment() -> Ranks:
        """What ``torchrun`` and others like it say by environment variables; one process if they say nothing.

        Examples:
            >>> from landmarkzoo.index.many_ranks import Ranks
            >>> Ranks.of_environment()
            Ranks(rank=0, count=1, local=0)
        """
        rank, count, local = (os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if rank is None or count is None:
            return Ranks()
        return Ranks(int(rank), int(count), int(local or 0))

    @property
    def device(self) -> str | None:
        """The GPU of this process; ``None`` for a single process, and without one."""
        return f"cuda:{self.local}" if self.count > 1 and torch.cuda.is_available() else None


@dataclass(frozen=True)
class Plan:
    """What is to be embedded. It is written once, by rank 0, and never changes.

    Attributes:
        number: Number of the job, for the order of its shards.
        unit: Photos of a unit: whole batches.
        ids: Ids of all photos, in order.
    """

    number: int
    unit: int
    ids: list[str]


class PlannedWork:
    """A plan and what is done of it.

    Args:
        folder: Its folder.
        adding: What embeds.
        source: All photos of the call.
        labels: Labels by position in ``source``.
    """

    def __init__(
        self, folder: Path, adding: PhotoAdding, source: PhotoSource, labels: Mapping[int, str | None]
    ) -> None:
        self.folder, self.adding, self.source, self.labels = folder, adding, source, labels
        self.plan = Plan(**json.loads((folder / _PLAN).read_text(encoding="utf-8")))
        self.units = range(-(-len(self.plan.ids) // self.plan.unit))

    @cached_property
    def place(self) -> dict[str, int]:
        """Position of each photo in the source."""
        return {id_: position for position, id_ in enumerate(self.source.ids)}

    def ids(self, unit: int) -> list[str]:
        """Ids of a unit."""
        return self.plan.ids[unit * self.plan.unit : (unit + 1) * self.plan.unit]

    def file(self, unit: int) -> Path:
        """The file of a unit, which is there when it is done, and empty when it is committed."""
        return self.folder / f"{unit:08d}{SUFFIX}"

    def is_over(self) -> bool:
        """Whether rank 0 has committed all of it."""
        return not (self.folder / _PLAN).exists()

    def embed(self, ranks: Ranks, after_batch: Callable[[], None]) -> None:
        """Embed the share of a rank, then what others have not done, from the end."""
        first, behind = (len(self.units) * rank // ranks.count for rank in (ranks.rank, ranks.rank + 1))
        for unit in [*self.units[first:behind], *reversed(self.units)]:
            if self.is_over():
                return
            # Of a photo that other ranks do not see, rank 0 decides whether it has vanished.
            if not self.file(unit).exists() and (ranks.rank == 0 or self._sees(unit)):
                self._embed_unit(unit, after_batch)

    def _sees(self, unit: int) -> bool:
        return all(id_ in self.place for id_ in self.ids(unit))

    def _embed_unit(self, unit: int, after_batch: Callable[[], None]) -> None:
        # A photo that is not there any more drops out, as if it had never been listed.
        positions = [self.place[id_] for id_ in self.ids(unit) if id_ in self.place]
        states = dict(zip(positions, states_of_files(self.source, positions)))
        manifest = self.adding.job.base.manifest
        batches = []
        if states:
            for rows in self.adding.embedded(self.source, states, self.labels):
                rows.vectors = [as_stored(vectors, manifest.storage) for vectors in rows.vectors]
                batches.append(rows)
                after_batch()
                if self.file(unit).exists():  # another rank was quicker
                    return
        try:
            write_shard(self.file(unit), joined_rows(batches), manifest.dimensions or 0, manifest.storage)
        except OSError:
            if not self.is_over():
                raise


class Collection:
    """How rank 0 makes units part of the index.

    Args:
        work: The plan.
        job: What commits.
        new: Ids of photos that are not in the index as they are now.
    """

    def __init__(self, work: PlannedWork, job: AddJob, new: set[str]) -> None:
        self.work, self.job = work, job
        numbers = {entry.order[0] for entry in job.base.manifest.shards}
        if work.plan.number in numbers:  # else it is new, or ``compact`` has renumbered its shards
            job.number = work.plan.number
        self.committed: set[int] = set()
        # Of a call that was killed between a commit and its note.
        self._note([unit for unit in work.units if new.isdisjoint(work.ids(unit))])

    def collect_now_and_then(self) -> None:
        """Commit what is done, if a commit is due."""
        if self.job.clock() - self.job.last_commit >= SHARD_SECONDS:
            self.collect()

    def collect(self) -> None:
        """Commit what is done: units that are neighbours become one shard."""
        job, work = self.job, self.work
        job.last_commit = job.clock()
        done = [unit for unit in work.units if unit not in self.committed and work.file(unit).exists()]
        for _, run in groupby(enumerate(done), lambda pair: pair[1] - pair[0]):
            units = [unit for _, unit in run]
            job.done = units[0] * work.plan.unit  # their place in the order of the job
            for unit in units:
                job.take(Shard(work.file(unit)).rows())
            job.commit()
            self._note(units)

    def _note(self, units: list[int]) -> None:
        for unit in units:
            self.work.file(unit).write_bytes(b"")
            self.committed.add(unit)


def add_by_ranks(
    index: Index,
    photos: Photos,
    *,
    labels: GivenLabels = None,
    on_error: OnError = "skip",
    num_workers: int | None = None,
    progress: bool = True,
    mirror: bool = False,
    ranks: Ranks | None = None,
) -> None:
    """Add photos to an index, where several processes call this with the same photos.

    The result is that of ``index.add`` in one process. Open the index on the GPU of each rank:
    ``lz.Index.open(folder, device=f"cuda:{local_rank}")``.

    Args:
        index: The index, in a folder that all of them share.
        photos: As in ``index.add``, but for iterators and descriptors.
        labels: As in ``index.add``, as are those that follow.
        on_error: ``"skip"`` photos that cannot be read, or ``"raise"``.
        num_workers: Processes that read photos, of each rank.
        progress: Show a progress bar on stderr; rank 0 does.
        mirror: As ``index.update``: drop what has vanished from the folder.
        ranks: Which of the processes this is; ``None``: what ``torchrun`` says.

    Raises:
        OSError: If somebody else writes the index, or something cannot be written.
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If they come from an iterator, which cannot be divided.
        ValueError: As in ``index.add``.
    """
    if is_stream(photos):
        raise TypeError("an iterator cannot be divided among ranks: pass a folder, a list or a data set")
    ranks = ranks or Ranks.of_environment()
    source = named_source(photo_source(photos, on_error=on_error), None)
    files, embedder = index._files, index._ready()
    embedder.check_unchanged()
    hidden = not progress or ranks.rank > 0
    with tqdm(total=len(source), desc="index", unit=" photos", disable=hidden) as bar:

        def adding_with(job: AddJob) -> PhotoAdding:
            return PhotoAdding(job, embedder, labels, on_error, num_workers, bar)

        if ranks.rank > 0:
            _follow(files, ranks, adding_with, source, photos)
            return
        with files.writing() as writer:
            _remove_garbage(files.path / INCOMING)
            left = _plan_of(files.path)
            if left is not None:  # by a call that was killed
                _lead(left, ranks, adding_with(AddJob(writer)), source, photos)
            adding = adding_with(AddJob(writer))
            if mirror:
                adding.mirror(source)
            _lead(None, ranks, adding, source, photos)


def _lead(
    folder: Path | None, ranks: Ranks, adding: PhotoAdding, source: PhotoSource, photos: object
) -> None:
    """Carry out a plan; without one, make that of all that is new."""
    labels = label_names(adding.labels, source.ids, photos)
    with adding.job as job:
        new = [source.ids[position] for position in adding.new_photos(source, labels)]
        if folder is None:
            adding.bar.update(len(source) - len(new))
            if not new:
                return
            folder = _written_plan(job.writer.folder.path, adding, new)
        work = PlannedWork(folder, adding, source, labels)
        collection = Collection(work, job, set(new))
        work.embed(ranks, collection.collect_now_and_then)
        collection.collect()
    (folder / _PLAN).unlink()
    _remove_garbage(folder.parent)


def _follow(
    files: IndexFolder,
    ranks: Ranks,
    adding_with: Callable[[AddJob], PhotoAdding],
    source: PhotoSource,
    photos: object,
) -> None:
    """Work on the plans of rank 0, until there is nothing new in the photos."""
    seen, done, since = None, set[Path](), time.monotonic()
    while time.monotonic() - since < _PATIENCE:
        commit, folder = files.last(), _plan_of(files.path)
        adding = adding_with(AddJob(Writer(files)))
        if folder is not None and folder not in done:
            done.add(folder)
            labels = label_names(adding.labels, source.ids, photos)
            try:
                work = PlannedWork(folder, adding, source, labels)
            except FileNotFoundError:  # rank 0 has just finished it
                continue
            work.embed(ranks, lambda: None)
            since = time.monotonic()
        elif commit is not seen:
            if not adding.new_photos(source, {}):
                return
            seen = commit
        else:
            time.sleep(_TURN)
    _logger.warning("no work from rank 0 for rank %d, which ends: others do its share", ranks.rank)


def _plan_of(index: Path) -> Path | None:
    return next((path.parent for path in sorted((index / INCOMING).glob(f"*/{_PLAN}"))), None)


def _written_plan(index: Path, adding: PhotoAdding, ids: list[str]) -> Path:
    size = adding.embedder.batch_size
    many = _UNIT.get(adding.embedder.run.device.type, _UNIT_OF_GPUS)
    plan = Plan(adding.job.number, size * max(1, many // size), ids)
    folder = index / INCOMING / new_name()
    folder.mkdir(parents=True)
    with atomic_write(folder / _PLAN) as temporary:
        temporary.write_text(json.dumps(asdict(plan)), encoding="utf-8")
    return folder


def _remove_garbage(incoming: Path) -> None:
    """Remove folders without a plan: all of theirs is committed, or nothing was begun."""
    for folder in incoming.glob("*"):
        if not (folder / _PLAN).exists():
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        incoming.rmdir()
