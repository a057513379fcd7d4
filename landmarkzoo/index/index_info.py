"""What an index is, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

from landmarkzoo.index.commits import Commit


@dataclass(frozen=True)
class IndexInfo:
    """What ``index.info`` says.

    Attributes:
        rows: Photos that can be found.
        dimensions: Size of a descriptor; ``None`` before it is known.
        storage: Type that the vectors are kept in.
        bytes: Bytes of the shards.
        shards: Files with rows.
        tombstones: Rows that do not count any more; ``compact`` drops them.
        labels: Different labels.
        skipped: Photos that could not be read.
        model: Name of the model; ``None`` if the descriptors do not say.
        image_size: Size of the photos, as their provenance says it.
        generation: Number of the last commit.
        created: When the index was made, ISO 8601.
        committed: When it last changed.
    """

    rows: int
    dimensions: int | None
    storage: str
    bytes: int
    shards: int
    tombstones: int
    labels: int
    skipped: int
    model: str | None
    image_size: str | None
    generation: int
    created: str
    committed: str


def info_of(commit: Commit) -> IndexInfo:
    """What a commit is."""
    manifest = commit.manifest
    return IndexInfo(
        rows=len(commit),
        dimensions=manifest.dimensions,
        storage=manifest.storage,
        bytes=commit.nbytes(),
        shards=len(commit.shards),
        tombstones=sum(map(len, commit.edits.removed.values())),
        labels=len({label for label in commit.labels if label is not None}),
        skipped=len(commit.skipped),
        model=manifest.provenance.get("model"),
        image_size=manifest.provenance.get("image_size"),
        generation=manifest.generation,
        created=manifest.created,
        committed=manifest.committed,
    )
