"""Photos into an index by many processes: each embeds its share, and rank 0 commits. They meet in files only.

Rank 0 writes down which photos are new: the plan, in a folder ``incoming/<name>``. It is cut into units of whole
batches. Each rank embeds the units of its share and writes each into that folder, whole or not at all. Who is
done helps the others from the end, so that the share of a dead or slow rank is taken up. Rank 0 moves the units
into the index, where they stand in the order of the plan, and removes the plan in the end. If it is killed, the
next call finds the plan and all units that are there.
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

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.index.add_job import SHARD_SECONDS, AddJob
from landmarkzoo.index.adding_photos import PhotoAdding, file_state
from landmarkzoo.index.index_folder import IndexFolder, Writer
from landmarkzoo.index.label_sources import label_names
from landmarkzoo.index.shard_files import (
    SUFFIX,
    NewRows,
    Shard,
    as_stored,
    joined_rows,
    new_name,
    write_shard,
)
from landmarkzoo.photos import PhotoSource

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
            if not self.file(unit).exists():
                self._embed_unit(unit, after_batch)

    def _embed_unit(self, unit: int, after_batch: Callable[[], None]) -> None:
        # A photo that is not there any more drops out, as if it had never been listed.
        positions = [self.place[id_] for id_ in self.ids(unit) if id_ in self.place]
        states = {position: file_state(self.source, position) for position in positions}
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
                job.take(_rows_of(Shard(work.file(unit))))
            job.commit()
            self._note(units)

    def _note(self, units: list[int]) -> None:
        for unit in units:
            self.work.file(unit).write_bytes(b"")
            self.committed.add(unit)


def add_by_ranks(
    files: IndexFolder,
    ranks: Ranks,
    adding_with: Callable[[AddJob], PhotoAdding],
    source: PhotoSource,
    photos: object,
    mirror: bool = False,
) -> None:
    """Add photos to an index, where each of several processes calls this with the same photos.

    Args:
        files: The index.
        ranks: Which of the processes this is.
        adding_with: Makes what embeds, for a job.
        source: All photos.
        photos: Where they come from.
        mirror: Drop those that have vanished from their folder.

    Raises:
        OSError: If somebody else writes the index, or something cannot be written.
        PhotoError: If a photo cannot be read, and is not to be skipped.
        ValueError: If an id stands there twice, or is that of another photo of the index.
    """
    if ranks.rank > 0:
        _follow(files, ranks, adding_with, source, photos)
        return
    with files.writing() as writer:
        _remove_garbage(files.path / INCOMING)
        for may_make_one in (False, True):  # first what a killed call has left
            with AddJob(writer) as job:
                adding = adding_with(job)
                if mirror and not may_make_one:
                    adding.mirror(source)
                labels = label_names(adding.labels, source.ids, photos)
                states = adding.new_photos(source, labels)
                new = [source.ids[position] for position in states]
                folder = _plan_of(files.path)
                if folder is None and may_make_one and new:
                    folder = _written_plan(files.path, job, adding, new)
                if folder is not None:
                    _lead(PlannedWork(folder, adding, source, labels), ranks, job, set(new))


def _lead(work: PlannedWork, ranks: Ranks, job: AddJob, new: set[str]) -> None:
    collection = Collection(work, job, new)
    work.embed(ranks, collection.collect_now_and_then)
    collection.collect()
    (work.folder / _PLAN).unlink()
    _remove_garbage(work.folder.parent)


def _follow(
    files: IndexFolder,
    ranks: Ranks,
    adding_with: Callable[[AddJob], PhotoAdding],
    source: PhotoSource,
    photos: object,
) -> None:
    """Work on the plans of rank 0 until there is nothing more to do."""
    seen, done, since = None, set[Path](), time.monotonic()
    while time.monotonic() - since < _PATIENCE:
        folder = _plan_of(files.path)
        commit = files.last()
        if folder is not None and folder not in done:
            adding = adding_with(AddJob(Writer(files)))
            labels = label_names(adding.labels, source.ids, photos)
            with suppress(FileNotFoundError):  # rank 0 has just finished it
                PlannedWork(folder, adding, source, labels).embed(ranks, lambda: None)
            done.add(folder)
            since = time.monotonic()
        elif folder is None and commit is not seen:
            seen = commit
            adding = adding_with(AddJob(Writer(files)))
            if not adding.new_photos(source, {}):
                return
        else:
            time.sleep(_TURN)
    _logger.warning("rank 0 has nothing to do for rank %d: it goes, and others do its share", ranks.rank)


def _plan_of(index: Path) -> Path | None:
    return next((path.parent for path in sorted((index / INCOMING).glob(f"*/{_PLAN}"))), None)


def _written_plan(index: Path, job: AddJob, adding: PhotoAdding, ids: list[str]) -> Path:
    size = adding.embedder.batch_size
    many = _UNIT.get(adding.embedder.run.device.type, _UNIT_OF_GPUS)
    plan = Plan(job.number, size * max(1, many // size), ids)
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


def _rows_of(shard: Shard) -> NewRows:
    names = shard.label_names
    return NewRows(
        shard.ids,
        [shard.vectors] if len(shard) else [],
        [names[code] for code in shard.label_codes],
        [shard.state(row) for row in range(len(shard))],
        shard.skipped,
    )
