"""An index written anew, without rows that do not count, in shards that are quick to search."""

from __future__ import annotations

from dataclasses import replace

from landmarkzoo._utils.atomic_writing import check_writable
from landmarkzoo.index.commits import SHARDS, Commit
from landmarkzoo.index.edits import Edits
from landmarkzoo.index.index_folder import Writer
from landmarkzoo.retrieval.shard_files import NewRows, as_stored, new_name, rows_that_fit


def compact(writer: Writer) -> None:
    """Rewrite an index, if anything about it would become better.

    Raises:
        OSError: If there is no room for it: it is as it was.
    """
    commit = writer.last
    manifest = commit.manifest
    if manifest.dimensions is None:
        return
    step = rows_that_fit(manifest.dimensions, manifest.storage)
    needed = max(1, -(-len(commit) // step))
    if not commit.edits and len(commit.shards) <= needed:
        return
    check_writable(writer.folder.path / SHARDS / new_name(), needs=commit.nbytes())
    shards = []
    for number in range(needed):
        rows = _rows(commit, number * step, min(number * step + step, len(commit)))
        if number == 0:
            rows.skipped = commit.skipped
        if len(rows):
            shards.append(writer.write_shard(rows, manifest.dimensions, (0, number), new_name()))
    writer.commit(replace(manifest, shards=tuple(shards), jobs=max(manifest.jobs, 1)), Edits())


def _rows(commit: Commit, start: int, stop: int) -> NewRows:
    vectors = as_stored(commit.descriptors.stored.block(start, stop), commit.manifest.storage)
    return NewRows(
        commit.ids[start:stop],
        [vectors],
        commit.labels[start:stop].tolist(),
        [commit.state(row) for row in range(start, stop)],
    )
