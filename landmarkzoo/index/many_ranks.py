"""Photos into an index by ranks, processes that are numbered: each embeds a share, and rank 0 commits.

Who is done helps the others from the end of the plan, so that the share of a dead or slow rank is taken up.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from landmarkzoo.index.add_job import AddJob
from landmarkzoo.index.adding_photos import PhotoAdding
from landmarkzoo.index.index_folder import Writer
from landmarkzoo.index.label_sources import GivenLabels, label_names
from landmarkzoo.index.living_index import Index
from landmarkzoo.index.planned_units import PlannedUnits, add_in_units, divisible_source, plan_in
from landmarkzoo.photos.batches import OnError
from landmarkzoo.photos.sources import Photos

_PATIENCE = 600.0  # seconds that a rank waits for a plan: listing millions of photos takes minutes
_TURN = 0.2  # seconds between two looks at the folder

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
    ranks = ranks or Ranks.of_environment()
    if ranks.rank > 0:
        _follow(index, photos, ranks, labels, on_error, num_workers)
        return
    add_in_units(
        index,
        photos,
        lambda units: _share(units, ranks),
        labels=labels,
        on_error=on_error,
        num_workers=num_workers,
        progress=progress,
        mirror=mirror,
    )


def _share(units: PlannedUnits, ranks: Ranks) -> Iterator[int]:
    """Embed the share of a rank, then what others have not done, from the end."""
    every = range(len(units))
    first, behind = (len(every) * rank // ranks.count for rank in (ranks.rank, ranks.rank + 1))
    for unit in [*every[first:behind], *reversed(every)]:
        if units.is_over():
            return
        # Of a photo that other ranks do not see, rank 0 decides whether it has vanished.
        if ranks.rank == 0 or units.sees(unit):
            units.embed(unit)
        yield unit


def _follow(
    index: Index,
    photos: Photos,
    ranks: Ranks,
    labels: GivenLabels,
    on_error: OnError,
    num_workers: int | None,
) -> None:
    """Work on the plans of rank 0, until there is nothing new in the photos."""
    source, files, embedder = divisible_source(photos, on_error), index._files, index._ready()
    embedder.check_unchanged()
    hidden = tqdm(disable=True)
    seen, done, since = None, set[Path](), time.monotonic()
    while time.monotonic() - since < _PATIENCE:
        commit, folder = files.last(), plan_in(files.path)
        if folder is not None and folder not in done:
            done.add(folder)
            names = label_names(labels, source.ids, photos)
            units = PlannedUnits(folder, index, source, names, on_error, num_workers)
            try:
                _ = units.plan
            except FileNotFoundError:  # rank 0 has just finished it
                continue
            for _ in _share(units, ranks):
                pass
            since = time.monotonic()
        elif commit is not seen:
            job = AddJob(Writer(files))
            if not PhotoAdding(job, embedder, labels, on_error, num_workers, hidden).new_photos(source, {}):
                return
            seen = commit
        else:
            time.sleep(_TURN)
    _logger.warning("no work from rank 0 for rank %d, which ends: others do its share", ranks.rank)
