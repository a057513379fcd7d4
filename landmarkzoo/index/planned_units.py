"""Photos into an index in units that any process on any machine may embed. They meet in files only.

The writer of the index writes down which photos are new: the plan, in a folder ``incoming/<name>``. It is cut
into units of whole batches. Whoever embeds a unit writes it into that folder, whole or not at all. The writer
moves what is there into the index, in the order of the plan, and removes the plan in the end. If it is
killed, the next call finds the plan and all units that are there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import check_count
from landmarkzoo.index.add_job import SHARD_SECONDS, AddJob
from landmarkzoo.index.adding_photos import (
    PhotoAdding,
    embedded_rows,
    is_stream,
    named_source,
)
from landmarkzoo.index.label_sources import GivenLabels, label_names
from landmarkzoo.index.living_index import Index
from landmarkzoo.photos import PhotoSource, photo_source
from landmarkzoo.photos.batches import OnError
from landmarkzoo.photos.file_states import states_of_files
from landmarkzoo.photos.sources import Photos
from landmarkzoo.retrieval.shard_files import (
    SUFFIX,
    NewRows,
    Shard,
    as_stored,
    joined_rows,
    new_name,
    write_shard,
)

INCOMING = "incoming"  # folder of an index
_PLAN = "photos.json"
_LOOK_SECONDS = 2.0  # between two looks at what others have done
_UNIT = {"cpu": 128}  # photos: about a minute of a large model
_UNIT_OF_GPUS = 1024


@dataclass(frozen=True)
class Plan:
    """What is to be embedded. It is written once, by the writer of the index, and never changes.

    Attributes:
        number: Number of the job, for the order of its shards.
        unit: Photos of a unit: whole batches.
        ids: Ids of all photos, in order.
    """

    number: int
    unit: int
    ids: list[str]


@dataclass(frozen=True, eq=False)
class PlannedUnits:
    """Photos that are to be embedded for an index, cut into units. Pickled, it goes to any process.

    Attributes:
        folder: Where the plan is, and the units that are done.
        index: The index; its model is made where it is needed first.
        source: All photos of the call.
        labels: Labels by position in ``source``.
        on_error: ``"skip"`` photos that cannot be read, or ``"raise"``.
        num_workers: Processes that read photos.
    """

    folder: Path
    index: Index
    source: PhotoSource
    labels: Mapping[int, str | None]
    on_error: OnError = "skip"
    num_workers: int | None = None

    def __len__(self) -> int:
        return -(-len(self.plan.ids) // self.plan.unit)

    def left(self) -> list[int]:
        """Units that are not done, in order."""
        done = {path.name for path in self.folder.iterdir()}  # one look, as there may be many
        return [unit for unit in range(len(self)) if self.file(unit).name not in done]

    def embed(self, unit: int) -> None:
        """Embed a unit, if it is not done; nothing is to be done once all is committed, and the plan is gone.

        Raises:
            OSError: If it cannot be written.
            PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
            ValueError: If the model cannot be made, or gives NaN.
        """
        if self.is_over() or self.file(unit).exists():
            return
        # A photo that is not there any more drops out, as if it had never been listed.
        positions = [self._place[id_] for id_ in self.ids(unit) if id_ in self._place]
        states = dict(zip(positions, states_of_files(self.source, positions)))
        manifest = self.index._files.last().manifest
        batches = []
        for rows in self._embedded(states) if states else ():
            rows.vectors = [as_stored(vectors, manifest.storage) for vectors in rows.vectors]
            batches.append(rows)
            if self.file(unit).exists():  # another process was quicker
                return
        try:
            write_shard(self.file(unit), joined_rows(batches), manifest.dimensions or 0, manifest.storage)
        except OSError:
            if not self.is_over():
                raise

    def on(self, device: str | torch.device | None) -> PlannedUnits:
        """The same units, embedded on another device."""
        index = self.index
        return replace(self, index=Index(index._files, index._model, index._transform, device))

    @cached_property
    def plan(self) -> Plan:
        """The plan, as it stands in the folder."""
        return Plan(**json.loads((self.folder / _PLAN).read_text(encoding="utf-8")))

    def ids(self, unit: int) -> list[str]:
        """Ids of a unit."""
        return self.plan.ids[unit * self.plan.unit : (unit + 1) * self.plan.unit]

    def file(self, unit: int) -> Path:
        """The file of a unit, which is there when it is done, and empty when it is committed."""
        return self.folder / f"{unit:08d}{SUFFIX}"

    def is_committed(self, unit: int) -> bool:
        """Whether a unit is part of the index."""
        try:
            return self.file(unit).stat().st_size == 0
        except FileNotFoundError:
            return False

    def sees(self, unit: int) -> bool:
        """Whether all photos of a unit are in the source: another machine may have listed others."""
        return all(id_ in self._place for id_ in self.ids(unit))

    def is_over(self) -> bool:
        """Whether all of it is committed."""
        return not (self.folder / _PLAN).exists()

    @cached_property
    def _place(self) -> dict[str, int]:
        return {id_: position for position, id_ in enumerate(self.source.ids)}

    def _embedded(self, states: Mapping[int, Any]) -> Iterator[NewRows]:
        return embedded_rows(
            self.index._ready(),
            self.source,
            states,
            self.labels,
            on_error=self.on_error,
            num_workers=self.num_workers,
        )

    def __reduce__(self) -> tuple[Any, ...]:  # without what is cached
        fields = (self.folder, self.index, self.source, self.labels, self.on_error, self.num_workers)
        return PlannedUnits, fields


def add_in_units(
    index: Index,
    photos: Photos,
    embed_units: Callable[[PlannedUnits], Iterable[object] | None],
    *,
    labels: GivenLabels = None,
    on_error: OnError = "skip",
    num_workers: int | None = None,
    progress: bool = True,
    mirror: bool = False,
    unit: int | None = None,
) -> None:
    """Add photos to an index, embedded wherever you like; this process commits.

    The result is that of ``index.add``, whoever embeds the units, in whatever order. Killed at any moment and
    called again, it goes on with the units that are done.

    Args:
        index: The index, in a folder that all who embed share.
        photos: As in ``index.add``, but for iterators and descriptors.
        embed_units: Has ``units.embed(unit)`` called for each unit in ``units.left()``, in any process, and
            gives something after each of them, whatever it is: what is done is then shown, and committed
            every minute. If it gives nothing, ``None``, that is done once it returns. What it leaves undone,
            this process embeds.
        labels: As in ``index.add``, as are those that follow.
        on_error: ``"skip"`` photos that cannot be read, or ``"raise"``.
        num_workers: Processes that read photos, of each process that embeds.
        progress: Show a progress bar on stderr.
        mirror: As ``index.update``: drop what has vanished from the folder.
        unit: Photos of a unit, in whole batches; ``None``: 128, and 1,024 if the index is open on a GPU.

    Raises:
        OSError: If somebody else writes the index, or something cannot be written.
        PhotoError: If a photo cannot be read and ``on_error`` is ``"raise"``.
        TypeError: If they come from an iterator, which cannot be divided.
        ValueError: As in ``index.add``.

    Examples:
        >>> import tempfile
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> model = lz.GlobalDescriptor("test_efficientnet", embedding_dim=8)
        >>> transform = lz.create_transform(model, image_size=32)
        >>> index = lz.Index.create(Path(tempfile.mkdtemp()) / "index", model, transform=transform)
        >>> photos = lz.rendered.RenderedLandmarks(2, 4, 0, image_size=32)
        >>> with ThreadPoolExecutor(2) as pool:
        ...     lz.index.add_in_units(
        ...         index, photos, lambda units: pool.map(units.embed, units.left()), progress=False
        ...     )
        >>> len(index)
        8
    """
    source = divisible_source(photos, on_error)
    embedder, incoming = index._ready(), index._files.path / INCOMING
    embedder.check_unchanged()
    many = _UNIT.get(embedder.run.device.type, _UNIT_OF_GPUS) if unit is None else check_count(unit, "unit")
    bar = tqdm(total=len(source), desc="index", unit=" photos", disable=not progress)
    with index._files.writing() as writer, bar:

        def carry_out(folder: Path | None, mirror: bool) -> None:
            adding = PhotoAdding(AddJob(writer), embedder, labels, on_error, num_workers, bar)
            if mirror:
                adding.mirror(source)
            names = label_names(labels, source.ids, photos)
            with adding.job as job:
                new = [source.ids[position] for position in adding.new_photos(source, names)]
                bar.update(len(source) - len(new) - bar.n)
                if folder is None and not new:
                    return
                folder = folder or _written_plan(incoming, adding, new, many)
                units = PlannedUnits(folder, index, source, names, on_error, num_workers)
                _Collection(units, job, set(new), bar).run(embed_units)

        _remove_garbage(incoming)
        if (left := plan_in(index._files.path)) is not None:  # by a call that was killed
            carry_out(left, mirror=False)
        carry_out(None, mirror)


def divisible_source(photos: Photos, on_error: OnError) -> PhotoSource:
    """Photos with names, of which each process can embed some.

    Raises:
        TypeError: If they come from an iterator.
        ValueError: If they have no names.
    """
    if is_stream(photos):
        raise TypeError("an iterator cannot be divided among processes: pass a folder, a list or a data set")
    return named_source(photo_source(photos, on_error=on_error), None)


def plan_in(index: Path) -> Path | None:
    """The folder of the plan that an index has, if any."""
    return next((path.parent for path in sorted((index / INCOMING).glob(f"*/{_PLAN}"))), None)


class _Collection:
    """How the writer makes units part of the index.

    Args:
        units: What is planned.
        job: What commits.
        new: Ids of photos that are not in the index as they are now.
        bar: The progress bar.
    """

    def __init__(self, units: PlannedUnits, job: AddJob, new: set[str], bar: tqdm[Any]) -> None:
        self.units, self.job, self.bar = units, job, bar
        numbers = {entry.order[0] for entry in job.base.manifest.shards}
        if units.plan.number in numbers:  # else it is new, or ``compact`` has renumbered its shards
            job.number = units.plan.number
        self.committed = {unit for unit in range(len(units)) if units.is_committed(unit)}
        # Of a call that was killed between a commit and its note.
        others = [unit for unit in range(len(units)) if unit not in self.committed]
        self._note([unit for unit in others if new.isdisjoint(units.ids(unit))])
        self.shown, self.looked = set(self.committed), job.clock()

    def run(self, embed_units: Callable[[PlannedUnits], Iterable[object] | None]) -> None:
        """Let all units be embedded, commit them, and remove the plan."""
        for _ in embed_units(self.units) or ():
            self._look()
        for unit in self.units.left():
            self.units.embed(unit)
            self._look()
        self._collect()
        (self.units.folder / _PLAN).unlink()
        _remove_garbage(self.units.folder.parent)

    def _look(self) -> None:
        """Show what is done, and commit it if that is due."""
        now = self.job.clock()
        if now - self.looked < _LOOK_SECONDS:
            return
        self.looked = now
        self._done()
        if now - self.job.last_commit >= SHARD_SECONDS:
            self._collect()

    def _done(self) -> list[int]:
        done = set(range(len(self.units))).difference(self.units.left())
        self.bar.update(sum(len(self.units.ids(unit)) for unit in done - self.shown))
        self.shown |= done
        return sorted(done - self.committed)

    def _collect(self) -> None:
        """Commit what is done: units that are neighbours become one shard."""
        job, units = self.job, self.units
        job.last_commit = job.clock()
        for _, run in groupby(enumerate(self._done()), lambda pair: pair[1] - pair[0]):
            together = [unit for _, unit in run]
            job.done = together[0] * units.plan.unit  # their place in the order of the job
            for unit in together:
                job.take(Shard(units.file(unit)).rows())
            job.commit()
            self._note(together)

    def _note(self, units: list[int]) -> None:
        for unit in units:
            self.units.file(unit).write_bytes(b"")
            self.committed.add(unit)


def _written_plan(incoming: Path, adding: PhotoAdding, ids: list[str], many: int) -> Path:
    size = adding.embedder.batch_size
    plan = Plan(adding.job.number, size * max(1, many // size), ids)
    folder = incoming / new_name()
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
